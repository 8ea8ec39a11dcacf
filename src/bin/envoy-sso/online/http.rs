//! A small HTTP client: no redirects, bounded answers, this machine's certificate authorities.

use std::time::Duration;

use ureq::tls::TlsConfig;
use url::Url;

/// As much as the filter reads of a document.
const MOST: u64 = 1 << 20;

/// Asks servers.
pub struct Client {
    agent: ureq::Agent,
}

/// What a server said.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Client {
    /// Trusts the authorities of `SSL_CERT_FILE`, else of the system, else of Mozilla.
    pub fn new() -> Self {
        let tls = TlsConfig::builder().root_certs(crate::trust::authorities()).build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .tls_config(tls)
            .build();
        Self { agent: config.into() }
    }

    /// Reads a URL; the error is in words.
    pub fn get(&self, url: &Url, authorization: Option<&str>) -> Result<Answer, String> {
        let mut request = self.agent.get(url.as_str()).header("accept", "application/json, */*");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        answer(url, request.call())
    }

    /// Posts a form.
    pub fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Answer, String> {
        let mut request = self.agent.post(url.as_str()).header("accept", "application/json");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        answer(url, request.send_form(form.iter().copied()))
    }
}

fn answer(
    url: &Url,
    result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, String> {
    let mut response = result.map_err(|error| words(url, &error))?;
    let status = response.status().as_u16();
    let body =
        response.body_mut().with_config().limit(MOST).read_to_string().map_err(|error| words(url, &error))?;
    Ok(Answer { status, body })
}

/// The error in words. A query may hold what is secret.
fn words(url: &Url, error: &ureq::Error) -> String {
    let text = error.to_string();
    let text =
        url.query().filter(|query| !query.is_empty()).map_or(text.clone(), |query| text.replace(query, ""));
    let hint = match () {
        () if text.contains("Expired") => "the certificate has expired",
        () if text.contains("UnknownIssuer") => {
            "the certificate is not trusted here: set SSL_CERT_FILE to the file of trusted_ca"
        }
        () if text.contains("NotValidForName") => "the certificate is for another name",
        () if text.contains("InvalidContentType") || text.contains("corrupt message") => {
            "does not speak TLS at that port"
        }
        () if text.contains("refused") => "nothing listens there",
        () => return text,
    };
    format!("{hint} ({text})")
}
