//! Who may ask for what.

use super::plain_path;
use crate::config::duration;
use crate::config::problems::At;
use crate::config::raw::{self, Allow};

/// One rule of `access`.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Which paths.
    pub matches: Match,
    /// How a request authenticates.
    pub admission: Admission,
}

/// Which paths a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Match {
    Path(String),
    Prefix(String),
}

/// How a request authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not at all.
    Anyone,
    /// By a session or bearer token with one of these roles (none: any).
    Users {
        /// One of them is needed.
        roles: Vec<String>,
        /// `acr` must be one of them (none: any).
        acr_values: Vec<String>,
        /// Milliseconds since the person authenticated at the IdP.
        max_age: Option<u64>,
    },
    /// By the application's own credentials, left alone.
    Programs,
}

/// Checks it.
pub(super) fn check(at: &At<'_>, raw: &[raw::AccessRule]) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    for (i, rule) in raw.iter().enumerate() {
        let at = at.index(i);
        let matches = match (&rule.path, &rule.prefix) {
            (Some(path), None) => {
                plain_path(&at.field("path"), path);
                Match::Path(path.clone())
            }
            (None, Some(prefix)) => {
                plain_path(&at.field("prefix"), prefix);
                Match::Prefix(prefix.clone())
            }
            _ => {
                at.problem("expected exactly one of path and prefix");
                continue;
            }
        };
        let Some(allow) = rule.allow else {
            at.field("allow").problem("is missing: anyone, users or programs");
            continue;
        };
        let users_only = !rule.roles.is_empty() || !rule.acr_values.is_empty() || rule.max_age.is_some();
        if allow != Allow::Users && users_only {
            at.problem("roles, acr_values and max_age go with allow: users only");
        }
        for acr in rule.acr_values.iter().filter(|acr| !is_acr(acr)) {
            at.field("acr_values")
                .problem(format!("{acr:?} is no acr: visible ASCII without spaces and quotes"));
        }
        let admission = match allow {
            Allow::Anyone => Admission::Anyone,
            Allow::Programs => Admission::Programs,
            Allow::Users => Admission::Users {
                roles: rule.roles.clone(),
                acr_values: rule.acr_values.clone(),
                max_age: rule
                    .max_age
                    .as_ref()
                    .map(|_| duration::field(&at, "max_age", &rule.max_age, 0, (1_000, 31_536_000_000))),
            },
        };
        rules.push(AccessRule { matches, admission });
    }
    rules
}

/// The list goes to IdPs separated by spaces, and to programs between quotes.
fn is_acr(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}
