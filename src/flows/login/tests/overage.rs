//! Groups that a token left out, or has in a shape that grants nothing: the user is in without roles, and the operator is told in the
//! log and in the report of completeness, without a value.

use serde_json::{json, Value};

use super::userinfo::{configuration, log_in};
use crate::testing::{self, header};

const SECRET: &str = "8d9f-a-group-that-no-log-may-name";

#[test]
fn groups_that_are_elsewhere_or_unreadable_are_told() {
    let config = configuration(json!({
        "mapping": { "roles_claim": "groups", "role_map": { "admins": "owner" } },
        "directory": { "static": { "users": [{ "username": "ada", "email": "ada@acme.com", "roles": ["boss"] }] } },
        "password": { "mode": "disabled", "admin_roles": ["boss"] },
    }));
    let sources = json!({ "src1": { "endpoint": "https://graph.example/memberOf" } });
    for (claims, reason) in [
        (json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources }), Some("overage")),
        (json!({ "hasgroups": true }), Some("overage")),
        (json!({ "hasgroups": "true" }), Some("overage")),
        (json!({ "groups": format!("{SECRET},admins") }), Some("one text")),
        (json!({ "groups": 7 }), Some("shape")),
        (json!({ "groups": [1, 2] }), Some("shape")),
        // Nothing is wrong: the user is in no group that counts, or in one.
        (json!({}), None),
        (json!({ "groups": [] }), None),
        (json!({ "groups": [SECRET] }), None),
        (json!({ "_claim_names": { "address": "src1" }, "_claim_sources": sources }), None),
        (json!({ "groups": ["admins"] }), None),
        (json!({ "groups": ["admins"], "hasgroups": true }), None),
    ] {
        let mut login = log_in(&config, &claims, &testing::json(&json!({ "sub": "ada" })));
        assert!(login.is_in(), "{claims}: {}", login.back.code());
        let asked: Vec<_> = login.back.calls.iter().filter_map(|call| header(call, ":path")).collect();
        assert!(asked.iter().all(|path| ["/token", "/userinfo"].contains(path)), "{asked:?}");
        for _ in 0..3 {
            let seen = login.browser.get("/reports", &mut |call| panic!("nobody is asked: {call:?}"));
            let roles = seen.pass.unwrap().live.unwrap().session.user.roles.clone();
            assert_eq!(
                roles.contains(&"owner".to_owned()),
                claims["groups"] == json!(["admins"]),
                "{claims}"
            );
        }
        let logged = login.host.logs();
        let told: Vec<&str> = logged
            .iter()
            .map(|(_, line)| line.as_str())
            .filter(|line| line.contains("grants no role"))
            .collect();
        assert_eq!(told.len(), usize::from(reason.is_some()), "once a session: {claims} {told:?}");
        assert!(told
            .iter()
            .all(|line| line.contains("groups grants no role") && line.contains(reason.unwrap())));
        assert!(logged.iter().all(|(_, line)| !line.contains(SECRET)));
        let mut admin = login.browser.with("accept", "application/json");
        let report =
            admin.get("/sso/admin/completeness", &mut |call| panic!("nobody is asked: {call:?}")).json();
        let notices = report["notices"].as_array().expect("a list");
        assert_eq!(notices.len(), usize::from(reason.is_some()), "{claims} {report}");
        if let (Some(reason), Some(notice)) = (reason, notices.first()) {
            assert_eq!((&notice["claim"], &notice["count"]), (&json!("groups"), &json!(1)), "{claims}");
            assert!(matches!(&notice["reason"], Value::String(text) if text.contains(reason)), "{notice}");
        }
    }
}
