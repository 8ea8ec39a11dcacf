//! Every page with any text in it; the tests stand in the files below.

mod guarded;
mod html;
mod offered;
mod refusals;

use std::collections::BTreeMap;

use super::look::Look;
use super::*;
use crate::fault::{Code, Fault};
use crate::http::response::Response;

fn body(answer: &Response) -> &str {
    std::str::from_utf8(&answer.body).expect("UTF-8")
}

/// The pages' settings, with `x` wherever text is free.
fn settings(x: &str) -> Look {
    Look {
        name: Some(x.to_owned()),
        logo: Some("/logo.svg".into()),
        accent: Some("#0b7a75".into()),
        contact: Some(x.to_owned()),
        language: None,
        texts: BTreeMap::from([("action.try_again".to_owned(), x.to_owned())]),
        translations: BTreeMap::new(),
    }
}

fn button(title: &str, icon: Option<&str>) -> Button {
    Button { title: title.to_owned(), url: "/a".into(), icon: icon.map(str::to_owned) }
}

/// Every page, with `x` in every slot for text and `url` in every slot for a URL.
fn every_page(pages: &Look, x: &str, url: &str) -> Vec<(&'static str, Response)> {
    let s = || x.to_owned();
    let fields = || vec![(s(), s())];
    let context = Context {
        login: Some(url.into()),
        continue_to: Some(url.into()),
        password_page: Some(url.into()),
        ..Context::new(pages, x, true)
    };
    let offer = SignIn {
        for_admins: false,
        providers: vec![
            Button { title: s(), url: url.into(), icon: Some(url.into()) },
            Button { title: s(), url: url.into(), icon: None },
        ],
        password_page: Some(url.into()),
        email_form: true,
        account_form: true,
        action: url.into(),
        fields: fields(),
        email: Some(s()),
        message: Some(s()),
        form_targets: vec![url.into()],
    };
    let logout = ConfirmLogout {
        action: url.into(),
        csrf: s(),
        fields: fields(),
        user: Some(s()),
        form_targets: vec![url.into()],
    };
    let invited = Invitation {
        form_targets: vec![url.into()],
        action: url.into(),
        csrf: s(),
        fields: fields(),
        user: s(),
        organization: Some(s()),
        roles: vec![s(), s()],
    };
    let overview = Admin {
        pages: vec![(x.to_owned(), url.to_owned())],
        account: s(),
        readiness: Some(Readiness {
            ready: false,
            reasons: vec![s()],
            never_signed_in: vec![s()],
            never_signed_in_total: 2,
            administrators_signed_in: vec![s()],
            administrators_signed_in_total: 1,
        }),
        completeness: Some(Completeness {
            users: 10,
            complete: 7,
            problems: vec![Incomplete { username: s(), problem: s(), value: Some(s()), with: vec![s()] }],
            before: 0,
            listed: 2,
            total: 3,
            previous: Some(url.into()),
            next: Some(url.into()),
        }),
        checks: Some(vec![
            Check { name: s(), ok: true, detail: s() },
            Check { name: s(), ok: false, detail: s() },
        ]),
        redirect_uris: vec![(s(), s())],
        links: vec![(s(), url.into())],
        progress: Some(s()),
    };
    let form =
        AutoSubmit { action: "https://idp.example/post".into(), fields: fields(), ..AutoSubmit::default() };
    vec![
        ("refusal", refusal(&Fault::new(Code::IdentityMissing, "DETAIL").about(x), &context)),
        ("sign_in", sign_in(&context, &offer)),
        ("confirm_logout", confirm_logout(&context, &logout)),
        ("signed_out", signed_out(&context)),
        ("invitation", invitation(&context, &invited)),
        ("admin", admin(&context, &overview)),
        ("auto_submit", auto_submit(&context, &form).unwrap()),
        ("still_signed_in", still_signed_in(&context, url)),
        ("looked_ahead", looked_ahead(&context)),
        ("front_channel_done", front_channel_done(&["https://idp.example/logout".into()])),
    ]
}
