"""The password rule: a login passes only when it is certain whom the application will authenticate.

Every refusal is proved twice, by its code and by an application that received not one byte; every one has a twin that
passes.
"""

import base64
import itertools
import json
import threading

import pytest

from harness.app import Answer
from harness.client import exchange
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.net import eventually
from harness.readers import agree, pairs

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
USERS = [
    {"username": "root", "email": "root@acme.com", "roles": ["account_admin"]},
    {"username": "ada", "email": "ada@acme.com", "roles": ["editor"]},
    {"username": "ina", "email": "ina@acme.com", "roles": ["account_admin"], "active": False},
    {"username": "tom", "email": "tom@acme.com", "roles": ["not_account_admin", "account_admin2", "Account_Admin", "account", "admin"]},
    {"username": "renée", "email": "renee@acme.com", "roles": ["account_admin"]},
    {"username": "two", "email": "a@acme.com", "roles": ["account_admin"]},
    {"username": "TWO", "email": "b@acme.com", "roles": []},
]
LOGINS = [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}, {"path": "/api/login", "username": {"json": "/username"}, "success": {"status": [200]}}]


def password(mode, **changes):
    return {"password": {"mode": mode, "admin_roles": ["account_admin"], "logins": LOGINS, "page": "/login",
                         "attempts": {"limit": 1000, "window": "5m"}} | changes,
            "directory": {"static": {"users": USERS}}}


def sign_in(seen) -> Answer:
    """The application: whoever knows the word is in."""
    try:
        fields = json.loads(seen.body) if seen.path.startswith("/api") else dict(pairs(seen.body))
    except ValueError:
        fields = {}
    if fields.get("password") == "right":
        return Answer(200, [("set-cookie", "app_session=1; Path=/")], b"welcome")
    return Answer(401, [], b"wrong")


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password")
    for mode in ("enabled", "admins", "disabled"):
        world.account(mode, password(mode))
    other = world.account("other", password("admins"))
    other.config["directory"] = {"static": {"users": [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]}]}}
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
    nested = world.account("nested", password("admins", logins=[{"path": "/login", "username": {"form": "user[name]"}, "success": {"status": [200]}},
                                                                {"path": "/api/login", "username": {"json": "/user/name"}, "success": {"status": [200]}}]))
    assert nested
    world.app.routes |= {"/login": sign_in, "/api/login": sign_in}
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


def form(account, username="root", word="right", client=None, **options):
    options = {"body": {"username": username, "password": word}} | options
    options["headers"] = {"origin": account.origin} | options.get("headers", {})
    return (client or account.client()).post(account.url(options.pop("path", "/login")), **options)


def as_json(account, username="root", word="right", client=None, **options):
    options = {"body": json.dumps({"username": username, "password": word})} | options
    options["headers"] = {"origin": account.origin, "content-type": JSON} | options.get("headers", {})
    return (client or account.client()).post(account.url(options.pop("path", "/api/login")), **options)


WAYS = [form, as_json]
ways = pytest.mark.parametrize("way", WAYS, ids=["form", "json"])


def untouched(account, send, *codes, status=None):
    mark = account.world.app.mark()
    reply = refused(send(), *codes, status=status)
    account.world.app.nothing_since(mark)
    return reply


def passes(account, send, user="root"):
    """Reaches the application, and opens a session for this user."""
    mark, client = account.world.app.mark(), account.client()
    reply = send(client)
    assert reply.status in (200, 204, 302) and reply.code is None, reply
    assert len(account.world.app.since(mark)) == 1
    if user:
        seen = client.get(account.url("/who")).seen()
        assert seen["x-sso-user"] == [user.encode().decode("latin-1") if user.isascii() else "ren%C3%A9e"], seen
        assert seen["x-sso-method"] == ["password"]
    return client


# The table of section 6.

@ways
@pytest.mark.parametrize("mode, user, code", [
    ("enabled", "root", None), ("enabled", "ada", None), ("enabled", "nobody", None), ("enabled", "ina", "user_inactive"),
    ("enabled", "renée", None),
    ("admins", "root", None), ("admins", "renée", None), ("admins", "ada", "password_not_allowed"), ("admins", "nobody", "password_not_allowed"),
    ("admins", "ina", "password_not_allowed"), ("admins", "tom", "password_not_allowed"),
    ("admins", "Root", "password_not_allowed"), ("admins", "two", "password_not_allowed"), ("admins", "TWO", "password_not_allowed"),
    ("admins", "root@acme.com", "password_not_allowed"), ("admins", "*", "password_not_allowed"),
    ("admins", 'x" or userName eq "root', "password_not_allowed"), ("admins", "root)(|(uid=*", "password_not_allowed"),
    ("disabled", "root", "password_disabled"), ("disabled", "ada", "password_disabled"), ("disabled", "nobody", "password_disabled"),
    ("other", "ada", None), ("other", "root", "password_not_allowed"),
])
def test_who_may_use_a_password(world, way, mode, user, code):
    account = world.accounts[mode]
    if code is None:
        passes(account, lambda client: way(account, user, client=client), user)
    else:
        untouched(account, lambda: way(account, user), code)


@ways
def test_a_wrong_password_opens_nothing(world, way):
    account = world.accounts["enabled"]
    client = account.client()
    assert way(account, word="wrong", client=client).status == 401
    assert not session_cookies(client)
    signed_out(client, account)


@ways
def test_unknown_users_are_refused_like_ordinary_ones(world, way):
    """Byte for byte, but for the request's id: nobody learns who exists."""
    account = world.accounts["admins"]

    def answer(name):
        reply = untouched(account, lambda: way(account, name), "password_not_allowed")
        request_id = reply.get("x-request-id") or reply.json().get("request_id") or ""
        headers = [(k, v) for k, v in reply.headers if k not in ("date", "x-request-id", "x-envoy-upstream-service-time", "content-length")]
        body = reply.json()
        body.pop("request_id", None)
        return reply.status, headers, body, request_id != ""

    first = answer("ada")
    assert first[3]
    for name in ("nobody", "ina", "tom", "two"):
        assert answer(name) == first


@ways
def test_the_body_is_forwarded_byte_for_byte(world, way):
    account = world.accounts["admins"]
    bodies = {form: b"csrf=%e4%bd%a0&username=%72oot&password=right&x=+a%20b&empty=&novalue",
              as_json: b'{ "x": [1e3, null, {"a":"\\u00e9"}],\r\n\t"username" : "\\u0072oot", "password":"right" , "z":{} }\n'}
    mark = world.app.mark()
    passes(account, lambda client: way(account, client=client, body=bodies[way].decode(),
                                       headers={"content-type": FORM if way is form else JSON}))
    [seen, *_] = world.app.since(mark)
    assert seen.body == bodies[way] and seen.get("content-length") == str(len(bodies[way]))
    assert not seen.named("x-sso-"), seen.headers


# What a head may say.

HEADS = {
    "another content type": ({"content-type": "text/plain"}, "content_type_unsupported"),
    "multipart": ({"content-type": "multipart/form-data; boundary=x"}, "content_type_unsupported"),
    "no content type": ({"content-type": None}, "content_type_unsupported"),
    "another charset": ({"content-type": "{own}; charset=utf-16"}, "content_type_unsupported"),
    "Latin-1": ({"content-type": "{own}; charset=iso-8859-1"}, "content_type_unsupported"),
    "two charsets": ({"content-type": "{own}; charset=utf-8; charset=utf-16"}, "content_type_unsupported"),
    "a list of types": ({"content-type": "{own}, text/plain"}, "content_type_unsupported"),
    "the other type": ({"content-type": "{other}"}, "content_type_unsupported"),
    "a type that begins alike": ({"content-type": "{own}x"}, "content_type_unsupported"),
    "gzip": ({"content-encoding": "gzip"}, "content_type_unsupported"),
    "identity": ({"content-encoding": "identity"}, "content_type_unsupported"),
    "cross-site": ({"sec-fetch-site": "cross-site"}, "request_invalid"),
    "same-site": ({"sec-fetch-site": "same-site"}, "request_invalid"),
    "a foreign origin": ({"origin": "https://evil.test"}, "request_invalid"),
    "a null origin": ({"origin": "null"}, "request_invalid"),
    "an origin that begins alike": ({"origin": "{origin}.evil.test"}, "request_invalid"),
    "another port": ({"origin": "{origin}:8443"}, "request_invalid"),
    "plain HTTP": ({"origin": "http://admins.app.test"}, "request_invalid"),
}


@ways
@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_is_refused(world, way, what):
    account = world.accounts["admins"]
    own, other = (FORM, JSON) if way is form else (JSON, FORM)
    headers, code = HEADS[what]
    headers = {name: value and value.format(own=own, other=other, origin=account.origin) for name, value in headers.items()}
    body = "username=root&password=right" if way is form else '{"username": "root", "password": "right"}'
    untouched(account, lambda: way(account, body=body, headers={"content-type": own} | headers), code,
              status=403 if code == "request_invalid" else None)


@ways
@pytest.mark.parametrize("headers", [{}, {"origin": None}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"},
                                     {"content-type": "{own};charset=UTF-8"}, {"content-type": "{own} ; charset=\"utf-8\""}], ids=str)
def test_a_head_that_passes(world, way, headers):
    account = world.accounts["admins"]
    own = FORM if way is form else JSON
    body = "username=root&password=right" if way is form else '{"username": "root", "password": "right"}'
    headers = {"content-type": own} | {name: value and value.format(own=own) for name, value in headers.items()}
    passes(account, lambda client: way(account, client=client, body=body, headers=headers))


@pytest.mark.parametrize("header", ["content-type", "origin", "sec-fetch-site"])
def test_a_header_twice(world, header):
    account = world.accounts["admins"]
    body = b"username=root&password=right"
    value = {"content-type": FORM, "origin": account.origin, "sec-fetch-site": "same-origin"}[header]
    other = {"content-type": JSON, "origin": "https://evil.test", "sec-fetch-site": "cross-site"}[header]
    for second in (other, value):
        head = f"POST /login HTTP/1.1\r\nhost: admins.app.test\r\ncontent-length: {len(body)}\r\n{header}: {value}\r\n{header}: {second}\r\n"
        head += "" if header == "content-type" else f"content-type: {FORM}\r\n"
        untouched(account, lambda: exchange(world.port, (head + "connection: close\r\n\r\n").encode() + body),
                  "content_type_unsupported", "request_invalid", status=415 if header == "content-type" else 403)


@ways
@pytest.mark.parametrize("query", ["username=ada", "USERNAME=ada", "username", "username[]=ada", "user%6eame=ada", "user%256eame=ada",
                                   "a=b;username=ada", "%00username=ada", "username%00=ada", "user%u006eame=ada", "x=1&username=root",
                                   "_method=PUT", "username.x=ada", "+username=ada"])
def test_the_field_in_the_query_too(world, way, query):
    account = world.accounts["admins"]
    path = ("/login" if way is form else "/api/login") + "?" + query
    body = "username=root&password=right" if way is form else '{"username": "root", "password": "right"}'
    untouched(account, lambda: account.client().request("POST", account.url("/"), target=path, body=body, headers={
        "origin": account.origin, "content-type": FORM if way is form else JSON}), "username_unreadable")


@ways
def test_another_query_passes(world, way):
    account = world.accounts["admins"]
    passes(account, lambda client: way(account, client=client, path=("/login" if way is form else "/api/login") + "?next=%2Fhome&lang=x"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "post", "POSTS", "TRACE", "PROPFIND", "QUERY"])
@pytest.mark.parametrize("path", ["/login", "/api/login"])
def test_other_methods(world, method, path):
    account = world.accounts["admins"]
    mark = world.app.mark()
    reply = account.client().request(method, account.url(path), body="username=root&password=right", headers={"content-type": FORM})
    assert reply.status in (405, 400, 501), reply
    if reply.code:
        refused(reply, "method_not_allowed")
    world.app.nothing_since(mark)


@pytest.mark.parametrize("path", ["/login", "/api/login"])
def test_reading_the_page_passes_and_credentials_in_it_do_not(world, path):
    account = world.accounts["admins"]
    for method, query in itertools.product(("GET", "HEAD", "OPTIONS"), ("", "?next=/x")):
        mark = world.app.mark()
        assert account.client().request(method, account.url(path + query)).code is None
        assert len(world.app.since(mark)) == 1
    for method, query in itertools.product(("GET", "HEAD"), ("?username=root&password=right", "?Username=root", "?username")):
        mark = world.app.mark()
        reply = account.client().request(method, account.url(path + query))
        assert (reply.status, reply.code) == (400, "username_unreadable"), reply
        world.app.nothing_since(mark)
    untouched(account, lambda: account.client().request("GET", account.url(path), body="username=root&password=right",
                                                        headers={"content-type": FORM}), "username_unreadable")


@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "x-http-method", "x-original-url", "x-rewrite-url"])
def test_headers_that_change_the_request_do_not_arrive(world, header):
    account = world.accounts["admins"]
    mark = world.app.mark()
    value = "/login" if "url" in header else "PUT"
    passes(account, lambda client: form(account, client=client, headers={header: value}))
    assert not world.app.since(mark)[0].all(header)


ALIASES = ["/login/", "/LOGIN", "/Login", "/login;a=b", "/login%2f", "/login%2F", "//login", "/./login", "/x/../login", "/%6cogin",
           "/login%20", "/login.", "/login%00", "/login%00x", "/login%3b", "/login%3fx", "/login%23", "/%2flogin", "/login.php",
           "/login.json", "/login\\", "/\\login", "/x%2f..%2flogin", "/%256cogin", "/login/.", "/login/./", "/login//",
           "/ｌogin", "/login;", "/;a=b/login", "/login%09", "/lo%C2%ADgin"]


@pytest.mark.parametrize("alias", ALIASES)
def test_another_spelling_of_the_path(world, alias):
    """Refused, or (where Envoy itself made it the path) ruled on: never a login that nobody ruled on."""
    for mode, name in (("admins", "ada"), ("disabled", "root")):
        account = world.accounts[mode]
        mark = world.app.mark()
        reply = account.client().request("POST", account.url("/"), target=alias.encode().decode("latin-1"), body=f"username={name}&password=right",
                                         headers={"origin": account.origin, "content-type": FORM})
        assert reply.status in (400, 403, 404), reply
        if reply.code:
            assert reply.code in ("request_invalid", "password_not_allowed", "password_disabled"), reply
        world.app.nothing_since(mark)


@pytest.mark.parametrize("path", ["/loginx", "/log", "/x/login", "/login/forgotten", "/logins"])
def test_another_path_is_another_path(world, path):
    account = world.accounts["admins"]
    client = passes(account, lambda client: form(account, client=client))
    reply = client.post(account.url(path), body="username=ada", headers={"content-type": FORM, "origin": account.origin})
    assert reply.status == 200 and reply.code is None, reply


# Sizes.

@ways
def test_a_body_in_chunks_over_the_limit_touches_nothing(world, way):
    account = world.accounts["admins"]
    path, kind = ("/login", FORM) if way is form else ("/api/login", JSON)
    start = b"username=root&password=right&x=" if way is form else b'{"username":"root","password":"right","x":"'
    head = f"POST {path} HTTP/1.1\r\nhost: admins.app.test\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    body = start + b"a" * 200_000 + (b"" if way is form else b'"}')
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 4096]), body[at:at + 4096]) for at in range(0, len(body), 4096)) + b"0\r\n\r\n"
    untouched(account, lambda: exchange(world.port, head.encode() + chunks), "body_too_large")
    # Its twin is small enough: the same in chunks of seven bytes.
    body = start + b"a" * 2000 + (b"" if way is form else b'"}')
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 7]), body[at:at + 7]) for at in range(0, len(body), 7)) + b"0\r\n\r\n"
    mark = world.app.mark()
    reply = exchange(world.port, head.encode() + chunks)
    assert reply.status == 200 and world.app.since(mark)[0].body == body, reply


@ways
@pytest.mark.parametrize("over", [0, 1])
def test_the_exact_limit(world, way, over):
    account = world.accounts["admins"]
    start, end = ("username=root&password=right&x=", "") if way is form else ('{"username":"root","password":"right","x":"', '"}')
    body = start + "a" * (64 * 1024 - len(start) - len(end) + over) + end
    kind = {"content-type": FORM if way is form else JSON}
    if over:
        untouched(account, lambda: way(account, body=body, headers=kind), "body_too_large")
    else:
        passes(account, lambda client: way(account, client=client, body=body, headers=kind))


@ways
def test_a_login_that_is_never_finished_touches_nothing(world, way):
    import socket
    mark = world.app.mark()
    path, kind = ("/login", FORM) if way is form else ("/api/login", JSON)
    with socket.create_connection(("127.0.0.1", world.port)) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nhost: admins.app.test\r\ncontent-type: {kind}\r\ncontent-length: 28\r\n\r\nusername=root".encode())
        assert form(world.accounts["admins"], "ada").code == "password_not_allowed"
    world.app.nothing_since(mark)


# The same login in other clothes.

def raw(account, head: str, body: bytes):
    return exchange(account.world.port, head.replace("\n", "\r\n").encode("latin-1") + b"connection: close\r\n\r\n" + body, method="POST")


@pytest.mark.parametrize("head", [
    "POST http://admins.app.test/login HTTP/1.1\nhost: evil.test\n",
    "POST /login HTTP/1.1\nhost: ADMINS.app.test\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nexpect: 100-continue\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nupgrade: websocket\nsec-websocket-key: eA==\nsec-websocket-version: 13\n",
    "POST /login#x HTTP/1.1\nhost: admins.app.test\n",
    "POST /login? HTTP/1.1\nhost: admins.app.test\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-original-url: /healthz\nx-rewrite-url: /healthz\n",
    "POST /healthz HTTP/1.1\nhost: admins.app.test\nx-original-url: /login\nx-http-method-override: GET\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-sso-user: root\nx-sso-method: password\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-forwarded-host: enabled.app.test\nx-forwarded-proto: https\n",
])
def test_a_login_in_other_clothes(world, head):
    """Nobody but an administrator gets a password to the application by it."""
    account = world.accounts["admins"]
    body = b"username=ada&password=right"
    mark = world.app.mark()
    reply = raw(account, head + f"content-type: {FORM}\ncontent-length: {len(body)}\n", body)
    if head.startswith("POST /healthz"):
        # Another path: it arrives as that, without the headers that would make it a login.
        [seen] = world.app.since(mark)
        assert seen.path == "/healthz" and not seen.all("x-original-url") and not seen.all("x-http-method-override")
        return
    assert reply.status in (100, 400, 403, 404), reply
    world.app.nothing_since(mark)


def test_nothing_of_a_refused_login_is_left_on_the_connection(world):
    """On one connection: a refused login, then a request that passes. The application sees the second only."""
    import http.client
    account = world.accounts["admins"]
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=30)
    mark = world.app.mark()
    for _ in range(3):
        connection.request("POST", "/login", b"username=ada&password=right&x=GET /who HTTP/1.1",
                           {"host": "admins.app.test", "content-type": FORM, "origin": account.origin})
        answer = connection.getresponse()
        assert answer.status in (400, 403), answer.read()
        answer.read()
        connection.request("GET", "/healthz", headers={"host": "admins.app.test"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()
    assert [(seen.method, seen.path, seen.body) for seen in world.app.since(mark)] == [("GET", "/healthz", b"")] * 3


def test_a_refusal_is_a_page_for_people(world):
    account = world.accounts["admins"]
    mark = world.app.mark()
    reply = form(account, "ada", navigation=True, headers={"sec-fetch-site": "same-origin"})
    refused(reply, "password_not_allowed")
    assert "text/html" in reply.get("content-type") and "/sso/login" in reply.text
    assert "ada" not in reply.text and "right" not in reply.text, "what was typed is not repeated"
    world.app.nothing_since(mark)


# Bodies that parsers read differently.

def hostile_forms():
    """Two names in every way to write a form that some parser takes for one, in both orders."""
    spellings = ["username", "Username", "USERNAME", "user%6eame", "user%6Eame", "username[]", "username[0]", "username[x]", "username%5B%5D",
                 "+username", "username+", "%20username", "username%00", "username%00x", "user.name", "user_name", "username.", "%EF%BB%BFusername",
                 "user%C2%ADname", "ｕsername", "%EF%BD%95sername", "u%C5%BFername", "username%0a", "user%u006eame", "username[", "[username]",
                 "user[name]", "user%2525name", "_username", "username%5b", "\tusername", "username\x00"]
    for spelling, (mine, theirs), separator in itertools.product(spellings, [("root", "ada"), ("ada", "root")], ["&", ";", "&amp;", "\n"]):
        yield f"username={mine}{separator}{spelling}={theirs}&password=right"
        yield f"{spelling}={theirs}{separator}username={mine}&password=right"
    for name in ["root%00ada", "root%0aada", "root%0d%0a", "+root", "root+", "root%20", "%20root", "ro%6ft", "ro%C2%ADot", "r%EF%BD%8Fot", "roo%74",
                 "root%", "root%0", "root%zz", "%ff", "%C0%AFroot", "root%E2%80%8B", "ROOT", "root,ada", "root;ada", "root&ada", "root=ada",
                 "ren%C3%A9e", "rene%CC%81e", "ren%E9e", "%FEroot", "root%u0000", "root'--", "root%22", "root*", "", "%00", "root\x00", "root\tada"]:
        yield f"username={name}&password=right"
        yield f"password=right&username={name}"
    for extra in ["_charset_=utf-16", "_charset_=utf-8", "_method=PUT", "__proto__[username]=ada", "constructor=1", "&&&", "=", "=ada", "a=%",
                  "user=ada", "name=ada", "login=ada", "x[username]=ada", "json={\"username\":\"ada\"}", "x=" + "&x=" * 300]:
        yield f"username=root&password=right&{extra}"
        yield f"{extra}&username=root&password=right"
    yield "\ufeffusername=root&password=right"
    yield "username=root&password=right\r\n\r\nusername=ada"
    yield "{\"username\":\"ada\",\"password\":\"right\"}&username=root"
    yield ""
    yield "username"
    yield "password=right"
    yield "&".join(f"a{n}=1" for n in range(1001)) + "&username=root&password=right"
    yield "username=root&" + "&".join(f"a{n}=1" for n in range(1001)) + "&username=ada&password=right"


def hostile_json():
    keys = ['"username"', '"Username"', '"USERNAME"', '"user\\u006eame"', '"user\\u006Eame"', '"username "', '" username"', '"username\\u0000"',
            '"user.name"', '"user_name"', '"username[]"', '"username[0]"', '"user\\u00adname"', '"\\uff55sername"', '"u\\u017fername"', '"/username"',
            '"\\ufeffusername"', '"username\\n"', "'username'", "username", '"__proto__"', '"constructor"', '"$username"', '"userName"', '"user-name"']
    for key, (mine, theirs) in itertools.product(keys, [("root", "ada"), ("ada", "root")]):
        yield f'{{"username":"{mine}",{key}:"{theirs}","password":"right"}}'
        yield f'{{{key}:"{theirs}","username":"{mine}","password":"right"}}'
        yield f'{{"password":"right","username":"{mine}","x":1,{key}:["{theirs}"]}}'
    for value in ['"root\\u0000"', '"root\\u0000ada"', '"root "', '" root"', '"ro\\u006ft"', '"\\u0072oot"', '"root\\n"', '["root"]', '["root","ada"]',
                  '{"x":"root"}', "1", "null", "true", '"root', "'root'", "root", '"ROOT"', '"\\ud800root"', '"ro\\u00adot"', '"\\uff52oot"',
                  '"ren\\u00e9e"', '"rene\\u0301e"', '"renée"', '"rene\u0301e"', '""', '"\\u200broot"', '"root\\', '"ro\tot"', '"ro\x00ot"', '"root\ufeff"',
                  '"root" "ada"', '"root"/**/', '/**/"root"', '"root",', '"root"//x\n', "NaN", "1e999", '"\\x72oot"', '"roo\\t"']:
        yield f'{{"username":{value},"password":"right"}}'
        yield f'{{"password":"right","username":{value}}}'
    good = '{"username":"root","password":"right"}'
    other = good.replace("root", "ada")
    for body in [f"\ufeff{good}", f"{good}{other}", f"{good}\n{other}", f"{good}\x00{other}", f"[{good}]", f"[{good},{other}]", f"{good},", f"{good}]",
                 f"\x00{good}", f"\x0c{good}", f"\u00a0{good}", f"//x\n{good}", f")]}}',\n{good}", good[:-1], good[1:], good.replace(":", "="),
                 good.replace('"', "'"), '{"user":{"username":"ada"},"username":"root","password":"right"}',
                 '{"user":{"name":"ada"},"username":"root","password":"right"}', '{"x":{"username":"ada"},"username":"root","password":"right"}',
                 '{"username":"root","password":"right","x":{"a":1,"a":2}}', '{"username":"root","password":"right",}', '{"username":"root" "password":"right"}',
                 '{"username":"root","password":"right","username":"root"}', "[" * 5000, '{"a":' * 5000, '{"username":"root","password":"right","n":01}',
                 '{"username":"root","password":"right","n":+1}', '{"username":"root","password":"right","n":.5}',
                 '{"username":"root","password":"right","n":Infinity}', "", " ", "null", '"root"', "username=root&password=right", "{}",
                 f"username=ada&x={good}", '{"user":"ada","username":"root","password":"right"}', '{"login":"ada","username":"root","password":"right"}',
                 '{"username":"root","password":"\ud83d\ude00right"}'.encode("utf-16", "surrogatepass").decode("utf-16")]:
        yield body
    for charset in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"):
        yield good.encode(charset)
    yield good.replace("root", "roöt").encode("latin-1")
    yield b'{"username":"root","password":"right","x":"\xff"}'
    yield b'{"username":"r\xc0\xafoot","password":"right"}'
    yield b'{"username":"\xed\xa0\x80root","password":"right"}'


@pytest.mark.parametrize("mode", ["enabled", "admins"])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_no_body_is_read_in_two_ways(world, mode, kind):
    """Either the filter refuses it and the application receives not one byte, or every parser agrees with the filter on
    the name: `x-sso-user` of the session that it opened."""
    account = world.accounts[mode]
    path, content = ("/login", FORM) if kind == "form" else ("/api/login", JSON)
    codes, passed, problems = {}, 0, []
    # The application takes every password here, so that every login that passes shows who was ruled on.
    world.app.routes |= {"/login": lambda seen: Answer(), "/api/login": lambda seen: Answer()}
    try:
        for body in hostile_forms() if kind == "form" else hostile_json():
            client, mark = account.client(), world.app.mark()
            reply = client.post(account.url(path), body=body, headers={"origin": account.origin, "content-type": content})
            if reply.code:
                codes[reply.code] = codes.get(reply.code, 0) + 1
                try:
                    refused(reply, "username_unreadable", "password_not_allowed")
                    world.app.nothing_since(mark)
                except AssertionError as failed:
                    problems.append((body, repr(failed)))
                continue
            passed += 1
            [seen] = world.app.since(mark)
            sent = body if isinstance(body, bytes) else body.encode()
            user = client.get(account.url("/sso/session")).json()["user"]
            user = user["username"] if isinstance(user, dict) else user
            if seen.body != sent:
                problems.append((body, "not byte for byte", seen.body))
            if mode == "admins" and user not in ("root", "renée"):
                problems.append((body, "let in", user))
            if mistaken := agree(seen, user):
                problems.append((body, user, mistaken[:5]))
    finally:
        world.app.routes |= {"/login": sign_in, "/api/login": sign_in}
    assert problems == []
    assert codes.get("username_unreadable", 0) > 50 and passed > 5, (codes, passed)


@ways
def test_a_nested_field(world, way):
    account = world.accounts["nested"]
    good = "user%5Bname%5D=root&password=right" if way is form else '{"user":{"name":"root","x":1},"password":"right"}'
    kind = {"content-type": FORM if way is form else JSON}
    passes(account, lambda client: way(account, client=client, body=good, headers=kind))
    bad = (["user[name]=root&user%5Bname%5D=ada&password=right", "user%5Bname%5D=root&user=ada", "user.name=ada&user%5Bname%5D=root",
            "user%5Bname%5D%5B%5D=ada&user%5Bname%5D=root", "user%5Bname=ada&user%5Bname%5D=root", "user_name=ada&user%5Bname%5D=root"] if way is form else
           ['{"user":{"name":"root"},"user":{"name":"ada"}}', '{"user":{"name":"root","Name":"ada"}}', '{"user":{"name":"root"},"User":{"name":"ada"}}',
            '{"user":[{"name":"root"}]}', '{"user":{"name":"root"},"user.name":"ada"}', '{"user":{"name":["root"]}}', '{"user":"root"}'])
    for body in bad:
        untouched(account, lambda: way(account, body=body, headers=kind), "username_unreadable")


# Basic credentials.

@pytest.mark.parametrize("value", ["Basic {}", "basic {}", "BASIC  {}", "Basic\t{}"])
def test_basic_counts_on_paths_of_programs_only(world, value):
    account = world.accounts["admins"]
    headers = {"authorization": value.format(base64.b64encode(b"ada:right").decode())}
    mark = world.app.mark()
    assert account.client().get(account.url("/api/sql/x"), headers=headers).seen()["authorization"] == [headers["authorization"]]
    # `anyone`: passes without them.
    assert "authorization" not in account.client().get(account.url("/healthz"), headers=headers).seen()
    # `users`: nobody is signed in by them.
    mark = world.app.mark()
    refused(account.client().get(account.url("/who"), headers=headers), "login_required")
    world.app.nothing_since(mark)
    # Beside a session they do not arrive.
    client = passes(account, lambda client: form(account, client=client))
    assert "authorization" not in client.get(account.url("/who"), headers=headers).seen()
    # Nor beside a login that is ruled on, nor on the way to its page.
    mark = world.app.mark()
    account.client().get(account.url("/api/login"), headers=headers)
    passes(account, lambda client: form(account, client=client, headers=headers))
    assert all("authorization" not in (name.lower() for name, _ in seen.headers) for seen in world.app.since(mark))


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


def test_without_stop_iteration_nothing_passes(make_world):
    """Envoy calls no body callback then: the wait ends, and no login passes unread, readable or not."""
    world = make_world("unread")
    world.filter_options["stop_iteration"] = False
    account = world.account("acme", password("enabled"))
    world.app.routes |= {"/login": sign_in, "/api/login": sign_in}
    world.start()
    assert account.client().get(account.url("/healthz")).status == 200
    replies, mark = [], world.app.mark()
    sends = [lambda: form(account), lambda: form(account, body={"username[]": "root", "username": "ada"}), lambda: as_json(account)]
    threads = [threading.Thread(target=lambda send=send: replies.append(send())) for send in sends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status in (400, 503) for reply in replies] == [True] * 3, replies
    logged = {event.get("request_id") for event in world.envoy.events() if event.get("code") == "not_ready"}
    for reply in replies:
        if reply.code == "not_ready":
            shown = [id for id in logged if id and id in reply.text]
            assert shown, f"nobody finds {reply} in the log: {logged}"
    world.app.nothing_since(mark)
