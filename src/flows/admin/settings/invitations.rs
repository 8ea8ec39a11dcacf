//! Who may come in without being in the directory yet: invited by address, with roles.

use serde_json::{Map, Value};

use super::{invalid, shown, Desk, Refusal};
use crate::config::SettingsPart;
use crate::fault::{Code, Fault};
use crate::host::random_token;
use crate::host::task::Io;
use crate::http::response::Response;
use crate::settings::book::MAX_INVITATIONS;
use crate::settings::{proposal, Invitation};
use crate::values::email;

impl Desk {
    /// Invites an address. The administrator gives no role that he could not give otherwise.
    pub(super) async fn invite(&self, io: &Io, body: &Map<String, Value>) -> Result<Response, Refusal> {
        if !self.allowed.allows(SettingsPart::Invitations) {
            return Err(invalid("", "administrators of this account do not invite"));
        }
        let sent = body.get("email").and_then(Value::as_str);
        let address = sent.and_then(email::normalise).filter(|address| address.len() <= 254);
        let address =
            address.ok_or_else(|| invalid("email", "expected an email address such as bob@acme.com"))?;
        let roles = self.roles(body)?;
        let of_the_file = self.account_state.account.provisioning.invitations.iter();
        let is_invited = |one: &str| email::normalise(one).as_deref() == Some(address.as_str());
        if of_the_file.filter(|one| one.id.is_none()).any(|one| is_invited(&one.email)) {
            return Err(invalid("email", "is invited already"));
        }
        let invitation = Invitation {
            id: random_token::<12>(io.host())?,
            email: address.clone(),
            roles,
            by: self.user().to_owned(),
            at: io.now(),
        };
        let mut twice = false;
        let done = self
            .change(io, |book| {
                twice = book.invitations.iter().any(|one| one.email == address);
                if twice || book.invitations.len() >= MAX_INVITATIONS {
                    return Err(Fault::new(Code::SettingsInvalid, "is invited already"));
                }
                book.invitations.push(invitation.clone());
                Ok(())
            })
            .await;
        match done {
            Ok(_) => {
                self.audit(io, "invited", &invitation.id);
                Ok(Response::json(201, &shown::invitation(&invitation)))
            }
            Err(fault) if fault.code == Code::SettingsInvalid => match twice {
                true => Err(invalid("email", "is invited already")),
                false => Err(invalid(
                    "email",
                    format!("more than {MAX_INVITATIONS} invitations wait: withdraw some"),
                )),
            },
            Err(fault) => Err(fault.into()),
        }
    }

    /// Takes an invitation back; also when it is gone already.
    pub(super) async fn withdraw(&self, io: &Io, id: &str) -> Result<Response, Refusal> {
        if self.book()?.invitations.iter().any(|one| one.id == id) {
            self.change(io, |book| {
                book.invitations.retain(|one| one.id != id);
                Ok(())
            })
            .await?;
            self.audit(io, "invitation withdrawn", id);
        }
        Ok(Response::new(204, ""))
    }

    fn roles(&self, body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
        let Some(sent) = body.get("roles") else { return Ok(Vec::new()) };
        let texts = sent.as_array().map(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let Some(Some(texts)) = texts else { return Err(invalid("roles", "expected a list of roles")) };
        for (i, role) in texts.iter().enumerate() {
            if role.is_empty() || !proposal::may_grant(role, &self.live.session.user.roles, &self.allowed) {
                let why = format!("you cannot grant the role {role:?}: you do not have it yourself");
                return Err(invalid(&format!("roles[{i}]"), why));
            }
        }
        Ok(texts.into_iter().map(str::to_owned).collect())
    }
}
