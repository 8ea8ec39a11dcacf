//! The browser of this machine (RFC 8252) with PKCE (RFC 7636).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use url::Url;

use super::cache::{now, Tokens};
use super::{grant, tell, web, Request};

/// Seconds that the user has to sign in.
const WAIT: u64 = 300;
/// A longer request line or header is not read, in bytes.
const MAX_HEAD: u64 = 64 << 10;

/// Sends the browser to the server, and takes the code from the redirect.
pub fn sign_in(request: &Request) -> Result<Tokens, String> {
    let server = &request.server;
    let endpoint = server.authorization_endpoint.as_ref();
    let mut url = endpoint.ok_or(format!("{} has no authorization endpoint", server.issuer))?.clone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    // Section 7.3: servers accept any port of the loopback address.
    let redirect_uri = format!("http://127.0.0.1:{port}/callback");
    let (state, verifier) = (random()?, random()?);
    url.query_pairs_mut()
        .extend_pairs(request.parameters())
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("state", &state)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)))
        .append_pair("code_challenge_method", "S256");
    tell(&format!("Sign in at\n{url}"));
    open(&url);
    let code = wait(&listener, |answer| code_of(answer, &state, server))?;
    let mut pairs = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
        ("client_id", request.client_id.clone()),
    ];
    pairs.extend(request.resource.clone().map(|resource| ("resource", resource)));
    let (status, body) = web::post(&server.token_endpoint, &pairs)?;
    match status {
        200 => grant::tokens(&server.token_endpoint, &request.client_id, &body),
        _ => Err(web::error(&server.token_endpoint, status, &body)),
    }
}

#[allow(clippy::disallowed_methods)] // the command line has no Host
fn random() -> Result<String, String> {
    let mut bytes = [0u8; 32];
    getrandom::getrandom(&mut bytes).map_err(|_| "no randomness from the operating system")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens the browser, where there is one. The user has the URL anyway.
fn open(url: &Url) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let _ = Command::new(program).arg(url.as_str()).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}

/// What an authorization response means: a code, an error, or nothing that concerns us (`None`).
type Meaning = Option<Result<String, String>>;

/// Answers requests until one of them is the redirect of this login.
fn wait(listener: &TcpListener, meaning: impl Fn(&Url) -> Meaning) -> Result<String, String> {
    let until = now().saturating_add(WAIT);
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    while now() < until {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let found = target(&mut stream).and_then(|url| meaning(&url));
        let (status, text) = match &found {
            Some(Ok(_)) => ("200 OK", "You are signed in. You can close this page."),
            Some(Err(_)) => ("400 Bad Request", "Signing in failed. The terminal says why."),
            None => ("404 Not Found", "Not found."),
        };
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        if let Some(found) = found {
            return found;
        }
    }
    Err("no browser came back in time: run the command again".to_owned())
}

/// The URL that a connection asks for. A browser that opens a connection and sends nothing holds up for a second.
fn target(stream: &mut TcpStream) -> Option<Url> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(1))).ok()?;
    let mut reader = BufReader::new(stream.take(MAX_HEAD));
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    // The rest of the head is read, or closing the connection could lose the answer.
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        line.clear();
    }
    let path = first.strip_prefix("GET ")?.split(' ').next()?;
    Url::parse("http://127.0.0.1").ok()?.join(path).ok()
}

/// The code of an authorization response. Another `state` is not this login (RFC 6749 section 10.12); another `iss` is
/// another server (RFC 9207).
fn code_of(answer: &Url, state: &str, server: &super::Server) -> Meaning {
    let value = |wanted: &str| {
        let mut found = answer.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    };
    if answer.path() != "/callback" || value("state").as_deref() != Some(state) {
        return None;
    }
    let is_other = match value("iss") {
        Some(iss) => iss != server.issuer,
        None => server.sends_issuer,
    };
    if is_other {
        return Some(Err("the answer is of another authorization server".to_owned()));
    }
    Some(match (value("code"), value("error")) {
        (Some(code), None) => Ok(code.into_owned()),
        (_, error) => Err(format!("the server refused: {}", error.unwrap_or("no code".into()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_of_this_login_and_this_server_counts() {
        let issuer = "https://idp.test";
        let server = super::super::Server {
            issuer: issuer.into(),
            token_endpoint: Url::parse("https://idp.test/token").unwrap(),
            authorization_endpoint: None,
            device_authorization_endpoint: None,
            sends_issuer: true,
        };
        let read = |query: &str| {
            code_of(&Url::parse(&format!("http://127.0.0.1/callback?{query}")).unwrap(), "s", &server)
        };
        assert_eq!(read("code=c&state=s&iss=https://idp.test"), Some(Ok("c".into())));
        for other in ["code=c&state=t&iss=https://idp.test", "code=c", "code=c&state=s&state=s"] {
            assert_eq!(read(other), None, "{other}");
        }
        for wrong in [
            "code=c&state=s",
            "code=c&state=s&iss=https://evil.test",
            "error=access_denied&state=s&iss=https://idp.test",
            "code=a&code=b&state=s&iss=https://idp.test",
        ] {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong}");
        }
        let elsewhere = Url::parse("http://127.0.0.1/?code=c&state=s&iss=https://idp.test").unwrap();
        assert_eq!(code_of(&elsewhere, "s", &server), None);
    }
}
