//! What keeps administrators from locking themselves out: settings are enabled by an administrator who came in by them,
//! and was an administrator then, or who confirms that no administrator will be able to.

use super::book::Test;
use crate::config::{Account, PasswordMode};

/// Who asks, and how they came in.
#[derive(Clone, Copy, Debug)]
pub struct Keyboard<'a> {
    /// The administrator's username.
    pub user: &'a str,
    /// The session was opened with a password.
    pub by_password: bool,
}

/// Why settings should not be enabled yet, if so: a provider that this administrator has not signed in with, or no way in
/// that would be left has led to an administrator.
pub fn against(now: &Account, next: &Account, tests: &[Test], keyboard: Keyboard<'_>) -> Option<String> {
    if !next.enabled {
        // The application is as it was without the filter.
        return None;
    }
    let own = |id: &str| tests.iter().find(|test| test.provider == id && test.by == keyboard.user);
    if let Some(untested) = next.providers.iter().find(|provider| own(&provider.id).is_none()) {
        return Some(format!("{} has not signed in with {:?} of these settings", keyboard.user, untested.id));
    }
    let by_provider =
        next.providers.iter().filter_map(|provider| own(&provider.id)).any(|test| test.is_administrator);
    // A role that the directory gives has shown at the test: what is left to a password is the name.
    let by_password = keyboard.by_password
        && next.password.mode != PasswordMode::Disabled
        && next.is_named_admin(keyboard.user);
    if by_provider || by_password {
        return None;
    }
    Some(match openness(next) < openness(now) {
        true => "no administrator has signed in by what would be left".to_owned(),
        false => {
            format!("{} has signed in with these settings, and would be no administrator", keyboard.user)
        }
    })
}

/// How many ways in there are by password: more is more open.
fn openness(account: &Account) -> u8 {
    match (account.enabled, account.password.mode) {
        (false, _) => 3,
        (true, PasswordMode::Enabled) => 2,
        (true, PasswordMode::Admins) => 1,
        (true, PasswordMode::Disabled) => 0,
    }
}

/// True where the next settings let more people in by password than those that hold: going back is never guarded.
pub fn opens_passwords(now: &Account, next: &Account) -> bool {
    openness(next) > openness(now)
}
