//! The plainest of hosts: files of a folder, right types, no other headers. What holds here holds on any server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tiny_http::{Header, Response, Server, StatusCode};

/// A server that runs until it is dropped.
pub struct Host {
    server: Arc<Server>,
    folder: Arc<Mutex<PathBuf>>,
    thread: Option<JoinHandle<()>>,
    /// Its address, with the slash at the end.
    pub origin: String,
}

impl Host {
    /// Serves a folder on a free port of this machine.
    pub fn of(folder: &Path) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let origin = format!("http://{}/", server.server_addr());
        let folder = Arc::new(Mutex::new(folder.to_path_buf()));
        let (now, serving) = (folder.clone(), server.clone());
        let thread = std::thread::spawn(move || {
            for request in serving.incoming_requests() {
                let asked = request.url().split('?').next().unwrap_or_default().trim_start_matches('/');
                let name = if asked.is_empty() { "index.html".to_string() } else { asked.to_string() };
                // A browser that is closed meanwhile does not wait for its answer.
                let path = now.lock().unwrap().join(&name);
                let _ = match std::fs::read(path) {
                    Ok(bytes) => {
                        request.respond(Response::from_data(bytes).with_header(type_of(&name)).with_header(fresh()))
                    }
                    Err(_) => request.respond(Response::empty(StatusCode(404))),
                };
            }
        });
        Self { server, folder, thread: Some(thread), origin }
    }

    /// Serves another folder from now on.
    pub fn deploy(&self, folder: &Path) {
        *self.folder.lock().unwrap() = folder.to_path_buf();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn type_of(name: &str) -> Header {
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    Header::from_bytes("Content-Type", kind).unwrap()
}

/// The browser's own cache keeps nothing: what works offline, works by the page's own means.
fn fresh() -> Header {
    Header::from_bytes("Cache-Control", "no-store").unwrap()
}
