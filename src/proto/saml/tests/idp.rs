//! An identity provider in a struct: the good case, with one field a test changes.

use std::rc::Rc;

use crate::fault::Code;
use crate::proto::saml::certificate::Certificate;
use crate::proto::saml::names::{SAML, SAMLP, STATUS};
use crate::proto::saml::private_key::PrivateKey;
use crate::proto::saml::refused::Refused;
use crate::proto::saml::response::{self, Expected};
use crate::proto::saml::time::instant;
use crate::proto::saml::verified::Verified;
use crate::testing::{TestHost, START};
use crate::values::secret::Secret;

use super::forge::{sign, Spec};
use super::keys;

pub const IDP: &str = "https://idp.partner.com";
pub const ACS: &str = "https://app.example.com/sso/saml/consume?u=acme";
pub const SLO: &str = "https://app.example.com/sso/saml/logout?u=acme";
pub const ENTITY: &str = "https://app.example.com/sso/saml/metadata?u=acme";
pub const REQUEST: &str = "id-0123456789abcdef";

/// What the IdP signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Nothing,
    Response,
    Assertion,
    Both,
}

pub const SIGNED: [Style; 3] = [Style::Response, Style::Assertion, Style::Both];

/// A response before it is written.
#[derive(Clone)]
pub struct Answer {
    pub style: Style,
    pub spec: Spec,
    /// Attributes of the Response behind its namespaces.
    pub response: String,
    pub response_issuer: String,
    pub status: String,
    /// Attributes of the Assertion.
    pub assertion: String,
    pub assertion_issuer: String,
    pub name_id: String,
    pub confirmation: String,
    pub conditions: String,
    pub authn: String,
    pub attributes: String,
}

pub fn at(offset: i64) -> String {
    instant((START as i64 + offset * 1000) as u64)
}

pub fn issuer(name: &str) -> String {
    format!("<saml:Issuer>{name}</saml:Issuer>")
}

pub fn confirmation(recipient: &str, in_response_to: &str, until: &str) -> String {
    format!(
        "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData{}{}{}/></saml:SubjectConfirmation>",
        attribute("Recipient", recipient), attribute("InResponseTo", in_response_to), attribute("NotOnOrAfter", until)
    )
}

/// The attribute, or nothing for an empty value.
pub fn attribute(name: &str, value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!(" {name}=\"{value}\"")
    }
}

pub fn restriction(audience: &str) -> String {
    format!("<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>")
}

pub fn conditions(from: &str, until: &str, inside: &str) -> String {
    format!(
        "<saml:Conditions{}{}>{inside}</saml:Conditions>",
        attribute("NotBefore", from),
        attribute("NotOnOrAfter", until)
    )
}

pub fn status(code: &str, inner: &str) -> String {
    let inner = if inner.is_empty() {
        String::new()
    } else {
        format!("<samlp:StatusCode Value=\"{STATUS}{inner}\"/>")
    };
    format!(
        "<samlp:Status><samlp:StatusCode Value=\"{STATUS}{code}\">{inner}</samlp:StatusCode></samlp:Status>"
    )
}

pub fn mail(values: &[&str]) -> String {
    let values: String =
        values.iter().map(|v| format!("<saml:AttributeValue>{v}</saml:AttributeValue>")).collect();
    format!("<saml:AttributeStatement><saml:Attribute Name=\"email\" FriendlyName=\"mail\">{values}</saml:Attribute></saml:AttributeStatement>")
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            style: Style::Both,
            spec: Spec::default(),
            response: format!(
                "ID=\"_response\" Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{ACS}\" InResponseTo=\"{REQUEST}\"",
                at(0)
            ),
            response_issuer: issuer(IDP),
            status: status("Success", ""),
            assertion: format!("ID=\"_assertion\" Version=\"2.0\" IssueInstant=\"{}\"", at(0)),
            assertion_issuer: issuer(IDP),
            name_id: "<saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">ada@acme.com</saml:NameID>".into(),
            confirmation: confirmation(ACS, REQUEST, &at(300)),
            conditions: conditions(&at(-5), &at(300), &restriction(ENTITY)),
            authn: format!(
                "<saml:AuthnStatement AuthnInstant=\"{}\" SessionIndex=\"_session\"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>",
                at(-60)
            ),
            attributes: mail(&["ada@acme.com"]),
        }
    }
}

impl Answer {
    pub fn signed(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    pub fn unsolicited(style: Style) -> Self {
        let mut answer = Self::signed(style);
        answer.response = answer.response.replace(&format!(" InResponseTo=\"{REQUEST}\""), "");
        answer.confirmation = confirmation(ACS, "", &at(300));
        answer
    }

    /// The assertion, signed where the style says so.
    pub fn assertion(&self) -> String {
        let text = format!(
            "<saml:Assertion xmlns:saml=\"{SAML}\" {}>{}<saml:Subject>{}{}</saml:Subject>{}{}{}</saml:Assertion>",
            self.assertion, self.assertion_issuer, self.name_id, self.confirmation, self.conditions, self.authn, self.attributes
        );
        match self.style {
            Style::Assertion | Style::Both => sign(&text, &self.spec),
            _ => text,
        }
    }

    /// The response around this, signed where the style says so.
    pub fn around(&self, inside: &str) -> String {
        let text = format!(
            "<samlp:Response xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" {}>{}{}{inside}</samlp:Response>",
            self.response, self.response_issuer, self.status
        );
        match self.style {
            Style::Response | Style::Both => sign(&text, &self.spec),
            _ => text,
        }
    }

    pub fn write(&self) -> String {
        self.around(&self.assertion())
    }
}

/// Us, with what we expect.
pub struct Us {
    pub host: Rc<TestHost>,
    pub certificates: Vec<Certificate>,
    pub key: Option<PrivateKey>,
    pub in_response_to: Option<&'static str>,
    pub now: u64,
    pub since: Option<u64>,
}

impl Default for Us {
    fn default() -> Self {
        Self {
            host: TestHost::new(),
            certificates: vec![certificate(keys::IDP)],
            key: Some(private(keys::SP_KEY)),
            in_response_to: Some(REQUEST),
            now: START,
            since: None,
        }
    }
}

pub fn certificate(pem: &str) -> Certificate {
    Certificate::parse(pem).unwrap()
}

pub fn private(pem: &str) -> PrivateKey {
    PrivateKey::parse(&Secret::new(pem.into())).unwrap()
}

impl Us {
    pub fn read(&self, text: &str) -> Result<Verified, Refused> {
        let expected = Expected {
            host: &*self.host,
            issuer: IDP,
            certificates: &self.certificates,
            decryption_key: self.key.as_ref(),
            acs_url: ACS,
            entity_id: ENTITY,
            in_response_to: self.in_response_to,
            authenticated_since: self.since,
            now: self.now,
            clock_skew: 60_000,
        };
        response::verify(&expected, &response::Message::read(text)?)
    }
}

/// It signs Ada in.
#[track_caller]
pub fn accepted(text: &str) -> Verified {
    let verified = Us::default().read(text).unwrap_or_else(|why| panic!("{}\n{text}", why.fault.detail));
    assert_eq!(verified.values("email"), ["ada@acme.com"]);
    verified
}

/// It is refused with `assertion_invalid`, for this reason, though it is XML.
#[track_caller]
pub fn refused(text: &str, why: &str) -> Refused {
    let refused =
        Us::default().read(text).map(|v| panic!("accepted as {:?}: {text}", v.name_id)).unwrap_err();
    assert_eq!(refused.fault.code, Code::AssertionInvalid, "{}", refused.fault.detail);
    assert!(refused.fault.detail.contains(why), "expected {why:?}: {}\n{text}", refused.fault.detail);
    refused
}
