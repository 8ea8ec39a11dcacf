//! The configuration as operators write it. The doc comments here are the descriptions in
//! `envoy-sso schema`; `config::schema` checks a document against these types before `read` reads it, so
//! that every mistake is reported at once.

use std::collections::BTreeMap;

#[cfg(not(target_family = "wasm"))]
use schemars::JsonSchema;
use serde_json::Value;

use super::read::{self, Read};

macro_rules! raw {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default)]
            // Unknown fields are found by `config::schema`, which is made from these types.
            #[cfg_attr(not(target_family = "wasm"), derive(JsonSchema), schemars(deny_unknown_fields))]
            pub struct $name {
                $($(#[$field_meta])* #[cfg_attr(not(target_family = "wasm"), schemars(default))] pub $field: $ty,)*
            }

            impl Read for $name {
                fn read(value: Value, wrong: &mut Vec<String>) -> Self {
                    let mut object = read::object(value, wrong);
                    Self { $($field: read::member(&mut object, stringify!($field), wrong),)* }
                }
            }
        )*
    };
}

macro_rules! choice {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            #[cfg_attr(not(target_family = "wasm"), derive(JsonSchema))]
            #[allow(missing_docs)]
            pub enum $name {
                $($(#[$variant_meta])* #[cfg_attr(not(target_family = "wasm"), schemars(rename = $text))] $variant,)*
            }

            impl Read for $name {
                fn read(value: Value, wrong: &mut Vec<String>) -> Self {
                    match value.as_str() {
                        $(Some($text) => Self::$variant,)*
                        _ => read::unexpected(&value, "a word that stands there", wrong),
                    }
                }
            }

            impl $name {
                /// The word as it stands in the configuration.
                pub fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $text,)* }
                }
            }
        )*
    };
}

use super::raw_values::{Introspection, OneOrMany};

/// Text values by name.
pub type Params = BTreeMap<String, String>;

/// Parameters of a request by name: a text, or a list of texts for a parameter that is sent several times.
pub type RequestParams = BTreeMap<String, OneOrMany>;

raw! {
    /// The configuration of the envoy-sso filter.
    pub struct Configuration {
        /// How sessions are kept.
        pub session: Session,
        /// Names and attributes of the cookies.
        pub cookies: Cookies,
        /// The engine that lets several Envoys behave as one (docs/scaling.md). Absent: each Envoy is on its own.
        pub shared: Option<Shared>,
        /// Host, or host:port, to the Envoy cluster that reaches it. "*" is the fallback; the value may
        /// hold {host} and {port}.
        pub clusters: Params,
        /// The customers or deployments, each with its own single sign-on.
        pub accounts: Vec<Account>,
        /// How the filter's own pages look.
        pub pages: Pages,
    }

    /// How sessions are kept.
    pub struct Session {
        /// The keys that seal the cookies: the first seals, every one opens.
        pub keys: Vec<SessionKey>,
        /// How long a session lasts at the most (default 8h).
        pub lifetime: Option<String>,
        /// How long a session lasts without a request (default 1h).
        pub idle: Option<String>,
        /// The age at which a session is checked again with the directory and, where it has a refresh token,
        /// renewed at the IdP (default 5m).
        pub recheck: Option<String>,
        /// How long a session goes on unchanged while directory or IdP cannot be asked (default 1h).
        pub recheck_grace: Option<String>,
    }

    /// A key that seals cookies: 32 bytes in base64, as `envoy-sso keygen` prints it.
    pub struct SessionKey {
        /// The name of the key, which stands in every cookie it seals.
        pub id: String,
        /// The environment variable that holds the key.
        pub env: Option<String>,
        /// The key itself. Prefer `env`.
        pub value: Option<String>,
    }

    /// A secret: one of the three.
    pub struct Secret {
        /// The environment variable of the VM that holds it.
        pub env: Option<String>,
        /// The secret itself. Prefer `env`.
        pub value: Option<String>,
        /// The URL of a file that holds it, such as `http://files.internal/oidc-secret`: a loopback listener of the same
        /// Envoy. The filter reads the file before the secret is needed, every minute, and after `invalid_client`. Only
        /// `client_secret`, `client_assertion` and the SCIM `token` may have one.
        pub url: Option<String>,
    }

    /// The engine that lets several Envoys behave as one: what ended on one has ended on all.
    pub struct Shared {
        /// The kind of engine: etcd, version 3.4 or newer.
        pub engine: Option<Engine>,
        /// The Envoy cluster that reaches the engine over HTTP/2. Credentials for the engine are the cluster's (mutual
        /// TLS). Set `connection_keepalive` on it.
        pub cluster: Option<String>,
        /// The first part of every key in the engine: letters, digits, '.', '_', '-' (default sso). Envoys with one
        /// prefix must have the same `session.keys`.
        pub prefix: Option<String>,
        /// How long a request waits for the engine at the most (default 1s).
        pub timeout: Option<String>,
        /// What sessions get while the engine is away: `open` (the default) goes on as a single Envoy does; `closed`
        /// answers 503.
        pub on_outage: Option<OnOutage>,
        /// Under `closed`: how long after the last proof of being in step sessions still count (default 5s).
        pub stale: Option<String>,
        /// Under `closed`: how long after the engine is back sessions still get 503, so that the other Envoys can
        /// deliver what they could not tell meanwhile (default 2s).
        pub settle: Option<String>,
    }

    /// Names and attributes of the cookies.
    pub struct Cookies {
        /// The name, without its `__Host-` or `__Secure-` prefix (default sso).
        pub name: Option<String>,
        /// Send them over HTTPS only (default true). False is for development on plain HTTP.
        pub secure: Option<bool>,
        /// SameSite of the session cookie (default lax). With strict a login ends on a page of the filter's own that goes
        /// on by itself, and a link from elsewhere, which arrives without the cookie, over the provider.
        pub same_site: Option<SameSite>,
        /// The Domain attribute, under which every origin must be; absent, which is safer: this host only.
        pub domain: Option<String>,
        /// Keep the session cookie when the browser closes, as long as the session lasts (default false).
        pub persistent: Option<bool>,
    }

    /// What follows a sign-out.
    pub struct Logout {
        /// A path of the application, such as /bye, where browsers go after a sign-out if the provider has no sign-out of
        /// its own (default: the filter's page, `paths.logout_complete`). An access rule should open it to anyone.
        pub landing: Option<String>,
        /// What browsers forget of this origin at a sign-out (`Clear-Site-Data`): cache, storage (default: nothing).
        pub clear_site_data: Vec<SiteData>,
    }

    /// How the filter's own pages look.
    pub struct Pages {
        /// The operator's or product's name in the page header.
        pub name: Option<String>,
        /// The logo: a path on the same origin or an https URL.
        pub logo: Option<String>,
        /// The accent colour, #rrggbb.
        pub accent: Option<String>,
        /// A contact for people who cannot get in, shown on error pages: text, or a mailto: or https: URL.
        pub contact: Option<String>,
        /// The language of `texts` and of the built-in texts, such as en. (default en)
        pub language: Option<String>,
        /// Texts in the place of the built-in English ones, by their key; `envoy-sso texts` prints them all.
        pub texts: Params,
        /// More languages by their tag, such as de or zh-CN: texts by key, as in `texts`. People get the one
        /// that their browser asks for (Accept-Language), and `texts` where a language lacks a key.
        pub translations: BTreeMap<String, Params>,
    }

    /// One customer or deployment with its own single sign-on.
    pub struct Account {
        /// The `u` of the callback URLs. With one account it may be left out and is `default`.
        pub code: Option<String>,
        /// Where it is served: scheme and host, with a port where it is not the default, such as
        /// `https://app.example.com`. `https://*.preview.example.com` stands for every host with exactly one label in
        /// place of `*`; an exact origin goes before a pattern.
        pub origins: Vec<String>,
        /// The one origin at which all logins of the account run, such as `https://login.example.com`: only its
        /// redirect URIs are registered at the providers. The application is served there only if it is one of
        /// `origins`. Default: each origin has its own callbacks.
        pub login_origin: Option<String>,
        /// enabled or disabled (the default: everything passes).
        pub sso: Option<Switch>,
        /// Other paths for the filter's endpoints.
        pub paths: Paths,
        /// The identity providers people of this account may come from.
        pub identity_providers: Vec<IdentityProvider>,
        /// How an identity becomes a user.
        pub mapping: Option<Mapping>,
        /// Where users are looked up. Absent: the identity is the user.
        pub directory: Option<Directory>,
        /// What happens when nobody matches.
        pub provisioning: Option<Provisioning>,
        /// Who may still use a password.
        pub password: Option<Password>,
        /// Who may ask for which path: the first rule that matches counts; without one, users.
        pub access: Vec<AccessRule>,
        /// Bearer tokens that count as a session.
        pub bearer: Option<Bearer>,
        /// What the application is told.
        pub forward: Option<Forward>,
        /// What follows a sign-out.
        pub logout: Option<Logout>,
        /// What the account's administrators may set themselves on the pages below `admin`. Needs `shared`.
        pub self_service: Option<SelfService>,
        /// Sessions opened before this time (RFC 3339, UTC) are over: ends all sessions of the account.
        pub not_before: Option<String>,
        /// The same for single users, by username.
        pub not_before_users: Params,
    }

    /// What an account's administrators may set themselves. All that is not listed stays the file's.
    pub struct SelfService {
        /// The parts that administrators may set.
        pub settings: Vec<SettingsPart>,
        /// Where providers that administrators name may be, such as `*.okta.com` (one label or more) or
        /// `login.example.com:8443` (default port 443). Addresses, loopback names and names of private networks never match.
        pub hosts: Vec<String>,
        /// Roles that an administrator may grant beside those that they have: by invitations and by `mapping.role_map`.
        pub roles: Vec<String>,
    }

    /// Other paths for the filter's endpoints. A callback may hold {code}, and must where another account of the same
    /// origin has the same path.
    pub struct Paths {
        /// Sign-in page, and where third parties initiate a login (default /sso/login).
        pub login: Option<String>,
        /// Where the IdP sends the code (default /sso/oidc/consume?u={code}). With {idp}, which stands for the
        /// provider's id, each provider has a redirect URI of its own. Set it if the account has several providers
        /// and one of them does not promise `iss` (RFC 9207).
        pub oidc_callback: Option<String>,
        /// Assertion consumer service (default /sso/saml/consume?u={code}).
        pub saml_callback: Option<String>,
        /// Our SAML metadata (default /sso/saml/metadata?u={code}).
        pub saml_metadata: Option<String>,
        /// SAML single logout (default /sso/saml/logout?u={code}).
        pub saml_logout: Option<String>,
        /// Sign out (default /sso/logout).
        pub logout: Option<String>,
        /// Where the IdP sends the browser afterwards (default /sso/logout-complete).
        pub logout_complete: Option<String>,
        /// Back-channel logout (default /sso/backchannel-logout?u={code}).
        pub backchannel_logout: Option<String>,
        /// Front-channel logout (default /sso/frontchannel-logout?u={code}).
        pub frontchannel_logout: Option<String>,
        /// Who is signed in, as JSON (default /sso/session).
        pub session: Option<String>,
        /// Accept or decline an invitation (default /sso/invitation).
        pub invitation: Option<String>,
        /// The administrators' pages (default /sso/admin).
        pub admin: Option<String>,
        /// The public keys of `forward.assertion`, as a JSON Web Key Set (default /sso/jwks).
        pub jwks: Option<String>,
        /// For probes, at any host: 200 if the filter can rule on requests now, else 503 (default /sso/ready).
        pub ready: Option<String>,
    }

    /// An identity provider: an id, and exactly one of oidc, oauth2 and saml.
    pub struct IdentityProvider {
        /// Its name in URLs, logs and `x-sso-idp`.
        pub id: String,
        /// Its name on the sign-in page.
        pub title: Option<String>,
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
        /// The URL of the list, such as `https://graph.microsoft.com/v1.0/me/memberOf`.
        pub url: String,
        /// JSON Pointer to the list in the answer; empty for an answer that is the list (default: empty).
        pub list: Option<String>,
        /// JSON Pointer to the name in an entry of the list; empty for entries that are the name (default: empty).
        pub name: Option<String>,
        /// Where the URL of the next page is: a JSON Pointer into the answer, or link for the Link header (RFC 8288). It must
        /// have scheme, host and port of `url`. Absent: there is one page. The filter reads at most 10 pages.
        pub next: Option<String>,
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

    /// How an identity becomes a user.
    pub struct Mapping {
        /// Where the claim is read (default id_token; saml for SAML providers).
        pub from: Option<MappingFrom>,
        /// A claim, a SAML attribute or NameID; a nested claim as a JSON Pointer (default email).
        pub claim: Option<String>,
        /// The directory field it must equal (default email).
        pub attribute: Option<Attribute>,
        /// The country code of phone numbers without one, digits only.
        pub default_country_code: Option<String>,
        /// When an email counts (default unless_false).
        pub email_verified: Option<EmailVerified>,
        /// The claim that holds groups or roles, or a list of such claims. Its value is one text, a list of texts or of
        /// objects with a `name`, or an object whose member names are the groups. A text is always one group.
        pub roles_claim: Option<OneOrMany>,
        /// first (the default): a user whose record is linked to one provider of the account does not come in by
        /// another. any: any provider that the mapping leads from.
        pub link: Option<Link>,
        /// Group to role. A group that is not here grants nothing.
        pub role_map: Params,
    }

    /// Where users are looked up: one of the two.
    pub struct Directory {
        /// A list in this configuration.
        pub r#static: Option<StaticDirectory>,
        /// A SCIM 2.0 server.
        pub scim: Option<Scim>,
    }

    /// Users in this configuration.
    pub struct StaticDirectory {
        /// The users.
        pub users: Vec<StaticUser>,
    }

    /// One user.
    pub struct StaticUser {
        /// The name the application knows.
        pub username: String,
        /// Email address.
        pub email: Option<String>,
        /// Phone number.
        pub phone: Option<String>,
        /// Display name.
        pub name: Option<String>,
        /// Roles.
        pub roles: Vec<String>,
        /// False locks the user out (default true).
        pub active: Option<bool>,
        /// issuer|subject of the identity this user is linked to.
        pub external_id: Option<String>,
    }

    /// A SCIM 2.0 server (RFC 7644).
    pub struct Scim {
        /// Its base URL, such as `http://directory.internal/scim/v2`.
        pub url: String,
        /// The bearer token.
        pub token: Option<Secret>,
        /// How long an answer may take (default 2s).
        pub timeout: Option<String>,
        /// How long an answer is kept (default 30s; 0s: not at all).
        pub cache: Option<String>,
    }

    /// What happens when nobody in the directory matches.
    pub struct Provisioning {
        /// off (default), invited or automatic.
        pub mode: Option<ProvisioningMode>,
        /// automatic: only addresses of these domains; ["*"] says all.
        pub email_domains: Vec<String>,
        /// automatic: the roles of a created user.
        pub roles: Vec<String>,
        /// invited: who may accept.
        pub invitations: Vec<Invitation>,
    }

    /// One invitation.
    pub struct Invitation {
        /// Who is invited.
        pub email: String,
        /// The roles of the created user.
        pub roles: Vec<String>,
    }

    /// Who may still use a password.
    pub struct Password {
        /// enabled, admins or disabled (the default once SSO is enabled).
        pub mode: Option<PasswordMode>,
        /// The roles that make an administrator.
        pub admin_roles: Vec<String>,
        /// Usernames that are administrators too, whatever their roles, also while the directory cannot be asked.
        /// Compared exactly. A user whom the directory calls inactive stays out while it answers.
        pub administrators: Vec<String>,
        /// Where the application takes passwords.
        pub logins: Vec<PasswordLogin>,
        /// The application's own password page. Its path needs allow: anyone.
        pub page: Option<String>,
        /// How many failures a username has.
        pub attempts: Option<Attempts>,
    }

    /// A request that carries a password.
    pub struct PasswordLogin {
        /// Its exact path.
        pub path: String,
        /// Limits the login to bodies with these fields; others at the path are ordinary requests. Several logins may
        /// share a path if each has its own `when`.
        pub when: Option<LoginWhen>,
        /// Where the username is.
        pub username: UsernameField,
        /// The top-level fields that the body, and the query of a POST, may hold, the username's among them. A request
        /// with another field is refused. Absent: any field by which no application could choose the account.
        pub fields: Option<Vec<String>>,
        /// What an accepted password's answer looks like. Required.
        pub success: Option<Success>,
    }

    /// The fields that make a body a password login: one of the two.
    pub struct LoginWhen {
        /// Fields of a form body with their values, such as grant_type: password.
        pub form: Params,
        /// JSON Pointers into a JSON body with their values: text, numbers, true or false.
        pub json: BTreeMap<String, Value>,
    }

    /// Where the username is (one of json and form), and what it is.
    pub struct UsernameField {
        /// A JSON Pointer into a JSON body.
        pub json: Option<String>,
        /// A field of a form body.
        pub form: Option<String>,
        /// The directory field that the name is: username (default), email or phone. The last two need a directory.
        pub attribute: Option<Attribute>,
    }

    /// What an accepted password's answer looks like: at least one of these, and all that are given must hold.
    pub struct Success {
        /// Statuses (default: what the other conditions need, else any 2xx).
        pub status: Vec<u16>,
        /// A cookie it sets.
        pub cookie: Option<String>,
        /// The path it redirects to, at the origin that was asked; a trailing * matches the rest.
        pub redirect: Option<String>,
        /// A path that it does not redirect to: it redirects elsewhere. A trailing * matches the rest.
        pub redirect_not: Option<String>,
        /// A value in its JSON body. The body is read up to 64 KiB.
        pub json: Option<SuccessJson>,
    }

    /// A value in the JSON body of an accepted password's answer.
    pub struct SuccessJson {
        /// Where it is: a JSON Pointer.
        pub pointer: String,
        /// What it is. Absent: anything but false, null and empty text, lists and objects.
        pub equals: Option<Value>,
    }

    /// How many failed passwords a username has.
    pub struct Attempts {
        /// Failures (default 10).
        pub limit: Option<u32>,
        /// In this time (default 5m).
        pub window: Option<String>,
    }

    /// Who may ask for which path.
    pub struct AccessRule {
        /// An exact path.
        pub path: Option<String>,
        /// The beginning of a path.
        pub prefix: Option<String>,
        /// anyone; optional (as users with a valid session or bearer token, as anyone without); users; or programs.
        pub allow: Option<Allow>,
        /// The methods that the rule is for, such as [GET, HEAD] (default all). A rule with roles, acr_values, max_age or
        /// when answers other methods with 405; any other rule does not match them, and the next one is looked for.
        pub methods: Vec<String>,
        /// users: one of these roles is needed.
        pub roles: Vec<String>,
        /// users: the IdP must say it authenticated this way (`acr`).
        pub acr_values: Vec<String>,
        /// users: the person must have authenticated at the IdP no longer ago than this, and a minute for clocks. A session
        /// or token of an OpenID provider that does not say when (`auth_time`) does not count.
        pub max_age: Option<String>,
        /// users: conditions that must all hold, else 403 access_denied. They are judged when a session is opened or
        /// renewed and when the configuration changes.
        pub when: Vec<Condition>,
        /// users: a protected resource whose metadata (RFC 9728) is published at
        /// `/.well-known/oauth-protected-resource` and the path: MCP clients and `envoy-sso login` find the provider by it.
        pub resource: Option<Resource>,
    }

    /// A protected resource (RFC 9728).
    pub struct Resource {
        /// Its name for people.
        pub name: Option<String>,
        /// The scopes that a bearer token must have, every one of them. Browser sessions need none.
        pub scopes: Vec<String>,
        /// The public client at the provider that programs may use, for `envoy-sso login`.
        pub client_id: Option<String>,
    }

    /// One condition on a session. Set exactly one of claim, email_domain, user, idp, amr and method.
    pub struct Condition {
        /// A claim of the identity, by name or JSON Pointer; `in` lists its values.
        pub claim: Option<String>,
        /// With claim: the claim, or one of its list, must equal one of these. Numbers and booleans compare as text.
        pub r#in: Vec<String>,
        /// Domains: the user's email address must be of one of them.
        pub email_domain: Vec<String>,
        /// Usernames, compared exactly.
        pub user: Vec<String>,
        /// An identity provider's id, or a list of them.
        pub idp: Option<OneOrMany>,
        /// A value of `amr` (RFC 8176), or a list: the provider must have sent one of them.
        pub amr: Option<OneOrMany>,
        /// How the session was opened: sso, password or bearer, or a list of them.
        pub method: Option<OneOrMany>,
    }

    /// Access tokens of programs that count as a session. Absent: none does.
    pub struct Bearer {
        /// The audiences that mean this application: `aud` has to hold one of them.
        pub audiences: Vec<String>,
        /// The OpenID Connect providers whose tokens count (default all of the account).
        pub providers: Vec<String>,
        /// Another issuer whose tokens count, signed by the same provider's keys, by provider id (Entra's v1
        /// tokens; that of ADFS is found by discovery).
        pub issuers: Params,
        /// Issuers for programs alone, such as a CI system: no button, and users by a list.
        pub machines: Vec<Machine>,
    }

    /// An issuer whose JWTs stand for programs.
    pub struct Machine {
        /// Its name in logs and `x-sso-idp`; not one of a provider.
        pub id: String,
        /// The issuer, compared exactly with `iss`.
        pub issuer: String,
        /// The URL of its discovery document (default: `/.well-known/openid-configuration` under `issuer`).
        pub discovery: Option<String>,
        /// The URL of its keys, in place of `discovery`.
        pub jwks_uri: Option<String>,
        /// The audiences that mean this application (default: those of `bearer`).
        pub audiences: Vec<String>,
        /// The claim that names the program; a nested claim as a JSON Pointer (default: sub).
        pub claim: Option<String>,
        /// Value of the claim to username, compared exactly. Tokens with other values are refused.
        pub users: Params,
        /// How long an answer may take (default: 5s).
        pub timeout: Option<String>,
    }

    /// What the application is told.
    pub struct Forward {
        /// The beginning of the header names (default x-sso-). Whatever else begins like this is taken from requests.
        pub prefix: Option<String>,
        /// Which of the headers about the user are set: user, email, name, roles, account, idp, method (default all; [] sets
        /// none). Each costs a little with every request. What a client sends under the prefix is removed in any case.
        pub identity: Option<Vec<IdentityHeader>>,
        /// More headers: name to claim. Not one of those that the filter sets itself.
        pub headers: Params,
        /// The header that carries the access token as a Bearer token, never one that has expired. Absent: not
        /// forwarded. With authorization nobody else's Authorization reaches anyone and users paths.
        pub access_token: Option<String>,
        /// The header that carries the ID token as it is, without Bearer. Absent: not forwarded. Sessions without an ID
        /// token (OAuth 2.0, SAML, passwords, bearer tokens) have no such header.
        pub id_token: Option<String>,
        /// A signed identity: a JWT in a header of its own. Absent: none.
        pub assertion: Option<Assertion>,
    }

    /// A signed identity for the application: a JWT (ES256) about the session, whose public keys are at `paths.jwks`.
    pub struct Assertion {
        /// The header that carries it (default x-sso-assertion).
        pub header: Option<String>,
        /// Its `aud`, which the application must compare.
        pub audience: String,
        /// How long one is good, from 3s to 1d (default 5m). A session is signed for once in this time.
        pub lifetime: Option<String>,
        /// The keys: the first one signs, the public halves of all are published.
        pub keys: Vec<AssertionKey>,
    }

    /// A key that signs assertions.
    pub struct AssertionKey {
        /// Its `kid`.
        pub id: String,
        /// A P-256 private key, PKCS#8 PEM.
        pub private_key: Secret,
    }
}

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
    /// What happens when nobody matches.
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
