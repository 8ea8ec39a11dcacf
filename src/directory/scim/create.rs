//! Creating a user (RFC 7644 section 3.3).

use serde_json::json;

use super::{read, request, send};
use crate::config::{Attribute, Scim};
use crate::directory::Record;
use crate::fault::Fault;
use crate::host::task::Io;
use crate::identity::Mapped;

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
    pub link: Option<String>,
}

/// What came of it.
pub enum Created {
    /// The directory shows what it made.
    Record(Box<Record>),
    /// It was there already (409), or it was made and is not shown: look it up.
    Elsewhere,
    /// It was refused with this status, by some servers also where it was there already: look it up.
    Refused(u16),
}

/// `POST /Users`.
pub async fn post(io: &Io, server: &Scim, new: &New<'_>) -> Result<Created, Fault> {
    // The least that RFC 7643 section 4.1 lets every server take: no `type` and `primary`, which some refuse, and
    // a family name, which some demand.
    let name = new.name.as_deref().unwrap_or(new.username);
    let family = name.rsplit(' ').next().unwrap_or(name);
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": new.username,
        "displayName": name,
        "name": { "formatted": name, "familyName": family },
        "emails": [{ "value": new.address }],
        "active": true,
    });
    if let Some(user) = body.as_object_mut() {
        if let Some(link) = &new.link {
            user.insert("externalId".into(), json!(link));
        }
        if new.mapped.attribute == Attribute::Phone {
            user.insert("phoneNumbers".into(), json!([{ "value": new.mapped.value }]));
        }
        if !new.roles.is_empty() {
            let roles: Vec<_> = new.roles.iter().map(|role| json!({ "value": role })).collect();
            user.insert("roles".into(), json!(roles));
        }
    }
    let answer = send(io, request::write(server, "POST", None, &body)?).await?;
    match answer.status {
        200 | 201 => {
            Ok(read::one(&answer).map_or(Created::Elsewhere, |record| Created::Record(Box::new(record))))
        }
        204 | 409 => Ok(Created::Elsewhere),
        status => Ok(Created::Refused(status)),
    }
}
