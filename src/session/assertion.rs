//! The signed identity (`forward.assertion`): a JWT about the session, signed once in its lifetime and not for each request.
//!
//! The workers of one Envoy share what one of them has signed. A worker keeps it beside the session, so that most
//! requests only copy it into a header.

use std::rc::Rc;

use serde_json::{json, Map, Value};

use super::{LiveSession, Method};
use crate::config::{Assertion, Origin};
use crate::crypto::AssertionKey;
use crate::host::shared_set::id_of;
use crate::host::{events, Host};
use crate::values::order;

/// Places in the data that all workers share, of at most `LARGEST` bytes: 16 MB.
const PLACES: u32 = 8192;
/// A larger assertion is signed by each worker for itself.
const LARGEST: usize = 2048;
/// id, until, exp.
const HEAD: usize = 16 + 8 + 8;
/// A signed assertion.
struct Signed {
    /// Milliseconds since 1970: from then on another one is signed.
    until: u64,
    /// Seconds since 1970.
    exp: u64,
    token: Rc<str>,
}

/// One for this session at this origin, kept beside the session for this spelling of its authority: what another worker
/// signed, or a new one. `None` in the last second of a session.
pub fn make(
    host: &dyn Host,
    live: &LiveSession,
    authority: &[u8],
    origin: &Origin,
    now: u64,
) -> Option<Rc<str>> {
    let signed = signed(host, live, origin, now)?;
    if let Some(assertions) = &live.assertions {
        assertions.keep(authority, signed.until, signed.token.clone(), now);
    }
    Some(signed.token)
}

fn signed(host: &dyn Host, live: &LiveSession, origin: &Origin, now: u64) -> Option<Signed> {
    let settings = live.account.forward.assertion.as_ref()?;
    let key = settings.keys.first()?;
    let ends = live.expires.min(live.session.not_after.unwrap_or(u64::MAX)) / 1000;
    let iat = now / 1000;
    let exp = iat.saturating_add(settings.lifetime).min(ends);
    if exp <= iat {
        return None;
    }
    let mut claims = claims(live, settings, origin);
    // Whatever changes the assertion but its dates: a role that was taken away must not be vouched for any longer.
    let id = id_of(&format!("{}\0{}", key.public(), Value::Object(claims.clone())));
    let place = Place::of(id);
    let (known, cas) = place.look(host);
    // At the end of a session a new one would end no later.
    // Mutant `replace > with >=`: one that expires in this second is past `until`, and ends before a new one.
    let is_good =
        |known: &Signed| known.exp <= ends && known.exp > iat && (now < known.until || known.exp >= exp);
    if let Some(known) = known.filter(is_good) {
        let until = if known.exp >= exp { known.exp.saturating_mul(1000) } else { known.until };
        return Some(Signed { until, ..known });
    }
    for (name, date) in [("iat", iat), ("nbf", iat), ("exp", exp)] {
        claims.insert(name.into(), date.into());
    }
    let new = Signed { until: until(exp, settings.lifetime), exp, token: sign(host, key, &claims) };
    // Mutant `delete !`: of two workers in the same moment each has its own, and both are good.
    if !place.keep(host, &new, cas) {
        // Another worker was faster: the application sees one assertion.
        if let Some(known) = place.look(host).0.filter(is_good) {
            return Some(known);
        }
    }
    Some(new)
}

fn sign(host: &dyn Host, key: &AssertionKey, claims: &Map<String, Value>) -> Rc<str> {
    events::assertion_signed(host);
    key.sign(claims).into()
}

/// The application gets no assertion that expires on its way: dates are whole seconds, and clocks differ.
fn until(exp: u64, lifetime: u64) -> u64 {
    exp.saturating_mul(1000).saturating_sub((lifetime * 100).clamp(1_000, 30_000))
}

/// All but the dates. What the session does not know is left out.
fn claims(live: &LiveSession, settings: &Assertion, origin: &Origin) -> Map<String, Value> {
    let (session, account) = (&live.session, &live.account);
    let (user, from) = (&session.user, &session.origin);
    let password = session.method == Method::Password;
    // The application verified the password when the session began.
    let auth_time = from.auth_time.or(password.then_some(session.started_at / 1000));
    // A token stands for itself on every worker.
    let name = match session.method {
        Method::Bearer => String::from_utf8_lossy(&live.sealed),
        Method::Sso | Method::Password => session.id.as_str().into(),
    };
    let sid: String = id_of(&format!("sid\0{name}")).iter().map(|byte| format!("{byte:02x}")).collect();
    let idp = Some(&from.provider).filter(|idp| !idp.is_empty());
    let amr = from.amr.as_ref().filter(|amr| !amr.is_empty());
    let all = [
        ("iss", json!(origin.to_string())),
        ("aud", json!(settings.audience)),
        ("sub", json!(user.username)),
        ("email", json!(user.email)),
        ("name", json!(user.name)),
        ("roles", json!(user.roles)),
        ("account", json!(account.code)),
        ("idp", json!(idp)),
        ("method", json!(session.method.as_str())),
        ("amr", json!(amr)),
        ("acr", json!(from.acr)),
        ("auth_time", json!(auth_time)),
        ("sid", json!(sid)),
    ];
    let present = all.into_iter().filter(|(_, value)| !value.is_null());
    order::gathered(present.map(|(name, value)| (name.into(), value)))
}

/// Where the workers share one.
struct Place {
    id: [u8; 16],
    key: String,
}

impl Place {
    fn of(id: [u8; 16]) -> Self {
        let [a, b, c, d, ..] = id;
        Self { id, key: format!("sso.assertion.{:x}", u32::from_le_bytes([a, b, c, d]) % PLACES) }
    }

    fn look(&self, host: &dyn Host) -> (Option<Signed>, Option<u32>) {
        let (bytes, cas) = host.shared_get(&self.key);
        (bytes.and_then(|bytes| self.read(&bytes)), cas)
    }

    fn read(&self, bytes: &[u8]) -> Option<Signed> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (exp, token) = rest.split_first_chunk::<8>()?;
        let token = std::str::from_utf8(token).ok().filter(|_| *id == self.id)?;
        Some(Signed { until: u64::from_le_bytes(*until), exp: u64::from_le_bytes(*exp), token: token.into() })
    }

    /// False if another worker wrote since this one looked.
    fn keep(&self, host: &dyn Host, signed: &Signed, cas: Option<u32>) -> bool {
        let token = signed.token.as_bytes();
        if token.len() > LARGEST - HEAD {
            return true;
        }
        let dates = [signed.until.to_le_bytes(), signed.exp.to_le_bytes()].concat();
        host.shared_set(&self.key, &[&self.id[..], &dates, token].concat(), cas)
    }
}
