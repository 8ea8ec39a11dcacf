//! Every sentence of the pages, by its key, in English. `pages.texts` in the configuration overrides by key,
//! `pages.translations` has the same for other languages; `{name}` and the like stand for values.

use std::borrow::Cow;

use super::look::{Look, Params};

use crate::fault::Code;

/// The sentences of one configuration.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    own: &'a Params,
    translation: Option<&'a Params>,
}

impl<'a> Texts<'a> {
    /// The sentences in one of `pages.translations`, or as they are.
    pub fn new(pages: &'a Look, translation: Option<&str>) -> Self {
        Self { own: &pages.texts, translation: translation.and_then(|tag| pages.translations.get(tag)) }
    }

    /// The sentence for a key.
    pub fn get(self, key: &str) -> &'a str {
        match self.translation.and_then(|texts| texts.get(key)).or_else(|| self.own.get(key)) {
            Some(own) => own,
            None => built_in(key).unwrap_or_default(),
        }
    }

    /// The sentence with its placeholders filled, once: a value is never read for placeholders again.
    pub fn fill(self, key: &str, values: &[(&str, &str)]) -> String {
        let mut out = String::new();
        let mut rest = self.get(key);
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let known = after.split_once('}').and_then(|(name, tail)| {
                values.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value, tail))
            });
            match known {
                Some((value, tail)) => {
                    out.push_str(value);
                    rest = tail;
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// A sentence about a refusal: `part` is `title`, `what` or `do`.
    pub fn of(self, code: Code, part: &str) -> &'a str {
        self.get(&format!("{}.{part}", code.as_str()))
    }

    /// A word's text, or the word itself where there is none: kinds of problems, for example.
    pub fn word(self, prefix: &str, word: &'a str) -> Cow<'a, str> {
        match self.get(&format!("{prefix}.{word}")) {
            "" => Cow::Borrowed(word),
            text => Cow::Borrowed(text),
        }
    }
}

fn built_in(key: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(own, _)| *own == key).map(|(_, text)| *text)
}

/// Whether a text has this key.
pub fn is_text(key: &str) -> bool {
    built_in(key).is_some()
}

/// The keys with their English texts.
#[rustfmt::skip]
pub const TEXTS: &[(&str, &str)] = &[
    ("state_unknown.title", "This sign-in is no longer open"),
    ("state_unknown.what", "The sign-in was started too long ago, in another browser, or has already been used."),
    ("state_unknown.do", "Start again from here, and allow cookies for this site if it happens every time."),
    ("callback_invalid.title", "The answer to the sign-in was incomplete"),
    ("callback_invalid.what", "What came back from your identity provider could not be read as an answer to a sign-in."),
    ("callback_invalid.do", "Start again from here rather than from a bookmark or the Back button."),
    ("username_unreadable.title", "The username could not be read"),
    ("username_unreadable.what", "The sign-in form did not say clearly which single username it is for."),
    ("username_unreadable.do", "Type the username again, without spaces before or after it, and send the form once."),
    ("request_invalid.title", "This request was not accepted"),
    ("request_invalid.what", "The request was incomplete, or came from a page of another site."),
    ("request_invalid.do", "Go back to the application and do it again from its own page."),
    ("return_to_refused.title", "This link leads somewhere else"),
    ("return_to_refused.what", "The link asked to send you to another site after signing in, which is not allowed."),
    ("return_to_refused.do", "Open the application by its own address and sign in there."),
    ("login_required.title", "Please sign in"),
    ("login_required.what", "This page is only for people who are signed in."),
    ("login_required.do", "Sign in, and you will come back to where you wanted to go."),
    ("token_invalid.title", "The access token is not valid"),
    ("token_invalid.what", "The access token sent with the request was not issued for this application, or has expired."),
    ("token_invalid.do", "Get a new access token from your identity provider and send the request again."),
    ("session_expired.title", "Your session has ended"),
    ("session_expired.what", "You were signed in for as long as your organization allows, or were signed out elsewhere."),
    ("session_expired.do", "Sign in again to go on."),
    ("identity_missing.title", "Your profile is incomplete"),
    ("identity_missing.what", "Your identity provider did not tell us a usable value by which we could find your account."),
    ("identity_missing.do", "Ask your administrator to complete your profile at the identity provider, then sign in again."),
    ("identity_ambiguous.title", "More than one account matches you"),
    ("identity_ambiguous.what", "Several accounts share the value by which yours is found, so we cannot tell which one is yours."),
    ("identity_ambiguous.do", "Ask your administrator to give each account a value of its own."),
    ("identity_unknown.title", "There is no account for you here"),
    ("identity_unknown.what", "You signed in at your identity provider, but no account in this application belongs to you."),
    ("identity_unknown.do", "Ask your administrator to invite you, or sign in as another user."),
    ("identity_not_allowed.title", "You cannot sign in here by this provider"),
    ("identity_not_allowed.what", "The identity provider may sign in users of certain email domains only, and yours is not one of them."),
    ("identity_not_allowed.do", "Sign in with your own organization's provider, or ask your administrator."),
    ("identity_conflict.title", "This account belongs to another identity"),
    ("identity_conflict.what", "The account that matches you is already linked to another identity."),
    ("identity_conflict.do", "Ask your administrator to check which identity the account should be linked to."),
    ("email_unverified.title", "Your email address is not verified"),
    ("email_unverified.what", "Your identity provider has not confirmed that the email address is yours."),
    ("email_unverified.do", "Verify your email address at the identity provider, then sign in again."),
    ("user_inactive.title", "Your account is not active"),
    ("user_inactive.what", "Your account in this application has been deactivated."),
    ("user_inactive.do", "Ask your administrator to activate it if you should have access."),
    ("access_denied.title", "This page is not open to you"),
    ("access_denied.what", "You are signed in, but this page is only for some users or some ways of signing in."),
    ("access_denied.do", "Ask your administrator for access, or go back to the pages that are open to you."),
    ("role_missing.title", "You do not have access to this page"),
    ("role_missing.what", "You are signed in, but this page is for people with a role that you do not have."),
    ("insufficient_scope.title", "The access token lacks a scope"),
    ("insufficient_scope.what", "The access token is valid, but it was not issued with the scopes that this address needs."),
    ("insufficient_scope.do", "Get a token with the scopes that the WWW-Authenticate header names, and send the request again."),
    ("role_missing.do", "Ask your administrator for the role, or go back to the pages that are open to you."),
    ("password_not_allowed.title", "This password sign-in is not possible"),
    ("password_not_allowed.what", "Passwords are accepted from administrators only."),
    ("password_not_allowed.do", "Sign in through your organization instead."),
    ("password_disabled.title", "Passwords are no longer used here"),
    ("password_disabled.what", "This application no longer accepts passwords."),
    ("password_disabled.do", "Use your organization's single sign-on."),
    ("idp_denied.title", "Sign-in was cancelled or refused"),
    ("idp_denied.what", "Your identity provider did not let you in to this application, or you cancelled the sign-in."),
    ("idp_denied.do", "Try again, or ask your administrator for access to this application."),
    ("id_token_invalid.title", "We could not trust the sign-in"),
    ("id_token_invalid.what", "The proof of identity we received did not pass our checks, so this sign-in was refused."),
    ("id_token_invalid.do", "Try again, or tell your administrator the code and request ID below."),
    ("assertion_invalid.title", "We could not trust the SAML sign-in"),
    ("assertion_invalid.what", "The SAML response from your organization did not pass our checks, so this sign-in was refused."),
    ("assertion_invalid.do", "Try again, or ask your administrator to compare the SAML settings on both sides."),
    ("account_unknown.title", "There is nothing at this address"),
    ("account_unknown.what", "No organization is set up for this address."),
    ("account_unknown.do", "Check the address, or ask the person who gave it to you."),
    ("method_not_allowed.title", "This cannot be done here"),
    ("method_not_allowed.what", "This address does not accept requests of that kind."),
    ("method_not_allowed.do", "Open the application by its own address and start from there."),
    ("body_too_large.title", "Too much was sent"),
    ("body_too_large.what", "The request is larger than a sign-in can be."),
    ("body_too_large.do", "Send only the sign-in form, without attachments."),
    ("content_type_unsupported.title", "The form was sent in an unexpected format"),
    ("content_type_unsupported.what", "A sign-in is accepted only in the format of its own form, and not compressed."),
    ("content_type_unsupported.do", "Use the application's own sign-in page, or the content type its documentation names."),
    ("too_many_attempts.title", "Too many attempts"),
    ("too_many_attempts.what", "There were too many failed sign-ins with this username."),
    ("too_many_attempts.do", "Wait a few minutes, then try again."),
    ("settings_untested.title", "Not tested yet"),
    ("settings_untested.what", "These settings could lock administrators out: you have not signed in with them yet."),
    ("settings_untested.do", "Test the sign-in first, or confirm that they shall hold all the same."),
    ("settings_changed.title", "Changed meanwhile"),
    ("settings_changed.what", "Another administrator has changed the settings since you opened them."),
    ("settings_changed.do", "Load them again, then make your change."),
    ("settings_invalid.title", "These settings cannot be used"),
    ("settings_invalid.what", "Something in them is wrong or missing."),
    ("settings_invalid.do", "Correct what is marked, then save again."),
    ("idp_invalid_answer.title", "The identity provider gave a wrong answer"),
    ("idp_invalid_answer.what", "Your identity provider answered with something we could not understand."),
    ("idp_invalid_answer.do", "Try again in a moment, or tell your administrator the code below."),
    ("not_set_up.title", "Sign-in is not set up right"),
    ("not_set_up.what", "The identity provider does not accept this application's settings."),
    ("not_set_up.do", "Tell your administrator the code and request ID below: trying again will not help."),
    ("idp_unavailable.title", "The identity provider cannot be reached"),
    ("idp_unavailable.what", "We could not reach the identity provider that signs you in."),
    ("idp_unavailable.do", "Try again in a few minutes; users who are signed in already can go on."),
    ("directory_unavailable.title", "The user directory cannot be reached"),
    ("directory_unavailable.what", "Your identity was confirmed, but we could not look up your account."),
    ("directory_unavailable.do", "Try again in a few minutes: nothing is wrong with your account."),
    ("not_ready.title", "Just a moment"),
    ("not_ready.what", "Sign-in is starting up, or its settings are being changed."),
    ("not_ready.do", "Try again in a few seconds, or tell your administrator if it stays so."),
    ("idp_timeout.title", "The identity provider took too long"),
    ("idp_timeout.what", "Your identity provider did not answer in time, so the sign-in was stopped."),
    ("idp_timeout.do", "Try again: it usually works the second time."),

    ("action.try_again", "Try again"),
    ("action.sign_in", "Sign in"),
    ("action.password", "Sign in with a password"),
    ("action.continue", "Continue"),
    ("action.continue_as", "Continue as {user}"),
    ("action.another", "Use another account"),
    ("action.home", "Go to the start page"),
    ("refusal.person", "You signed in as {user}."),
    ("refusal.unsent", "What you sent has not reached the application."),
    ("refusal.send_again", "Sign in, then go back and send it again."),
    ("refusal.code", "Code"),
    ("refusal.request_id", "Request ID"),
    ("refusal.field", "Field"),
    ("contact", "Need help?"),

    ("sign_in.title", "Sign in"),
    ("sign_in.title_to", "Sign in to {name}"),
    ("sign_in.choose", "Choose how you want to sign in."),
    ("sign_in.provider", "Continue with {title}"),
    ("sign_in.unknown_domain", "No sign-in is set up for this email address. Choose below, or check the address."),
    ("sign_in.or", "or"),
    ("sign_in.email", "Work email address"),
    ("sign_in.email_go", "Continue with email"),
    ("sign_in.account", "Organization code"),
    ("sign_in.account_hint", "The short name your organization was given for this application."),
    ("sign_in.account_go", "Continue"),
    ("sign_in.none", "No way to sign in is set up yet. Ask your administrator."),

    ("sign_in.admins", "Administrators only:"),

    ("arrival.title", "Open the administrators' page?"),
    ("arrival.what", "Another site sent you here. This page reads the settings and every user of the directory."),

    ("sessions.title", "End sessions"),
    ("sessions.everywhere", "What you end here ends on every Envoy at once."),
    ("sessions.here", "What you end here ends on this Envoy only: nothing is shared with others."),
    ("sessions.user", "Username"),
    ("sessions.end", "End the sessions of this user"),
    ("sessions.end_all", "End all sessions of the account, yours too"),
    ("sign_out.title", "Sign out?"),
    ("sign_out.what", "Another site asked to sign you out."),
    ("sign_out.who", "You are signed in as {user}."),
    ("sign_out.go", "Sign out"),
    ("sign_out.stay", "Stay signed in"),
    ("still.title", "You are still signed in"),
    ("still.what", "This browser has a session here: signed in again, or signed out elsewhere only."),
    ("signed_out.title", "You are signed out"),
    ("signed_out.what", "Your session here has ended. On a shared computer, close the browser as well."),
    ("signed_out.again", "Sign in again"),

    ("invitation.title", "You are invited"),
    ("invitation.what", "An account for {user} is ready to be created in {name}."),
    ("invitation.this", "this application"),
    ("invitation.user", "Account"),
    ("invitation.organization", "Organization"),
    ("invitation.roles", "Roles"),
    ("invitation.no_roles", "No roles"),
    ("invitation.do", "Accept to create it and sign in. If this is not you, decline."),
    ("invitation.accept", "Accept and sign in"),
    ("invitation.decline", "Decline"),

    ("ahead.title", "One more step"),
    ("ahead.what", "Your browser loaded this link before you opened it, so nothing has been done yet. Continue to open it."),
    ("forward.title", "One moment"),
    ("forward.what", "You are being taken to the next step. If nothing happens, continue by hand."),

    ("admin.title", "Single sign-on"),
    ("admin.account", "Organization {account}"),
    ("admin.readiness", "Ready to turn passwords off?"),
    ("admin.ready", "Yes: no user would be locked out."),
    ("admin.not_ready", "Not yet."),
    ("admin.never", "Users who have never signed in through SSO ({count})"),
    ("admin.administrators", "Administrators who have signed in through SSO ({count})"),
    ("admin.nobody", "None"),
    ("trial.title", "Test sign-in"),
    ("trial.ok", "The sign-in works: it leads to {user}. Nothing was changed and no session was opened."),
    ("trial.failed", "The sign-in does not work yet: {code}."),
    ("trial.mapped", "Mapped value"),
    ("trial.user", "User"),
    ("trial.roles", "Roles"),
    ("trial.claims", "What the provider said"),
    ("admin.completeness", "Who could sign in"),
    ("admin.complete", "{complete} of {users} users can sign in with the present mapping."),
    ("admin.user", "User"),
    ("admin.problem", "Problem"),
    ("admin.value", "Value"),
    ("admin.with", "Shared with"),
    ("problem.missing", "Missing"),
    ("problem.malformed", "Malformed"),
    ("problem.shared", "Shared"),
    ("admin.truncated", "Showing {shown} of {total}. The report as JSON, below, lists more."),
    ("admin.range", "Showing {first} to {last} of {total}."),
    ("admin.listed", "The report lists the first {listed}."),
    ("admin.previous", "Previous page"),
    ("admin.next", "Next page"),
    ("admin.pages", "Pages of the report"),
    ("admin.check", "Configuration check"),
    ("admin.passed", "Passed ({count})"),
    ("admin.all_passed", "Every check passed."),
    ("admin.failed", "To do"),
    ("admin.warnings", "Worth a look"),
    ("admin.uris", "Register at the identity provider"),
    ("admin.uris_what", "Enter these addresses exactly as they stand here."),
    ("admin.page.settings", "Settings: connection, passwords, invitations, history"),
    ("admin.page.sessions", "End sessions"),
    ("center.title", "Settings of single sign-on"),
    ("center.now", "What holds now"),
    ("center.of_the_file", "Version 0: as the operator set it up."),
    ("center.version", "Version {version}, by {by} at {at}."),
    ("center.saved", "Saved by {by} at {at}."),
    ("center.draft", "Draft"),
    ("center.draft.what", "A draft changes nothing. Test the sign-in with it, look whom it finds, then enable it."),
    ("center.test", "Test the sign-in with {provider}"),
    ("center.tested", "You have signed in with it."),
    ("center.completeness", "Who could sign in with this draft (JSON)"),
    ("center.settings", "Prepare settings"),
    ("center.settings.what", "Saving makes a draft. No sign-in uses it until you enable it."),
    ("center.providers", "Identity providers"),
    ("center.another", "Another provider"),
    ("center.sso", "Single sign-on"),
    ("center.connection", "Connection"),
    ("center.oidc", "OpenID Connect"),
    ("center.oauth2", "OAuth 2.0"),
    ("center.saml", "SAML 2.0"),
    ("center.fields", "Fields of this protocol"),
    ("center.register", "Copy these addresses to the provider exactly as they stand here:"),
    ("center.secret_is_set", "One is set. Leave this empty to keep it."),
    ("center.mapping", "Which user it is"),
    ("center.password", "Passwords"),
    ("center.invitations", "Invitations"),
    ("center.invitations.what", "An invited address gets a user with these roles at its first sign-in, within 14 days, once."),
    ("center.history", "History"),
    ("center.history.what", "Going back makes a new version that equals the old one."),
    ("center.all_the_same", "I know that we could be locked out: do it all the same"),
    ("center.do.save", "Save the draft"),
    ("center.do.remove", "Save a draft without this provider"),
    ("center.do.enable", "Enable the draft"),
    ("center.do.discard", "Discard the draft"),
    ("center.do.invite", "Invite"),
    ("center.do.withdraw", "Withdraw"),
    ("center.do.rollback", "Go back to this version"),
    ("center.done.save", "The draft is saved."),
    ("center.done.remove", "The draft is saved."),
    ("center.done.enable", "The settings hold now."),
    ("center.done.discard", "The draft is gone."),
    ("center.done.invite", "The invitation stands."),
    ("center.done.withdraw", "The invitation is withdrawn."),
    ("center.done.rollback", "The older settings hold again."),
    ("field.sso", "Single sign-on"),
    ("field.sso.help", "Whether people sign in by the provider below."),
    ("choice.sso.enabled", "Enabled"),
    ("choice.sso.disabled", "Disabled: the application is as it was"),
    ("field.id", "Short name"),
    ("field.id.help", "Names the provider in addresses: letters, digits and hyphens. Example: corp"),
    ("field.title", "Name on the sign-in page"),
    ("field.title.help", "The button says \"Continue with\" and this. Example: your Acme account"),
    ("field.discovery", "Discovery URL"),
    ("field.discovery.help", "With it, leave the addresses below empty. Example: https://acme.okta.com/.well-known/openid-configuration"),
    ("field.issuer", "Issuer (entity ID of the provider)"),
    ("field.issuer.help", "What the provider calls itself; without discovery or metadata only. Example: https://acme.okta.com"),
    ("field.authorization_endpoint", "Authorization endpoint"),
    ("field.authorization_endpoint.help", "Where the browser signs in. Example: https://acme.okta.com/oauth2/v1/authorize"),
    ("field.token_endpoint", "Token endpoint"),
    ("field.token_endpoint.help", "Where the code is exchanged. Example: https://acme.okta.com/oauth2/v1/token"),
    ("field.userinfo_endpoint", "UserInfo endpoint"),
    ("field.userinfo_endpoint.help", "Where the profile is read. Example: https://acme.okta.com/oauth2/v1/userinfo"),
    ("field.jwks_uri", "JWKS URI"),
    ("field.jwks_uri.help", "Where the provider's keys are. Example: https://acme.okta.com/oauth2/v1/keys"),
    ("field.client_id", "Client ID"),
    ("field.client_id.help", "As the provider shows it for this application. Some call it application ID. Example: 0oa8kq2w7Xb1"),
    ("field.client_secret", "Client secret"),
    ("field.client_secret.help", "As the provider shows it once. It is stored sealed and never shown again."),
    ("field.scope", "Scopes"),
    ("field.scope.help", "With spaces between them. Example: openid email profile"),
    ("field.authorization_params", "Extra parameters"),
    ("field.authorization_params.help", "Sent to the authorization endpoint, one on a line. Example: domain_hint=acme.com"),
    ("field.metadata_url", "Metadata URL"),
    ("field.metadata_url.help", "With it, leave the three fields below empty. Example: https://acme.okta.com/app/x/sso/saml/metadata"),
    ("field.sso_url", "Sign-in URL"),
    ("field.sso_url.help", "Where the browser signs in. Example: https://acme.okta.com/app/x/sso/saml"),
    ("field.certificates", "Signing certificates"),
    ("field.certificates.help", "As PEM, from BEGIN CERTIFICATE to END CERTIFICATE, one after the other."),
    ("field.from", "Where the value comes from"),
    ("field.from.help", "ID token for OpenID Connect, UserInfo for OAuth 2.0, assertion for SAML."),
    ("choice.from.", "As the protocol has it"),
    ("choice.from.id_token", "ID token"),
    ("choice.from.userinfo", "UserInfo"),
    ("choice.from.saml", "SAML assertion"),
    ("field.claim", "Mapping field"),
    ("field.claim.help", "The claim or attribute that tells which user it is. Example: email, or NameID"),
    ("field.attribute", "Compared with"),
    ("field.attribute.help", "The user's own value in this application."),
    ("choice.attribute.", "Email address, unless the operator chose another"),
    ("choice.attribute.email", "Email address"),
    ("choice.attribute.phone", "Phone number"),
    ("choice.attribute.username", "Username"),
    ("field.default_country_code", "Phone code"),
    ("field.default_country_code.help", "For phone numbers without one. Example: +41"),
    ("field.roles_claim", "Roles field"),
    ("field.roles_claim.help", "The claim or attribute with groups. Empty: the provider grants no roles. Example: groups"),
    ("field.role_map", "Roles by group"),
    ("field.role_map.help", "group=role, one on a line. Only roles that you have or may grant. Example: lakehouse-admins=account_admin"),
    ("field.mode", "Who may use a password"),
    ("field.mode.help", "Before you choose fewer, look at readiness in the overview."),
    ("choice.mode.enabled", "Every user, side by side with single sign-on"),
    ("choice.mode.admins", "Administrators only"),
    ("choice.mode.disabled", "None: single sign-on alone"),
    ("admin.json", "Reports as JSON"),
    ("admin.pending", "Not available yet. Reload in a moment."),
];
