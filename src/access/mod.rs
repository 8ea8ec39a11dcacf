//! Which surface a path belongs to: what the rules on paths demand of a request.
//!
//! The first rule that matches counts; without one a path is for `users`. Only a path in its plain form opens `anyone`,
//! `optional` or `programs`. A path that an application could read in another way is judged by every rule with demands that
//! some reading falls under.
//!
//! Reading a path: `http::path`. What a session has to show, and the refusal: `exchange::demands`. Conditions (`when`) are
//! judged when a session is opened or renewed, and kept as verdicts: requests look verdicts up and read no claim.

pub mod condition;
pub mod resource;
#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use condition::{Condition, Verdict, When};
pub use resource::Resource;

use crate::http::path::{decoded, hides, loosest, names, reads_one_way, shortest};
use crate::http::Path;

/// One rule of `access`.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Which paths.
    pub matches: Match,
    /// Which methods (none: all).
    pub methods: Vec<String>,
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
    /// By a session or bearer token where there is one, else not at all.
    Optional,
    /// By a session or bearer token with one of these roles (none: any).
    Users {
        /// One of them is needed.
        roles: Vec<String>,
        /// `acr` must be one of them (none: any).
        acr_values: Vec<String>,
        /// Milliseconds since the person authenticated at the IdP.
        max_age: Option<u64>,
        /// A bearer token needs the scopes of this resource.
        resource: Option<Rc<Resource>>,
        /// Conditions that must all hold.
        when: Option<When>,
    },
    /// By the application's own credentials, left alone.
    Programs,
}

impl Admission {
    /// True where it demands more than a session.
    #[inline]
    pub fn is_demanding(&self) -> bool {
        matches!(self, Admission::Users { roles, acr_values, max_age, resource, when }
            if !roles.is_empty() || !acr_values.is_empty() || max_age.is_some() || resource.is_some() || when.is_some())
    }
}

impl AccessRule {
    /// True if requests with this method are judged by this rule. One with demands judges all of its paths, and
    /// answers methods that it does not list.
    #[inline]
    fn is_for(&self, method: &[u8]) -> bool {
        self.methods.is_empty() || self.admission.is_demanding() || self.takes(method)
    }

    /// True if the rule lists this method. Methods are case-sensitive (RFC 9110 section 9.1), but some applications
    /// read `post` as POST: the case never takes a request out of a `users` rule.
    #[inline]
    fn takes(&self, method: &[u8]) -> bool {
        let loosely = matches!(self.admission, Admission::Users { .. });
        self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|own| own.as_bytes() == method || loosely && own.as_bytes().eq_ignore_ascii_case(method))
    }
}

impl Match {
    #[inline]
    fn exactly(&self, path: &str) -> bool {
        match self {
            Match::Path(own) => path == own,
            Match::Prefix(own) => path.starts_with(own.as_str()),
        }
    }

    #[inline]
    fn written(&self) -> &str {
        let (Match::Path(own) | Match::Prefix(own)) = self;
        own
    }

    /// Whether the path with a slash more at its end, or one less, falls under this rule.
    #[inline]
    fn by_a_slash(&self, path: &str) -> bool {
        if let Some(shorter) = path.strip_suffix('/') {
            return !shorter.is_empty() && self.exactly(shorter);
        }
        let longer = self.written().strip_suffix('/') == Some(path);
        longer || matches!(self, Match::Prefix(_)) && self.exactly(path)
    }

    #[inline]
    fn has_capitals(&self) -> bool {
        self.written().bytes().any(|byte| byte.is_ascii_uppercase())
    }

    /// Whether the loosest reading of a path falls under this rule.
    fn loosely(&self, loose: &str) -> bool {
        let own = loosest(self.written().as_bytes());
        match self {
            Match::Path(_) => loose == own,
            // A prefix that ends within a segment matches within a segment.
            Match::Prefix(written) if !written.ends_with('/') => loose.starts_with(&own),
            Match::Prefix(_) => {
                loose == own || loose.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }

    /// Whether some reading of a path with these names falls under this rule: applications take names away
    /// and never add one, so its own must be among them, in order.
    fn possibly(&self, held: &[String]) -> bool {
        let written = self.written();
        let within = matches!(self, Match::Prefix(_)) && !written.ends_with('/');
        let own = names(&decoded(written.as_bytes()));
        let mut held = held.iter();
        own.iter().enumerate().all(|(n, wanted)| match within && n + 1 == own.len() {
            true => held.any(|name| name.starts_with(wanted.as_str())),
            false => held.any(|name| name == wanted),
        })
    }
}

/// What the rules demand of a request for this path.
#[derive(Debug, PartialEq, Eq)]
pub enum Demand<'r> {
    /// Nothing.
    Anyone,
    /// Nothing; a session or bearer token counts where there is one.
    Optional,
    /// The application's own credentials, left alone.
    Programs,
    /// A session or bearer token that satisfies every one of these rules (none: any session).
    Users(Vec<&'r Admission>),
    /// One of these methods: a rule with demands does not take this one.
    OtherMethod(&'r [String]),
}

impl<'r> Demand<'r> {
    /// The protected resource that the path belongs to.
    pub fn resource(&self) -> Option<&'r Resource> {
        let Demand::Users(demands) = self else { return None };
        demands.iter().find_map(|admission| resource::of(admission))
    }
}

/// Rules on path and method: the first match counts, without one it is users. `/admin` is `/admin/` to most
/// applications: unless a rule names the path itself, what is demanded of the one is demanded of the other. A path
/// that is not in its plain form, or that differs from its loosest reading, is also judged by every rule with
/// demands of its own that this reading falls under; an ambiguous one from which an application may take segments,
/// by every such rule whose names it holds. What is open stays so unless such a rule is the first for that reading.
/// A rule with capitals is meant in any case. A path that is too long to be looked at is judged by every rule with
/// demands.
#[inline]
pub fn demand<'r>(all: &'r [AccessRule], path: &Path<'_>, raw: &[u8], method: &'r [u8]) -> Demand<'r> {
    if path.is_too_long() {
        return of_users(all.iter().filter(|rule| rule.admission.is_demanding()), method);
    }
    let rules = || all.iter().filter(|rule| rule.is_for(method));
    let first = rules().find(|rule| rule.matches.exactly(path.canonical()));
    let named = first.is_some_and(|rule| rule.matches.written() == path.canonical());
    let twin = rules().find(|rule| rule.matches.by_a_slash(path.canonical()));
    let twin = twin.filter(|rule| !named && matches!(rule.admission, Admission::Users { .. }));
    let open = match first.map(|rule| &rule.admission) {
        _ if path.is_ambiguous() || twin.is_some() => None,
        Some(Admission::Anyone) => Some(Demand::Anyone),
        Some(Admission::Optional) => Some(Demand::Optional),
        Some(Admission::Programs) => Some(Demand::Programs),
        _ => None,
    };
    // Mutant `replace == with !=`: the path is looked at again, which finds nothing: what reads one way is canonical.
    let one_way = || path.canonical().as_bytes() == raw && reads_one_way(raw);
    let mut demanding = all.iter().filter(|rule| rule.admission.is_demanding()).peekable();
    // The path is looked at again only where a rule could care.
    // Mutants `replace && with ||`, `replace match guard other_readings with true`: it is looked at again for nothing.
    let other_readings =
        demanding.peek().is_some() && (!one_way() || demanding.any(|rule| rule.matches.has_capitals()));
    let judges = match &open {
        Some(_) if named => Vec::new(),
        Some(_) if other_readings => first_of_other_readings(rules, raw),
        None if other_readings => all_of_other_readings(all, path, raw),
        _ => Vec::new(),
    };
    match open {
        Some(open) if judges.is_empty() => open,
        Some(_) => of_users(judges.into_iter(), method),
        None => of_users(first.into_iter().chain(twin).chain(judges), method),
    }
}

/// The demands of these rules, each once.
#[inline]
fn of_users<'r>(judges: impl Iterator<Item = &'r AccessRule>, method: &[u8]) -> Demand<'r> {
    let mut demands: Vec<&Admission> = Vec::new();
    for rule in judges.filter(|rule| matches!(rule.admission, Admission::Users { .. })) {
        if !rule.takes(method) {
            return Demand::OtherMethod(&rule.methods);
        }
        if !demands.contains(&&rule.admission) {
            demands.push(&rule.admission);
        }
    }
    Demand::Users(demands)
}

/// The rules with demands that come first for what else an application might make of an open path.
fn first_of_other_readings<'r, I>(rules: impl Fn() -> I, raw: &[u8]) -> Vec<&'r AccessRule>
where
    I: Iterator<Item = &'r AccessRule>,
{
    let first = |loose: &String| rules().find(|rule| rule.matches.loosely(loose));
    let readings = [loosest(raw), shortest(raw)];
    readings.iter().filter_map(first).filter(|rule| rule.admission.is_demanding()).collect()
}

/// All rules with demands under which what else an application might make of a path falls.
fn all_of_other_readings<'r>(rules: &'r [AccessRule], path: &Path<'_>, raw: &[u8]) -> Vec<&'r AccessRule> {
    let readings = [loosest(raw), shortest(raw)];
    let plain = path.canonical().trim_end_matches('/');
    let strange = path.is_ambiguous() || readings.iter().any(|loose| loose != plain);
    let text = decoded(raw);
    let names = (path.is_ambiguous() && hides(&text)).then(|| names(&text));
    let meant = |rule: &&AccessRule| {
        let loosely = strange || rule.matches.has_capitals();
        loosely && readings.iter().any(|loose| rule.matches.loosely(loose))
            || names.as_ref().is_some_and(|names| rule.matches.possibly(names))
    };
    rules.iter().filter(|rule| rule.admission.is_demanding()).filter(meant).collect()
}
