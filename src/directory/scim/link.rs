//! Linking a record to issuer and subject: `externalId`, written once, into an empty field.

use serde_json::json;

use super::request;
use crate::config::{Account, Scim};
use crate::directory::Record;
use crate::host::events::{self, Place};
use crate::host::task::{Io, Reply};

/// Writes the link (RFC 7644 section 3.5.2). A write that fails is logged and nothing more: the person is
/// who the mapping says, with or without it. `If-Match` keeps two logins from overwriting each other where
/// the server has versions (RFC 7644 section 3.14).
pub async fn link(io: &Io, account: &Account, server: &Scim, record: &Record, link: &str) {
    let Some(id) = &record.id else { return };
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "add", "path": "externalId", "value": link }],
    });
    let Ok(mut request) = request::write(server, "PATCH", Some(id), &body) else { return };
    if let Some(version) = record.version.as_ref().filter(|v| v.bytes().all(|b| (0x20..0x7f).contains(&b))) {
        request = request.header("if-match", version.clone());
    }
    let why = match io.call(request).await {
        Reply::Answer(answer) if (200..300).contains(&answer.status) => return,
        Reply::Answer(answer) => format!("status {}", answer.status),
        Reply::Failed(failure) => failure.to_string(),
    };
    let place = Place { account: Some(&account.code), user: Some(&record.username), ..Place::default() };
    events::link_failed(io.host(), place, id, &why);
}
