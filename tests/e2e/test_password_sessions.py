"""The password rule: attempts that are counted, what counts as a success, the session of a password login, and its directory."""

import threading

import pytest

from harness.app import Answer
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.net import eventually
from harness.password_rule import as_json, form, modes, passes, password, sign_in, untouched


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-sessions")
    modes(world)
    world.account("guess", password("enabled", attempts={"limit": 4, "window": "5m"}))
    world.account("burst", password("enabled", attempts={"limit": 5, "window": "5m"}))
    world.account("window", password("enabled", attempts={"limit": 2, "window": "2s"}))
    for name, success in {"status": {"status": [204]}, "cookie": {"cookie": "app_session"}, "both": {"status": [200], "cookie": "app_session"},
                          "redirect": {"redirect": "/home"}}.items():
        world.account(f"by-{name}", password("enabled", logins=[{"path": f"/by-{name}", "username": {"form": "username"}, "success": success}]))
    for code in ("scim-enabled", "scim-admins"):
        world.account(code, password(code[5:]))
        world.directory(code, timeout="1s").add("root", email="root@acme.com", roles=["account_admin"])
    bare = world.account("bare", password("enabled"))
    del bare.config["directory"]
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


# Guessing.

def test_failures_are_counted_over_all_workers(world):
    account = world.accounts["guess"]
    codes = [form(account, word=f"guess {n}").status for n in range(12)]
    assert codes == [401] * 4 + [429] * 8
    # The right word, while locked out, by either way.
    untouched(account, lambda: form(account), "too_many_attempts")
    untouched(account, lambda: as_json(account), "too_many_attempts")
    # Somebody else is not.
    passes(account, lambda client: form(account, "ada", client=client), "ada")


def test_a_burst_is_no_way_around_it(world):
    account, replies = world.accounts["burst"], []
    gate = threading.Barrier(20)

    def guess(number):
        gate.wait()
        replies.append(form(account, word=f"guess {number}").status)

    mark = world.app.mark()
    threads = [threading.Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.app.since(mark)) == 5 == replies.count(401), replies
    untouched(account, lambda: form(account), "too_many_attempts")


def test_the_window_ends_and_success_starts_anew(world):
    account = world.accounts["window"]
    while form(account, word="wrong").status != 429:
        pass
    eventually(lambda: form(account).status == 200, every=0.2, what="the end of the window")
    assert form(account, word="wrong").status == 401
    assert form(account).status == 200
    assert form(account, word="wrong").status == 401


def test_accounts_count_apart(world):
    guess = world.accounts["guess"]
    while form(guess, "renée", word="wrong").status != 429:
        pass
    passes(world.accounts["enabled"], lambda client: form(world.accounts["enabled"], "renée", client=client), "renée")


# What counts as accepted.

COOKIE = ("set-cookie", "app_session=1")


@pytest.mark.parametrize("code, answer, accepted", [
    ("by-status", Answer(204), True), ("by-status", Answer(200), False), ("by-status", Answer(302, [("location", "/")]), False),
    ("by-cookie", Answer(200, [COOKIE]), True), ("by-cookie", Answer(302, [COOKIE, ("location", "/")]), True), ("by-cookie", Answer(200), False),
    ("by-cookie", Answer(401, [COOKIE]), False), ("by-cookie", Answer(200, [("set-cookie", "app_session2=1")]), False),
    ("by-cookie", Answer(200, [("set-cookie", "app_session=")]), False), ("by-cookie", Answer(200, [("set-cookie", "app_session=1; Max-Age=0")]), False),
    ("by-cookie", Answer(200, [COOKIE, ("set-cookie", "app_session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")]), False),
    ("by-both", Answer(200, [COOKIE]), True), ("by-both", Answer(201, [COOKIE]), False), ("by-both", Answer(200), False),
    ("by-redirect", Answer(302, [("location", "/home")]), True), ("by-redirect", Answer(303, [("location", "https://by-redirect.app.test/home?x=1")]), True),
    ("by-redirect", Answer(302, [("location", "/login?failed")]), False), ("by-redirect", Answer(200, [("location", "/home")]), False),
    ("enabled", Answer(200), True), ("enabled", Answer(201), False), ("enabled", Answer(302, [("location", "/home")]), False), ("enabled", Answer(400), False), ("enabled", Answer(500), False),
], ids=str)
def test_success(world, code, answer, accepted):
    account = world.accounts[code]
    path = "/login" if code == "enabled" else f"/{code}"
    world.app.routes[path] = lambda seen: answer
    try:
        client = account.client()
        reply = form(account, client=client, path=path)
        assert reply.status == answer.status and reply.code is None
        assert bool(session_cookies(client)) == accepted, reply.headers
        # What the application sets arrives, whatever we add.
        for name, value in answer.headers:
            assert value in reply.all(name), reply.headers
        if accepted:
            signed_in(client, account, "root")
    finally:
        world.app.routes |= {"/login": sign_in}
        if code != "enabled":
            del world.app.routes[path]


# Sessions.

def test_the_session_says_what_it_is(world):
    account = world.accounts["admins"]
    client = passes(account, lambda client: as_json(account, client=client))
    seen = client.get(account.url("/who")).seen()
    assert seen["x-sso-account"] == ["admins"] and seen["x-sso-roles"] == ["account_admin"] and seen["x-sso-email"] == ["root@acme.com"]
    assert seen.get("x-sso-idp", [""]) == [""]
    assert client.get(account.url("/admin/x")).status == 200
    said = client.get(account.url("/sso/session")).json()
    assert said["method"] == "password", said
    [cookie] = [c for c in client.cookies.values() if c.name == "__Host-sso"]
    assert cookie.http_only and cookie.secure and cookie.same_site.lower() == "lax"
    # `app_session`, the application's own, stays beside it.
    assert "app_session" in client.values()


def test_an_unknown_user_of_an_application_without_directory(world):
    account = world.accounts["bare"]
    client = passes(account, lambda client: form(account, "whoever", client=client), "whoever")
    assert client.get(account.url("/who")).seen().get("x-sso-roles", [""]) == [""]
    refused(client.get(account.url("/admin/x")), "role_missing")


def test_a_password_login_replaces_a_session_of_the_same_browser(world):
    account = world.accounts["admins"]
    client = account.signed_in("/who")
    signed_in(client, account, "ada")
    assert form(account, client=client).status == 200
    assert client.get(account.url("/who")).seen()["x-sso-method"] == ["password"]
    signed_in(client, account, "root")


def test_a_session_is_no_licence_to_post_passwords(world):
    """An SSO session that posts an administrator's password, or anybody's: ruled on by the name in the request."""
    account = world.accounts["admins"]
    client = account.signed_in("/who")
    untouched(account, lambda: form(account, "ada", client=client), "password_not_allowed")
    untouched(account, lambda: form(account, "nobody", client=client), "password_not_allowed")
    signed_in(client, account, "ada")
    assert form(account, word="wrong", client=client).status == 401
    signed_in(client, account, "ada")


def test_a_session_of_one_account_is_nothing_to_another(world):
    admins, enabled = world.accounts["admins"], world.accounts["enabled"]
    client = passes(enabled, lambda client: form(enabled, client=client))
    thief = admins.client()
    for cookie in client.cookies.values():
        cookie.host = "admins.app.test"
    thief.cookies = {("admins.app.test", c.path, c.name): c for c in client.cookies.values()}
    signed_out(thief, admins)


def test_no_password_is_kept_or_told(world):
    account = world.accounts["admins"]
    word = "a-word-nobody-may-see"
    form(account, word=word)
    form(account, "ada", word=word)
    as_json(account, word=word)
    as_json(account, body='{"username":"root","username":"x","password":"' + word + '"}')
    log = world.envoy.log_text() + world.envoy.stats_text()
    assert word not in log


# The directory behind it.

@pytest.fixture
def scim(world):
    for directory in world.dirs.values():
        directory.reset().add("root", email="root@acme.com", roles=["account_admin"], id="1")
        directory.add("ada", email="ada@acme.com", roles=["editor"], id="2")
    return world.dirs


def test_one_request_for_a_password_login(world, scim):
    account = world.accounts["scim-admins"]
    client = account.client()
    assert form(account, client=client).status == 200 and scim["scim-admins"].methods() == ["GET"]
    for _ in range(10):
        signed_in(client, account, "root")
    assert scim["scim-admins"].count() == 1
    untouched(account, lambda: form(account, "ada"), "password_not_allowed")


@pytest.mark.parametrize("fault", [dict(status=500, body=b""), dict(body=b"<html>"), dict(drop=True), dict(delay=8), dict(status=404, body=b"{}"),
                                   dict(body=b"{}")], ids=str)
def test_while_the_directory_is_down(world, scim, fault):
    account = world.accounts["scim-admins"]
    scim["scim-admins"].fault("GET", **fault)
    untouched(account, lambda: form(account), "directory_unavailable")
    # In `enabled` its outage does not stop a login; the session has no roles.
    account = world.accounts["scim-enabled"]
    scim["scim-enabled"].fault("GET", **fault)
    client = passes(account, lambda client: form(account, client=client))
    refused(client.get(account.url("/admin/x")), "role_missing")


@pytest.mark.parametrize("resources", [
    lambda found: [{"id": "3", "userName": "ada2", "active": True, "roles": [{"value": "account_admin"}]}],
    lambda found: [],
    lambda found: found + [{"id": "9", "userName": "root", "active": True, "roles": []}],
    lambda found: [found[0] | {"active": False}],
    lambda found: [found[0] | {"roles": [{"value": "account_admin2"}]}],
    lambda found: [found[0] | {"userName": "ROOT"}],
], ids=["another user", "nobody", "two of one name", "inactive", "a role that holds the word", "another case"])
def test_what_the_directory_answers_is_compared_again(world, scim, resources):
    account = world.accounts["scim-admins"]
    scim["scim-admins"].resources = resources
    untouched(account, lambda: form(account), "password_not_allowed")
    scim["scim-admins"].resources = None
    passes(account, lambda client: form(account, client=client))


def test_an_administrator_who_was_demoted_before_the_login(world, scim):
    account = world.accounts["scim-admins"]
    passes(account, lambda client: form(account, client=client))
    scim["scim-admins"].users[0]["roles"] = []
    untouched(account, lambda: form(account), "password_not_allowed")


def test_an_administrator_who_is_demoted_afterwards(make_world):
    world = make_world("demoted", session={"recheck": "1s"})
    account = world.account("acme", password("admins"))
    directory = world.directory("acme")
    directory.add("root", email="root@acme.com", roles=["account_admin"])
    world.app.routes["/login"] = sign_in
    world.start()
    client = passes(account, lambda client: form(account, client=client))
    directory.users[0]["roles"] = [{"value": "editor"}]
    reply = eventually(lambda: (r := client.get(account.url("/who"))).status != 200 and r, what="the end of the session")
    assert reply.code in ("session_expired", "login_required"), reply
    signed_out(client, account)
    untouched(account, lambda: form(account), "password_not_allowed")
