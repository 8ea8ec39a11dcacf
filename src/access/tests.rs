//! Which rule a path falls under, in every spelling.

use super::*;

fn rules() -> Vec<AccessRule> {
    let users = |roles: &[&str]| Admission::Users {
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        acr_values: Vec::new(),
        max_age: None,
        resource: None,
        when: None,
    };
    vec![
        AccessRule {
            matches: Match::Path("/healthz".into()),
            methods: Vec::new(),
            admission: Admission::Anyone,
        },
        AccessRule {
            matches: Match::Prefix("/static/".into()),
            methods: Vec::new(),
            admission: Admission::Anyone,
        },
        AccessRule {
            matches: Match::Prefix("/api/sql/".into()),
            methods: Vec::new(),
            admission: Admission::Programs,
        },
        AccessRule {
            matches: Match::Path("/admin/public".into()),
            methods: Vec::new(),
            admission: users(&[]),
        },
        AccessRule {
            matches: Match::Prefix("/admin/".into()),
            methods: Vec::new(),
            admission: users(&["account_admin"]),
        },
    ]
}

/// How many roles-bearing demands there are; 90 and 91 for anyone and programs.
fn judged(path: &str) -> usize {
    match demand(&rules(), &Path::read(path.as_bytes()), path.as_bytes(), b"GET") {
        Demand::Anyone => 90,
        Demand::Programs => 91,
        Demand::Optional | Demand::OtherMethod(_) => 92,
        Demand::Users(list) => {
            list.iter().filter(|a| matches!(a, Admission::Users { roles, .. } if !roles.is_empty())).count()
        }
    }
}

#[test]
fn only_the_literal_normalised_path_opens_a_door() {
    for path in ["/healthz", "//healthz", "/x/../healthz", "/static/a.css", "/static/./a", "/%73tatic/a"] {
        assert_eq!(judged(path), 90, "{path}");
    }
    assert_eq!(judged("/api/sql/run"), 91);
    for path in [
        "/healthz/",
        "/healthz;x",
        "/HEALTHZ",
        "/healthz%00",
        "/healthz%2f",
        "/static",
        "/static/..%2fadmin2",
        "/static/..;/a",
        "/static/%2e%2e/a",
        "/static\\..\\a",
        "/static/%252e%252e/a",
        "/api/sql/%2e%2e%2fa",
        "/STATIC/a",
        "/static/../a",
    ] {
        assert_eq!(judged(path), 0, "{path}");
    }
}

#[test]
fn roles_hold_for_every_spelling_of_their_path() {
    for path in [
        "/admin/x",
        "/admin/",
        "/ADMIN/x",
        "/admin;v=1/x",
        "/admin%2fx",
        "/%61dmin/x",
        "//admin//x",
        "/admin./x",
        "/x/..;/admin/x",
        "/static/..%2fadmin/x",
        "/admin\\x",
        "/adm%2569n/x",
        "/static/..;/admin/x",
        "/Admin",
        "/admin",
        "/admin/public/",
        "/admin/PUBLIC/x",
        "/api/sql/..%2f..%2fadmin/x",
        "/x%2f..%2fadmin%2f%00%2f..%2f..",
        "/x%2f..%2fadmin%2fy%3f%2f..%2f..",
        "/admin%20.%20./x",
    ] {
        assert_eq!(judged(path), 1, "{path}");
    }
    // A parameter that holds a separator: gone with it, or not, by the order of reading.
    for slash in ["\\", "%2f", "%5c", "%252f", "%255c", "%25252F"] {
        for semicolon in [";", "%3b", "%253B"] {
            for path in [
                format!("/{semicolon}{slash}x/admin"),
                format!("/{semicolon}{slash}x/admin/y"),
                format!("/{semicolon}a=b{slash}x/Admin;v=1/y"),
                format!("/y/{semicolon}{slash}../../admin/x"),
                format!("/admin{semicolon}{slash}..{slash}..{slash}/x"),
            ] {
                assert_eq!(judged(&path), 1, "{path}");
            }
        }
    }
    // Names alone are no reading: nothing is taken away here.
    for path in ["/files/docs%2fadmin%2freport", "/x%20y/admin/z", "/files;v=1/admin"] {
        assert_eq!(judged(path), 0, "{path}");
    }
    for path in ["/admin/public", "/administrator", "/x/admin/y", "/"] {
        assert_eq!(judged(path), 0, "{path}");
    }
}

#[test]
fn a_slash_at_the_end_is_no_way_around_a_rule() {
    let users = |roles: &[&str]| Admission::Users {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        acr_values: Vec::new(),
        max_age: None,
        resource: None,
        when: None,
    };
    let rule = |matches: Match, admission: Admission| AccessRule { matches, methods: Vec::new(), admission };
    let (path, prefix) = (|own: &str| Match::Path(own.into()), |own: &str| Match::Prefix(own.into()));
    let with = |last: Admission| {
        vec![
            rule(path("/reports"), users(&["boss"])),
            rule(path("/sums/"), users(&["boss"])),
            rule(path("/open"), Admission::Anyone),
            rule(path("/open/"), users(&["boss"])),
            rule(prefix("/admin/"), users(&["boss"])),
            rule(prefix("/Mixed/"), users(&["boss"])),
            rule(prefix("/files/"), users(&[])),
            rule(path("/shop/Pictures"), Admission::Anyone),
            rule(prefix("/shop/assets/"), Admission::Anyone),
            rule(prefix("/shop/"), users(&["boss"])),
            rule(prefix("/"), last),
        ]
    };
    let demanded = |rules: &[AccessRule], exchange: &str| match demand(
        rules,
        &Path::read(exchange.as_bytes()),
        exchange.as_bytes(),
        b"GET",
    ) {
        Demand::Anyone => "anyone",
        Demand::Programs => "programs",
        Demand::Optional | Demand::OtherMethod(_) => "neither",
        Demand::Users(list) if list.contains(&&users(&["boss"])) => "boss",
        Demand::Users(_) => "users",
    };
    for (last, elsewhere) in
        [(Admission::Anyone, "anyone"), (Admission::Programs, "programs"), (users(&[]), "users")]
    {
        let rules = with(last);
        for (exchange, wanted) in [
            ("/reports", "boss"),
            ("/reports/", "boss"),
            ("/reports/.", "boss"),
            ("//reports//", "boss"),
            ("/sums/", "boss"),
            ("/sums", "boss"),
            ("/admin", "boss"),
            ("/admin/", "boss"),
            ("/admin/x", "boss"),
            ("/open", "anyone"),
            ("/open/", "boss"),
            ("/Mixed/x", "boss"),
            ("/mixed/x", "boss"),
            ("/MIXED", "boss"),
            ("/mixed", "boss"),
            ("/files", "users"),
            ("/ADMIN/x", "boss"),
            ("/shop/assets/Logo.PNG", "anyone"),
            ("/shop/assets/", "anyone"),
            ("/shop/assets", "boss"),
            ("/shop/Pictures", "anyone"),
            ("/shop/pictures", "boss"),
            ("/Shop/x", "boss"),
            ("/files/x", "users"),
            ("/reports/x", elsewhere),
            ("/administrator", elsewhere),
            ("/x/", elsewhere),
            ("/x", elsewhere),
            ("/", elsewhere),
        ] {
            assert_eq!(demanded(&rules, exchange), wanted, "{exchange}, elsewhere {elsewhere}");
        }
    }
}

#[test]
fn a_prefix_within_a_segment_holds_for_every_spelling() {
    let users = Admission::Users {
        roles: vec!["boss".into()],
        acr_values: Vec::new(),
        max_age: None,
        resource: None,
        when: None,
    };
    let rules = [
        AccessRule { matches: Match::Prefix("/adm".into()), methods: Vec::new(), admission: users },
        AccessRule { matches: Match::Prefix("/".into()), methods: Vec::new(), admission: Admission::Anyone },
    ];
    for path in [
        "/adm",
        "/admin",
        "/ADMin/x",
        "/%61dmin",
        "/x/..;/admin",
        "/adm%2569n",
        "/files%2f..%2fadmin2",
        "/x;%2fadmin",
    ] {
        let ruled = demand(&rules, &Path::read(path.as_bytes()), path.as_bytes(), b"GET");
        assert!(matches!(&ruled, Demand::Users(list) if !list.is_empty()), "{path}: {ruled:?}");
    }
    for path in ["/ad", "/x/adm", "/"] {
        assert_eq!(
            demand(&rules, &Path::read(path.as_bytes()), path.as_bytes(), b"GET"),
            Demand::Anyone,
            "{path}"
        );
    }
}

fn rule(matches: Match, methods: &[&str], admission: Admission) -> AccessRule {
    AccessRule { matches, methods: methods.iter().map(|method| (*method).to_owned()).collect(), admission }
}

fn users(roles: &[&str]) -> Admission {
    Admission::Users {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        acr_values: Vec::new(),
        max_age: None,
        resource: None,
        when: None,
    }
}

fn demanded<'r>(rules: &'r [AccessRule], method: &'r str, path: &str) -> Demand<'r> {
    demand(rules, &Path::read(path.as_bytes()), path.as_bytes(), method.as_bytes())
}

#[test]
fn methods_open_only_as_written_and_close_in_any_case() {
    let open = vec![rule(Match::Path("/news".into()), &["GET"], Admission::Anyone)];
    assert_eq!(demanded(&open, "GET", "/news"), Demand::Anyone);
    for method in ["POST", "get", "Get", "GETS", ""] {
        assert_eq!(demanded(&open, method, "/news"), Demand::Users(Vec::new()), "{method}");
    }
    // The rule of users comes first for every spelling in capitals too: the open one behind it is not reached.
    let closed = vec![
        rule(Match::Path("/news".into()), &["POST"], users(&[])),
        rule(Match::Path("/news".into()), &[], Admission::Anyone),
    ];
    for method in ["POST", "post", "Post"] {
        assert_eq!(demanded(&closed, method, "/news"), Demand::Users(vec![&closed[0].admission]), "{method}");
    }
    for method in ["GET", "POSTS"] {
        assert_eq!(demanded(&closed, method, "/news"), Demand::Anyone, "{method}");
    }
}

#[test]
fn a_rule_with_demands_judges_its_path_and_answers_other_methods() {
    let rules = vec![
        rule(Match::Path("/pay".into()), &["GET"], users(&["payer"])),
        rule(Match::Path("/pay".into()), &[], Admission::Anyone),
    ];
    assert_eq!(demanded(&rules, "GET", "/pay"), Demand::Users(vec![&rules[0].admission]));
    for method in ["POST", "DELETE"] {
        assert_eq!(demanded(&rules, method, "/pay"), Demand::OtherMethod(&rules[0].methods), "{method}");
    }
}

#[test]
fn each_way_to_authenticate_is_demanded_as_it_is_written() {
    for (admission, wanted) in [
        (Admission::Anyone, Demand::Anyone),
        (Admission::Optional, Demand::Optional),
        (Admission::Programs, Demand::Programs),
    ] {
        let rules = vec![rule(Match::Path("/x".into()), &[], admission)];
        assert_eq!(demanded(&rules, "GET", "/x"), wanted);
        assert_eq!(demanded(&rules, "GET", "/y"), Demand::Users(Vec::new()));
    }
}

#[test]
fn a_rule_that_names_the_path_itself_counts_before_one_for_its_other_reading() {
    let rules = vec![
        rule(Match::Path("/open".into()), &[], users(&["admin"])),
        rule(Match::Path("/Open".into()), &[], Admission::Anyone),
        rule(Match::Prefix("/O".into()), &[], Admission::Anyone),
    ];
    assert_eq!(demanded(&rules, "GET", "/Open"), Demand::Anyone);
    // The prefix does not name it, so the application's reading without capitals counts.
    assert_eq!(demanded(&rules, "GET", "/OPEN"), Demand::Users(vec![&rules[0].admission]));
    assert_eq!(demanded(&rules, "GET", "/Other"), Demand::Anyone);
}

#[test]
fn the_resource_of_a_rule_is_named_by_its_path() {
    for (matches, path) in [
        (Match::Path("/".into()), ""),
        (Match::Prefix("/".into()), ""),
        (Match::Path("/mcp".into()), "/mcp"),
        (Match::Path("/mcp/".into()), "/mcp/"),
        (Match::Prefix("/mcp/".into()), "/mcp"),
        (Match::Prefix("/mcp".into()), "/mcp"),
    ] {
        assert_eq!(Resource::path_of(&matches), path, "{matches:?}");
    }
}
