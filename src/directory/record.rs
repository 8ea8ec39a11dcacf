//! A user as the directory has it, and as the filter knows it.

use serde::{Deserialize, Serialize};

use crate::config::{Account, Attribute, Directory, Mapping, StaticUser};
use crate::identity::roles::{Granted, Groups};
use crate::identity::{mapping, roles, Claims, Mapped};

/// The longest name that is kept: it travels in a cookie and a header.
const MAX_NAME: usize = 128;

/// One user of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The id in a SCIM directory.
    pub id: Option<String>,
    /// `userName`; empty where the directory has none: such a record signs no user in.
    pub username: String,
    /// All addresses, the primary one first.
    pub emails: Vec<String>,
    /// All phone numbers, the primary one first.
    pub phones: Vec<String>,
    /// Display name.
    pub name: Option<String>,
    /// Roles as they are.
    pub roles: Vec<String>,
    /// Groups: they grant what `role_map` says, as an identity's groups do.
    pub groups: Vec<String>,
    /// May sign in.
    pub active: bool,
    /// The identity it is linked to, `issuer|subject`, or something foreign.
    pub external_id: Option<String>,
    /// The version (ETag) that was read, where the directory has one.
    pub version: Option<String>,
}

impl Record {
    /// Every value that the mapping could lead here by.
    pub fn values(&self, attribute: Attribute) -> &[String] {
        match attribute {
            Attribute::Email => &self.emails,
            Attribute::Phone => &self.phones,
            Attribute::Username if self.username.is_empty() => &[],
            Attribute::Username => std::slice::from_ref(&self.username),
        }
    }

    /// True where a value equals the mapped one.
    pub fn matches(&self, mapping: &Mapping, mapped: &Mapped) -> bool {
        let normalised = |own: &String| mapping::normalise_as(mapped.attribute, mapping, own);
        self.values(mapped.attribute).iter().any(|own| normalised(own).as_deref() == Some(&mapped.value))
    }

    /// The roles of the directory: its own, and what `role_map` makes of the groups.
    pub fn all_roles(&self, mapping: &Mapping) -> Vec<String> {
        roles::union(
            self.roles.iter().cloned(),
            roles::mapped(mapping, self.groups.iter().map(String::as_str)),
        )
    }
}

impl From<&StaticUser> for Record {
    fn from(user: &StaticUser) -> Self {
        Self {
            id: None,
            username: user.username.clone(),
            emails: user.email.iter().cloned().collect(),
            phones: user.phone.iter().cloned().collect(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            groups: Vec::new(),
            active: user.active,
            external_id: user.external_id.clone(),
            version: None,
        }
    }
}

/// Where a user comes from, which decides what a recheck asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserSource {
    /// A record of the directory.
    #[serde(rename = "d")]
    Directory,
    /// Created over a static directory, for as long as the session lasts.
    #[serde(rename = "s")]
    Session,
    /// There is no directory: the identity is the user.
    #[serde(rename = "i")]
    Identity,
    /// The application's own: a password login of a user whom the directory did not know or could not
    /// be asked about.
    #[serde(rename = "a")]
    Application,
}

/// A user of the application. Made only by this house, from a record or an identity that was resolved, or
/// by the session cookie that was sealed with one inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `x-sso-user`.
    #[serde(rename = "u")]
    pub username: String,
    /// `x-sso-email`.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// International where the directory has it so.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// `x-sso-name`.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The union of the directory's and the identity's, sorted.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Those of `roles` that the identity brought: a recheck keeps them beside the directory's new ones.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub claim_roles: Vec<String>,
    /// The groups that granted `claim_roles`: a changed `role_map` is applied to them.
    #[serde(rename = "g", default, skip_serializing_if = "Groups::is_empty")]
    pub groups: Groups,
    /// The id of the record, so that a name given to a new person does not open the old one's session.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// Where it comes from.
    #[serde(rename = "o")]
    pub origin: UserSource,
    #[serde(skip)]
    #[allow(dead_code)] // its type is what matters
    proof: Proof,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Proof;

impl User {
    /// The user of a record that was found, is unique and active.
    pub(crate) fn of(record: &Record, mapping: &Mapping, granted: Granted) -> Self {
        Self {
            username: record.username.clone(),
            email: record.emails.first().cloned(),
            phone: record.phones.first().cloned(),
            name: record.name.as_deref().map(short),
            roles: roles::union(record.all_roles(mapping), granted.roles.iter().cloned()),
            claim_roles: granted.roles,
            groups: granted.groups,
            directory_id: record.id.clone(),
            origin: UserSource::Directory,
            proof: Proof,
        }
    }

    /// A user that no record stands behind.
    pub(crate) fn without_record(
        username: String,
        origin: UserSource,
        roles: Vec<String>,
        granted: Granted,
    ) -> Self {
        Self {
            username,
            email: None,
            phone: None,
            name: None,
            roles: roles::union(roles, granted.roles.iter().cloned()),
            claim_roles: granted.roles,
            groups: granted.groups,
            directory_id: None,
            origin,
            proof: Proof,
        }
    }

    /// True where the user is an administrator of the account: by a role, or by name where the directory or the
    /// application vouches for the name. A name that only a provider claims makes no administrator.
    pub fn is_administrator(&self, account: &Account) -> bool {
        let is_vouched = matches!(self.origin, UserSource::Directory | UserSource::Application);
        account.is_admin(&self.roles) || is_vouched && account.is_named_admin(&self.username)
    }

    /// True where the directory has a record of the user.
    pub fn is_known(&self) -> bool {
        self.origin == UserSource::Directory
    }

    /// For the log, beside a role that is missing: a password login that went on without a record has no roles.
    pub fn without_roles_because(&self, account: &Account) -> &'static str {
        let has_directory = !matches!(account.directory, Directory::None);
        match self.origin {
            UserSource::Application if has_directory => {
                "; the directory could not be asked at the password login, or did not know the user"
            }
            _ => "",
        }
    }

    /// The user as the application alone knows it.
    pub fn without_directory(&self) -> Self {
        Self::without_record(self.username.clone(), UserSource::Application, Vec::new(), Granted::default())
    }

    /// The user with these roles of the directory's or of provisioning, and those that the identity grants.
    pub(super) fn with_roles(&self, roles: Vec<String>, granted: Granted) -> Self {
        let roles = roles::union(roles, granted.roles.iter().cloned());
        Self { roles, claim_roles: granted.roles, groups: granted.groups, ..self.clone() }
    }

    /// The same user after the identity provider was asked again (a refresh): its new groups count, those
    /// it no longer has do not. Call it before `recheck`, which adds the directory's roles again: a role
    /// that both granted is taken here for the identity's alone.
    pub fn with_claims(&self, mapping: &Mapping, claims: &Claims) -> Self {
        let fresh = roles::from_claims(mapping, claims);
        let directory = self.roles.iter().filter(|role| !self.claim_roles.contains(role)).cloned();
        let roles = roles::union(directory, fresh.roles.iter().cloned());
        Self { roles, claim_roles: fresh.roles, groups: fresh.groups, ..self.clone() }
    }

    /// What the identity's groups grant as the configuration is now. A session of an older release has no groups: of its
    /// roles those count that `role_map` grants to any.
    pub(super) fn granted(&self, mapping: &Mapping) -> Granted {
        if self.groups.is_empty() {
            let known = |role: &&String| mapping.role_map.values().any(|mapped| mapped == *role);
            let roles = self.claim_roles.iter().filter(known).cloned().collect();
            return Granted { groups: Groups::new(), roles };
        }
        Granted { roles: roles::of_groups(mapping, &self.groups), groups: self.groups.clone() }
    }
}

/// At most `MAX_NAME` bytes, on a character's boundary.
pub(super) fn short(name: &str) -> String {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}
