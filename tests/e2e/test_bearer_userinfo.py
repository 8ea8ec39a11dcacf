"""UserInfo beside a bearer token: a failure refuses no token that is enough, and every token that is not."""

import secrets

import pytest

from harness.expect import refused
from harness.idp import DROP
from harness.tokens import BEARER, access_token

FAILURES = {
    "400": {"status": 400}, "401": {"status": 401}, "403": {"status": 403}, "404": {"status": 404}, "405": {"status": 405}, "429": {"status": 429},
    "500": {"status": 500}, "503": {"status": 503}, "a page": {"body": b"<html>"}, "a list": {"body": b"[]"}, "nothing": {"body": b""},
    "not UTF-8": {"body": b'{"sub":"\xff"}'}, "too large": {"body": b'{"sub":"1","x":"' + b"x" * (2 << 20) + b'"}'}, "a redirect":
        {"status": 302, "headers": {"location": "https://elsewhere.test/"}}, "dropped": {"drop": True}, "cut off": {"truncate": True, "body": b"{}"},
    "a timeout": {"delay": 20}, "a JWT that is not": {"body": b"e30.e30.e30", "headers": {"content-type": "application/jwt"}},
}


@pytest.fixture(scope="module")
def bearer(make_world):
    world = make_world("bearer-userinfo", concurrency=1)
    world.account("acme", BEARER)
    world.account("needed", BEARER | {"mapping": {"from": "userinfo"}})
    world.start()
    return world


def opens(account):
    """Asks with a token of its own that UserInfo takes, without a claim of roles."""
    token = access_token(account, groups=None, jti=secrets.token_hex(8))
    account.idp.access_tokens[token] = {}
    return lambda path="/who": account.client().get(account.url(path), headers={"authorization": f"Bearer {token}"})


@pytest.mark.parametrize("what", FAILURES)
def test_userinfo_that_would_only_add_something_refuses_no_token(bearer, what):
    account = bearer.accounts["acme"]
    account.idp.fault("userinfo", **FAILURES[what])
    ask, asked = opens(account), account.idp.count("userinfo")
    reply = ask()
    account.idp.reset()
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
    assert account.idp.count("userinfo") > asked, "it was asked"
    assert not reply.seen().get("x-sso-roles", [""])[0]
    mark = bearer.app.mark()
    refused(ask("/admin/x"), "role_missing", "insufficient_scope")
    bearer.app.nothing_since(mark)
    # The twin: it answers, and the roles are there.
    assert opens(account)("/admin/x").status == 200


@pytest.mark.parametrize("code, sub", [("acme", "another"), ("needed", "another"), ("acme", DROP), ("needed", DROP)])
def test_userinfo_about_another_person_refuses_the_token(bearer, code, sub):
    account = bearer.accounts[code]
    account.idp.change("userinfo", sub=sub)
    ask, mark = opens(account), bearer.app.mark()
    reply = ask()
    account.idp.reset()
    if (code, sub) == ("acme", DROP):  # it says nothing of anybody
        assert reply.status == 200 and not reply.seen().get("x-sso-roles", [""])[0], reply
    else:
        refused(reply, "token_invalid")
        bearer.app.nothing_since(mark)
    assert opens(account)().status == 200


@pytest.mark.parametrize("what", FAILURES)
def test_userinfo_that_is_needed_refuses_the_token(bearer, what):
    account = bearer.accounts["needed"]
    account.idp.fault("userinfo", **FAILURES[what])
    ask, mark = opens(account), bearer.app.mark()
    reply = ask()
    account.idp.reset()
    refused(reply, "token_invalid", "identity_missing", "idp_invalid_answer", "idp_unavailable", "idp_timeout")
    bearer.app.nothing_since(mark)
    assert opens(account)().status == 200
