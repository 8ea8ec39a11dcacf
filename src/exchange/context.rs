//! A request that is more than passed on: what flows and refusals need to know of it.

use std::cell::Cell;
use std::rc::Rc;

use crate::access::{self, resource::WELL_KNOWN, Demand};
use crate::config::{Endpoint, Origin, PasswordMode};
use crate::exchange::return_to;
use crate::fault::{Code, Fault};
use crate::host::events::{self, Place};
use crate::host::task::Io;
use crate::host::Level;
use crate::http::response::Response;
use crate::http::{trace, Head, Jar, Path};
use crate::pages;
use crate::session::{chunk_name, cookie};
use crate::state::{AccountState, FilterState, NoSession, SessionState};

/// A request that was asked, for flows and for refusals: head, account, origin.
pub struct Exchange {
    /// The filter.
    pub filter_state: Rc<FilterState>,
    /// The account, where one was found.
    pub account_state: Option<Rc<AccountState>>,
    /// The request.
    pub head: Rc<Head>,
    /// Several accounts are served here, and nothing says that it is this one.
    pub is_unsure: bool,
    /// The canonical path.
    pub path: String,
    /// Now, in milliseconds since 1970.
    pub now: u64,
    /// Why no session counts, where the gate has found that out: to open a cookie that does not count costs more than all the
    /// rest of the answer.
    no_session: Cell<Option<NoSession>>,
}

impl Exchange {
    /// A request of one account; `None`: of none that is known.
    pub fn new(
        filter_state: &Rc<FilterState>,
        account_state: Option<&Rc<AccountState>>,
        head: &Rc<Head>,
        path: String,
        now: u64,
    ) -> Self {
        Self {
            filter_state: filter_state.clone(),
            account_state: account_state.cloned(),
            head: head.clone(),
            is_unsure: false,
            path,
            now,
            no_session: Cell::default(),
        }
    }

    /// Several accounts are served here, and the request does not name one.
    pub fn unsure(self) -> Self {
        Self { is_unsure: true, ..self }
    }

    /// The gate has found that no session counts.
    pub fn has_no_session(&self, why: NoSession) {
        self.no_session.set(Some(why));
    }

    /// This request, for another account.
    pub fn with_account(&self, account_state: Rc<AccountState>) -> Self {
        let path = self.path.clone();
        let other = Self::new(&self.filter_state, Some(&account_state), &self.head, path, self.now);
        Self { is_unsure: self.is_unsure, ..other }
    }

    /// The origin of the account that was asked; only configured ones, and ones of a pattern, are ever used in URLs.
    pub fn origin(&self) -> Option<Origin> {
        self.account_state.as_ref()?.account.origin_at(self.head.authority())
    }

    /// The origins whose pages are the account's own, as browsers send them in `Origin`.
    pub fn own_origins(&self) -> Vec<String> {
        let own = self.account_state.as_ref().map(|own| own.account.origin_texts(self.head.authority()));
        own.unwrap_or_default()
    }

    /// True if the application of the account is not served at the origin that was asked.
    pub fn is_login_only(&self) -> bool {
        self.account_state.as_ref().is_some_and(|own| own.account.is_login_only(self.head.authority()))
    }

    /// Which of the filter's own endpoints this is.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.account_state.as_ref()?.account.paths.endpoint(&self.path)
    }

    /// What the account's access rules demand of this request; `None` at the filter's own endpoints.
    pub fn demand(&self) -> Option<Demand<'_>> {
        let account_state = self.account_state.as_ref().filter(|_| self.endpoint().is_none())?;
        let path = self.head.path();
        Some(access::demand(&account_state.account.access, &Path::read(path), path, self.head.method()))
    }

    /// True if the application takes this request without a session too.
    pub fn is_optional(&self) -> bool {
        self.demand() == Some(Demand::Optional)
    }

    /// Account and origin, which every flow needs.
    pub fn site_and_origin(&self) -> Result<(Rc<AccountState>, Origin), Fault> {
        match (&self.account_state, self.origin()) {
            (Some(account_state), Some(origin)) => Ok((account_state.clone(), origin)),
            _ => Err(Fault::new(Code::AccountUnknown, "no account is served here")),
        }
    }

    /// What a flow for this request holds: its calls belong to the request's trace.
    pub fn io(&self) -> Io {
        self.filter_state.io(trace(&self.head).into())
    }

    /// For the log.
    pub fn place(&self) -> Place<'_> {
        Place {
            account: self.account_state.as_ref().map(|account_state| account_state.account.code.as_str()),
            request_id: self.head.request_id(),
            path: &self.path,
            is_page: self.head.is_person(),
            ..Place::default()
        }
    }

    /// The cookies.
    pub fn jar(&self) -> Jar<'_> {
        self.head.jar(&self.filter_state.config.cookies.name)
    }

    /// Who the cookies say is there.
    pub fn session_state(&self) -> SessionState {
        if let Some(why) = self.no_session.get() {
            return why.into();
        }
        match &self.account_state {
            Some(account_state) => {
                self.filter_state.session(std::slice::from_ref(account_state), &self.jar(), self.now)
            }
            None => SessionState::None,
        }
    }

    /// The URL of the sign-in page that comes back to this request, or to `/` after anything but a
    /// navigation.
    pub fn login_url(&self) -> Option<String> {
        let account_state = self.account_state.as_ref()?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.is_unsure && self.filter_state.accounts_at(self.head.authority()).len() > 1 {
            query.append_pair("u", &account_state.account.code);
        }
        // Only a navigation has a target to come back to; it costs a URL parser.
        if self.head.is_navigation() && self.endpoint().is_none() {
            if let Ok(target) = self.target() {
                query.append_pair("return_to", &target);
            }
        }
        let query = query.finish();
        let path = account_state.account.paths.path(Endpoint::Login);
        Some(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
    }

    /// Path and query that were asked for, to come back to. `return_to_refused` where they cannot be kept: they are
    /// too long, or lead elsewhere.
    pub fn target(&self) -> Result<String, Fault> {
        let (_, origin) = self.site_and_origin()?;
        return_to::check(&return_to::sent(&self.head), &origin)
    }

    /// The same with the first page in its place, which the log tells of.
    pub fn target_or_home(&self) -> String {
        self.target().unwrap_or_else(|fault| {
            let reason = format!("the login leads to /: {}", fault.detail);
            events::notice(&*self.filter_state.host, self.place(), Level::Info, &reason);
            "/".into()
        })
    }

    /// What a challenge says of the resource that was asked for: where its metadata is (RFC 9728 section 5.1), and the
    /// scopes that a token needs (RFC 6750 section 3). Empty for any other path.
    pub fn resource_challenge(&self) -> String {
        let rules = self.account_state.as_ref().map_or(&[][..], |own| &own.account.access);
        if !rules.iter().any(|rule| access::resource::of(&rule.admission).is_some()) {
            return String::new();
        }
        let resource = self.demand().and_then(|demand| demand.resource());
        let (Some(origin), Some(resource)) = (self.origin(), resource) else { return String::new() };
        let mut text = format!(", resource_metadata=\"{origin}{WELL_KNOWN}{}\"", resource.path);
        if !resource.scopes.is_empty() {
            // No quote and no space is in any of them: the configuration is refused otherwise.
            text.push_str(&format!(", scope=\"{}\"", resource.scopes.join(" ")));
        }
        text
    }

    /// What pages need to know about this request.
    pub fn page_context(&self) -> pages::Context<'_> {
        let pages = &self.filter_state.config.pages;
        let mut context = pages::Context::new(pages, self.head.request_id(), self.head.is_person());
        context.login = self.login_url();
        context.challenge = self.resource_challenge();
        context.unsent = self.endpoint().is_none() && !matches!(self.head.method(), b"GET" | b"HEAD");
        context.in_language(self.head.all("accept-language"))
    }

    /// The answer for a refusal, which is logged and counted here, once.
    pub fn refuse(&self, fault: &Fault) -> Response {
        self.refuse_asking(fault, &[])
    }

    /// The same, with more parameters for the login that would help.
    pub fn refuse_asking(&self, fault: &Fault, parameters: &[(&str, String)]) -> Response {
        self.refuse_with(self.place(), fault, parameters)
    }

    /// The same at a place that knows more.
    pub fn refuse_at(&self, place: Place<'_>, fault: &Fault) -> Response {
        self.refuse_with(place, fault, &[])
    }

    fn refuse_with(&self, place: Place<'_>, fault: &Fault, parameters: &[(&str, String)]) -> Response {
        events::refusal(&*self.filter_state.host, place, fault);
        let mut context = self.page_context();
        if let Some(login) = &mut context.login {
            for (name, value) in parameters {
                add_parameter(login, name, value);
            }
        }
        if is_failed_login(fault.code) {
            context.password_page = self.password_way();
        }
        if is_cured_by_another_account(fault.code) {
            self.offer_another_account(&mut context, None);
            let denied = matches!(fault.code, Code::RoleMissing | Code::AccessDenied);
            context.home = denied && self.path != "/";
        }
        // The Back button after signing in, or a second tab: the session is there already.
        if matches!(fault.code, Code::StateUnknown | Code::CallbackInvalid) {
            self.offer_to_go_on(&mut context);
        }
        pages::refusal(fault, &context)
    }

    /// The refusal of a login that was to lead here: trying again leads there too. `place` knows the provider.
    pub fn refuse_login(&self, place: Place<'_>, fault: &Fault, return_to: &str) -> Response {
        events::refusal(&*self.filter_state.host, place, fault);
        let mut context = self.page_context();
        if let Some(login) = &mut context.login {
            add_parameter(login, "return_to", return_to);
        }
        context.password_page = self.password_way();
        if is_cured_by_another_account(fault.code) {
            self.offer_another_account(&mut context, place.provider);
            context.person.clone_from(&fault.person);
        } else {
            self.offer_to_go_on(&mut context);
        }
        pages::refusal(fault, &context)
    }

    /// A user who is in can go on, and is told as whom.
    fn offer_to_go_on(&self, context: &mut pages::Context<'_>) {
        if let SessionState::Valid(live) = self.session_state() {
            context.continue_to = Some("/".into());
            context.continue_as = Some(live.session.user.username.clone());
        }
    }

    /// The ways to another account: the provider is asked to let the user choose, where it was the one (`provider`) or the
    /// session is from it. A user who is in is told as whom, and can sign out.
    fn offer_another_account(&self, context: &mut pages::Context<'_>, provider: Option<&str>) {
        let Some(account_state) = &self.account_state else { return };
        let session_state = self.session_state();
        let live = match &session_state {
            SessionState::Valid(live) => Some(live),
            _ => None,
        };
        let of_session = live.map(|live| live.session.origin.provider.as_str());
        let known = provider.or(of_session).filter(|id| account_state.provider(id).is_some());
        context.another = context.login.clone().map(|mut url| {
            if let Some(id) = known {
                add_parameter(&mut url, "idp", id);
            }
            add_parameter(&mut url, "prompt", "select_account");
            url
        });
        if let Some(live) = live {
            context.signed_in_as = Some(live.session.user.username.clone());
            context.sign_out = Some(account_state.account.paths.path(Endpoint::Logout).to_owned());
        }
    }

    /// Where a password still is a way in: the way back for an administrator whose IdP is broken.
    fn password_way(&self) -> Option<String> {
        let account = &self.account_state.as_ref()?.account;
        let page = account.password.page.as_ref()?;
        // The application has the page, and is not at every origin.
        let home = match self.is_login_only() {
            true => account.origins.first()?.to_string(),
            false => String::new(),
        };
        match account.password.offered() {
            PasswordMode::Enabled => Some(format!("{home}{page}")),
            PasswordMode::Admins => Some(format!("{home}{}?show=all", account.paths.path(Endpoint::Login))),
            PasswordMode::Disabled => None,
        }
    }

    /// An answer to a request without a session: cookies that hold nothing that counts are deleted.
    pub fn answer_without(&self, why: NoSession, answer: Response) -> Response {
        match why {
            NoSession::Stale => self.without_session(answer),
            NoSession::Absent => answer,
        }
    }

    /// The refusal of a request without a session.
    pub fn refuse_without(&self, why: NoSession) -> Response {
        self.answer_without(why, self.refuse(&why.fault()))
    }

    /// The same with the session's cookies deleted: they hold nothing that counts.
    pub fn refuse_stale(&self, fault: &Fault) -> Response {
        self.without_session(self.refuse(fault))
    }

    /// The answer to a request that no user made: it ends, begins and uses up nothing. Chromium keeps each 2xx that a
    /// speculation rule fetched, 204 too, and takes it for the answer to the user's click, which then did nothing: a
    /// document gets a page whose link does what was clicked.
    pub fn ignored(&self) -> Response {
        match self.head.is_document_ahead() {
            true => pages::looked_ahead(&self.page_context()),
            false => Response::ignored(),
        }
    }

    /// These `set-cookie` values, unless the request looks ahead: the browser gets them with the user's own request.
    pub fn cookies_due(&self, cookies: Vec<String>) -> Vec<String> {
        if self.head.is_speculative() {
            Vec::new()
        } else {
            cookies
        }
    }

    /// The answer to a sign-out: without the session's cookies, and with what else the browser has to forget.
    pub fn signed_out(&self, answer: Response) -> Response {
        let answer = self.without_session(answer);
        let clear = self.account_state.as_ref().map(|own| own.account.logout.clear_site_data.as_str());
        match clear.filter(|clear| !clear.is_empty()) {
            Some(clear) => answer.set_header("clear-site-data", clear),
            None => answer,
        }
    }

    /// Deletes every session cookie that was sent.
    pub fn without_session(&self, mut answer: Response) -> Response {
        if self.head.is_speculative() {
            return answer;
        }
        let cookies = &self.filter_state.config.cookies;
        for n in self.jar().sent() {
            answer = answer.with_cookie(&cookie::delete(&chunk_name(&cookies.name, n), cookies));
        }
        answer
    }
}

fn add_parameter(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(&url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish());
}

/// Refusals of a user, not of a request: another user could get in.
fn is_cured_by_another_account(code: Code) -> bool {
    use Code::*;
    matches!(
        code,
        IdentityUnknown
            | IdentityMissing
            | IdentityConflict
            | IdentityAmbiguous
            | IdentityNotAllowed
            | EmailUnverified
            | UserInactive
            | IdpDenied
            | RoleMissing
            | AccessDenied
    )
}

/// Codes with which a login fails, as opposed to a request with a session.
fn is_failed_login(code: Code) -> bool {
    use Code::*;
    !matches!(
        code,
        RoleMissing
            | AccessDenied
            | PasswordNotAllowed
            | PasswordDisabled
            | AccountUnknown
            | MethodNotAllowed
            | BodyTooLarge
            | ContentTypeUnsupported
            | RequestInvalid
            | ReturnToRefused
    )
}
