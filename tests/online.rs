//! `envoy-sso check --online`: each thing that can be wrong outside, and its twin that works.

#![allow(clippy::unwrap_used)] // helpers of tests

mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{json, Value};

const KEYS: &str = include_str!("keys/test-jwks.json");

/// What the counterparts do wrong.
#[derive(Clone, Copy, Default)]
struct Faults {
    no_discovery: bool,
    other_issuer: bool,
    no_keys: bool,
    unknown_client: bool,
    wrong_token: bool,
    wrong_path: bool,
    sick_engine: bool,
    repeats_secret: bool,
}

/// Provider, directory and engine at one address, until the process ends.
fn serve(faults: Faults) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), port, faults);
        }
    });
    port
}

fn answer(mut stream: TcpStream, port: u16, faults: Faults) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.trim().to_ascii_lowercase();
        length = line.strip_prefix("content-length: ").and_then(|n| n.parse().ok()).unwrap_or(length);
        lines.push(line);
    }
    let Some(first) = lines.first().cloned() else { return };
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let issuer = format!("http://127.0.0.1:{port}");
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, said) = match path {
        path if path.starts_with("/.well-known/openid-configuration") && !faults.no_discovery => (
            200,
            json!({
                "issuer": if faults.other_issuer { "https://other.example" } else { &issuer },
                "jwks_uri": format!("{issuer}/keys"), "token_endpoint": format!("{issuer}/token"),
                "claims_supported": ["sub"],
            })
            .to_string(),
        ),
        "/keys" if faults.no_keys => (200, json!({ "keys": [] }).to_string()),
        "/keys" => (200, KEYS.to_owned()),
        "/token" if faults.repeats_secret => {
            (400, json!({ "error": "no client a-client-secret\u{1b}[2J" }).to_string())
        }
        "/token" if faults.unknown_client => (401, json!({ "error": "invalid_client" }).to_string()),
        "/token" => {
            // "app:a secret+" as RFC 6749 section 2.3.1 encodes it.
            assert!(lines.iter().any(|line| line.starts_with("authorization: basic ")), "{lines:?}");
            assert!(String::from_utf8_lossy(&body).contains("grant_type=authorization_code"));
            (400, json!({ "error": "invalid_grant" }).to_string())
        }
        "/scim/v2/users?startindex=1&count=1" if faults.wrong_token => (401, String::new()),
        "/scim/v2/users?startindex=1&count=1" if !faults.wrong_path => {
            (200, json!({ "totalResults": 7, "Resources": [] }).to_string())
        }
        "/health" => (
            if faults.sick_engine { 503 } else { 200 },
            json!({ "health": (!faults.sick_engine).to_string() }).to_string(),
        ),
        _ => (404, String::new()),
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(said.as_bytes()));
}

fn configuration(port: u16, secret: Value) -> String {
    let base = format!("http://127.0.0.1:{port}");
    json!({
        "static_resources": { "clusters": [
            { "name": "local", "load_assignment": { "endpoints": [{ "lb_endpoints": [{ "endpoint": {
                "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } } } }] }] } },
        ] },
        "sso": {
            "session": { "keys": [{ "id": "a", "value": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" }] },
            "clusters": { "*": "local" }, "cookies": { "secure": false },
            "shared": { "engine": "etcd", "cluster": "local" },
            "accounts": [{
                "code": "acme", "origins": ["http://localhost:8080"], "sso": "enabled",
                "identity_providers": [{ "id": "corp", "title": "Acme", "oidc": {
                    "discovery": format!("{base}/.well-known/openid-configuration"), "issuer": base,
                    "client_id": "app", "client_secret": secret,
                } }],
                "directory": { "scim": { "url": format!("{base}/scim/v2"), "token": { "value": "a-token" } } },
            }],
        },
    })
    .to_string()
}

fn online(document: &str) -> (Option<i32>, String) {
    let mut check = command::command();
    check.args(["check", "--online", "-"]).env_remove("http_proxy").env("NO_PROXY", "127.0.0.1");
    let output = command::given(&mut check, document);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_works_is_said_and_passes() {
    let port = serve(Faults::default());
    let (code, text) = online(&configuration(port, json!({ "value": "a secret+" })));
    assert_eq!(code, Some(0), "{text}");
    for words in [
        &format!("works: acme/corp: discovery; the issuer is http://127.0.0.1:{port}"),
        "works: acme/corp: keys; ",
        "note: acme/corp: claims_supported lacks \"email\"",
        "works: acme/corp: the provider knows the client \"app\"",
        "works: acme: directory; it has 7 users",
        &format!("works: engine: 127.0.0.1:{port} is healthy"),
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("a secret+") && !text.contains("a-token"), "no secret: {text}");
}

#[test]
fn each_failure_has_its_words_and_exit_1() {
    for (faults, words) in [
        (Faults { no_discovery: true, ..Faults::default() }, "status 404; is the issuer's path right?"),
        (Faults { other_issuer: true, ..Faults::default() }, "\"https://other.example\" at the provider"),
        (Faults { no_keys: true, ..Faults::default() }, "no key can verify"),
        (
            Faults { unknown_client: true, ..Faults::default() },
            "invalid_client: client_id, client_secret or client_auth (basic) is wrong",
        ),
        (Faults { wrong_token: true, ..Faults::default() }, "status 401: directory.scim.token is wrong"),
        (Faults { wrong_path: true, ..Faults::default() }, "status 404: directory.scim.url lacks its path"),
        (Faults { sick_engine: true, ..Faults::default() }, "/health answers 503"),
    ] {
        let (code, text) = online(&configuration(serve(faults), json!({ "value": "s" })));
        assert_eq!(code, Some(1), "{words}\n{text}");
        assert!(
            text.lines().any(|line| line.starts_with("FAILS: ") && line.contains(words)),
            "{words}\n{text}"
        );
    }
}

#[test]
fn nothing_that_listens_and_a_secret_that_is_not_here_are_told() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, text) = online(&configuration(closed, json!({ "value": "s" })));
    assert!(code == Some(1) && text.contains("nothing listens there"), "{text}");
    assert!(text.contains("engine: no connection to"), "{text}");
    let (code, text) = online(&configuration(serve(Faults::default()), json!({ "env": "NOT_SET_HERE" })));
    assert!(
        code == Some(0)
            && text.contains("note: acme/corp: the client was not tried: its secret is not set here"),
        "{text}"
    );
}

#[test]
fn a_cluster_that_the_filter_cannot_use_fails_though_this_machine_reaches_the_server() {
    let port = serve(Faults::default());
    let good: Value = serde_json::from_str(&configuration(port, json!({ "value": "s" }))).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        online(&document.to_string())
    };
    let named = |cluster: &str| json!({ "127.0.0.1": cluster });
    let dynamic = json!({ "cds_config": { "ads": {} } });
    let static_only = "is not among the static clusters of this file, and it has no cds_config";
    for (what, code, words, (clusters, engine, dynamic)) in [
        ("as it is", 0, "works: acme/corp: keys", (named("local"), "local", Value::Null)),
        (
            "a host that clusters does not name",
            1,
            "FAILS: acme: identity_providers[0].oidc.discovery: no entry of clusters is for 127.0.0.1",
            (json!({ "other": "local" }), "local", Value::Null),
        ),
        ("a cluster that the file lacks", 1, static_only, (named("ipd"), "local", Value::Null)),
        ("a cluster that may come by CDS", 0, "must come by CDS", (named("ipd"), "local", dynamic)),
        ("the engine's cluster", 1, "shared.cluster: \"etdc\"", (named("local"), "etdc", Value::Null)),
    ] {
        let (found, text) = with(&|document| {
            document["sso"]["clusters"] = clusters.clone();
            document["sso"]["shared"]["cluster"] = json!(engine);
            document["dynamic_resources"] = dynamic.clone();
        });
        assert!(found == Some(code) && text.contains(words), "{what}: {found:?}\n{text}");
    }
}

#[test]
fn an_endpoint_that_only_discovery_names_needs_a_cluster_too() {
    let port = serve(Faults::default());
    let mut document: Value = serde_json::from_str(&configuration(port, json!({ "value": "s" }))).unwrap();
    let oidc = "/sso/accounts/0/identity_providers/0/oidc";
    // The provider names itself 127.0.0.1; its document is read under another name.
    document.pointer_mut(oidc).unwrap()["discovery"] =
        json!(format!("http://localhost:{port}/.well-known/openid-configuration"));
    document["sso"]["clusters"] = json!({ "localhost": "local" });
    document["sso"]["accounts"][0].as_object_mut().unwrap().remove("directory");
    let (code, text) = online(&document.to_string());
    let words =
        "FAILS: acme/corp: jwks_uri of discovery: no entry of clusters is for 127.0.0.1, so that the filter";
    assert!(code == Some(1) && text.contains(words), "{text}");
}

#[test]
fn nothing_secret_is_printed_whatever_servers_say() {
    let port = serve(Faults { repeats_secret: true, no_keys: true, ..Faults::default() });
    let text = configuration(port, json!({ "value": "a-client-secret" }));
    let text = text.replace("openid-configuration", "openid-configuration?key=of-the-query");
    for document in [text.clone(), text.replace(&format!(":{port}/.well"), ":1/.well")] {
        let (_, said) = online(&document);
        for secret in ["a-client-secret", "of-the-query", "a-token", "\u{1b}"] {
            assert!(!said.contains(secret), "{secret:?} in {said}");
        }
    }
    let (_, said) = online(&text);
    assert!(said.contains("the token endpoint answered no client (secret)?[2J (400)"), "{said}");
}
