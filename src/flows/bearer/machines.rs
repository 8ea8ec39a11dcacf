//! Tokens of issuers for programs alone: the configuration names the user behind each program.

use super::Holder;
use crate::config::{Account, Directory};
use crate::directory::{self, User, UserSource};
use crate::fault::{Code, Fault};
use crate::host::task::Io;
use crate::identity::roles::Granted;
use crate::state::AccountState;
use crate::values::secret::Secret;

/// The program behind a token of a machine issuer. `None`: its issuer is none of them.
pub async fn verified(
    io: &Io,
    account_state: &AccountState,
    iss: &str,
    token: &Secret,
) -> Option<Result<Holder, Fault>> {
    let issuer = account_state.machines.iter().find(|own| own.machine.issuer == iss)?;
    let found = async {
        let token = issuer.verify(io, token.expose()).await?;
        let user = user(io, account_state, &token.user).await?;
        Ok(Holder {
            provider: issuer.machine.id.clone(),
            client: None,
            domain: None,
            issuer: issuer.machine.issuer.clone(),
            subject: token.subject,
            user,
            claims: token.all,
            auth_time: None,
            acr: None,
            issued: Some(token.issued),
            expires: token.expires,
        })
    };
    Some(found.await)
}

/// The user as the directory has it; without a directory it has no roles.
async fn user(io: &Io, account_state: &AccountState, username: &str) -> Result<User, Fault> {
    let account: &Account = &account_state.account;
    if matches!(account.directory, Directory::None) {
        return Ok(User::without_record(
            username.to_owned(),
            UserSource::Identity,
            Vec::new(),
            Granted::default(),
        ));
    }
    // The operator wrote the name: it is compared exactly.
    let mut found = directory::like_username(io, account, &account_state.directory, username).await?;
    found.retain(|record| record.username == username);
    let found = found.pop().filter(|_| found.is_empty());
    let detail = || format!("machines: the directory has no user {username:?}");
    let record = found.ok_or_else(|| Fault::new(Code::IdentityUnknown, detail()))?;
    if !record.active {
        return Err(Fault::new(Code::UserInactive, format!("machines: {username:?} is inactive")));
    }
    Ok(User::of(&record, &account.mapping, Granted::default()))
}
