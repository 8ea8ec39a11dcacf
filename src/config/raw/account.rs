//! What an account says of its users and its application: mapping, directory, passwords, access, headers.

use std::collections::BTreeMap;

#[cfg(not(target_family = "wasm"))]
use schemars::JsonSchema;
use serde_json::Value;

use super::choices::{
    Allow, Attribute, EmailVerified, IdentityHeader, Link, MappingFrom, PasswordMode, ProvisioningMode,
};
use super::values::OneOrMany;
use super::{Params, Secret};
use crate::config::read::{self, Read};

raw! {
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

    /// What happens if no user of the directory matches.
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
        /// Usernames that are administrators too, with any roles or none, also while the directory cannot be asked.
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
        /// The beginning of the header names (default x-sso-). Other headers that begin like this are removed from requests.
        pub prefix: Option<String>,
        /// Which of the headers about the user are set: user, email, name, roles, account, idp, method (default all; [] sets
        /// none). Each costs a little with every request. What a client sends under the prefix is removed in any case.
        pub identity: Option<Vec<IdentityHeader>>,
        /// More headers: name to claim. Not one of those that the filter sets itself.
        pub headers: Params,
        /// The header that carries the access token as a Bearer token, never one that has expired. Absent: not
        /// forwarded. With authorization, paths of anyone and users get no other Authorization header.
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
