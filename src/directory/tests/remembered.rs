//! What is remembered between requests: answers for as long as they may be old, indexes of lists, invitations taken up.

use super::*;

fn records(name: &str) -> Vec<Record> {
    vec![Record::from(&user(name, None, true))]
}

#[test]
fn an_answer_is_remembered_for_as_long_as_it_may_be_old() {
    let (cache, account) = (Cache::new(), account(scim()));
    let other = Account { code: "other".into(), ..super::account(scim()) };
    cache.remember(&account, "ada", 1_000, 0, &records("ada"));
    assert!(cache.answer(&account, "ada", 1_000, 500).is_none(), "nothing is remembered for no time");
    cache.remember(&account, "ada", 1_000, 500, &records("ada"));
    for (now, max_age, there) in
        [(1_000, 500, true), (1_499, 500, true), (1_500, 500, false), (999, 500, false), (1_000, 0, false)]
    {
        assert_eq!(cache.answer(&account, "ada", now, max_age).is_some(), there, "{now} {max_age}");
    }
    assert!(cache.answer(&account, "bob", 1_000, 500).is_none());
    assert!(cache.answer(&other, "ada", 1_000, 500).is_none());
    cache.forget(&other, "ada");
    assert!(cache.answer(&account, "ada", 1_000, 500).is_some());
    cache.forget(&account, "ada");
    assert!(cache.answer(&account, "ada", 1_000, 500).is_none());
}

#[test]
fn a_full_memory_forgets_what_is_too_old_and_then_all() {
    let (cache, account) = (Cache::new(), account(scim()));
    let is_there = |name: &str, now| cache.answer(&account, name, now, 500).is_some();
    cache.remember(&account, "young", 1_400, 500, &records("young"));
    for n in 0..4_095 {
        cache.remember(&account, &format!("old-{n}"), 1_000, 500, &records("old"));
    }
    assert!(is_there("old-0", 1_400));
    // They are exactly as old as they may not be.
    cache.remember(&account, "next", 1_500, 500, &records("next"));
    assert!(is_there("young", 1_500) && is_there("next", 1_500));
    for n in 0..4_095 {
        cache.remember(&account, &format!("new-{n}"), 1_500, 500, &records("new"));
    }
    assert!(is_there("new-4094", 1_500) && !is_there("young", 1_500), "the memory is bounded");
}

#[test]
fn each_account_learns_for_itself_what_its_server_cannot_do() {
    let (cache, account) = (Cache::new(), account(scim()));
    let other = Account { code: "other".into(), ..super::account(scim()) };
    assert!(!cache.wants_plain_filters(&account) && !cache.cannot_filter_links(&account));
    cache.use_plain_filters(&account);
    assert!(cache.wants_plain_filters(&account) && !cache.cannot_filter_links(&account));
    cache.ask_no_links(&account);
    assert!(cache.cannot_filter_links(&account));
    assert!(!cache.wants_plain_filters(&other) && !cache.cannot_filter_links(&other));
}

#[test]
fn a_list_has_an_index_for_each_field_that_is_looked_up() {
    let mut ada = user("ada", Some("ada@acme.com"), true);
    ada.phone = Some("+49 151 1".into());
    let users = vec![ada, user("bob", Some("bob@acme.com"), true)];
    let (cache, account) = (Cache::new(), account(Directory::Static(users.clone())));
    let by = |attribute| cache.index_by(&account, &users, attribute);
    assert!(Rc::ptr_eq(&by(Attribute::Email), &cache.index(&account, &users)), "the mapping's own");
    assert!(Rc::ptr_eq(&by(Attribute::Phone), &by(Attribute::Phone)), "built once");
    assert_eq!(by(Attribute::Email).by_value(&users, "bob@acme.com").len(), 1);
    assert_eq!(by(Attribute::Phone).by_value(&users, "+491511").len(), 1);
    assert_eq!(by(Attribute::Phone).by_value(&users, "bob@acme.com").len(), 0);
    assert_eq!(by(Attribute::Username).by_value(&users, "bob").len(), 1);
}

#[test]
fn an_invitation_into_a_directory_is_taken_up_once() {
    let host = TestHost::new();
    let (scim, list) = (account(scim()), account(Directory::Static(Vec::new())));
    let roles = |name: &str| vec![name.to_owned()];
    let is_taken = |account: &Account, address: &str, role| {
        invitations::is_taken(&*host, account, address, &roles(role))
    };
    assert!(!is_taken(&scim, "eve@acme.com", "member"));
    invitations::take(&*host, &scim, "eve@acme.com", &roles("member"));
    assert!(is_taken(&scim, "eve@acme.com", "member"));
    assert!(!is_taken(&scim, "eve@acme.com", "editor"), "other roles are another invitation");
    assert!(!is_taken(&scim, "bob@acme.com", "member"));
    host.advance(3_999 * 86_400_000);
    assert!(is_taken(&scim, "eve@acme.com", "member"), "for longer than a process lives");
    invitations::take(&*host, &list, "eve@acme.com", &roles("member"));
    assert!(!is_taken(&list, "eve@acme.com", "member"), "the user lasts no longer than the session");
}

#[test]
fn what_logins_look_up_is_built_with_the_configuration() {
    let built = |attributes: &[Attribute], directory: Directory| {
        let mut account = account(directory);
        let login = |attribute| {
            let plain = PasswordLogin::plain("/login", UsernameField::Form("name".into()));
            Rc::new(PasswordLogin { attribute, ..plain })
        };
        account.password.logins = attributes.iter().copied().map(login).collect();
        let cache = Cache::new();
        cache.prepare(&account);
        cache.indexes_built()
    };
    use Attribute::{Email, Phone, Username};
    let list = || Directory::Static(vec![user("ada", Some("ada@acme.com"), true)]);
    assert_eq!(built(&[], list()), ["acme"]);
    assert_eq!(built(&[Username], list()), ["acme"], "any index finds a username");
    assert_eq!(
        built(&[Email, Phone, Username], list()),
        ["acme", "acme\0phone"],
        "the mapping's is the email"
    );
    assert!(built(&[Phone], scim()).is_empty());
}

#[test]
fn a_server_without_ends_with_is_asked_with_it_once() {
    let phone = || {
        let mut account = account(scim());
        account.mapping.attribute = Attribute::Phone;
        account.mapping.claim = "phone_number".into();
        account
    };
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let (account, cache) = (phone(), Cache::new());
        let identity = example(json!({"phone_number": "+86 138 0000 0000"}));
        let first = resolve(&inner, &account, &cache, &identity).await.is_ok();
        Ok((first, resolve(&inner, &account, &cache, &identity).await.is_ok()))
    };
    let ada = json!({"id": "1", "userName": "ada", "phoneNumbers": [{"value": "+8613800000000"}], "externalId": "x"});
    let (result, calls) = drive_with(&io, flow, |call| match path(call).1.contains("%20ew%20") {
        true => testing::status(400, "application/json", "{}"),
        false => list(std::slice::from_ref(&ada)),
    });
    assert_eq!(result.unwrap(), (true, true));
    let ends_with = |call: &&Call| path(call).1.contains("%20ew%20");
    assert_eq!((calls.len(), calls.iter().filter(ends_with).count()), (5, 1));
    // Another question that is refused is not asked twice.
    let (result, calls, _) =
        resolved(account(scim()), super::ada(), |call| match path(call).1.contains("externalId") {
            true => list(&[]),
            false => testing::status(400, "application/json", "{}"),
        });
    assert_eq!((name(result), calls.len()), (Err(Code::DirectoryUnavailable), 2));
}
