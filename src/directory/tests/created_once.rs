//! One login at a time creates a user: the lock that workers share, how long it holds, and what the server's answer proves.

use super::provisioning::{provisioned, server};
use super::*;
use crate::directory::{provision, seen};
use crate::host::Host;

/// The lock of ada's creation.
fn lock() -> String {
    format!("sso.creating.{}", seen::hash(&["acme", "ada@acme.com"]) % 256)
}

/// A login of ada while the lock has this value, beginning at the clock's `now`; each question to the server takes a
/// second. Returns what comes of it, the methods of all calls, and what the lock has in the end.
fn login_while(held: impl Fn(u64) -> u64) -> (Result<String, Code>, Vec<String>, u64) {
    let host = TestHost::new();
    let before = held(host.now()).to_be_bytes();
    host.shared_set(&lock(), &before, None);
    let users = Rc::new(RefCell::new(vec![]));
    let mut server = server(users, true);
    let (io, clock) = (host.io(), host.clone());
    let inner = io.clone();
    let account = provisioned(ProvisioningMode::Automatic, scim());
    let flow = async move { resolve(&inner, &account, &Cache::new(), &ada()).await };
    let (result, calls) = drive_with(&io, flow, |call| {
        clock.advance(1_000);
        server(call)
    });
    let after =
        host.shared_get(&lock()).0.and_then(|value| value.try_into().ok()).map_or(1, u64::from_be_bytes);
    (name(result), calls.iter().map(|call| path(call).0).collect(), after)
}

#[test]
fn a_lock_that_is_free_or_stale_is_taken_and_given_back() {
    let held: [fn(u64) -> u64; 4] = [
        |_| 0,
        // To the millisecond of the question: two questions have passed until then.
        |now| now + 2_000,
        |now| now,
        // Further away than any lease: a clock was wrong.
        |now| now + 302_001,
    ];
    for until in held {
        let (result, methods, after) = login_while(until);
        assert_eq!(result, Ok("ada@acme.com".to_owned()));
        assert_eq!(methods, ["GET", "GET", "GET", "GET", "GET", "POST"], "the answer shows whom it made");
        assert_eq!(after, 0, "given back");
    }
}

#[test]
fn a_login_waits_for_another_as_long_as_a_creation_may_take() {
    // Four requests of two seconds each and a second more: nine seconds from the first look on.
    let (result, methods, _) = login_while(|now| now + 302_000);
    assert_eq!(result, Err(Code::DirectoryUnavailable));
    assert_eq!(methods, vec!["GET"; 12], "two questions, then two for each look until nine seconds are over");
    // The other one is done a little later: its lock ends, and nothing was created meanwhile.
    let (result, methods, after) = login_while(|now| now + 2_001);
    assert_eq!((result, after), (Ok("ada@acme.com".to_owned()), 0));
    assert_eq!(methods.len(), 8, "one look more than without a lock");
}

#[test]
fn a_lock_that_another_login_took_over_is_not_given_back_for_it() {
    let host = TestHost::new();
    let (io, shared) = (host.io(), host.clone());
    let inner = io.clone();
    let account = provisioned(ProvisioningMode::Automatic, scim());
    let mut server = server(Rc::new(RefCell::new(vec![])), true);
    let flow = async move { resolve(&inner, &account, &Cache::new(), &ada()).await };
    let (result, _) = drive_with(&io, flow, |call| {
        if path(call).0 == "POST" {
            shared.shared_set(&lock(), &7u64.to_be_bytes(), None);
        }
        server(call)
    });
    assert_eq!(name(result), Ok("ada@acme.com".to_owned()));
    assert_eq!(host.shared_get(&lock()).0, Some(7u64.to_be_bytes().to_vec()));
}

#[test]
fn an_answer_that_shows_another_user_signs_nobody_in() {
    let eve = json!({"id": "9", "userName": "eve", "emails": [{"value": "eve@acme.com"}], "active": true});
    let created = |answer: Value| {
        let account = provisioned(ProvisioningMode::Automatic, scim());
        let (result, ..) = resolved(account, ada(), |call| match path(call).0.as_str() {
            "POST" => testing::status(201, "application/scim+json", answer.to_string()),
            _ => list(&[]),
        });
        name(result)
    };
    assert_eq!(created(eve.clone()), Err(Code::DirectoryUnavailable));
    let own =
        testing::changed(eve, &json!({"emails": [{"value": "ada@acme.com"}], "userName": "ada@acme.com"}));
    assert_eq!(created(own), Ok("ada@acme.com".to_owned()));
}

#[test]
fn a_user_over_a_list_has_a_phone_number_only_where_it_is_what_signs_in() {
    let created = |attribute: Attribute, claim: &str| {
        let mut account = provisioned(ProvisioningMode::Automatic, Directory::Static(vec![]));
        account.mapping.attribute = attribute;
        account.mapping.claim = claim.into();
        let identity = example(json!({"phone_number": "+8613800000000", "email": "bob@acme.com"}));
        match resolved(account, identity, |_| panic!("no call")).0 {
            Ok(Resolution::User(user)) => (user.username, user.email, user.phone),
            other => panic!("{other:?}"),
        }
    };
    let (bob, number) = (|| "bob@acme.com".to_owned(), "+8613800000000".to_owned());
    assert_eq!(created(Attribute::Email, "email"), (bob(), Some(bob()), None));
    assert_eq!(created(Attribute::Phone, "phone_number"), (bob(), Some(bob()), Some(number)));
}

/// Accepts ada's invitation, in a directory that has these users already: what comes of it, and whether it is used up.
fn accepted(account: Account, users: Vec<Value>) -> (Result<String, Code>, bool) {
    let host = TestHost::new();
    let (io, account) = (host.io(), Rc::new(account));
    let (inner, own) = (io.clone(), account.clone());
    let mut server = server(Rc::new(RefCell::new(users)), true);
    let flow = async move { provision::accept_invitation(&inner, &own, &Cache::new(), &ada()).await };
    let (result, _) = drive_with(&io, flow, |call| server(call));
    let roles = vec!["organization_admin".to_owned()];
    let is_taken = invitations::is_taken(&*host, &account, "ada@acme.com", &roles);
    (result.map(|user| user.username).map_err(|fault| fault.code), is_taken)
}

#[test]
fn an_invitation_counts_only_where_users_are_invited() {
    let ada = || Ok("ada@acme.com".to_owned());
    let there = json!({"id": "1", "userName": "ada@acme.com", "emails": ["ada@acme.com"], "externalId": "x"});
    let account = |mode| provisioned(mode, scim());
    assert_eq!(accepted(account(ProvisioningMode::Invited), vec![]), (ada(), true));
    assert_eq!(accepted(account(ProvisioningMode::Invited), vec![there.clone()]), (ada(), true));
    for mode in [ProvisioningMode::Off, ProvisioningMode::Automatic] {
        assert_eq!(accepted(account(mode), vec![]), (Err(Code::IdentityUnknown), false), "{mode:?}");
    }
    let bare = provisioned(ProvisioningMode::Invited, Directory::None);
    assert_eq!(accepted(bare, vec![]).0, Err(Code::IdentityUnknown));
    // A test sign-in with a draft uses nothing up.
    let draft = Account { is_draft: true, ..account(ProvisioningMode::Invited) };
    assert_eq!(accepted(draft, vec![there]), (ada(), false));
}

#[test]
fn a_test_sign_in_with_a_draft_says_what_it_would_create() {
    for directory in [scim(), Directory::Static(vec![])] {
        let account = Account { is_draft: true, ..provisioned(ProvisioningMode::Automatic, directory) };
        let (result, calls, _) = resolved(account, ada(), |_| list(&[]));
        let fault = result.unwrap_err();
        assert_eq!(fault.code, Code::IdentityUnknown);
        assert!(fault.detail.contains("the user would be created"), "{}", fault.detail);
        assert!(calls.iter().all(|call| path(call).0 == "GET"));
    }
}
