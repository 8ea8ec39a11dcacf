//! Our SAML metadata (SAML metadata section 2.4.4): what an operator of the IdP imports instead of typing.

use super::Own;
use crate::exchange::Asked;
use crate::fault::{Code, Fault};
use crate::http::response::Answer;
use crate::proto::saml::idp::single_logout;
use crate::proto::saml::metadata::Ours;

/// The document for the account's SAML provider; `idp` says which one where there are several.
pub fn show(asked: &Asked) -> Answer {
    document(asked).unwrap_or_else(|fault| asked.refuse(&fault))
}

fn document(asked: &Asked) -> Result<Answer, Fault> {
    let (site, origin) = asked.site_and_origin()?;
    let wanted = asked.head.param("idp");
    // In the order of the configuration.
    let idp = site
        .account
        .providers
        .iter()
        .filter(|provider| wanted.as_ref().is_none_or(|wanted| provider.id == *wanted))
        .find_map(|provider| site.idps.get(&provider.id))
        .ok_or_else(|| Fault::new(Code::RequestInvalid, "no SAML provider of that id is configured"))?;
    let own = Own::at(&origin, &site.account, idp);
    let saml = idp.config();
    let ours = Ours {
        entity_id: &own.entity_id,
        acs_url: &own.acs_url,
        slo_url: single_logout(saml).then_some(own.slo_url.as_str()),
        signing: idp.signing_certificate(),
        signs_requests: saml.signing.is_some(),
        encryption: idp.encryption_certificate(),
        name_id_format: saml.name_id_format,
    };
    let mut answer = Answer::new(200, "ok").with_header("content-type", "application/samlmetadata+xml");
    answer.body = ours.document().into_bytes();
    Ok(answer)
}
