"""What passes a filter that has to ask somebody first, and what stays behind: bodies, trailers, upgrades, caching."""

import secrets
import time

import pytest

from harness.app import Answer
from harness.client import exchange
from harness.expect import refused
from test_bearer import AUDIENCE, access_token

# More than Envoy buffers of a request (per_connection_buffer_limit_bytes is 1 MiB by default).
UPLOAD = secrets.token_bytes(5 << 20)


@pytest.fixture(scope="module")
def world(make_world):
    # Every request of a session is checked.
    world = make_world("passing", session={"recheck": "0s", "recheck_grace": "0s"}, trailers=True)
    world.account("acme")
    world.account("asked")
    world.account("programs", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}})
    directories = [world.directory(code, timeout="10s") for code in ("asked", "programs")]
    world.start()
    for directory in directories:
        directory.reset().add("ada", email="ada@acme.com", id="ada-1")
    return world


def cookies_of(client, account) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies_for(account.url("/")))


def lines(account, client, *more: str, method: str = "POST", path: str = "/upload") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"host: {account.code}.app.test", *more]
    if client:
        head.append(f"cookie: {cookies_of(client, account)}")
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def chunked(body: bytes, *trailers: str, size: int = 64 << 10) -> bytes:
    parts = [body[at:at + size] for at in range(0, len(body), size)]
    data = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return data + b"0\r\n" + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


def arrives_whole(world, reply, mark, user: str):
    assert reply.status == 200 and reply.code is None, (reply.status, reply.headers, reply.body[:200])
    seen = [one for one in world.app.since(mark) if one.path == "/upload"]
    assert len(seen) == 1 and seen[0].body == UPLOAD, [len(one.body) for one in seen]
    assert seen[0].get("x-sso-user") == user
    return seen[0]


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_an_upload_waits_while_the_directory_is_asked(world, framing):
    account, directory = world.accounts["asked"], world.scim.directories["asked.scim.test"]
    client = account.signed_in("/who")
    directory.fault("GET", delay=1)
    mark, asked = world.app.mark(), directory.count()
    if framing == "chunked":
        data = lines(account, client, "transfer-encoding: chunked") + chunked(UPLOAD)
        reply = exchange(world.port, data, method="POST")
    else:
        reply = client.post(account.url("/upload"), body=UPLOAD)
    assert directory.count() > asked, "nobody was asked"
    arrives_whole(world, reply, mark, "ada")


def test_an_upload_of_somebody_who_is_out_is_refused_and_nothing_of_it_arrives(world):
    account, directory = world.accounts["asked"], world.scim.directories["asked.scim.test"]
    client = account.signed_in("/who")
    directory.fault("GET", delay=1)
    directory.users[0]["active"] = False
    mark = world.app.mark()
    refused(client.post(account.url("/upload"), body=UPLOAD[:800_000]), "user_inactive")
    world.app.nothing_since(mark)
    directory.users[0]["active"] = True
    del directory.faults["GET"]


def test_an_upload_with_a_token_that_is_new_waits_until_it_is_verified(world):
    account = world.accounts["programs"]
    world.scim.directories["programs.scim.test"].fault("GET", delay=1)
    mark = world.app.mark()
    reply = account.client().post(account.url("/upload"), body=UPLOAD,
                                  headers={"authorization": f"Bearer {access_token(account)}"})
    arrives_whole(world, reply, mark, "ada")


def test_an_upload_waits_while_its_session_is_renewed(make_world):
    world = make_world("renewed", session={"recheck": "1s", "recheck_grace": "0s"})
    account = world.account("acme", scope=["openid", "email", "offline_access"])
    world.start()
    client = account.signed_in("/who")
    account.idp.fault("token", delay=1)
    time.sleep(1.1)  # due, and without grace
    mark = world.app.mark()
    reply = client.post(account.url("/upload"), body=UPLOAD)
    assert reply.set, "it was not renewed"
    arrives_whole(world, reply, mark, "ada@acme.com")


@pytest.mark.parametrize("code", ["acme", "asked"])
def test_trailers_hold_no_header_of_the_filters(world, code):
    """At once, and after the directory was asked."""
    account = world.accounts[code]
    forged = ["X-SSO-User: root", "x_sso_roles: account_admin", "x-original-url: /admin/", "Cookie: sso=1", "authorization: Basic eA=="]
    data = chunked(b"a body", *forged, "x-checksum: 1")
    mark = world.app.mark()
    reply = exchange(world.port, lines(account, account.signed_in("/who"), "transfer-encoding: chunked") + data)
    assert reply.status == 200, reply
    (seen,) = [one for one in world.app.since(mark) if one.path == "/upload"]
    assert seen.body == b"a body" and seen.trailers == [("x-checksum", "1")], seen
    # Paths without a session too.
    mark = world.app.mark()
    assert exchange(world.port, lines(account, None, "transfer-encoding: chunked", path="/healthz") + data).status == 200
    assert world.app.since(mark)[-1].trailers == [("x-checksum", "1")]


@pytest.mark.parametrize("code", ["acme", "asked"])
def test_an_upgrade_names_no_header_as_one_for_the_next_hop(world, code):
    account = world.accounts[code]
    head = lines(account, account.signed_in("/who"), "upgrade: websocket", "connection: upgrade, x-sso-user, x-sso-roles",
                 "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", method="GET", path="/socket")
    mark = world.app.mark()
    assert exchange(world.port, head).status == 101
    seen = world.app.since(mark)[-1]
    assert seen.get("connection").lower() == "upgrade" and seen.get("x-sso-user"), seen


def test_an_answer_with_a_cookie_of_ours_is_for_no_shared_cache(world):
    public = [("cache-control", "public"), ("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=60"), ("etag", "x")]
    world.app.routes["/public"] = lambda seen: Answer(200, public, b"x")
    world.app.routes["/private"] = lambda seen: Answer(200, [("cache-control", "private, max-age=60")], b"x")
    asked, acme = world.accounts["asked"], world.accounts["acme"]
    client = asked.signed_in("/who")
    reply = client.get(asked.url("/public"))
    assert reply.set and reply.all("cache-control") == ["private, no-store"], reply.headers
    assert reply.all("cdn-cache-control") == [] and reply.all("etag") == ["x"]
    reply = client.get(asked.url("/private"))
    assert reply.set and reply.all("cache-control") == ["private, max-age=60"], reply.headers
    # Without a cookie of ours the application says what it likes.
    reply = acme.signed_in("/who").get(acme.url("/public"))
    assert not reply.set and reply.all("cache-control") == ["public,max-age=60"], reply.headers
    assert reply.all("cdn-cache-control") == ["max-age=60"]
