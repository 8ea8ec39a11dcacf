//! What can go wrong, in the one form that every layer returns.
//!
//! A [`Fault`] has a public half, a [`Code`] and at most the name of a configuration field or claim, and
//! a private half, `detail`, which only the log sees. `pages` turns the public half into a page or
//! `application/problem+json`; nothing else does.

/// A refusal's public code, as operators, programs and tests know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names are the documentation; `pages` has a sentence for each
pub enum Code {
    StateUnknown,
    CallbackInvalid,
    UsernameUnreadable,
    RequestInvalid,
    ReturnToRefused,
    LoginRequired,
    TokenInvalid,
    SessionExpired,
    IdentityMissing,
    IdentityAmbiguous,
    IdentityUnknown,
    IdentityConflict,
    IdentityNotAllowed,
    EmailUnverified,
    UserInactive,
    RoleMissing,
    InsufficientScope,
    AccessDenied,
    PasswordNotAllowed,
    PasswordDisabled,
    IdpDenied,
    IdTokenInvalid,
    AssertionInvalid,
    AccountUnknown,
    MethodNotAllowed,
    BodyTooLarge,
    ContentTypeUnsupported,
    SettingsUntested,
    SettingsChanged,
    SettingsInvalid,
    TooManyAttempts,
    IdpInvalidAnswer,
    IdpUnavailable,
    DirectoryUnavailable,
    NotReady,
    IdpTimeout,
}

impl Code {
    /// Every code, in the order of their status.
    pub const ALL: [Code; 36] = [
        Code::StateUnknown,
        Code::CallbackInvalid,
        Code::UsernameUnreadable,
        Code::RequestInvalid,
        Code::ReturnToRefused,
        Code::LoginRequired,
        Code::TokenInvalid,
        Code::SessionExpired,
        Code::IdentityMissing,
        Code::IdentityAmbiguous,
        Code::IdentityUnknown,
        Code::IdentityConflict,
        Code::IdentityNotAllowed,
        Code::EmailUnverified,
        Code::UserInactive,
        Code::RoleMissing,
        Code::InsufficientScope,
        Code::AccessDenied,
        Code::PasswordNotAllowed,
        Code::PasswordDisabled,
        Code::IdpDenied,
        Code::IdTokenInvalid,
        Code::AssertionInvalid,
        Code::AccountUnknown,
        Code::MethodNotAllowed,
        Code::BodyTooLarge,
        Code::ContentTypeUnsupported,
        Code::SettingsUntested,
        Code::SettingsChanged,
        Code::SettingsInvalid,
        Code::TooManyAttempts,
        Code::IdpInvalidAnswer,
        Code::IdpUnavailable,
        Code::DirectoryUnavailable,
        Code::NotReady,
        Code::IdpTimeout,
    ];

    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        use Code::*;
        match self {
            StateUnknown | CallbackInvalid | UsernameUnreadable | RequestInvalid | ReturnToRefused => 400,
            LoginRequired | TokenInvalid | SessionExpired => 401,
            IdentityMissing | IdentityAmbiguous | IdentityUnknown | IdentityConflict | IdentityNotAllowed
            | EmailUnverified | UserInactive | RoleMissing | AccessDenied | InsufficientScope
            | PasswordNotAllowed | PasswordDisabled | IdpDenied | IdTokenInvalid | AssertionInvalid => 403,
            AccountUnknown => 404,
            MethodNotAllowed => 405,
            BodyTooLarge => 413,
            ContentTypeUnsupported => 415,
            SettingsUntested => 409,
            SettingsChanged => 412,
            SettingsInvalid => 422,
            TooManyAttempts => 429,
            IdpInvalidAnswer => 502,
            IdpUnavailable | DirectoryUnavailable | NotReady => 503,
            IdpTimeout => 504,
        }
    }

    /// The code as it stands in `x-sso-code`, in problem+json and in the log.
    pub fn as_str(self) -> &'static str {
        use Code::*;
        match self {
            StateUnknown => "state_unknown",
            CallbackInvalid => "callback_invalid",
            UsernameUnreadable => "username_unreadable",
            RequestInvalid => "request_invalid",
            ReturnToRefused => "return_to_refused",
            LoginRequired => "login_required",
            TokenInvalid => "token_invalid",
            SessionExpired => "session_expired",
            IdentityMissing => "identity_missing",
            IdentityAmbiguous => "identity_ambiguous",
            IdentityUnknown => "identity_unknown",
            IdentityConflict => "identity_conflict",
            IdentityNotAllowed => "identity_not_allowed",
            EmailUnverified => "email_unverified",
            UserInactive => "user_inactive",
            RoleMissing => "role_missing",
            InsufficientScope => "insufficient_scope",
            AccessDenied => "access_denied",
            PasswordNotAllowed => "password_not_allowed",
            PasswordDisabled => "password_disabled",
            IdpDenied => "idp_denied",
            IdTokenInvalid => "id_token_invalid",
            AssertionInvalid => "assertion_invalid",
            AccountUnknown => "account_unknown",
            MethodNotAllowed => "method_not_allowed",
            BodyTooLarge => "body_too_large",
            ContentTypeUnsupported => "content_type_unsupported",
            SettingsUntested => "settings_untested",
            SettingsChanged => "settings_changed",
            SettingsInvalid => "settings_invalid",
            TooManyAttempts => "too_many_attempts",
            IdpInvalidAnswer => "idp_invalid_answer",
            IdpUnavailable => "idp_unavailable",
            DirectoryUnavailable => "directory_unavailable",
            NotReady => "not_ready",
            IdpTimeout => "idp_timeout",
        }
    }
}

/// A refusal: what the person may know (`code`, `field`) and what only the operator may (`detail`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The public code.
    pub code: Code,
    /// The claim or field the refusal is about, shown to people: `identity_missing` names it.
    pub field: Option<String>,
    /// For the log only. Never a secret or a token; may name hosts, claims and values compared.
    pub detail: String,
    /// True if only the operator can mend it, in the settings here or at the provider: the page says so in the place of "try
    /// again".
    pub in_setup: bool,
    /// Whom the provider named, where that user is not let in: shown to that browser alone, never in the log.
    pub person: Option<String>,
    /// The status, where it is not the code's own: a cross-site password login is a 403
    /// `request_invalid`, everything else of that code a 400.
    pub status: Option<u16>,
}

impl Fault {
    /// A refusal with the reason the operator needs.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, field: None, in_setup: false, person: None, detail: detail.into(), status: None }
    }

    /// The same, naming the claim or field it is about.
    pub fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Marks it as one of the settings.
    pub fn in_setup(mut self) -> Self {
        self.in_setup = true;
        self
    }

    /// Names whom the provider named.
    pub fn of(mut self, person: Option<String>) -> Self {
        self.person = person;
        self
    }

    /// The same, with another status than the code's own.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.code.status())
    }
}
