"""Was the password right? What the application answers to a login, read strictly: a wrong password opens nothing.

Each answer to a wrong password stands beside one to a right password that differs in one thing.
"""

import gzip
import itertools
import json
import socket
import threading

import pytest

from harness.app import Answer
from harness.expect import session_cookies, signed_in, signed_out
from harness.net import eventually

FORM = "application/x-www-form-urlencoded"
JSON_TYPE = ("content-type", "application/json")
USERS = [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]}]
CONDITIONS = {
    "status": {"status": [200]},
    "cookie": {"cookie": "app_session"},
    "redirect": {"redirect": "/home"},
    "away": {"redirect_not": "/login*"},
    "away-here": {"redirect_not": "/login"},
    "away-query": {"redirect_not": "/login?error*"},
    "json": {"json": {"pointer": "/access_token"}},
    "equals": {"json": {"pointer": "/result/code", "equals": 0}},
    "all": {"status": [200], "cookie": "app_session", "json": {"pointer": "/ok", "equals": True}},
}
LIMIT = 64 * 1024


def password(success, **more):
    return {"password": {"mode": "admins", "admin_roles": ["account_admin"], "attempts": {"limit": 3, "window": "5m"},
                         "logins": [{"path": "/login", "username": {"form": "username"}, "success": success}]} | more,
            "directory": {"static": {"users": USERS}}}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-answers", trailers=True)
    for name, success in CONDITIONS.items():
        world.account(name, password(success, attempts={"limit": 1000, "window": "5m"}))
    for name in ("broken", "counted", "outage", "left"):
        world.account(name, password(CONDITIONS["json"]))
    world.start()
    return world


def login(account, answer, client=None, **options):
    world = account.world
    world.app.routes["/login"] = lambda seen: answer
    mark, client = world.app.mark(), client or account.client()
    headers = {"origin": account.origin} | options.pop("headers", {})
    reply = client.post(account.url("/login"), body={"username": "ada", "password": "?"}, headers=headers, **options)
    return client, reply, world.app.since(mark)


def accepted(account, answer, **options):
    client, reply, seen = login(account, answer, **options)
    assert reply.code is None and len(seen) == 1, reply
    if session_cookies(client):
        signed_in(client, account, "ada")
        assert "no-store" in reply.get("cache-control") or "private" in reply.get("cache-control"), reply.headers
        return True
    signed_out(client, account)
    return False


def redirect(*to, status=302, headers=()):
    return Answer(status, [("location", where) for where in to] + list(headers))


COOKIE = ("set-cookie", "app_session=1")


@pytest.mark.parametrize("name, right, wrong", [
    ("status", [Answer(200)], [Answer(status) for status in (201, 204, 302, 400, 401, 403)]),
    ("cookie", [Answer(200, [COOKIE]), redirect("/", headers=[COOKIE])],
     [Answer(200), Answer(401, [COOKIE]), Answer(200, [("set-cookie", "app_session=")]), Answer(200, [("set-cookie", "xapp_session=1")])]),
    ("redirect", [redirect("/home"), redirect("home"), redirect("https://redirect.app.test/home"), redirect("/x/../home"), redirect("/home?a=1#b")],
     [redirect("/login"), redirect("/home2"), redirect("/home/"), redirect("//evil.test/home"), redirect("https://evil.test/home"), redirect("/login?next=/home"),
      redirect("/home", "/login"), redirect("/login", "/home"), redirect("/%68ome2"), Answer(200, [("location", "/home")]), Answer(201, [("location", "/home")]),
      redirect("http://redirect.app.test/home"), redirect("https://redirect.app.test:8443/home"), Answer(302), redirect("/\\evil.test/home"), redirect("")]),
    ("away", [redirect("/"), redirect("/home"), redirect("https://other.test/login"), redirect("/x/login"), redirect("../home"), redirect("/", status=303)],
     [redirect("/login"), redirect("/login?error"), redirect("login"), redirect("./login?x"), redirect("https://away.app.test/login"), redirect("//away.app.test/login"),
      redirect("http://away.app.test/login"), redirect("https://away.app.test:8443/login?x"), redirect("/x/../login"), redirect("/%6cogin"), redirect("?error=1"), redirect("#x"),
      redirect("/login/"), redirect("/", "/login"), redirect("/", "/home"), Answer(200), Answer(200, [("location", "/")]), Answer(302), Answer(304, [("location", "/")]),
      Answer(401, [("location", "/")])]),
    ("away-here", [redirect("/home"), redirect("/login/done")], [redirect("/login"), redirect("/login?error=1"), redirect("/login#x"), Answer(200)]),
    ("away-query", [redirect("/login?ok"), redirect("/")], [redirect("/login?error"), redirect("/login?error=bad"), redirect("?error"), Answer(200)]),
])
def test_heads(world, name, right, wrong):
    account = world.accounts[name]
    assert [answer for answer in right if not accepted(account, answer)] == []
    assert [answer for answer in wrong if accepted(account, answer)] == []


def as_json(value, status=200, headers=(), kind="application/json"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Answer(status, ([("content-type", kind)] if kind else []) + list(headers), body)


def chunked(body: bytes, size: int, headers=(), trailers=b""):
    """The connection closes after it, and says so, else Envoy would send the next request into the closing one."""
    head = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size))
    return Answer(200, [], raw=head.encode() + b"\r\n" + pieces + b"0\r\n" + trailers + b"\r\n")


def until_closed(body: bytes):
    return Answer(200, [], raw=b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n" + body)


TOKEN = {"access_token": "t-1", "expires_in": 60}
WHOLE = json.dumps(TOKEN).encode()


def of_size(size):
    """A document of exactly that many bytes."""
    start = b'{"access_token":"t","x":"'
    return start + b"a" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("what, answer", {
    "plain": as_json(TOKEN), "201": as_json(TOKEN, 201), "with a charset": as_json(TOKEN, kind="application/json; charset=utf-8"),
    "another JSON type": as_json(TOKEN, kind="application/vnd.api+json"), "an object": as_json({"access_token": {"x": 1}}), "a number": as_json({"access_token": 0}),
    "white space": as_json(b" \r\n" + WHOLE + b"\n"), "identity": as_json(TOKEN, headers=[("content-encoding", "identity")]),
    "chunked": chunked(WHOLE, 1000), "byte by byte": chunked(WHOLE, 1), "chunked with trailers": chunked(WHOLE, 7, trailers=b"x-trailer: 1\r\n"),
    "until it closes": until_closed(WHOLE), "64 KiB": as_json(of_size(LIMIT)), "64 KiB in chunks": chunked(of_size(LIMIT), 4096),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_right_password_by_json(world, what, answer):
    """The browser gets the answer as it was, whatever pieces it came in."""
    account = world.accounts["json"]
    client, reply, [seen] = login(account, answer, headers={"accept-encoding": "gzip, br"})
    assert reply.status in (200, 201) and session_cookies(client), reply
    signed_in(client, account, "ada")
    assert reply.json()["access_token"] is not None
    if answer.raw is None:
        assert reply.body == answer.body
    # The application is asked for an answer that can be read.
    assert seen.all("accept-encoding") in (["identity"], []), seen.headers


@pytest.mark.parametrize("what, answer", {
    "no such member": as_json({"code": 40101}), "null": as_json({"access_token": None}), "false": as_json({"access_token": False}), "empty": as_json({"access_token": ""}),
    "blank": as_json({"access_token": " "}), "an empty list": as_json({"access_token": []}), "an empty object": as_json({"access_token": {}}),
    "twice": as_json(b'{"access_token":"","access_token":"t"}'), "another twice": as_json(b'{"access_token":"t","x":1,"x":2}'), "in a list": as_json([TOKEN]),
    "below": as_json({"data": TOKEN}), "another case": as_json({"Access_Token": "t"}), "nothing": as_json(b""), "cut off": as_json(WHOLE[:-1]),
    "two documents": as_json(WHOLE + WHOLE), "a byte order mark": as_json(b"\xef\xbb\xbf" + WHOLE), "not UTF-8": as_json(b'{"access_token":"t","x":"\xff"}'),
    "UTF-16": as_json(WHOLE.decode().encode("utf-16")), "a prefix": as_json(b")]}',\n" + WHOLE), "401": as_json(TOKEN, 401), "302": as_json(TOKEN, 302, [("location", "/")]),
    "no type": as_json(TOKEN, kind=None), "text": as_json(TOKEN, kind="text/html"), "two types": as_json(TOKEN, headers=[("content-type", "text/html")]),
    "another charset": as_json(TOKEN, kind="application/json; charset=utf-16"), "said to be gzip": as_json(TOKEN, headers=[("content-encoding", "gzip")]),
    "gzip": as_json(gzip.compress(WHOLE), headers=[("content-encoding", "gzip")]), "too large": as_json(of_size(LIMIT + 1)), "much too large": as_json(of_size(1_000_000)),
    "too large in chunks": chunked(of_size(LIMIT + 1), 4096), "much too large in chunks": chunked(of_size(400_000), 4096), "204": Answer(204, [JSON_TYPE]),
    "HTML": Answer(200, [("content-type", "text/html")], b"<form>"), "an empty chunked answer": chunked(b"", 1), "gzip in chunks": chunked(gzip.compress(WHOLE), 5, [("content-encoding", "gzip")]),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_password_by_json(world, what, answer):
    """Or one that cannot be told: the answer arrives whole, and opens nothing."""
    account = world.accounts["json"]
    client, reply, [seen] = login(account, answer)
    assert reply.code is None and reply.status < 500, reply
    assert not session_cookies(client) and not reply.all("set-cookie"), reply.headers
    if answer.raw is None:
        assert (reply.status, reply.body) == (answer.status, answer.body)
    signed_out(client, account)


@pytest.mark.parametrize("value, right", [({"result": {"code": 0}}, True), ({"result": {"code": 0.0}}, True), ({"result": {"code": "0"}}, False), ({"result": {"code": 1}}, False),
                                          ({"result": {"code": None}}, False), ({"result": {"code": False}}, False), ({"result": []}, False), ({}, False)])
def test_a_value_that_is_equal(world, value, right):
    assert accepted(world.accounts["equals"], as_json(value)) == right


def test_everything_must_hold(world):
    account = world.accounts["all"]
    assert accepted(account, as_json({"ok": True}, headers=[COOKIE]))
    for answer in (as_json({"ok": True}), as_json({"ok": False}, headers=[COOKIE]), as_json({"ok": True}, 201, [COOKIE]), as_json({"ok": 1}, headers=[COOKIE]),
                   Answer(200, [COOKIE], b'{"ok":true}'), as_json({"ok": True}, headers=[COOKIE, ("set-cookie", "app_session=; Max-Age=0")])):
        assert not accepted(account, answer), answer


def test_a_wrong_password_leaves_the_session_that_was_there(world):
    account = world.accounts["json"]
    client = account.client()
    assert session_cookies(login(account, as_json(TOKEN), client=client)[0])
    for answer in (as_json({}), as_json(of_size(LIMIT + 1)), Answer(401)):
        login(account, answer, client=client)
        signed_in(client, account, "ada")


def statuses(account, answers):
    return [login(account, answer)[1].status for answer in answers]


def test_what_cannot_be_read_counts_as_a_failure(world):
    account = world.accounts["counted"]
    assert statuses(account, [as_json({}), as_json(of_size(LIMIT + 1)), chunked(of_size(200_000), 4096), as_json(TOKEN)]) == [200, 200, 200, 429]


def cut_off(after: int, length=None):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n20\r\n" if length is None else b"content-length: %d\r\n\r\n" % length
    return Answer(200, [], raw=head + WHOLE[:after])


def test_a_connection_that_breaks_is_no_attempt(world):
    """In the middle of an answer, by length or in chunks, or before it: the browser gets a 5xx, nothing is opened, nothing counts."""
    account = world.accounts["broken"]
    for answer in [cut_off(n, length) for n, length in itertools.product((0, 5, 20), (len(WHOLE), None))] + [Answer(raw=b"")] * 4:
        client, reply, _ = login(account, answer)
        assert reply.status >= 500 and not session_cookies(client), reply
    assert accepted(account, as_json(TOKEN))
    assert statuses(account, [as_json({})] * 4) == [200, 200, 200, 429]


def test_an_outage_is_no_attempt(world):
    account = world.accounts["outage"]
    assert statuses(account, [Answer(status) for status in (500, 501, 502, 503, 504, 507, 521, 599)]) == [500, 501, 502, 503, 504, 507, 521, 599]
    assert statuses(account, [Answer(401)] * 3 + [Answer(500)]) == [401, 401, 401, 429]


def test_a_browser_that_goes_away_in_the_middle_made_an_attempt(world):
    """Else guesses would be free for a client that hangs up in time."""
    account, hold = world.accounts["left"], threading.Event()
    body = b"username=ada&password=x"
    head = f"POST /login HTTP/1.1\r\nhost: left.app.test\r\ncontent-type: {FORM}\r\ncontent-length: {len(body)}\r\n\r\n"
    begun = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"

    def never_ends(seen):
        hold.wait(30)
        return Answer(raw=begun)

    world.app.routes["/login"] = never_ends
    mark = world.app.mark()
    for n in range(3):
        with socket.create_connection(("127.0.0.1", world.port)) as connection:
            connection.sendall(head.encode() + body)
            eventually(lambda: len(world.app.since(mark)) == n + 1, what="the request at the application")
    hold.set()
    eventually(lambda: login(account, as_json(TOKEN))[1].status == 429, what="the lock")
