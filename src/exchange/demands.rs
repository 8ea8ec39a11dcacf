//! What the rules on a path demand of a session.

use super::{challenge, AuthnParameters, Exchange, Unmet};
use crate::access::{resource, Verdict};
use crate::config::{Admission, Protocol};
use crate::fault::{Code, Fault};
use crate::http::response::Response;
use crate::proto::oidc::signed::SKEW_MILLISECONDS;
use crate::session::{LiveSession, Method};

/// The first demand that the session does not meet.
#[inline]
pub fn unmet(demands: &[&Admission], live: &LiveSession, now: u64) -> Option<Unmet> {
    if live.session.method == Method::Bearer {
        if let Some(fault) = missing_scope(demands, live) {
            return Some(Unmet::Scope(fault));
        }
    }
    if let Some(fault) = missing_role(demands, live) {
        return Some(Unmet::Role(fault));
    }
    match worst_verdict(demands, live) {
        Verdict::Met => {}
        Verdict::Unknown => return Some(Unmet::Unknown),
        Verdict::Unmet => {
            let detail =
                format!("{:?} does not meet the conditions (when) of this path", live.session.user.username);
            return Some(Unmet::Condition(Fault::new(Code::AccessDenied, detail)));
        }
    }
    for demand in demands {
        let Admission::Users { acr_values, max_age, .. } = demand else { continue };
        let origin = &live.session.origin;
        let acr = acr_values.is_empty() || origin.acr.as_ref().is_some_and(|acr| acr_values.contains(acr));
        // With the same allowance for clocks as the ID token's check: what passed there passes here.
        let fresh = max_age.is_none_or(|age| {
            // A time in the future would be fresh for as long as it is there.
            authenticated(live).is_some_and(|at| {
                now.saturating_sub(at) <= age.saturating_add(SKEW_MILLISECONDS)
                    && at.saturating_sub(now) <= SKEW_MILLISECONDS
            })
        });
        if !acr || !fresh {
            return Some(Unmet::Authentication(AuthnParameters {
                acr_values: acr_values.clone(),
                max_age: max_age.map(|age| age / 1000),
                ..AuthnParameters::default()
            }));
        }
    }
    None
}

/// The worst verdict on the conditions that are demanded.
#[inline]
fn worst_verdict(demands: &[&Admission], live: &LiveSession) -> Verdict {
    let verdict = |demand: &&Admission| match demand {
        Admission::Users { when: Some(when), .. } => {
            live.verdicts.get(when.slot).copied().unwrap_or(Verdict::Unmet)
        }
        _ => Verdict::Met,
    };
    demands.iter().map(verdict).max().unwrap_or(Verdict::Met)
}

/// When the person proved who they are, in milliseconds since 1970. Without
/// `auth_time` the user may have authenticated weeks ago; a provider asked with `max_age` has to send it (OpenID Connect
/// Core section 2). Others cannot be asked: there the login counts.
fn authenticated(live: &LiveSession) -> Option<u64> {
    let session = &live.session;
    let says = || {
        let provider = live.account.provider(&session.origin.provider);
        provider.is_some_and(|provider| matches!(provider.protocol, Protocol::Oidc(_)))
    };
    match session.origin.auth_time {
        Some(seconds) => Some(seconds.saturating_mul(1000)),
        None if says() => None,
        None => Some(session.started_at),
    }
}

/// The first demand for scopes that the token does not meet. Browser sessions need none: the provider asked the person
/// for what the application is for.
fn missing_scope(demands: &[&Admission], live: &LiveSession) -> Option<Fault> {
    let held = &live.session.origin.scopes;
    let missing = |scope: &&String| !held.contains(scope);
    let demanded = demands.iter().filter_map(|admission| resource::of(admission));
    let missing: Vec<&str> =
        demanded.flat_map(|resource| &resource.scopes).filter(missing).map(String::as_str).collect();
    let detail = || format!("the access token lacks the scopes {}", missing.join(", "));
    (!missing.is_empty()).then(|| Fault::new(Code::InsufficientScope, detail()))
}

/// The first demand for a role that the session does not meet.
#[inline]
fn missing_role(demands: &[&Admission], live: &LiveSession) -> Option<Fault> {
    let missing = |demand: &&Admission| match demand {
        Admission::Users { roles, .. } if !roles.is_empty() => {
            let held = &live.session.user.roles;
            let detail = || {
                let user = &live.session.user;
                let why = user.without_roles_because(&live.account);
                format!("{:?} has none of the roles {}{why}", user.username, roles.join(", "))
            };
            (!roles.iter().any(|role| held.contains(role))).then(|| Fault::new(Code::RoleMissing, detail()))
        }
        _ => None,
    };
    demands.iter().find_map(missing)
}

/// Where a step-up comes back to and what it asks for: for a navigation, if the provider can help.
pub fn step_up_target(
    exchange: &Exchange,
    live: &LiveSession,
    unmet: &Unmet,
) -> Option<(String, AuthnParameters)> {
    let person = live.session.method == Method::Sso && exchange.head.is_navigation();
    let parameters = unmet.parameters().filter(|_| person)?;
    Some((exchange.target_or_home(), parameters))
}

/// The refusal of a request that is not sent to the IdP. A script learns of the login that helps: one without what the path
/// demands could lead back here for ever.
pub fn refuse(exchange: &Exchange, live: &LiveSession, unmet: &Unmet) -> Response {
    let session = &live.session;
    match (session.method, unmet.parameters()) {
        (Method::Bearer, _) => challenge::insufficient(exchange, unmet),
        (Method::Sso, Some(wanted)) => {
            let mut parameters = vec![("idp", session.origin.provider.clone())];
            parameters.extend(wanted.max_age.map(|seconds| ("max_age", seconds.to_string())));
            if !wanted.acr_values.is_empty() {
                parameters.push(("acr_values", wanted.acr_values.join(" ")));
            }
            exchange.refuse_asking(&unmet.fault(), &parameters)
        }
        (Method::Sso | Method::Password, _) => exchange.refuse(&unmet.fault()),
    }
}
