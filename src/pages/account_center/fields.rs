//! Every setting of the page: its name and what it holds.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line of text.
    Line,
    /// Words, with spaces or commas between them.
    Words,
    /// `name=value`, one on a line.
    Pairs,
    /// Certificates as PEM.
    Certificates,
    /// It is never shown. Left empty, what is set stays.
    Secret,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// One setting of the page.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The part and the setting's name, as in a file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// Every setting of the page, in its order.
pub const FIELDS: &[Field] = &[
    field("sso", Kind::Choice(&["enabled", "disabled"])),
    field("provider.id", Kind::Line),
    field("provider.title", Kind::Line),
    field("oidc.discovery", Kind::Line),
    field("oidc.issuer", Kind::Line),
    field("oidc.authorization_endpoint", Kind::Line),
    field("oidc.token_endpoint", Kind::Line),
    field("oidc.userinfo_endpoint", Kind::Line),
    field("oidc.jwks_uri", Kind::Line),
    field("oidc.client_id", Kind::Line),
    field("oidc.client_secret", Kind::Secret),
    field("oidc.scope", Kind::Words),
    field("oidc.authorization_params", Kind::Pairs),
    field("oauth2.authorization_endpoint", Kind::Line),
    field("oauth2.token_endpoint", Kind::Line),
    field("oauth2.userinfo_endpoint", Kind::Line),
    field("oauth2.client_id", Kind::Line),
    field("oauth2.client_secret", Kind::Secret),
    field("oauth2.scope", Kind::Words),
    field("oauth2.authorization_params", Kind::Pairs),
    field("saml.metadata_url", Kind::Line),
    field("saml.sso_url", Kind::Line),
    field("saml.issuer", Kind::Line),
    field("saml.certificates", Kind::Certificates),
    field("mapping.from", Kind::Choice(&["", "id_token", "userinfo", "saml"])),
    field("mapping.claim", Kind::Line),
    field("mapping.attribute", Kind::Choice(&["", "email", "phone", "username"])),
    field("mapping.default_country_code", Kind::Line),
    field("mapping.roles_claim", Kind::Words),
    field("mapping.role_map", Kind::Pairs),
    field("password.mode", Kind::Choice(&["enabled", "admins", "disabled"])),
];

/// The protocols, each a part of [`FIELDS`].
pub const PROTOCOLS: [&str; 3] = ["oidc", "oauth2", "saml"];

impl Field {
    /// `oidc` of `oidc.client_id`.
    pub fn part(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// `client_id` of `oidc.client_id`.
    pub fn member(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}
