//! Connections that fail, in words that follow the address.

use std::io::{self, ErrorKind};

use attention_anatomy::dicomweb::Broken;
use ureq::Error;

/// What the system says of a host that it does not know begins so on everything that is a Unix.
const LOOKUP: &str = "failed to lookup address";
/// The number of the same on Windows (WSAHOST_NOT_FOUND).
const HOST_NOT_FOUND: i32 = 11001;

fn unknown_host(is_passing: bool) -> Broken {
    let sentence =
        "no host of that name is known here; is it spelled right, and is this machine in the archive's network?";
    Broken { sentence: sentence.into(), is_passing }
}

/// A body that broke off.
pub fn broken(error: &io::Error) -> Broken {
    Broken::off(&error.to_string())
}

fn of_system(error: &io::Error) -> Broken {
    let told = |sentence: String, is_passing| Broken { sentence, is_passing };
    let text = error.to_string();
    if text.contains(LOOKUP) || error.raw_os_error() == Some(HOST_NOT_FOUND) {
        // `Temporary failure in name resolution`: whoever knows names does not answer.
        return unknown_host(text.contains("emporary"));
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => told(
            "cannot be reached: nobody listens at that port; is the archive running, and is it the right port?".into(),
            true,
        ),
        ErrorKind::InvalidData => told(
            format!("what came is no answer of a web server ({error}); is that a port of https, and not of http?"),
            false,
        ),
        _ => broken(error),
    }
}

/// The error in words.
pub fn trouble(error: &Error) -> Broken {
    let told = |sentence: String, is_passing| Broken { sentence, is_passing };
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
        Error::HostNotFound => unknown_host(false),
        Error::ConnectionFailed => told("cannot be reached; nobody answers at that port".into(), true),
        Error::Timeout(_) => {
            told("no answer came in time; the archive is slow, or a firewall swallows what is sent".into(), true)
        }
        Error::Tls(_) | Error::Rustls(_) => told(
            format!("no encrypted connection came about ({text}); is that a port of https, and not of http?"),
            false,
        ),
        Error::Io(error) => of_system(error),
        Error::Protocol(_) => told(format!("what came is no whole answer of a web server ({text})"), true),
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => told(
            format!(
                "the proxy that HTTPS_PROXY or ALL_PROXY names does not let through ({text}); NO_PROXY leaves it out"
            ),
            false,
        ),
        _ => told(text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_nobody_knows_is_told_as_such_and_a_silent_name_server_may_pass() {
        for (text, is_passing) in [
            ("failed to lookup address information: Name or service not known", false),
            ("failed to lookup address information: nodename nor servname provided, or not known", false),
            ("failed to lookup address information: Temporary failure in name resolution", true),
        ] {
            let told = trouble(&Error::Io(io::Error::other(text)));
            assert_eq!(told, unknown_host(is_passing), "{text}");
        }
        assert_eq!(of_system(&io::Error::from_raw_os_error(HOST_NOT_FOUND)), unknown_host(false));
        let reset = trouble(&Error::Io(ErrorKind::ConnectionReset.into()));
        assert!(reset.is_passing && reset.sentence.starts_with("the connection broke"), "{reset}");
        assert!(trouble(&Error::Io(ErrorKind::ConnectionRefused.into())).sentence.contains("nobody listens"));
    }
}
