//! How messages travel (SAML bindings sections 3.4 and 3.5): HTTP-Redirect deflates them into a query, whose octets
//! are signed as they were sent; HTTP-POST carries them in a form.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use url::form_urlencoded;
use url::Url;

use super::algorithm::Signing;
use super::certificate::Certificate;
use super::names::RSA_SHA256;
use super::sign::Signer;
use super::signature::{Problem, Trust};
use super::xml::{self, MAX_LOGOUT, MAX_MESSAGE};
use crate::fault::Fault;

/// The largest form with a response: a message of 256 KB in base64, whose `+`, `/`, `=` and line ends are escaped.
pub const MAX_FORM: usize = 400 * 1024;
/// The largest form with a logout message of 32 KB.
pub const MAX_LOGOUT_FORM: usize = 64 * 1024;

/// Which of the two a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Request,
    Response,
}

impl Kind {
    /// The parameter that carries it.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// More fields are not read: these bindings have four.
const MAX_FIELDS: usize = 64;

/// These fields of a form, read once. Each counts once: with two, one could be checked and the other used.
pub fn fields<const N: usize>(form: &[u8], names: [&str; N]) -> Result<[Option<String>; N], String> {
    let mut found = [const { None }; N];
    for (n, part) in form.split(|byte| *byte == b'&').enumerate() {
        if n >= MAX_FIELDS {
            return Err(format!("the form has more than {MAX_FIELDS} fields"));
        }
        let Some((name, value)) = form_urlencoded::parse(part).next() else { continue };
        let Some(at) = names.iter().position(|wanted| *wanted == name) else { continue };
        if found.get_mut(at).is_some_and(|slot| slot.replace(value.into_owned()).is_some()) {
            return Err(format!("{name} stands in the form twice"));
        }
    }
    Ok(found)
}

/// The XML of a form field `SAMLResponse`, at most 256 KB.
pub fn decode_post(field: &str) -> Result<String, String> {
    text(decode(field, MAX_MESSAGE)?)
}

/// The XML of a form field of a logout message, at most 32 KB.
pub fn decode_logout(field: &str) -> Result<String, String> {
    text(decode(field, MAX_LOGOUT)?)
}

/// The field of a POST form for a message of ours.
pub fn encode_post(message: &str) -> String {
    STANDARD.encode(message)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "the SAML message is not UTF-8")?;
    Ok(xml::with_line_ends(text))
}

fn decode(value: &str, max: usize) -> Result<Vec<u8>, String> {
    // Before decoding: four characters carry three bytes, and lines may be wrapped.
    let too_large = || format!("the SAML message is larger than {max} bytes");
    if value.len() > max / 3 * 4 + max / 16 {
        return Err(too_large());
    }
    let mut compact = value.as_bytes().to_vec();
    compact.retain(|byte| !byte.is_ascii_whitespace());
    let bytes = STANDARD.decode(compact).map_err(|_| "the SAML message is not base64")?;
    if bytes.len() > max {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Inflates at most 32 KB: only logout messages come this way, and what a deflate bomb costs stops there.
fn inflate(value: &str) -> Result<String, String> {
    // An unescaped `+` of the base64 reads as a space.
    let deflated = decode(&value.replace(' ', "+"), MAX_LOGOUT)?;
    let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(&deflated, MAX_LOGOUT)
        .map_err(|_| format!("the SAML message does not inflate to at most {MAX_LOGOUT} bytes"))?;
    text(bytes)
}

/// A message that came by HTTP-Redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirected {
    /// Which of the two.
    pub kind: Kind,
    /// The XML.
    pub message: String,
    /// What the other side wants back.
    pub relay_state: Option<String>,
    signature: Option<DetachedSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DetachedSignature {
    octets: String,
    algorithm: String,
    value: String,
}

impl Redirected {
    /// Reads the query as it was received. Each parameter counts once: with two, one could be signed and the
    /// other read.
    pub fn parse(query: &str) -> Result<Self, String> {
        const NAMES: [&str; 6] =
            ["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"];
        let mut found: [Option<(&str, String)>; 6] = Default::default();
        for (n, part) in query.split('&').enumerate() {
            if n >= MAX_FIELDS {
                return Err(format!("the query has more than {MAX_FIELDS} parameters"));
            }
            let Some((name, value)) = form_urlencoded::parse(part.as_bytes()).next() else { continue };
            let Some(slot) = NAMES.iter().position(|n| *n == name).and_then(|i| found.get_mut(i)) else {
                continue;
            };
            if slot.replace((part, value.into_owned())).is_some() {
                return Err(format!("the query holds {name} twice"));
            }
            if !NAMES.iter().any(|n| part.strip_prefix(n).is_some_and(|rest| rest.starts_with('='))) {
                return Err(format!("the query writes {name} in an escaped form"));
            }
        }
        let [request, response, relay_state, algorithm, signature, encoding] = found;
        if encoding
            .is_some_and(|(_, value)| value != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE")
        {
            return Err("the query names another encoding than DEFLATE".into());
        }
        let (kind, (octets, value)) = match (request, response) {
            (Some(request), None) => (Kind::Request, request),
            (None, Some(response)) => (Kind::Response, response),
            (None, None) => return Err("the query holds neither SAMLRequest nor SAMLResponse".into()),
            _ => return Err("the query holds both SAMLRequest and SAMLResponse".into()),
        };
        // SAML bindings section 3.4.4.1: these parameters in this order, as the sender wrote them.
        let signature = match (algorithm, signature) {
            (Some((raw_algorithm, algorithm)), Some((_, signature))) => Some(DetachedSignature {
                octets: match &relay_state {
                    Some((relay_state, _)) => format!("{octets}&{relay_state}&{raw_algorithm}"),
                    None => format!("{octets}&{raw_algorithm}"),
                },
                algorithm,
                value: signature,
            }),
            (None, None) => None,
            _ => return Err("the query holds only one of SigAlg and Signature".into()),
        };
        Ok(Self {
            kind,
            message: inflate(&value)?,
            relay_state: relay_state.map(|(_, value)| value),
            signature,
        })
    }

    /// Verifies the signature of the query; `None`: it has none.
    pub fn verify<'t>(&self, trust: &'t Trust<'_>) -> Result<Option<&'t Certificate>, Problem> {
        let Some(signature) = &self.signature else { return Ok(None) };
        let algorithm = Signing::from_uri(&signature.algorithm)?;
        let value: String = signature.value.replace(' ', "+").split_ascii_whitespace().collect();
        let value = STANDARD.decode(value).map_err(|_| "the Signature of the query is not base64")?;
        match trust.signer(algorithm, &value, signature.octets.as_bytes()) {
            Some(signer) => Ok(Some(signer)),
            None => Err(Problem::UnknownKey(format!(
                "the signature of the query is not by a certificate in use here; configured: {}",
                trust.names()
            ))),
        }
    }
}

/// The URL that carries a message of ours, signed when there is a key.
pub fn redirect(
    to: &Url,
    kind: Kind,
    message: &str,
    relay_state: Option<&str>,
    signer: Option<Signer<'_>>,
) -> Result<String, Fault> {
    let deflated = miniz_oxide::deflate::compress_to_vec(message.as_bytes(), 6);
    let escaped = |value: &str| form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
    let mut query = format!("{}={}", kind.parameter(), escaped(&STANDARD.encode(deflated)));
    if let Some(relay_state) = relay_state {
        query.push_str(&format!("&RelayState={}", escaped(relay_state)));
    }
    if let Some(signer) = signer {
        query.push_str(&format!("&SigAlg={}", escaped(RSA_SHA256)));
        let signature = STANDARD.encode(signer.key.sign(signer.host, query.as_bytes())?);
        query.push_str(&format!("&Signature={}", escaped(&signature)));
    }
    let mut url = to.clone();
    url.set_fragment(None);
    let joint = match url.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    Ok(format!("{url}{joint}{query}"))
}

/// The fields of the form that carries a message of ours, signed when there is a key.
pub fn form(
    kind: Kind,
    message: &str,
    relay_state: Option<&str>,
    signer: Option<Signer<'_>>,
) -> Result<Vec<(String, String)>, Fault> {
    let signed = signer.map(|signer| signer.envelop(message)).transpose()?;
    let mut fields = vec![(kind.parameter().to_owned(), encode_post(signed.as_deref().unwrap_or(message)))];
    fields.extend(relay_state.map(|value| ("RelayState".to_owned(), value.to_owned())));
    Ok(fields)
}
