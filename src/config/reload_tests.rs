use serde_json::{json, Value};

use super::*;
use crate::config::{load, Placeholders};

fn account(n: usize) -> Value {
    json!({
        "code": format!("a{n}"), "origins": [format!("https://a{n}.example.com")], "sso": "enabled",
        "identity_providers": [{"id": "corp", "title": "\"[{,", "oidc": {
            "discovery": "https://idp.example.com/.well-known/openid-configuration", "client_id": "c",
        }}],
        "mapping": {"claim": "email"},
    })
}

fn document(accounts: Vec<Value>) -> Value {
    json!({ "session": {"keys": [{"id": "k", "value": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]}, "clusters": {"*": "all"}, "accounts": accounts })
}

fn accounts(count: usize) -> Vec<Value> {
    (0..count).map(account).collect()
}

/// Loads it both ways, which agree; how many accounts were taken over from before.
fn loaded(known: &Loaded, before: Option<&Config>, text: &str) -> (Option<Config>, usize) {
    let again = known.load(text.as_bytes().to_vec(), &Placeholders);
    let anew = load(text.as_bytes(), &Placeholders);
    // The order of a HashMap is another in each.
    let show = |found: &Result<Config, Vec<Problem>>| match found {
        Ok(config) => {
            let of = |account: &Rc<Account>| {
                (account.code.clone(), account.origins.len(), account.providers.len())
            };
            Ok((config.accounts.iter().map(of).collect::<Vec<_>>(), config.warnings.clone()))
        }
        Err(problems) => Err(problems.clone()),
    };
    assert_eq!(show(&again), show(&anew), "{text}");
    let Ok(config) = again else { return (None, 0) };
    let old = before.map(|before| before.accounts.as_slice()).unwrap_or_default();
    let is_old = |account: &&Rc<Account>| old.iter().any(|old| Rc::ptr_eq(old, account));
    let taken = config.accounts.iter().filter(is_old).count();
    (Some(config), taken)
}

#[test]
fn accounts_that_did_not_change_are_taken_over() {
    let known = Loaded::default();
    let (first, _) = loaded(&known, None, &document(accounts(10)).to_string());
    let mut changed = accounts(10);
    changed[3]["mapping"]["claim"] = "upn".into();
    let (second, taken) = loaded(&known, first.as_ref(), &document(changed.clone()).to_string());
    assert_eq!((taken, second.as_ref().unwrap().accounts[3].mapping.claim.as_str()), (9, "upn"));
    // One goes, one comes.
    changed.remove(0);
    changed.insert(4, account(77));
    let (third, taken) = loaded(&known, second.as_ref(), &document(changed).to_string());
    assert_eq!((taken, third.unwrap().accounts.len()), (9, 10));
}

#[test]
fn what_is_wrong_is_found_as_in_a_load_of_the_whole() {
    let known = Loaded::default();
    let text = document(accounts(6)).to_string();
    let (first, _) = loaded(&known, None, &text);
    let with = |n: usize, name: &str, value: Value| {
        let mut list = accounts(6);
        list[n][name] = value;
        document(list).to_string()
    };
    for other in [
        with(2, "sso", "on".into()),
        with(2, "nonsense", 1.into()),
        with(2, "code", "a1".into()),
        with(2, "origins", json!(["https://a1.example.com"])),
        with(4, "forward", json!({"access_token": "x y"})),
        with(2, "directory", json!({"scim": {"url": "https://idp.example.com/scim"}})),
        with(2, "origins", json!(["http://a2.example.com"])),
        text.replacen("\"a3\"", "\"a3\", \"code\": \"a3\"", 1),
        text.replacen("}]}", "}], \"accounts\": []}", 1),
        text.replacen("{\"code\":\"a5\"", "{\"code\":\"a5\"]", 1),
        text.replacen("},{", "}{", 1),
        text.replacen("},{", "},,{", 1),
        text.replacen("\"accounts\":[", "\"accounts\":[,", 1),
        text.replacen("}],\"clusters\"", "},],\"clusters\"", 1),
        text.replacen("},{\"code\"", "}\u{c},{\"code\"", 1),
        text.replacen("},{\"code\"", "},\u{c}{\"code\"", 1),
        text.replacen("},{\"code\"", "} \n ,\t\r{\"code\"", 1),
        text.clone() + "x",
        text.replacen("https://", "https:\\/\\/", 1),
        text.replacen("accounts", "\\u0061ccounts", 1),
        text.replacen("\"*\":\"all\"", "\"x.example\":\"all\"", 1),
    ] {
        assert_ne!(text, other);
        loaded(&known, first.as_ref(), &other);
    }
    let (last, _) = loaded(&known, None, &text);
    assert_eq!(loaded(&known, last.as_ref(), &with(1, "sso", "disabled".into())).1, 5);
}

#[test]
fn what_was_warned_of_is_warned_of_again() {
    let known = Loaded::default();
    let mut list = accounts(6);
    list[2]["origins"] = json!(["http://a2.example.com"]);
    let (first, _) = loaded(&known, None, &document(list.clone()).to_string());
    list[4]["mapping"]["claim"] = "upn".into();
    let (second, taken) = loaded(&known, first.as_ref(), &document(list).to_string());
    let warnings = second.unwrap().warnings;
    assert_eq!((taken, warnings.len()), (4, 1), "{warnings:?}");
    assert!(warnings[0].path.starts_with("accounts[2]."), "{warnings:?}");
}

#[test]
fn an_account_without_a_code_is_refused_once_it_has_a_second_one_beside_it() {
    let known = Loaded::default();
    let mut alone = account(0);
    alone.as_object_mut().unwrap().remove("code");
    let (first, _) = loaded(&known, None, &document(vec![alone.clone()]).to_string());
    assert!(first.is_some());
    let both = document(vec![alone, account(1)]).to_string();
    assert!(loaded(&known, first.as_ref(), &both).0.is_none());
}

#[test]
fn a_warning_that_stands_for_several_accounts_outlives_the_first_of_them() {
    let known = Loaded::default();
    let mut list = accounts(6);
    for n in [0, 3] {
        list[n]["identity_providers"][0]["oidc"]["discovery"] = "https://other.example.com/d".into();
    }
    let text = |accounts: &[Value]| {
        let mut document = document(accounts.to_vec());
        document["clusters"] = json!({"idp.example.com": "idp"});
        document.to_string()
    };
    let (first, _) = loaded(&known, None, &text(&list));
    list[4]["mapping"]["claim"] = "upn".into();
    let (second, taken) = loaded(&known, first.as_ref(), &text(&list));
    assert_eq!((taken, second.as_ref().unwrap().warnings.len()), (3, 1));
    list.remove(0);
    let (third, _) = loaded(&known, second.as_ref(), &text(&list));
    let warnings = third.unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].path.starts_with("accounts[2]."), "{warnings:?}");
}

#[test]
fn everything_is_read_anew_after_a_change_outside_of_the_accounts() {
    let known = Loaded::default();
    let (first, _) = loaded(&known, None, &document(accounts(4)).to_string());
    let mut other = document(accounts(4));
    other["cookies"] = json!({"name": "other"});
    assert_eq!(loaded(&known, first.as_ref(), &other.to_string()).1, 0);
    let mut scim = accounts(4);
    scim[0]["directory"] = json!({"scim": {"url": "https://directory.example.com/scim"}});
    assert_eq!(loaded(&known, first.as_ref(), &document(scim).to_string()).1, 0);
}

#[test]
fn what_no_configuration_has_any_more_is_forgotten() {
    let known = Loaded::default();
    drop(loaded(&known, None, &document(accounts(4)).to_string()));
    drop(loaded(&known, None, &document(accounts(1)).to_string()));
    let all = known.0.borrow();
    assert_eq!(all.iter().map(|known| known.accounts.len()).collect::<Vec<_>>(), [1]);
}

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn is_rare(&mut self) -> bool {
        self.below(5) == 0
    }
}

/// One of few accounts that may share origins, a login origin, callbacks and prefixes.
fn neighbour(n: usize, numbers: &mut Numbers) -> Value {
    let mut one = account(n);
    let host = |n: usize| format!("https://h{n}.example.com");
    if numbers.is_rare() {
        one["origins"] = json!([host(numbers.below(3))]);
    }
    if numbers.is_rare() {
        one["origins"] = json!([one["origins"][0], host(numbers.below(3))]);
    }
    if numbers.is_rare() {
        one["origins"] = json!([one["origins"][0], format!("https://*.p{}.example.com", numbers.below(3))]);
    }
    if numbers.below(2) == 0 {
        let own =
            ["https://login.example.com".into(), host(numbers.below(3)), format!("https://a{n}.example.com")];
        one["login_origin"] = own[numbers.below(3)].clone().into();
    }
    if numbers.is_rare() {
        let callbacks =
            ["/back", "/sso/login", "/back?u={code}", "/back?u=a1", "/sso/admin/x", "/back?x=1&u={code}"];
        one["paths"] = json!({"oidc_callback": callbacks[numbers.below(callbacks.len())]});
    }
    if numbers.is_rare() {
        one["sso"] = "disabled".into();
    }
    if numbers.below(12) == 0 {
        one["forward"] = json!({"prefix": "x-other-"});
    }
    if numbers.below(12) == 0 {
        one["code"] = "a1".into();
    }
    if numbers.below(12) == 0 {
        one["directory"] = json!({"scim": {"url": "https://directory.example.com/scim"}});
    }
    one
}

#[test]
fn accounts_beside_each_other_are_ruled_on_as_in_a_load_of_the_whole() {
    let mut numbers = Numbers(7);
    let (mut taken_over, mut refused) = (0, 0);
    for _ in 0..60 {
        let known = Loaded::default();
        let mut list = accounts(7);
        let mut before = loaded(&known, None, &document(list.clone()).to_string()).0;
        for _ in 0..25 {
            let mut changed = list.clone();
            for _ in 0..=numbers.below(2) {
                let at = numbers.below(7);
                changed[at] = neighbour(at, &mut numbers);
            }
            let (config, taken) = loaded(&known, before.as_ref(), &document(changed.clone()).to_string());
            taken_over += taken;
            match config {
                Some(config) => (before, list) = (Some(config), changed),
                None => refused += 1,
            }
        }
    }
    assert!(taken_over > 1_000 && refused > 200, "{taken_over} taken over, {refused} refused");
}
