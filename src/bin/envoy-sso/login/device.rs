//! The device flow (RFC 8628): the user signs in on any device with a browser.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::cache::{now, Tokens};
use super::{grant, tell, web, Request};

/// Seconds between two questions unless the server says otherwise (section 3.2), and at most.
const INTERVAL: u64 = 5;
const MAX_INTERVAL: u64 = 60;
/// A code that lives longer is not waited for, in seconds.
const MAX_WAIT: u64 = 1_800;

/// Shows the user where to sign in, and waits.
pub fn sign_in(request: &Request, endpoint: &Url) -> Result<Tokens, String> {
    let (status, device) = web::post(endpoint, &request.parameters())?;
    if status != 200 {
        return Err(web::error(endpoint, status, &device));
    }
    let needed = |name: &str| web::text(&device, name).ok_or(format!("{endpoint} sent no {name}"));
    let (device_code, user_code) = (needed("device_code")?, needed("user_code")?);
    tell(&format!("Open {}\nand enter the code {user_code}", needed("verification_uri")?));
    if let Some(complete) = web::text(&device, "verification_uri_complete") {
        tell(&format!("or open {complete}"));
    }
    let seconds = |name: &str| device.get(name).and_then(Value::as_u64);
    let until = now().saturating_add(seconds("expires_in").unwrap_or(MAX_WAIT).min(MAX_WAIT));
    let mut interval = seconds("interval").unwrap_or(INTERVAL).clamp(1, MAX_INTERVAL);
    let mut pairs = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code".to_owned()),
        ("device_code", device_code.to_owned()),
        ("client_id", request.client_id.clone()),
    ];
    pairs.extend(request.resource.clone().map(|resource| ("resource", resource)));
    let token_endpoint = &request.server.token_endpoint;
    while now() < until {
        sleep(Duration::from_secs(interval));
        // Section 3.5: a connection that failed is tried again, more slowly.
        let Ok((status, body)) = web::post(token_endpoint, &pairs) else {
            interval = (interval * 2).min(MAX_INTERVAL);
            continue;
        };
        match (status, web::text(&body, "error")) {
            (200, None) => return grant::tokens(token_endpoint, &request.client_id, &body),
            (_, Some("authorization_pending")) => {}
            (_, Some("slow_down")) => interval = (interval + 5).min(MAX_INTERVAL),
            _ => return Err(web::error(token_endpoint, status, &body)),
        }
    }
    Err("the code has expired: run the command again".to_owned())
}
