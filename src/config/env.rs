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
        (Some(name), None) => match env.get(name) {
            Some(text) if !text.is_empty() => Some(Secret::new(text)),
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
        (None, Some("")) => {
            at.field("value").problem("expected a secret, found an empty string");
            None
        }
        (None, Some(text)) => Some(Secret::new(text.to_owned())),
        _ => {
            at.problem("expected exactly one of env and value");
            None
        }
    }
}
