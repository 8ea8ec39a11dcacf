//! Our SAML metadata (SAML metadata section 2.4.4): what an operator of the IdP imports instead of typing.

use super::Own;
use crate::exchange::Exchange;
use crate::fault::{Code, Fault};
use crate::http::response::Response;
use crate::proto::saml::idp::single_logout;
use crate::proto::saml::metadata::Ours;

/// The document for the account's SAML provider; `idp` says which one where there are several.
pub fn show(exchange: &Exchange) -> Response {
    document(exchange).unwrap_or_else(|fault| exchange.refuse(&fault))
}

fn document(exchange: &Exchange) -> Result<Response, Fault> {
    let (account_state, asked) = exchange.site_and_origin()?;
    let origin = account_state.account.callback_origin(&asked);
    let wanted = exchange.head.param("idp");
    // In the order of the configuration.
    let idp = account_state
        .account
        .providers
        .iter()
        .filter(|provider| wanted.as_ref().is_none_or(|wanted| provider.id == *wanted))
        .find_map(|provider| account_state.idps.get(&provider.id))
        .ok_or_else(|| Fault::new(Code::RequestInvalid, "no SAML provider of that id is configured"))?;
    let own = Own::at(&origin, &account_state.account, idp);
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
    let mut answer = Response::new(200, "ok").with_header("content-type", "application/samlmetadata+xml");
    answer.body = ours.document().into_bytes();
    Ok(answer)
}
