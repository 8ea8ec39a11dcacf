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
