//! Why a call brought no answer, as far as Envoy knows.
//!
//! Envoy answers a failed call itself: status 503, 504 or 502, and a body of fixed words. A server's own answer of that
//! status has `x-envoy-upstream-service-time`, which Envoy sets on whatever came from a server. Only words of the list
//! below count, and only the names given here get into a log line: nothing of a body ever does.

use std::fmt;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No cluster for this host is configured, or Envoy has none of that name.
    NoCluster(String),
    /// Envoy has no answer and does not say why, or the answer broke off.
    Unreachable,
    /// Envoy says what became of the connection.
    Connection {
        /// The cluster that the call was for.
        cluster: String,
        /// What happened.
        broken: Broken,
    },
    /// Nothing came in time.
    Timeout,
    /// The answer is larger than the request allows.
    TooLarge,
    /// The status of a gRPC call, other than 0.
    Grpc(u32),
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The server's certificate is not trusted.
    Untrusted,
    /// The server's certificate is for another name.
    WrongName,
    /// What answered does not speak TLS.
    NotTls,
    /// Any other failure of TLS.
    Tls,
    /// The port is closed.
    Refused,
    /// No connection came about, and Envoy does not say why: since 1.38.1 its answer leaves out what TLS or the
    /// operating system said (`envoy.reloadable_features.hide_transport_failure_reason_in_response_body`).
    NotMade,
    /// No connection within the cluster's `connect_timeout`.
    NotConnected,
    /// The connection was closed or reset before an answer began.
    Reset,
    /// What answered does not speak HTTP as the cluster does.
    Protocol,
    /// The cluster has no healthy host, or its name has no address.
    NoHost,
    /// A circuit breaker of the cluster is open.
    Overflow,
    /// No answer in time.
    Timeout,
}

const CONNECT_ERROR: &str = "upstream connect error or disconnect/reset before headers. ";
const REASONS: [&str; 2] = ["reset reason: ", "retried and the latest reset reason: "];

impl Broken {
    /// What Envoy's own answer says; `None` for a server's answer, and for words that are not Envoy's.
    pub fn of(status: u16, is_from_server: bool, body: &[u8]) -> Option<Self> {
        if is_from_server || !matches!(status, 502..=504) {
            return None;
        }
        let text = std::str::from_utf8(body.get(..body.len().min(512))?).ok()?;
        match text {
            "no healthy upstream" => return Some(Self::NoHost),
            "upstream request timeout" | "upstream max stream duration reached" => {
                return Some(Self::Timeout)
            }
            _ => {}
        }
        let text = text.strip_prefix(CONNECT_ERROR)?;
        let text = REASONS.iter().find_map(|prefix| text.strip_prefix(prefix))?;
        let (reason, transport) = text.split_once(", transport failure reason: ").unwrap_or((text, ""));
        Some(match reason.trim_end() {
            "connection timeout" => Self::NotConnected,
            "local connection failure" | "remote connection failure" => Self::of_transport(transport),
            "connection termination"
            | "remote reset"
            | "local reset"
            | "remote refused stream reset"
            | "local refused stream reset" => match transport.contains("TLS_error") {
                true => Self::of_transport(transport),
                false => Self::Reset,
            },
            "protocol error" => Self::Protocol,
            "overflow" | "overload manager reset" => Self::Overflow,
            _ => return None,
        })
    }

    fn of_transport(text: &str) -> Self {
        match text.contains("TLS_error") {
            _ if text.is_empty() => Self::NotMade,
            false => Self::Refused,
            true if text.contains("SAN list") || text.contains("SAN matcher") => Self::WrongName,
            true if text.contains("CERTIFICATE_VERIFY_FAILED") => Self::Untrusted,
            true if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") => Self::NotTls,
            true => Self::Tls,
        }
    }

    /// True if the request may have gone out on a connection that the server had given up already: one more try helps,
    /// and no answer to the first one had begun.
    pub fn is_worth_a_try(self) -> bool {
        matches!(self, Self::Reset | Self::Refused | Self::NotMade)
    }

    /// True if the server kept the call waiting.
    pub fn is_hanging(self) -> bool {
        matches!(self, Self::Timeout | Self::NotConnected)
    }

    /// What an operator looks at: the fault, the setting, and the counter below `cluster.NAME.`.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Untrusted => (
                "the server's certificate is not trusted",
                "see trusted_ca of its transport_socket",
                "ssl.fail_verify_error",
            ),
            Self::WrongName => (
                "the server's certificate is for another name",
                "see sni and match_typed_subject_alt_names",
                "ssl.fail_verify_san",
            ),
            Self::NotTls => (
                "the server does not speak TLS at that port",
                "see the port, and the cluster's transport_socket",
                "ssl.connection_error",
            ),
            Self::Tls => (
                "the TLS handshake failed",
                "see tls_params and client certificates of its transport_socket",
                "ssl.connection_error",
            ),
            Self::Refused => (
                "the connection was refused",
                "is the server up, are address and port right?",
                "upstream_cx_connect_fail",
            ),
            Self::NotMade => (
                "no connection came about",
                "refused, or the TLS handshake failed, which Envoy 1.38.1 and later do not tell: see the counters ssl.*",
                "upstream_cx_connect_fail",
            ),
            Self::NotConnected => (
                "no connection within connect_timeout",
                "is the server up, does a firewall drop it?",
                "upstream_cx_connect_timeout",
            ),
            Self::Reset => (
                "the connection was closed before an answer began",
                "see idle_timeout, and whether that port wants TLS",
                "upstream_cx_destroy_remote_with_active_rq",
            ),
            Self::Protocol => (
                "what came is not the HTTP that the cluster speaks",
                "see http2_protocol_options and the port",
                "upstream_cx_protocol_error",
            ),
            Self::NoHost => (
                "the cluster has no healthy host",
                "see name resolution and health checks",
                "upstream_cx_none_healthy",
            ),
            Self::Overflow => {
                ("a circuit breaker is open", "see circuit_breakers", "upstream_rq_pending_overflow")
            }
            Self::Timeout => {
                ("no answer in time", "see `timeout`, and whether it answers at all", "upstream_rq_timeout")
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCluster(host) => write!(
                f,
                "no cluster for host {host}: clusters must name one for it, and Envoy must have that cluster"
            ),
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::Timeout => f.write_str("no answer in time; see `timeout`, and whether it answers at all"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Grpc(status) => write!(f, "gRPC status {status}"),
            Self::Connection { cluster, broken } => {
                let (what, look, counter) = broken.words();
                write!(f, "cluster {cluster:?}: {what}; {look} (cluster.{cluster}.{counter})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(reason: &str) -> String {
        format!("{CONNECT_ERROR}reset reason: {reason}")
    }

    #[test]
    fn each_of_envoys_words_is_told_apart() {
        let tls = |why: &str| {
            reset(&format!(
                "remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:{why}:TLS_error_end"
            ))
        };
        for (status, body, broken) in [
            (503, tls("CERTIFICATE_VERIFY_FAILED"), Broken::Untrusted),
            (
                503,
                tls("CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: certificate verification error at depth 0: self-signed certificate"),
                Broken::Untrusted,
            ),
            (503, tls("CERTIFICATE_VERIFY_FAILED:verify cert failed: verify SAN list"), Broken::WrongName),
            (503, tls("WRONG_VERSION_NUMBER"), Broken::NotTls),
            (503, tls("TLSV1_ALERT_PROTOCOL_VERSION"), Broken::Tls),
            (503, reset("remote connection failure"), Broken::NotMade),
            (
                503,
                reset("remote connection failure, transport failure reason: delayed connect error: Connection refused"),
                Broken::Refused,
            ),
            (503, reset("local connection failure"), Broken::NotMade),
            (503, reset("connection timeout"), Broken::NotConnected),
            (503, reset("connection termination"), Broken::Reset),
            (503, reset("remote reset"), Broken::Reset),
            (503, reset("remote refused stream reset"), Broken::Reset),
            (503, format!("{CONNECT_ERROR}retried and the latest reset reason: connection termination"), Broken::Reset),
            (502, reset("protocol error"), Broken::Protocol),
            (503, reset("overflow"), Broken::Overflow),
            (503, "no healthy upstream".into(), Broken::NoHost),
            (504, "upstream request timeout".into(), Broken::Timeout),
        ] {
            assert_eq!(Broken::of(status, false, body.as_bytes()), Some(broken), "{body}");
            assert_eq!(Broken::of(status, true, body.as_bytes()), None, "a server that says the words: {body}");
            assert_eq!(Broken::of(200, false, body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn words_that_are_not_envoys_are_an_answer() {
        for body in
            ["", "Service Unavailable", "no healthy upstream!", "upstream connect error", "<html>", "\u{e9}"]
        {
            assert_eq!(Broken::of(503, false, body.as_bytes()), None, "{body}");
        }
        assert_eq!(Broken::of(503, false, reset("something new").as_bytes()), None);
        assert_eq!(Broken::of(503, false, b"\xff"), None);
    }

    #[test]
    fn every_message_is_another_and_says_where_to_look() {
        let all = [
            Broken::Untrusted,
            Broken::WrongName,
            Broken::NotTls,
            Broken::Tls,
            Broken::Refused,
            Broken::NotMade,
            Broken::NotConnected,
            Broken::Reset,
            Broken::Protocol,
            Broken::NoHost,
            Broken::Overflow,
            Broken::Timeout,
        ];
        let texts: std::collections::HashSet<String> = all
            .iter()
            .map(|broken| Failure::Connection { cluster: "idp".into(), broken: *broken }.to_string())
            .collect();
        assert_eq!(texts.len(), all.len());
        assert!(texts
            .iter()
            .all(|text| text.starts_with("cluster \"idp\": ") && text.contains("(cluster.idp.")));
    }
}
