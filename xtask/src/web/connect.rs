//! A page that may speak to an archive of another origin. As it is built, it speaks to its own alone (`connect-src 'self'`), which is what a
//! hospital should want: page and archive under one name need neither this nor CORS.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::serve;

const OWN: &str = "connect-src 'self'";

/// An origin, `https://archive.example:8443`, in small letters.
///
/// # Errors
/// For anything else: a path, a wildcard, no scheme.
pub fn origin(text: &str) -> Result<String> {
    let origin = text.trim_end_matches('/').to_ascii_lowercase();
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_host =
        |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    if !host.is_some_and(is_host) {
        bail!("`{text}` is no origin; write scheme, host and port, as https://archive.example:8443");
    }
    Ok(origin)
}

/// Writes the origin into the policy of the page in this folder.
///
/// # Errors
/// Where the page has no policy or cannot be written.
pub fn allow(folder: &Path, origin: &str) -> Result<()> {
    let path = folder.join("index.html");
    let at = || path.display().to_string();
    let page = std::fs::read_to_string(&path).with_context(at)?;
    std::fs::write(&path, allowed(&page, origin)?).with_context(at)
}

fn allowed(page: &str, origin: &str) -> Result<String> {
    let policy = serve::policy(page).context("the page has no content security policy")?;
    if !policy.contains(OWN) {
        bail!("the policy of the page does not say {OWN}");
    }
    let wider = policy.replacen(OWN, &format!("{OWN} {origin}"), 1);
    Ok(page.replacen(policy, &wider, 1))
}

/// What the host has to do for it.
///
/// # Errors
/// Where the page cannot be read.
pub fn how_to_host(folder: &Path, origin: &str) -> Result<String> {
    let page = std::fs::read_to_string(folder.join("index.html"))?;
    let policy = serve::policy(&page).context("the page has no content security policy")?;
    Ok(format!(
        "\nThe page may speak to {origin}.\n\
         - The header of the host, which also binds the page's workers:\n  Content-Security-Policy: {}\n\
         - config.json beside index.html, with the root of the archive's DICOMweb services:\n  \
         {{\"archives\": [{{\"name\": \"Archive\", \"root\": \"{origin}/dicom-web\", \"writes\": [\"RTSTRUCT\", \"SEG\"]}}]}}\n\
         - The archive has to let the page's origin in (CORS): Access-Control-Allow-Origin with that origin,\n  \
         Access-Control-Allow-Headers: Accept, Authorization, Content-Type, and 2xx to OPTIONS.",
        serve::header_policy(policy)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path_and_no_wildcard() {
        assert_eq!(origin("https://Archive.example:8443/").unwrap(), "https://archive.example:8443");
        assert_eq!(origin("http://[::1]:8042").unwrap(), "http://[::1]:8042");
        for wrong in
            ["", "*", "https://*.example", "https://a/b", "archive.example", "https://", "https://a;script-src *"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_origin_is_let_in_and_nothing_else_of_the_policy_changes() {
        let page = std::fs::read_to_string(crate::process::root().join("web/page/index.html")).unwrap();
        let before = serve::policy(&page).unwrap().to_owned();
        let page = allowed(&page, "https://archive.example").unwrap();
        let after = serve::policy(&page).unwrap();
        assert_eq!(after, before.replace("connect-src 'self';", "connect-src 'self' https://archive.example;"));
        assert_ne!(after, before);
    }
}
