"""One account at many origins: patterns with one wildcard label, and one origin at which all logins run. Every way to
misuse a ticket, or a name that only looks like one of the pattern's."""

import urllib.parse

import pytest

from harness.client import Client
from harness.expect import flow_cookies, refused, session_cookies

APP = "https://acme.app.test"
LOGIN = "https://login.app.test"
ONE = "https://one.preview.app.test"
TWO = "https://two.preview.app.test"
OWN = "https://own.preview.app.test"
OTHER = "https://x.other.app.test"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("origins")
    acme = world.account("acme", {"origins": [APP, "https://*.preview.app.test"], "login_origin": LOGIN})
    other = world.account("other", {"origins": ["https://*.other.app.test", OWN], "login_origin": "https://in.app.test"})
    for account in (acme, other):
        account.config["access"].append({"path": "/open", "allow": "anyone"})
    world.start()
    return world


@pytest.fixture(autouse=True)
def fresh(world):
    for account in world.accounts.values():
        account.idp.reset()


def is_ticket(reply) -> bool:
    return "ticket=" in (reply.location or "")


def ticket_back(client: Client, url: str) -> str:
    """The URL of the ticket that brings the session of a login that began here."""
    hops = client.follow(client.browse(url), until=lambda hop: is_ticket(hop) and "/sso/oidc/consume" in hop.url)
    return hops[-1].location


def nobody(world, client: Client, origin: str) -> None:
    mark = world.app.mark()
    refused(client.get(f"{origin}/who"), "login_required", "session_expired")
    world.app.nothing_since(mark)


def somebody(client: Client, origin: str) -> None:
    reply = client.get(f"{origin}/who")
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply


@pytest.mark.parametrize("origin", [APP, ONE])
def test_a_login_runs_at_the_login_origin_and_comes_back(world, origin):
    client = world.client()
    hops = client.login(f"{origin}/who?q=1")
    assert hops[-1].status == 200 and hops[-1].url == f"{origin}/who?q=1", hops
    assert hops[1].url.startswith(f"{LOGIN}/sso/login?ticket=")
    sent = urllib.parse.parse_qs(urllib.parse.urlsplit(hops[1].location).query)
    assert sent["redirect_uri"] == [f"{LOGIN}/sso/oidc/consume?u=acme"]
    somebody(client, origin)
    assert {cookie.host for cookie in client.cookies.values() if cookie.host.endswith("app.test")} == {origin[8:]}
    assert not flow_cookies(client)
    nobody(world, client, TWO)
    # Where the provider still knows the user, the next origin needs no more than redirects.
    assert client.login(f"{TWO}/who")[-1].status == 200
    somebody(client, TWO)


def test_signing_out_goes_by_the_login_origin_and_comes_back(world):
    client = world.client()
    client.login(f"{ONE}/who")
    copy = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}
    hops = client.follow(client.browse(f"{ONE}/sso/logout"))
    assert hops[1].url.startswith(f"{LOGIN}/sso/logout?ticket="), hops
    assert not session_cookies(client)
    refused(world.client().get(f"{ONE}/who", headers=copy), "session_expired")
    refused(world.client().browse(hops[1].url), "state_unknown")
    sent = urllib.parse.parse_qs(urllib.parse.urlsplit(hops[1].location).query)
    assert sent["post_logout_redirect_uri"] == [f"{LOGIN}/sso/logout-complete"], hops
    assert hops[-1].url == f"{ONE}/sso/logout-complete" and hops[-1].code == "signed_out", hops
    assert not [name for name in client.values() if name.endswith("-logout")]


def test_a_ticket_counts_once(world):
    client = world.client()
    out = client.browse(f"{ONE}/who").location
    assert client.browse(out).status == 302
    refused(client.browse(out), "state_unknown")
    back = ticket_back(client, f"{ONE}/who")
    waiting = dict(client.cookies)
    assert client.browse(back).location == f"{ONE}/who"
    client.drop_cookies()
    client.cookies.update(waiting)
    refused(client.browse(back), "state_unknown")
    nobody(world, client, ONE)


def test_a_ticket_opens_nothing_in_another_browser_and_is_lost_there(world):
    eve, ada = world.client(), world.client()
    back = ticket_back(eve, f"{ONE}/who")
    refused(ada.browse(back), "state_unknown")
    refused(eve.browse(back), "state_unknown")
    nobody(world, ada, ONE)
    nobody(world, eve, ONE)
    # Eve sends Ada to sign in for her.
    out = eve.browse(f"{ONE}/who").location
    hops = ada.follow(ada.browse(out), until=lambda hop: hop.code == "state_unknown")
    refused(hops[-1], "state_unknown")
    assert hops[-1].url.startswith(f"{ONE}/sso/login?ticket=")
    refused(eve.browse(hops[-1].url), "state_unknown")
    nobody(world, eve, ONE)
    nobody(world, ada, ONE)


@pytest.mark.parametrize("origin", [APP, TWO, LOGIN, OWN, OTHER, "https://in.app.test"])
def test_a_ticket_is_for_one_origin_and_account(world, origin):
    client = world.client()
    back = ticket_back(client, f"{ONE}/who")
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in flow_cookies(client).items())}
    refused(client.browse(back.replace(ONE, origin), headers=cookies), "state_unknown")
    assert client.browse(back).location == f"{ONE}/who"
    out = client.browse(f"{TWO}/who").location
    if origin != LOGIN:
        refused(client.browse(out.replace(LOGIN, origin)), "state_unknown")


def test_a_forged_ticket_opens_nothing(world):
    client = world.client()
    back = ticket_back(client, f"{ONE}/who")
    first, sealed = back.split("ticket=")
    session = world.client()
    session.login(f"{TWO}/who")
    for text in ["", "x", "A" + sealed, sealed[:-2] + "AA", f"{sealed}&ticket={sealed}", *session_cookies(session).values()]:
        for url in (first, f"{LOGIN}/sso/login?", f"{LOGIN}/sso/logout?"):
            refused(client.browse(f"{url.removesuffix('ticket=')}ticket={text}"), "state_unknown")
    assert client.browse(back).location == f"{ONE}/who"


@pytest.mark.slow
def test_a_ticket_lasts_sixty_seconds(world):
    import time
    client = world.client()
    out, back = client.browse(f"{TWO}/who").location, ticket_back(client, f"{ONE}/who")
    time.sleep(61)
    refused(client.browse(out), "state_unknown")
    refused(client.browse(back), "state_unknown")
    nobody(world, client, ONE)


@pytest.mark.parametrize("host", [
    "preview.app.test", "a.b.preview.app.test", "xpreview.app.test", "one.preview.app.test.", "one.preview.app.test.evil.com",
    "evil.com#.preview.app.test", "evil@one.preview.app.test", "one.preview.app.test:8443", "[::1].preview.app.test", "[::1]",
    "-x.preview.app.test", "x_y.preview.app.test", "*.preview.app.test", ".preview.app.test", "a%2e.preview.app.test",
])
def test_a_name_that_is_not_one_label_of_the_pattern_is_not_served(world, host):
    mark = world.app.mark()
    for path in ("/open", "/who", "/sso/login", "/sso/login?return_to=%2F"):
        reply = world.client().browse(f"{ONE}{path}", host=host)
        # Envoy itself refuses some of them.
        assert reply.code == "account_unknown" and reply.status == 404 or reply.status == 400 and reply.code is None, reply
        assert reply.location is None
    world.app.nothing_since(mark)


@pytest.mark.parametrize("host", ["one.preview.app.test", "ONE.Preview.App.Test", "one.preview.app.test:443"])
def test_one_label_in_any_spelling_of_its_host_is(world, host):
    client = world.client()
    assert client.browse(f"{ONE}/open", host=host).status == 200
    assert client.browse(f"{ONE}/who", host=host).location.startswith(f"{LOGIN}/sso/login?ticket=")


def test_an_exact_origin_goes_before_a_pattern(world):
    client = world.client()
    assert client.browse(f"{OWN}/who").location.startswith("https://in.app.test/sso/login?ticket=")
    assert client.login(f"{OWN}/who")[-1].seen()["x-sso-account"] == ["other"]


def test_the_application_is_not_at_the_login_origin(world):
    mark = world.app.mark()
    for path in ("/", "/open", "/who", "/healthz", "/api/sql/x", "/sso/session", "/sso/admin", "/SSO/login"):
        refused(world.client().browse(LOGIN + path), "account_unknown")
    refused(world.client().post(f"{LOGIN}/open", body={"a": "b"}), "account_unknown")
    world.app.nothing_since(mark)


def test_callbacks_are_at_the_login_origin_alone(world):
    client = world.client()
    hops = client.follow(client.browse(f"{ONE}/who"), until=lambda hop: "code=" in (hop.location or ""))
    callback = hops[-1].location
    assert callback.startswith(LOGIN)
    refused(client.browse(callback.replace(LOGIN, ONE)), "callback_invalid")
    refused(client.post(f"{ONE}/sso/saml/consume?u=acme", body={"SAMLResponse": "x"}), "callback_invalid")
    assert client.follow(client.browse(callback))[-1].url == f"{ONE}/who"


@pytest.mark.parametrize("to", [
    "https://evil.com/", "https://evil.com#.preview.app.test/", "https://evil.com\\.preview.app.test", "https://a.b.preview.app.test/",
    "https://xpreview.app.test/", "https://x.other.app.test/", "https://own.preview.app.test/", "https://one.preview.app.test:8443/",
    "https://one.preview.app.test./", "https://u@one.preview.app.test/", "http://one.preview.app.test/", "//one.preview.app.test/",
])
def test_a_login_leads_to_no_other_origin(world, to):
    query = urllib.parse.urlencode({"return_to": to})
    first = world.client().browse(f"{LOGIN}/sso/login?{query}")
    assert first.location.startswith(f"{APP}/sso/login?"), first
    for origin in (APP, ONE, TWO):
        refused(world.client().browse(f"{origin}/sso/login?{query}"), "return_to_refused")


def test_a_login_asked_for_at_the_login_origin_leads_to_the_origin_it_is_for(world):
    client = world.client()
    query = urllib.parse.urlencode({"return_to": f"{ONE}/who?x=1"})
    hops = client.login(f"{LOGIN}/sso/login?{query}")
    assert hops[-1].url == f"{ONE}/who?x=1" and hops[-1].status == 200, hops
    hops = world.client().login(f"{LOGIN}/sso/login")
    assert hops[-1].url == f"{APP}/" and hops[-1].status == 200, hops


def test_a_session_is_of_one_account(world):
    client = world.client()
    client.login(f"{ONE}/who")
    cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}
    for origin in (OTHER, OWN):
        mark = world.app.mark()
        refused(world.client().get(f"{origin}/who", headers=cookie), "login_required", "session_expired")
        world.app.nothing_since(mark)


def test_a_refused_login_leads_back_to_where_it_began(world):
    client = world.client()
    hops = client.follow(client.browse(f"{ONE}/who"), until=lambda hop: "code=" in (hop.location or ""))
    callback = urllib.parse.urlsplit(hops[-1].location)
    state = urllib.parse.parse_qs(callback.query)["state"][0]
    denied = client.browse(f"{LOGIN}/sso/oidc/consume?u=acme&state={state}&error=access_denied")
    refused(denied, "idp_denied")
    assert urllib.parse.quote(f"{ONE}/who", safe="") in denied.text
