//! What the browser brings back from the provider (RFC 6749 section 4.1.2, RFC 9207, OAuth 2.0 Form Post
//! Response Mode).

use super::discovery::Metadata;
use super::form;
use crate::fault::{Code, Fault};
use crate::proto::fetch::answer::clean;
use crate::values::secret::Secret;

/// More is not read.
pub const MAX_CALLBACK: usize = 16 << 10;

/// A callback's parameters; unknown ones (`session_state`, `authuser`, …) are ignored.
#[derive(Clone, Debug)]
pub struct Callback {
    /// `state`, which names the flow.
    pub state: String,
    /// The code or the refusal.
    pub outcome: Outcome,
    /// `iss` of RFC 9207.
    pub iss: Option<String>,
}

/// How the provider decided.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// `code`.
    Code(Secret),
    /// `error`.
    Error {
        /// The code of RFC 6749 section 4.1.2.1 or OpenID Connect Core 3.1.2.6, cleaned.
        error: String,
        /// `error_description`, cleaned and cut.
        description: Option<String>,
    },
}

impl Callback {
    /// Reads the query (without `?`) or the form body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let invalid = |why: String| Fault::new(Code::CallbackInvalid, format!("callback: {why}"));
        if bytes.len() > MAX_CALLBACK {
            return Err(invalid(format!("{} bytes are more than {MAX_CALLBACK}", bytes.len())));
        }
        let pairs = form::parse(bytes).map_err(invalid)?;
        // RFC 6749 section 3.1: no parameter more than once. Filter and provider could each take another.
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone());
            match (values.next(), values.next()) {
                (value, None) => Ok(value.filter(|v| !v.is_empty())),
                _ => Err(invalid(format!("{name} is there twice"))),
            }
        };
        let (state, code, error, iss) = (one("state")?, one("code")?, one("error")?, one("iss")?);
        let description = one("error_description")?.map(|d| clean(&d, 200));
        let error = error.map(|e| clean(&e, 60));
        let Some(state) = state else {
            let with = error.map(|e| format!(", error {e}")).unwrap_or_default();
            return Err(invalid(format!("state is missing{with}")));
        };
        let outcome = match (code, error) {
            // RFC 6749 section A.11: printable ASCII.
            (Some(code), None) if !code.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
                return Err(invalid("code holds bytes that are not printable ASCII".into()));
            }
            (Some(code), None) => Outcome::Code(Secret::new(code)),
            (None, Some(error)) => Outcome::Error { error, description },
            (Some(_), Some(_)) => return Err(invalid("code and error are both there".into())),
            (None, None) => return Err(invalid("neither code nor error is there".into())),
        };
        Ok(Self { state, outcome, iss })
    }

    /// The code, once the answer is known to come from the provider the flow was started with.
    pub fn code(&self, metadata: &Metadata) -> Result<&Secret, Fault> {
        self.check_issuer(metadata)?;
        self.plain_code()
    }

    /// The code of a plain OAuth 2.0 provider, whose issuer is not known.
    pub fn plain_code(&self) -> Result<&Secret, Fault> {
        let (error, description) = match &self.outcome {
            Outcome::Code(code) => return Ok(code),
            Outcome::Error { error, description } => (error, description),
        };
        let code = match error.as_str() {
            "temporarily_unavailable" | "server_error" => Code::IdpUnavailable,
            // access_denied, login_required, interaction_required, consent_required, … and whatever
            // else a provider may say: it has not signed the person in.
            _ => Code::IdpDenied,
        };
        let description = description.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
        Err(Fault::new(code, format!("callback: error {error}{description}")))
    }

    /// True if the provider asks for a new authorization request: Keycloak forgot the login, and another tab has signed in since.
    pub fn asks_to_begin_again(&self) -> bool {
        matches!(&self.outcome, Outcome::Error { error, description: Some(description) }
            if error == "temporarily_unavailable" && description == "authentication_expired")
    }

    /// RFC 9207 section 2.4: an answer of another provider must not be taken to this one (mix-up). Holds
    /// for error answers too.
    fn check_issuer(&self, metadata: &Metadata) -> Result<(), Fault> {
        let invalid = |why: String| Err(Fault::new(Code::CallbackInvalid, format!("callback: {why}")));
        match &self.iss {
            Some(iss) if metadata.is_issuer(iss) => Ok(()),
            Some(iss) => invalid(format!("iss is {:?}, expected {:?}", clean(iss, 200), metadata.issuer)),
            None if metadata.iss_parameter_supported => {
                invalid("iss is missing, which discovery promises".into())
            }
            None => Ok(()),
        }
    }
}
