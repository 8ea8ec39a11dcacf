//! What happens if no user matches: invited people and automatic accounts, each created once.

use super::scim::create::{self, Created};
use super::{invitations, lookup, matching, seen, unavailable, Cache, User, UserSource};
use crate::config::{Account, Attribute, Directory, ProvisioningMode, Scim};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::host::Host;
use crate::identity::mapping::{self, Verification};
use crate::identity::{mapped_value, roles, usable_email, Identity, Mapped};
use crate::values::email;

/// What a user that is to be created begins with.
pub(super) struct NewUser {
    /// The normalised address that was invited, or whose domain is let in.
    pub email: String,
    /// The roles of the invitation, or of every such user.
    pub roles: Vec<String>,
}

/// The invitation of this user. The provider must be one that may speak for the address,
/// or any user who types it in there could accept.
pub(super) fn invitation(
    host: &dyn Host,
    account: &Account,
    identity: &Identity,
    mapped: &Mapped,
) -> Result<NewUser, Fault> {
    let address = usable_email(&account.mapping, identity)
        .ok_or_else(|| matching::unknown(account, mapped, "and there is no email to be invited by"))?;
    let Some(roles) = invited(account, &address) else {
        return Err(matching::unknown(account, mapped, "and is not invited"));
    };
    if invitations::is_taken(host, account, &address, roles) {
        return Err(matching::unknown(account, mapped, "and the invitation was taken up before"));
    }
    if !speaks_for_addresses(account, identity) {
        let why = "and is invited, but the provider does not say that the address is verified (email_verified), and is not \
                   confined to its domain";
        return Err(matching::unknown(account, mapped, why));
    }
    Ok(NewUser { email: address, roles: roles.to_vec() })
}

/// Notes that a user who is in the directory has signed in: an invitation of theirs is used up.
pub(super) fn use_up_invitation(host: &dyn Host, account: &Account, identity: &Identity) {
    if account.provisioning.mode == ProvisioningMode::Invited && !account.is_draft {
        let address = usable_email(&account.mapping, identity);
        if let Some((address, roles)) = address.as_ref().and_then(|own| Some((own, invited(account, own)?))) {
            invitations::take(host, account, address, roles);
        }
    }
}

/// True if the provider may speak for the identity's address: it says that it is verified, it is confined to the address's
/// domain, or it says nothing and is the account's only provider.
fn speaks_for_addresses(account: &Account, identity: &Identity) -> bool {
    match mapping::verification(&account.mapping, identity) {
        Verification::Verified => true,
        Verification::Refused => false,
        // That the domain is one of its own was checked before.
        Verification::Absent => {
            account.providers.len() <= 1
                || account.provider(&identity.provider).is_some_and(|provider| provider.confined)
        }
    }
}

/// The address and roles of an automatic account, where its domain is let in.
pub(super) fn automatic(account: &Account, identity: &Identity, mapped: &Mapped) -> Result<NewUser, Fault> {
    let address = usable_email(&account.mapping, identity)
        .ok_or_else(|| matching::unknown(account, mapped, "and there is no email to create an account by"))?;
    match let_in(account, &address) {
        Some(roles) => Ok(NewUser { roles: roles.to_vec(), email: address }),
        None => {
            let why = "and the email's domain is not one of provisioning.email_domains";
            Err(matching::unknown(account, mapped, why))
        }
    }
}

/// The roles of the user who is invited by this normalised address.
pub(super) fn invited<'a>(account: &'a Account, address: &str) -> Option<&'a [String]> {
    let mut invitations = account.provisioning.invitations.iter();
    let invited = invitations.find(|one| email::normalise(&one.email).as_deref() == Some(address))?;
    Some(&invited.roles)
}

/// The roles of a user with this normalised address, where its domain is let in.
pub(super) fn let_in<'a>(account: &'a Account, address: &str) -> Option<&'a [String]> {
    let rules = &account.provisioning;
    let domain = email::domain(address);
    let open = rules.email_domains.iter().any(|allowed| allowed == "*" || allowed == domain);
    open.then_some(&rules.roles)
}

/// Creates the user of an invitation that was accepted. Everything is asked again: the invitation may be
/// gone, or the user there already.
pub async fn accept_invitation(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
) -> Result<User, Fault> {
    matching::allowed(account, identity)?;
    let mapped = mapped_value(&account.mapping, identity);
    if matches!(account.directory, Directory::None) || account.provisioning.mode != ProvisioningMode::Invited
    {
        return Err(matching::unknown(account, &mapped?, "the account invites no users"));
    }
    if let Some(user) = matching::existing(io, account, cache, identity, &mapped).await? {
        use_up_invitation(io.host(), account, identity);
        return Ok(user);
    }
    let mapped = mapped?;
    let new = invitation(io.host(), account, identity, &mapped)?;
    let user = create(io, account, cache, identity, &mapped, new).await?;
    use_up_invitation(io.host(), account, identity);
    Ok(user)
}

/// Creates the user: in a SCIM directory once and for all, over a static list for one session.
pub(super) async fn create(
    io: &Io,
    account: &Account,
    cache: &Cache,
    identity: &Identity,
    mapped: &Mapped,
    new: NewUser,
) -> Result<User, Fault> {
    let username = match mapped.attribute {
        Attribute::Username => mapped.value.clone(),
        Attribute::Email | Attribute::Phone => new.email.clone(),
    };
    let Directory::Scim(server) = &account.directory else {
        free(io, account, cache, &username).await?;
        let granted = roles::from_claims(&account.mapping, &identity.claims);
        let mut user = User::without_record(username, UserSource::Session, new.roles, granted);
        user.email = Some(new.email);
        user.phone = (mapped.attribute == Attribute::Phone).then(|| mapped.value.clone());
        user.name = matching::name(identity);
        seen::mark(io.host(), account, &user.username, &user.claim_roles);
        return Ok(user);
    };
    let found = Ok(mapped.clone());
    let creation = Creation { account, server, identity, mapped, username: &username, new: &new };
    let lock = Lock::key(&account.code, &mapped.value);
    let lease = 4 * server.timeout + 1_000;
    let patience = io.now().saturating_add(lease);
    for _ in 0..LOOKS {
        if let Some(held) = Lock::take(io.host(), &lock, lease) {
            // Between the lookup that found no user and the lock, the login that held it may have created.
            let result = match matching::existing(io, account, cache, identity, &found).await {
                Ok(None) => creation.post(io, cache).await,
                Ok(Some(user)) => Ok(user),
                Err(fault) => Err(fault),
            };
            held.release(io.host());
            return result;
        }
        // Another login is creating this user: a lookup is as long a wait as it takes.
        if let Some(user) = matching::existing(io, account, cache, identity, &found).await? {
            return Ok(user);
        }
        if io.now() >= patience {
            break;
        }
    }
    Err(unavailable(format!("another login is creating {username:?} and does not finish")))
}

/// One user that a SCIM server is to create.
struct Creation<'a> {
    account: &'a Account,
    server: &'a Scim,
    identity: &'a Identity,
    mapped: &'a Mapped,
    username: &'a str,
    new: &'a NewUser,
}

impl Creation<'_> {
    /// Creates the user and reads what came of it.
    async fn post(&self, io: &Io, cache: &Cache) -> Result<User, Fault> {
        let Self { account, server, identity, mapped, username, new } = *self;
        free(io, account, cache, username).await?;
        let record = create::New {
            username,
            address: &new.email,
            mapped,
            name: matching::name(identity),
            roles: &new.roles,
            link: identity.link(),
        };
        let refused = match create::post(io, server, &record).await? {
            Created::Record(record) if record.matches(&account.mapping, mapped) => {
                matching::check(account, cache.issuers(), identity, &record)?;
                return Ok(matching::signed_in(io, account, identity, &record));
            }
            // Another replica was faster (409), or the answer does not show whom it made.
            Created::Record(_) | Created::Elsewhere => String::new(),
            Created::Refused(status) => format!(": it answers the creation with status {status}"),
        };
        cache.forget(account, username);
        matching::existing(io, account, cache, identity, &Ok(mapped.clone())).await?.ok_or_else(|| {
            unavailable(format!(
                "the user {username:?} was created, or was there, but cannot be found{refused}"
            ))
        })
    }
}

/// Refuses to make a second user of a name: the one who has it would be taken for the new one.
async fn free(io: &Io, account: &Account, cache: &Cache, username: &str) -> Result<(), Fault> {
    match lookup::like_username(io, account, cache, username).await?.first() {
        None => Ok(()),
        Some(taken) => {
            let detail = format!(
                "{username:?} cannot be created: {:?} has the name, and the mapping does not lead there",
                taken.username
            );
            Err(Fault::new(Code::IdentityConflict, detail))
        }
    }
}

/// How often at the most a login looks whether another one has created the user, for as long as a creation may
/// take. It never creates beside the other, since not every directory refuses a second user of a name.
const LOOKS: usize = 5_000;
/// How many users can be in the making at once; two of one bucket wait for each other.
const BUCKETS: u64 = 256;

/// One login of the process creates a user at a time. Directories that enforce unique names would refuse
/// the second anyway (409); this is for those that do not. Other machines are not held up by it.
struct Lock {
    key: String,
    until: [u8; 8],
}

impl Lock {
    fn key(code: &str, value: &str) -> String {
        format!("sso.creating.{}", seen::hash(&[code, value]) % BUCKETS)
    }

    fn take(host: &dyn Host, key: &str, milliseconds: u64) -> Option<Self> {
        let (value, cas) = host.shared_get(key);
        let now = host.now();
        let held = value.and_then(|v| v.try_into().ok()).map_or(0, u64::from_be_bytes);
        // A holder that died, or a clock that was wrong, holds no longer than a minute or so.
        if held > now && held - now <= 300_000 {
            return None;
        }
        let until = (now + milliseconds).to_be_bytes();
        host.shared_set(key, &until, cas).then(|| Self { key: key.to_owned(), until })
    }

    fn release(self, host: &dyn Host) {
        let (value, cas) = host.shared_get(&self.key);
        if value.as_deref() == Some(&self.until) {
            host.shared_set(&self.key, &0u64.to_be_bytes(), cas);
        }
    }
}
