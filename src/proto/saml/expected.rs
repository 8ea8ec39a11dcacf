//! What a response is measured against, and the measures one by one.

use roxmltree::Node;

use super::certificate::Certificate;
use super::names::{BEARER, SAML};
use super::private_key::PrivateKey;
use super::refused::Refused;
use super::time;
use super::xml::{self, attribute, clip};
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

/// The session at the IdP.
pub(super) struct Session {
    pub(super) index: Option<String>,
    pub(super) instant: u64,
    pub(super) not_on_or_after: Option<u64>,
    pub(super) context: Option<String>,
}

impl Expected<'_> {
    /// SAML profiles section 4.1.4.2: the issuer is the account's IdP, exactly.
    pub(super) fn issuer_of(&self, node: Node<'_, '_>, issuer: Option<Node<'_, '_>>) -> Result<(), Refused> {
        let name = node.tag_name().name();
        let issuer = xml::text(issuer.ok_or_else(|| format!("the {name} has no Issuer"))?)?;
        if issuer != self.issuer {
            let issuer = clip(issuer);
            return Err(format!("the Issuer of the {name} is {issuer:?}, expected {:?}", self.issuer).into());
        }
        Ok(())
    }

    /// The request it answers: ours, or none at all. A stolen or injected response answers another one.
    pub(super) fn answers(&self, in_response_to: Option<&str>, name: &str) -> Result<(), Refused> {
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
            (Some(theirs), None) => {
                let theirs = clip(theirs);
                Err(format!("InResponseTo of the {name} is {theirs:?}, but no login of ours is under way")
                    .into())
            }
        }
    }

    /// SAML bindings section 3.5.5.2: it was meant for this address, so it was not taken from another one.
    pub(super) fn destination(&self, response: Node<'_, '_>) -> Result<(), Refused> {
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

    pub(super) fn not_from_the_future(&self, node: Node<'_, '_>) -> Result<u64, Refused> {
        let name = node.tag_name().name();
        let issued =
            self.time(node, "IssueInstant")?.ok_or_else(|| format!("the {name} has no IssueInstant"))?;
        if issued > self.now.saturating_add(self.clock_skew) {
            return Err(format!("the {name} was issued in the future, {}", self.clocks(issued)).into());
        }
        Ok(issued)
    }

    pub(super) fn recent(&self, node: Node<'_, '_>) -> Result<(), Refused> {
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
    pub(super) fn subject_confirmation(&self, subject: Node<'_, '_>) -> Result<u64, Refused> {
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
    pub(super) fn conditions(&self, conditions: Node<'_, '_>) -> Result<(), Refused> {
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
    pub(super) fn authentication(&self, assertion: Node<'_, '_>) -> Result<Session, Refused> {
        let mut session: Option<Session> = None;
        for statement in xml::children(assertion, SAML, "AuthnStatement") {
            let instant =
                self.time(statement, "AuthnInstant")?.ok_or("AuthnStatement has no AuthnInstant")?;
            if instant > self.now.saturating_add(self.clock_skew) {
                return Err(format!("AuthnInstant is in the future: {}", self.clocks(instant)).into());
            }
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
