//! xmlsec1 as the oracle: what it signs and encrypts, ours verifies and opens; what ours signs, it verifies. Over
//! generated documents full of prefixes, default namespaces, escapes, CDATA, comments and white space, so that
//! canonicalisation is compared and not assumed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use envoy_sso::fault::Fault;
use envoy_sso::host::{Host, Level};
use envoy_sso::proto::saml::certificate::Certificate;
use envoy_sso::proto::saml::encryption::{self, Opener};
use envoy_sso::proto::saml::private_key::PrivateKey;
use envoy_sso::proto::saml::sign::Signer;
use envoy_sso::proto::saml::signature::Trust;
use envoy_sso::proto::saml::xml;
use envoy_sso::values::secret::Secret;

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const EXC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// Surroundings without a proxy: everything is done by the pure Rust path.
struct Plain;

impl Host for Plain {
    fn now(&self) -> u64 {
        1_800_000_000_000
    }
    fn random(&self, out: &mut [u8]) -> Result<(), Fault> {
        out.iter_mut().enumerate().for_each(|(i, byte)| *byte = i as u8);
        Ok(())
    }
    fn shared_get(&self, _: &str) -> (Option<Vec<u8>>, Option<u32>) {
        (None, None)
    }
    fn shared_set(&self, _: &str, _: &[u8], _: Option<u32>) -> bool {
        true
    }
    fn count(&self, _: &str) {}
    fn observe(&self, _: &str, _: u64) {}
    fn log(&self, _: Level, _: &str) {}
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saml").join(name)
}

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&std::fs::read_to_string(fixture(&format!("{name}.pem"))).unwrap()).unwrap()
}

fn key(name: &str) -> PrivateKey {
    PrivateKey::parse(&Secret::new(std::fs::read_to_string(fixture(&format!("{name}.key"))).unwrap()))
        .unwrap()
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

fn xmlsec1(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new("xmlsec1");
    // The action comes first, the document last.
    command.args(arguments);
    for root in ["protocol:Response", "assertion:Assertion"] {
        if arguments[0] != "--encrypt" {
            command.args(["--id-attr:ID", &format!("urn:oasis:names:tc:SAML:2.0:{root}")]);
        }
    }
    command.arg(file).output().unwrap_or_else(|why| {
        panic!("xmlsec1 cannot be run ({why}); it is this test's oracle: apt-get install xmlsec1 (Debian) or brew install libxmlsec1")
    })
}

fn oracle_verifies(file: &Path, name: &str) -> Result<(), String> {
    let certificate = fixture(&format!("{name}.pem"));
    let output = xmlsec1(&["--verify", "--pubkey-cert-pem", certificate.to_str().unwrap()], file);
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn ours_verifies(text: &str, name: &str) -> Result<(), String> {
    let document = xml::parse(text, &mut xml::Work::response())?;
    let certificates = [certificate(name)];
    let trust = Trust { host: &Plain, certificates: &certificates };
    match trust.verify(document.root_element()) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("no signature".into()),
        Err(why) => Err(format!("{why:?}")),
    }
}

/// A small generator of documents, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    /// Elements with what makes canonicalisation hard. `scope`: the prefixes that are declared around.
    fn element(&mut self, depth: usize, scope: &[&'static str]) -> String {
        let mut scope = scope.to_vec();
        let mut attributes: Vec<String> = Vec::new();
        for prefix in ["a", "b", "c"] {
            if self.roll(4) == 0 {
                // No `&`: libxml2 writes it as `&#38;` in a namespace, against Canonical XML section 2.3.
                let uri = self.pick(&["urn:a", "urn:b", "urn:z?x=1;y=2", "http://example.com/%C3%A9"]);
                attributes.push(format!("xmlns:{prefix}={}", self.quoted(uri)));
                scope.push(prefix);
            }
        }
        if self.roll(4) == 0 {
            let uri = self.pick(&["urn:default", "urn:a", ""]);
            attributes.push(format!("xmlns={}", self.quoted(uri)));
        }
        for name in ["x", "y", "z", "xml:lang"] {
            if self.roll(4) == 0 {
                let value = self.pick(&[
                    "",
                    "1",
                    "a&#9;b",
                    "a&#10;&#13;b",
                    "a\tb\n  c",
                    "&lt;&gt;&amp;&apos;&#34;",
                    ">",
                    "ü€𝄞",
                ]);
                attributes.push(format!("{name}={}", self.quoted(value)));
            }
        }
        // At most one prefixed attribute, since two prefixes may mean the same namespace.
        if let Some(prefix) = scope.get(self.roll(scope.len() + 1)) {
            attributes.push(format!("{prefix}:p=\"v\""));
        }
        if self.roll(2) == 0 {
            attributes.reverse();
        }
        let name = match scope.get(self.roll(scope.len() + 2)) {
            Some(prefix) => format!("{prefix}:e"),
            None => self.pick(&["e", "ƒ", "e-1.x"]).to_owned(),
        };
        let mut tag = name.clone();
        for attribute in attributes {
            tag.push_str(self.pick(&[" ", "\n", "  ", "\t"]));
            tag.push_str(&attribute);
        }
        let mut inside = String::new();
        for _ in 0..self.roll(4) {
            inside.push_str(self.pick(&[
                "",
                "text",
                "\n  ",
                "\r\n",
                "&#13;",
                "&lt;&gt;&amp;\"'",
                "<![CDATA[<&>]]>",
                "<![CDATA[]]>",
                "<!-- c -->",
                "ü€𝄞",
                "&#x20AC;",
            ]));
            if depth > 0 {
                inside.push_str(&self.element(depth - 1, &scope));
            }
        }
        if inside.is_empty() && self.roll(2) == 0 {
            format!("<{tag}/>")
        } else {
            format!("<{tag}>{inside}</{name} >")
        }
    }

    fn quoted(&mut self, value: &str) -> String {
        if self.roll(2) == 0 {
            format!("\"{value}\"")
        } else {
            format!("'{value}'")
        }
    }

    fn message(&mut self, signature: &str) -> String {
        let extra = self.pick(&[
            "",
            " xmlns:a=\"urn:outer\"",
            " xmlns=\"urn:outer\"",
            " xmlns:unused=\"urn:unused\"",
        ]);
        let scope: &[&'static str] = if extra.contains(":a=") { &["a", "samlp"] } else { &["samlp"] };
        let inside: String = (0..3).map(|_| self.element(3, scope)).collect();
        let head = self.pick(&["", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "<!-- before -->"]);
        format!("{head}<samlp:Response xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\"{extra} ID=\"_r\" Version=\"2.0\"><saml:Issuer>idp</saml:Issuer>{signature}{inside}</samlp:Response>\n")
    }
}

/// A signature for xmlsec1 to fill in.
fn template(algorithm: &str, digest: &str, prefixes: Option<&str>) -> String {
    let list = prefixes.map_or(String::new(), |p| {
        format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXC}\" PrefixList=\"{p}\"/>")
    });
    format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXC}\">{list}</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{algorithm}\"/><ds:Reference URI=\"#_r\"><ds:Transforms><ds:Transform Algorithm=\"{DSIG}enveloped-signature\"/><ds:Transform Algorithm=\"{EXC}\">{list}</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm=\"{digest}\"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"
    )
}

fn oracle_signs(folder: &Path, name: &str, text: &str) -> String {
    let file = write(folder, "template.xml", text);
    let keys = format!(
        "{},{}",
        fixture(&format!("{name}.key")).display(),
        fixture(&format!("{name}.pem")).display()
    );
    let output = xmlsec1(&["--sign", "--privkey-pem", &keys], &file);
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_ours_signs_the_oracle_verifies() {
    let folder = folder("ours_signs");
    let key = key("idp");
    let signer = Signer { host: &Plain, key: &key, certificate: None };
    for seed in 0..60 {
        let text =
            signer.envelop(&Dice(seed).message("")).unwrap_or_else(|why| panic!("{seed}: {}", why.detail));
        let file = write(&folder, "signed.xml", &text);
        assert_eq!(oracle_verifies(&file, "idp"), Ok(()), "seed {seed}: {text}");
        assert_eq!(ours_verifies(&text, "idp"), Ok(()), "seed {seed}: {text}");
        // Both see a change, so that both can say no.
        let changed = text.replace("Version=\"2.0\"", "Version=\"2.1\"");
        assert!(oracle_verifies(&write(&folder, "changed.xml", &changed), "idp").is_err(), "seed {seed}");
        assert!(ours_verifies(&changed, "idp").is_err(), "seed {seed}");
        assert!(ours_verifies(&text, "stranger").is_err(), "seed {seed}");
    }
}

#[test]
fn what_the_oracle_signs_ours_verifies() {
    let folder = folder("oracle_signs");
    for seed in 100..180 {
        let mut dice = Dice(seed);
        let prefixes =
            [None, Some("a"), Some("#default"), Some("a b c samlp saml #default unused")][dice.roll(4)];
        let template = template(&format!("{MORE}rsa-sha256"), &format!("{XENC}sha256"), prefixes);
        // The documents hold comments, which a reference to `#id` never selects.
        let template = match seed < 160 {
            true => template,
            false => {
                template.replace(&format!("Algorithm=\"{EXC}\""), &format!("Algorithm=\"{EXC}WithComments\""))
            }
        };
        let text = oracle_signs(&folder, "idp", &dice.message(&template));
        assert_eq!(ours_verifies(&text, "idp"), Ok(()), "seed {seed}: {text}");
        assert!(
            ours_verifies(&text.replace("Version=\"2.0\"", "Version=\"2.1\""), "idp").is_err(),
            "seed {seed}"
        );
    }
}

#[test]
fn every_algorithm() {
    let folder = folder("algorithms");
    for (name, kind) in [("idp", "rsa"), ("p256", "ecdsa"), ("p384", "ecdsa")] {
        for size in ["256", "384", "512"] {
            for digest in [format!("{XENC}sha256"), format!("{MORE}sha384"), format!("{XENC}sha512")] {
                let template = template(&format!("{MORE}{kind}-sha{size}"), &digest, None);
                let text = oracle_signs(&folder, name, &Dice(7).message(&template));
                assert_eq!(ours_verifies(&text, name), Ok(()), "{name} {size} {digest}");
                assert!(ours_verifies(&text, "stranger").is_err());
            }
        }
    }
}

#[test]
fn what_the_oracle_encrypts_ours_opens() {
    let folder = folder("encrypts");
    let key = key("sp");
    let plain = format!(
        "<saml:Assertion xmlns:saml=\"{SAML}\" ID=\"_a\">{}</saml:Assertion>",
        Dice(3).element(2, &["saml"])
    );
    let file = write(&folder, "plain.xml", &plain);
    let sp = fixture("sp.pem");
    for (cipher, session) in [
        (format!("{XENC}aes128-cbc"), "aes-128"),
        (format!("{XENC}aes256-cbc"), "aes-256"),
        ("http://www.w3.org/2009/xmlenc11#aes128-gcm".to_owned(), "aes-128"),
        ("http://www.w3.org/2009/xmlenc11#aes256-gcm".to_owned(), "aes-256"),
    ] {
        // xmlsec1 1.2 has OAEP with SHA-1 only; SHA-256 is in the unit tests.
        for digest in ["", &format!("<ds:DigestMethod Algorithm=\"{DSIG}sha1\"/>")] {
            let template = format!(
                "<xenc:EncryptedData xmlns:xenc=\"{XENC}\" xmlns:ds=\"{DSIG}\" Type=\"{XENC}Element\"><xenc:EncryptionMethod Algorithm=\"{cipher}\"/><ds:KeyInfo><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\">{digest}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"
            );
            let template = write(&folder, "template.xml", &template);
            let output = xmlsec1(
                &[
                    "--encrypt",
                    "--pubkey-cert-pem",
                    sp.to_str().unwrap(),
                    "--session-key",
                    session,
                    "--xml-data",
                    file.to_str().unwrap(),
                ],
                &template,
            );
            assert!(
                output.status.success(),
                "{cipher} {digest}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let data = String::from_utf8(output.stdout).unwrap();
            let data = data
                .trim_start_matches("<?xml version=\"1.0\"?>")
                .trim_start_matches("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
            let text =
                format!("<saml:EncryptedAssertion xmlns:saml=\"{SAML}\">{data}</saml:EncryptedAssertion>");
            let document = xml::parse(&text, &mut xml::Work::response()).unwrap();
            let opened = encryption::open(
                Opener { host: &Plain, key: &key, signed: true, recipient: "" },
                document.root_element(),
            )
            .unwrap();
            assert!(
                opened.contains("<saml:Assertion") && opened.contains("ID=\"_a\""),
                "{cipher} {digest}: {}",
                *opened
            );
        }
    }
}
