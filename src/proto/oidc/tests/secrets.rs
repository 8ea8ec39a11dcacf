//! Credentials that the platform gives: secrets in files, its JWTs, certificates.

use std::rc::Rc;

use serde_json::json;

use super::{oidc, url};
use crate::config::{ClientAuth, ClientCredentials};
use crate::fault::{Code, Fault};
use crate::host::task::{Call, Io, Reply};
use crate::proto::fetch::secret_file;
use crate::proto::oidc::client_auth::{post, Authentication, Form};
use crate::testing::{answer, drive_with, form, header, json as good, status, TestHost};
use crate::values::secret_source::{SecretFile, SecretSource};

const TOKEN: &str = "https://idp.example.com/token";

fn file() -> Rc<SecretFile> {
    Rc::new(SecretFile::new(url("http://files.internal/oidc-secret")))
}

fn credentials(file: &Rc<SecretFile>, auth: ClientAuth) -> ClientCredentials {
    let source = Some(SecretSource::File(file.clone()));
    let (secret, assertion) = match auth {
        ClientAuth::Assertion => (None, source),
        _ => (source, None),
    };
    ClientCredentials { secret, assertion, auth: Some(auth), ..oidc().client }
}

/// A token request by these credentials.
fn asking(
    io: &Io,
    credentials: ClientCredentials,
    respond: impl FnMut(&Call) -> Reply,
) -> (Result<Reply, Fault>, Vec<Call>) {
    let inner = io.clone();
    let flow = async move {
        let (method, place) = (credentials.auth.unwrap(), url(TOKEN));
        let auth = Authentication { provider: &credentials, method, audience: "" };
        let pairs = vec![("grant_type".to_owned(), "refresh_token".to_owned())];
        let form = Form { what: "token", url: &place, pairs, timeout: 1_000, repeatable: false };
        post(&inner, form, &auth, 1 << 16, None).await
    };
    drive_with(io, flow, respond)
}

/// Reads the file once, as the background does.
fn read(io: &Io, file: &Rc<SecretFile>, content: Reply) -> Result<(), Fault> {
    let (inner, file) = (io.clone(), file.clone());
    let mut content = Some(content);
    drive_with(io, async move { secret_file::read(&inner, &file).await }, |_| content.take().unwrap()).0
}

fn text(content: &str) -> Reply {
    answer("text/plain", content)
}

fn is_file(call: &Call) -> bool {
    header(call, ":authority") == Some("files.internal")
}

fn invalid_client() -> Reply {
    status(401, "application/json", r#"{"error":"invalid_client"}"#)
}

#[test]
fn until_a_secret_has_been_read_the_provider_is_not_asked() {
    for auth in [ClientAuth::Basic, ClientAuth::Post, ClientAuth::Assertion] {
        let (reply, calls) = asking(&TestHost::new().io(), credentials(&file(), auth), |_| unreachable!());
        assert_eq!((reply.unwrap_err().code, calls.len()), (Code::NotReady, 0), "{auth:?}");
    }
}

#[test]
fn a_secret_is_trimmed_and_a_wrong_file_keeps_the_last() {
    let (io, file) = (TestHost::new().io(), file());
    read(&io, &file, text(" s3cret\r\n")).unwrap();
    let wrong = ["", " \n", "two\nlines"].map(text).into_iter();
    let wrong = wrong.chain([status(404, "text/plain", "s"), answer("text/plain", vec![0xff])]);
    for content in wrong {
        assert_eq!(read(&io, &file, content).unwrap_err().code, Code::NotReady);
        assert_eq!(file.current().unwrap().expose(), "s3cret");
    }
}

#[test]
fn a_secret_that_was_refused_is_read_again_once() {
    // Keycloak's word for a wrong secret is the second.
    let refusals = [
        (ClientAuth::Post, "invalid_client"),
        (ClientAuth::Assertion, "invalid_client"),
        (ClientAuth::Post, "unauthorized_client"),
    ];
    for (auth, error) in refusals {
        let refused = || status(401, "application/json", json!({ "error": error }).to_string());
        let (io, file) = (TestHost::new().io(), file());
        read(&io, &file, text("old")).unwrap();
        let field = if auth == ClientAuth::Post { "client_secret" } else { "client_assertion" };
        let sent = |call: &Call| form(call).into_iter().find(|(name, _)| name == field).unwrap().1;
        let (reply, calls) = asking(&io, credentials(&file, auth), |call| match call {
            call if is_file(call) => text("new"),
            call if sent(call) == "new" => good(&json!({ "access_token": "at" })),
            _ => refused(),
        });
        assert!(matches!(reply.unwrap(), Reply::Answer(answer) if answer.status == 200));
        assert_eq!(calls.iter().map(is_file).collect::<Vec<_>>(), [false, true, false]);
        // One that is refused as well is not sent for ever.
        let (reply, calls) = asking(&io, credentials(&file, auth), |call| match is_file(call) {
            true => text("newer"),
            false => refused(),
        });
        assert!(matches!(reply.unwrap(), Reply::Answer(answer) if answer.status == 401));
        assert_eq!(calls.len(), 3);
    }
}

#[test]
fn another_refusal_reads_no_secret() {
    let (io, file) = (TestHost::new().io(), file());
    read(&io, &file, text("old")).unwrap();
    let refusal = r#"{"error":"invalid_grant"}"#;
    let (_, calls) =
        asking(&io, credentials(&file, ClientAuth::Post), |_| status(400, "application/json", refusal));
    assert_eq!(calls.len(), 1);
}

#[test]
fn a_secret_that_has_not_changed_is_not_sent_again() {
    let (io, file) = (TestHost::new().io(), file());
    read(&io, &file, text("old")).unwrap();
    for content in ["old", ""] {
        let (_, calls) = asking(&io, credentials(&file, ClientAuth::Basic), |call| match is_file(call) {
            true => text(content),
            false => invalid_client(),
        });
        assert_eq!(calls.iter().map(is_file).collect::<Vec<_>>(), [false, true], "{content:?}");
    }
}

#[test]
fn with_a_certificate_the_body_only_names_the_client() {
    let credentials = ClientCredentials { secret: None, auth: Some(ClientAuth::Tls), ..oidc().client };
    let (_, calls) = asking(&TestHost::new().io(), credentials, |_| good(&json!({})));
    let names: Vec<String> = form(&calls[0]).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["grant_type", "client_id"]);
    assert_eq!(header(&calls[0], "authorization"), None);
}
