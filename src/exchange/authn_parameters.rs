//! What an authorization request may ask for beyond the configuration.

use serde::{Deserialize, Serialize};

/// What an authorization request may ask for beyond the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthnParameters {
    /// `login_hint`.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// `acr_values`.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// `max_age`, seconds.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// `prompt`.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// True for a login that an unsolicited response began anew.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// It tries a draft of the account's settings.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// It runs for another origin.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// It runs at another origin, and comes back by a ticket.
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_away: bool,
}

/// The origin that a login at the login origin is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// It.
    #[serde(rename = "o")]
    pub origin: String,
    /// The handle of the cookie that waits there.
    #[serde(rename = "h")]
    pub handle: String,
}

/// A test sign-in with a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The draft's id.
    #[serde(rename = "d")]
    pub draft: String,
    /// The administrator who began it.
    #[serde(rename = "b")]
    pub by: String,
}

impl AuthnParameters {
    /// True if nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
