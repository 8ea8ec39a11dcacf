"""Which account a password login is for: methods with bodies, other fields that choose an account, `fields`, `when`.

Each refusal is proved by its code and by an application that saw nothing; each has a twin that passes.
"""

import itertools
import json
import urllib.parse

import pytest

from harness import http2
from harness.app import Answer
from harness.client import exchange
from harness.expect import refused, session_cookies
from harness.net import eventually

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
USERS = [{"username": "ada", "email": "ada@acme.com", "phone": "+4915112345678", "roles": ["account_admin"]},
         {"username": "bob", "email": "bob@acme.com", "roles": ["member"]}, {"username": "ina", "email": "ina@acme.com", "active": False}]
MODES = ("enabled", "admins", "disabled")
# SPEC of the class: every name by which an application could choose the account.
CHOOSING = ["email", "mail", "user", "login", "uid", "userid", "user_id", "account", "name_or_email", "phone", "mobile", "tel",
            "tenant", "realm", "domain", "org", "organization", "workspace"]
HARMLESS = ["remember", "csrf", "csrfmiddlewaretoken", "otp", "code", "next", "lang", "name", "id", "company", "site", "device"]


def success(**conditions):
    return {"success": conditions or {"status": [200]}}


def login(path, **username):
    return {"path": path, "username": username} | success()


def password(mode, logins, **more):
    return {"password": {"mode": mode, "admin_roles": ["account_admin"], "logins": logins,
                         "attempts": {"limit": 1000, "window": "5m"}} | more,
            "directory": {"static": {"users": USERS}},
            "access": [{"prefix": "/", "allow": "anyone"}]}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-fields")
    plain = [login("/login", form="username"), login("/api/login", json="/username")]
    for mode in MODES:
        world.account(mode, password(mode, plain))
    world.account("listed", password("admins", [
        {"path": "/login", "username": {"form": "username"}, "fields": ["username", "password", "tenant", "csrf", "next"]} | success(),
        {"path": "/api/login", "username": {"json": "/username"}, "fields": ["username", "password", "tenant", "options"]} | success()]))
    world.account("when", password("admins", [
        {"path": "/oauth/token", "when": {"form": {"grant_type": "password"}}, "username": {"form": "username"}} | success(),
        {"path": "/oauth/token", "when": {"form": {"grant_type": "device", "kind": "pin"}}, "username": {"form": "owner"}} | success(),
        {"path": "/rpc", "when": {"json": {"/action": "login", "/v": 2}}, "username": {"json": "/args/name"}} | success()]))
    for attribute in ("email", "phone"):
        for mode in ("enabled", "admins"):
            world.account(f"{attribute}-{mode}", password(mode, [
                {"path": "/login", "username": {"form": "name", "attribute": attribute}} | success()]))
    world.app.routes |= dict.fromkeys(("/login", "/api/login", "/oauth/token", "/rpc"), lambda seen: Answer(200, [], b"in"))
    world.start()
    return world


def send(account, body, *, path=None, method="POST", kind=None, client=None):
    if kind is None:
        kind = JSON if isinstance(body, dict) or body[:1] in ("{", "[") else FORM
    path = path or ("/api/login" if kind == JSON else "/login")
    body = json.dumps(body) if isinstance(body, dict) else body
    return (client or account.client()).request(method, account.url("/"), target=path, body=body,
                                                headers={"origin": account.origin, "content-type": kind})


def untouched(account, reply_of, *codes, status=None):
    mark = account.world.app.mark()
    reply = refused(reply_of(), *codes, status=status)
    account.world.app.nothing_since(mark)
    return reply


def is_in(account, user, reply_of):
    """The application saw it, and this user is signed in."""
    mark, client = account.world.app.mark(), account.client()
    reply = reply_of(client)
    assert reply.status == 200 and reply.code is None, reply
    assert len(account.world.app.since(mark)) == 1 and session_cookies(client), reply
    assert client.get(account.url("/sso/session")).json()["user"] == user
    return client


# Every method with a body, however its end is told.

BODIES = {FORM: b"username=bob&password=right", JSON: b'{"username":"bob","password":"right"}'}
FRAMINGS = {
    "length": lambda body: (f"content-length: {len(body)}\r\n", body),
    "chunked": lambda body: ("transfer-encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
    "bytes in chunks": lambda body: ("transfer-encoding: chunked\r\n", b"".join(b"1\r\n%c\r\n" % b for b in body) + b"0\r\n\r\n"),
    "with trailers": lambda body: ("transfer-encoding: chunked\r\ntrailer: x\r\n", b"%x\r\n%s\r\n0\r\nx: 1\r\n\r\n" % (len(body), body)),
    "no body in chunks": lambda body: ("transfer-encoding: chunked\r\n", b"0\r\n\r\n"),
    "expect": lambda body: (f"content-length: {len(body)}\r\nexpect: 100-continue\r\n", body),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "options", "QUERY", "PROPFIND", "PUT", "SEARCH"])
def test_a_body_that_comes_with_another_method(world, mode, method):
    account, problems = world.accounts[mode], []
    mark = world.app.mark()
    for (kind, body), (name, framing), path in itertools.product(
            BODIES.items(), FRAMINGS.items(), ("/login", "/api/login", "/login/", "/LOGIN", "/api/l%6fgin", "//login", "/login;x", "/login.php")):
        more, data = framing(body)
        head = f"{method} {path} HTTP/1.1\r\nhost: {mode}.app.test\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n"
        reply = exchange(world.port, head.encode() + data, method=method)
        # The last chunk alone is an empty body: Envoy passes it on as none, or the filter refuses it.
        if reply.status not in (100, 400, 403, 404, 405, 501) and not (name == "no body in chunks" and reply.status == 200):
            problems.append((method, path, kind, name, reply))
    seen = [one for one in world.app.since(mark) if one.body]
    assert problems == [] and seen == []


@pytest.mark.parametrize("mode", MODES)
def test_a_body_by_http2_without_a_length(world, mode):
    body = BODIES[FORM]

    def ask(method, pieces, trailers=()):
        lines = len(world.envoy.access_lines())
        http2.send(world.port, [(":method", method), (":scheme", "http"), (":authority", f"{mode}.app.test"), (":path", "/login"),
                                ("content-type", FORM)], pieces, trailers)
        return eventually(lambda: world.envoy.access_lines()[lines:], what="the access log")[-1]

    for method, (pieces, trailers) in itertools.product(
            ("OPTIONS", "GET", "POST"), [([body], ()), ([b"", body], ()), ([bytes([b]) for b in body], ()), ([body], [("x", "1")]), ([body, b""], ())]):
        mark = world.app.mark()
        line = ask(method, pieces, trailers)
        if (mode, method) == ("enabled", "POST"):
            assert line["status"] == 200 and [seen.body for seen in world.app.since(mark)] == [body], line
            continue
        expected = {"admins": "password_not_allowed", "disabled": "password_disabled"}.get(mode) if method == "POST" else "username_unreadable"
        assert line["code"] == expected, (method, pieces, trailers, line)
        world.app.nothing_since(mark)


@pytest.mark.parametrize("mode", MODES)
def test_a_preflight_and_a_page_pass(world, mode):
    account = world.accounts[mode]
    for method, headers, path in itertools.product(
            ("OPTIONS", "GET", "HEAD"), ({}, {"origin": "https://other.test", "access-control-request-method": "POST"}),
            ("/login", "/api/login", "/login?next=%2Fhome", "/login/")):
        mark = world.app.mark()
        reply = account.client().request(method, account.url(path), headers=headers)
        assert reply.code is None and len(world.app.since(mark)) == 1, (method, path, reply)


# Another field chooses the account.

def spellings(name):
    """What some parser takes for the name."""
    dash = name.replace("_", "-")
    return dict.fromkeys([name, name.upper(), name.title(), dash, name.replace("_", "."), f" {name}", f"{name}\0x", f"_{name}",
                          f"{name}[]", f"{name}[x]", f"x[{name}]", f"model.{name}", f"Input.{name.title()}", f"data:{name}", f"a/{name}",
                          "".join(part.title() for part in name.split("_"))])


@pytest.mark.parametrize("mode", ["enabled", "admins"])
@pytest.mark.parametrize("name", CHOOSING)
def test_another_field_that_chooses_the_account(world, mode, name):
    account, problems = world.accounts[mode], []
    mark = world.app.mark()
    for spelling, value in itertools.product(spellings(name), ("bob@acme.com", "")):
        pair = urllib.parse.urlencode({spelling: value})
        for body in (f"username=ada&password=right&{pair}", f"{pair}&username=ada&password=right"):
            problems += [(body, reply) for reply in [send(account, body)] if reply.code != "username_unreadable"]
        problems += [(pair, method, reply) for method in ("POST", "GET", "HEAD", "OPTIONS") for reply in [account.client().request(
            method, account.url("/"), target=f"/login?{pair}", body="username=ada&password=right" if method == "POST" else None,
            headers={"content-type": FORM} if method == "POST" else {})] if reply.code != "username_unreadable"]
        for other in ({spelling: value or None}, {"x": {spelling: value}}, {"x": [{"y": {spelling: [value]}}]}):
            for body in ({"username": "ada", "password": "right"} | other, other | {"username": "ada", "password": "right"}):
                problems += [(body, reply) for reply in [send(account, body)] if reply.code != "username_unreadable"]
    assert problems == []
    world.app.nothing_since(mark)


@pytest.mark.parametrize("mode", ["enabled", "admins"])
def test_fields_that_choose_no_account_pass(world, mode):
    account = world.accounts[mode]
    for name in HARMLESS:
        is_in(account, "ada", lambda client: send(account, f"username=ada&password=right&{name}=1", client=client))
        is_in(account, "ada", lambda client: send(account, {"username": "ada", "password": "right", name: 1, "x": {name: [1]}}, client=client))


def test_the_username_with_a_prefix(world):
    """ASP.NET Core binds `model.Username` before `Username`."""
    account = world.accounts["admins"]
    for name in ("model.username", "Model.Username", "input[username]", "a:username", "x/username", "a.b.username", "[0].username", "x.user.name"):
        untouched(account, lambda: send(account, f"username=ada&{urllib.parse.quote(name)}=bob&password=right"), "username_unreadable")
        untouched(account, lambda: send(account, {"username": "ada", name: "bob", "password": "right"}), "username_unreadable")
        untouched(account, lambda: send(account, "username=ada&password=right", path=f"/login?{urllib.parse.quote(name)}=bob"), "username_unreadable")


def test_a_body_that_is_a_list(world):
    for mode in ("enabled", "admins"):
        account = world.accounts[mode]
        for body in ('[{"username":"ada","password":"right"}]', '[]', '["ada"]', '{"0":{"username":"bob"},"username":["ada"]}'):
            untouched(account, lambda: send(account, body), "username_unreadable")


def test_what_fields_lists(world):
    account = world.accounts["listed"]
    good = "username=ada&password=right"
    for extra in ("", "&tenant=other", "&csrf=1&next=%2F"):
        is_in(account, "ada", lambda client: send(account, good + extra, client=client))
        is_in(account, "ada", lambda client: send(account, good, path="/login?" + extra.removeprefix("&"), client=client))
    for extra in ({}, {"tenant": "x"}, {"options": {"theme": "dark"}}):
        is_in(account, "ada", lambda client: send(account, {"username": "ada", "password": "right"} | extra, client=client))
    for name in [*CHOOSING, *HARMLESS, "Tenant", "TENANT", "tenant ", "csrf2", "next.x"]:
        if name in ("tenant", "csrf", "next"):
            continue
        pair = urllib.parse.urlencode({name: "1"})
        untouched(account, lambda: send(account, f"{good}&{pair}"), "username_unreadable")
        untouched(account, lambda: send(account, good, path=f"/login?{pair}"), "username_unreadable")
        untouched(account, lambda: send(account, {"username": "ada", "password": "right", name: "1"}), "username_unreadable")
    # `fields` lists names of the top level: below them the list of account fields holds.
    untouched(account, lambda: send(account, {"username": "ada", "password": "right", "options": {"email": "bob"}}), "username_unreadable")
    # It closes no GET.
    assert account.client().get(account.url("/login?utm=1")).code is None


def test_the_password_twice(world):
    account = world.accounts["admins"]
    for body in ("username=ada&password=right&password=wrong", "username=ada&password=right&Password=x", "username=ada&password=right&x[password]=x",
                 "username=ada&password=x&password%00=right"):
        untouched(account, lambda: send(account, body), "username_unreadable")
    untouched(account, lambda: send(account, '{"username":"ada","password":"right","PASSWORD":"x"}'), "username_unreadable")
    untouched(account, lambda: send(account, "username=ada&password=right", path="/login?password=x"), "username_unreadable")
    is_in(account, "ada", lambda client: send(account, "username=ada&password=right&password_confirmation=right", client=client))


# `when`: one endpoint that is many things.

def test_other_bodies_at_the_path_of_a_login_are_ordinary(world):
    account = world.accounts["when"]
    for body in ("grant_type=refresh_token&refresh_token=x", "grant_type=client_credentials&client_id=a", "refresh_token=x",
                 "grant_type=device&kind=code&owner=bob", "grant_type=authorization_code&code=1&username=bob"):
        mark, client = world.app.mark(), account.client()
        reply = send(account, body, path="/oauth/token", client=client)
        assert reply.status == 200 and reply.code is None and not session_cookies(client), (body, reply)
        assert [seen.body.decode() for seen in world.app.since(mark)] == [body]
    for body in ({"action": "list"}, {"v": 2}, {"action": "login", "v": 1}, {"action": None}):
        mark = world.app.mark()
        assert send(account, body, path="/rpc").status == 200 and len(world.app.since(mark)) == 1, body


def test_bodies_that_meet_when_are_logins(world):
    account = world.accounts["when"]
    is_in(account, "ada", lambda client: send(account, "grant_type=password&username=ada&password=right", path="/oauth/token", client=client))
    is_in(account, "ada", lambda client: send(account, "kind=pin&grant_type=device&owner=ada&pin=1", path="/oauth/token", client=client))
    is_in(account, "ada", lambda client: send(account, {"action": "login", "v": 2.0, "args": {"name": "ada", "password": "x"}}, path="/rpc", client=client))
    for body in ("grant_type=password&username=bob&password=right", "username=bob&password=right&%67rant_type=password",
                 "grant_type=device&kind=pin&owner=bob"):
        untouched(account, lambda: send(account, body, path="/oauth/token"), "password_not_allowed")
    untouched(account, lambda: send(account, {"action": "login", "v": 2, "args": {"name": "bob"}}, path="/rpc"), "password_not_allowed")


@pytest.mark.parametrize("body", [
    "grant_type=password&grant_type=refresh_token&username=bob", "grant_type=refresh_token&grant_type=password&username=bob",
    "grant_type=PASSWORD&username=bob", "grant_type=+password&username=bob", "grant_type=password%00&username=bob", "grant_type=password%0a&username=bob",
    "grant_type=pass%2577ord&username=bob", "grant_type=p%C2%ADassword&username=bob", "Grant_Type=password&username=bob", "grant%00type=password&username=bob",
    "grant_type[]=password&username=bob", "grant_type[0]=password&username=bob", "grant.type=password&username=bob", "grant-type=password&username=bob",
    "x[grant_type]=password&username=bob", "grant_type=%ef%bd%90assword&username=bob", "grant_type&username=bob", "grant_type=password;x=1&username=bob",
    "grant_type=refresh_token&%ff=1", "grant_type=refresh_token&x=%", "", "grant_type=refresh_token&_method=PUT",
])
def test_a_body_that_cannot_be_told_apart(world, body):
    account = world.accounts["when"]
    if body:
        untouched(account, lambda: send(account, body, path="/oauth/token"), "username_unreadable")


@pytest.mark.parametrize("body", [
    '{"action":"login","action":"list","v":2}', '{"action":"list","action":"login","v":2}', '{"Action":"login","v":2}', '{"action":"LOGIN","v":2}',
    '{"action":["login"],"v":2}', '{"action":"login","v":"2"}', '{"action":"login ","v":2}', '{"action":{"x":"login"},"v":2}', '[{"action":"login","v":2}]',
    '{"action":"login","v":2', '{"action":"log\\u0000in","v":2}',
])
def test_a_document_that_cannot_be_told_apart(world, body):
    account = world.accounts["when"]
    untouched(account, lambda: send(account, body, path="/rpc", kind=JSON), "username_unreadable")


def test_what_when_rules_on_comes_in_no_other_way(world):
    account = world.accounts["when"]
    for query in ("grant_type=password", "grant_type=refresh_token", "GRANT_TYPE=password", "grant%5Ftype=x", "username=bob", "kind=pin"):
        untouched(account, lambda: send(account, "grant_type=refresh_token", path=f"/oauth/token?{query}"), "username_unreadable") \
            if "username" not in query else None
        untouched(account, lambda: send(account, "grant_type=password&username=ada&password=x", path=f"/oauth/token?{query}"), "username_unreadable")
    for kind in ("multipart/form-data; boundary=x", "text/plain", JSON, f"{FORM}; charset=utf-16"):
        untouched(account, lambda: send(account, "grant_type=password&username=bob", path="/oauth/token", kind=kind), "content_type_unsupported")
    for method in ("PUT", "PATCH", "QUERY", "DELETE"):
        untouched(account, lambda: send(account, "grant_type=password&username=bob", path="/oauth/token", method=method), "method_not_allowed")
    for method in ("GET", "OPTIONS"):
        untouched(account, lambda: send(account, "grant_type=password&username=bob", path="/oauth/token", method=method), "username_unreadable")
        assert account.client().request(method, account.url("/oauth/token")).code is None


# `attribute`: the name is an email address or a phone number.

@pytest.mark.parametrize("attribute, names", [
    ("email", ["ada@acme.com", "ADA@acme.com", "Ada@Acme.COM"]), ("phone", ["+4915112345678", "+49 151 12345678", "0049-151-12345678", "+49(151)12345678"]),
])
def test_the_session_is_the_users_whatever_was_typed(world, attribute, names):
    for mode, name in itertools.product(("enabled", "admins"), names):
        account = world.accounts[f"{attribute}-{mode}"]
        body = urllib.parse.urlencode({"name": name, "password": "right"})
        client = is_in(account, "ada", lambda client: send(account, body, client=client))
        assert client.get(account.url("/sso/session")).json()["method"] == "password"


@pytest.mark.parametrize("attribute, names", [("email", ["bob@acme.com", "nobody@acme.com", "bob"]), ("phone", ["+4915100000000", "bob"])])
def test_an_address_of_somebody_else(world, attribute, names):
    account = world.accounts[f"{attribute}-admins"]
    for name in names:
        body = urllib.parse.urlencode({"name": name, "password": "right"})
        untouched(account, lambda: send(account, body), "password_not_allowed")


@pytest.mark.parametrize("code, field, names, refusal", [
    ("email-enabled", "name", ["ina", "Ina", "ina@acme.com"], "user_inactive"), ("phone-enabled", "name", ["ina", "INA"], "user_inactive"),
    ("enabled", "username", ["ina", "INA", "ina@acme.com"], "user_inactive"), ("enabled", "username", ["\u0130na", "\u0130NA", "\u0131na"], "username_unreadable")])
def test_an_inactive_user_gets_in_by_no_other_field_or_case(world, code, field, names, refusal):
    """An application may take both in one field, and map the case of a letter in its own way."""
    account = world.accounts[code]
    for name in names:
        untouched(account, lambda: send(account, urllib.parse.urlencode({field: name, "password": "right"})), refusal)
    other = "\u0130da" if field == "username" else "stranger"
    is_in(account, other, lambda client: send(account, urllib.parse.urlencode({field: other, "password": "right"}), client=client))


# Other spellings of the path: lists of procedures, scripts in front, extensions.

@pytest.fixture(scope="module")
def paths(make_world):
    world = make_world("password-paths")
    for mode in ("admins", "disabled"):
        world.account(mode, password(mode, [login("/api/trpc/auth.login", json="/0/username"), login("/app/login", form="username"),
                                            login("/signin.php", form="username")]))
    world.start()
    return world


def aliases():
    for parts in (["auth.login", "auth.login"], ["auth.login", "x.y"], ["x.y", "auth.login"], ["x", "auth.login", "y"], ["auth.login", ""], ["", "auth.login"],
                  ["AUTH.LOGIN", "x"]):
        for comma in (",", "%2C", "%2c", "%252c"):
            yield "/api/trpc/" + comma.join(parts) + "?batch=1", JSON
            yield "/api//trpc/" + comma.join(parts), JSON
            yield "/api/trpc/" + comma.join(parts) + "/", JSON
    for script in ("index.php", "INDEX.PHP", "index.p%68p", "app.phtml", "run.cgi", "main.fcgi", "x.pl", "x.py", "x.jsp", "Default.aspx", "h.ashx", "index.php5",
                   "index.php;x", "index.php."):
        yield f"/{script}/app/login", FORM
        yield f"//{script}//app/login", FORM
        yield f"/x/{script}/app/login", FORM
        yield f"/index.php/{script}/app/login/", FORM
        yield f"/app/{script}/login", FORM
    for last in ("login.php", "login.html", "login.json", "login.PHP", "login/index.php", "login/index.html", "login.php/x", "LOGIN.php/"):
        yield f"/app/{last}", FORM
    for path in ("/signin", "/signin/", "/signin/x", "/signin.php/x", "/SignIn.php", "/signin.phtml", "/signin.html", "/signin.php5", "/index.php/signin.php"):
        yield path, FORM


@pytest.mark.parametrize("mode", ["admins", "disabled"])
def test_lists_scripts_and_extensions(paths, mode):
    account, problems = paths.accounts[mode], []
    mark = paths.app.mark()
    for (path, kind), method in itertools.product(aliases(), ("POST", "PUT", "OPTIONS")):
        body = '{"0":{"username":"bob","password":"right"},"1":{"username":"bob","password":"right"}}' if kind == JSON else "username=bob&password=right"
        reply = send(account, body, path=path, kind=kind, method=method)
        if reply.code != "request_invalid" or reply.status != 400:
            problems.append((method, path, reply))
    assert problems == []
    paths.app.nothing_since(mark)


@pytest.mark.parametrize("path", ["/api/trpc/auth.logout", "/api/trpc/x,y", "/api/trpc/user.list,auth.logins?batch=1", "/index.php/app/logout", "/index.php",
                                  "/app/", "/app/logins", "/app/login/reset", "/signin2", "/sign.php", "/signout.php/x", "/x.php/app/log"])
def test_other_paths_pass(paths, path):
    account = paths.accounts["admins"]
    reply = send(account, "a=1", path=path)
    assert reply.code is None and reply.status == 200, reply


def test_the_path_itself(paths):
    account = paths.accounts["admins"]
    refused(send(account, "username=bob&password=right", path="/app/login"), "password_not_allowed")
    refused(send(account, "username=bob&password=right", path="/signin.php"), "password_not_allowed")
    refused(send(account, '{"0":{"username":"bob"}}', path="/api/trpc/auth.login?batch=1"), "password_not_allowed")
