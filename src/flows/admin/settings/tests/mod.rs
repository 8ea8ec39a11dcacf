//! An account with an OAuth 2.0 provider and an engine that a test can take away.

mod away;
mod draft;
mod forms;
mod narrowed;
mod people;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{json, Value};

use crate::host::task::{Call, Reply, Via};
use crate::host::Host;
use crate::replicas::{etcd, Replicas};
use crate::state::FilterState;
use crate::testing::browser::{filter_state, Browser, Seen, KEY};
use crate::testing::engine::Engine;
use crate::testing::{json as answer, TestHost};

/// An account with an OAuth 2.0 provider, whose identity is whatever UserInfo says.
fn configuration(change: impl FnOnce(&mut Value)) -> Value {
    let provider = |id: &str| {
        json!({ "id": id, "title": id, "oauth2": {
            "authorization_endpoint": format!("https://{id}.idp.example/authorize"),
            "token_endpoint": format!("https://{id}.idp.example/token"),
            "userinfo_endpoint": format!("https://{id}.idp.example/user"),
            "client_id": "app", "client_secret": { "value": "file secret" } } })
    };
    let mut configuration = json!({
        "session": { "keys": [{ "id": "k1", "value": KEY }] },
        "clusters": { "*": "out" },
        "shared": { "engine": "etcd", "cluster": "etcd" },
        "accounts": [{
            "origins": ["https://app.example"], "sso": "enabled", "identity_providers": [provider("corp")],
            "mapping": { "from": "userinfo", "claim": "email", "attribute": "email" },
            "directory": { "static": { "users": [
                { "username": "ada", "email": "ada@acme.com", "roles": ["account_admin"] },
                { "username": "bob", "email": "bob@acme.com", "roles": ["member"] },
            ] } },
            "password": { "mode": "admins", "admin_roles": ["account_admin"] },
            "self_service": { "settings": ["sso", "identity_providers", "mapping", "password", "invitations"],
                "hosts": ["*.idp.example"], "roles": ["member"] },
        }],
    });
    change(&mut configuration);
    configuration
}

struct World {
    host: Rc<TestHost>,
    state: Rc<FilterState>,
    engine: Rc<RefCell<Engine>>,
    /// Whom the provider signs in.
    email: RefCell<String>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let host = TestHost::new();
        let state = filter_state(&host, &configuration(change));
        let world = Self { host, state, engine: Rc::default(), email: RefCell::new("ada@acme.com".into()) };
        world.read_everything();
        let state = Rc::new(world.state.resettled().expect("nothing was set"));
        Self { state, ..world }
    }

    /// This Envoy after a change of its file.
    fn updated(self, change: impl FnOnce(&mut Value)) -> Self {
        let state = filter_state(&self.host, &configuration(change));
        let state = Rc::new(state.resettled().expect("settings are known"));
        Self { state, ..self }
    }

    /// Another Envoy at the same engine, which has read everything.
    fn joined(&self, change: impl FnOnce(&mut Value)) -> Self {
        let host = TestHost::new();
        let state = filter_state(&host, &configuration(change));
        let world = Self { host, state, engine: self.engine.clone(), email: self.email.clone() };
        let values = self.engine.borrow().values.clone();
        let value = |kv: crate::replicas::messages::KeyValue| etcd::Value {
            key: kv.key,
            value: kv.value,
            revision: kv.mod_revision as u64,
        };
        world.replicas().apply(&*world.host, values.into_iter().map(value).collect());
        world.read_everything();
        let state = world.state.resettled().map_or_else(|| world.state.clone(), Rc::new);
        Self { state, ..world }
    }

    fn replicas(&self) -> &Rc<Replicas> {
        self.state.replicas.as_ref().unwrap()
    }

    /// The engine was read, and `settle` is over.
    fn read_everything(&self) {
        let now = self.host.now();
        let mut status = self.replicas().status(&*self.host);
        (status.proof, status.first_read) = (now, now - 60_000);
        status.write(&*self.host, self.replicas().tag());
    }

    fn respond(&self, call: &Call) -> Reply {
        if let Via::Grpc { .. } = call.via {
            return self.engine.borrow_mut().answer(call);
        }
        match call.what {
            "token" => answer(&json!({ "access_token": "at", "token_type": "Bearer" })),
            _ => answer(&json!({ "sub": "1", "id": "admins", "email": *self.email.borrow() })),
        }
    }

    /// What every worker does within a moment.
    fn settled(&mut self) {
        if let Some(next) = self.state.resettled() {
            self.state = Rc::new(next);
        }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.state, "app.example")
    }

    fn signed_in(&self, name: &str) -> Browser {
        *self.email.borrow_mut() = format!("{name}@acme.com");
        let mut browser = self.browser();
        let start = self.get(&mut browser, "/sso/login?idp=corp&return_to=/x");
        let done = self.follow(&mut browser, &start);
        assert_eq!(done.location(), "/x", "{}", done.text());
        browser
    }

    /// From the authorization request back to the callback.
    fn follow(&self, browser: &mut Browser, start: &Seen) -> Seen {
        let url = url::Url::parse(start.location()).expect("a redirect to the provider");
        let state = url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
        let target = format!("/sso/oidc/consume?u=default&code=c&state={}", state.unwrap());
        self.get(browser, &target)
    }

    fn get(&self, browser: &mut Browser, target: &str) -> Seen {
        browser.get(target, &mut |call| self.respond(call))
    }

    fn call(&self, browser: &Browser, method: &str, path: &str, body: Value) -> Seen {
        self.call_with(browser, method, path, body, &[])
    }

    fn call_with(
        &self,
        browser: &Browser,
        method: &str,
        path: &str,
        body: Value,
        more: &[(&str, &str)],
    ) -> Seen {
        let mut browser = browser.at(&self.state).with("accept", "application/json");
        for (name, value) in more {
            browser = browser.with(name, value);
        }
        if !body.is_null() {
            browser = browser.with("content-type", "application/json");
        }
        let bytes = (!body.is_null()).then(|| body.to_string().into_bytes());
        browser.send(method, &format!("/sso/admin/{path}"), bytes, &mut |call| self.respond(call))
    }

    fn document(&self, browser: &Browser) -> Value {
        let seen = self.call(browser, "GET", "settings", Value::Null);
        assert_eq!(seen.status(), 200, "{}", seen.text());
        seen.json()
    }

    /// A test sign-in as the person whom the provider says.
    fn tested(&self, browser: &Browser, name: &str, idp: &str) -> Value {
        *self.email.borrow_mut() = format!("{name}@acme.com");
        let mut browser = browser.at(&self.state).with("accept", "application/json");
        let start = self.get(&mut browser, &format!("/sso/admin/settings/test?idp={idp}"));
        let done = self.follow(&mut browser, &start);
        assert_eq!(done.status(), 200, "{}", done.text());
        done.json()
    }
}

fn corp(change: impl FnOnce(&mut Value)) -> Value {
    let mut providers = configuration(|_| ())["accounts"][0]["identity_providers"].clone();
    providers[0]["oauth2"]["client_secret"] = json!({ "set": true });
    change(&mut providers[0]);
    json!({ "identity_providers": providers })
}
