//! Sessions that the configuration ends.

use super::*;

#[test]
fn a_cut_ends_the_sessions_of_an_account_or_of_a_user_opened_before() {
    let host = TestHost::new();
    let (first, bob) = (filter_state(&host, &configuration()), Who { subject: "bob", sid: None, ..ADA });
    let [ada, bob] = [ADA, bob].map(|who| signed_in(&first, "acme", "corp", who).cookies);
    host.advance(1000);
    let later = signed_in(&first, "acme", "corp", ADA).cookies;
    let other = signed_in(&first, "other", "corp", ADA).cookies;
    // START is 2027-01-15T08:00:00Z.
    for (change, expected) in [
        (json!({}), [true, true, true, true]),
        (json!({ "not_before": "2027-01-15T08:00:00Z" }), [true, true, true, true]),
        (json!({ "not_before": "2027-01-15T08:00:01Z" }), [false, false, true, true]),
        (json!({ "not_before": "2027-01-15T09:00:01+01:00" }), [false, false, true, true]),
        (json!({ "not_before": "2027-01-15T08:00:02Z" }), [false, false, false, true]),
        (
            json!({ "not_before_users": { "ada@acme.com": "2027-01-15T08:00:01Z" } }),
            [false, true, true, true],
        ),
        (
            json!({ "not_before_users": { "ada@acme.com": "2027-01-15T08:00:02Z" } }),
            [false, true, false, true],
        ),
        (json!({ "not_before_users": { "nobody": "2027-01-15T08:00:02Z" } }), [true, true, true, true]),
    ] {
        let mut changed = configuration();
        let account = changed["accounts"][0].as_object_mut().unwrap();
        account.extend(change.as_object().unwrap().clone());
        let updated = filter_state(&host, &changed);
        let is_in = |code: &str, cookies: &[(String, String)]| {
            let mut browser = Browser::new(&updated, &format!("{code}.example"));
            browser.cookies = cookies.to_vec();
            is_in(&mut browser)
        };
        let seen = [is_in("acme", &ada), is_in("acme", &bob), is_in("acme", &later), is_in("other", &other)];
        assert_eq!(seen, expected, "{change}");
    }
}
