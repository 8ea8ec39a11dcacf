//! The metadata of protected resources (RFC 9728): by it programs such as MCP clients find the provider to get a
//! token from. It is public, also for scripts of other origins.

use std::rc::Rc;

use serde_json::{json, Map, Value};

use crate::access::resource::{published, WELL_KNOWN};
use crate::access::Resource;
use crate::config::{Origin, Protocol};
use crate::exchange::{Exchange, Ruling};
use crate::fault::{Code, Fault};
use crate::http::response::Response;
use crate::http::{Head, Path};
use crate::proto::oidc::discovery::{TENANT, WELL_KNOWN as DISCOVERY};
use crate::state::{AccountState, FilterState};

/// Answers a request for the metadata of a resource. `None`: the path is none, and the application's.
pub fn answer(
    filter_state: &Rc<FilterState>,
    account_states: &[Rc<AccountState>],
    head: &Rc<Head>,
    path: &Path<'_>,
    now: u64,
) -> Option<Ruling> {
    if !head.path().starts_with(WELL_KNOWN.as_bytes()) {
        return None;
    }
    let asked = path.plain()?;
    let serves = |account_state: &&Rc<AccountState>| {
        let account = &account_state.account;
        account.enabled && !account.is_login_only(head.authority())
    };
    let enabled = account_states.iter().filter(serves);
    let mut found = enabled
        .filter_map(|account_state| Some((account_state, published(&account_state.account.access, asked)?)));
    let (account_state, resource) = found.next()?;
    let exchange = Exchange::new(filter_state, Some(account_state), head, asked.to_owned(), now);
    let answer = match head.method() {
        b"GET" | b"HEAD" => {
            let origin = exchange.origin()?;
            // Accounts that share an origin share its resources: a token of any of them counts.
            let servers = found.map(|(other, _)| other).fold(issuers(account_state), |mut all, other| {
                all.extend(
                    issuers(other).into_iter().filter(|issuer| !all.contains(issuer)).collect::<Vec<_>>(),
                );
                all
            });
            Response::json(200, &document(resource, &origin, servers))
        }
        b"OPTIONS" => Response::new(204, "ok")
            .with_header("access-control-allow-methods", "GET, HEAD")
            .with_header("access-control-allow-headers", "*, authorization")
            .with_header("access-control-max-age", "3600"),
        _ => {
            let allow = "GET, HEAD, OPTIONS";
            let fault = Fault::new(Code::MethodNotAllowed, format!("only {allow}"));
            exchange.refuse(&fault).set_header("allow", allow)
        }
    };
    Some(Ruling::LocalReply(answer.with_header("access-control-allow-origin", "*")))
}

/// RFC 9728 section 2.
fn document(resource: &Resource, origin: &Origin, servers: Vec<String>) -> Value {
    let mut document = Map::new();
    document.insert("resource".into(), json!(format!("{origin}{}", resource.path)));
    document.insert("authorization_servers".into(), json!(servers));
    document.insert("bearer_methods_supported".into(), json!(["header"]));
    if !resource.scopes.is_empty() {
        document.insert("scopes_supported".into(), json!(resource.scopes));
    }
    if let Some(name) = &resource.name {
        document.insert("resource_name".into(), json!(name));
    }
    if let Some(client_id) = &resource.client_id {
        document.insert("client_id".into(), json!(client_id));
    }
    Value::Object(document)
}

/// The issuers whose tokens count.
fn issuers(account_state: &AccountState) -> Vec<String> {
    let account = &account_state.account;
    let Some(bearer) = &account.bearer else { return Vec::new() };
    let providers = bearer.providers.iter().filter_map(|id| issuer(account_state, id));
    let machines = bearer.machines.iter().map(|machine| machine.issuer.clone());
    let mut issuers: Vec<String> = Vec::new();
    for issuer in providers.chain(machines) {
        if !issuers.contains(&issuer) {
            issuers.push(issuer);
        }
    }
    issuers
}

/// What the provider calls itself. Before its discovery document is there, and where its issuer is a template
/// (Entra's `common`), the base of the document's URL: there clients find the same document.
fn issuer(account_state: &AccountState, id: &str) -> Option<String> {
    let provider = account_state.provider(id)?;
    let Protocol::Oidc(oidc) = &provider.protocol else { return None };
    let metadata = account_state.client(id).ok().and_then(|client| client.known_metadata());
    let known = metadata.map(|metadata| metadata.issuer.clone()).or_else(|| oidc.issuer.clone());
    let base = || Some(oidc.discovery.as_ref()?.as_str().strip_suffix(DISCOVERY)?.to_owned());
    known.filter(|issuer| !issuer.contains(TENANT)).or_else(base)
}
