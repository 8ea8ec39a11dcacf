//! The table of docs/directory.md, against a static list and a scripted SCIM server.

mod admin_reports;
mod created_once;
mod matched;
mod pages;
pub(crate) mod provisioning;
mod read;
mod remembered;
mod users;
mod vouched;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{json, Value};

use super::UserSource;
use super::*;
use crate::config::*;
use crate::host::task::{Call, Failure, Reply};
use crate::identity::{example, mapping::tests::mapping, Identity};
use crate::testing::{self, drive_with, TestHost};
use crate::values::secret::Secret;

pub(crate) fn account(directory: Directory) -> Account {
    Account {
        code: "acme".into(),
        origins: Vec::new(),
        patterns: Vec::new(),
        login_origin: None,
        enabled: true,
        paths: Paths::of("acme").into(),
        providers: Vec::new(),
        mapping: mapping(),
        directory,
        provisioning: Provisioning {
            mode: ProvisioningMode::Off,
            email_domains: Vec::new(),
            roles: Vec::new(),
            invitations: Vec::new(),
        },
        password: Password {
            mode: PasswordMode::Admins,
            admin_roles: vec!["account_admin".into()],
            administrators: Vec::new(),
            logins: Vec::new(),
            page: None,
            keeps_administrators: false,
            attempts: AttemptLimit { limit: 3, window: 60_000 },
        },
        access: Vec::new(),
        bearer: None,
        logout: Default::default(),
        forward: Forward::default(),
        not_before: 0,
        not_before_users: BTreeMap::new(),
        self_service: None,
        file: None,
        is_draft: false,
        kept: Default::default(),
    }
}

pub(crate) fn user(username: &str, email: Option<&str>, active: bool) -> StaticUser {
    StaticUser {
        username: username.into(),
        email: email.map(str::to_owned),
        phone: None,
        name: None,
        roles: vec!["member".into()],
        active,
        external_id: None,
    }
}

pub(crate) fn scim() -> Directory {
    Directory::Scim(Box::new(Scim {
        url: "http://directory.internal/scim/v2".parse().unwrap(),
        token: Some(Secret::new("scim-token".into()).into()),
        timeout: 2_000,
        cache: 30_000,
    }))
}

pub(crate) fn list(users: &[Value]) -> Reply {
    testing::json(&json!({ "totalResults": users.len(), "Resources": users }))
}

fn path(call: &Call) -> (String, String) {
    let of = |name: &str| call.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
    (of(":method"), of(":path"))
}

/// Resolves with replies that depend on the call.
fn resolved(
    account: Account,
    identity: Identity,
    respond: impl FnMut(&Call) -> Reply,
) -> (Result<Resolution, Fault>, Vec<Call>, Rc<TestHost>) {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let (result, calls) =
        drive_with(&io, async move { resolve(&inner, &account, &Cache::new(), &identity).await }, respond);
    (result, calls, host)
}

fn ada() -> Identity {
    example(json!({"email": "Ada@acme.com", "name": "Ada L", "groups": ["admins"]}))
}

fn name(result: Result<Resolution, Fault>) -> Result<String, Code> {
    match result {
        Ok(Resolution::User(user)) => Ok(user.username),
        Ok(Resolution::Invitation { email, .. }) => Ok(format!("invited {email}")),
        Err(fault) => Err(fault.code),
    }
}

#[test]
fn a_directory_that_does_not_answer_is_told_with_what_to_look_at() {
    let status = |status: u16| testing::status(status, "text/plain", "");
    for (reply, what) in [
        (status(401), "status 401: compare directory.scim.token with"),
        (status(404), "status 404: directory.scim.url must be its SCIM base, such as"),
        (status(302), "status 302: redirects are not followed, so write"),
        (status(500), "status 500: its own log says why"),
        (status(429), "status 429: docs/scim-server.md has what it must answer"),
        (Reply::Failed(Failure::NoCluster("directory.internal".into())), "clusters must name one for it"),
        (Reply::Failed(Failure::Timeout), "no answer in time; see `timeout`"),
        (testing::json(&json!([])), "the directory's answer"),
    ] {
        let (result, ..) = resolved(account(scim()), ada(), |_| reply.clone());
        let Err(fault) = result else { panic!("{reply:?}") };
        assert_eq!(fault.code, Code::DirectoryUnavailable, "{reply:?}");
        let detail = &fault.detail;
        assert!(detail.contains(what), "{what}: {detail}");
        assert!(
            detail.contains("(http://directory.internal/scim/v2") && detail.contains(", cluster \""),
            "{detail}"
        );
        assert!(!detail.contains("acme.com") && !detail.contains("scim-token"), "{detail}");
    }
}

#[test]
fn a_static_list_follows_the_table() {
    let with = |users: Vec<StaticUser>| {
        let (result, calls, _) = resolved(account(Directory::Static(users)), ada(), |_| panic!("no call"));
        assert!(calls.is_empty());
        name(result)
    };
    let bob = || user("bob", Some("bob@acme.com"), true);
    assert_eq!(with(vec![bob(), user("ada", Some(" ADA@acme.com"), true)]), Ok("ada".into()));
    assert_eq!(with(vec![bob(), user("ada", Some("ada@acme.com"), false)]), Err(Code::UserInactive));
    assert_eq!(with(vec![bob(), user("ada", None, true)]), Err(Code::IdentityUnknown));
    for second in [true, false] {
        let both = vec![user("ada", Some("ada@acme.com"), true), user("ada2", Some("Ada@acme.com"), second)];
        assert_eq!(with(both), Err(Code::IdentityAmbiguous), "{second}");
    }
    for (link, outcome) in [
        ("https://idp.example.com|sub-1", Ok("ada".to_owned())),
        ("https://idp.example.com|sub-2", Err(Code::IdentityConflict)),
        ("https://idp.example.com|", Err(Code::IdentityConflict)),
        ("https://other.example.com|sub-2", Ok("ada".into())),
        ("HR-4711", Ok("ada".into())),
        ("", Ok("ada".into())),
    ] {
        let linked = StaticUser { external_id: Some(link.into()), ..user("ada", Some("ada@acme.com"), true) };
        assert_eq!(with(vec![linked]), outcome, "{link}");
    }
}

#[test]
fn without_a_directory_the_identity_is_the_user() {
    let (result, ..) = resolved(account(Directory::None), ada(), |_| panic!("no call"));
    let Ok(Resolution::User(user)) = result else { panic!("{result:?}") };
    assert_eq!((user.username.as_str(), user.origin), ("ada@acme.com", UserSource::Identity));
    assert_eq!(user.name.as_deref(), Some("Ada L"));
}

#[test]
fn roles_are_the_union_of_directory_and_role_map() {
    let mut account = account(scim());
    account.mapping.roles_claim = vec!["groups".into()];
    account.mapping.role_map =
        BTreeMap::from([("admins".into(), "account_admin".into()), ("staff".into(), "reader".into())]);
    let record = json!({"id": "1", "userName": "ada", "emails": [{"value": "ada@acme.com"}], "externalId": "x",
        "roles": [{"value": "member"}], "groups": [{"value": "g1", "display": "staff"}, {"display": "account_owner"}]});
    let (result, calls, _) = resolved(account, ada(), |_| list(std::slice::from_ref(&record)));
    let Ok(Resolution::User(user)) = result else { panic!("{result:?}") };
    assert_eq!(user.roles, ["account_admin", "member", "reader"]);
    assert_eq!(calls.len(), 2, "by the link, then by the value");
    let sealed = serde_json::to_string(&user).unwrap();
    assert_eq!(serde_json::from_str::<User>(&sealed).unwrap(), user);
}

#[test]
fn a_scim_lookup_is_one_request_with_a_token_and_the_first_links() {
    let record = json!({"id": "1/2", "userName": "ada", "emails": [{"value": "ada@acme.com"}], "meta": {"version": "W/\"3\""}});
    let (result, mut calls, host) = resolved(account(scim()), ada(), |call| match path(call).0.as_str() {
        "GET" => list(std::slice::from_ref(&record)),
        _ => testing::status(204, "", ""),
    });
    assert_eq!(name(result), Ok("ada".into()));
    let by_link = "/scim/v2/Users?filter=externalId%20eq%20%22https%3A%2F%2Fidp.example.com%7Csub-1%22";
    assert_eq!(path(&calls.remove(0)), ("GET".into(), by_link.into()));
    let paths: Vec<_> = calls.iter().map(path).collect();
    assert_eq!(
        paths[0],
        ("GET".into(), "/scim/v2/Users?filter=emails.value%20eq%20%22ada%40acme.com%22".into())
    );
    assert_eq!(paths[1], ("PATCH".into(), "/scim/v2/Users/1%2F2".into()));
    assert!(calls[0].headers.contains(&("authorization".into(), "Bearer scim-token".into())));
    assert!(calls[1].headers.contains(&("if-match".into(), "W/\"3\"".into())));
    let body: Value = serde_json::from_slice(calls[1].body.as_ref().unwrap()).unwrap();
    assert_eq!(
        body["Operations"][0],
        json!({"op": "add", "path": "externalId", "value": "https://idp.example.com|sub-1"})
    );
    assert!(host.logs().is_empty());
}

#[test]
fn a_failed_link_is_logged_and_the_person_is_in() {
    let record = json!({"id": "1", "userName": "ada", "emails": ["ada@acme.com"]});
    for failed in [testing::status(500, "", ""), Reply::Failed(Failure::Timeout)] {
        let (result, _, host) = resolved(account(scim()), ada(), |call| match path(call).0.as_str() {
            "GET" => list(std::slice::from_ref(&record)),
            _ => failed.clone(),
        });
        assert_eq!(name(result), Ok("ada".into()));
        assert_eq!(host.logs().len(), 1);
        let line: Value = serde_json::from_str(&host.logs()[0].1).unwrap();
        let said = ["event", "account", "user", "id"].map(|name| line[name].as_str().unwrap().to_owned());
        assert_eq!(said, ["directory_link_failed", "acme", "ada", "1"]);
        assert!(!host.logs()[0].1.contains("scim-token"));
    }
}

#[test]
fn what_the_directory_returns_is_compared_again() {
    let other =
        json!({"id": "2", "userName": "eve", "emails": [{"value": "eve@acme.com"}], "externalId": "x"});
    let own =
        json!({"id": "1", "userName": "ada", "emails": [{"value": "ADA@acme.com "}], "externalId": "x"});
    let twin = json!({"id": "3", "userName": "ada2", "emails": [{"value": "ada@acme.com"}], "active": false});
    for (users, outcome) in [
        (vec![other.clone()], Err(Code::IdentityUnknown)),
        (vec![other.clone(), own.clone()], Ok("ada".to_owned())),
        (vec![own.clone(), own.clone()], Ok("ada".into())),
        (vec![own, twin], Err(Code::IdentityAmbiguous)),
        (vec![], Err(Code::IdentityUnknown)),
    ] {
        let (result, ..) = resolved(account(scim()), ada(), |_| list(&users));
        assert_eq!(name(result), outcome, "{users:?}");
    }
}

#[test]
fn an_odd_answer_never_signs_anyone_in() {
    let record = |more: &str| {
        format!(
            r#"{{"totalResults":1,"Resources":[{{"id":"1","userName":"ada","externalId":"x","emails":[{{"value":"ada@acme.com"}}]{more}}}]}}"#
        )
    };
    let json = |body: String| testing::answer("application/scim+json", body);
    assert_eq!(name(resolved(account(scim()), ada(), |_| json(record(""))).0), Ok("ada".into()));
    for reply in [
        Reply::Failed(Failure::Timeout),
        Reply::Failed(Failure::Unreachable),
        Reply::Failed(Failure::TooLarge),
        testing::status(500, "application/json", record("")),
        testing::status(401, "application/json", "{}"),
        testing::status(404, "application/json", "{}"),
        testing::status(302, "application/json", record("")),
        testing::answer("text/html", "<html>"),
        json(String::new()),
        json("{}".into()),
        json("[]".into()),
        json("null".into()),
        json(record("")[..40].into()),
        json(record("") + "x"),
        json(record(&format!(r#","x":{}1{}"#, "[".repeat(40), "]".repeat(40)))),
        json(record(r#","name":{"formatted":"a","formatted":"b"}"#)),
        json(record(r#","userName":"eve""#)),
        json(record(r#","active":"perhaps""#)),
        json(record(r#","active":"true""#)),
        json(record(r#","active":null"#)),
        json(record(r#","active":1"#)),
        json(record(r#","emails":7"#)),
        json(record("").replace(r#""ada""#, "7")),
        json(record("").replace(r#""userName":"ada","#, "")),
        json(
            record("")
                .replace(r#""totalResults":1"#, r#""totalResults":9"#)
                .replace(r#""Resources":["#, r#""startIndex":5,"Resources":["#),
        ),
        json(r#"{"totalResults":1,"Resources":{}}"#.into()),
        testing::answer("application/json", [record("").as_bytes(), b"\xff"].concat()),
    ] {
        let (result, ..) = resolved(account(scim()), ada(), |_| reply.clone());
        assert_eq!(name(result), Err(Code::DirectoryUnavailable), "{reply:?}");
    }
}

/// A server that ignores filters and pages.
fn paged(total: usize, per_page: usize, at: impl Fn(usize) -> Value) -> impl FnMut(&Call) -> Reply {
    move |call| {
        let (_, path) = path(call);
        let start: usize =
            path.split("startIndex=").nth(1).map_or(1, |s| s.split('&').next().unwrap().parse().unwrap());
        let users: Vec<Value> = (start..=total).take(per_page).map(&at).collect();
        testing::json(
            &json!({"totalResults": total, "startIndex": start, "itemsPerPage": users.len(), "Resources": users}),
        )
    }
}

fn numbered(n: usize) -> Value {
    json!({"id": n.to_string(), "userName": format!("u{n}"), "emails": [{"value": format!("u{n}@acme.com")}], "externalId": "x"})
}

#[test]
fn a_server_that_ignores_filters_is_read_to_the_end() {
    let u = |n: usize| example(json!({"email": format!("u{n}@acme.com")}));
    let (result, calls, _) = resolved(account(scim()), u(450), paged(450, 100, numbered));
    assert_eq!((name(result), calls.len()), (Ok("u450".into()), 10));
    // The second of that address is on the last page.
    let (result, ..) = resolved(
        account(scim()),
        u(1),
        paged(450, 100, |n| match n {
            450 => json!({"id": "450", "userName": "late", "emails": ["U1@acme.com"]}),
            n => numbered(n),
        }),
    );
    assert_eq!(name(result), Err(Code::IdentityAmbiguous));
    let (result, ..) = resolved(account(scim()), u(1), paged(1_000_000, 10, numbered));
    assert_eq!(name(result), Err(Code::DirectoryUnavailable), "more than is read");
    let stuck =
        |_: &Call| testing::json(&json!({"totalResults": 4, "Resources": [numbered(1), numbered(2)]}));
    assert_eq!(
        name(resolved(account(scim()), u(1), stuck).0),
        Err(Code::DirectoryUnavailable),
        "repeats its first page"
    );
}

#[test]
fn quotes_in_a_value_stay_in_the_filter() {
    let mut account = account(scim());
    account.mapping.attribute = Attribute::Username;
    account.mapping.claim = "n".into();
    let (result, calls, _) =
        resolved(account, example(json!({"n": "a\" or userName pr or \\"})), |_| list(&[]));
    assert_eq!(name(result), Err(Code::IdentityUnknown));
    let wanted = "userName%20eq%20%22a%5C%22%20or%20userName%20pr%20or%20%5C%5C%22";
    assert!(path(&calls[1]).1.ends_with(wanted), "{:?}", path(&calls[1]));
}

#[test]
fn phones_are_asked_for_in_every_notation_and_compared_as_numbers() {
    let phone = || {
        let mut account = account(scim());
        account.mapping.attribute = Attribute::Phone;
        account.mapping.claim = "phone_number".into();
        account
    };
    let identity = || example(json!({"phone_number": "+86 138 0000 0000"}));
    let stored = |text: &str| json!({"id": "1", "userName": "ada", "phoneNumbers": [{"value": text}], "externalId": "x"});
    let (result, calls, _) = resolved(phone(), identity(), |_| list(&[stored("(138) 0000-0000")]));
    assert_eq!((name(result), calls.len()), (Ok("ada".into()), 2));
    let exchange = path(&calls[1]).1;
    for notation in [
        "%22%2B8613800000000%22",
        "%22%2B86%20138%200000%200000%22",
        "%22%2B86-138-0000-0000%22",
        "%22008613800000000%22",
        "%22138-0000-0000%22",
        "ew%20%220000%22",
    ] {
        assert!(exchange.contains(notation), "{notation} in {exchange}");
    }
    assert!(exchange.len() < 8_000, "{}", exchange.len());
    // A server without `ew` is asked again without it.
    let mut calls_seen = 0;
    let (result, ..) = resolved(phone(), identity(), |call| {
        calls_seen += 1;
        if path(call).1.contains("%20ew%20") {
            testing::status(400, "application/json", "{}")
        } else {
            list(&[stored("+8613800000000")])
        }
    });
    assert_eq!((name(result), calls_seen), (Ok("ada".into()), 3));
    assert_eq!(
        name(resolved(phone(), identity(), |_| list(&[stored("+86 138 0000 0001")])).0),
        Err(Code::IdentityUnknown)
    );
}

fn rechecked(account: Account, user: User, replies: Vec<Reply>) -> Result<Option<User>, Fault> {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    testing::drive(&io, async move { recheck(&inner, &account, &Cache::new(), &user).await }, replies).0
}

#[test]
fn a_recheck_takes_away_what_the_directory_took_away() {
    let record = |id: &str, active: bool, role: &str| json!({"id": id, "userName": "ada", "active": active, "roles": [role]});
    let user = || {
        let record = Record {
            id: Some("1".into()),
            username: "ada".into(),
            roles: vec!["account_admin".into()],
            active: true,
            ..Record::default()
        };
        User::of(&record, &mapping(), Default::default())
    };
    let roles =
        |replies| rechecked(account(scim()), user(), replies).map(|u| u.map(|u| u.roles)).map_err(|f| f.code);
    assert_eq!(roles(vec![list(&[record("1", true, "member")])]), Ok(Some(vec!["member".into()])));
    assert_eq!(roles(vec![list(&[record("1", false, "account_admin")])]), Ok(None));
    assert_eq!(
        roles(vec![list(&[record("2", true, "account_admin")])]),
        Ok(None),
        "the name is another person's now"
    );
    assert_eq!(roles(vec![list(&[])]), Ok(None));
    assert_eq!(roles(vec![Reply::Failed(Failure::Timeout)]), Err(Code::DirectoryUnavailable));
}

#[test]
fn remembered_answers_serve_rechecks_alone() {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let other = host.clone();
    let record = |active: bool| json!({"id": "1", "userName": "ada", "active": active});
    let flow = async move {
        let (account, cache) = (account(scim()), Cache::new());
        let user = User::of(
            &like_username(&inner, &account, &cache, "ada").await?.remove(0),
            &account.mapping,
            Default::default(),
        );
        let young = recheck(&inner, &account, &cache, &user).await?.is_some();
        let ruled = like_username(&inner, &account, &cache, "ada").await?.remove(0).active;
        let after = recheck(&inner, &account, &cache, &user).await?.is_some();
        other.advance(30_000);
        let old = recheck(&inner, &account, &cache, &user).await?.is_some();
        Ok((young, ruled, after, old))
    };
    let (result, calls) =
        testing::drive(&io, flow, [list(&[record(true)]), list(&[record(false)]), list(&[record(true)])]);
    assert_eq!((result.unwrap(), calls.len()), ((true, false, false, true), 3));
}
