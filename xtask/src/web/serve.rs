//! A server for this machine, which sends what a careful host would send.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use crate::say;

/// What the page cannot say in a tag.
const HEADERS: [(&str, &str); 4] = [
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
];

/// Serves the folder on this machine alone until it is stopped.
///
/// # Errors
/// Where the folder has no page or the port is taken.
pub fn serve(folder: &Path, port: u16) -> Result<()> {
    let server = Server::http(("127.0.0.1", port))
        .map_err(|error| anyhow!("port {port} cannot be used ({error}); name another: cargo xtask web --serve PORT"))?;
    let index = folder.join("index.html");
    let index = std::fs::read_to_string(&index).with_context(|| format!("{} cannot be read", index.display()))?;
    let policy = header_policy(policy(&index).context("the page has no content security policy")?);
    say::line(&format!("http://localhost:{port}/ (Ctrl+C ends it)"));
    for request in server.incoming_requests() {
        if let Err(error) = answer(folder, &policy, request) {
            say::error(&format!("a request could not be answered: {error}"));
        }
    }
    Ok(())
}

fn answer(folder: &Path, policy: &str, request: Request) -> std::io::Result<()> {
    let (name, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let asked = matches!(request.method(), Method::Get | Method::Head);
    let Some(path) = file(folder, name).filter(|_| asked) else {
        return request.respond(Response::empty(StatusCode(404)));
    };
    let mut response = Response::from_data(std::fs::read(&path)?);
    // An address with a version never changes its contents.
    let keep = if query.starts_with("v=") { "max-age=31536000, immutable" } else { "no-cache" };
    let described =
        [("Content-Type", content_type(&path)), ("Cache-Control", keep), ("Content-Security-Policy", policy)];
    for (field, value) in described.into_iter().chain(HEADERS) {
        if let Ok(header) = Header::from_bytes(field, value) {
            response.add_header(header);
        }
    }
    request.respond(response)
}

/// The content security policy of a page, from its tag.
pub fn policy(index: &str) -> Option<&str> {
    let (_, rest) = index.split_once("http-equiv=\"Content-Security-Policy\" content=\"")?;
    rest.split_once('"').map(|(policy, _)| policy)
}

/// The policy as a header: it also holds for the page's workers, and may say who must not frame the page.
pub fn header_policy(policy: &str) -> String {
    format!("{policy}; frame-ancestors 'none'")
}

/// The file of an address: one of those directly in the folder, nothing else.
fn file(folder: &Path, address: &str) -> Option<PathBuf> {
    let name = address.strip_prefix('/')?;
    let name = if name.is_empty() { "index.html" } else { name };
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !name.starts_with('.');
    let path = folder.join(name);
    (plain && path.is_file()).then_some(path)
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_served() {
        let base = std::env::temp_dir().join(format!("xtask-serve-{}", std::process::id()));
        let folder = base.join("web");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(base.join("secret.txt"), "").unwrap();
        std::fs::write(folder.join("index.html"), "").unwrap();
        std::fs::write(folder.join("app.js"), "").unwrap();
        assert_eq!(file(&folder, "/"), Some(folder.join("index.html")));
        assert_eq!(file(&folder, "/app.js"), Some(folder.join("app.js")));
        for outside in ["/../secret.txt", "/..%2fsecret.txt", "/..", "/.", "//etc/passwd", "app.js", "/none.js", ""] {
            assert_eq!(file(&folder, outside), None, "{outside}");
        }
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_binary_is_sent_as_what_browsers_compile_while_it_streams() {
        assert_eq!(content_type(Path::new("a.wasm")), "application/wasm");
        assert_eq!(content_type(Path::new("a.js")), "text/javascript; charset=utf-8");
    }
}
