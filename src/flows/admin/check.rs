//! Does the configuration work end to end? Every provider and the directory are asked anew, through their
//! clusters; nothing that sign-ins go by is changed by it, and no detail ever holds a secret.

use url::Url;

use crate::config::{
    Account, Attribute, Config, Directory, Endpoint, MappingFrom, OAuth2, Oidc, Problem, Protocol, Saml,
};
use crate::crypto::{large_key, MAX_KEY_SET, USUAL_KEY_BITS};
use crate::directory::reports;
use crate::exchange::Exchange;
use crate::flows::login;
use crate::host::task::{Io, Request};
use crate::pages::Check;
use crate::proto::fetch::{answer, redirects};
use crate::proto::oidc::discovery::{self, MAX_METADATA, TENANT};
use crate::proto::oidc::{KeySet, Metadata};
use crate::proto::saml::idp::single_logout;
use crate::proto::saml::metadata::{self, Theirs, MAX_METADATA as MAX_SAML_METADATA};
use crate::replicas::outbox;
use crate::state::AccountState;

/// The most calls of one check; each ends with its provider's timeout.
const MAX_CALLS: usize = 30;

/// What was found so far.
struct Checks<'a> {
    io: &'a Io,
    exchange: &'a Exchange,
    /// The provider whose turn it is.
    id: &'a str,
    list: Vec<Check>,
    calls: usize,
}

/// Asks and looks at everything.
pub async fn run(io: &Io, exchange: &Exchange, account_state: &AccountState) -> Vec<Check> {
    let account = &account_state.account;
    let mut checks = Checks { io, exchange, id: "", list: Vec::new(), calls: 0 };
    for provider in &account.providers {
        checks.id = &provider.id;
        match &provider.protocol {
            Protocol::Oidc(oidc) => {
                if let Ok(client) = account_state.client(&provider.id) {
                    checks.openid(oidc, client, account).await;
                }
            }
            Protocol::OAuth2(oauth2) => checks.oauth2(oauth2).await,
            Protocol::Saml(saml) => checks.saml(saml, account_state).await,
        }
    }
    checks.id = "";
    checks.directory(account).await;
    checks.mapping(account);
    checks.shared().await;
    let keys = &exchange.filter_state.config.session.keys;
    checks.add("session: keys", Ok(format!("{keys:?}; the first one seals")));
    for warning in warnings_for(&exchange.filter_state.config, &account.code) {
        checks.add("configuration", Ok(format!("warning: {warning}")));
    }
    checks.list
}

/// The warnings that this account's administrators may read: its own, each with its path inside the account, and those of the
/// whole file. A file may hold many customers, so that a warning which names another account is left out.
fn warnings_for(config: &Config, code: &str) -> Vec<String> {
    let place = config.accounts.iter().position(|own| own.code == code);
    let own = place.map(|place| format!("accounts[{place}]"));
    let names_another = |text: &str| {
        let mut others = config.accounts.iter().filter(|other| other.code != code);
        others.any(|other| {
            let mut origins = other.origins_as_written();
            text.contains(&format!("account {:?}", other.code))
                || origins.any(|origin| text.contains(&origin))
        })
    };
    let readable = |warning: &Problem| {
        let path = match own.as_ref().and_then(|own| warning.path.strip_prefix(own.as_str())) {
            Some(inside) => inside.trim_start_matches('.'),
            None if warning.path.starts_with("accounts[") => return None,
            None => warning.path.as_str(),
        };
        let text = Problem { path: path.to_owned(), message: warning.message.clone() }.to_string();
        (!names_another(&text)).then_some(text)
    };
    config.warnings.iter().filter_map(readable).collect()
}

/// The same as checks of the report: what they say is to be done elsewhere.
pub fn to_register(account: &Account) -> Vec<Check> {
    let row = |(what, detail)| Check { name: format!("register {what}"), ok: true, detail };
    redirect_uris(account).into_iter().map(row).collect()
}

/// What has to be entered at the identity providers, for every origin.
pub fn redirect_uris(account: &Account) -> Vec<(String, String)> {
    use Endpoint::*;
    let openid: &[(&str, Endpoint)] = &[
        ("redirect_uri", OidcCallback),
        ("post_logout_redirect_uri", LogoutComplete),
        ("backchannel_logout_uri", BackchannelLogout),
        ("frontchannel_logout_uri", FrontchannelLogout),
    ];
    let saml: &[(&str, Endpoint)] = &[
        ("AssertionConsumerService", SamlCallback),
        ("metadata, entity ID", SamlMetadata),
        ("SingleLogoutService", SamlLogout),
    ];
    // With a login origin providers know no other.
    let origins: Vec<String> = match &account.login_origin {
        Some(login) => vec![login.origin.to_string()],
        None => account.origins_as_written().collect(),
    };
    let mut list = Vec::new();
    for provider in &account.providers {
        let endpoints = match &provider.protocol {
            Protocol::Oidc(_) => openid,
            Protocol::OAuth2(_) => openid.get(..2).unwrap_or_default(),
            Protocol::Saml(own) if single_logout(own) => saml,
            Protocol::Saml(_) => saml.get(..2).unwrap_or_default(),
        };
        for origin in &origins {
            for (name, endpoint) in endpoints {
                list.push((
                    format!("{name} at {}", provider.id),
                    match endpoint {
                        OidcCallback => format!("{origin}{}", account.paths.callback(&provider.id)),
                        _ => format!("{origin}{}", account.paths.registered(*endpoint)),
                    },
                ));
            }
        }
    }
    list
}

impl Checks<'_> {
    fn add(&mut self, name: &str, found: Result<String, String>) {
        let ok = found.is_ok();
        let detail = found.unwrap_or_else(|why| why).chars().take(1000).collect();
        let between = if self.id.is_empty() { "" } else { ": " };
        self.list.push(Check { name: [self.id, between, name].concat(), ok, detail });
    }

    /// A document, fetched anew.
    async fn fetch(&mut self, url: &Url, timeout: u64, max: usize) -> Result<Vec<u8>, String> {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(format!("not asked: one check makes at most {MAX_CALLS} calls"));
        }
        let request = Request { max_answer: max, ..Request::get("check", url.clone(), timeout) };
        let reply =
            redirects::followed(self.io, url.as_str(), request, None).await.map_err(|fault| fault.detail)?;
        answer::body(url.as_str(), reply).map_err(|refusal| refusal.fault.detail)
    }

    /// An endpoint that is only for people's browsers or for requests with credentials: any answer of the
    /// server's own will do.
    async fn reach(&mut self, name: &str, url: &Url, timeout: u64) {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return;
        }
        let cluster = self.exchange.filter_state.config.clusters.resolve(url);
        let reply = self.io.call(Request::get("check", url.clone(), timeout)).await;
        let found = match answer::arrived(url.as_str(), reply) {
            Ok(answer) if answer.status < 500 => {
                Ok(format!("{url} answers through cluster {:?}", cluster.unwrap_or_default()))
            }
            Ok(answer) => Err(format!("{url}: status {}", answer.status)),
            Err(fault) => Err(fault.detail),
        };
        self.add(name, found);
    }

    /// RFC 9700 section 2.6: codes, tokens and keys travel over TLS, unless the provider has none at all.
    fn plain_http(&mut self, issuer: &str, urls: &[(&str, Option<&Url>)]) {
        let plain: Vec<&str> = urls
            .iter()
            .filter(|(_, url)| url.is_some_and(|url| url.scheme() == "http"))
            .map(|(name, _)| *name)
            .collect();
        if !plain.is_empty() && !issuer.starts_with("http:") {
            self.add("TLS", Err(format!("plain http under an https issuer: {}", plain.join(", "))));
        }
    }

    /// Several providers need `iss` in each answer, or a redirect URI for each (RFC 9700 section 4.4.2).
    fn mix_up(&mut self, account: &Account, metadata: &Metadata) {
        let with_code = account.providers.iter().filter(|own| !matches!(own.protocol, Protocol::Saml(_)));
        if with_code.count() > 1 && !metadata.iss_parameter_supported && !account.paths.callbacks_differ() {
            let why = "warning: discovery does not promise iss (RFC 9207), so the answer of another provider could be taken \
                       for this one's; write {idp} into paths.oidc_callback and register each redirect URI";
            self.add("answers of other providers", Ok(why.into()));
        }
    }

    async fn openid(&mut self, oidc: &Oidc, client: &crate::proto::oidc::Provider, account: &Account) {
        let metadata = match &oidc.discovery {
            None => Metadata::by_hand(oidc),
            Some(url) => {
                let fetched = self.fetch(url, oidc.timeout, MAX_METADATA).await;
                let with_hint = |why: &String| format!("{why}{}", discovery::hint(url));
                let said = fetched.as_ref().map(|_| format!("{url} answers")).map_err(with_hint);
                self.add("discovery", said);
                match fetched {
                    Ok(bytes) => client.read_metadata(&bytes),
                    Err(_) => return,
                }
            }
        };
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(why) => {
                if why.contains("plain http") {
                    self.add("TLS", Err(why.clone()));
                }
                return self.add("issuer and endpoints", Err(why));
            }
        };
        self.mix_up(account, &metadata);
        let issuer = metadata.issuer.as_str();
        self.add(
            "issuer and endpoints",
            Ok(match (issuer.contains(TENANT), &oidc.tenants) {
                (true, None) => format!("warning: {issuer} lets in every tenant: configure tenants"),
                (true, Some(tenants)) => format!("{issuer} for {} tenants", tenants.len()),
                _ => format!("{issuer} is the issuer that is configured"),
            }),
        );
        let (token, userinfo, jwks) =
            (&metadata.token_endpoint, metadata.userinfo_endpoint.as_ref(), metadata.jwks_uri.as_ref());
        let par = metadata.pushed_authorization_request_endpoint.as_ref();
        self.plain_http(
            issuer,
            &[
                ("authorization_endpoint", Some(&metadata.authorization_endpoint)),
                ("token_endpoint", Some(token)),
                ("userinfo_endpoint", userinfo),
                ("jwks_uri", jwks),
                ("end_session_endpoint", metadata.end_session_endpoint.as_ref()),
                ("pushed_authorization_request_endpoint", par),
            ],
        );
        self.reach("token endpoint", token, oidc.timeout).await;
        if let Some(url) = userinfo {
            self.reach("UserInfo endpoint", url, oidc.timeout).await;
        } else if account.mapping.from == MappingFrom::Userinfo {
            self.add("UserInfo endpoint", Err("mapping.from is userinfo, and there is none".into()));
        }
        if let Some(url) = par {
            self.reach("pushed authorization requests", url, oidc.timeout).await;
        }
        self.ways_out(oidc, &metadata);
        let keys = match (&oidc.jwks, jwks) {
            (Some(text), _) => KeySet::parse(text.as_bytes()),
            (None, Some(url)) => {
                self.fetch(url, oidc.timeout, MAX_KEY_SET).await.and_then(|bytes| KeySet::parse(&bytes))
            }
            (None, None) => Err("jwks_uri is missing".into()),
        };
        self.keys(oidc, &metadata, keys);
        let missing = [("email", "email"), ("phone_number", "phone")].into_iter().find(|(claim, scope)| {
            account.mapping.claim == *claim && !oidc.scope.iter().any(|own| own == scope)
        });
        if let Some((claim, scope)) = missing {
            let detail =
                format!("warning: the mapping reads {claim}, and the scope {scope} is not asked for");
            self.add("scope", Ok(detail));
        }
    }

    /// What a sign-out means at this provider.
    fn ways_out(&mut self, oidc: &Oidc, metadata: &Metadata) {
        let there = match (&oidc.logout, &metadata.end_session_endpoint) {
            (Some(logout), _) => format!("goes on at {}", logout.url),
            (None, Some(url)) => format!("goes on at {url}"),
            (None, None) => "ends the session here only".to_owned(),
        };
        let ways = [
            ("back channel", metadata.backchannel_logout_supported),
            ("front channel", metadata.frontchannel_logout_supported),
        ];
        let offered: Vec<&str> = ways.iter().filter(|(_, offered)| *offered).map(|(name, _)| *name).collect();
        let offered =
            if offered.is_empty() { "offers neither channel".to_owned() } else { offered.join(", ") };
        self.add("sign-out", Ok(format!("{there}; the provider's own: {offered}")));
    }

    fn keys(&mut self, oidc: &Oidc, metadata: &Metadata, keys: Result<KeySet, String>) {
        let symmetric = oidc.id_token_alg.as_deref().filter(|alg| alg.starts_with("HS"));
        if let Some(alg) = symmetric {
            let detail = format!("{alg}, with the client secret");
            return self.add("algorithms", Ok(detail));
        }
        let keys = match keys {
            Ok(keys) => keys,
            Err(why) => return self.add("keys", Err(why)),
        };
        let algs = keys.algs();
        let mut detail = format!("{} keys can verify: {}", keys.len(), algs.join(", "));
        if let (skipped @ 1.., Some(why)) = &keys.skipped {
            detail.push_str(&format!("; {skipped} left out, the first: {why}"));
        }
        self.add("keys", if keys.is_empty() { Err(detail) } else { Ok(detail) });
        let promised =
            |alg: &str| metadata.id_token_algs.as_ref().is_none_or(|list| list.iter().any(|own| own == alg));
        let found = match oidc.id_token_alg.as_deref() {
            Some(alg) if !algs.contains(&alg) => Err(format!("id_token_alg is {alg}, and no key is for it")),
            Some(alg) if !promised(alg) => {
                Err(format!("id_token_alg is {alg}, which discovery does not list"))
            }
            Some(alg) => Ok(alg.to_owned()),
            None => {
                let common: Vec<&str> = algs.iter().copied().filter(|alg| promised(alg)).collect();
                match common.is_empty() {
                    true => Err("no algorithm that discovery lists has a key".into()),
                    false => Ok(common.join(", ")),
                }
            }
        };
        self.add("algorithms", found);
    }

    async fn oauth2(&mut self, oauth2: &OAuth2) {
        self.plain_http(
            &oauth2.issuer,
            &[
                ("authorization", Some(&oauth2.authorization)),
                ("token", Some(&oauth2.token)),
                ("userinfo", Some(&oauth2.userinfo)),
            ],
        );
        self.reach("token endpoint", &oauth2.token, oauth2.timeout).await;
        self.reach("UserInfo endpoint", &oauth2.userinfo, oauth2.timeout).await;
    }

    async fn saml(&mut self, saml: &Saml, account_state: &AccountState) {
        let Some(idp) = account_state.idps.get(self.id) else { return };
        if let Some(url) = &saml.metadata_url {
            let fetched = self.fetch(url, saml.timeout, MAX_SAML_METADATA).await;
            let now = self.io.now();
            let read = fetched.and_then(|bytes| {
                let text = metadata::text(&bytes)?;
                Theirs::read(&text, saml.issuer.as_deref(), now)?.within(saml.bounds.as_ref())
            });
            self.add(
                "metadata",
                read.map(|theirs| match theirs.warnings.first() {
                    Some(why) => format!("{url} answers; warning: {why}"),
                    None if theirs.wants_signed_requests && saml.signing.is_none() => {
                        format!("{url} answers; warning: the IdP wants signed requests (WantAuthnRequestsSigned): signing")
                    }
                    None => format!("{url} answers, entity ID {:?}", theirs.entity_id),
                }),
            );
        }
        let facts = match idp.facts(self.io).await {
            Ok(facts) => facts,
            Err(fault) => return self.add("issuer and endpoints", Err(fault.detail)),
        };
        self.add("issuer and endpoints", Ok(format!("{:?}, sign-in at {}", facts.issuer, facts.sso.1.text)));
        self.reach("sign-in URL", &facts.sso.1.url, saml.timeout).await;
        let now = self.io.now();
        for certificate in &facts.certificates {
            let name = certificate.name();
            // Trust is pinned to the key, so that an expired one still verifies.
            let detail = match certificate.date_warning(now) {
                Some(why) => format!("warning: {why}"),
                None => format!("{name} until {}", crate::proto::saml::time::instant(certificate.not_after)),
            };
            self.add("certificate", Ok(detail));
        }
        for (what, own) in [
            ("our signing certificate", idp.signing_certificate()),
            ("our encryption certificate", idp.encryption_certificate()),
        ] {
            if let Some(why) = own.and_then(|certificate| certificate.date_warning(now)) {
                self.add(what, Ok(format!("warning: {why}")));
            }
        }
        for (what, bits) in idp.key_sizes().into_iter().filter(|(_, bits)| *bits > USUAL_KEY_BITS) {
            self.add(what, Ok(format!("warning: {}", large_key(bits))));
        }
        if saml.decryption.is_some() && idp.encryption_certificate().is_none() {
            let detail = "warning: our metadata shows no certificate to encrypt for: decryption.certificate";
            self.add("our encryption certificate", Ok(detail.into()));
        }
        match login::saml::last(self.io, &account_state.account, self.id) {
            Some(last) if last.code == "ok" => {
                let at = crate::proto::saml::time::instant(last.at);
                self.add("last sign-in", Ok(format!("worked at {at}")));
            }
            // Any visitor can have a sign-in refused: it says what to look at, not that something is wrong.
            Some(last) => {
                let at = crate::proto::saml::time::instant(last.at);
                self.add(
                    "last sign-in",
                    Ok(format!("warning: refused at {at}, {}: {}", last.code, last.detail)),
                );
            }
            None => {}
        }
    }

    /// The engine that several Envoys share: asked now, and how far this Envoy is in step.
    async fn shared(&mut self) {
        let Some(replicas) = &self.exchange.filter_state.replicas else { return };
        let host = self.io.host();
        let waiting = outbox::all(host, 0).len();
        let found = match replicas.reach(self.io).await {
            Ok(revision) => Ok(format!(
                "etcd answers at revision {revision}; in step as of {} ms ago, {waiting} ends not delivered yet; set \
                 connection_keepalive on cluster {:?}, which the filter cannot see",
                replicas.lag(host, host.now()),
                replicas.settings.cluster
            )),
            Err(away) => Err(format!("cluster {:?}: {}", replicas.settings.cluster, away.detail)),
        };
        self.add("shared", found);
    }

    async fn directory(&mut self, account: &Account) {
        let found = match (reports::reach(self.io, account).await, &account.directory) {
            (Err(fault), _) => Err(fault.detail),
            (_, Directory::None) => Ok("none: the identity is the user".into()),
            (Ok(Some(users)), _) => Ok(format!("{users} users")),
            (Ok(None), _) => Ok("it answers, and does not say how many users it has".into()),
        };
        self.add("directory", found);
    }

    fn mapping(&mut self, account: &Account) {
        let mapping = &account.mapping;
        let mut detail = format!("{} to {}", mapping.claim, mapping.attribute.as_str());
        if mapping.attribute == Attribute::Phone && mapping.default_country_code.is_none() {
            detail.push_str("; warning: without default_country_code only international numbers are read");
        }
        if !mapping.roles_claim.is_empty() && mapping.role_map.is_empty() {
            detail.push_str("; warning: role_map is empty, so roles_claim grants nothing");
        }
        self.add("mapping", Ok(detail));
    }
}
