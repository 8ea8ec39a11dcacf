//! What the fuzzer starts from (`fuzz/seeds/saml_…`), made by the same forge as every other test's documents.

use std::fs;
use std::path::Path;

use super::encrypted::{lock, Lock};
use super::forge::{certificate_info, signature, unsigned};
use super::idp::*;
use super::keys;
use crate::config::Address;
use crate::proto::saml::logout::Outgoing;
use crate::proto::saml::name_id::NameId;
use crate::proto::saml::names::{DSIG, MD, POST, REDIRECT, SAMLP};
use crate::proto::saml::sign::Signer;
use crate::testing::TestHost;

type Seeds = Vec<(&'static str, String)>;

fn responses() -> Seeds {
    let both = Answer::default();
    let with = |change: &dyn Fn(&mut Answer)| {
        let mut answer = Answer::default();
        change(&mut answer);
        answer.write()
    };
    let text = both.write();
    vec![
        ("signed_response", Answer::signed(Style::Response).write()),
        ("signed_assertion", Answer::signed(Style::Assertion).write()),
        ("signed_both", text.clone()),
        ("encrypted", both.around(&lock(&Lock::default(), &both.assertion()))),
        ("unsigned", Answer::signed(Style::Nothing).write()),
        ("signature_removed", unsigned(&unsigned(&text))),
        ("signature_twice", text.replacen(signature(&text), &signature(&text).repeat(2), 1)),
        ("denied", with(&|a| a.status = status("Responder", "AuthnFailed"))),
        (
            "value_added",
            text.replace(
                "</saml:AttributeValue>",
                "</saml:AttributeValue><saml:AttributeValue>root@acme.com</saml:AttributeValue>",
            ),
        ),
        ("comment", text.replace("ada@acme.com", "ada@acme.com<!---->.evil.example")),
        ("cdata", text.replace("ada@acme.com", "<![CDATA[ada@acme.com]]>")),
        (
            "wrapped",
            text.replacen(
                "<saml:Assertion",
                "<saml:Advice/><saml:Assertion ID=\"_evil\"/><saml:Assertion",
                1,
            ),
        ),
        (
            "another_audience",
            with(&|a| a.conditions = conditions("", &at(300), &restriction("https://other"))),
        ),
        ("expired", with(&|a| a.conditions = conditions(&at(-900), &at(-600), &restriction(ENTITY)))),
        ("doctype", format!("<!DOCTYPE x [<!ENTITY e \"ada\">]>{text}")),
    ]
}

fn logouts() -> Seeds {
    let host = TestHost::new();
    let (idp, stranger) = (private(keys::IDP_KEY), private(keys::STRANGER_KEY));
    let signer = |key| Some(Signer { host: &*host, key, certificate: None });
    let to = Address::read(SLO).expect("a URL");
    let name = NameId {
        value: "ada@acme.com".into(),
        format: None,
        name_qualifier: None,
        sp_name_qualifier: Some("sp".into()),
    };
    let request = Outgoing::request(&*host, &to, IDP, &name, Some("_session")).expect("a request");
    let query = |signer, state| {
        let url = request.redirect(&to, state, signer).expect("a URL");
        let query = url.split_once('?').expect("a query").1.to_owned();
        query.strip_prefix("u=acme&").map(str::to_owned).unwrap_or(query)
    };
    let post = |signer| {
        let form = request.post(None, signer).expect("a form");
        format!("{}\n", form.first().expect("a field").1)
    };
    let signed = query(signer(&idp), None);
    let turned: Vec<&str> = signed.split('&').rev().collect();
    vec![
        ("signed_redirect", signed.clone()),
        ("signed_post", post(signer(&idp))),
        ("with_state", query(signer(&idp), Some("rs"))),
        ("unsigned_redirect", query(None, None)),
        ("unsigned_post", post(None)),
        ("stranger_redirect", query(signer(&stranger), None)),
        ("stranger_post", post(signer(&stranger))),
        ("in_another_order", turned.join("&")),
        ("state_added", format!("{signed}&RelayState=x")),
        ("twice", format!("{signed}&{signed}")),
        ("response", signed.replacen("SAMLRequest", "SAMLResponse", 1)),
        ("escaped_name", signed.replacen("SAMLRequest", "SAML%52equest", 1)),
        ("bomb", "SAMLRequest=7cEBDQAAAMKg909tDwcUAAAAAAAAAAAAAAAAAAAAAPBg".into()),
    ]
}

fn metadata() -> Seeds {
    let key = |pem| format!("<KeyDescriptor use=\"signing\">{}</KeyDescriptor>", certificate_info(pem));
    let endpoint =
        |name: &str, binding: &str, to: &str| format!("<{name} Binding=\"{binding}\" Location=\"{to}\"/>");
    let sso = endpoint("SingleSignOnService", REDIRECT, "https://idp.partner.com/sso");
    let entity = |id: &str, inside: &str| {
        format!(
            "<EntityDescriptor xmlns=\"{MD}\" xmlns:ds=\"{DSIG}\" entityID=\"{id}\"><IDPSSODescriptor \
             protocolSupportEnumeration=\"{SAMLP}\">{inside}</IDPSSODescriptor></EntityDescriptor>"
        )
    };
    let good = entity(IDP, &(key(keys::IDP) + &sso));
    let other = entity("https://other.example", &(key(keys::STRANGER) + &sso));
    let both = |inside: &str| format!("<EntitiesDescriptor xmlns=\"{MD}\">{inside}</EntitiesDescriptor>");
    vec![
        ("good", good.clone()),
        ("declared", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- theirs -->{good}")),
        ("two_keys", entity(IDP, &(key(keys::IDP) + &key(keys::STRANGER) + &sso))),
        ("no_key", entity(IDP, &sso)),
        ("weak_key", entity(IDP, &(key(keys::WEAK) + &sso))),
        ("no_endpoint", entity(IDP, &key(keys::IDP))),
        (
            "script",
            entity(IDP, &(key(keys::IDP) + &endpoint("SingleSignOnService", POST, "javascript:alert(1)"))),
        ),
        (
            "logout",
            entity(IDP, &(key(keys::IDP) + &sso + &endpoint("SingleLogoutService", POST, "https://idp/slo"))),
        ),
        ("several", both(&(good.clone() + &other))),
        ("nested", both(&both(&good))),
        ("the_same_twice", both(&(good.clone() + &good))),
        ("expired", good.replacen(" entityID", " validUntil=\"2020-01-01T00:00:00Z\" entityID", 1)),
        ("valid", good.replacen(" entityID", " validUntil=\"2030-01-01T00:00:00Z\" entityID", 1)),
        ("doctype", format!("<!DOCTYPE EntityDescriptor>{good}")),
        ("other", other),
    ]
}

fn trees() -> Seeds {
    [
        ("plain", "<a/>"),
        ("text", "<a>b &amp; c &lt; d &gt; e</a>"),
        ("attributes", "<a z=\"1\" y=\"2\" x='3\"'/>"),
        ("namespaces", "<a xmlns=\"u:1\" xmlns:b=\"u:2\"><b:c b:d=\"1\" d=\"2\"/><e xmlns=\"\"/></a>"),
        ("unused", "<a xmlns:b=\"u:1\"><c xmlns:b=\"u:2\"><b:d/></c><b:e/></a>"),
        ("rebound", "<b:a xmlns:b=\"u:1\"><b:c xmlns:b=\"u:2\"><b:d xmlns:b=\"u:1\"/></b:c></b:a>"),
        ("white", "<a  b = \"1\"\n\tc='2' >\r\n d\r </a >"),
        ("entities", "<a b=\"&#10;&#x9;&#13;&quot;\">&#13;&#x2603;&apos;</a>"),
        ("comment", "<a>b<!-- c -->d</a>"),
        ("cdata", "<a><![CDATA[b<c>&amp;]]></a>"),
        ("xml_lang", "<a xml:lang=\"en\" xml:space=\"preserve\"><b/></a>"),
        ("unicode", "<\u{e9}l\u{e9}ment \u{e4}=\"\u{1f600}\"/>"),
        ("declaration", "<?xml version='1.0'?><a/>"),
        ("doctype", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"),
        ("instruction", "<a><?b c?></a>"),
        ("cut", "<a><b"),
    ]
    .map(|(name, text)| (name, text.to_owned()))
    .into()
}

#[test]
fn the_fuzzers_seeds_are_what_the_forge_makes() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let all = [
        ("saml_response", responses()),
        ("saml_logout", logouts()),
        ("saml_metadata", metadata()),
        ("saml_xml", trees()),
    ];
    for (target, list) in all {
        for (name, made) in list {
            let file = seeds.join(target).join(name);
            if std::env::var_os("UPDATE_SEEDS").is_some() {
                fs::create_dir_all(seeds.join(target)).unwrap();
                fs::write(&file, &made).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(kept, made, "{}: run with UPDATE_SEEDS=1", file.display());
        }
    }
}
