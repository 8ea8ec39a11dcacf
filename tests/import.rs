//! `envoy-sso import`: configurations as they stand in the wild, each into one that passes `envoy-sso check`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

mod command;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

fn samples() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/import"))
}

fn import(file: &str) -> (String, String) {
    let output = command::command().arg("import").arg(samples().join(file)).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{file}: {}", text(output.stderr));
    (text(output.stdout), text(output.stderr))
}

fn with_input(verb: &str, text: &str) -> Output {
    command::given(command::command().args([verb, "-"]), text)
}

#[test]
fn every_sample_becomes_a_configuration_that_passes_and_holds_no_secret() {
    for kind in ["oauth2-proxy", "alpha", "envoy-gateway", "mod_auth_openidc"] {
        let files: Vec<_> = fs::read_dir(samples().join(kind)).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 5, "{kind}");
        for file in files {
            let name = format!("{kind}/{}", file.file_name().to_str().unwrap());
            let (yaml, notes) = import(&name);
            let checked = with_input("check", &yaml);
            assert!(checked.status.success(), "{name}\n{yaml}\n{}", String::from_utf8_lossy(&checked.stdout));
            assert!(
                !yaml.contains("never-copied") && !notes.contains("never-copied"),
                "{name}\n{yaml}\n{notes}"
            );
        }
    }
}

fn of(file: &str) -> (Value, String) {
    let (yaml, notes) = import(file);
    (serde_norway::from_str(&yaml).unwrap(), notes)
}

#[test]
fn what_they_say_is_carried_over() {
    for (file, pointer, value) in [
        ("oauth2-proxy/google.cfg", "/accounts/0/origins/0", r#""https://wiki.acme.example""#),
        (
            "oauth2-proxy/google.cfg",
            "/accounts/0/identity_providers/0/email_domains",
            r#"["acme.example","acme-labs.example"]"#,
        ),
        ("oauth2-proxy/google.cfg", "/accounts/0/identity_providers/0/confined", "true"),
        (
            "oauth2-proxy/google.cfg",
            "/accounts/0/identity_providers/0/oidc/client_secret",
            r#"{"env":"OIDC_SECRET"}"#,
        ),
        ("oauth2-proxy/google.cfg", "/accounts/0/paths/oidc_callback", r#""/oauth2/callback""#),
        (
            "oauth2-proxy/google.cfg",
            "/accounts/0/access/0",
            r#"{"allow":"anyone","methods":["GET"],"path":"/healthz"}"#,
        ),
        ("oauth2-proxy/google.cfg", "/accounts/0/access/1", r#"{"allow":"anyone","prefix":"/assets/"}"#),
        ("oauth2-proxy/google.cfg", "/session/lifetime", r#""7d""#),
        ("oauth2-proxy/google.cfg", "/session/recheck", r#""1h""#),
        ("oauth2-proxy/keycloak.cfg", "/accounts/0/access/0/roles", r#"["/ops","/sre"]"#),
        ("oauth2-proxy/keycloak.cfg", "/accounts/0/mapping/roles_claim", r#""groups""#),
        ("oauth2-proxy/keycloak.cfg", "/accounts/0/mapping/role_map", r#"{"/ops":"/ops","/sre":"/sre"}"#),
        (
            "oauth2-proxy/by_hand.cfg",
            "/accounts/0/identity_providers/0/oidc/issuer",
            r#""https://login.acme.example""#,
        ),
        ("alpha/two.yaml", "/accounts/0/identity_providers/1/oidc/client_secret/env", r#""OIDC_SECRET_2""#),
        (
            "alpha/parameters.yaml",
            "/accounts/0/identity_providers/0/oidc/authorization_params/prompt",
            r#""consent""#,
        ),
        ("envoy-gateway/minimal.yaml", "/accounts/0/paths/logout", r#""/app/logout""#),
        ("envoy-gateway/route.yaml", "/accounts/0/origins/0", r#""https://app.acme.example""#),
        ("envoy-gateway/by_hand.yaml", "/session/lifetime", r#""1d""#),
        ("envoy-gateway/by_hand.yaml", "/accounts/0/paths/oidc_callback", r#""/oauth2/callback""#),
        ("mod_auth_openidc/claims.conf", "/accounts/0/access/0/prefix", r#""/public/""#),
        (
            "mod_auth_openidc/claims.conf",
            "/accounts/0/access/1/when/0",
            r#"{"claim":"department","in":["hr","management"]}"#,
        ),
        ("mod_auth_openidc/claims.conf", "/session/idle", r#""30m""#),
        ("mod_auth_openidc/by_hand.conf", "/accounts/0/identity_providers/0/oidc/client_auth", r#""post""#),
        ("mod_auth_openidc/by_hand.conf", "/accounts/0/logout/landing", r#""/bye""#),
    ] {
        let (found, _) = of(file);
        let wanted: Value = serde_json::from_str(value).unwrap();
        assert_eq!(found.pointer(pointer), Some(&wanted), "{file} {pointer}\n{found:#}");
    }
}

#[test]
fn what_cannot_be_carried_over_is_told_with_its_reason() {
    for (file, words) in [
        (
            "oauth2-proxy/keycloak.cfg",
            "skip_auth_regex \"^/(api|public)/.*\": not carried over: only fixed paths",
        ),
        ("oauth2-proxy/entra.cfg", "extra_jwt_issuers: not carried over: list each under bearer.machines"),
        ("oauth2-proxy/github.cfg", "github_org: not carried over"),
        ("oauth2-proxy/by_hand.cfg", "htpasswd_file: not carried over"),
        ("alpha/google.yaml", "providers[0].googleConfig: not carried over"),
        ("alpha/parameters.yaml", "loginURLParameters acr_values: not carried over"),
        ("envoy-gateway/jwt.yaml", "authorization: not carried over: write the rules under access"),
        ("envoy-gateway/cors.yaml", "cors: not carried over: leave it in the SecurityPolicy"),
        ("mod_auth_openidc/google.conf", "not carried over: the filter uses the code flow"),
        ("mod_auth_openidc/api.conf", "Require claim role:admin: not carried over"),
    ] {
        let (_, notes) = of(file);
        assert!(notes.contains(words), "{file} {words}\n{notes}");
    }
}

#[test]
fn a_limit_that_is_lost_lets_no_user_in() {
    for file in [
        "oauth2-proxy/github.cfg",
        "alpha/google.yaml",
        "envoy-gateway/jwt.yaml",
        "mod_auth_openidc/google.conf",
    ] {
        let (found, notes) = of(file);
        let rules = found.pointer("/accounts/0/access").unwrap().as_array().unwrap();
        let all = rules.last().unwrap();
        assert_eq!((&all["prefix"], &all["roles"][0]), (&"/".into(), &"import-unfinished".into()), "{file}");
        assert!(
            notes.contains("until then each path that is not open needs the role import-unfinished"),
            "{file}\n{notes}"
        );
        let open =
            rules.iter().filter(|rule| rule["allow"] != "anyone" && rule["roles"][0] != "import-unfinished");
        assert_eq!(open.count(), 0, "{file}\n{found:#}");
    }
    let (found, _) = of("oauth2-proxy/keycloak.cfg");
    assert!(!found.to_string().contains("import-unfinished"), "the twin: its limit is carried over");
}

#[test]
fn what_is_none_of_them_is_refused() {
    for text in [
        "",
        "a: b\n",
        "hello",
        "[",
        "kind: SecurityPolicy\nspec: {}\n",
        "provider = \"digitalocean\"\nclient_id = \"a\"\n",
    ] {
        let output = with_input("import", text);
        assert!(
            output.status.code() == Some(1) && output.stdout.is_empty() && !output.stderr.is_empty(),
            "{text}: {output:?}"
        );
    }
}
