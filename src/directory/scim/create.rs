//! Creating a user (RFC 7644 section 3.3).

use serde_json::json;

use super::{read, request, send};
use crate::config::{Attribute, Scim};
use crate::directory::{unavailable, Record};
use crate::fault::Fault;
use crate::identity::Mapped;
use crate::task::Ask;

/// Who is created.
pub struct New<'a> {
    /// `userName`.
    pub username: &'a str,
    /// The one email.
    pub address: &'a str,
    /// What the mapping must lead here by afterwards.
    pub mapped: &'a Mapped,
    /// `displayName`.
    pub name: Option<String>,
    /// As they are configured.
    pub roles: &'a [String],
    /// `externalId`.
    pub link: String,
}

/// What came of it.
pub enum Created {
    /// The directory shows what it made.
    Record(Box<Record>),
    /// It was there already (409), or it was made and is not shown: look it up.
    Elsewhere,
}

/// `POST /Users`.
pub async fn post(ask: &Ask, server: &Scim, new: &New<'_>) -> Result<Created, Fault> {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": new.username,
        "externalId": new.link,
        "emails": [{ "value": new.address, "type": "work", "primary": true }],
        "active": true,
    });
    if let Some(user) = body.as_object_mut() {
        if new.mapped.attribute == Attribute::Phone {
            user.insert(
                "phoneNumbers".into(),
                json!([{ "value": new.mapped.value, "type": "work", "primary": true }]),
            );
        }
        if let Some(name) = &new.name {
            user.insert("displayName".into(), json!(name));
            user.insert("name".into(), json!({ "formatted": name }));
        }
        if !new.roles.is_empty() {
            let roles: Vec<_> = new.roles.iter().map(|role| json!({ "value": role })).collect();
            user.insert("roles".into(), json!(roles));
        }
    }
    let answer = send(ask, request::write(server, "POST", None, &body)).await?;
    match answer.status {
        200 | 201 => {
            Ok(read::one(&answer).map_or(Created::Elsewhere, |record| Created::Record(Box::new(record))))
        }
        204 | 409 => Ok(Created::Elsewhere),
        status => Err(unavailable(format!(
            "the directory answers the creation of {:?} with status {status}",
            new.username
        ))),
    }
}
