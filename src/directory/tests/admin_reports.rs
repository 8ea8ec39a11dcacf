//! Reports for administrators: who could not sign in, is the directory ready.
use super::*;

fn report(account: Account, ready: bool, respond: impl FnMut(&Call) -> Reply) -> Value {
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let mut progress = |_| {};
        match ready {
            true => reports::readiness(&inner, &account, None, &mut progress).await,
            false => reports::completeness(&inner, &account, &mut progress).await,
        }
    };
    drive_with(&io, flow, respond).0.unwrap()
}

#[test]
fn completeness_lists_who_could_not_sign_in() {
    let users = vec![
        user("ada", Some("ada@acme.com"), true),
        user("bob", None, true),
        user("eve", Some("eve"), true),
        user("x", Some("both@acme.com"), true),
        user("y", Some("BOTH@acme.com"), false),
    ];
    let problem =
        |u: &str, p: &str, v: Value, w: &[&str]| json!({"username": u, "problem": p, "value": v, "with": w});
    assert_eq!(
        report(account(Directory::Static(users)), false, |_| panic!("no call")),
        json!({"users": 5, "complete": 1, "problems": [
            problem("bob", "missing", Value::Null, &[]),
            problem("eve", "malformed", json!("eve"), &[]),
            problem("x", "shared", json!("both@acme.com"), &["y"]),
            problem("y", "shared", json!("both@acme.com"), &["x"]),
        ], "notices": []})
    );
}

#[test]
fn a_large_directory_is_read_page_by_page() {
    let found = report(
        account(scim()),
        false,
        paged(100_000, 200, |n| match n {
            7_777 => json!({"id": "7777", "userName": "twin", "emails": ["u3@acme.com"]}),
            n => numbered(n),
        }),
    );
    assert_eq!((&found["users"], &found["complete"]), (&json!(100_000), &json!(99_998)));
    assert_eq!(found["problems"][1]["with"], json!(["u3"]));
}

#[test]
fn readiness_asks_who_has_signed_in() {
    let linked = |name: &str, role: &str, link: Value, active: bool| json!({"id": name, "userName": name, "emails": [format!("{name}@acme.com")], "roles": [role], "externalId": link, "active": active});
    let sso = || json!("https://idp.example.com|1");
    let ready = |users: Vec<Value>| report(account(scim()), true, move |_| list(&users));
    assert_eq!(
        ready(vec![
            linked("ada", "account_admin", sso(), true),
            linked("bob", "member", sso(), true),
            linked("old", "member", Value::Null, false)
        ]),
        json!({"ready": true, "reasons": [], "never_signed_in": [], "administrators_signed_in": ["ada"]})
    );
    let not = ready(vec![
        linked("ada", "account_admin", json!("HR|7"), true),
        linked("bob", "member", sso(), true),
    ]);
    assert_eq!(
        (&not["ready"], &not["never_signed_in"], &not["administrators_signed_in"]),
        (&json!(false), &json!(["ada"]), &json!([]))
    );
    assert_eq!(not["reasons"].as_array().unwrap().len(), 2);
}

#[test]
fn readiness_sees_an_administrator_by_the_word_of_the_provider() {
    let host = TestHost::new();
    let person = |groups: &[&str]| {
        let mut identity = ada();
        identity.claims.insert("groups".into(), json!(groups));
        identity
    };
    let admins = |mut account: Account| {
        account.mapping.roles_claim = vec!["groups".into()];
        account.mapping.role_map = BTreeMap::from([
            ("admins".to_owned(), "account_admin".to_owned()),
            ("staff".to_owned(), "reader".to_owned()),
        ]);
        account
    };
    let record =
        || json!({"id": "1", "userName": "ada", "emails": ["ada@acme.com"], "externalId": ada().link()});
    let by = |account: Account, identity: Option<Identity>| {
        let io = host.io();
        let (inner, later) = (io.clone(), host.clone());
        let flow = async move {
            if let Some(identity) = &identity {
                later.advance(1);
                resolve(&inner, &account, &Cache::new(), identity).await?;
            }
            reports::readiness(&inner, &account, None, &mut |_| {}).await
        };
        let found = drive_with(&io, flow, |_| list(&[record()])).0.unwrap();
        (found["ready"] == true, found["administrators_signed_in"].clone())
    };
    let listed = || Directory::Static(vec![user("ada", Some("ada@acme.com"), true)]);
    for directory in [scim, listed] {
        let account = || admins(account(directory()));
        let (nobody, ada) = ((false, json!([])), (true, json!(["ada"])));
        assert_eq!(by(account(), Some(person(&[]))), nobody);
        assert_eq!(by(account(), Some(person(&["staff"]))), nobody, "another role");
        assert_eq!(by(account(), Some(person(&["admins"]))), ada);
        assert_eq!(by(account(), None), ada, "known from then on");
        let mut other = account();
        other.password.admin_roles = vec!["boss".into()];
        assert_eq!(by(other, None), nobody, "another role makes administrators now");
        let mut unmapped = account();
        unmapped.mapping.role_map.clear();
        assert_eq!(by(unmapped, None), nobody, "the provider's word makes nobody one now");
        let mut elsewhere = account();
        elsewhere.code = "other".into();
        assert_eq!(by(elsewhere, None).1, json!([]), "another account's");
        assert_eq!(by(account(), Some(person(&["staff"]))), nobody, "and no longer, once it says so");
    }
}

#[test]
fn a_list_of_problems_has_an_end_and_says_so() {
    let users = |count: usize| -> Vec<StaticUser> {
        (0..count).map(|n| user(&format!("u{n}"), None, true)).collect()
    };
    for (count, truncated) in [(10_000, Value::Null), (10_001, json!(true))] {
        let list = || Directory::Static(users(count));
        let found = report(account(list()), false, |_| panic!("no call"));
        assert_eq!(found["problems"].as_array().unwrap().len(), 10_000);
        assert_eq!((&found["users"], &found["complete"]), (&json!(count), &json!(0)));
        assert_eq!(found["truncated"], truncated, "{count}");
        let found = report(account(list()), true, |_| panic!("no call"));
        assert_eq!(found["never_signed_in"].as_array().unwrap().len(), 10_000);
        assert_eq!(found["truncated"], truncated, "{count}");
        let reasons = found["reasons"].to_string();
        assert!(reasons.contains(&format!("{count} active users could not")), "{reasons}");
        assert!(reasons.contains(&format!("{count} active users have never")), "{reasons}");
    }
}

#[test]
fn inactive_users_are_no_obstacle() {
    let users = vec![user("ada", None, false), user("bob", None, true), user("carol", None, true)];
    let reasons =
        report(account(Directory::Static(users)), true, |_| panic!("no call"))["reasons"].to_string();
    assert!(reasons.contains("2 active users could not"), "{reasons}");
}

#[test]
fn how_many_users_a_directory_has_is_one_short_question() {
    let reach = |directory: Directory, total: Value| {
        let host = TestHost::new();
        let io = host.io();
        let inner = io.clone();
        let account = account(directory);
        let flow = async move { reports::reach(&inner, &account).await };
        let answer = json!({"totalResults": total, "Resources": []});
        let (result, calls) = drive_with(&io, flow, |_| testing::json(&answer));
        (result.unwrap(), calls.iter().map(|call| path(call).1).collect::<Vec<_>>())
    };
    let list =
        Directory::Static(vec![user("ada", None, true), user("bob", None, true), user("eve", None, true)]);
    assert_eq!(reach(list, json!(7)), (Some(3), vec![]));
    assert_eq!(reach(Directory::None, json!(7)), (None, vec![]));
    let (total, calls) = reach(scim(), json!(4_711));
    assert_eq!(total, Some(4_711));
    assert_eq!(calls, ["/scim/v2/Users?count=1"]);
}

#[test]
fn administrators_who_signed_in_are_listed_up_to_the_same_end() {
    for (count, listed) in [(3, 3), (10_000, 10_000), (10_001, 10_000)] {
        let linked = |n: usize| StaticUser {
            roles: vec!["account_admin".into()],
            external_id: Some("https://idp.example.com|1".into()),
            ..user(&format!("u{n}"), Some(&format!("u{n}@acme.com")), true)
        };
        let users = (0..count).map(linked).collect();
        let found = report(account(Directory::Static(users)), true, |_| panic!("no call"));
        assert_eq!(found["administrators_signed_in"].as_array().unwrap().len(), listed);
        assert_eq!((&found["ready"], &found["truncated"]), (&json!(true), &Value::Null));
    }
}

#[test]
fn a_link_names_an_issuer_and_a_subject() {
    let configuration = crate::testing::browser::with_account(json!({
        "identity_providers": [{"id": "corp", "saml": {"metadata_url": "https://idp.example.com/metadata", "issuer": "acme-idp"}}]
    }));
    let config = load(configuration.to_string().as_bytes(), &Placeholders).unwrap();
    for (link, is_signed_in) in [
        // An entity ID need not be a URI where the configuration has it so.
        ("acme-idp|7", true),
        ("acme-idp|", false),
        ("acme-idp", false),
        ("acme-idp-7", false),
        ("acme-idpx|7", false),
        ("other-idp|7", false),
        ("https://idp.example.com|7", true),
        ("https://idp.example.com|", false),
        ("HR|7", false),
    ] {
        let users =
            vec![StaticUser { external_id: Some(link.into()), ..user("ada", Some("ada@acme.com"), true) }];
        let mut account = account(Directory::Static(users));
        account.providers = config.accounts[0].providers.clone();
        let never = report(account, true, |_| panic!("no call"))["never_signed_in"].clone();
        assert_eq!(never == json!([]), is_signed_in, "{link}");
    }
}

#[test]
fn a_report_says_how_far_it_is_in_each_of_its_readings() {
    let told = |directory: Directory, respond: &mut dyn FnMut(&Call) -> Reply| {
        let host = TestHost::new();
        let io = host.io();
        let (inner, account) = (io.clone(), account(directory));
        let flow = async move {
            let mut told = Vec::new();
            reports::completeness(&inner, &account, &mut |progress| {
                told.push((progress.read, progress.total))
            })
            .await?;
            Ok(told)
        };
        drive_with(&io, flow, respond).0.unwrap()
    };
    let twins = |n: usize| match n {
        350 => json!({"id": "350", "userName": "twin", "emails": ["u3@acme.com"]}),
        n => numbered(n),
    };
    let each = [(200, Some(350)), (350, Some(350))];
    assert_eq!(told(scim(), &mut paged(350, 200, twins)), [each, each].concat());
    assert_eq!(told(scim(), &mut paged(350, 200, numbered)), each, "no value is shared: read once");
    let users = (0..201).map(|n| user(&format!("u{n}"), Some(&format!("u{n}@acme.com")), true)).collect();
    assert_eq!(
        told(Directory::Static(users), &mut |_| panic!("no call")),
        [(200, Some(201)), (201, Some(201))]
    );
}

#[test]
fn a_report_without_the_engine_says_whose_sign_ins_it_counts() {
    let configuration = json!({
        "session": { "keys": [{ "id": "k", "value": crate::testing::browser::KEY }] },
        "shared": { "engine": "etcd", "cluster": "etcd" },
        "accounts": [{ "origins": ["https://app.example"] }],
    });
    let config = load(configuration.to_string().as_bytes(), &Placeholders).unwrap();
    let replicas = crate::replicas::Replicas::new(&config, testing::START).unwrap();
    let host = TestHost::new();
    let io = host.io();
    let inner = io.clone();
    let flow = async move {
        let account = account(Directory::Static(vec![user("ada", Some("ada@acme.com"), true)]));
        reports::readiness(&inner, &account, Some(&replicas), &mut |_| {}).await
    };
    let found = drive_with(&io, flow, |_| Reply::Failed(Failure::Unreachable)).0.unwrap();
    assert_eq!(found["never_signed_in"], json!(["ada"]));
    let lines: Vec<Value> = host.logs().iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["account"]), (1, &json!("acme")), "{lines:?}");
    assert!(lines[0].to_string().contains("counts the sign-ins that this Envoy knows"), "{lines:?}");
}

#[test]
fn a_server_that_refuses_a_page_size_is_asked_for_its_own() {
    let mut users = paged(3, 2, numbered);
    for refusal in [400, 500] {
        let found = report(account(scim()), false, |call| match path(call).1.contains("count=") {
            true => testing::status(refusal, "text/plain", ""),
            false => users(call),
        });
        assert_eq!((&found["users"], &found["complete"]), (&json!(3), &json!(3)), "{refusal}");
    }
}

#[test]
fn a_user_who_moves_to_the_next_page_is_one_user() {
    let moved = |n: usize| match n {
        201 => numbered(200),
        n => numbered(n),
    };
    let found = report(account(scim()), false, paged(250, 200, moved));
    assert_eq!((&found["users"], &found["problems"]), (&json!(249), &json!([])));
}

#[test]
fn a_directory_is_read_up_to_a_limit() {
    let read = |users: usize| {
        let host = TestHost::new();
        let io = host.io();
        let (inner, account) = (io.clone(), account(scim()));
        let flow = async move {
            let mut reader = reports::Reader::new(3);
            let mut read = 0;
            while let Some(page) = reader.next(&inner, &account).await? {
                read += page.len();
            }
            Ok(read)
        };
        drive_with(&io, flow, paged(users, 2, numbered)).0.map_err(|fault| fault.detail)
    };
    assert_eq!(read(3), Ok(3));
    assert_eq!(read(4), Ok(4), "the page that begins at the limit is read whole");
    assert!(read(6).is_err_and(|why| why.contains("more than 3 users")));
}
