//! Users that a login creates.
use super::*;

pub(crate) fn provisioned(mode: ProvisioningMode, directory: Directory) -> Account {
    let mut account = account(directory);
    account.provisioning = Provisioning {
        mode,
        email_domains: vec!["acme.com".into()],
        roles: vec!["member".into()],
        invitations: vec![Invitation {
            email: "Ada@Acme.com".into(),
            roles: vec!["organization_admin".into()],
            id: None,
        }],
    };
    account
}

#[test]
fn automatic_accounts_need_a_domain_and_invited_ones_an_invitation() {
    let nobody = || Directory::Static(vec![]);
    for (mode, claims, outcome) in [
        (ProvisioningMode::Off, json!({"email": "ada@acme.com"}), Err(Code::IdentityUnknown)),
        (ProvisioningMode::Automatic, json!({"email": "bob@ACME.com"}), Ok("bob@acme.com".to_owned())),
        (
            ProvisioningMode::Automatic,
            json!({"email": "bob@acme.com.evil.example"}),
            Err(Code::IdentityUnknown),
        ),
        (ProvisioningMode::Automatic, json!({"email": "bob@sub.acme.com"}), Err(Code::IdentityUnknown)),
        (
            ProvisioningMode::Automatic,
            json!({"email": "bob@acme.com", "email_verified": false}),
            Err(Code::EmailUnverified),
        ),
        (ProvisioningMode::Invited, json!({"email": "ada@acme.com"}), Ok("invited ada@acme.com".into())),
        (ProvisioningMode::Invited, json!({"email": "bob@acme.com"}), Err(Code::IdentityUnknown)),
    ] {
        let (result, ..) =
            resolved(provisioned(mode, nobody()), example(claims.clone()), |_| panic!("no call"));
        assert_eq!(name(result), outcome, "{mode:?} {claims}");
    }
}

#[test]
fn a_new_user_never_takes_an_existing_name() {
    let mut account =
        provisioned(ProvisioningMode::Automatic, Directory::Static(vec![user("Bob@acme.com", None, true)]));
    account.mapping.attribute = Attribute::Phone;
    account.mapping.claim = "phone_number".into();
    let identity = example(json!({"phone_number": "+8613800000000", "email": "bob@acme.com"}));
    assert_eq!(name(resolved(account, identity, |_| panic!("no call")).0), Err(Code::IdentityConflict));
}

/// A SCIM server with a memory.
pub(crate) fn server(users: Rc<RefCell<Vec<Value>>>, enforces: bool) -> impl FnMut(&Call) -> Reply {
    move |call| {
        let (method, _) = path(call);
        if method == "GET" {
            return list(&users.borrow());
        }
        let mut new: Value = serde_json::from_slice(call.body.as_ref().unwrap()).unwrap();
        let taken = users.borrow().iter().any(|u| u["userName"] == new["userName"]);
        if taken && enforces {
            return testing::status(409, "application/json", "{}");
        }
        new["id"] = json!(format!("id-{}", users.borrow().len()));
        users.borrow_mut().push(new.clone());
        testing::status(201, "application/scim+json", new.to_string())
    }
}

#[test]
fn a_user_is_created_with_its_link_and_roles() {
    let users = Rc::new(RefCell::new(vec![]));
    let (result, ..) =
        resolved(provisioned(ProvisioningMode::Automatic, scim()), ada(), server(users.clone(), true));
    let Ok(Resolution::User(user)) = result else { panic!("{result:?}") };
    assert_eq!(
        (user.username.as_str(), user.directory_id.as_deref(), user.roles),
        ("ada@acme.com", Some("id-0"), vec!["member".to_owned()])
    );
    assert_eq!(users.borrow()[0]["externalId"], "https://idp.example.com|sub-1");
}

#[test]
fn logins_that_race_create_one_user() {
    use crate::host::task::{Step, Task};
    // Two workers, every order of their first ten steps, a directory that does and one that does not enforce names.
    for order in 0..1u32 << 10 {
        for enforces in [true, false] {
            let users = Rc::new(RefCell::new(vec![]));
            let mut server = server(users.clone(), enforces);
            let host = TestHost::new();
            let mut flows: Vec<_> = [host.clone(), host.worker()]
                .iter()
                .map(|host| {
                    let io = host.io();
                    let inner = io.clone();
                    let account = provisioned(ProvisioningMode::Automatic, scim());
                    let mut task =
                        Task::new(io, async move { resolve(&inner, &account, &Cache::new(), &ada()).await });
                    let step = task.start();
                    (task, Some(step))
                })
                .collect();
            for turn in 0..200 {
                let at = if turn < 10 { (order >> turn & 1) as usize } else { turn % 2 };
                let (task, step) = &mut flows[at];
                *step = match step.take() {
                    Some(Step::Call(call)) => Some(task.resume(server(&call))),
                    done => done,
                };
            }
            for (_, step) in flows {
                match step {
                    Some(Step::Done(Ok(Resolution::User(user)))) => assert_eq!(user.username, "ada@acme.com"),
                    // Waiting has an end; what matters is that nobody is created twice.
                    Some(Step::Done(Err(fault))) => assert_eq!(fault.code, Code::DirectoryUnavailable),
                    _ => panic!("not done"),
                }
            }
            assert_eq!(users.borrow().len(), 1, "order {order:b}, enforces {enforces}");
        }
    }
}
