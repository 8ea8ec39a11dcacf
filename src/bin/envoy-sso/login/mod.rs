//! `envoy-sso login URL`: a token for a program, found by what the URL says of itself.
//!
//! The protected resource names its authorization servers (RFC 9728), a server names its endpoints (RFC 8414), and the user
//! signs in on a device with a browser (RFC 8628) or in the browser of this machine (RFC 8252).

mod cache;
mod device;
mod discover;
mod grant;
mod loopback;
mod web;

use std::io::{self, Write};

use serde_json::json;

use cache::{Cache, Tokens};
use discover::{Resource, Server};

/// How the command is used.
pub const USAGE: &str = "\
usage: envoy-sso login URL [options]

  --exec-credential   print an ExecCredential of client.authentication.k8s.io/v1, for kubectl
  --client-id ID      the client registered for programs (default: the one in the metadata of the resource)
  --issuer URL        the authorization server to use (default: the first in the metadata that has a usable flow)
  --scope SCOPES      scopes, separated by spaces (default: those of the resource, else openid email profile)
  --browser           use the browser of this machine, even if the server offers the device flow
  --no-resource       leave out the resource parameter (RFC 8707), which Entra refuses
  --no-cache          neither use nor keep a cached token

The token is printed on standard output and cached in $XDG_CACHE_HOME/envoy-sso, readable by the user alone.
";

/// What the user asked for.
#[derive(Debug, Default)]
pub struct Options {
    url: String,
    is_exec_credential: bool,
    client_id: Option<String>,
    issuer: Option<String>,
    scope: Option<String>,
    in_browser: bool,
    without_resource: bool,
    without_cache: bool,
}

impl Options {
    /// The options in the words after `login`. `None`: they cannot be read.
    pub fn read(words: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--exec-credential" => options.is_exec_credential = true,
                "--browser" => options.in_browser = true,
                "--no-resource" => options.without_resource = true,
                "--no-cache" => options.without_cache = true,
                "--client-id" => options.client_id = Some(words.next()?.to_string()),
                "--issuer" => options.issuer = Some(words.next()?.to_string()),
                "--scope" => options.scope = Some(words.next()?.to_string()),
                url if !url.starts_with('-') && !url.is_empty() && options.url.is_empty() => {
                    options.url = url.to_owned();
                }
                _ => return None,
            }
        }
        (!options.url.is_empty()).then_some(options)
    }
}

/// Prints a token, from the cache or a new one. The error says what to tell the user.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), String> {
    let cache = Cache::new(options);
    let tokens = match cache.read() {
        Some(tokens) if tokens.is_fresh() => tokens,
        old => {
            let tokens = match old.as_ref().and_then(grant::renew) {
                Some(tokens) => tokens,
                None => sign_in(options)?,
            };
            cache.write(&tokens);
            tokens
        }
    };
    print(&tokens, options.is_exec_credential, out).map_err(|error| error.to_string())
}

fn print(tokens: &Tokens, is_exec_credential: bool, out: &mut impl Write) -> io::Result<()> {
    if !is_exec_credential {
        return writeln!(out, "{}", tokens.access_token);
    }
    let mut status = json!({ "token": tokens.access_token });
    if let (Some(at), Some(status)) = (tokens.expires_at, status.as_object_mut()) {
        let at = envoy_sso::values::time::instant(at.saturating_mul(1000));
        status.insert("expirationTimestamp".into(), json!(at));
    }
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status,
    });
    writeln!(out, "{credential}")
}

/// Who asks which server for what.
struct Request {
    server: Server,
    client_id: String,
    scope: String,
    resource: Option<String>,
}

fn sign_in(options: &Options) -> Result<Tokens, String> {
    let resource = Resource::find(&options.url)?;
    let client_id = options.client_id.clone().or_else(|| resource.client_id.clone());
    let client_id =
        client_id.ok_or("the metadata of the resource names no client: give one with --client-id")?;
    let server = Server::find(&resource, options.issuer.as_deref())?;
    let scope = options.scope.clone().unwrap_or_else(|| match resource.scopes.as_slice() {
        [] => "openid email profile".to_owned(),
        scopes => scopes.join(" "),
    });
    let request = Request {
        client_id,
        scope,
        resource: (!options.without_resource).then_some(resource.resource),
        server,
    };
    match &request.server.device_authorization_endpoint {
        Some(endpoint) if !options.in_browser => device::sign_in(&request, endpoint),
        _ => loopback::sign_in(&request),
    }
}

impl Request {
    /// The parameters that every flow begins with.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("client_id", self.client_id.clone()), ("scope", self.scope.clone())];
        pairs.extend(self.resource.clone().map(|resource| ("resource", resource)));
        pairs
    }
}

/// Tells the user; standard output is the token's alone. What a server says cannot steer the terminal.
fn tell(text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect();
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order_and_nothing_else_is() {
        let options =
            Options::read(&["--exec-credential", "https://app.test/mcp", "--client-id", "cli"]).unwrap();
        assert_eq!(
            (options.url.as_str(), options.client_id.as_deref()),
            ("https://app.test/mcp", Some("cli"))
        );
        assert!(options.is_exec_credential);
        for wrong in [&[][..], &["a", "b"], &["a", "--scope"], &["a", "--unknown"], &["--client-id", "cli"]] {
            assert!(Options::read(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn kubectl_gets_an_exec_credential() {
        let tokens =
            Tokens { access_token: "at".into(), expires_at: Some(1_000_000_000), ..Tokens::default() };
        let mut out = Vec::new();
        print(&tokens, true, &mut out).unwrap();
        let credential: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            credential,
            json!({
                "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                "status": { "token": "at", "expirationTimestamp": "2001-09-09T01:46:40Z" },
            })
        );
    }
}
