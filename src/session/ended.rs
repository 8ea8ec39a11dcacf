//! Sessions that have ended before their cookies expire. A session lives in a cookie, and a copy of the
//! cookie may live anywhere: what ends it, ends all of them, on every worker of this Envoy at once. With `shared`
//! other replicas learn of it at once too ([`outbox`]); without, they and this one after a restart learn of it at the
//! next `recheck` at the latest, where the IdP or the directory says so.
//!
//! A session ends by its own id (a user signed out here), or by what its provider calls it: the person
//! (`sub`, NameID), the provider's session (`sid`), or both (a SAML SessionIndex counts only together with
//! its NameID). A request asks for one value, which changes whenever anything ends; only after a change
//! does a session look whether it was meant.

use std::cell::Cell;

use super::{Session, SessionSettings};
use crate::host::shared_set::{id_of, Inserted, SharedSet, WhenFull};
use crate::host::Host;
use crate::replicas::marks::{Kind, Mark as Shared};
use crate::replicas::outbox;

/// 4096 times 64 logouts within one lifetime, 6 MB at the most. Beyond that the session that would have
/// expired first is forgotten: a flood of logouts needs as many sessions of the flooder's own.
const ENDED: SharedSet =
    SharedSet { name: "sso.ended", buckets: 4096, capacity: 64, when_full: WhenFull::Evict };

/// People and sessions of providers, each with the time up to which sessions of it have ended. As large.
const ENDED_BY: SharedSet =
    SharedSet { name: "sso.ended-by", buckets: 4096, capacity: 64, when_full: WhenFull::Evict };

/// Sessions of providers that were used here, each until it would have expired. As large.
const KNOWN: SharedSet =
    SharedSet { name: "sso.sids", buckets: 4096, capacity: 64, when_full: WhenFull::Evict };

/// Another value after every end: no two are the same.
const CHANGED: &str = "sso.ended.changed";

/// A code that was issued when the provider's session ended can still be redeemed: about so long
/// (milliseconds).
const UNDER_WAY: u64 = 60_000;

/// A provider of an account, which ends its own sessions alone.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The account's code.
    pub account: &'a str,
    /// The provider's id.
    pub provider: &'a str,
    /// The issuer as it stands in `Authentication`: a provider may have several (Entra's tenants).
    pub issuer: &'a str,
}

impl<'a> Party<'a> {
    /// The account as a whole.
    fn of_account(account: &'a str) -> Self {
        Self { account, provider: "", issuer: "" }
    }
}

/// Ends one session by its id, wherever its cookie is.
pub fn by_id(host: &dyn Host, settings: &SessionSettings, session: &str) {
    end_session(host, id_of(session), host.now().saturating_add(settings.lifetime), settings.shared);
}

/// Ends the sessions of a person that were opened up to a time: those opened later are none of what
/// ended. False where it could not be noted.
#[must_use]
pub fn by_subject(
    host: &dyn Host,
    settings: &SessionSettings,
    party: Party<'_>,
    subject: &str,
    opened_until: u64,
) -> bool {
    end(host, settings, Which::Subject(subject).of(party), opened_until)
}

/// Ends what belongs to a session of the provider, by `sid`. Such a session is over for good, so that a
/// login which is under way opens nothing with it either. False where it could not be noted.
#[must_use]
pub fn by_sid(host: &dyn Host, settings: &SessionSettings, party: Party<'_>, sid: &str) -> bool {
    end(host, settings, Which::Sid(sid).of(party), host.now().saturating_add(UNDER_WAY))
}

/// Ends the sessions of a user that have no `sid`: where one session of theirs ends, it may be any
/// of these. False where it could not be noted.
#[must_use]
pub fn by_subject_without_sid(
    host: &dyn Host,
    settings: &SessionSettings,
    party: Party<'_>,
    subject: &str,
    opened_until: u64,
) -> bool {
    end(host, settings, Which::Both(subject, "").of(party), opened_until)
}

/// True where a session with this `sid` was used on this Envoy. What a stranger may ask for ends only those:
/// else a flood of made-up ones would push out the real ones.
pub fn is_known_sid(host: &dyn Host, party: Party<'_>, sid: &str) -> bool {
    KNOWN.contains(host, &Which::Sid(sid).of(party), host.now())
}

/// The same where `sid` alone is not unique (SAML core section 2.7.2: a SessionIndex may be a small number
/// that recurs): what the person opens next may have it again. False where it could not be noted.
#[must_use]
pub fn by_subject_and_sid(
    host: &dyn Host,
    settings: &SessionSettings,
    party: Party<'_>,
    subject: &str,
    sid: &str,
    opened_until: u64,
) -> bool {
    end(host, settings, Which::Both(subject, sid).of(party), opened_until)
}

/// Ends every session of a user of this account that is open now, whatever its provider. False where it could not be
/// noted.
#[must_use]
pub fn by_user(host: &dyn Host, settings: &SessionSettings, account: &str, username: &str) -> bool {
    end(host, settings, Which::User(username).of(Party::of_account(account)), host.now())
}

/// Ends every session of this account that is open now. False where it could not be noted.
#[must_use]
pub fn by_account(host: &dyn Host, settings: &SessionSettings, account: &str) -> bool {
    end(host, settings, Which::Everyone.of(Party::of_account(account)), host.now())
}

fn end(host: &dyn Host, settings: &SessionSettings, id: [u8; 16], opened_until: u64) -> bool {
    let now = host.now();
    // All that is open now has ended already: a repeated order changes nothing for the others.
    if ENDED_BY.time(host, &id).is_some_and(|known| known >= opened_until.min(now)) {
        return true;
    }
    let forgotten = now.saturating_sub(settings.lifetime);
    let noted = ENDED_BY.raise(host, &id, opened_until, forgotten);
    changed(host, &id);
    if settings.shared {
        outbox::add(host, Shared { kind: Kind::Party, id, time: opened_until });
    }
    noted != Inserted::Full
}

fn end_session(host: &dyn Host, id: [u8; 16], until: u64, shared: bool) {
    ENDED.insert(host, &id, until, host.now());
    changed(host, &id);
    if shared {
        outbox::add(host, Shared { kind: Kind::Session, id, time: until });
    }
}

/// Takes in what has ended on other replicas. Requests look once for all of it.
pub fn apply(host: &dyn Host, settings: &SessionSettings, marks: &[Shared]) {
    let now = host.now();
    let forgotten = now.saturating_sub(settings.lifetime);
    let mut new = None;
    for mark in marks {
        let noted = match mark.kind {
            Kind::Session if mark.time <= now => Inserted::Known,
            Kind::Session => ENDED.insert(host, &mark.id, mark.time, now),
            Kind::Party => ENDED_BY.raise(host, &mark.id, mark.time, forgotten),
            Kind::Seen => Inserted::Known,
        };
        if noted == Inserted::New {
            new = Some(mark.id);
        }
    }
    if let Some(id) = new {
        changed(host, &id);
    }
}

/// How many parts [`known`] has.
pub const PARTS: u32 = 4096;

/// A part of all that is known to have ended and still counts.
pub fn known(host: &dyn Host, lifetime: u64, part: u32) -> Vec<Shared> {
    let now = host.now();
    let forgotten = now.saturating_sub(lifetime);
    let sessions = ENDED.bucket(host, part).into_iter().filter(|(_, until)| *until > now);
    let parties = ENDED_BY.bucket(host, part).into_iter().filter(|(_, time)| *time > forgotten);
    let sessions = sessions.map(|(id, time)| Shared { kind: Kind::Session, id, time });
    sessions.chain(parties.map(|(id, time)| Shared { kind: Kind::Party, id, time })).collect()
}

/// After the entry is written, so that a reader of the new value sees the entry too. Every value is the
/// hash of the one before and of what ended: without compare-and-swap none comes back.
fn changed(host: &dyn Host, id: &[u8; 16]) {
    let (before, _) = host.shared_get(CHANGED);
    let text = format!("{before:?} {id:?} {}", host.now());
    host.shared_set(CHANGED, &id_of(&text), None);
}

/// By what a provider knows a session, or an administrator.
enum Which<'a> {
    User(&'a str),
    Everyone,
    Subject(&'a str),
    Sid(&'a str),
    Both(&'a str, &'a str),
}

impl Which<'_> {
    /// The id in the set. Lengths stand before the parts: no two lists are the same text.
    fn of(&self, party: Party<'_>) -> [u8; 16] {
        let (kind, subject, sid) = match self {
            Which::Subject(subject) => ("subject", *subject, ""),
            Which::Sid(sid) => ("sid", "", *sid),
            Which::Both(subject, sid) => ("both", *subject, *sid),
            Which::User(username) => ("user", *username, ""),
            Which::Everyone => ("everyone", "", ""),
        };
        let parts = [kind, party.account, party.provider, party.issuer, subject, sid];
        id_of(&parts.map(|part| format!("{}:{part}", part.len())).concat())
    }
}

/// A value that differs after every end; none where nothing has ended yet.
pub fn changes(host: &dyn Host) -> Option<Vec<u8>> {
    host.shared_get(CHANGED).0
}

/// By what a session ends early; made once when it is opened, so that a request computes no hash.
#[derive(Debug)]
pub struct Mark {
    id: [u8; 16],
    started_at: u64,
    by: Box<[[u8; 16]]>,
    sid: Option<[u8; 16]>,
    /// The value of [`CHANGED`] when the session was last seen not to have ended.
    looked: Cell<Option<[u8; 16]>>,
    /// Its end is told to other Envoys.
    pub shared: bool,
}

impl Mark {
    /// The mark of a session of this account.
    pub fn of(account: &str, session: &Session) -> Self {
        let origin = &session.origin;
        let party = Party { account, provider: &origin.provider, issuer: &origin.issuer };
        let whole = Party::of_account(account);
        let mut by = vec![Which::User(&session.user.username).of(whole), Which::Everyone.of(whole)];
        // A LogoutRequest names the NameID as it came, also one that is not a subject to link an account to.
        let subject = origin.name_id.as_ref().map_or(&origin.subject, |name_id| &name_id.value);
        if !subject.is_empty() {
            by.push(Which::Subject(subject).of(party));
        }
        let sid = origin.sid.as_ref().map(|sid| Which::Sid(sid).of(party));
        by.extend(sid);
        if !subject.is_empty() {
            by.push(Which::Both(subject, origin.sid.as_deref().unwrap_or_default()).of(party));
        }
        Self {
            id: id_of(&session.id),
            started_at: session.started_at,
            by: by.into_boxed_slice(),
            sid,
            looked: Cell::new(None),
            shared: false,
        }
    }

    /// Notes that there is a session with its `sid`.
    pub fn remember(&self, host: &dyn Host, until: u64) {
        if let Some(sid) = &self.sid {
            if !KNOWN.contains(host, sid, host.now()) {
                KNOWN.insert(host, sid, until, host.now());
            }
        }
    }

    /// Ends it until it would have expired.
    pub fn end(&self, host: &dyn Host, until: u64) {
        end_session(host, self.id, until, self.shared);
    }

    /// True where it has ended. One look into shared data, until something ends.
    #[inline]
    pub fn has_ended(&self, host: &dyn Host, now: u64) -> bool {
        // Nothing has ended on this Envoy yet: there is no value.
        let (Some(value), _) = host.shared_get(CHANGED) else { return false };
        let value = <[u8; 16]>::try_from(value).ok();
        if value.is_some() && value == self.looked.get() {
            return false;
        }
        let ended = ENDED.contains(host, &self.id, now)
            || self.by.iter().any(|id| ENDED_BY.time(host, id).is_some_and(|until| self.started_at <= until));
        if !ended {
            self.looked.set(value);
        }
        ended
    }
}

#[cfg(test)]
#[path = "ended_tests.rs"]
mod tests;
