//! What only UserInfo says is read anew at each renewal, with an ID token of the refresh and without one.

use super::*;

fn with_userinfo() -> Value {
    let mut config = configuration();
    config["accounts"][0]["identity_providers"][0]["oidc"]["userinfo_endpoint"] =
        json!("https://idp.example/userinfo");
    config["accounts"][0]["forward"] = json!({ "headers": { "x-department": "department" } });
    config
}

fn says(groups: &[&str]) -> Reply {
    answer(&json!({ "sub": "1", "groups": groups, "department": "Lakes" }))
}

struct Ada {
    browser: Browser,
    host: Rc<TestHost>,
    idp: Idp,
}

impl Ada {
    /// Signed in with the role that UserInfo grants; refreshes bring this change of their answer.
    fn new(change: &Value) -> Self {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &with_userinfo());
        let mut idp = Idp::new(&host);
        idp.claims.as_object_mut().unwrap().remove("groups");
        let userinfo = |call: &Call| (header(call, ":path") == Some("/userinfo")).then(|| says(&["admins"]));
        let browser = sign_in_beside(&filter_state, &mut idp, userinfo);
        idp.change = change.clone();
        let mut ada = Self { browser, host, idp };
        let seen = get(&mut ada.browser, &mut ada.idp);
        assert_eq!(told(&seen, "x-sso-roles").as_deref(), Some("boss"));
        ada
    }

    /// The request after the next renewal, at which UserInfo answers so.
    fn renewed(&mut self, userinfo: &Reply) -> Seen {
        let idp = &mut self.idp;
        let mut respond = |call: &Call| match header(call, ":path") {
            Some("/userinfo") => userinfo.clone(),
            _ => idp.respond(call),
        };
        self.host.advance(DUE);
        self.browser.get("/reports", &mut respond);
        self.host.advance(6_000);
        self.browser.get("/reports", &mut respond)
    }
}

#[test]
fn a_role_that_was_taken_there_is_gone_with_the_next_renewal() {
    for change in [json!({}), json!({ "id_token": null })] {
        let mut ada = Ada::new(&change);
        for (groups, roles) in
            [(vec!["staff"], Some("member")), (vec![], None), (vec!["admins"], Some("boss"))]
        {
            let seen = ada.renewed(&says(&groups));
            assert_eq!(told(&seen, "x-sso-roles").as_deref(), roles, "{change} {groups:?}");
            assert_eq!(told(&seen, "x-department").as_deref(), Some("Lakes"), "{change}");
        }
        let gone = ada.renewed(&answer(&json!({ "sub": "1" })));
        assert_eq!((told(&gone, "x-sso-roles"), told(&gone, "x-department")), (None, None), "{change}");
    }
}

/// The ID token of the login named the groups too, and refreshes bring none.
#[test]
fn without_an_id_token_userinfo_replaces_what_the_one_of_the_login_said() {
    let host = TestHost::new();
    let mut config = with_userinfo();
    config["accounts"][0]["mapping"]["from"] = json!("userinfo");
    let filter_state = filter_state(&host, &config);
    let mut idp = Idp::new(&host);
    idp.claims["groups"] = json!(["admins"]);
    let email = idp.claims["email"].clone();
    let all = |groups: &[&str]| {
        answer(&json!({ "sub": "1", "groups": groups, "email": email, "email_verified": true }))
    };
    let userinfo = |call: &Call| (header(call, ":path") == Some("/userinfo")).then(|| all(&["admins"]));
    let browser = sign_in_beside(&filter_state, &mut idp, userinfo);
    idp.change = json!({ "id_token": null });
    let mut ada = Ada { browser, host, idp };
    let seen = get(&mut ada.browser, &mut ada.idp);
    assert_eq!(told(&seen, "x-sso-roles").as_deref(), Some("boss"));
    for (groups, roles) in [(vec!["staff"], Some("member")), (vec![], None), (vec!["admins"], Some("boss"))] {
        let seen = ada.renewed(&all(&groups));
        assert_eq!(told(&seen, "x-sso-roles").as_deref(), roles, "{groups:?}");
    }
}

#[test]
fn while_it_is_down_who_has_roles_from_there_keeps_them() {
    for change in [json!({}), json!({ "id_token": null })] {
        for failure in [Reply::Failed(Failure::Timeout), status(503, "", ""), answer(&json!([]))] {
            let mut ada = Ada::new(&change);
            let seen = ada.renewed(&failure);
            assert_eq!(told(&seen, "x-sso-roles").as_deref(), Some("boss"), "{change} {failure:?}");
            let seen = ada.renewed(&says(&["staff"]));
            assert_eq!(told(&seen, "x-sso-roles").as_deref(), Some("member"), "{change} {failure:?}");
        }
    }
}

#[test]
fn what_it_says_of_another_user_changes_nothing_for_the_better() {
    for change in [json!({}), json!({ "id_token": null })] {
        let mut ada = Ada::new(&change);
        ada.renewed(&says(&["staff"]));
        let seen = ada.renewed(&answer(&json!({ "sub": "2", "groups": ["admins"] })));
        let roles = seen.pass.and_then(|pass| pass.live).map(|live| live.session.user.roles.join(","));
        assert_ne!(roles.as_deref(), Some("boss"), "{change}");
    }
}
