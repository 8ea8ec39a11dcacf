"""A client that hangs up at any point of any flow: what was half sent changes nothing, what was sent is finished."""

import base64
import secrets
import time
import urllib.parse

import pytest

from harness import jose
from harness.client import auto_form
from harness.expect import refused, session_cookies, signed_in
from harness.hang_up import closes
from harness.net import eventually
from harness.saml import SamlAccount
from harness.tokens import BEARER, access_token

FORM = "content-type: application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("points", concurrency=2)
    world.account("acme", BEARER | {"password": {"mode": "enabled", "logins": [
        {"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}]}})
    world.account("posts", response_mode="form_post")
    SamlAccount(world, "saml")
    world.start()
    world.accounts["acme"].signed_in()
    return world


@pytest.fixture(autouse=True)
def nobody_is_harmed(world):
    yield
    world.envoy.assert_healthy()
    for code in ("acme", "posts", "saml"):
        world.accounts[code].signed_in()


def raw(account, target: str, cookies: dict | None = None, body: str = "", *lines: str) -> bytes:
    """A request as it goes over the wire."""
    head = [f"{'POST' if body else 'GET'} {target} HTTP/1.1", f"host: {account.code}.app.test", "accept: text/html",
            "sec-fetch-mode: navigate", "sec-fetch-dest: document", *lines]
    if cookies:
        head.append("cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()))
    if body:
        head += [FORM, f"content-length: {len(body)}"]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def cut(port: int, data: bytes) -> None:
    """Half sent, at each point where that is something else."""
    head = data.index(b"\r\n\r\n") + 4
    body = len(data) - head
    for end in sorted({1, 20, head // 2, head - 3, head - 1, *((head, head + 1, head + body // 2, len(data) - 1) if body else ())}):
        for wait in (0, 0.02):
            closes(port, data[:end], wait)


def ends_by(port: int, data: bytes, is_over) -> None:
    """Sent in full and hung up on at once, until it was read: a reset may overtake what was sent before it."""
    def once_more():
        closes(port, data, 0.05)
        return is_over()
    eventually(once_more, 60, what="what was sent in full")


def target_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def test_a_callback_that_was_half_sent_uses_no_login_up(world):
    account = world.accounts["acme"]
    client = account.client()
    back = client.browse(client.browse(account.url("/reports")).location).location
    asked, mark = account.idp.count("token"), world.app.mark()
    cut(world.port, raw(account, target_of(back), client.values()))
    assert account.idp.count("token") == asked and session_cookies(client) == {}
    world.app.nothing_since(mark)
    assert client.follow(client.browse(back))[-1].status == 200
    signed_in(client, account)


def test_a_form_post_that_was_half_sent_uses_no_login_up(world):
    account = world.accounts["posts"]
    client = account.client()
    page = client.browse(client.browse(account.url("/reports")).location)
    action, fields = auto_form(page)
    asked = account.idp.count("token")
    cut(world.port, raw(account, target_of(action), client.values(), urllib.parse.urlencode(fields),
                        f"origin: {account.idp.issuer}", "sec-fetch-site: cross-site"))
    assert account.idp.count("token") == asked
    assert client.follow(page)[-1].status == 200
    signed_in(client, account)


def test_a_saml_response_that_was_half_sent_uses_no_login_up(world):
    account = world.accounts["saml"]
    client = account.client()
    request = account.begin(client)
    answer = account.answer(request)
    text = answer.write()
    form = urllib.parse.urlencode({"SAMLResponse": base64.b64encode(text.encode() if isinstance(text, str) else text).decode(),
                                   "RelayState": request.relay_state})
    cut(world.port, raw(account, f"/sso/saml/consume?u={account.code}", client.values(), form,
                        f"origin: https://{account.saml.host}", "sec-fetch-site: cross-site"))
    reply = account.post(client, answer, request.relay_state)
    assert reply.status in (302, 303) and session_cookies(client), reply


def test_a_callback_that_was_sent_and_hung_up_on_costs_that_login_alone(world):
    account = world.accounts["acme"]
    account.idp.fault("token", delay=0.3, times=1)
    client = account.client()
    back = client.browse(client.browse(account.url("/reports")).location).location
    asked = account.idp.count("token")
    ends_by(world.port, raw(account, target_of(back), client.values()), lambda: account.idp.count("token") > asked)
    refused(client.browse(back), "state_unknown")
    assert client.login(account.url("/reports"))[-1].status == 200, "the same browser signs in"


def test_a_sign_out_that_was_half_sent_ends_nothing_and_one_that_was_sent_does(world):
    account = world.accounts["acme"]
    client = account.signed_in()
    data = raw(account, "/sso/logout", client.values(), "", "sec-fetch-site: same-origin")
    cut(world.port, data)
    signed_in(client, account)
    captured = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}
    ends_by(world.port, data, lambda: account.client().get(account.url("/who"), headers=captured).status == 401)


def logout_token(account, sid: str) -> str:
    now = int(time.time())
    claims = {"iss": account.idp.issuer, "aud": "lakehouse", "iat": now, "exp": now + 120, "jti": secrets.token_hex(8), "sid": sid,
              "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    key = account.idp.signing
    return jose.encode({"alg": "RS256", "kid": key.kid, "typ": "logout+jwt"}, claims, "RS256", key)


def test_a_logout_token_that_was_half_sent_ends_nothing_and_one_that_was_sent_does(world):
    account = world.accounts["acme"]
    client = account.signed_in()
    sid = list(account.idp.access_tokens.values())[-1]["sid"]  # of the sign-in just before
    body = f"logout_token={logout_token(account, sid)}"
    data = raw(account, "/sso/backchannel-logout?u=acme", None, body)
    cut(world.port, data)
    signed_in(client, account)
    ends_by(world.port, data, lambda: client.get(account.url("/who")).status == 401)


def test_a_password_that_was_half_sent_reaches_nobody(world):
    account = world.accounts["acme"]
    mark = world.app.mark()
    body = "username=ada&password=right"
    cut(world.port, raw(account, "/login", None, body, "sec-fetch-site: same-origin", f"origin: {account.origin}"))
    world.app.nothing_since(mark)
    reply = account.client().post(account.url("/login"), body={"username": "ada", "password": "right"})
    assert reply.status == 200 and reply.seen(), reply


def test_requests_with_a_session_or_token_that_were_half_sent_reach_nobody(world):
    account = world.accounts["acme"]
    client, token = account.signed_in(), access_token(account)
    mark = world.app.mark()
    for data in (raw(account, "/who", client.values()), raw(account, "/who", None, "", f"authorization: Bearer {token}")):
        cut(world.port, data)
    world.app.nothing_since(mark)
    signed_in(client, account)
    assert account.client().get(account.url("/who"), headers={"authorization": f"Bearer {token}"}).status == 200
