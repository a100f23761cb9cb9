//! The client.

use std::future::{Future, poll_fn};
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use attention_anatomy::dicomweb::{ACCEPT_JSON, Answer, Body, Broken, Head, Later, Request, Transport};
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::trouble::{broken, trouble};

/// How long to be reached.
const REACH: Duration = Duration::from_secs(10);
/// How long nothing may come before the thread of a request ends: longer than whoever asks waits for it.
const SILENCE: Duration = Duration::from_secs(150);
/// Read at a time.
const PIECE: usize = 256 << 10;
/// Pieces that are read before anybody wants them.
const AHEAD: usize = 16;
/// How often a future is asked whether it is there.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// A client. Nothing is sent before something is asked for, and then to that address alone: redirections are not followed.
pub struct Http {
    agent: Agent,
    authorization: Option<Arc<str>>,
}

/// Shows nothing on purpose: a log line must not carry a token.
impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http(withheld)")
    }
}

impl Http {
    /// With the value of the Authorization field, if there is one.
    pub fn new(authorization: Option<&str>) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(REACH))
            .timeout_connect(Some(REACH))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("AttentionAnatomy/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: config.into(), authorization: authorization.map(Arc::from) }
    }
}

/// What the thread of a request says.
enum Message {
    Head(Head),
    Piece(Vec<u8>),
    End,
}

type Received = Result<Message, Broken>;

impl Transport for Http {
    fn ask(&self, request: &Request) -> Later<'static, Result<Answer, Broken>> {
        let (sender, receiver) = sync_channel(AHEAD);
        let (agent, authorization, request) = (self.agent.clone(), self.authorization.clone(), request.clone());
        let failed = sender.clone();
        let carry = move || carry(&agent, authorization.as_deref(), &request, &sender);
        if let Err(error) = std::thread::Builder::new().name("archive".into()).spawn(carry) {
            // It is the first in the channel, which has room for it.
            failed.try_send(Err(Broken::off(&error.to_string()))).ok();
        }
        drop(failed);
        Box::pin(async move {
            match receive(&receiver).await? {
                Message::Head(head) => Ok(Answer { head, body: Box::new(Pieces { receiver }) }),
                Message::Piece(_) | Message::End => Err(Broken::off("there was no answer")),
            }
        })
    }

    fn pause(&self, time: Duration) -> Later<'static, ()> {
        let until = Instant::now() + time;
        Box::pin(poll_fn(move |_| if Instant::now() < until { Poll::Pending } else { Poll::Ready(()) }))
    }
}

/// The body of an answer, as its thread reads it.
struct Pieces {
    receiver: Receiver<Received>,
}

impl Body for Pieces {
    fn next(&mut self) -> Later<'_, Result<Option<Vec<u8>>, Broken>> {
        Box::pin(async {
            match receive(&self.receiver).await? {
                Message::Piece(piece) => Ok(Some(piece)),
                Message::Head(_) | Message::End => Ok(None),
            }
        })
    }
}

/// What the thread says next. Nobody is woken: whoever asks asks again.
async fn receive(receiver: &Receiver<Received>) -> Received {
    poll_fn(|_| match receiver.try_recv() {
        Ok(received) => Poll::Ready(received),
        Err(TryRecvError::Empty) => Poll::Pending,
        Err(TryRecvError::Disconnected) => Poll::Ready(Err(Broken::off("nobody reads it any more"))),
    })
    .await
}

/// Carries a request and its answer. Ends early where nobody wants the rest.
fn carry(agent: &Agent, authorization: Option<&str>, request: &Request, sender: &SyncSender<Received>) {
    let response = match call(agent, authorization, request) {
        Ok(response) => response,
        Err(error) => {
            sender.send(Err(trouble(&error))).ok();
            return;
        }
    };
    let (parts, body) = response.into_parts();
    if sender.send(Ok(Message::Head(head(parts.status.as_u16(), &parts.headers)))).is_err() {
        return;
    }
    let mut body = body.into_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let received = match body.read(&mut piece) {
            Ok(0) => Ok(Message::End),
            Ok(read) => {
                piece.truncate(read);
                Ok(Message::Piece(piece))
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(broken(&error)),
        };
        let is_over = !matches!(received, Ok(Message::Piece(_)));
        if sender.send(received).is_err() || is_over {
            return;
        }
    }
}

fn call(agent: &Agent, authorization: Option<&str>, request: &Request) -> Result<Response<ureq::Body>, Error> {
    match request {
        Request::Get { address, accept } => {
            let mut call = agent.get(address).header("Accept", *accept);
            if let Some(authorization) = authorization {
                call = call.header("Authorization", authorization);
            }
            call.call()
        }
        Request::Post { address, content_type, bytes } => {
            let mut call = agent.post(address).header("Accept", ACCEPT_JSON).header("Content-Type", content_type);
            if let Some(authorization) = authorization {
                call = call.header("Authorization", authorization);
            }
            call.send(&bytes[..])
        }
    }
}

fn head(status: u16, headers: &HeaderMap) -> Head {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(String::from);
    Head {
        status,
        content_type: field("content-type").unwrap_or_default(),
        retry_after: field("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
        location: field("location"),
        authenticate: field("www-authenticate"),
    }
}

/// Waits for something of this client; for those who have nothing else to do.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        std::thread::sleep(ASK_AGAIN);
    }
}
