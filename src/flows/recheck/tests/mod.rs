//! Sessions with a refresh token, against a provider that rotates them and takes a second use for theft.

mod access_token;
mod bound;
mod directory;
mod endpoint;
mod hang_up;
mod replicas;
mod same_user;
mod shared;
mod userinfo;

use std::rc::Rc;

use serde_json::{json, Value};

use crate::crypto::test_keys::{token, JWKS};
use crate::exchange::Ruling;
use crate::gate;
use crate::host::task::{Call, Failure, Reply};
use crate::host::Host;
use crate::http::Head;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, run_errands, Browser, Seen, KEY};
use crate::testing::{form, header, json as answer, status, TestHost, START};

const RECHECK: u64 = 300_000;
/// Due, and past every delay that replicas draw.
const DUE: u64 = RECHECK + 6_000;

fn configuration() -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }], "recheck": "5m", "recheck_grace": "1h", "idle": "8h" },
        "clusters": { "*": "idp" },
        "accounts": [{
            "code": "acme", "origins": ["https://app.example"], "sso": "enabled",
            "identity_providers": [{ "id": "corp", "oidc": {
                "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token", "jwks": keys,
                "client_id": "app", "client_secret": { "value": "the client's secret" },
                "scope": ["openid", "email", "offline_access"]
            } }],
            "mapping": { "roles_claim": "groups", "role_map": { "admins": "boss", "staff": "member" } },
            "access": [{ "prefix": "/admin/", "allow": "users", "roles": ["boss"] }]
        }]
    })
}

/// The same where the application gets the access token.
fn forwarding() -> Value {
    let mut config = configuration();
    config["accounts"][0]["forward"] = json!({ "access_token": "authorization" });
    config
}

fn with_directory(config: Value, users: Value) -> Value {
    let mut config = config;
    config["accounts"][0]["directory"] = json!({ "static": { "users": users } });
    config
}

/// A provider with rotation and reuse detection.
struct Idp {
    host: Rc<TestHost>,
    nonce: String,
    /// The one refresh token that is good; `None`: the family is revoked.
    good: Option<String>,
    rotates: bool,
    refreshes: usize,
    issued: usize,
    claims: Value,
    /// Members of the token answer to change; null removes.
    change: Value,
    fault: Option<Reply>,
}

impl Idp {
    fn new(host: &Rc<TestHost>) -> Self {
        Self {
            host: host.clone(),
            nonce: String::new(),
            good: None,
            rotates: true,
            refreshes: 0,
            issued: 0,
            claims: json!({ "sub": "1", "email": "ada@acme.com", "groups": ["admins"], "auth_time": START / 1000 }),
            change: json!({}),
            fault: None,
        }
    }

    fn respond(&mut self, call: &Call) -> Reply {
        assert_eq!(header(call, ":path"), Some("/token"), "nobody asks for anything else");
        let form = form(call);
        let sent = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let refresh = sent("grant_type").as_deref() == Some("refresh_token");
        if refresh {
            self.refreshes += 1;
            if let Some(fault) = &self.fault {
                return fault.clone();
            }
            if sent("refresh_token") != self.good {
                self.good = None;
                return status(400, "application/json", r#"{"error":"invalid_grant"}"#);
            }
        }
        self.issued += 1;
        let now = self.host.now_seconds();
        let mut claims = self.claims.clone();
        let defaults = [
            ("iss", json!("https://idp.example")),
            ("aud", json!("app")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
        ];
        for (name, value) in defaults {
            if claims.get(name).is_none() {
                claims[name] = value;
            }
        }
        if !refresh {
            claims["nonce"] = json!(self.nonce);
        }
        let mut said = json!({
            "access_token": format!("at-{}", self.issued), "token_type": "Bearer", "expires_in": 600,
            "id_token": token(&claims).expose(),
        });
        if self.rotates || !refresh {
            self.good = Some(format!("rt-{}", self.issued));
            said["refresh_token"] = json!(self.good);
        }
        answer(&crate::testing::changed(said, &self.change))
    }
}

impl TestHost {
    fn now_seconds(&self) -> u64 {
        crate::host::Host::now(self) / 1000
    }
}

fn sign_in(filter_state: &Rc<FilterState>, idp: &mut Idp) -> Browser {
    sign_in_beside(filter_state, idp, |_| None)
}

/// The same where others than the provider are asked too.
fn sign_in_beside(
    filter_state: &Rc<FilterState>,
    idp: &mut Idp,
    others: impl Fn(&Call) -> Option<Reply>,
) -> Browser {
    let mut browser = Browser::new(filter_state, "app.example");
    let start = browser.get("/reports", &mut |call| idp.respond(call));
    let url = url::Url::parse(start.location()).expect("to the provider");
    let param = |name: &str| url.query_pairs().find(|(n, _)| n == name).expect(name).1.into_owned();
    idp.nonce = param("nonce");
    let target = format!("/sso/oidc/consume?u=acme&code=c&state={}", param("state"));
    let seen = browser.get(&target, &mut |call| others(call).unwrap_or_else(|| idp.respond(call)));
    assert_eq!(seen.status(), 302, "{}", seen.text());
    browser
}

fn get(browser: &mut Browser, idp: &mut Idp) -> Seen {
    browser.get("/reports", &mut |call| idp.respond(call))
}

/// A header that the application got.
fn told(seen: &Seen, name: &str) -> Option<String> {
    let pass = seen.pass.as_ref().expect("it passed");
    let live = pass.live.as_ref().expect("with a session");
    let withheld = pass.withheld.as_deref() == Some(name);
    live.told(name).filter(|_| !withheld)
}

/// The same browser at another worker or replica.
fn copy(browser: &Browser, filter_state: &Rc<FilterState>) -> Browser {
    let mut other = Browser::new(filter_state, "app.example");
    other.cookies = browser.cookies.clone();
    other
}

#[test]
fn a_session_is_renewed_when_it_is_due_and_the_new_token_replaces_the_old() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&filter_state, &mut idp);
    host.advance(RECHECK - 1);
    assert_eq!(told(&get(&mut ada, &mut idp), "x-sso-roles").as_deref(), Some("boss"));
    assert_eq!(idp.refreshes, 0, "not before");
    for round in 1..=5 {
        let groups = if round % 2 == 1 { "staff" } else { "admins" };
        idp.claims["groups"] = json!([groups]);
        let before = ada.cookies.clone();
        // The first request may leave it to another replica for a moment.
        host.advance(DUE);
        get(&mut ada, &mut idp);
        host.advance(6_000);
        let seen = get(&mut ada, &mut idp);
        assert_eq!(
            told(&seen, "x-sso-roles").as_deref(),
            Some(if round % 2 == 1 { "member" } else { "boss" })
        );
        assert_eq!(idp.refreshes, round, "once, with the token of the time before");
        assert_eq!(told(&get(&mut ada, &mut idp), "x-sso-user").as_deref(), Some("ada@acme.com"));
        assert_ne!(before, ada.cookies, "the browser gets the new state");
    }
    assert_eq!(host.counted("sso_renewals.outcome.ok"), 5);
}

#[test]
fn tokens_that_do_not_come_again_are_kept() {
    for change in [
        json!({ "refresh_token": null }),
        json!({ "id_token": null }),
        json!({ "access_token": null, "refresh_token": null }),
    ] {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration());
        let mut idp = Idp::new(&host);
        idp.rotates = !change.as_object().unwrap().contains_key("refresh_token");
        let mut ada = sign_in(&filter_state, &mut idp);
        idp.change = change.clone();
        for round in 1..=3 {
            host.advance(2 * DUE);
            let seen = get(&mut ada, &mut idp);
            assert_eq!(idp.refreshes, round, "{change}");
            let tokens = filter_state.whole(&seen.pass.unwrap().live.unwrap()).unwrap().tokens;
            assert!(tokens.id_token.is_some() && tokens.refresh_token.is_some(), "{change}");
        }
        assert!(idp.good.is_some(), "no token was used twice");
    }
}

/// Heads of the same request, as many as there are workers.
fn head(browser: &Browser) -> Rc<Head> {
    let cookies: Vec<String> =
        browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = [
        (":method", "GET".to_owned()),
        (":path", "/reports".to_owned()),
        (":authority", "app.example".to_owned()),
        ("accept", "application/json".to_owned()),
        ("cookie", cookies.join("; ")),
    ];
    Rc::new(Head::new(headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(), true))
}

#[test]
fn one_refresh_whatever_arrives_beside_it_on_every_worker() {
    for (config, wait) in [(configuration(), DUE), (configuration(), 2 * DUE), (forwarding(), 2 * DUE)] {
        let host = TestHost::new();
        let hosts = [host.clone(), host.worker(), host.worker(), host.worker()];
        let worlds: Vec<Rc<FilterState>> = hosts.iter().map(|host| filter_state(host, &config)).collect();
        let mut idp = Idp::new(&host);
        let ada = sign_in(&worlds[0], &mut idp);
        hosts.iter().for_each(|host| host.advance(wait));
        // Fifty requests at four workers, round by round, before the provider answers anything.
        let mut rulings: Vec<(usize, Ruling)> = Vec::new();
        for n in 0..50 {
            if n % 10 == 9 {
                hosts.iter().for_each(|host| host.advance(renew_spread()));
            }
            rulings.push((n % 4, gate::rule(&worlds[n % 4], head(&ada))));
        }
        let mut calls = Vec::new();
        let passed = |ruling: &Ruling| matches!(ruling, Ruling::Pass(pass) if pass.live.is_some());
        assert!(rulings.iter().all(|(_, ruling)| passed(ruling) || matches!(ruling, Ruling::Wait(_))));
        assert!(rulings.iter().any(|(_, ruling)| matches!(ruling, Ruling::Wait(_))));
        for filter_state in &worlds {
            run_errands(filter_state, &mut |call| idp.respond(call), &mut calls);
        }
        for (n, ruling) in &mut rulings {
            if let Ruling::Wait(news) = ruling {
                let Some(Ruling::Again(head)) = news() else { panic!("worker {n} learns of it") };
                assert!(passed(&gate::rule(&worlds[*n], head)), "worker {n} passes it");
            }
        }
        assert_eq!((idp.refreshes, calls.len()), (1, 1));
        // Stale copies of the cookie, a moment and ten minutes later: the newer state, and its cookie.
        for (host, filter_state) in hosts.iter().zip(&worlds) {
            for _ in 0..2 {
                let mut late = copy(&ada, filter_state);
                let seen = get(&mut late, &mut idp);
                assert!(told(&seen, "x-sso-user").is_some());
                assert!(
                    late.cookies != ada.cookies,
                    "it gets the cookie that the first answer may have lost"
                );
                host.advance(120_000);
            }
        }
        assert_eq!(idp.refreshes, 1);
    }
}

fn renew_spread() -> u64 {
    5_000
}

#[test]
fn whoever_waits_is_told_after_a_while() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    let ada = sign_in(&filter_state, &mut idp);
    host.advance(2 * DUE);
    let Ruling::Wait(mut news) = gate::rule(&filter_state, head(&ada)) else { panic!("it waits") };
    assert!(news().is_none());
    host.advance(29_999);
    assert!(news().is_none());
    host.advance(1);
    let Some(Ruling::LocalReply(answer)) = news() else { panic!("an answer") };
    assert_eq!(answer.header("x-sso-code"), Some("idp_timeout"));
    // The worker died: somebody else does it.
    host.advance(31_000);
    filter_state.outside.background().borrow_mut().drain();
    assert!(told(&get(&mut copy(&ada, &filter_state), &mut idp), "x-sso-user").is_some());
    assert_eq!(idp.refreshes, 1);
}

#[test]
fn invalid_grant_ends_the_session_on_every_worker_and_is_not_asked_for_again() {
    let host = TestHost::new();
    let other = host.worker();
    let (first, second) = (filter_state(&host, &configuration()), filter_state(&other, &configuration()));
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&first, &mut idp);
    let mut stale = copy(&ada, &second);
    idp.good = None;
    host.advance(2 * DUE);
    other.advance(2 * DUE);
    // It could be that another replica has just renewed it: ten seconds tell.
    assert!(told(&get(&mut ada, &mut idp), "x-sso-user").is_some());
    assert!(told(&get(&mut stale, &mut idp), "x-sso-user").is_some());
    for advance in [9_999, 1] {
        assert_eq!(idp.refreshes, 1, "a second use could revoke more");
        host.advance(advance);
        other.advance(advance);
    }
    for browser in [&mut ada, &mut stale] {
        let mut program = copy(browser, &first).with("accept", "application/json");
        let seen = get(&mut program, &mut idp);
        assert_eq!((seen.status(), seen.code()), (401, "session_expired"));
    }
    assert_eq!(get(&mut ada, &mut idp).code(), "login_required", "and a person goes to sign in");
    assert_eq!(idp.refreshes, 1);
    assert_eq!(host.counted("sso_sessions_ended.reason.invalid_grant"), 1);
}

#[test]
fn while_the_idp_is_down_sessions_go_on_for_their_grace_and_then_are_told() {
    let answers = [
        (Reply::Failed(Failure::Unreachable), 503, "idp_unavailable"),
        (Reply::Failed(Failure::Timeout), 504, "idp_timeout"),
        (status(500, "text/html", "<html>"), 503, "idp_unavailable"),
        (status(200, "text/html", "<html>"), 502, "idp_invalid_answer"),
        (status(400, "application/json", r#"{"error":"invalid_client"}"#), 502, "idp_invalid_answer"),
        (answer(&json!({ "token_type": "Bearer" })), 502, "idp_invalid_answer"),
    ];
    for (fault, code, name) in answers {
        let host = TestHost::new();
        let filter_state = filter_state(&host, &configuration());
        let mut idp = Idp::new(&host);
        let mut ada = sign_in(&filter_state, &mut idp);
        idp.fault = Some(fault);
        host.advance(2 * DUE);
        for _ in 0..5 {
            assert!(told(&get(&mut ada, &mut idp), "x-sso-user").is_some());
        }
        assert_eq!(idp.refreshes, 1, "it is not asked at every request");
        host.advance(10_000);
        get(&mut ada, &mut idp);
        assert_eq!(idp.refreshes, 2);
        host.set_now(START + RECHECK + 3_600_000 - 1);
        assert!(told(&get(&mut ada, &mut idp), "x-sso-user").is_some(), "within the grace");
        host.advance(1);
        let seen = get(&mut ada, &mut idp);
        assert_eq!((seen.status(), seen.code()), (code, name));
        idp.fault = None;
        host.advance(10_000);
        assert!(
            told(&get(&mut ada, &mut idp), "x-sso-user").is_some(),
            "it is back, and nobody signs in again"
        );
    }
}

#[test]
fn whoever_waits_for_a_renewal_goes_on_also_where_the_next_is_due_at_once() {
    for (config, change) in [
        (configuration(), json!({})),
        (with_directory(configuration(), json!([{ "username": "ada", "email": "ada@acme.com" }])), json!({})),
        (forwarding(), json!({ "expires_in": 0 })),
    ] {
        let host = TestHost::new();
        let mut config = config;
        config["session"]["recheck"] = json!("0s");
        let filter_state = filter_state(&host, &config);
        let mut idp = Idp::new(&host);
        idp.change = change;
        let mut ada = sign_in(&filter_state, &mut idp);
        for refreshes in 1..5 {
            host.advance(2_000);
            assert!(get(&mut ada, &mut idp).pass.is_some());
            assert_eq!(idp.refreshes, refreshes);
        }
    }
}

#[test]
fn no_secret_of_a_session_is_in_log_or_shared_data() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&filter_state, &mut idp);
    for fault in [None, Some(Reply::Failed(Failure::Timeout)), None] {
        idp.fault = fault;
        host.advance(2 * DUE);
        get(&mut ada, &mut idp);
    }
    idp.good = None;
    host.advance(2 * DUE);
    get(&mut ada, &mut idp);
    let logged: String = host.logs().into_iter().map(|(_, line)| line).collect();
    let shared: Vec<u8> = host
        .shared_keys()
        .into_iter()
        .flat_map(|key| crate::host::Host::shared_get(&*host, &key).0.unwrap_or_default())
        .collect();
    let shared = String::from_utf8_lossy(&shared).into_owned();
    for n in 1..=idp.issued {
        for secret in [format!("rt-{n}"), format!("at-{n}")] {
            assert!(!logged.contains(&secret) && !shared.contains(&secret), "{secret}");
        }
    }
    assert!(logged.contains("invalid_grant"));
}

/// Ada's session is due, and by now she has another one at the provider.
fn in_another_session() -> (Rc<TestHost>, Rc<FilterState>, Idp, Browser) {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    idp.claims["sid"] = json!("first");
    let mut ada = sign_in(&filter_state, &mut idp);
    host.advance(2 * DUE);
    assert!(get(&mut ada, &mut idp).pass.is_some(), "the same session at the provider");
    host.advance(2 * DUE);
    idp.claims["sid"] = json!("second");
    (host, filter_state, idp, ada)
}
