//! Identity providers as operators write them.

use std::collections::BTreeMap;

#[cfg(not(target_family = "wasm"))]
use schemars::JsonSchema;
use serde_json::Value;

use super::choices::{
    AssertionAudience, ClientAuth, GroupsWhen, IdpInitiated, NameIdFormat, ResponseMode, SamlBinding,
};
use super::values::Introspection;
use super::{Params, RequestParams, Secret};
use crate::config::read::{self, Read};

raw! {
    /// An identity provider: an id, and exactly one of oidc, oauth2 and saml.
    pub struct IdentityProvider {
        /// Its name in URLs, logs and `x-sso-idp`.
        pub id: String,
        /// Its name on the sign-in page, whose button says "Continue with" and this: `Okta`, or `your Acme account`
        /// (default: the id).
        pub title: Option<String>,
        /// A picture on its button: a path of the application, open to anyone, or an https URL.
        pub icon: Option<String>,
        /// Email domains whose users come from here: the sign-in page chooses the provider by them. To limit who gets in, set
        /// `confined`.
        pub email_domains: Vec<String>,
        /// True: no user of another email domain comes in by this provider (default false). Needs email_domains.
        pub confined: Option<bool>,
        /// OpenID Connect.
        pub oidc: Option<Oidc>,
        /// Plain OAuth 2.0, whose identity comes from UserInfo alone.
        pub oauth2: Option<OAuth2>,
        /// SAML 2.0.
        pub saml: Option<Saml>,
    }

    /// An OpenID Connect provider: `discovery`, or the endpoints by hand.
    pub struct Oidc {
        /// The URL of the discovery document.
        pub discovery: Option<String>,
        /// The issuer, compared exactly with `iss`. With `discovery` it must be the document's own.
        pub issuer: Option<String>,
        /// Where people are sent.
        pub authorization_endpoint: Option<String>,
        /// Where the code is exchanged.
        pub token_endpoint: Option<String>,
        /// Where claims are read.
        pub userinfo_endpoint: Option<String>,
        /// Where the keys are.
        pub jwks_uri: Option<String>,
        /// The keys themselves, as a JSON Web Key Set.
        pub jwks: Option<BTreeMap<String, Value>>,
        /// Where a person signs out at the IdP (RP-Initiated Logout).
        pub end_session_endpoint: Option<String>,
        /// Pushed authorization requests (RFC 9126): used where it is set or the provider requires it.
        pub pushed_authorization_request_endpoint: Option<String>,
        /// Our client identifier.
        pub client_id: String,
        /// Our secret. Absent: a public client, or private_key_jwt.
        pub client_secret: Option<Secret>,
        /// How we authenticate at the token endpoint (default: private_key_jwt with client_key, none without a
        /// secret, else basic, or post where discovery lists client_secret_post and not client_secret_basic).
        pub client_auth: Option<ClientAuth>,
        /// The key for private_key_jwt.
        pub client_key: Option<ClientKey>,
        /// For `client_auth: assertion`: the JWT that the platform issues to this workload (Kubernetes, SPIFFE, a cloud's
        /// workload identity). It is sent as `client_assertion`.
        pub client_assertion: Option<Secret>,
        /// The scopes asked for (default openid, email, profile).
        pub scope: Option<Vec<String>>,
        /// More parameters of the authorization request. A list sends the parameter several times.
        pub authorization_params: RequestParams,
        /// More parameters of the token request. A list sends the parameter several times, such as `resource`.
        pub token_params: RequestParams,
        /// More parameters of the UserInfo request. A list sends the parameter several times.
        pub userinfo_params: RequestParams,
        /// Where groups are read that a token does not hold.
        pub groups: Option<Groups>,
        /// Bind tokens to a key of the session (DPoP, RFC 9449): at the token endpoint, pushed authorization requests,
        /// UserInfo and renewal (default: false). The provider must issue tokens of type DPoP.
        pub dpop: Option<bool>,
        /// Opaque access tokens of programs count, by introspection (RFC 7662): true for the endpoint that discovery names,
        /// or the endpoint's URL (default: false). An answer without `aud` counts only if the endpoint is given by URL.
        pub introspection: Option<Introspection>,
        /// How the IdP sends the code back (default query).
        pub response_mode: Option<ResponseMode>,
        /// The one algorithm ID tokens are signed with. Needed for HS256, HS384 and HS512, which are
        /// refused otherwise.
        pub id_token_signed_response_alg: Option<String>,
        /// Microsoft Entra `common` and `organizations`: the tenants (`tid`) let in. Absent: any.
        pub tenants: Option<Vec<String>>,
        /// Where a person signs out where there is no end_session_endpoint.
        pub logout_url: Option<String>,
        /// Its parameters; values may hold {client_id}, {post_logout_redirect_uri}, {id_token_hint}, {state}.
        pub logout_params: Params,
        /// How long an answer may take (default 5s).
        pub timeout: Option<String>,
    }

    /// A plain OAuth 2.0 provider.
    pub struct OAuth2 {
        /// Where people are sent.
        pub authorization_endpoint: String,
        /// Where the code is exchanged.
        pub token_endpoint: String,
        /// Where the identity is read.
        pub userinfo_endpoint: String,
        /// Where the provider lists the user's addresses, such as `https://api.github.com/user/emails`. It is asked if
        /// UserInfo has no `email`; the address that is primary and verified counts.
        pub emails_endpoint: Option<String>,
        /// A name for the provider, the `issuer` of its identities (default: the token endpoint's origin).
        pub issuer: Option<String>,
        /// The UserInfo field that names the person for good (default: sub, else id).
        pub subject: Option<String>,
        /// Our client identifier.
        pub client_id: String,
        /// Our secret. Absent: a public client.
        pub client_secret: Option<Secret>,
        /// How we authenticate at the token endpoint (default: private_key_jwt with client_key, none without a
        /// secret, else basic).
        pub client_auth: Option<ClientAuth>,
        /// The key for private_key_jwt.
        pub client_key: Option<ClientKey>,
        /// For `client_auth: assertion`: the JWT that the platform issues to this workload (Kubernetes, SPIFFE, a cloud's
        /// workload identity). It is sent as `client_assertion`.
        pub client_assertion: Option<Secret>,
        /// The scopes asked for (default none).
        pub scope: Option<Vec<String>>,
        /// More parameters of the authorization request. A list sends the parameter several times.
        pub authorization_params: RequestParams,
        /// More parameters of the token request. A list sends the parameter several times, such as `resource`.
        pub token_params: RequestParams,
        /// More parameters of the UserInfo request. A list sends the parameter several times.
        pub userinfo_params: RequestParams,
        /// Where groups are read that UserInfo does not hold.
        pub groups: Option<Groups>,
        /// How the provider sends the code back (default query).
        pub response_mode: Option<ResponseMode>,
        /// Where a person signs out at the provider.
        pub logout_url: Option<String>,
        /// Its parameters; values may hold {client_id}, {post_logout_redirect_uri}, {state}.
        pub logout_params: Params,
        /// How long an answer may take (default 5s).
        pub timeout: Option<String>,
    }

    /// A list of groups at a URL, read with the person's access token. Its names are added to the values of
    /// `mapping.roles_claim`.
    pub struct Groups {
        /// The URL of the list, such as `https://graph.microsoft.com/v1.0/me/memberOf`. Its path and query may hold
        /// {email}, {sub} or another claim in braces, for the user's value, percent-encoded. A value counts if it is 1 to 256
        /// bytes of letters, digits and `@._-+|:~=`, an `email` only unless `email_verified` is there and not true.
        pub url: String,
        /// JSON Pointer to the list in the answer; empty for an answer that is the list (default: empty).
        pub list: Option<String>,
        /// JSON Pointer to the name in an entry of the list; empty for entries that are the name (default: empty).
        pub name: Option<String>,
        /// Where the URL of the next page is: a JSON Pointer into the answer, or link for the Link header (RFC 8288). It must
        /// have scheme, host and port of `url`. Absent: there is one page. The filter reads at most 10 pages.
        pub next: Option<String>,
        /// The parameter of `url` for the next page, if the answer has a token at `next` instead of a URL. Google's APIs have
        /// `nextPageToken` in the answer and take `pageToken`.
        pub next_param: Option<String>,
        /// overage (default): only if the provider says that it left groups out (`_claim_names`, `hasgroups`). always: at
        /// every login and renewal.
        pub when: Option<GroupsWhen>,
    }

    /// The key that signs client assertions (RFC 7523).
    pub struct ClientKey {
        /// PKCS#8 PEM.
        pub private_key: Secret,
        /// Its `kid` in the assertion's header.
        pub kid: Option<String>,
        /// RS256 (default), PS256, ES256 or EdDSA.
        pub alg: Option<String>,
        /// The certificate's SHA-1 thumbprint, `x5t`, which Entra asks for.
        pub x5t: Option<String>,
        /// Whom the assertion is for, its `aud`: issuer (the default), or token_endpoint for a provider that takes only
        /// the URL of its token endpoint (Okta). Set token_endpoint only if the provider is trusted to name its own.
        pub audience: Option<AssertionAudience>,
    }

    /// A SAML 2.0 identity provider.
    pub struct Saml {
        /// Where the AuthnRequest goes.
        pub sso_url: Option<String>,
        /// Their entity ID, compared exactly.
        pub issuer: Option<String>,
        /// Their signing certificates, PEM.
        pub certificates: Vec<String>,
        /// Where these three come from instead, refreshed. At most three redirects are followed, on its host or to a host that
        /// clusters names.
        pub metadata_url: Option<String>,
        /// Our entity ID (default: the URL of our metadata).
        pub entity_id: Option<String>,
        /// Single logout; absent: by metadata_url where signing is set, else none.
        pub slo_url: Option<String>,
        /// The binding of the AuthnRequest (default redirect).
        pub binding: Option<SamlBinding>,
        /// The NameID format asked for (default email).
        pub name_id_format: Option<NameIdFormat>,
        /// Ask the IdP to have the person sign in anew.
        pub force_authn: Option<bool>,
        /// The key that signs our requests. Absent: unsigned.
        pub signing: Option<SamlSigning>,
        /// The key that opens encrypted assertions. Absent: they are refused.
        pub decryption: Option<SamlDecryption>,
        /// What an unsolicited response does (default restart).
        pub idp_initiated: Option<IdpInitiated>,
        /// How far the IdP's clock may be off, at most 60s (default 60s).
        pub clock_skew: Option<String>,
        /// How long an answer of metadata_url may take (default 5s).
        pub timeout: Option<String>,
    }

    /// The key that signs SAML requests.
    pub struct SamlSigning {
        /// PKCS#8 PEM.
        pub private_key: Secret,
        /// The certificate published in our metadata, PEM.
        pub certificate: Option<String>,
    }

    /// The key that opens encrypted assertions.
    pub struct SamlDecryption {
        /// PKCS#8 PEM.
        pub private_key: Secret,
        /// The certificate published in our metadata, PEM.
        pub certificate: Option<String>,
    }
}
