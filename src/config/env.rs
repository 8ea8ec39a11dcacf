//! Where secrets come from.

use std::rc::Rc;

use super::problems::At;
use super::{raw, urls};
use crate::values::secret::Secret;
use crate::values::secret_source::{SecretFile, SecretSource};

/// The variables secrets are read from.
pub trait Environment {
    /// The variable's value.
    fn get(&self, name: &str) -> Option<String>;

    /// True where a missing variable is not a problem: `envoy-sso check` runs where secrets are not.
    fn lenient(&self) -> bool {
        false
    }
}

/// The process's variables; in Envoy those of `vm_config.environment_variables`.
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The process's variables, and no complaint about those that are missing.
pub struct Placeholders;

impl Environment for Placeholders {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn lenient(&self) -> bool {
        true
    }
}

/// The secret that a field names. `None` after a problem, and for a missing variable where that is none.
pub fn secret(at: &At<'_>, raw: &raw::Secret, env: &dyn Environment) -> Option<Secret> {
    if raw.url.is_some() {
        at.field("url")
            .problem("is only for client_secret, client_assertion and the SCIM token: expected env or value");
        return None;
    }
    named(at, raw.env.as_deref(), raw.value.as_deref(), env)
}

/// The secret that a field names, which may be a file behind a URL.
pub fn source(at: &At<'_>, raw: &raw::Secret, env: &dyn Environment) -> Option<SecretSource> {
    let Some(text) = &raw.url else {
        let secret = secret(at, raw, env)?;
        // RFC 6749 section A.2, RFC 6750 section 2.1. A line break in a header fails every call that carries it.
        if !secret.expose().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            at.problem("expected printable ASCII in one line (RFC 6749 section A.2)");
            return None;
        }
        return Some(SecretSource::Fixed(secret));
    };
    if raw.env.is_some() || raw.value.is_some() {
        at.problem("expected exactly one of env, value and url");
        return None;
    }
    let url = urls::required_url(at, "url", text)?;
    Some(SecretSource::File(Rc::new(SecretFile::new(url))))
}

/// The same for a secret whose `env` and `value` stand beside other fields.
pub fn named(
    at: &At<'_>,
    variable: Option<&str>,
    value: Option<&str>,
    env: &dyn Environment,
) -> Option<Secret> {
    match (variable, value) {
        (Some(name), None) => match env.get(name).as_deref().map(str::trim) {
            Some(text) if !text.is_empty() => Some(Secret::new(text.to_owned())),
            _ if !could_be_variable(name) => {
                at.field("env").problem("is not a variable's name: expected letters, digits and '_'");
                None
            }
            _ if env.lenient() => {
                let name = shown(name);
                at.field("env").warning(format!(
                    "{name} is not set here; it must be among the VM's environment variables"
                ));
                None
            }
            _ => {
                let name = shown(name);
                at.field("env").problem(format!(
                    "{name} is not set: give it in vm_config.environment_variables (or host_env_keys)"
                ));
                None
            }
        },
        (None, Some(text)) if text.trim().is_empty() => {
            at.field("value").problem("expected a secret, found an empty string");
            None
        }
        (None, Some(text)) => Some(Secret::new(text.trim().to_owned())),
        _ => {
            at.problem("expected exactly one of env and value");
            None
        }
    }
}

/// Kubernetes allows `-` and `.` too.
fn could_be_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// The name, if it can be nothing else: an operator who wrote the secret itself there must not find it in the log.
fn shown(name: &str) -> &str {
    let any = |is: fn(&u8) -> bool| name.as_bytes().iter().any(is);
    let (upper, lower) = (any(u8::is_ascii_uppercase), any(u8::is_ascii_lowercase));
    let words = name.contains('_') || !lower && !any(u8::is_ascii_digit);
    match words && !(upper && lower) && !name.contains(['-', '.']) {
        true => name,
        false => "the variable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::Problems;

    struct One(&'static str);

    impl Environment for One {
        fn get(&self, name: &str) -> Option<String> {
            (name == "SECRET").then(|| self.0.to_owned())
        }
    }

    fn read(variable: Option<&str>, value: Option<&str>, held: &'static str) -> Option<String> {
        let problems = Problems::default();
        let secret = named(&problems.root(), variable, value, &One(held));
        assert_eq!(secret.is_none(), !problems.problems.borrow().is_empty());
        secret.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn white_space_around_a_secret_is_none_of_it() {
        for (held, read_as) in [
            ("hunter2", Some("hunter2")),
            ("hunter2\n", Some("hunter2")),
            (" hun ter2 \r\n", Some("hun ter2")),
            ("", None),
            (" \n", None),
        ] {
            assert_eq!(read(Some("SECRET"), None, held).as_deref(), read_as, "{held:?}");
            assert_eq!(read(None, Some(held), "other").as_deref(), read_as, "{held:?}");
        }
        assert_eq!(read(Some("SECRET"), Some("x"), "x"), None);
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_shown() {
        for (name, at_check) in [
            ("hunter2=", false),
            ("2hunter2", false),
            ("", false),
            ("hunter2 ", false),
            ("hunter2-swordfish", true),
            ("hunter2", true),
        ] {
            for (env, told) in
                [(&One("x") as &dyn Environment, false), (&super::super::Placeholders, at_check)]
            {
                let problems = Problems::default();
                assert!(named(&problems.root(), Some(name), None, env).is_none());
                let (found, warnings) = (problems.problems.into_inner(), problems.warnings.into_inner());
                assert_eq!((found.len(), warnings.len()), if told { (0, 1) } else { (1, 0) }, "{name}");
                assert!(found.iter().chain(&warnings).all(|p| !p.message.contains("hunter2")), "{name}");
            }
        }
        // What is set may have any name that Kubernetes allows; what can only be a name is told.
        for (name, shown) in [
            ("SSO_KEY", true),
            ("SSO_KEY_2", true),
            ("sso_key", true),
            ("TOKEN", true),
            ("acme.oidc-secret", false),
            ("JBSWY3DPEHPK3PXP", false),
            ("aB3_dE5fG7", false),
        ] {
            let problems = Problems::default();
            assert!(named(&problems.root(), Some(name), None, &One("x")).is_none());
            assert_eq!(problems.problems.into_inner()[0].message.contains(name), shown, "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_set_may_have_any_name() {
        struct Any;
        impl Environment for Any {
            fn get(&self, _: &str) -> Option<String> {
                Some("s".into())
            }
        }
        for name in ["acme.oidc-secret", "A-B", "a b"] {
            assert!(named(&Problems::default().root(), Some(name), None, &Any).is_some(), "{name}");
        }
    }
}
