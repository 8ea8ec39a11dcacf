//! Everything that an account's administrators have set: one document, which the engine keeps sealed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest document of one account, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// Versions that the history keeps.
pub const MAX_VERSIONS: usize = 50;
/// Invitations that wait at the same time.
pub const MAX_INVITATIONS: usize = 500;
/// How long an invitation stands, in milliseconds.
pub const INVITATION_LIFETIME: u64 = 14 * 86_400_000;

/// The settings of one account over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Every version that was enabled, the oldest first. Without one the file's settings hold, which are version 0.
    #[serde(default, rename = "v")]
    pub versions: Vec<Version>,
    /// What is being prepared. It changes nothing.
    #[serde(default, rename = "d")]
    pub draft: Option<Draft>,
    /// Invitations that are neither taken up nor withdrawn.
    #[serde(default, rename = "i")]
    pub invitations: Vec<Invitation>,
}

/// Settings that were enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Counted from 1.
    #[serde(rename = "n")]
    pub number: u64,
    /// The administrator's username.
    #[serde(rename = "b")]
    pub by: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub at: u64,
    /// With their secrets. `None`: those of the file, whatever it says.
    #[serde(rename = "s")]
    pub settings: Option<Value>,
    /// Paths that differ from the version before.
    #[serde(default, rename = "c")]
    pub changes: Vec<String>,
    /// The test sign-ins that were made before it was enabled.
    #[serde(default, rename = "e")]
    pub tests: Vec<Test>,
    /// True where a guard against a lock-out spoke and the administrator said that it shall be so.
    #[serde(default, rename = "f", skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// Settings that are being prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Names this very draft: another one has another id.
    #[serde(rename = "i")]
    pub id: String,
    /// The administrator's username.
    #[serde(rename = "b")]
    pub by: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub at: u64,
    /// With their secrets.
    #[serde(rename = "s")]
    pub settings: Value,
    /// Test sign-ins that led to the administrator himself.
    #[serde(default, rename = "e")]
    pub tests: Vec<Test>,
}

/// A test sign-in that led to the administrator who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// The provider's id.
    #[serde(rename = "p")]
    pub provider: String,
    /// The administrator's username.
    #[serde(rename = "b")]
    pub by: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub at: u64,
    /// With these settings he was an administrator.
    #[serde(default, rename = "a")]
    pub is_administrator: bool,
}

/// A user who may come in without being in the directory yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Names it in URLs.
    #[serde(rename = "i")]
    pub id: String,
    /// As it is compared: trimmed, in lower case.
    #[serde(rename = "e")]
    pub email: String,
    /// What the user will have.
    #[serde(rename = "r")]
    pub roles: Vec<String>,
    /// The administrator's username.
    #[serde(rename = "b")]
    pub by: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub at: u64,
}

impl Invitation {
    /// True while it can be taken up.
    pub fn stands(&self, now: u64) -> bool {
        now < self.at.saturating_add(INVITATION_LIFETIME)
    }
}

impl Book {
    /// The version that holds; `None`: the file's, which is version 0.
    pub fn active(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The version of that number.
    pub fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// Enables settings as a new version. The history keeps the newest ones.
    pub fn enable(&mut self, version: Version) {
        let number = self.active().map_or(0, |version| version.number).saturating_add(1);
        self.versions.push(Version { number, ..version });
        let over = self.versions.len().saturating_sub(MAX_VERSIONS);
        self.versions.drain(..over);
    }

    /// Leaves out invitations that can no longer be accepted.
    pub fn forget_expired(&mut self, now: u64) {
        self.invitations.retain(|invitation| invitation.stands(now));
    }

    /// The document. The oldest versions give way where it would be too large; `None` if that does not help.
    pub fn write(&mut self) -> Option<Vec<u8>> {
        loop {
            let bytes = serde_json::to_vec(self).ok()?;
            if bytes.len() <= MAX_BYTES {
                return Some(bytes);
            }
            if self.versions.len() <= 1 {
                return None;
            }
            self.versions.remove(0);
        }
    }

    /// Reads a document; `None`: it is of another format.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    /// What `ETag` is made of: everything but test sign-ins, which change nothing that could be overwritten.
    pub fn content(&self) -> Vec<u8> {
        let mut book = self.clone();
        if let Some(draft) = &mut book.draft {
            draft.tests.clear();
        }
        serde_json::to_vec(&book).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(settings: Value) -> Version {
        Version {
            number: 0,
            by: "ada".into(),
            at: 1,
            settings: Some(settings),
            changes: Vec::new(),
            tests: Vec::new(),
            forced: false,
        }
    }

    #[test]
    fn versions_are_counted_and_the_newest_are_kept() {
        let mut book = Book::default();
        assert!(book.active().is_none());
        for n in 0..60 {
            book.enable(version(json!({ "n": n })));
        }
        assert_eq!(book.active().map(|version| version.number), Some(60));
        assert_eq!(book.versions.len(), MAX_VERSIONS);
        assert!(book.version(10).is_none() && book.version(11).is_some());
        let bytes = book.write().unwrap();
        assert_eq!(Book::read(&bytes), Some(book));
        assert_eq!(Book::read(b"[]"), None);
    }

    #[test]
    fn old_versions_give_way_to_the_limit_and_the_active_one_never_does() {
        let large = || version(json!({ "text": "x".repeat(100 << 10) }));
        let mut book = Book::default();
        for _ in 0..3 {
            book.enable(large());
        }
        assert!(book.write().is_some_and(|bytes| bytes.len() <= MAX_BYTES));
        assert_eq!(book.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 3]);
        let mut book = Book::default();
        book.enable(version(json!({ "text": "x".repeat(300 << 10) })));
        assert!(book.write().is_none());
    }

    #[test]
    fn a_test_sign_in_is_no_change() {
        let mut book = Book::default();
        let draft = Draft { id: "1".into(), by: "ada".into(), at: 1, settings: json!({}), tests: Vec::new() };
        book.draft = Some(draft.clone());
        let before = book.content();
        let test = Test { provider: "corp".into(), by: "ada".into(), at: 2, is_administrator: true };
        book.draft = Some(Draft { tests: vec![test], ..draft.clone() });
        assert_eq!(book.content(), before);
        book.draft = Some(Draft { at: 2, ..draft });
        assert_ne!(book.content(), before);
    }

    #[test]
    fn an_invitation_stands_for_fourteen_days() {
        let invitation = Invitation {
            id: "1".into(),
            email: "a@b.c".into(),
            roles: Vec::new(),
            by: "ada".into(),
            at: 1_000,
        };
        assert!(invitation.stands(1_000 + INVITATION_LIFETIME - 1));
        assert!(!invitation.stands(1_000 + INVITATION_LIFETIME));
        let mut book = Book { invitations: vec![invitation], ..Book::default() };
        book.forget_expired(1_000 + INVITATION_LIFETIME);
        assert!(book.invitations.is_empty());
    }
}
