//! What administrators had set before the operator changed the file, or the keys.

use super::*;
use crate::state::Settled;

const OTHER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A version whose provider is at `new.idp.example`, tested and enabled.
fn enabled(world: &World) -> Browser {
    let ada = world.signed_in("ada");
    let moved = corp(|provider| {
        for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint"] {
            provider["oauth2"][name] = json!(format!("https://new.idp.example/{name}"));
        }
        provider["oauth2"]["client_secret"] = json!({ "value": "another" });
    });
    assert_eq!(world.call(&ada, "PUT", "settings/draft", moved).status(), 200);
    assert_eq!(world.tested(&ada, "ada", "corp")["ok"], true);
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({})).status(), 200);
    ada
}

#[test]
fn a_provider_that_is_outside_the_fence_now_is_left_out() {
    let mut world = World::new();
    let ada = enabled(&world);
    world.settled();
    assert_eq!(world.state.account_states[0].account.providers.len(), 1, "the twin");
    let mut world =
        world.updated(|file| file["accounts"][0]["self_service"]["hosts"] = json!(["corp.idp.example"]));
    let account = &world.state.account_states[0].account;
    assert!(account.enabled && account.providers.is_empty());
    let logs: String = world.host.logs().iter().map(|(_, line)| line.clone()).collect();
    assert!(logs.contains("new.idp.example:443 is not one of self_service.hosts"), "{logs}");
    assert_eq!(world.get(&mut world.browser(), "/sso/login?idp=corp").status(), 400);
    // The history does not lead back to it either.
    assert_eq!(
        world.get(&mut ada.at(&world.state), "/x").code(),
        "login_required",
        "sessions of it have ended"
    );
    world = world.updated(|_| ());
    let ada = world.signed_in("ada");
    assert_eq!(
        world.call(&ada, "POST", "settings/rollback", json!({ "version": 0, "confirm": true })).status(),
        200
    );
    world.settled();
    let again = world.signed_in("ada");
    let world =
        world.updated(|file| file["accounts"][0]["self_service"]["hosts"] = json!(["corp.idp.example"]));
    let back = world.call(&again, "POST", "settings/rollback", json!({ "version": 1, "confirm": true }));
    assert_eq!((back.status(), back.code()), (422, "settings_invalid"), "{}", back.text());
    let world = world.updated(|_| ());
    let back = world.call(&again, "POST", "settings/rollback", json!({ "version": 1, "confirm": true }));
    assert_eq!(back.status(), 200, "the twin");
}

#[test]
fn what_administrators_may_no_longer_set_is_the_files() {
    let mut world = World::new();
    let ada = world.signed_in("ada");
    let draft = json!({ "sso": "disabled", "mapping": { "from": "userinfo", "claim": "mail", "attribute": "email" } });
    assert_eq!(world.call(&ada, "PUT", "settings/draft", draft).status(), 200);
    assert_eq!(world.call(&ada, "POST", "settings/enable", json!({})).status(), 200);
    world.settled();
    assert!(!world.state.account_states[0].account.enabled, "the twin");
    let world = world
        .updated(|file| file["accounts"][0]["self_service"]["settings"] = json!(["mapping", "invitations"]));
    let account = &world.state.account_states[0].account;
    assert!(account.enabled);
    assert_eq!(account.mapping.claim, "mail", "this is still theirs");
    let shown = world.document(&ada)["active"]["settings"].clone();
    assert_eq!((&shown["sso"], &shown["mapping"]["claim"]), (&Value::Null, &json!("mail")), "{shown}");
}

#[test]
fn settings_that_no_key_opens_keep_the_account_closed() {
    let world = World::new();
    enabled(&world);
    let closed = world.joined(|file| file["session"]["keys"] = json!([{ "id": "k2", "value": OTHER_KEY }]));
    assert_eq!(closed.state.account_states[0].settled, Settled::Waiting);
    let seen = closed.get(&mut closed.browser(), "/x");
    assert_eq!((seen.status(), seen.code()), (503, "not_ready"));
    let logs: String = closed.host.logs().iter().map(|(_, line)| line.clone()).collect();
    assert!(logs.contains("none of session.keys opens what the engine has"), "{logs}");
    // Nor does what was cut off.
    let whole = world.engine.borrow().values.clone();
    for kv in &mut world.engine.borrow_mut().values {
        kv.value.truncate(40);
    }
    assert_eq!(world.joined(|_| ()).state.account_states[0].settled, Settled::Waiting);
    world.engine.borrow_mut().values = whole;
    let open = world.joined(|file| {
        file["session"]["keys"] = json!([{ "id": "k2", "value": OTHER_KEY }, { "id": "k1", "value": KEY }]);
    });
    assert!(matches!(open.state.account_states[0].settled, Settled::Document(_)), "the twin");
    // A file whose settings were never changed holds.
    let new = World::new();
    assert_eq!(new.joined(|_| ()).state.account_states[0].settled, Settled::File);
}

#[test]
fn a_new_key_seals_what_was_set_before_it() {
    let world = World::new();
    enabled(&world);
    let keys = |ids: &'static [&'static str]| {
        move |file: &mut Value| {
            let key = |id: &&str| json!({ "id": id, "value": if *id == "k1" { KEY } else { OTHER_KEY } });
            file["session"]["keys"] = ids.iter().map(key).collect();
        }
    };
    let reseal = |world: &World| {
        let (io, replicas) = (world.host.io(), world.replicas().clone());
        assert!(replicas.is_to_reseal(&*world.host) && !replicas.is_to_reseal(&*world.host), "once");
        let inner = io.clone();
        let future =
            async move { replicas.reseal_documents(&inner).await.map_err(crate::fault::Fault::from) };
        crate::testing::drive_with(&io, future, |call| world.respond(call)).0.unwrap();
    };
    let revision = |world: &World| {
        let engine = world.engine.borrow();
        let own = engine.values.iter().find(|kv| kv.key.ends_with(b"/settings"));
        own.map(|kv| kv.mod_revision)
    };
    let before = revision(&world);
    // The new key is known everywhere, and signs nothing yet.
    let appended = world.joined(keys(&["k1", "k2"]));
    reseal(&appended);
    assert_eq!(revision(&world), before, "nothing to do");
    let first = world.joined(keys(&["k2", "k1"]));
    reseal(&first);
    assert!(revision(&world) > before);
    assert_eq!(world.joined(keys(&["k1"])).state.account_states[0].settled, Settled::Waiting);
    let rotated = world.joined(keys(&["k2"]));
    assert!(matches!(rotated.state.account_states[0].settled, Settled::Document(_)));
    assert!(format!("{:?}", rotated.state.account_states[0].account.providers[0].protocol)
        .contains("new.idp.example"));
}
