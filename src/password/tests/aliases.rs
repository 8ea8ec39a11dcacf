//! Scripts in and around the path of a login.

use super::*;

#[test]
fn lists_scripts_and_extensions_are_aliases() {
    for (raw, login) in [
        ("/api/trpc/auth.login,auth.login", "/api/trpc/auth.login"),
        ("/api/trpc/x,auth.login%2cy", "/api/trpc/auth.login"),
        ("/index.php/app/login", "/app/login"),
        ("//INDEX.php//app/login", "/app/login"),
        ("/app/index.php/login", "/app/login"),
        ("/login", "/login.php"),
        ("/login/", "/login.php"),
        ("/login/x", "/login.php"),
        ("/login.html", "/login.php"),
        ("/login/index.php", "/login"),
    ] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw}");
    }
    for (raw, login) in [
        ("/api/trpc/auth.logout", "/api/trpc/auth.login"),
        ("/api/trpc/auth", "/api/trpc/auth.login"),
        ("/index.php/app/logout", "/app/login"),
        ("/login/reset", "/login"),
        ("/logins", "/login.php"),
    ] {
        assert!(!alias_of_login(raw.as_bytes(), login), "{raw}");
    }
}

#[test]
fn what_follows_a_script_is_a_path_of_its_own() {
    for (raw, login) in [
        // Path info of a script anywhere, and of a front controller.
        ("/dir/x.php/login", "/login"),
        ("/x.php/login", "/login"),
        ("/index.php", "/"),
        ("/default.aspx", "/"),
        ("/dir/index.php", "/"),
    ] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw} {login}");
    }
    for (raw, login) in
        [("/x.php", "/"), ("/dir/x.php", "/"), ("/dir/x.php/logout", "/login"), ("/dir/x/login", "/login")]
    {
        assert!(!alias_of_login(raw.as_bytes(), login), "{raw} {login}");
    }
}

/// Node's `new URL("//x/login", "http://h").pathname` is `/login`, and so for each of these.
#[test]
fn what_stands_behind_a_host_is_a_path_of_its_own() {
    for raw in [
        "//x/login",
        "///x/login",
        r"/\x/login",
        r"/\x\login",
        r"/\/x/login",
        "//x:80/login",
        "//u:p@x/login",
        "//[::1]/login",
        "//x;a/login",
        "//x/y/../login",
        "//x/login/",
        "//x/LOGIN",
        "//x/index.php/login",
        "/%2fx/login",
        "/%5Cx/login",
        "/%09/x/login",
        "//x%00/login",
        "//.../login",
    ] {
        assert!(alias_of_login(raw.as_bytes(), "/login"), "{raw}");
        assert!(!alias_of_login(raw.as_bytes(), "/sign-in"), "{raw}");
    }
    for (raw, login) in [("//x", "/"), (r"/\x/", "/"), ("//x/api/login", "/api/login")] {
        assert!(alias_of_login(raw.as_bytes(), login), "{raw}");
    }
    for raw in ["/x/login", "/x//y/login", "/x//login", "//x/y/login", "//x/logout", r"/x\y/login"] {
        assert!(!alias_of_login(raw.as_bytes(), "/login"), "{raw}");
    }
}
