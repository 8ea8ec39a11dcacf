//! An invited person's way in: they accept or decline before a user is made of them.

use crate::answer::Answer;
use crate::fault::{Code, Fault};
use crate::gate::Asked;
use crate::identity::Identity;
use crate::login::flow::Flow;
use crate::session::Tokens;
use crate::task::Ask;
use crate::world::Site;

/// stub
#[allow(clippy::too_many_arguments)]
pub fn offer(_ask: &Ask, _asked: &Asked, _site: &Site, _flow: &Flow, _identity: &Identity, _tokens: Tokens, email: &str, _roles: &[String]) -> Result<Answer, Fault> {
    Err(Fault::new(Code::IdentityUnknown, format!("{email} is invited")))
}
