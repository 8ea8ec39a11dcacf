//! Several providers of one account: with `{idp}` in the redirect URI an answer counts only at that of the login's own provider
//! (RFC 9700 section 4.4.2.2).

use serde_json::{json, Value};

use crate::config::{load, Placeholders};
use crate::host::task::{Call, Reply};
use crate::testing::browser::{filter_state, Browser, KEY};
use crate::testing::{self, header, TestHost};

const PROVIDERS: [&str; 3] = ["corp", "partner", "plain"];

fn provider(id: &str) -> Value {
    let url = |path: &str| format!("https://{id}.example/{path}");
    let endpoints = json!({
        "issuer": format!("https://{id}.example"), "authorization_endpoint": url("a"), "token_endpoint": url("t"),
        "client_id": "app",
    });
    let (protocol, more) = match id {
        "plain" => ("oauth2", json!({ "userinfo_endpoint": url("u") })),
        _ => ("oidc", json!({ "jwks_uri": url("k") })),
    };
    let mut settings = endpoints;
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "id": id, (protocol): settings })
}

fn configuration(providers: Value, callback: Option<&str>) -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": providers, "paths": { "oidc_callback": callback },
        }],
    })
}

fn query(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).expect("to the provider");
    let found = url.query_pairs().find(|(own, _)| own == name).expect(name).1.into_owned();
    found
}

fn refuses(_: &Call) -> Reply {
    testing::status(400, "application/json", r#"{"error":"invalid_grant"}"#)
}

#[test]
fn an_answer_counts_at_the_redirect_uri_of_its_own_provider_alone() {
    let config = configuration(json!(PROVIDERS.map(provider)), Some("/sso/oidc/{idp}?u={code}"));
    let filter_state = filter_state(&TestHost::new(), &config);
    let answers = ["code=c", "error=access_denied", "code=c&iss=https%3A%2F%2Fcorp.example"];
    for (begun, answered) in PROVIDERS.iter().flat_map(|begun| PROVIDERS.map(|at| (*begun, at))) {
        for answer in answers {
            for post in [false, true] {
                let mut browser = Browser::new(&filter_state, "app.example");
                let start = browser.get(&format!("/sso/login?idp={begun}&return_to=%2Fx"), &mut refuses);
                let own = format!("https://app.example/sso/oidc/{begun}?u=acme");
                assert_eq!(query(start.location(), "redirect_uri"), own);
                let (at, state) = (format!("/sso/oidc/{answered}?u=acme"), query(start.location(), "state"));
                let seen = match post {
                    false => browser.get(&format!("{at}&{answer}&state={state}"), &mut refuses),
                    true => {
                        let mut form: Vec<_> =
                            url::form_urlencoded::parse(answer.as_bytes()).into_owned().collect();
                        form.push(("state".into(), state));
                        let form: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                        browser.post(&at, &form, &mut refuses)
                    }
                };
                let what = format!("{begun} at {answered}: {answer}, {post}");
                let asked: Vec<_> = seen.calls.iter().filter_map(|call| header(call, ":authority")).collect();
                let own_answer = begun == answered && (answer == "code=c" || begun == "corp");
                if answer == "error=access_denied" && begun == answered {
                    assert_eq!((seen.code(), asked.len()), ("idp_denied", 0), "{what}");
                } else if own_answer && answer != "error=access_denied" {
                    assert_eq!(asked, [format!("{begun}.example")], "{what}");
                } else {
                    assert_eq!((seen.code(), asked.len()), ("callback_invalid", 0), "{what}");
                }
            }
        }
    }
}

#[test]
fn what_could_be_mixed_up_is_a_warning_at_load() {
    let discovered = |host: &str| {
        let url = format!("https://{host}/.well-known/openid-configuration");
        json!({ "id": "other", "oidc": { "discovery": url, "client_id": "app" } })
    };
    let corp = || provider("corp");
    for (providers, callback, warned) in [
        (json!([corp(), provider("partner")]), None, true),
        (json!([corp(), provider("plain")]), None, true),
        (json!([corp(), discovered("accounts.google.com")]), None, true),
        (json!([discovered("idp.example"), discovered("login.microsoftonline.com")]), None, true),
        (json!([corp(), provider("partner")]), Some("/cb/{code}"), true),
        // Each has its own; or nothing is known yet; or there is one alone.
        (json!([corp(), provider("partner")]), Some("/cb/{idp}"), false),
        (json!([corp()]), None, false),
        (json!([discovered("idp.example")]), None, false),
    ] {
        let mut providers = providers;
        // Two of one name are another mistake.
        for (n, provider) in providers.as_array_mut().unwrap().iter_mut().enumerate() {
            provider["id"] = json!(format!("p{n}"));
        }
        let document = configuration(providers, callback);
        let warnings = load(document.to_string().as_bytes(), &Placeholders).unwrap().warnings;
        let told =
            warnings.iter().any(|warning| warning.to_string().contains("paths.oidc_callback: has no {idp}"));
        assert_eq!(told, warned, "{document}: {warnings:?}");
    }
}
