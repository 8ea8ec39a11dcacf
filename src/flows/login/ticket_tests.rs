//! Logins of an account with patterns and a login origin, and every way to misuse their tickets.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Reply};
use crate::session::Purpose;
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::{self, form, TestHost, START};

const LOGIN: &str = "login.example.com";
const ONE: &str = "one.preview.example.com";
const TWO: &str = "two.preview.example.com";

fn account(code: &str, origins: Value, login: &str) -> Value {
    json!({
        "code": code, "origins": origins, "login_origin": format!("https://{login}"), "sso": "enabled",
        "identity_providers": [{ "id": "hub", "oauth2": {
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token", "userinfo_endpoint": "https://idp.example/user",
            "client_id": "app", "client_secret": { "value": "s" }, "logout_url": "https://idp.example/out",
            "logout_params": { "returnTo": "{post_logout_redirect_uri}", "state": "{state}" },
        } }],
        "mapping": { "from": "userinfo" },
        "access": [{ "path": "/open", "allow": "anyone" }],
    })
}

fn configuration() -> Value {
    json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] }, "clusters": { "*": "idp" },
        "accounts": [
            account("acme", json!(["https://app.example.com", "https://*.preview.example.com"]), LOGIN),
            account("other", json!(["https://*.other.example.com", "https://own.preview.example.com"]), "login.other.com"),
        ]
    })
}

fn nobody(call: &Call) -> Reply {
    panic!("nobody is asked: {call:?}")
}

/// The provider, which knows one redirect URI.
fn idp(call: &Call) -> Reply {
    match call.what {
        "token" => {
            let sent = form(call);
            let uri = sent.iter().find(|(name, _)| name == "redirect_uri").map(|(_, value)| value.as_str());
            assert_eq!(uri, Some("https://login.example.com/sso/oidc/consume?u=acme"));
            testing::json(&json!({ "access_token": "at", "token_type": "Bearer" }))
        }
        _ => testing::json(&json!({ "sub": "1", "id": 1, "email": "ada@acme.com" })),
    }
}

/// One person's browser: each host has its own cookies.
struct Person {
    filter_state: Rc<FilterState>,
    hosts: BTreeMap<String, Browser>,
}

impl Person {
    fn new(filter_state: &Rc<FilterState>) -> Self {
        Self { filter_state: filter_state.clone(), hosts: BTreeMap::new() }
    }

    fn at(&mut self, host: &str) -> &mut Browser {
        let new = || Browser::new(&self.filter_state, host);
        self.hosts.entry(host.to_owned()).or_insert_with(new)
    }

    fn go(&mut self, url: &str) -> Seen {
        let (host, target) = split(url);
        self.at(&host).get(&target, &mut idp)
    }

    /// To the login origin and the provider: the callback's URL.
    fn at_provider(&mut self, start: &str) -> String {
        let out = self.go(start).location().to_owned();
        assert!(out.starts_with("https://login.example.com/sso/login?ticket="), "{out}");
        let to = self.go(&out).location().to_owned();
        assert!(to.starts_with("https://idp.example/authorize?"), "{to}");
        assert!(
            to.contains("redirect_uri=https%3A%2F%2Flogin.example.com%2Fsso%2Foidc%2Fconsume%3Fu%3Dacme"),
            "{to}"
        );
        let state = to.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
        format!("https://{LOGIN}/sso/oidc/consume?u=acme&code=c&state={state}")
    }

    /// Up to the ticket that brings the session.
    fn ticket(&mut self, start: &str) -> String {
        let callback = self.at_provider(start);
        self.go(&callback).location().to_owned()
    }

    fn is_in(&mut self, host: &str) -> bool {
        self.at(host).get("/reports", &mut nobody).pass.is_some_and(|pass| pass.live.is_some())
    }
}

fn split(url: &str) -> (String, String) {
    let (host, target) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
    (host.to_owned(), format!("/{target}"))
}

fn set_up() -> (Rc<TestHost>, Rc<FilterState>) {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    (host, filter_state)
}

fn refused(seen: &Seen, code: &str) {
    assert!(seen.pass.is_none() && seen.code() == code, "{} {}", seen.status(), seen.code());
    let cookies = seen.answer.as_ref().unwrap().headers.iter().filter(|(name, _)| name == "set-cookie");
    let opened =
        cookies.filter(|(_, value)| !value.contains("Max-Age=0") && !value.contains("-flow-")).count();
    assert_eq!(opened, 0);
}

#[test]
fn a_login_runs_at_the_login_origin_and_opens_its_session_where_it_began() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let ticket = ada.ticket(&format!("https://{ONE}/reports?q=1"));
    assert!(ticket.starts_with("https://one.preview.example.com/sso/login?ticket="), "{ticket}");
    assert!(ada.at(LOGIN).cookies.is_empty(), "no session at the login origin");
    let back = ada.go(&ticket);
    assert_eq!((back.status(), back.location()), (302, "/reports?q=1"));
    assert_eq!(ada.at(ONE).cookies.len(), 1, "the session alone: {:?}", ada.at(ONE).cookies);
    assert!(ada.is_in(ONE));
    assert!(!ada.is_in(TWO) && !ada.is_in("app.example.com"));
    // Out: here, then by the login origin at the provider, and back here.
    let copy = ada.at(ONE).cookies.clone();
    let out = ada.go(&format!("https://{ONE}/sso/logout"));
    let to = out.location().to_owned();
    assert!(to.starts_with("https://login.example.com/sso/logout?ticket="), "{to}");
    let at_idp = ada.go(&to).location().to_owned();
    assert!(at_idp.starts_with("https://idp.example/out?"), "{at_idp}");
    refused(&ada.go(&to), "state_unknown");
    let state = at_idp.split('&').find_map(|pair| pair.strip_prefix("state="));
    if let Some(state) = state {
        let complete = ada.go(&format!("https://{LOGIN}/sso/logout-complete?state={state}"));
        assert_eq!(complete.location(), "https://one.preview.example.com/sso/logout-complete");
    }
    ada.at(ONE).cookies = copy;
    assert!(!ada.is_in(ONE), "nor does a copy of the session live on");
}

#[test]
fn a_login_at_an_exact_origin_and_tabs_side_by_side() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let tickets = [
        ada.ticket("https://app.example.com/a"),
        ada.ticket("https://app.example.com/b"),
        ada.ticket(&format!("https://{TWO}/c")),
    ];
    for (ticket, target) in tickets.iter().zip(["/a", "/b", "/c"]) {
        assert_eq!(ada.go(ticket).location(), target);
    }
    assert!(ada.is_in("app.example.com") && ada.is_in(TWO) && !ada.is_in(ONE));
}

#[test]
fn a_ticket_counts_once() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let out = ada.go(&format!("https://{ONE}/")).location().to_owned();
    assert_eq!(ada.go(&out).status(), 302);
    refused(&ada.go(&out), "state_unknown");
    refused(&Person::new(&filter_state).go(&out), "state_unknown");
    let back = ada.ticket(&format!("https://{ONE}/reports"));
    let cookies = ada.at(ONE).cookies.clone();
    assert_eq!(ada.go(&back).location(), "/reports");
    ada.at(ONE).cookies = cookies;
    refused(&ada.go(&back), "state_unknown");
    assert!(!ada.is_in(ONE), "a copy of the cookie does not make it good twice");
}

#[test]
fn a_ticket_lasts_sixty_seconds() {
    for (age, counts) in [(59_000, true), (60_000, false), (3_600_000, false)] {
        let (host, filter_state) = set_up();
        let mut ada = Person::new(&filter_state);
        let out = ada.go(&format!("https://{ONE}/")).location().to_owned();
        host.advance(age);
        assert_eq!(ada.go(&out).location().starts_with("https://idp.example/"), counts, "out {age}");
        let (host, filter_state) = set_up();
        let mut ada = Person::new(&filter_state);
        let back = ada.ticket(&format!("https://{ONE}/"));
        host.advance(age);
        let seen = ada.go(&back);
        assert_eq!(seen.location() == "/", counts, "back {age}");
        assert_eq!(ada.is_in(ONE), counts);
    }
}

#[test]
fn a_ticket_opens_a_session_in_the_browser_that_asked_and_nowhere_else() {
    let (_, filter_state) = set_up();
    // Eve's ticket in Ada's browser would sign Ada in as Eve.
    let mut eve = Person::new(&filter_state);
    let mut ada = Person::new(&filter_state);
    let back = eve.ticket(&format!("https://{ONE}/"));
    refused(&ada.go(&back), "state_unknown");
    // Eve sends Ada to the login origin: Ada's session is for Eve's cookie, which she does not have.
    let out = eve.go(&format!("https://{ONE}/x")).location().to_owned();
    let to = ada.go(&out).location().to_owned();
    let state = to.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    let callback = format!("https://{LOGIN}/sso/oidc/consume?u=acme&code=c&state={state}");
    refused(&eve.go(&callback), "state_unknown");
    let back = ada.go(&callback).location().to_owned();
    refused(&ada.go(&back), "state_unknown");
    refused(&eve.go(&back), "state_unknown");
    assert!(
        !ada.is_in(ONE) && !eve.is_in(ONE),
        "used up where it came first: who reads it there gains nothing"
    );
    // A login of Ada's own does not lend its cookie either.
    let own = ada.go(&format!("https://{ONE}/y"));
    assert_eq!(own.status(), 302);
    let back = eve.ticket(&format!("https://{ONE}/"));
    refused(&ada.go(&back), "state_unknown");
}

#[test]
fn a_ticket_is_for_one_origin_one_way_and_one_account() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let moved = |url: &str, to: &str| {
        let (own, target) = split(url);
        assert_ne!(own, to);
        format!("https://{to}{target}")
    };
    let back = ada.ticket(&format!("https://{ONE}/"));
    // Its cookie moved along.
    let cookies = ada.at(ONE).cookies.clone();
    for to in
        [TWO, "app.example.com", LOGIN, "x.other.example.com", "own.preview.example.com", "login.other.com"]
    {
        ada.at(to).cookies = cookies.clone();
        refused(&ada.go(&moved(&back, to)), "state_unknown");
    }
    assert_eq!(ada.go(&back).location(), "/", "refused elsewhere, it is not used up");
    let out = ada.go(&format!("https://{TWO}/")).location().to_owned();
    for to in [TWO, "app.example.com", "login.other.com", "x.other.example.com"] {
        refused(&ada.go(&moved(&out, to)), "state_unknown");
    }
    refused(&ada.go(&out.replace("/sso/login", "/sso/logout")), "state_unknown");
    assert_eq!(ada.go(&out).status(), 302);
    // One that names an origin of another account, of none, or in another spelling, sealed as if by us.
    let seal = |code: &str, origin: &str| {
        let plain = json!({ "o": origin, "s": "h", "t": START, "w": { "p": "hub", "r": "/" } });
        let keys = &filter_state.config.session.keys;
        keys.seal(&*filter_state.host, Purpose::TicketOut, code, plain.to_string().as_bytes()).unwrap()
    };
    for (code, origin) in [
        ("acme", "https://evil.com"),
        ("acme", "https://x.other.example.com"),
        ("acme", "https://own.preview.example.com"),
        ("acme", "http://one.preview.example.com"),
        ("acme", "https://ONE.preview.example.com"),
        ("acme", "https://one.preview.example.com:443"),
        ("acme", "https://one.preview.example.com."),
        ("acme", "https://a.b.preview.example.com"),
        ("acme", "https://evil.com#.preview.example.com"),
        ("acme", "https://login.example.com"),
        ("acme", "https://*.preview.example.com"),
        ("other", "https://one.preview.example.com"),
        ("other", "https://x.other.example.com"),
    ] {
        let url = format!("https://{LOGIN}/sso/login?ticket={}", seal(code, origin));
        refused(&Person::new(&filter_state).go(&url), "state_unknown");
    }
    let url = format!("https://{LOGIN}/sso/login?ticket={}", seal("acme", "https://one.preview.example.com"));
    assert!(Person::new(&filter_state).go(&url).location().starts_with("https://idp.example/"));
}

#[test]
fn what_is_not_a_ticket_opens_nothing() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let back = ada.ticket(&format!("https://{ONE}/"));
    let (_, sealed) = back.split_once("ticket=").unwrap();
    let changed = format!("{}A", &sealed[..sealed.len() - 1]);
    let session = ada.at(ONE).cookies[0].1.clone();
    let long = "x".repeat(16_000);
    for text in ["", "x", "1.k1.1.acme.AAAA", &changed, &session, &long, &format!("{sealed}&ticket={sealed}")]
    {
        for host in [ONE, LOGIN, "app.example.com"] {
            refused(&ada.go(&format!("https://{host}/sso/login?ticket={text}")), "state_unknown");
        }
        refused(&ada.go(&format!("https://{LOGIN}/sso/logout?ticket={text}")), "state_unknown");
    }
    // What looks ahead, or asks for the head alone, uses it up no more than these.
    let (host, target) = split(&back);
    assert_eq!(ada.at(&host).send("HEAD", &target, None, &mut nobody).status(), 204);
    assert_eq!(ada.go(&back).location(), "/");
}

#[test]
fn the_cookie_that_waits_ends_no_login_by_itself() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    ada.go(&format!("https://{ONE}/"));
    let (name, _) = ada.at(ONE).cookies[0].clone();
    let handle = name.rsplit("-flow-").next().unwrap().to_owned();
    let cookies = ada.at(ONE).cookies.clone();
    // As with `cookies.domain`, where the login origin sees it.
    ada.at(LOGIN).cookies = cookies;
    refused(
        &ada.go(&format!("https://{LOGIN}/sso/oidc/consume?u=acme&code=c&state={handle}")),
        "state_unknown",
    );
    for target in ["/sso/oidc/consume?u=acme&code=c&state=s", "/sso/saml/logout?u=acme&SAMLRequest=x"] {
        refused(&ada.go(&format!("https://{ONE}{target}")), "callback_invalid");
    }
}

#[test]
fn only_one_label_is_the_wildcard() {
    let (_, filter_state) = set_up();
    let at = |host: &str, target: &str| Browser::new(&filter_state, host).get(target, &mut nobody);
    for host in [ONE, "ONE.Preview.example.com", "one.preview.example.com:443", "pr-1.preview.example.com"] {
        assert!(at(host, "/open").pass.is_some(), "{host}");
        assert_eq!(at(host, "/x").status(), 302, "{host}");
    }
    for host in [
        "preview.example.com",
        "a.b.preview.example.com",
        "xpreview.example.com",
        "one.preview.example.com.",
        "one.preview.example.com.evil.com",
        "evil.com#.preview.example.com",
        "evil.com/.preview.example.com",
        "evil@one.preview.example.com",
        "one.preview.example.com:8443",
        "one.preview.example.com:443:443",
        "[::1].preview.example.com",
        "[::1]",
        "-x.preview.example.com",
        "x_y.preview.example.com",
        "*.preview.example.com",
        ".preview.example.com",
        "one.preview.example.com,evil.com",
        "one.preview.example.com\u{0}",
        "",
    ] {
        for target in ["/open", "/x", "/sso/login", "/sso/login?ticket=x"] {
            let seen = at(host, target);
            assert_eq!((seen.status(), seen.code()), (404, "account_unknown"), "{host:?} {target}");
            assert!(seen.location().is_empty());
        }
    }
}

#[test]
fn an_exact_origin_goes_before_a_pattern() {
    let (_, filter_state) = set_up();
    for host in ["own.preview.example.com", "OWN.preview.example.com", "own.preview.example.com:443"] {
        let seen = Browser::new(&filter_state, host).get("/x", &mut nobody);
        assert!(seen.location().starts_with("https://login.other.com/"), "{host}: {}", seen.location());
    }
}

#[test]
fn the_application_is_not_at_the_login_origin() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    for target in ["/", "/open", "/x", "/sso/session", "/sso/admin", "/sso/admin/check", "//x", "/SSO/login"]
    {
        refused(&ada.go(&format!("https://{LOGIN}{target}")), "account_unknown");
    }
    let mut off = configuration();
    off["accounts"][0]["sso"] = json!("disabled");
    let state = self::filter_state(&TestHost::new(), &off);
    refused(&Browser::new(&state, LOGIN).get("/open", &mut nobody), "account_unknown");
    assert!(Browser::new(&state, ONE).get("/x", &mut nobody).pass.is_some());
    // Where it is one of `origins` it is, and a login there needs no ticket.
    let mut both = configuration();
    both["accounts"][0]["origins"] = json!(["https://login.example.com", "https://app.example.com"]);
    let state = self::filter_state(&TestHost::new(), &both);
    let seen = Browser::new(&state, LOGIN).get("/x", &mut nobody);
    assert!(seen.location().starts_with("https://idp.example/authorize?"), "{}", seen.location());
    let seen = Browser::new(&state, "app.example.com").get("/x", &mut nobody);
    assert!(seen.location().starts_with("https://login.example.com/sso/login?ticket="));
}

#[test]
fn a_login_asked_for_at_the_login_origin_leads_to_the_application() {
    let (_, filter_state) = set_up();
    let leads = |query: &str| {
        let seen = Browser::new(&filter_state, LOGIN).get(&format!("/sso/login{query}"), &mut nobody);
        assert!(seen.pass.is_none());
        seen.location().to_owned()
    };
    let home = "https://app.example.com/sso/login";
    assert_eq!(leads(""), home);
    assert_eq!(leads("?return_to=%2Fx"), format!("{home}?return_to=%2Fx"));
    let preview = "?return_to=https%3A%2F%2Fone.preview.example.com%2Fx";
    assert_eq!(leads(preview), format!("https://{ONE}/sso/login{preview}"));
    let started = "?iss=https%3A%2F%2Fidp.example&target_link_uri=https%3A%2F%2Ftwo.preview.example.com%2F";
    assert_eq!(leads(started), format!("https://{TWO}/sso/login{started}"));
    for evil in [
        "https://evil.com/",
        "https://evil.com#.preview.example.com/",
        "https://evil.com/.preview.example.com",
        "https://evil.com?.preview.example.com",
        "https://evil.com\\.preview.example.com",
        "https://a.b.preview.example.com/",
        "https://xpreview.example.com/",
        "https://x.other.example.com/",
        "https://own.preview.example.com/",
        "https://one.preview.example.com:8443/",
        "https://one.preview.example.com./",
        "https://user@one.preview.example.com/",
        "https://one.preview.example.com@evil.com/",
        "http://one.preview.example.com/",
        "//one.preview.example.com/",
        "https://[::1].preview.example.com/",
        "javascript://one.preview.example.com/",
    ] {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", evil).finish();
        let first = leads(&format!("?{query}"));
        assert!(first.starts_with(&format!("{home}?")), "{evil}: {first}");
        // There it is refused.
        let (host, target) = split(&first);
        let seen = Browser::new(&filter_state, &host).get(&target, &mut nobody);
        assert_eq!(seen.code(), "return_to_refused", "{evil}");
    }
}

#[test]
fn a_session_of_one_account_is_none_at_anothers_pattern() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let back = ada.ticket(&format!("https://{ONE}/"));
    ada.go(&back);
    let cookies = ada.at(ONE).cookies.clone();
    for (host, is_in) in [(TWO, true), ("x.other.example.com", false), ("own.preview.example.com", false)] {
        ada.at(host).cookies = cookies.clone();
        assert_eq!(ada.is_in(host), is_in, "{host}");
    }
}

#[test]
fn a_login_that_is_refused_leads_back_to_where_it_began() {
    let (_, filter_state) = set_up();
    let mut ada = Person::new(&filter_state);
    let callback = ada.at_provider(&format!("https://{ONE}/reports"));
    let denied = ada.go(&callback.replace("code=c", "error=access_denied"));
    refused(&denied, "idp_denied");
    assert!(
        denied.text().contains("return_to=https%3A%2F%2Fone.preview.example.com%2Freports"),
        "{}",
        denied.text()
    );
    refused(&ada.go(&callback), "state_unknown");
}
