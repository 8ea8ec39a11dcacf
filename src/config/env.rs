//! Where secrets come from.

use super::problems::At;
use super::raw;
use crate::secret::Secret;

/// The variables secrets are read from.
pub trait Environment {
    /// The variable's value.
    fn get(&self, name: &str) -> Option<String>;

    /// True where a missing variable is no problem: `envoy-sso check` runs where secrets are not.
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
    named(at, raw.env.as_deref(), raw.value.as_deref(), env)
}

/// The same for a secret whose `env` and `value` stand beside other fields.
pub fn named(
    at: &At<'_>,
    variable: Option<&str>,
    value: Option<&str>,
    env: &dyn Environment,
) -> Option<Secret> {
    match (variable, value) {
        // Whoever writes the secret itself there does not want to read it in the log.
        (Some(name), None) if !is_variable(name) => {
            at.field("env").problem("expected a variable's name: letters, digits and '_'");
            None
        }
        (Some(name), None) => match env.get(name).as_deref().map(str::trim) {
            Some(text) if !text.is_empty() => Some(Secret::new(text.to_owned())),
            _ if env.lenient() => {
                at.field("env").warning(format!(
                    "{name} is not set here; it must be among the VM's environment variables"
                ));
                None
            }
            _ => {
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

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
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
        for name in ["hunter2=", "hunter2-swordfish", "2hunter2", "", "hunter2 "] {
            let problems = Problems::default();
            for env in [&One("x") as &dyn Environment, &super::super::Placeholders] {
                assert!(named(&problems.root(), Some(name), None, env).is_none());
            }
            let found = problems.problems.into_inner();
            assert_eq!(found.len(), 2, "{name}");
            assert!(found.iter().all(|p| !p.message.contains("hunter2")), "{found:?}");
            assert!(problems.warnings.into_inner().is_empty());
        }
    }
}
