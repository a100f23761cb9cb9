//! With an HTTP client: blocking, TLS by rustls, and whom to trust as the system says, since hospitals have authorities of their own.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use attention_anatomy::dicomweb::Head;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::wire::{Answer, Trouble};

/// How long to be reached.
const REACH: Duration = Duration::from_secs(10);
/// How long nothing may come: some fetch old studies from elsewhere before they say a word.
const SILENCE: Duration = Duration::from_secs(120);

/// A client.
pub struct Client {
    agent: Agent,
    authorization: Option<String>,
}

impl Client {
    /// Makes ready; nothing is sent.
    ///
    /// # Errors
    /// None; there is one without a client.
    pub fn open(authorization: Option<String>) -> Result<Self> {
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
        Ok(Self { agent: config.into(), authorization })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Trouble::Broken`]; whatever the status, an answer is none.
    pub fn get(&self, address: &str, accept: &str) -> Result<Answer, Trouble> {
        let mut request = self.agent.get(address).header("Accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        request.call().map(answer).map_err(|error| trouble(&error))
    }

    /// Sends something.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&self, address: &str, content_type: &str, bytes: &[u8]) -> Result<Answer, Trouble> {
        let accept = attention_anatomy::dicomweb::ACCEPT_JSON;
        let mut request = self.agent.post(address).header("Accept", accept).header("Content-Type", content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        request.send(bytes).map(answer).map_err(|error| trouble(&error))
    }
}

fn answer(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let field = |name: &str| field(&parts.headers, name);
    let head = Head {
        status: parts.status.as_u16(),
        content_type: field("content-type").unwrap_or_default(),
        retry_after: field("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
        location: field("location"),
        authenticate: field("www-authenticate"),
    };
    Answer { head, body: Box::new(body.into_reader()) }
}

fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(String::from)
}

/// The error in words that follow the address.
fn trouble(error: &ureq::Error) -> Trouble {
    let told = |sentence: String, is_passing| Trouble::Broken { sentence, is_passing };
    let text = error.to_string();
    let is_certificate = text.to_ascii_lowercase().contains("certificate");
    match error {
        _ if is_certificate => told(
            format!(
                "its certificate is not trusted ({text}); where the hospital has an authority of its own, the system has to trust it, or \
                 SSL_CERT_FILE to name its certificates"
            ),
            false,
        ),
        ureq::Error::HostNotFound => told(
            "no host of that name is known here; is it spelled right, and is this machine in the archive's network?"
                .into(),
            false,
        ),
        ureq::Error::ConnectionFailed => told("cannot be reached; nobody answers at that port".into(), true),
        ureq::Error::Timeout(_) => {
            told("no answer came in time; the archive is slow, or a firewall swallows what is sent".into(), true)
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => told(
            format!("no encrypted connection came about ({text}); is that a port of https, and not of http?"),
            false,
        ),
        ureq::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused => told(
            "cannot be reached: nobody listens at that port; is the archive running, and is it the right port?".into(),
            true,
        ),
        ureq::Error::Io(io) if io.kind() == ErrorKind::InvalidData => told(
            format!("what came is no answer of a web server ({io}); is that a port of https, and not of http?"),
            false,
        ),
        ureq::Error::Io(io) => Trouble::broken(io),
        ureq::Error::Protocol(_) => told(format!("what came is no whole answer of a web server ({text})"), true),
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => told(
            format!(
                "the proxy that HTTPS_PROXY or ALL_PROXY names does not let through ({text}); NO_PROXY leaves it out"
            ),
            false,
        ),
        _ => told(text, false),
    }
}
