//! The settings as they are shown: no secret among them.

use serde_json::{json, Value};

use super::{Desk, Refusal};
use crate::fault::Code;
use crate::http::response::Response;
use crate::settings::{secrets, store, Book, Draft, Invitation};
use crate::values::time::instant;

/// Versions that are listed.
const LISTED: usize = 50;

impl Desk {
    /// Everything, as JSON.
    pub(in crate::flows::admin) fn whole(&self, status: u16, book: &Book) -> Response {
        Response::json(status, &self.document(book)).set_header("etag", &store::etag(book))
    }

    fn document(&self, book: &Book) -> Value {
        let active = book.active();
        let settings = secrets::hidden(&self.active(book));
        let history: Vec<Value> = book
            .versions
            .iter()
            .rev()
            .take(LISTED)
            .map(|version| {
                json!({ "version": version.number, "by": version.by, "at": instant(version.at), "changes": version.changes })
            })
            .collect();
        json!({
            "active": {
                "version": active.map_or(0, |version| version.number),
                "by": active.map(|version| version.by.as_str()),
                "at": active.map(|version| instant(version.at)),
                "settings": settings,
            },
            "draft": book.draft.as_ref().map(|draft| self.draft(draft)),
            "history": history,
            "invitations": book.invitations.iter().map(invitation).collect::<Vec<_>>(),
        })
    }

    /// `tested`: the providers that the administrator at the keyboard has signed in with, as himself.
    fn draft(&self, draft: &Draft) -> Value {
        let own = draft.tests.iter().filter(|test| test.by == self.user());
        let tested: Vec<&str> = own.map(|test| test.provider.as_str()).collect();
        json!({
            "by": draft.by,
            "at": instant(draft.at),
            "settings": secrets::hidden(&draft.settings),
            "tested": tested,
        })
    }
}

/// One invitation.
pub(super) fn invitation(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id, "email": invitation.email, "roles": invitation.roles, "by": invitation.by,
        "at": instant(invitation.at),
    })
}

impl Refusal {
    /// 422 with every problem (RFC 9457). `None`: a refusal as any other.
    pub fn problems(&self) -> Option<Response> {
        let Refusal::Problems(problems) = self else { return None };
        let code = Code::SettingsInvalid;
        let list: Vec<Value> = problems
            .iter()
            .map(|problem| json!({ "path": problem.path, "message": problem.message }))
            .collect();
        let value = json!({
            "type": format!("urn:envoy-sso:problem:{}", code.as_str()), "title": "These settings cannot be used",
            "status": code.status(), "code": code.as_str(), "problems": list,
        });
        let answer =
            Response::json(code.status(), &value).set_header("content-type", "application/problem+json");
        Some(answer.with_code(code.as_str()))
    }
}
