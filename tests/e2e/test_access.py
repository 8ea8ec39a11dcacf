"""Rules on paths beyond roles: `allow: optional`, methods and conditions."""

import copy

import pytest

from harness.expect import refused, session_cookies
from harness.net import eventually
from test_bearer import AUDIENCE, access_token, ask

RULES = [
    {"path": "/", "allow": "optional"},
    {"prefix": "/open/", "allow": "optional"},
    {"prefix": "/read/", "allow": "anyone", "methods": ["GET", "HEAD"]},
    {"prefix": "/hr/", "allow": "users", "methods": ["GET", "HEAD"], "when": [{"claim": "department", "in": ["hr"]}, {"idp": "corp"}]},
    {"prefix": "/mail/", "allow": "users", "when": [{"email_domain": ["acme.com"]}]},
    {"prefix": "/ada/", "allow": "users", "when": [{"user": ["ada@acme.com"]}]},
    {"prefix": "/strong/", "allow": "users", "when": [{"amr": ["hwk", "otp"]}]},
    {"prefix": "/browser/", "allow": "users", "when": [{"method": "sso"}]},
    {"prefix": "/nested/", "allow": "users", "when": [{"claim": "/address/country", "in": ["FR", "DE"]}]},
]
PASSWORDS = {"mode": "enabled", "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}]}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("access", ecds=True)
    rules = {"access": RULES, "bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}}
    world.account("acme", rules)
    world.account("renewed", rules | {"bearer": None})
    world.account("changed", rules | {"bearer": None})
    world.account("passwords", rules | {"password": PASSWORDS, "bearer": None, "directory": {"static": {"users": [
        {"username": "ada@acme.com", "email": "ada@acme.com"}]}}})
    world.start()
    return world


def person(account, **claims):
    account.idp.person = account.idp.person | claims


def test_an_optional_path_knows_a_user_and_demands_none(world):
    acme = world.accounts["acme"]
    mark = world.app.mark()
    for headers in ({}, {"x-sso-user": "root", "X_SSO_Roles": "account_admin"}):
        reply = acme.client().get(acme.url("/open/x"), headers=headers)
        assert reply.status == 200 and reply.code is None, reply
        assert not [name for name in reply.seen() if name.replace("_", "-").startswith("x-sso-")]
    client = acme.signed_in()
    seen = client.get(acme.url("/open/x")).seen()
    assert seen["x-sso-user"] == ["ada@acme.com"] and "cookie" not in seen
    assert client.get(acme.url("/")).seen()["x-sso-user"] == ["ada@acme.com"]
    assert ask(acme, access_token(acme), "/open/x").seen()["x-sso-method"] == ["bearer"]
    assert len(world.app.since(mark)) >= 5


def test_a_wrong_token_is_refused_on_an_optional_path(world):
    acme = world.accounts["acme"]
    mark = world.app.mark()
    refused(ask(acme, access_token(acme, aud="other"), "/open/x"), "token_invalid")
    refused(ask(acme, "nonsense", "/"), "token_invalid")
    client = acme.signed_in()
    mark = world.app.mark()
    refused(client.get(acme.url("/open/x"), headers={"authorization": "Bearer nonsense"}), "token_invalid")
    world.app.nothing_since(mark)


def test_a_session_that_is_over_is_none_on_an_optional_path(world):
    acme = world.accounts["acme"]
    client = acme.signed_in()
    stale = "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())
    client.request("POST", acme.url("/sso/logout"), headers={"origin": acme.origin, "sec-fetch-site": "same-origin"})
    for cookies in (stale, "__Host-sso=garbage"):
        reply = acme.client().get(acme.url("/open/x"), headers={"cookie": cookies})
        assert reply.status == 200 and "x-sso-user" not in reply.seen(), reply
        assert "cookie" not in reply.seen()
    refused(acme.client().get(acme.url("/elsewhere"), headers={"cookie": stale}), "session_expired")


@pytest.mark.parametrize("path", ["/open/%2e%2e%2fx", "/open/..%2fhr/x", "/open/..;/x", "/open/x%00", "/open%5cx", "/OPEN/x", "/open"])
def test_an_ambiguous_path_is_not_optional(world, path):
    acme = world.accounts["acme"]
    mark = world.app.mark()
    reply = acme.client().request("GET", acme.url("/"), target=path)
    assert reply.status in (400, 401), reply
    world.app.nothing_since(mark)


def test_a_rule_for_methods_answers_or_lets_the_next_rule_judge(world):
    acme = world.accounts["acme"]
    person(acme, department="hr")
    assert acme.client().get(acme.url("/read/x")).status == 200
    mark = world.app.mark()
    refused(acme.client().request("POST", acme.url("/read/x"), body=b"x"), "login_required")
    for client in (acme.client(), acme.signed_in("/hr/x")):
        mark = world.app.mark()
        for method in ("POST", "DELETE", "PUT", "OPTIONS", "PATCH"):
            reply = refused(client.request(method, acme.url("/hr/x"), headers={"x-http-method-override": "GET"}), "method_not_allowed")
            assert reply.get("allow") == "GET, HEAD"
        refused(client.request("POST", acme.url("/"), target="/HR/x"), "method_not_allowed")
        refused(client.request("POST", acme.url("/"), target="/x;/..%2fhr/x"), "method_not_allowed", "login_required")
        world.app.nothing_since(mark)
    assert acme.signed_in("/hr/x").get(acme.url("/hr/x")).status == 200


@pytest.mark.parametrize("path, good, bad", [
    ("/hr/x", {"department": "hr"}, {"department": "sales"}),
    ("/hr/x", {"department": ["it", "hr"]}, {"department": ["it"]}),
    ("/hr/x", {"department": "hr"}, {"department": None}),
    ("/hr/x", {"department": "hr"}, {"department": {"hr": "hr"}}),
    ("/mail/x", {"email": "bob@acme.com"}, {"email": "bob@evil-acme.com"}),
    ("/ada/x", {"email": "ada@acme.com"}, {"email": "adam@acme.com"}),
    ("/strong/x", {"amr": ["pwd", "otp"]}, {"amr": ["pwd"]}),
    ("/strong/x", {"amr": ["hwk"]}, {}),
    ("/nested/x", {"address": {"country": "FR"}}, {"address": {"country": "fr"}}),
])
def test_a_condition_lets_in_whom_it_is_met_by(world, path, good, bad):
    acme = world.accounts["acme"]
    for token in (False, True):
        for claims, let_in in ((good, True), (bad, False)):
            acme.idp.person = {"sub": "7", "email": "ada@acme.com", "email_verified": True, "name": "Ada"} | claims
            mark = None
            if token:
                reply = ask(acme, access_token(acme), path)
            else:
                client = acme.signed_in("/who")
                mark = world.app.mark()
                reply = client.get(acme.url(path))
            if let_in:
                assert reply.status == 200 and reply.code is None, reply
            else:
                refused(reply, "access_denied")
                if mark:
                    world.app.nothing_since(mark)
                    page = client.get(acme.url(path), navigation=True)
                    refused(page, "access_denied")  # not around in circles over the provider


def test_how_a_session_was_opened_is_a_condition(world):
    acme = world.accounts["acme"]
    assert acme.signed_in().get(acme.url("/browser/x")).status == 200
    reply = refused(ask(acme, access_token(acme), "/browser/x"), "access_denied")
    assert 'error="insufficient_scope"' in reply.get("www-authenticate")


def test_a_password_session_has_no_claims(world):
    account = world.accounts["passwords"]
    client = account.client()
    reply = client.request("POST", account.url("/login"), body="username=ada%40acme.com",
                           headers={"content-type": "application/x-www-form-urlencoded", "origin": account.origin,
                                    "sec-fetch-site": "same-origin"})
    assert reply.status == 200 and session_cookies(client), reply
    for path in ("/mail/x", "/ada/x", "/open/x"):
        assert client.get(account.url(path)).seen()["x-sso-method"] == ["password"]
    for path in ("/hr/x", "/strong/x", "/browser/x"):
        refused(client.get(account.url(path)), "access_denied")
        refused(client.get(account.url(path), navigation=True), "access_denied")


def test_a_renewal_judges_anew(world):
    account = world.accounts["renewed"]
    account.config["identity_providers"][0]["oidc"]["scope"] = ["openid", "email", "offline_access"]
    world.session["recheck"] = "1s"
    try:
        assert world.update()
        person(account, department="hr")

        def in_hr():
            client = account.signed_in("/hr/x")
            return client if client.get(account.url("/hr/x")).status == 200 else None

        client = eventually(in_hr, what="the new configuration on every worker")
        person(account, department="sales")
        eventually(lambda: client.get(account.url("/hr/x")).code == "access_denied", 20, what="the renewal's verdict")
        person(account, department="hr")
        eventually(lambda: client.get(account.url("/hr/x")).status == 200, 20, what="the renewal's verdict")
    finally:
        world.session.pop("recheck")
        world.update()


def test_a_condition_that_is_new_in_the_configuration(world):
    account = world.accounts["changed"]
    person(account, department="hr", level=3)
    client = account.signed_in("/new/x")
    assert client.get(account.url("/new/x")).status == 200
    before = copy.deepcopy(account.config["access"])
    new = {"prefix": "/new/", "allow": "users", "when": [{"claim": "level", "in": ["3"]}]}
    account.config["access"] = [new, {"prefix": "/bob/", "allow": "users", "when": [{"user": ["bob"]}]}, *before]
    assert world.update()
    reply = eventually(lambda: (lambda r: r.status != 200 and r)(client.get(account.url("/new/x"))), what="the new rule")
    mark = world.app.mark()
    refused(reply, "login_required")
    refused(client.get(account.url("/new/x")), "login_required")
    refused(client.get(account.url("/bob/x")), "access_denied")
    page = client.get(account.url("/new/x?q=1"), navigation=True)
    assert page.status == 302 and "/authorize" in page.location, page
    world.app.nothing_since(mark)
    assert client.get(account.url("/hr/x")).status == 200, "what it knows, it still knows"
    hops = client.login(account.url("/new/x?q=1"))
    assert hops[-1].status == 200 and hops[-1].url.endswith("/new/x?q=1"), hops
    assert client.get(account.url("/new/x")).status == 200
