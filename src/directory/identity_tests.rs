//! The table "from identity to user", each row over a static list and over SCIM servers of several kinds, with one provider
//! and with two.

use std::rc::Rc;

use serde_json::{json, Value};

use super::*;
use crate::config::{load, Placeholders};
use crate::host::task::{Call, Reply};
use crate::identity::{Identity, Issuers, Linking};
use crate::testing::{self, browser::KEY, drive_with, header, TestHost};

/// What a directory does with a question for a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Static,
    /// It filters.
    Scim,
    /// It returns every user, whatever it is asked.
    Ignores,
    /// It answers 400 to filters by `externalId`.
    Refuses,
}

const KINDS: [Kind; 4] = [Kind::Static, Kind::Scim, Kind::Ignores, Kind::Refuses];

pub(super) const CORP: &str = "https://corp.example";
pub(super) const PARTNER: &str = "https://partner.example";

/// username, email, active, link.
pub(super) type User = (&'static str, &'static str, bool, &'static str);

pub(super) fn provider(id: &str, confined: bool) -> Value {
    let issuer = format!("https://{id}.example");
    json!({
        "id": id, "email_domains": [format!("{id}.com")], "confined": confined,
        "oidc": {
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/a"), "token_endpoint": format!("{issuer}/t"),
            "jwks_uri": format!("{issuer}/k"), "client_id": "app"
        }
    })
}

pub(super) fn configuration(kind: Kind, users: &[User], several: bool, changes: &Value) -> Value {
    let list: Vec<Value> = users
        .iter()
        .map(|(name, email, active, link)| {
            let mut user = json!({ "username": name, "email": email, "active": active, "external_id": link });
            user.as_object_mut().unwrap().retain(|_, value| *value != "");
            user
        })
        .collect();
    let directory = match kind {
        Kind::Static => json!({ "static": { "users": list } }),
        _ => json!({ "scim": { "url": "http://directory.internal/scim/v2" } }),
    };
    let mut providers = vec![provider("corp", false)];
    if several {
        providers.push(provider("partner", false));
    }
    let mut account = json!({
        "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
        "identity_providers": providers, "directory": directory, "mapping": {}
    });
    for (name, value) in changes.as_object().unwrap() {
        match (account.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(known), Some(more)) => known.extend(more.clone()),
            _ => account[name] = value.clone(),
        }
    }
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" }, "accounts": [account]
    })
}

fn server(kind: Kind, users: &[User]) -> impl FnMut(&Call) -> Reply {
    let records: Vec<(Value, User)> = users
        .iter()
        .enumerate()
        .map(|(i, user)| {
            let (name, email, active, link) = *user;
            let mut record = json!({ "id": i.to_string(), "userName": name, "active": active });
            if !email.is_empty() {
                record["emails"] = json!([{ "value": email }]);
            }
            if !link.is_empty() {
                record["externalId"] = json!(link);
            }
            (record, *user)
        })
        .collect();
    move |call| {
        if header(call, ":method") != Some("GET") {
            return testing::status(204, "", "");
        }
        let url = url::Url::parse(&format!("http://x{}", header(call, ":path").unwrap())).unwrap();
        let filter =
            url.query_pairs().find(|(name, _)| name == "filter").map(|(_, f)| f.into_owned()).unwrap();
        let (attribute, value) = filter.split_once(" eq ").unwrap();
        let value: String = serde_json::from_str(value).unwrap();
        if kind == Kind::Refuses && attribute == "externalId" {
            return testing::status(400, "application/json", "{}");
        }
        let found = records.iter().filter(|(_, (name, email, _, link))| match (kind, attribute) {
            (Kind::Ignores, _) => true,
            (_, "externalId") => *link == value,
            (_, "userName") => name.eq_ignore_ascii_case(&value),
            _ => email.eq_ignore_ascii_case(&value),
        });
        let found: Vec<Value> = found.map(|(record, _)| record.clone()).collect();
        super::tests::list(&found)
    }
}

pub(super) fn who(id: &str, claims: Value) -> Identity {
    let claims = claims.as_object().cloned().unwrap();
    Identity::verified(
        crate::config::MappingFrom::IdToken,
        id,
        format!("https://{id}.example"),
        "s-1",
        claims.clone(),
        claims,
    )
}

struct Found {
    outcome: Result<String, &'static str>,
    calls: usize,
    log: Vec<String>,
}

fn resolved(kind: Kind, users: &[User], several: bool, changes: &Value, identity: Identity) -> Found {
    let document = configuration(kind, users, several, changes);
    let config = load(document.to_string().as_bytes(), &Placeholders).unwrap();
    let account = config.accounts[0].clone();
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let cache = Cache::with_issuers(Rc::new(Issuers::default()));
        resolve(&inner, &account, &cache, &identity).await
    };
    let (result, calls) = drive_with(&io, flow, server(kind, users));
    let outcome = match result {
        Ok(Resolution::User(user)) => Ok(user.username),
        Ok(Resolution::Invitation { email, .. }) => Ok(format!("invited {email}")),
        Err(fault) => Err(fault.code.as_str()),
    };
    Found { outcome, calls: calls.len(), log: host.logs().into_iter().map(|(_, line)| line).collect() }
}

const ADA: User = ("ada", "ada@corp.com", true, "");
const LINKED: User = ("ada", "ada@corp.com", true, "https://corp.example|s-1");

#[test]
fn the_table_over_every_kind_of_directory() {
    let email = |value: &str| json!({ "email": value });
    let bob = ("bob", "bob@corp.com", true, "");
    // Users, claims, changes, outcome; where a server that cannot be asked for links differs, its own.
    #[allow(clippy::type_complexity)]
    let rows: Vec<(Vec<User>, Value, Value, Result<&str, &str>, Option<Result<&str, &str>>)> = vec![
        (vec![ADA, bob], email("Ada@Corp.com"), json!({}), Ok("ada"), None),
        (vec![LINKED, bob], email("ada@corp.com"), json!({}), Ok("ada"), None),
        // The link wins: over a new address, another user's, none, one that cannot be read.
        (vec![LINKED, bob], email("new@corp.com"), json!({}), Ok("ada"), Some(Err("identity_unknown"))),
        (vec![LINKED, bob], email("bob@corp.com"), json!({}), Ok("ada"), Some(Ok("bob"))),
        (vec![LINKED, bob], json!({}), json!({}), Ok("ada"), Some(Err("identity_missing"))),
        (vec![LINKED, bob], email("ada"), json!({}), Ok("ada"), Some(Err("identity_missing"))),
        (vec![LINKED, bob], json!({"email": 7}), json!({}), Ok("ada"), Some(Err("identity_missing"))),
        // Another user claims the address: the linked one is not locked out.
        (
            vec![LINKED, ("bob", "ada@corp.com", true, "")],
            email("ada@corp.com"),
            json!({}),
            Ok("ada"),
            Some(Err("identity_ambiguous")),
        ),
        // `email_verified` still refuses.
        (
            vec![LINKED],
            json!({"email": "ada@corp.com", "email_verified": false}),
            json!({}),
            Err("email_unverified"),
            None,
        ),
        (
            vec![LINKED],
            email("ada@corp.com"),
            json!({"mapping": {"email_verified": "required"}}),
            Err("email_unverified"),
            None,
        ),
        (
            vec![LINKED],
            json!({"email_verified": false}),
            json!({}),
            Err("email_unverified"),
            Some(Err("identity_missing")),
        ),
        // A link that is there twice, or of an inactive user.
        (
            vec![LINKED, ("eve", "eve@corp.com", true, "https://corp.example|s-1")],
            email("ada@corp.com"),
            json!({}),
            Err("identity_conflict"),
            Some(Ok("ada")),
        ),
        (
            vec![
                ("ada", "ada@corp.com", false, "https://corp.example|s-1"),
                ("bob", "new@corp.com", true, ""),
            ],
            email("new@corp.com"),
            json!({}),
            Err("user_inactive"),
            Some(Ok("bob")),
        ),
        // Another subject of the issuer, also under `any`.
        (
            vec![("ada", "ada@corp.com", true, "https://corp.example|other")],
            email("ada@corp.com"),
            json!({"mapping": {"link": "any"}}),
            Err("identity_conflict"),
            None,
        ),
        // Links that are compared exactly.
        (
            vec![("ada", "x@corp.com", true, "https://corp.example|S-1")],
            email("new@corp.com"),
            json!({}),
            Err("identity_unknown"),
            None,
        ),
        // A link to nobody's issuer, or in a foreign form.
        (
            vec![("ada", "ada@corp.com", true, "https://gone.example|x")],
            email("ada@corp.com"),
            json!({}),
            Ok("ada"),
            None,
        ),
        (vec![("ada", "ada@corp.com", true, "HR-7|x")], email("ada@corp.com"), json!({}), Ok("ada"), None),
        // The rows without a link.
        (vec![bob], email("ada@corp.com"), json!({}), Err("identity_unknown"), None),
        (vec![bob], json!({}), json!({}), Err("identity_missing"), None),
        (
            vec![("ada", "ada@corp.com", false, "")],
            email("ada@corp.com"),
            json!({}),
            Err("user_inactive"),
            None,
        ),
        (
            vec![ADA, ("ada2", "Ada@corp.com", true, "")],
            email("ada@corp.com"),
            json!({}),
            Err("identity_ambiguous"),
            None,
        ),
    ];
    for (users, claims, changes, outcome, without_links) in rows {
        for kind in KINDS {
            for several in [false, true] {
                let wanted = match kind {
                    Kind::Refuses => without_links.unwrap_or(outcome),
                    _ => outcome,
                };
                let found = resolved(kind, &users, several, &changes, who("corp", claims.clone()));
                let found = found.outcome.as_ref().map(String::as_str).map_err(|code| *code);
                assert_eq!(found, wanted, "{kind:?} {several} {users:?} {claims} {changes}");
            }
        }
    }
}

#[test]
fn a_usual_login_costs_one_question() {
    let told = |kind, users: &[User]| {
        resolved(kind, users, true, &json!({}), who("corp", json!({"email": "ada@corp.com"}))).calls
    };
    assert_eq!(told(Kind::Scim, &[LINKED]), 1);
    assert_eq!(told(Kind::Scim, &[ADA]), 3, "the link, the value, and the link is written");
    assert_eq!(told(Kind::Scim, &[("ada", "ada@corp.com", true, "HR")]), 2);
}

#[test]
fn a_difference_is_told_without_its_values() {
    for (claims, lines) in
        [(json!({"email": "ada@corp.com"}), 0), (json!({"email": "new@corp.com"}), 1), (json!({}), 1)]
    {
        let found = resolved(Kind::Scim, &[LINKED], false, &json!({}), who("corp", claims));
        assert_eq!(found.log.len(), lines, "{:?}", found.log);
        assert!(found.log.iter().all(|line| line.contains("by its link") && !line.contains("new@corp.com")));
    }
}

#[test]
fn another_provider_opens_no_linked_record() {
    let users = [("ada", "ada@corp.com", true, "https://corp.example|ada-1")];
    let ada = || who("partner", json!({"email": "ada@corp.com"}));
    for kind in KINDS {
        let of = |several, changes: Value| resolved(kind, &users, several, &changes, ada()).outcome;
        assert_eq!(of(true, json!({})), Err("identity_conflict"), "{kind:?}");
        assert_eq!(of(true, json!({"mapping": {"link": "first"}})), Err("identity_conflict"));
        assert_eq!(of(true, json!({"mapping": {"link": "any"}})), Ok("ada".into()));
        // The other provider is gone: its link is not an obstacle.
        let partner = json!({"identity_providers": [provider("partner", false)]});
        assert_eq!(of(false, partner), Ok("ada".into()));
    }
}

#[test]
fn who_has_no_lasting_name_is_found_by_the_value_alone() {
    // The address was given to another user, whose record is not linked.
    let users: [User; 2] = [
        ("ada", "ada2@corp.com", true, "https://corp.example|ada@corp.com"),
        ("new", "ada@corp.com", true, ""),
    ];
    for kind in KINDS {
        let mut identity = who("corp", json!({"email": "ada@corp.com"}));
        (identity.subject, identity.linking) = ("ada@corp.com".into(), Linking::Derived);
        assert_eq!(resolved(kind, &users, false, &json!({}), identity).outcome, Ok("new".into()), "{kind:?}");
    }
}

#[test]
fn a_directory_that_cannot_filter_by_link_is_told_once() {
    let document = configuration(Kind::Refuses, &[], false, &json!({}));
    let config = load(document.to_string().as_bytes(), &Placeholders).unwrap();
    let account = config.accounts[0].clone();
    let host = TestHost::new();
    let other = host.worker();
    for worker in [&host, &other] {
        let io = worker.io();
        let inner = io.clone();
        let account = account.clone();
        let flow = async move {
            let cache = Cache::new();
            let mut users = Vec::new();
            for _ in 0..3 {
                let ada = who("corp", json!({"email": "ada@corp.com"}));
                users.push(resolve(&inner, &account, &cache, &ada).await);
            }
            Ok(users.iter().all(Result::is_ok))
        };
        let (all, calls) =
            drive_with(&io, flow, server(Kind::Refuses, &[("ada", "ada@corp.com", true, "HR")]));
        assert!(all.unwrap());
        assert_eq!(calls.len(), 5, "the link twice, to be sure; then the value alone");
    }
    assert_eq!((host.logs().len(), other.logs().len()), (1, 0), "{:?} {:?}", host.logs(), other.logs());
    assert!(host.logs()[0].1.contains("\"account\":\"acme\""), "{:?}", host.logs());
}

/// A server that stumbles over one odd subject goes on to be asked for the links of others.
#[test]
fn one_odd_subject_does_not_turn_links_off() {
    let document = configuration(Kind::Scim, &[], false, &json!({}));
    let config = load(document.to_string().as_bytes(), &Placeholders).unwrap();
    let account = config.accounts[0].clone();
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let cache = Cache::new();
        let mut odd = who("corp", json!({"email": "eve@corp.com"}));
        odd.subject = "\"\\".into();
        let odd = resolve(&inner, &account, &cache, &odd).await;
        let ada = resolve(&inner, &account, &cache, &who("corp", json!({"email": "new@corp.com"}))).await?;
        Ok((odd.is_ok(), ada))
    };
    let mut answers = server(Kind::Scim, &[LINKED]);
    let (result, _) = drive_with(&io, flow, |call| match header(call, ":path") {
        Some(path) if path.contains("%5C") => testing::status(400, "application/json", "{}"),
        _ => answers(call),
    });
    let (odd, ada) = result.unwrap();
    assert!(!odd && matches!(ada, Resolution::User(user) if user.username == "ada"));
    assert!(host.logs().iter().all(|(_, line)| !line.contains("cannot filter")));
}

#[test]
fn a_confined_provider_brings_its_own_domains_alone() {
    let verified = |email: &str, verified: Value| json!({"email": email, "email_verified": verified});
    let addresses = [
        (verified("ada@partner.com", json!(true)), true),
        (verified("ADA@Partner.COM", json!("true")), true),
        (json!({"email": "ada@partner.com"}), true),
        (verified("ada@partner.com", json!(false)), false),
        (verified("ada@partner.com", json!("false")), false),
        (verified("ada@partner.com", json!(null)), false),
        (verified("ada@partner.com", json!(1)), false),
        (verified("ada@corp.com", json!(true)), false),
        (verified("ada@sub.partner.com", json!(true)), false),
        (verified("ada@partner.com.", json!(true)), false),
        (verified("ada@partner.com.evil.example", json!(true)), false),
        (verified("ada@evilpartner.com", json!(true)), false),
        (verified("ada@xn--partner-.com", json!(true)), false),
        (verified("ada@partner.com@corp.com", json!(true)), false),
        (json!({}), false),
        (json!({"email": null}), false),
        (json!({"email": ["ada@partner.com"]}), false),
    ];
    let users: Vec<User> = vec![("ada", "ada@partner.com", true, ""), ("root", "ada@corp.com", true, "")];
    let named = json!({"claim": "n", "attribute": "username"});
    let providers = json!([provider("corp", false), provider("partner", true)]);
    for (claims, passes) in &addresses {
        for kind in KINDS {
            for policy in ["unless_false", "ignored", "required"] {
                let required = policy == "required" && claims.get("email_verified").is_none();
                let wanted =
                    if *passes && !required { Ok("ada".to_owned()) } else { Err("identity_not_allowed") };
                let mut changes =
                    json!({"identity_providers": providers, "mapping": {"email_verified": policy}});
                let found = resolved(kind, &users, true, &changes, who("partner", claims.clone()));
                assert_eq!(found.outcome, wanted, "{kind:?} {policy} {claims}");
                assert_eq!(found.calls == 0, wanted.is_err() || kind == Kind::Static, "nothing is asked");
                // By username, the address is still the one that the claim `email` has.
                changes["mapping"].as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
                let mut with_name = claims.clone();
                with_name["n"] = json!("ada");
                let found = resolved(kind, &users, true, &changes, who("partner", with_name));
                assert_eq!(found.outcome, wanted, "by name: {kind:?} {policy} {claims}");
            }
        }
    }
    // A link does not help a stranger in, and without a directory there is no other way.
    let linked: [User; 1] = [("ada", "ada@corp.com", true, "https://partner.example|s-1")];
    let changes = json!({ "identity_providers": providers });
    for kind in KINDS {
        let stranger = who("partner", json!({"email": "ada@corp.com"}));
        assert_eq!(resolved(kind, &linked, true, &changes, stranger).outcome, Err("identity_not_allowed"));
    }
    let alone = json!({ "identity_providers": providers, "directory": null });
    let of =
        |email| resolved(Kind::Static, &[], true, &alone, who("partner", json!({"email": email}))).outcome;
    assert_eq!(of("ada@partner.com"), Ok("ada@partner.com".into()));
    assert_eq!(of("ada@corp.com"), Err("identity_not_allowed"));
}

#[test]
fn an_invitation_is_taken_up_by_who_may_speak_for_the_address() {
    let invited = |provider: &str, confined: bool, several: bool, email: &str, verified: Option<Value>| {
        let mut providers = vec![self::provider(provider, confined)];
        if several {
            providers.push(self::provider("third", false));
        }
        let changes = json!({
            "identity_providers": providers, "mapping": {"email_verified": "ignored"},
            "provisioning": {"mode": "invited", "invitations": [{"email": "Carol@partner.com", "roles": ["member"]}]}
        });
        let mut claims = json!({ "email": email });
        if let Some(verified) = verified {
            claims["email_verified"] = verified;
        }
        resolved(Kind::Scim, &[], several, &changes, who(provider, claims)).outcome
    };
    let yes = || Ok("invited carol@partner.com".to_owned());
    for several in [false, true] {
        for confined in [false, true] {
            let of = |verified| invited("partner", confined, several, "carol@PARTNER.com", verified);
            assert_eq!(of(Some(json!(true))), yes());
            assert_eq!(of(Some(json!("true"))), yes());
            let refused = Err(if confined { "identity_not_allowed" } else { "identity_unknown" });
            for verified in [json!(false), json!("false"), json!(null), json!("yes")] {
                assert_eq!(of(Some(verified)), refused);
            }
            let silent = if several && !confined { Err("identity_unknown") } else { yes() };
            assert_eq!(of(None), silent, "several {several}, confined {confined}");
        }
    }
    assert_eq!(
        invited("corp", true, true, "carol@partner.com", Some(json!(true))),
        Err("identity_not_allowed")
    );
}
