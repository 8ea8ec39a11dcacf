"""Breaking the glass: provider and directory are down, a stranger guesses, and the administrator gets in."""

import base64
import json
import threading

import pytest

from harness.app import Answer
from harness.client import Cookie, exchange
from harness.expect import refused, session_cookies, signed_in
from harness.net import eventually
from harness.readers import pairs

FORM = "application/x-www-form-urlencoded"
DEVICE = "sso_device"
LOGINS = [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}},
          {"path": "/api/login", "username": {"json": "/username"}, "success": {"json": {"pointer": "/token"}}}]


def password(mode, **more):
    return {"password": {"mode": mode, "admin_roles": ["account_admin"], "administrators": ["root"], "logins": LOGINS,
                         "attempts": {"limit": 10, "window": "5m"}} | more}


def sign_in(seen):
    form = not seen.path.startswith("/api")
    fields = dict(pairs(seen.body)) if form else json.loads(seen.body)
    if fields.get("password") != "right":
        return Answer(401, [], b"wrong")
    return Answer(200, [] if form else [("content-type", "application/json")], b"welcome" if form else b'{"token":"t"}')


def people(directory):
    directory.reset()
    directory.add("root", email="root@acme.com", roles=["account_admin"], id="1")
    directory.add("ada", email="ada@acme.com", roles=["account_admin"], id="2")
    directory.add("bob", email="bob@acme.com", roles=["member"], id="3")
    return directory


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-emergency", session={"recheck": "1s", "recheck_grace": "1h"})
    for code in ("glass", "marks", "theirs"):
        world.account(code, password("admins"))
        people(world.directory(code, timeout="1s"))
    world.account("open", password("enabled", administrators=["root"], attempts={"limit": 3, "window": "5m"}))
    people(world.directory("open", timeout="1s"))
    world.account("plain", password("admins") | {"sso": "disabled"})
    people(world.directory("plain", timeout="1s"))
    world.app.routes |= {"/login": sign_in, "/api/login": sign_in}
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


@pytest.fixture(autouse=True)
def fresh(world):
    for directory in world.dirs.values():
        people(directory)


def login(account, name="root", word="right", client=None, path="/login", **headers):
    headers = {"origin": account.origin} | headers
    body = {"username": name, "password": word}
    if path.startswith("/api"):
        body, headers["content-type"] = json.dumps(body), "application/json"
    return (client or account.client()).post(account.url(path), body=body, headers=headers)


def mark_of(client):
    marks = [value for name, value in client.values().items() if DEVICE in name]
    assert len(marks) <= 1
    return marks[0] if marks else None


def with_mark(account, value):
    client = account.client()
    host = account.origin.removeprefix("https://")
    name = f"__Host-{DEVICE}"
    client.cookies[(host, "/", name)] = Cookie(name, value, host, secure=True)
    return client


DOWN = [dict(drop=True), dict(status=500, body=b""), dict(status=401, body=b"{}"), dict(body=b"<html>"), dict(delay=3)]


@pytest.mark.parametrize("fault", DOWN, ids=str)
def test_an_administrator_by_name_gets_in_while_the_directory_is_down(world, fault):
    account, directory = world.accounts["glass"], world.dirs["glass"]
    directory.fault("GET", **fault)
    for path in ("/login", "/api/login"):
        client = account.client()
        assert login(account, client=client, path=path).status == 200
        signed_in(client, account, "root")
        assert client.get(account.url("/sso/admin")).status == 200
        refused(client.get(account.url("/admin/x")), "role_missing")
        # An administrator by role alone, another case, another user: no one can say who they are.
        for name in ("ada", "bob", "nobody", "Root", "ROOT"):
            mark = world.app.mark()
            refused(login(account, name, path=path), "directory_unavailable")
            world.app.nothing_since(mark)
    reasons = [event for event in world.envoy.events() if "without the directory" in json.dumps(event)]
    assert reasons, "the log does not say why it went on"
    lacks = [json.dumps(event) for event in world.envoy.events() if event.get("code") == "role_missing"]
    assert lacks and all("the directory could not be asked" in one for one in lacks), lacks
    # Once it answers again, the roles are there; and a user whom it calls inactive is out.
    people(directory)
    eventually(lambda: client.get(account.url("/admin/x")).status == 200, what="the recheck")
    directory.users[0]["active"] = False
    eventually(lambda: client.get(account.url("/who")).status != 200, what="the recheck")
    refused(login(account), "password_not_allowed")


def test_ten_wrong_guesses_of_a_stranger_lock_no_administrator_out(world):
    account, directory = world.accounts["glass"], world.dirs["glass"]
    # Signed in by single sign-on, ever: the administrator may never have used the password in this browser.
    at_work = account.client()
    account.idp.change("claims", sub="ada", email="ada@acme.com")
    assert at_work.login(account.url("/who"))[-1].status == 200
    by_word = account.client()
    assert login(account, "ada", client=by_word).status == 200
    assert mark_of(at_work) and mark_of(by_word) and mark_of(at_work) != mark_of(by_word)
    for client in (at_work, by_word):
        client.browse(account.url("/sso/logout"))
        assert mark_of(client), "a sign-out keeps it"
    for _ in range(2):
        guesses = [login(account, "ada", "guess").status for _ in range(12)]
        assert guesses[-1] == 429, guesses
        refused(login(account, "ada"), "too_many_attempts")
        assert login(account, "ada", client=at_work).status == 200
        assert login(account, "ada", client=by_word).status == 200
        signed_in(at_work, account, "ada")
    # Named administrators with everything down, and a stranger at it.
    home = account.client()
    assert login(account, client=home).status == 200
    directory.fault("GET", drop=True)
    assert [login(account, word="guess").status for _ in range(12)][-1] == 429
    refused(login(account), "too_many_attempts")
    assert login(account, client=home).status == 200
    signed_in(home, account, "root")


def test_a_mark_has_a_count_too(world):
    account = world.accounts["marks"]
    client = account.client()
    assert login(account, client=client).status == 200
    stolen = with_mark(account, mark_of(client))
    codes = [login(account, word="guess", client=stolen).status for _ in range(14)]
    assert codes == [401] * 10 + [429] * 4
    refused(login(account, client=client), "too_many_attempts")
    # The user's own count is not touched.
    assert login(account).status == 200


def test_a_mark_of_something_else_is_worth_nothing(world):
    account, other = world.accounts["marks"], world.accounts["theirs"]
    mine, theirs = account.client(), other.client()
    assert login(account, "ada", client=mine).status == login(other, client=theirs).status == 200
    while login(account, word="guess").status != 429:
        pass
    session = next(value for name, value in session_cookies(mine).items())
    own = mark_of(mine)
    bad = {"another user's": own, "another account's": mark_of(theirs), "a session": session, "changed": own[:-4] + ("AAAA" if own[-4:] != "AAAA" else "BBBB"),
           "cut off": own[:-10], "empty": "", "words": "root", "long": "x" * 4000}
    for what, value in bad.items():
        reply = login(account, client=with_mark(account, value))
        assert reply.code == "too_many_attempts", (what, reply)
    # Two different ones: neither counts. Twice the same: it is the same.
    body = b"username=ada&password=right"
    while login(account, "ada", "guess").status != 429:
        pass

    def sent(cookies):
        return exchange(world.port, f"POST /login HTTP/1.1\r\nhost: marks.app.test\r\ncontent-type: {FORM}\r\ncontent-length: {len(body)}\r\ncookie: {cookies}\r\n"
                                      "connection: close\r\n\r\n".encode() + body)

    name = f"__Host-{DEVICE}"
    assert sent(f"{name}={own}; {name}={mark_of(theirs)}").code == "too_many_attempts"
    assert sent(f"{name}={own}; {name}={own}").status == 200


def test_marks_of_several_users_of_one_browser(world):
    account = world.accounts["open"]
    client, names = account.client(), [f"user{n}" for n in range(7)]
    for name in names:
        assert login(account, name, client=client).status == 200
        assert len(mark_of(client)) <= 1024
    for name in names:
        while login(account, name, "guess").status != 429:
            pass
    codes = {name: login(account, name, client=with_mark(account, mark_of(client))).status for name in names}
    assert codes == dict.fromkeys(names[:2], 429) | dict.fromkeys(names[2:], 200)


def test_the_application_never_sees_the_mark(world):
    account = world.accounts["theirs"]
    client = account.client()
    assert login(account, client=client).status == 200 and mark_of(client)
    mark = world.app.mark()
    for path in ("/who", "/healthz", "/api/sql/x", "/login"):
        client.get(account.url(path))
    login(account, client=client)
    seen = world.app.since(mark)
    assert len(seen) == 5 and not [one for one in seen if any(DEVICE in value for value in one.all("cookie"))]
    [cookie] = [cookie for cookie in client.cookies.values() if DEVICE in cookie.name]
    assert cookie.http_only and cookie.secure and cookie.path == "/" and cookie.expires


def test_a_flood_of_made_up_names_locks_no_user_out(world):
    account = world.accounts["open"]
    threads = [threading.Thread(target=lambda at=at: [login(account, f"made-up-{at}-{n}", "guess") for n in range(60)]) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [login(account, "bob", "wrong").status, login(account, "bob").status, login(account).status] == [401, 200, 200]


def test_under_admins_no_name_but_an_administrators_is_counted(world):
    account = world.accounts["theirs"]
    mark = world.app.mark()
    assert {login(account, name, "guess").code for name in ("bob", "nobody") for _ in range(15)} == {"password_not_allowed"}
    world.app.nothing_since(mark)


@pytest.mark.parametrize("value", ["Digest username=\"bob\", response=\"x\"", "digest username=bob", "NTLM TlRMTVNTUAAB", "Negotiate TlRMTVNTUAAB", "SCRAM-SHA-256 data=x",
                                   "SCRAM-SHA-1 x", "Mutual user=\"bob\"", "Basic Ym9iOnJpZ2h0", " Digest x", "\tdigest x", "DIGEST\tx", "negotiate  TlRMTVNTUAAB"])
def test_schemes_that_prove_a_password(world, value):
    account = world.accounts["glass"]
    token = base64.b64encode(b"x").decode()
    for path, arrives in (("/healthz", False), ("/static/x", False), ("/api/sql/x", True), ("/login", False)):
        mark = world.app.mark()
        for first, more in ((value, []), (value, [("authorization", value)]), ("Token x", [("authorization", value)])):
            account.client().request("GET", account.url(path), headers={"authorization": first}, more_headers=more)
        assert [bool(seen.all("authorization")) for seen in world.app.since(mark)] == [arrives] * 3, path
    assert account.client().get(account.url("/healthz"), headers={"authorization": f"Token {token}"}).seen()["authorization"]


def test_with_single_sign_on_off_passwords_are_the_applications(world):
    """Without `self_service` nothing is read, refused, counted or opened."""
    account = world.accounts["plain"]
    for body in ("username=root&password=right", "username=root&username=bob&password=right", "x"):
        client = account.client()
        reply = client.post(account.url("/login"), body=body, headers={"content-type": FORM})
        assert reply.code is None and not client.cookies, reply
    assert [login(account, word="guess").status for _ in range(12)] == [401] * 12
