//! What may stand beside the username in a login: no other field by which an application could choose the account,
//! no second password, and with `fields` nothing that it does not list.

use super::names;
use crate::config::{PasswordLogin, UsernameField};

/// The rule, and the password fields seen so far.
pub struct Beside<'a> {
    /// The username's field as a path of names.
    wanted: Vec<String>,
    listed: Option<&'a [String]>,
    passwords: Vec<String>,
    names: usize,
    bytes: usize,
}

/// The most names in one body: reading each costs time, and a login has a few.
const MAX_NAMES: usize = 1_000;

/// The most bytes of all names of one body: each is read letter by letter, as lenient parsers do.
pub const MAX_NAME_BYTES: usize = 16 * 1024;

/// The names of the username's field.
pub fn wanted(login: &PasswordLogin) -> Vec<String> {
    match &login.username {
        UsernameField::Json(pointer) => {
            names::segments(pointer).iter().flat_map(|segment| names::path(segment)).collect()
        }
        UsernameField::Form(field) => names::path(field),
    }
}

impl<'a> Beside<'a> {
    /// For one reading of a request to this login.
    pub fn new(login: &'a PasswordLogin) -> Self {
        Self {
            wanted: wanted(login),
            listed: login.fields.as_deref(),
            passwords: Vec::new(),
            names: 0,
            bytes: 0,
        }
    }

    /// Admits a top-level name. `Ok(true)`: the operator listed it, with everything in it.
    pub fn top_level(&mut self, name: &str) -> Result<bool, String> {
        let path = self.read(name)?;
        self.password(&path)?;
        let Some(listed) = self.listed else { return self.unlisted(name, &path).map(|()| false) };
        if listed.iter().any(|own| own == name) {
            return Ok(names::chooses(&path));
        }
        let base = name.split('[').next().unwrap_or_default();
        if !listed.iter().any(|own| own == base) {
            return Err(format!("a field that fields does not list: {}", clipped(name)));
        }
        self.unlisted(name, &path).map(|()| false)
    }

    /// Admits a name further down, which `fields` cannot list.
    pub fn nested(&mut self, name: &str) -> Result<(), String> {
        let path = self.read(name)?;
        self.password(&path)?;
        self.unlisted(name, &path)
    }

    fn unlisted(&self, name: &str, path: &[String]) -> Result<(), String> {
        // `user[password]` is no other field than `user[name]` is in.
        let containers = self.wanted.len().saturating_sub(1);
        let shared = path.iter().zip(self.wanted.iter().take(containers)).take_while(|(a, b)| a == b).count();
        if names::chooses(path.get(shared..).unwrap_or_default()) {
            return Err(format!(
                "a field by which an application could choose the account: {}; if the login has it, list it in fields",
                clipped(name)
            ));
        }
        Ok(())
    }

    fn read(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.names += 1;
        self.bytes = self.bytes.saturating_add(name.len());
        if self.names > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} fields"));
        }
        if self.bytes > MAX_NAME_BYTES {
            return Err(format!("names of more than {MAX_NAME_BYTES} bytes"));
        }
        Ok(names::path(name))
    }

    fn password(&mut self, path: &[String]) -> Result<(), String> {
        let Some(name) = names::password(path) else { return Ok(()) };
        if self.passwords.contains(&name) {
            return Err("the password field twice".into());
        }
        self.passwords.push(name);
        Ok(())
    }
}

/// A name for the log.
pub fn clipped(name: &str) -> String {
    format!("{:?}", name.chars().take(80).collect::<String>())
}
