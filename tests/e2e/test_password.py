"""The password rule: a login passes only when it is certain whom the application will authenticate.

Every refusal is proved twice, by its code and by an application that received not one byte; every one has a twin that
passes. Bodies are in test_password_bodies.py; attempts, sessions and the directory in test_password_sessions.py.
"""

import itertools
import threading

import pytest

from harness.client import exchange
from harness.expect import refused, session_cookies, signed_out
from harness.password_rule import FORM, JSON, as_json, form, modes, passes, password, sign_in, untouched, ways


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password")
    modes(world)
    other = world.account("other", password("admins"))
    other.config["directory"] = {"static": {"users": [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]}]}}
    return world.start()


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
    """Byte for byte, but for the request's id: an answer tells no stranger who exists."""
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


def test_a_refusal_is_a_page_for_people(world):
    account = world.accounts["admins"]
    mark = world.app.mark()
    reply = form(account, "ada", navigation=True, headers={"sec-fetch-site": "same-origin"})
    refused(reply, "password_not_allowed")
    assert "text/html" in reply.get("content-type") and "/sso/login" in reply.text
    assert "ada" not in reply.text and "right" not in reply.text, "what was typed is not repeated"
    world.app.nothing_since(mark)


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
