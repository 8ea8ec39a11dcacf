//! Protected resources (RFC 9728): what programs learn of a path before they have a token.

use super::{AccessRule, Admission, Match};

/// Where the metadata of every resource stands (RFC 9728 section 3.1).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The path that names it: without a slash at its end, empty for the whole origin.
    pub path: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Every one of them is needed in a bearer token.
    pub scopes: Vec<String>,
    /// A client that programs may use.
    pub client_id: Option<String>,
}

impl Resource {
    /// The path that names the resource of a rule.
    pub fn path_of(matches: &Match) -> String {
        match matches {
            Match::Path(path) if path == "/" => String::new(),
            Match::Path(path) => path.clone(),
            Match::Prefix(prefix) => prefix.strip_suffix('/').unwrap_or(prefix).to_owned(),
        }
    }
}

/// The resource whose scopes are demanded.
pub fn of(admission: &Admission) -> Option<&Resource> {
    match admission {
        Admission::Users { resource, .. } => resource.as_deref(),
        _ => None,
    }
}

/// The resource whose metadata a path asks for.
pub fn published<'r>(rules: &'r [AccessRule], path: &str) -> Option<&'r Resource> {
    let asked = path.strip_prefix(WELL_KNOWN)?;
    rules.iter().filter_map(|rule| of(&rule.admission)).find(|resource| resource.path == asked)
}
