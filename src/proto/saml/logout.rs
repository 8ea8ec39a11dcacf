//! Single logout (SAML core section 3.7, SAML profiles section 4.4), both ways, by Redirect and POST.
//!
//! What comes in must be signed: an unsigned request would let any page sign people out, an unsigned response would
//! say they are out when they are not.

use roxmltree::{Document, Node};

use super::bindings::{self, Kind, Redirected};
use super::name_id::NameId;
use super::names::{DSIG, SAML, SAMLP, STATUS};
use super::private_key::PrivateKey;
use super::refused::Refused;
use super::sign::Signer;
use super::signature::Trust;
use super::xml::{self, attribute, clip, Work};
use super::{fresh_id, time};
use crate::config::Address;
use crate::fault::{Code, Fault};
use crate::host::Host;

/// How old a message may be that does not say when it ends, in milliseconds.
pub const MAX_AGE: u64 = 5 * 60_000;

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// In the query.
    Redirect(&'a Redirected),
    /// In a form, decoded.
    Post(&'a str),
}

/// What it is measured against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The IdP's keys.
    pub trust: Trust<'a>,
    /// What opens an `EncryptedID`.
    pub decryption_key: Option<&'a PrivateKey>,
    /// The IdP's entity ID.
    pub issuer: &'a str,
    /// Our single logout endpoint in full, with its `?u=`.
    pub slo_url: &'a str,
    /// Our entity ID.
    pub entity_id: &'a str,
    /// Milliseconds since 1970.
    pub now: u64,
    /// How far the clocks may be apart, in milliseconds.
    pub clock_skew: u64,
}

/// Whose session the IdP ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    /// For our answer.
    pub id: String,
    /// When it was made, milliseconds since 1970: what was opened later it does not mean.
    pub issued: u64,
    /// Whose.
    pub name_id: NameId,
    /// Which sessions; empty: all of them.
    pub session_indexes: Vec<String>,
    /// For the log.
    pub warnings: Vec<String>,
}

/// What came of our request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutResponse {
    /// All parties were told; `false`: the IdP says that some session may go on.
    pub complete: bool,
    /// The status, for the log.
    pub status: String,
    /// For the log.
    pub warnings: Vec<String>,
}

/// A message that was read once, whatever it is verified against.
#[derive(Debug)]
pub struct Message<'a> {
    document: Document<'a>,
    received: Received<'a>,
}

impl<'a> Message<'a> {
    /// Reads it; nothing is verified yet.
    pub fn read(received: Received<'a>) -> Result<Self, Refused> {
        let text = match received {
            Received::Redirect(redirected) => redirected.message.as_str(),
            Received::Post(text) => text,
        };
        let document = xml::parse(text, &mut Work::logout()).map_err(|why| bad_request(why.into()))?;
        Ok(Self { document, received })
    }

    /// Who it says it is from, before anything is verified: only to choose what it is verified against.
    pub fn claimed_issuer(&self) -> Result<&str, Refused> {
        let issuer = xml::one(self.document.root_element(), SAML, "Issuer").and_then(|node| xml::text(node));
        issuer.map_err(|why| bad_request(why.into()))
    }
}

/// Reads a LogoutRequest. Its identifier should be answered once; ending a session twice does no harm.
pub fn read_request(expected: &Expected<'_>, message: &Message<'_>) -> Result<LogoutRequest, Refused> {
    read(expected, message, Kind::Request, |root, warnings| {
        let issued = time::parse(attribute(root, "IssueInstant")?).ok_or("IssueInstant is not a time")?;
        let name_id = NameId::of(expected.trust.host, expected.decryption_key, expected.entity_id, root)?;
        let name_id = name_id.ok_or("the LogoutRequest has no NameID")?;
        let session_indexes: Vec<String> = xml::children(root, SAMLP, "SessionIndex")
            .take(101)
            .map(|node| xml::text(node).map(str::to_owned))
            .collect::<Result<_, _>>()?;
        // An empty index must not widen the request to every session.
        if session_indexes.len() > 100 || session_indexes.iter().any(String::is_empty) {
            return Err("the LogoutRequest has an empty SessionIndex, or more than 100".into());
        }
        Ok(LogoutRequest { id: attribute(root, "ID")?.into(), issued, name_id, session_indexes, warnings })
    })
    .map_err(bad_request)
}

/// Reads the LogoutResponse to the request with this identifier; `None` where it is not remembered.
pub fn read_response(
    expected: &Expected<'_>,
    message: &Message<'_>,
    in_response_to: Option<&str>,
) -> Result<LogoutResponse, Refused> {
    read(expected, message, Kind::Response, |root, warnings| {
        let answered = attribute(root, "InResponseTo")?;
        if in_response_to.is_some_and(|ours| ours != answered) {
            return Err("the LogoutResponse answers another request".into());
        }
        let status = xml::one(root, SAMLP, "Status")?;
        let code = xml::one(status, SAMLP, "StatusCode")?;
        let inner = xml::at_most_one(code, SAMLP, "StatusCode")?.and_then(|inner| inner.attribute("Value"));
        let code = attribute(code, "Value")?;
        let short = |code: &str| clip(code.strip_prefix(STATUS).unwrap_or(code));
        let mut text = short(code);
        if let Some(inner) = inner {
            text.push_str(&format!(" / {}", short(inner)));
        }
        Ok(LogoutResponse { complete: text == "Success", status: text, warnings })
    })
    .map_err(bad_request)
}

/// Malformed, unsigned and stale ones get a 400 and end nothing.
fn bad_request(mut refused: Refused) -> Refused {
    if refused.fault.code == Code::AssertionInvalid {
        refused.fault.code = Code::RequestInvalid;
    }
    refused
}

fn read<T>(
    expected: &Expected<'_>,
    message: &Message<'_>,
    kind: Kind,
    facts: impl FnOnce(Node<'_, '_>, Vec<String>) -> Result<T, Refused>,
) -> Result<T, Refused> {
    let name = match kind {
        Kind::Request => "LogoutRequest",
        Kind::Response => "LogoutResponse",
    };
    let by_query = match message.received {
        Received::Redirect(redirected) if redirected.kind != kind => {
            return Err(format!("{} carries no {name}", redirected.kind.parameter()).into());
        }
        Received::Redirect(_) => true,
        Received::Post(_) => false,
    };
    let document = &message.document;
    let root = document.root_element();
    if !xml::is(root, SAMLP, name) {
        return Err(
            format!("the message is a {}, expected a samlp:{name}", clip(root.tag_name().name())).into()
        );
    }
    let mut allowed = vec![root];
    if !by_query {
        allowed.extend(xml::children(root, DSIG, "Signature").take(2));
    }
    xml::nothing_hidden(document, &allowed)?;

    let signer = match message.received {
        Received::Redirect(redirected) => redirected.verify(&expected.trust)?,
        Received::Post(_) => expected.trust.verify(root)?,
    };
    let signer =
        signer.ok_or_else(|| format!("the {name} is not signed: let the IdP sign logout messages"))?;
    if attribute(root, "Version")? != "2.0" {
        return Err(format!("the {name} is not of SAML 2.0").into());
    }
    let issuer = xml::text(xml::one(root, SAML, "Issuer")?)?;
    if issuer != expected.issuer {
        let issuer = clip(issuer);
        return Err(format!("the Issuer of the {name} is {issuer:?}, expected {:?}", expected.issuer).into());
    }
    // SAML bindings section 3.4.5.2: what is signed says where it goes.
    let destination = attribute(root, "Destination")?;
    if destination != expected.slo_url {
        let destination = clip(destination);
        return Err(
            format!("Destination of the {name} is {destination:?}, expected {:?}", expected.slo_url).into()
        );
    }
    expected.fresh(root)?;
    facts(root, signer.date_warning(expected.now).into_iter().collect())
}

impl Expected<'_> {
    fn fresh(&self, root: Node<'_, '_>) -> Result<(), Refused> {
        let read = |name: &str| -> Result<Option<u64>, String> {
            let Some(text) = root.attribute(name) else { return Ok(None) };
            time::parse(text).map(Some).ok_or_else(|| format!("{name} {:?} is not a time in UTC", clip(text)))
        };
        let issued = read("IssueInstant")?.ok_or("the message has no IssueInstant")?;
        let apart = time::apart(self.now, issued);
        if issued > self.now.saturating_add(self.clock_skew) {
            return Err(
                format!("the message was issued {apart} in the future: compare the two clocks").into()
            );
        }
        let until = read("NotOnOrAfter")?.unwrap_or(issued.saturating_add(MAX_AGE));
        if self.now >= until.saturating_add(self.clock_skew) {
            return Err(format!("the message is stale: issued {apart} ago").into());
        }
        Ok(())
    }
}

/// What an answer to a provider's LogoutRequest says (SAML core section 3.2.2.2).
#[derive(Clone, Copy)]
pub enum LogoutStatus {
    /// Its sessions have ended.
    Success,
    /// They have not, and the reason is ours.
    Responder,
}

/// A logout message of ours on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its identifier: what the answer to a request must name.
    pub id: String,
    kind: Kind,
    message: String,
}

impl Outgoing {
    /// True for a LogoutResponse.
    pub fn is_response(&self) -> bool {
        self.kind == Kind::Response
    }

    /// A LogoutRequest for one person's session at the IdP.
    pub fn request(
        host: &dyn Host,
        to: &Address,
        entity_id: &str,
        name_id: &NameId,
        session_index: Option<&str>,
    ) -> Result<Self, Fault> {
        let id = fresh_id(host)?;
        let until = time::instant(host.now().saturating_add(MAX_AGE));
        let index = session_index.map_or(String::new(), |index| {
            format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", xml::escape(index))
        });
        let message = format!(
            "<samlp:LogoutRequest {} NotOnOrAfter=\"{until}\">{}{}{index}</samlp:LogoutRequest>",
            head(host, &id, to),
            issuer(entity_id),
            name_id.write(),
        );
        Ok(Self { id, kind: Kind::Request, message })
    }

    /// The answer to the IdP's LogoutRequest.
    pub fn response(
        host: &dyn Host,
        to: &Address,
        entity_id: &str,
        in_response_to: &str,
        status: LogoutStatus,
    ) -> Result<Self, Fault> {
        let id = fresh_id(host)?;
        let status = match status {
            LogoutStatus::Success => "Success",
            LogoutStatus::Responder => "Responder",
        };
        let message = format!(
            "<samlp:LogoutResponse {} InResponseTo=\"{}\">{}<samlp:Status><samlp:StatusCode Value=\"{STATUS}{status}\"/>\
             </samlp:Status></samlp:LogoutResponse>",
            head(host, &id, to),
            xml::escape(in_response_to),
            issuer(entity_id),
        );
        Ok(Self { id, kind: Kind::Response, message })
    }

    /// The URL to send the browser to (HTTP-Redirect).
    pub fn redirect(
        &self,
        to: &Address,
        relay_state: Option<&str>,
        signer: Option<Signer<'_>>,
    ) -> Result<String, Fault> {
        bindings::redirect(&to.url, self.kind, &self.message, relay_state, signer)
    }

    /// The fields of the form to post (HTTP-POST).
    pub fn post(
        &self,
        relay_state: Option<&str>,
        signer: Option<Signer<'_>>,
    ) -> Result<Vec<(String, String)>, Fault> {
        bindings::form(self.kind, &self.message, relay_state, signer)
    }
}

fn head(host: &dyn Host, id: &str, to: &Address) -> String {
    format!(
        "xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{}\"",
        time::instant(host.now()),
        xml::escape(&to.text),
    )
}

fn issuer(entity_id: &str) -> String {
    format!("<saml:Issuer>{}</saml:Issuer>", xml::escape(entity_id))
}
