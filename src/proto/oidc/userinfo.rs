//! What else a provider knows (OpenID Connect Core 5.3), and all a plain OAuth 2.0 provider says.

use serde_json::{Map, Value};
use url::Url;

use super::addresses;
use super::dpop::{self, Proofs};
use super::id_token;
use super::provider::Provider;
use super::signed;
use crate::config::OAuth2;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Reply, Request};
use crate::proto::fetch::answer::{self, Refusal};
use crate::proto::fetch::turn::Sender;
use crate::values::json;
use crate::values::secret::Secret;

/// A larger answer is not read.
const MAX_ANSWER: usize = 256 << 10;

/// Adds it to what a token says: what is signed wins over what is not.
pub fn add(known: &mut Map<String, Value>, userinfo: Map<String, Value>) {
    for (name, value) in userinfo {
        known.entry(name).or_insert(value);
    }
}

/// UserInfo of the person a token is about. `sub` must be there and equal, else another person's
/// answer could be taken for theirs (section 5.3.2, token substitution).
pub async fn fetch(
    io: &Io,
    provider: &Provider,
    subject: &str,
    access_token: Option<&Secret>,
    proofs: Option<&Proofs>,
) -> Result<Map<String, Value>, Refusal> {
    let map = read(io, provider, access_token, proofs).await?;
    match id_token::subject(&map).map_err(refused)? {
        sub if sub == subject => Ok(map),
        _ => Err(refused("sub is not the token's".into())),
    }
}

fn refused(why: String) -> Refusal {
    Refusal::from(Fault::new(Code::IdTokenInvalid, format!("UserInfo: {why}")))
}

/// The answer, whichever user it is about.
async fn read(
    io: &Io,
    provider: &Provider,
    access_token: Option<&Secret>,
    proofs: Option<&Proofs>,
) -> Result<Map<String, Value>, Refusal> {
    let metadata = provider.metadata(io).await?;
    let missing = |what: &str| Fault::new(Code::IdpInvalidAnswer, format!("UserInfo: {what}"));
    let endpoint =
        metadata.userinfo_endpoint.as_ref().ok_or_else(|| missing("there is no userinfo_endpoint"))?;
    let token = access_token.ok_or_else(|| missing("the token endpoint gave no access token"))?;
    let oidc = provider.config();
    let reply = dpop::get(io, request(endpoint, &oidc.userinfo_params, oidc.timeout), token, proofs).await?;
    let answer = answer::success("UserInfo", reply)?;
    if answer.media_type().as_deref() == Some("application/jwt") {
        let text = std::str::from_utf8(&answer.body).map_err(|_| missing("not UTF-8"))?;
        let jwt = signed::open(io, provider, &metadata, text.trim(), Code::IdTokenInvalid, Sender::Provider)
            .await?;
        // Section 5.3.2: a signed answer should say from whom and for whom; where it does it must be true.
        if jwt.claims.contains_key("iss") {
            signed::issuer(&jwt.claims, &metadata, jwt.key_issuer.as_deref(), oidc.tenants.as_deref())
                .map_err(refused)?;
        }
        if jwt.claims.contains_key("aud")
            && !signed::audiences(&jwt.claims).map_err(refused)?.contains(&oidc.client.client_id.as_str())
        {
            return Err(refused(format!("aud does not hold {:?}", oidc.client.client_id)));
        }
        Ok(jwt.claims)
    } else {
        answer::object("UserInfo", Reply::Answer(answer), MAX_ANSWER)
    }
}

/// What UserInfo adds to what a token says; the inner error: why it adds nothing.
///
/// Unless it is `needed`, no failure of the call or of its answer stops a login that has all it needs: the access token may be
/// for another resource (ADFS with `resource`), and the endpoint may be down or out of reach. An answer about another person is
/// always refused.
pub async fn more(
    io: &Io,
    provider: &Provider,
    subject: &str,
    access_token: Option<&Secret>,
    proofs: Option<&Proofs>,
    needed: bool,
) -> Result<Result<Map<String, Value>, Fault>, Fault> {
    if needed {
        return Ok(Ok(fetch(io, provider, subject, access_token, proofs).await?));
    }
    match read(io, provider, access_token, proofs).await {
        Ok(map) => match id_token::subject(&map) {
            Ok(sub) if sub == subject => Ok(Ok(map)),
            Ok(_) => Err(refused("sub is not the token's".into()).fault),
            Err(why) => Ok(Err(refused(why).fault)),
        },
        Err(refusal) => Ok(Err(refusal.fault)),
    }
}

/// The person of a plain OAuth 2.0 provider.
#[derive(Clone, Debug)]
pub struct Person {
    /// The provider's lasting name for them.
    pub subject: String,
    /// False if the subject is but the address, which may be another person's by and by.
    pub has_lasting_name: bool,
    /// Everything it said.
    pub all: Map<String, Value>,
}

/// Asks a plain OAuth 2.0 provider who the access token is about.
pub async fn fetch_person(io: &Io, oauth2: &OAuth2, access_token: &Secret) -> Result<Person, Fault> {
    let get = async |url: &Url| {
        let request = request(url, &oauth2.userinfo_params, oauth2.timeout);
        dpop::get(io, request, access_token, None).await
    };
    let body = answer::body("UserInfo", get(&oauth2.userinfo).await?)?;
    let invalid = |why: String| answer::invalid(format!("UserInfo: {why}"));
    if body.trim_ascii_start().first() == Some(&b'[') {
        let all = addresses::claims(&body, MAX_ANSWER).map_err(invalid)?;
        let subject = all.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Ok(Person { subject, has_lasting_name: false, all });
    }
    let mut all = json::parse_object(&body, MAX_ANSWER).map_err(invalid)?;
    if let (Some(emails), None | Some(Value::Null)) = (&oauth2.emails, all.get("email")) {
        all.extend(addresses::read("emails", get(emails).await?, MAX_ANSWER)?);
    }
    let name = match &oauth2.subject {
        Some(name) => name.as_str(),
        None if all.contains_key("sub") => "sub",
        None => "id",
    };
    let subject = match json::pointer(&all, name) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => Ok(text.clone()),
        // GitHub and others number their users; a fraction would not be one person's for long.
        Some(Value::Number(n)) if n.is_u64() || n.is_i64() => Ok(n.to_string()),
        Some(other) => Err(format!("{name} is {}, not a name", json::kind(other))),
        None => Err(format!("{name} is missing")),
    };
    let subject = subject.map_err(|why| Fault::new(Code::IdpInvalidAnswer, format!("UserInfo: {why}")))?;
    Ok(Person { subject, has_lasting_name: true, all })
}

fn request(endpoint: &Url, params: &[(String, String)], timeout: u64) -> Request {
    let mut url = endpoint.clone();
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    let mut request = Request::get("userinfo", url, timeout);
    request.max_answer = MAX_ANSWER;
    request
}
