//! Users as the filter knows them: what a session keeps, what a recheck grants, what is left of a name.

use super::provisioning::provisioned;
use super::*;
use crate::directory::record::short;
use crate::identity::roles::{self, Granted};

fn made_for_the_session(email: Option<&str>) -> User {
    let mut user =
        User::without_record("ada@acme.com".into(), UserSource::Session, Vec::new(), Granted::default());
    user.email = email.map(str::to_owned);
    user
}

#[test]
fn a_user_made_for_a_session_stays_while_provisioning_would_make_it_again() {
    let after = |mode, users: Vec<StaticUser>, email: Option<&str>| {
        let account = provisioned(mode, Directory::Static(users));
        rechecked(account, made_for_the_session(email), Vec::new()).unwrap().map(|user| user.roles)
    };
    let roles = |name: &str| Some(vec![name.to_owned()]);
    use ProvisioningMode::{Automatic, Invited, Off};
    assert_eq!(after(Automatic, vec![], Some("ada@acme.com")), roles("member"));
    assert_eq!(after(Automatic, vec![], Some("ada@evil.com")), None);
    assert_eq!(after(Automatic, vec![], None), None);
    assert_eq!(after(Invited, vec![], Some("ada@acme.com")), roles("organization_admin"));
    assert_eq!(after(Invited, vec![], Some("eve@acme.com")), None);
    assert_eq!(after(Off, vec![], Some("ada@acme.com")), None);
    // The list has a user of that name now, in another spelling.
    assert_eq!(after(Automatic, vec![user("ADA@acme.com", None, true)], Some("ada@acme.com")), None);
}

#[test]
fn a_record_without_a_username_is_found_by_no_username() {
    let nameless = Record { emails: vec!["ada@acme.com".into()], ..Record::default() };
    assert!(nameless.values(Attribute::Username).is_empty());
    assert_eq!(nameless.values(Attribute::Email), ["ada@acme.com"]);
    let named = Record { username: "ada".into(), ..Record::default() };
    assert_eq!(named.values(Attribute::Username), ["ada"]);
}

#[test]
fn only_a_record_makes_a_user_known() {
    let known = User::of(&Record::default(), &mapping(), Granted::default());
    assert!(known.is_known());
    for origin in [UserSource::Session, UserSource::Identity, UserSource::Application] {
        assert!(!User::without_record("ada".into(), origin, Vec::new(), Granted::default()).is_known());
    }
}

#[test]
fn roles_that_are_missing_because_the_directory_was_away_are_told_so() {
    let why = |origin, directory| {
        let user = User::without_record("ada".into(), origin, Vec::new(), Granted::default());
        user.without_roles_because(&account(directory))
    };
    assert!(why(UserSource::Application, scim()).contains("the directory could not be asked"));
    assert_eq!(why(UserSource::Application, Directory::None), "");
    assert_eq!(why(UserSource::Directory, scim()), "");
}

/// A mapping whose groups grant roles, and what an identity in these groups brings.
fn granted(groups: &[&str]) -> (Mapping, Granted) {
    let mut mapping = mapping();
    mapping.roles_claim = vec!["groups".into()];
    mapping.role_map = BTreeMap::from([
        ("admins".to_owned(), "owner".to_owned()),
        ("staff".to_owned(), "reader".to_owned()),
    ]);
    let granted = roles::from_claims(&mapping, &example(json!({ "groups": groups })).claims);
    (mapping, granted)
}

#[test]
fn new_roles_of_the_directory_stand_beside_those_of_the_identity() {
    let (_, owner) = granted(&["admins"]);
    let user =
        User::without_record("ada".into(), UserSource::Identity, vec!["old".into()], Granted::default());
    let fresh = user.with_roles(vec!["member".into()], owner.clone());
    assert_eq!((fresh.roles, fresh.claim_roles), (vec!["member".to_owned(), "owner".into()], owner.roles));
    assert_eq!(fresh.groups, owner.groups);
}

#[test]
fn new_groups_replace_what_the_old_ones_granted_and_leave_the_directorys() {
    let (mapping, owner) = granted(&["admins"]);
    let user = User::without_record("ada".into(), UserSource::Identity, vec!["member".into()], owner);
    assert_eq!(user.roles, ["member", "owner"]);
    let fresh = user.with_claims(&mapping, &example(json!({"groups": ["staff"]})).claims);
    assert_eq!(fresh.roles, ["member", "reader"]);
    assert_eq!(fresh.claim_roles, ["reader"]);
    assert_eq!(fresh.with_claims(&mapping, &example(json!({})).claims).roles, ["member"]);
}

#[test]
fn a_session_without_groups_keeps_what_the_map_still_grants() {
    let (mapping, owner) = granted(&["admins"]);
    let mut user = User::without_record("ada".into(), UserSource::Identity, Vec::new(), owner);
    assert_eq!(user.granted(&mapping).roles, ["owner"]);
    // As an older release sealed it.
    user.groups.clear();
    user.claim_roles = vec!["owner".into(), "gone".into()];
    assert_eq!(user.granted(&mapping).roles, ["owner"]);
}

#[test]
fn a_name_is_cut_between_characters() {
    assert_eq!(short(&"a".repeat(128)), "a".repeat(128));
    assert_eq!(short(&"a".repeat(129)), "a".repeat(128));
    assert_eq!(short(&"é".repeat(65)), "é".repeat(64));
    // Byte 128 is inside a character of three.
    assert_eq!(short(&"日".repeat(43)), "日".repeat(42));
}
