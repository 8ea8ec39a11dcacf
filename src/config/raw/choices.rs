//! Words that operators choose from.

#[cfg(not(target_family = "wasm"))]
use schemars::JsonSchema;
use serde_json::Value;

use crate::config::read::{self, Read};

choice! {
    /// A part of an account that its administrators may set.
    pub enum SettingsPart {
        #[default]
        Sso = "sso",
        IdentityProviders = "identity_providers",
        Mapping = "mapping",
        Password = "password",
        Invitations = "invitations",
    }

    /// The kind of engine that several Envoys share.
    pub enum Engine {
        #[default]
        Etcd = "etcd",
    }

    /// What sessions get while the engine is away.
    pub enum OnOutage {
        #[default]
        Open = "open",
        Closed = "closed",
    }

    /// On or off.
    pub enum Switch { Enabled = "enabled", #[default] Disabled = "disabled", }
    /// SameSite of the session cookie.
    pub enum SameSite { #[default] Lax = "lax", Strict = "strict", None = "none", }
    /// What a browser forgets of an origin.
    pub enum SiteData { #[default] Cache = "cache", Storage = "storage", }
    /// How we authenticate at the token endpoint.
    pub enum ClientAuth { #[default] Basic = "basic", Post = "post", PrivateKeyJwt = "private_key_jwt", Assertion = "assertion", Tls = "tls", None = "none", }
    /// When groups are read by URL.
    pub enum GroupsWhen { #[default] Overage = "overage", Always = "always", }
    /// Whom a client assertion is for.
    pub enum AssertionAudience { #[default] Issuer = "issuer", TokenEndpoint = "token_endpoint", }
    /// How the code comes back.
    pub enum ResponseMode { #[default] Query = "query", FormPost = "form_post", }
    /// The binding of the AuthnRequest.
    pub enum SamlBinding { #[default] Redirect = "redirect", Post = "post", }
    /// The NameID format asked for.
    pub enum NameIdFormat { #[default] Email = "email", Persistent = "persistent", Transient = "transient", Unspecified = "unspecified", }
    /// What an unsolicited response does.
    pub enum IdpInitiated { Off = "off", #[default] Restart = "restart", Accept = "accept", }
    /// Where the mapped claim is read.
    pub enum MappingFrom { #[default] IdToken = "id_token", Userinfo = "userinfo", Saml = "saml", }
    /// A directory field.
    pub enum Attribute { #[default] Email = "email", Phone = "phone", Username = "username", }
    /// When an email counts.
    pub enum EmailVerified { Required = "required", #[default] UnlessFalse = "unless_false", Ignored = "ignored", }
    /// Whether a linked user may come in by another provider of the account.
    pub enum Link { #[default] First = "first", Any = "any", }
    /// What happens if no user matches.
    pub enum ProvisioningMode { #[default] Off = "off", Invited = "invited", Automatic = "automatic", }
    /// Who may still use a password.
    pub enum PasswordMode { Enabled = "enabled", Admins = "admins", #[default] Disabled = "disabled", }
    /// How a request authenticates.
    pub enum Allow { Anyone = "anyone", Optional = "optional", #[default] Users = "users", Programs = "programs", }
    /// A header about the user, by its name after the prefix.
    pub enum IdentityHeader {
        #[default] User = "user", Email = "email", Name = "name", Roles = "roles", Account = "account", Idp = "idp", Method = "method",
    }
}
