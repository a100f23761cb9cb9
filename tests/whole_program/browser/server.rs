//! The plainest of hosts: files of a folder, right types, no other headers. What holds here holds on any server.
//!
//! Every connection has a thread and carries one request. (Threads that many connections share are no good here: where the
//! machine is busy, a request of the page was never read, because a connection that stays open had the last of them.)

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::type_of;

/// A server that runs until it is dropped.
pub struct Host {
    address: SocketAddr,
    now: Arc<Served>,
    thread: Option<JoinHandle<()>>,
    /// Its address, with the slash at the end.
    pub origin: String,
}

/// What is served at the moment.
struct Served {
    folder: Mutex<PathBuf>,
    is_over: AtomicBool,
}

impl Host {
    /// Serves a folder on a free port of this machine.
    pub fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = Arc::new(Served { folder: Mutex::new(folder.to_path_buf()), is_over: AtomicBool::new(false) });
        let serving = now.clone();
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if serving.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(connection), serving) = (connection, serving.clone()) else { continue };
                // A browser that is closed meanwhile does not wait for its answer.
                std::thread::spawn(move || drop(serving.answer(&connection)));
            }
        });
        Self { address, now, thread: Some(thread), origin: format!("http://{address}/") }
    }

    /// Serves another folder from now on.
    pub fn deploy(&self, folder: &Path) {
        *self.now.folder.lock().unwrap() = folder.to_path_buf();
    }
}

impl Served {
    fn answer(&self, mut connection: &TcpStream) -> io::Result<()> {
        let mut request = BufReader::new(connection);
        let (mut first, mut header) = (String::new(), String::new());
        request.read_line(&mut first)?;
        // What the browser says of itself changes nothing; an empty line is the end of it.
        while request.read_line(&mut header)? > "\r\n".len() {
            header.clear();
        }
        // Browsers open connections ahead of their requests.
        if self.is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
        let asked = first.split(' ').nth(1).unwrap_or_default();
        let asked = asked.split('?').next().unwrap_or_default().trim_start_matches('/');
        let name = if asked.is_empty() { "index.html" } else { asked };
        let path = self.folder.lock().unwrap().join(name);
        let (state, bytes) = fs::read(path).map_or(("404 Not Found", Vec::new()), |bytes| ("200 OK", bytes));
        // The browser's own cache keeps nothing: what works offline, works by the page's own means.
        let head = format!(
            "HTTP/1.1 {state}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
            type_of(name),
            bytes.len()
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(&bytes)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.now.is_over.store(true, Ordering::SeqCst);
        // One more connection, so that it looks.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
