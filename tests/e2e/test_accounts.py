"""Several accounts in one filter: on one origin and on several, and a thousand of them. Nothing of one is accepted at
another."""

import re
import urllib.parse

import pytest

from harness.app import Answer
from harness.expect import flow_cookies, refused, session_cookies, signed_in, signed_out

SHARED = "https://shared.app.test"
PASSWORD = {"mode": "enabled", "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}]}
OF_A_ALONE = {"path": "/a/login", "username": {"form": "username"}, "success": {"status": [200]}}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("accounts")
    for code in ("a", "b", "c"):
        account = world.account(code, {"origins": [SHARED], "password": PASSWORD | ({"mode": "disabled"} if code == "c" else {})})
        account.config["access"] += [{"path": "/login", "allow": "anyone"}, {"path": "/a/login", "allow": "anyone"}]
        account.origin = SHARED
    world.accounts["a"].config["password"] = PASSWORD | {"logins": [*PASSWORD["logins"], OF_A_ALONE]}
    # `a` and `b` know different people by the same address.
    world.accounts["a"].config["directory"] = {"static": {"users": [{"username": "ada-of-a", "email": "ada@acme.com", "roles": ["owner"]}]}}
    world.accounts["b"].config["directory"] = {"static": {"users": [{"username": "ada-of-b", "email": "ada@acme.com", "roles": []}]}}
    world.account("alone", {"password": PASSWORD})
    world.account("other", {"password": PASSWORD})
    world.account("off", {"sso": "disabled"})
    world.app.routes["/login"] = lambda seen: Answer(200)
    world.start()
    return world


@pytest.fixture(autouse=True)
def fresh(world):
    for account in world.accounts.values():
        account.idp.reset()


def into(world, code, client=None):
    """Signs in to one account of the shared origin, by `u`."""
    client = client or world.client()
    hops = client.login(f"{SHARED}/sso/login?u={code}&return_to=%2Fwho")
    assert hops[-1].status == 200 and hops[-1].code is None, hops
    return client, hops


@pytest.mark.parametrize("code, user, owner", [("a", "ada-of-a", True), ("b", "ada-of-b", False), ("c", "ada@acme.com", False)])
def test_u_leads_to_the_account_its_provider_and_its_users(world, code, user, owner):
    client, hops = into(world, code)
    assert any(hop.url.startswith(f"https://{code}.idp.test/") for hop in hops), hops
    seen = client.get(f"{SHARED}/who").seen()
    assert seen["x-sso-account"] == [code] and seen["x-sso-user"] == [user]
    assert (client.get(f"{SHARED}/owners/x").status == 200) == owner


def test_without_u_the_page_asks_for_the_code(world):
    client, mark = world.client(), world.app.mark()
    page = client.browse(f"{SHARED}/who?x=1")
    page = client.follow(page)[-1]
    assert page.status in (200, 401) and "html" in page.get("content-type"), page
    assert re.search(r'<input[^>]*name="?u"?', page.text), page.text
    for code in ("a", "b", "c"):
        assert f'value="{code}"' not in page.text, "the page lists the accounts"
    world.app.nothing_since(mark)
    refused(client.get(f"{SHARED}/who"), "login_required")
    world.app.nothing_since(mark)
    # What the form sends.
    action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
    target = urllib.parse.urljoin(page.url, action[1].replace("&amp;", "&") if action else page.url)
    hidden = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
    query = urllib.parse.urlencode({name: value.replace("&amp;", "&") for name, value in hidden.items()} | {"u": "b"})
    last = client.login(f"{target}{'&' if '?' in target else '?'}{query}")[-1]
    assert last.status == 200 and last.seen()["x-sso-account"] == ["b"], last
    assert last.url == f"{SHARED}/who?x=1", "not back to the very page"


@pytest.mark.parametrize("code", ["nobody", "", "alone", "A", "a%00", "../a", "a&u=b"])
def test_a_code_that_is_not_served_here(world, code):
    client, mark = world.client(), world.app.mark()
    reply = client.browse(f"{SHARED}/sso/login?u={code}")
    assert not flow_cookies(client), reply
    assert reply.status in (400, 404) or reply.status == 200 and 'name="u"' in reply.text, reply
    if reply.code:
        refused(reply, "account_unknown", "request_invalid")
    world.app.nothing_since(mark)


def test_a_callback_of_one_at_another(world):
    """The answer of a's provider, brought to b: by `u`, on the same origin, with the flow cookie of a beside it."""
    for wrong in ("b", "c"):
        client = world.client()
        start = client.follow(client.browse(f"{SHARED}/sso/login?u=a"), until=lambda hop: "/authorize" in (hop.location or ""))[-1]
        back = client.browse(start.location).location
        assert "u=a" in back
        mark = world.app.mark()
        reply = client.browse(back.replace("u=a", f"u={wrong}"))
        refused(reply, "state_unknown", "callback_invalid")
        assert not session_cookies(client)
        world.app.nothing_since(mark)
        # Its twin: the same answer at the right account.
        assert client.follow(client.browse(back))[-1].status == 200 and session_cookies(client)


def test_two_logins_to_two_accounts_at_once(world):
    client = world.client()
    backs = {}
    for code in ("a", "b"):
        start = client.follow(client.browse(f"{SHARED}/sso/login?u={code}&return_to=%2Fwho"),
                              until=lambda hop: "/authorize" in (hop.location or ""))[-1]
        backs[code] = client.browse(start.location).location
    for code in ("a", "b"):
        last = client.follow(client.browse(backs[code]))[-1]
        assert last.status == 200 and last.seen()["x-sso-account"] == [code], last


def test_a_session_of_one_is_no_session_of_another_on_the_same_origin(world):
    """It is a's session wherever it is shown; b's endpoints do not take it for one of theirs."""
    client, _ = into(world, "b")
    assert client.get(f"{SHARED}/who").seen()["x-sso-account"] == ["b"]
    refused(client.get(f"{SHARED}/owners/x"), "role_missing")
    reply = client.get(f"{SHARED}/sso/session?u=a")
    assert reply.status == 401, reply
    assert client.get(f"{SHARED}/sso/session?u=b").json()["account"] == "b"
    # Signing in to another account replaces it.
    into(world, "a", client)
    assert client.get(f"{SHARED}/who").seen()["x-sso-account"] == ["a"]
    assert client.get(f"{SHARED}/owners/x").status == 200


@pytest.mark.parametrize("there", ["alone", "other", "shared"])
def test_a_cookie_of_one_origin_at_another(world, there):
    source = world.accounts["alone" if there != "alone" else "other"]
    origin = {"alone": "https://alone.app.test", "other": "https://other.app.test", "shared": SHARED}[there]
    client = source.signed_in("/who")
    thief, mark = world.client(), world.app.mark()
    cookie = "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())
    refused(thief.get(f"{origin}/who", headers={"cookie": cookie}), "login_required", "session_expired")
    world.app.nothing_since(mark)
    signed_in(client, source)


def test_a_callback_of_another_origin(world):
    alone, other = world.accounts["alone"], world.accounts["other"]
    client = alone.client()
    start = client.browse(alone.url("/who"))
    back = client.browse(start.location).location
    for cookies in (True, False):
        thief, mark = world.client(), world.app.mark()
        headers = {"cookie": "; ".join(f"{n}={v}" for n, v in flow_cookies(client).items())} if cookies else {}
        for url in (back.replace("alone.app.test", "other.app.test"), back.replace("alone", "other")):
            reply = thief.request("GET", url, headers=headers, navigation=True)
            refused(reply, "state_unknown", "callback_invalid", "account_unknown")
        assert not session_cookies(thief)
        world.app.nothing_since(mark)
    signed_in(other.signed_in(), other)


def test_a_password_session_of_one_at_another(world):
    alone, other = world.accounts["alone"], world.accounts["other"]
    client = alone.client()
    reply = client.post(alone.url("/login"), body={"username": "root", "password": "x"}, headers={"origin": alone.origin})
    assert reply.status == 200 and session_cookies(client)
    cookie = "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())
    mark = world.app.mark()
    refused(world.client().get(other.url("/who"), headers={"cookie": cookie}), "login_required", "session_expired")
    world.app.nothing_since(mark)
    # And the origin of one is a foreign site to the other.
    refused(client.post(other.url("/login"), body={"username": "root", "password": "x"}, headers={"origin": alone.origin}),
            "request_invalid", status=403)
    world.app.nothing_since(mark)


@pytest.mark.parametrize("path", ["/login", "/login?u=a", "/login?u=b", "/login?u=c"])
def test_a_password_at_an_origin_of_several(world, path):
    """Nobody can say whose rule it falls under: nothing passes; with a session of an account it is that account's."""
    client, mark = world.client(), world.app.mark()
    send = dict(body={"username": "ada-of-a", "password": "x"}, headers={"origin": SHARED})
    reply = client.post(SHARED + path, **send)
    assert reply.status in (401, 403) and reply.code in ("login_required", "password_disabled", "request_invalid"), reply
    assert not session_cookies(client)
    world.app.nothing_since(mark)
    into(world, "c", client)
    mark = world.app.mark()
    refused(client.post(SHARED + "/login", **send), "password_disabled")
    world.app.nothing_since(mark)
    into(world, "a", client)
    assert client.post(SHARED + "/login", **send).status == 200
    seen = client.get(f"{SHARED}/who").seen()
    assert (seen["x-sso-method"], seen["x-sso-account"], seen["x-sso-user"]) == (["password"], ["a"], ["ada-of-a"])


@pytest.mark.parametrize("code", ["b", "c"])
def test_a_password_login_of_one_account_with_a_session_of_another(world, code):
    """Its rule is not that of whoever is signed in: nothing passes."""
    send = dict(body={"username": "ada-of-a", "password": "x"}, headers={"origin": SHARED})
    client, _ = into(world, code)
    mark = world.app.mark()
    for path in ("/a/login", "/A/Login", "/a/login/", "/a/login;x=y"):
        refused(client.post(SHARED + path, **send), "request_invalid", status=400)
    world.app.nothing_since(mark)
    assert client.get(f"{SHARED}/a/login").status == 200, "the page, which carries no password"
    assert client.get(f"{SHARED}/who").seen()["x-sso-account"] == [code]
    into(world, "a", client)
    assert client.post(f"{SHARED}/a/login", **send).status == 200
    assert client.get(f"{SHARED}/who").seen()["x-sso-method"] == ["password"]


def test_logging_out_of_one_leaves_the_other(world):
    client, _ = into(world, "a")
    away, _ = into(world, "b")
    client.follow(client.browse(f"{SHARED}/sso/logout", headers={"sec-fetch-site": "same-origin"}))
    refused(client.get(f"{SHARED}/who"), "login_required", "session_expired")
    assert away.get(f"{SHARED}/who").seen()["x-sso-account"] == ["b"]


def test_other_hosts_are_nobodys(world):
    client, mark = world.client(), world.app.mark()
    for host in ("nobody.app.test", "shared.app.test.evil.test", "xshared.app.test", "shared.app.test:8443"):
        refused(client.get(f"{SHARED}/healthz", host=host), "account_unknown")
    world.app.nothing_since(mark)
    assert client.get("https://off.app.test/anything").status == 200


def test_a_thousand_accounts(make_world):
    world = make_world("thousand")
    first = world.account("first")
    template = first.config
    accounts = [template]
    for number in range(1, 1000):
        accounts.append(template | {"code": f"n{number}", "origins": [f"https://n{number}.app.test"], "identity_providers": [
            {"id": "corp", "oidc": template["identity_providers"][0]["oidc"] | {"discovery": f"https://n{number}.idp.test/.well-known/openid-configuration"}}]})
    world.idps.issuer("n777.idp.test")
    world.start({"session": world.session, "cookies": world.cookies, "clusters": world.cluster_table, "accounts": accounts})
    signed_in(first.signed_in(), first)
    client = world.client()
    last = client.login("https://n777.app.test/who")[-1]
    assert last.status == 200 and last.seen()["x-sso-account"] == ["n777"], last
    mark = world.app.mark()
    refused(client.get("https://n778.app.test/who"), "login_required")
    refused(client.get("https://n1000.app.test/who"), "account_unknown")
    world.app.nothing_since(mark)
    signed_out(first.client(), first)
