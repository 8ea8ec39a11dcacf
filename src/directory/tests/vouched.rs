//! A recheck of a session that the application alone vouched for: the login had no record, so that only a record which is
//! certainly the user's brings roles.

use super::*;

/// What becomes of the session of this name: `None` if it ends, else where the user comes from and the roles.
fn after(
    attributes: &[Attribute],
    administrators: &[&str],
    mode: PasswordMode,
    users: &[(&str, bool)],
    name: &str,
) -> Option<(UserSource, Vec<String>)> {
    let outcome = |directory: Directory, replies: Vec<Reply>| {
        let mut account = account(directory);
        account.password.mode = mode;
        account.password.administrators = administrators.iter().map(|name| (*name).to_owned()).collect();
        account.password.logins = attributes
            .iter()
            .map(|attribute| {
                let login = PasswordLogin::plain("/login", UsernameField::Form("name".into()));
                Rc::new(PasswordLogin { attribute: *attribute, ..login })
            })
            .collect();
        let user =
            User::without_record(name.to_owned(), UserSource::Application, Vec::new(), Default::default());
        rechecked(account, user, replies).unwrap().map(|user| (user.origin, user.roles))
    };
    let record = |(name, active): &(&str, bool)| StaticUser {
        roles: vec!["account_admin".into()],
        ..user(name, None, *active)
    };
    let by_list = outcome(Directory::Static(users.iter().map(record).collect()), Vec::new());
    let resource = |(name, active): &(&str, bool)| json!({ "id": name, "userName": name, "active": active, "roles": ["account_admin"] });
    let by_scim = outcome(scim(), vec![list(&users.iter().map(resource).collect::<Vec<_>>())]);
    assert_eq!(by_list, by_scim, "{attributes:?} {mode:?} {users:?} {name}");
    by_list
}

#[test]
fn only_a_record_that_is_certainly_the_users_brings_roles() {
    use Attribute::{Email, Phone, Username};
    use PasswordMode::{Admins, Enabled};
    let roles = Some((UserSource::Directory, vec!["account_admin".to_owned()]));
    let none = Some((UserSource::Application, Vec::new()));
    let (one, two, other) = (&[("ada", true)][..], &[("ada", true), ("ADA", true)][..], &[("Ada", true)][..]);
    for (attributes, administrators, mode, users, wanted) in [
        (&[Username][..], &[][..], Enabled, one, &roles),
        // The application may have signed the other one in.
        (&[Username][..], &[][..], Enabled, two, &none),
        (&[Username][..], &[][..], Enabled, other, &none),
        (&[Username][..], &[][..], Enabled, &[], &none),
        (&[Username][..], &[][..], Enabled, &[("ada", true), ("ADA", false)][..], &None),
        // What was typed is an address or a number, and the record's username another user's.
        (&[Email][..], &[][..], Enabled, one, &none),
        (&[Phone][..], &[][..], Enabled, one, &none),
        (&[Username, Email][..], &[][..], Enabled, one, &none),
        (&[Email][..], &[][..], Enabled, &[("ada", false)][..], &None),
        (&[][..], &[][..], Enabled, one, &none),
        // An administrator's username counts whatever the field.
        (&[Email][..], &["ada"][..], Enabled, one, &roles),
        (&[Email][..], &["ada"][..], Admins, one, &roles),
        (&[Username][..], &["ada"][..], Admins, two, &None),
        (&[Username][..], &["ada"][..], Admins, &[], &none),
        (&[Username][..], &[][..], Enabled, &[("ada", false)][..], &None),
    ] {
        assert_eq!(
            after(attributes, administrators, mode, users, "ada"),
            *wanted,
            "{attributes:?} {mode:?} {users:?}"
        );
    }
}
