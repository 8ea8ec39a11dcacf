//! The Web Browser SSO response (SAML profiles section 4.1.4): [`verify`] reads as the checklist it is.

use std::collections::HashSet;

use roxmltree::{Document, Node};

use super::certificate::Certificate;
use super::encryption::{self, Opener};
use super::key::PrivateKey;
use super::name_id::NameId;
use super::names::{BEARER, DSIG, SAML, SAMLP, STATUS};
use super::refused::Refused;
use super::signature::Trust;
use super::time;
use super::verified::{Attribute, Proof, Verified};
use super::xml::{self, attribute, clip};
use crate::fault::Code;
use crate::host::Host;

/// The oldest unsolicited assertion that is accepted, in milliseconds.
pub const MAX_AGE: u64 = 5 * 60_000;

/// What the response is measured against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// For the proxy's cryptography.
    pub host: &'a dyn Host,
    /// The IdP's entity ID.
    pub issuer: &'a str,
    /// The IdP's certificates.
    pub certificates: &'a [Certificate],
    /// Our key; without one, encrypted assertions are refused.
    pub decryption_key: Option<&'a PrivateKey>,
    /// Our callback in full, with its `?u=`.
    pub acs_url: &'a str,
    /// Our entity ID.
    pub entity_id: &'a str,
    /// The request it must answer; `None`: it must be unsolicited (`idp_initiated: accept`).
    pub in_response_to: Option<&'a str>,
    /// With `force_authn`, when we asked: the person must have signed in since.
    pub authenticated_since: Option<u64>,
    /// Milliseconds since 1970.
    pub now: u64,
    /// How far the clocks may be apart, in milliseconds.
    pub clock_skew: u64,
}

/// What a response says before anything is verified: only to choose what it is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Who it says it is from.
    pub issuer: Option<String>,
    /// The request it says it answers; anywhere in it.
    pub in_response_to: Option<String>,
}

/// Reads the claims of a response. A response that names a request anywhere is not unsolicited.
pub fn claimed(text: &str) -> Result<Claimed, Refused> {
    let document = xml::parse(text)?;
    let response = message(&document)?;
    let issuer = xml::at_most_one(response, SAML, "Issuer")?.map(xml::text).transpose()?.map(str::to_owned);
    let in_response_to = document.descendants().find_map(|n| n.attribute("InResponseTo")).map(str::to_owned);
    Ok(Claimed { issuer, in_response_to })
}

/// Every check of the profile, in order; what is returned comes from the verified assertion.
pub fn verify(expected: &Expected<'_>, text: &str) -> Result<Verified, Refused> {
    // The message, with nothing in it that is not read.
    let document = xml::parse(text)?;
    let response = message(&document)?;
    let envelope: Vec<Node<'_, '_>> = response.children().filter(|n| encryption::is_assertion(*n)).collect();
    let mut allowed = signatures(response);
    allowed.push(response);
    for assertion in &envelope {
        allowed.push(*assertion);
        allowed.extend(signatures(*assertion));
    }
    xml::nothing_hidden(&document, &allowed)?;

    // Who sent it, for which request, and whether it is a yes.
    let trust = Trust { host: expected.host, certificates: expected.certificates };
    let response_signer = trust.verify(response)?;
    expected.issuer_of(response, xml::at_most_one(response, SAML, "Issuer")?)?;
    status(response, expected)?;
    expected.answers(response.attribute("InResponseTo"), "Response")?;
    expected.destination(response)?;
    expected.not_from_the_future(response)?;

    // The one assertion, opened if it is encrypted.
    let [envelope] = envelope.as_slice() else {
        return Err(format!("the Response holds {} assertions, expected one", envelope.len()).into());
    };
    let opened;
    let inner;
    let assertion = if xml::is(*envelope, SAML, "Assertion") {
        *envelope
    } else {
        let key =
            expected.decryption_key.ok_or("the assertion is encrypted and saml.decryption is not set")?;
        let opener = Opener { host: expected.host, key, signed: response_signer.is_some() };
        opened = encryption::open(opener, *envelope)?;
        inner = xml::parse_up_to(&opened, 2 * xml::MAX_MESSAGE)
            .map_err(|_| "the decrypted assertion is not XML")?;
        decrypted(&document, &inner)?
    };

    // Signed: by itself, or by the Response around it. Every signature there is has to verify.
    let assertion_signer = trust.verify(assertion)?;
    let signers: Vec<&Certificate> = response_signer.into_iter().chain(assertion_signer).collect();
    if signers.is_empty() {
        return Err("neither the Response nor the Assertion is signed: let the IdP sign at least one".into());
    }

    // The assertion: from the IdP, about a person that is here now, for us, at this time.
    if attribute(assertion, "Version")? != "2.0" {
        return Err("the Assertion is not of SAML 2.0".into());
    }
    expected.issuer_of(assertion, Some(xml::one(assertion, SAML, "Issuer")?))?;
    let issued = expected.not_from_the_future(assertion)?;
    let subject = xml::one(assertion, SAML, "Subject")?;
    let confirmed_until = expected.subject_confirmation(subject)?;
    expected.conditions(xml::one(assertion, SAML, "Conditions")?)?;
    let session = expected.authentication(assertion)?;
    if expected.in_response_to.is_none() {
        expected.recent(response)?;
        expected.recent(assertion)?;
    }

    // Who.
    let name_id = xml::at_most_one(subject, SAML, "NameID")?.map(NameId::read).transpose()?;
    let mut warnings: Vec<String> = signers.iter().filter_map(|c| c.date_warning(expected.now)).collect();
    warnings.dedup();
    let valid_until = match expected.in_response_to {
        Some(_) => confirmed_until,
        None => confirmed_until.min(issued.saturating_add(MAX_AGE)),
    };
    Ok(Verified {
        _proof: Proof,
        issuer: expected.issuer.to_owned(),
        name_id,
        session_index: session.index,
        attributes: attributes(assertion)?,
        authn_instant: session.instant,
        session_not_on_or_after: session.not_on_or_after,
        authn_context: session.context,
        in_response_to: expected.in_response_to.map(str::to_owned),
        assertion_id: attribute(assertion, "ID")?.to_owned(),
        response_id: attribute(response, "ID")?.to_owned(),
        valid_until: valid_until.saturating_add(expected.clock_skew),
        warnings,
    })
}

/// The root: `samlp:Response` of SAML 2.0 with an identifier.
fn message<'a, 'i>(document: &'a Document<'i>) -> Result<Node<'a, 'i>, Refused> {
    let root = document.root_element();
    if !xml::is(root, SAMLP, "Response") {
        return Err(
            format!("the message is a {}, expected a samlp:Response", clip(root.tag_name().name())).into()
        );
    }
    if attribute(root, "Version")? != "2.0" {
        return Err("the Response is not of SAML 2.0".into());
    }
    attribute(root, "ID")?;
    Ok(root)
}

fn signatures<'a, 'i: 'a>(node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    xml::children(node, DSIG, "Signature").collect()
}

/// The assertion in what `encryption::open` returned: it alone, with no identifier that the Response has too.
fn decrypted<'a, 'i>(outer: &Document<'_>, inner: &'a Document<'i>) -> Result<Node<'a, 'i>, Refused> {
    let mut children =
        inner.root_element().children().filter(|n| !n.is_text() || !n.text().unwrap_or("").trim().is_empty());
    let (Some(assertion), None) = (children.next(), children.next()) else {
        return Err("the decrypted content is not one assertion".into());
    };
    if !xml::is(assertion, SAML, "Assertion") {
        return Err("the decrypted content is not an assertion".into());
    }
    let mut allowed = signatures(assertion);
    allowed.push(assertion);
    xml::nothing_hidden(inner, &allowed)?;
    let mut seen = HashSet::new();
    xml::unique_ids(outer, &mut seen)?;
    xml::unique_ids(inner, &mut seen)?;
    Ok(assertion)
}

/// SAML core section 3.2.2: the status, before anything else is asked of an answer that is a no.
fn status(response: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), Refused> {
    let status = xml::one(response, SAMLP, "Status")?;
    let mut codes = Vec::new();
    let mut node = xml::one(status, SAMLP, "StatusCode")?;
    loop {
        codes.push(attribute(node, "Value")?);
        match xml::at_most_one(node, SAMLP, "StatusCode")? {
            Some(inner) if codes.len() < 5 => node = inner,
            Some(_) => return Err("the status nests too deep".into()),
            None => break,
        }
    }
    let is = |name: &str| codes.iter().any(|code| code.strip_prefix(STATUS) == Some(name));
    if codes.first().and_then(|code| code.strip_prefix(STATUS)) == Some("Success") {
        return Ok(());
    }
    let message =
        xml::at_most_one(status, SAMLP, "StatusMessage")?.map(xml::text).transpose()?.unwrap_or_default();
    let codes: Vec<String> =
        codes.iter().map(|code| clip(code.strip_prefix(STATUS).unwrap_or(code))).collect();
    let why = format!("the IdP answers {}: {:?}", codes.join(" / "), clip(message));
    if response.attribute("InResponseTo").is_some() {
        expected.answers(response.attribute("InResponseTo"), "Response")?;
    }
    let denied = is("AuthnFailed") || is("RequestDenied");
    Err(Refused::with(if denied { Code::IdpDenied } else { Code::AssertionInvalid }, why))
}

/// The session at the IdP.
struct Session {
    index: Option<String>,
    instant: u64,
    not_on_or_after: Option<u64>,
    context: Option<String>,
}

impl Expected<'_> {
    /// SAML profiles section 4.1.4.2: the issuer is the account's IdP, exactly.
    fn issuer_of(&self, node: Node<'_, '_>, issuer: Option<Node<'_, '_>>) -> Result<(), Refused> {
        let name = node.tag_name().name();
        let issuer = xml::text(issuer.ok_or_else(|| format!("the {name} has no Issuer"))?)?;
        if issuer != self.issuer {
            let issuer = clip(issuer);
            return Err(format!("the Issuer of the {name} is {issuer:?}, expected {:?}", self.issuer).into());
        }
        Ok(())
    }

    /// The request it answers: ours, or none at all. A stolen or injected response answers another one.
    fn answers(&self, in_response_to: Option<&str>, name: &str) -> Result<(), Refused> {
        match (in_response_to, self.in_response_to) {
            (None, None) => Ok(()),
            (Some(theirs), Some(ours)) if theirs == ours => Ok(()),
            (Some(theirs), Some(_)) => {
                let theirs = clip(theirs);
                Err(format!("InResponseTo of the {name} is {theirs:?}, which is not this login's request")
                    .into())
            }
            (None, Some(_)) => {
                Err(format!("the {name} has no InResponseTo, and a login of ours is under way").into())
            }
            (Some(_), None) => {
                Err(format!("the {name} answers a request, but no login of ours is under way").into())
            }
        }
    }

    /// SAML bindings section 3.5.5.2: it was meant for this address, so it was not taken from another one.
    fn destination(&self, response: Node<'_, '_>) -> Result<(), Refused> {
        let destination = attribute(response, "Destination")?;
        self.address("Destination", destination)
    }

    fn address(&self, what: &str, theirs: &str) -> Result<(), Refused> {
        if theirs == self.acs_url {
            return Ok(());
        }
        let host = |text: &str| url::Url::parse(text).ok().and_then(|u| u.host_str().map(str::to_owned));
        let hint = match (host(theirs), host(self.acs_url)) {
            (Some(theirs), Some(ours)) if theirs != ours => format!(
                "the IdP answers to host {:?}, this account is served at {ours:?}: the assertion consumer URL at the IdP \
                 and the account's origins must be the same",
                clip(&theirs)
            ),
            _ => "set the assertion consumer URL at the IdP to it, with its query".into(),
        };
        Err(format!("{what} is {:?}, expected {:?}: {hint}", clip(theirs), self.acs_url).into())
    }

    fn time(&self, node: Node<'_, '_>, name: &str) -> Result<Option<u64>, Refused> {
        let Some(text) = node.attribute(name) else { return Ok(None) };
        let time =
            time::parse(text).ok_or_else(|| format!("{name} {:?} is not a time in UTC", clip(text)))?;
        Ok(Some(time))
    }

    fn clocks(&self, other: u64) -> String {
        let (apart, skew) = (time::apart(self.now, other), time::apart(self.clock_skew, 0));
        format!(
            "{apart} away by our clock, {}; clock_skew allows {skew}: compare the two clocks",
            time::instant(self.now)
        )
    }

    fn not_from_the_future(&self, node: Node<'_, '_>) -> Result<u64, Refused> {
        let name = node.tag_name().name();
        let issued =
            self.time(node, "IssueInstant")?.ok_or_else(|| format!("the {name} has no IssueInstant"))?;
        if issued > self.now.saturating_add(self.clock_skew) {
            return Err(format!("the {name} was issued in the future, {}", self.clocks(issued)).into());
        }
        Ok(issued)
    }

    fn recent(&self, node: Node<'_, '_>) -> Result<(), Refused> {
        let issued = self.not_from_the_future(node)?;
        if self.now > issued.saturating_add(MAX_AGE) {
            return Err(format!(
                "an unsolicited answer was issued more than five minutes ago, {}",
                self.clocks(issued)
            )
            .into());
        }
        Ok(())
    }

    /// `NotBefore` and `NotOnOrAfter`, the latter exclusive (SAML core section 2.5.1.2).
    fn window(&self, node: Node<'_, '_>) -> Result<Option<u64>, Refused> {
        let name = node.tag_name().name();
        if let Some(from) = self.time(node, "NotBefore")? {
            if self.now.saturating_add(self.clock_skew) < from {
                return Err(format!("{name} is not valid yet (NotBefore), {}", self.clocks(from)).into());
            }
        }
        let until = self.time(node, "NotOnOrAfter")?;
        if let Some(until) = until.filter(|until| self.now >= until.saturating_add(self.clock_skew)) {
            return Err(format!("{name} is no longer valid (NotOnOrAfter), {}", self.clocks(until)).into());
        }
        Ok(until)
    }

    /// SAML profiles section 4.1.4.2: one bearer confirmation holds; until when.
    fn subject_confirmation(&self, subject: Node<'_, '_>) -> Result<u64, Refused> {
        let mut problem: Refused = "the Subject has no bearer SubjectConfirmation".into();
        let mut until = None;
        for confirmation in xml::children(subject, SAML, "SubjectConfirmation") {
            if confirmation.attribute("Method") != Some(BEARER) {
                continue;
            }
            match self.bearer(confirmation) {
                Ok(holds) => until = until.max(Some(holds)),
                Err(why) => problem = why,
            }
        }
        until.ok_or(problem)
    }

    fn bearer(&self, confirmation: Node<'_, '_>) -> Result<u64, Refused> {
        let data = xml::one(confirmation, SAML, "SubjectConfirmationData")?;
        self.answers(data.attribute("InResponseTo"), "SubjectConfirmationData")?;
        self.address("Recipient", attribute(data, "Recipient")?)?;
        Ok(self.window(data)?.ok_or("SubjectConfirmationData has no NotOnOrAfter")?)
    }

    /// SAML core section 2.5.1: every condition holds, and we are among the audience.
    fn conditions(&self, conditions: Node<'_, '_>) -> Result<(), Refused> {
        self.window(conditions)?;
        let mut restricted = false;
        for condition in conditions.children().filter(Node::is_element) {
            if xml::is(condition, SAML, "AudienceRestriction") {
                self.audience(condition)?;
                restricted = true;
            } else if !xml::is(condition, SAML, "OneTimeUse") && !xml::is(condition, SAML, "ProxyRestriction")
            {
                // Section 2.5.1.1: a condition that is not understood makes the assertion indeterminate.
                let name = clip(condition.tag_name().name());
                return Err(format!("the assertion holds a condition {name:?} that is not understood").into());
            }
        }
        if !restricted {
            let ours = self.entity_id;
            return Err(format!(
                "the assertion has no AudienceRestriction: set the audience (SP entity ID) at the IdP to {ours:?} \
                 (Authentik: Audience of the provider)"
            )
            .into());
        }
        Ok(())
    }

    fn audience(&self, restriction: Node<'_, '_>) -> Result<(), Refused> {
        let audiences: Vec<&str> =
            xml::children(restriction, SAML, "Audience").map(xml::text).collect::<Result<_, _>>()?;
        if audiences.contains(&self.entity_id) {
            return Ok(());
        }
        let theirs: Vec<String> = audiences.iter().take(5).map(|a| clip(a)).collect();
        let ours = self.entity_id;
        Err(format!(
            "the assertion is for the audience {theirs:?}, we are {ours:?}: set the audience (SP entity ID) at the IdP to \
             ours, or saml.entity_id to theirs"
        )
        .into())
    }

    /// SAML profiles section 4.1.4.2: an `AuthnStatement` says that and until when the person is signed in there.
    fn authentication(&self, assertion: Node<'_, '_>) -> Result<Session, Refused> {
        let mut session: Option<Session> = None;
        for statement in xml::children(assertion, SAML, "AuthnStatement") {
            let instant =
                self.time(statement, "AuthnInstant")?.ok_or("AuthnStatement has no AuthnInstant")?;
            let until = self.time(statement, "SessionNotOnOrAfter")?;
            if until.is_some_and(|until| self.now >= until) {
                return Err("the session at the IdP has ended (SessionNotOnOrAfter)".into());
            }
            if let Some(since) = self.authenticated_since {
                if instant.saturating_add(self.clock_skew) < since {
                    return Err(
                        "force_authn is set, and the IdP answers with an older sign-in (AuthnInstant)".into(),
                    );
                }
            }
            let context = xml::at_most_one(statement, SAML, "AuthnContext")?
                .map(|context| xml::at_most_one(context, SAML, "AuthnContextClassRef"))
                .transpose()?
                .flatten();
            let this = Session {
                index: statement.attribute("SessionIndex").map(str::to_owned),
                instant,
                not_on_or_after: until,
                context: context.map(xml::text).transpose()?.map(str::to_owned),
            };
            session = Some(match session {
                None => this,
                Some(first) => Session {
                    not_on_or_after: [first.not_on_or_after, until].into_iter().flatten().min(),
                    ..first
                },
            });
        }
        session.ok_or_else(|| "the assertion has no AuthnStatement".into())
    }
}

/// SAML core section 2.7.3: the attributes of all statements, whatever their order and place (Google puts them before
/// the AuthnStatement), those of one name together (Keycloak sends one element a role).
fn attributes(assertion: Node<'_, '_>) -> Result<Vec<Attribute>, Refused> {
    let mut found: Vec<Attribute> = Vec::new();
    let mut count = 0;
    for statement in xml::children(assertion, SAML, "AttributeStatement") {
        for node in xml::children(statement, SAML, "Attribute") {
            let name = attribute(node, "Name")?;
            let values: Vec<String> = xml::children(node, SAML, "AttributeValue")
                .map(|value| xml::text(value).map(str::to_owned))
                .collect::<Result<_, _>>()
                .map_err(|why| format!("attribute {:?}: {why}", clip(name)))?;
            count += values.len() + 1;
            if count > 5_000 {
                return Err("the assertion has more than 5000 attribute values".into());
            }
            match found.iter_mut().find(|a| a.name == name) {
                Some(earlier) => earlier.values.extend(values),
                None => found.push(Attribute {
                    name: name.into(),
                    friendly_name: node.attribute("FriendlyName").map(str::to_owned),
                    values,
                }),
            }
        }
    }
    Ok(found)
}
