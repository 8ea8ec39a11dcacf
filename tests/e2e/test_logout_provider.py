"""Signing out with the certified oidc-provider: from here to there and back, and from there to here; and its pushed
authorization requests, where it takes no others."""

import html.parser
import urllib.parse

import pytest

from harness.app import Answer
from harness.browser import Browser
from harness.client import Client
from harness.expect import is_session, refused
from harness.net import eventually
from harness.provider import OidcProvider

SECRET = "the secret of the client"


def who(seen) -> Answer:
    told = dict(seen.headers)
    page = f"<!doctype html><title>Who</title><p id=\"user\">{told['x-sso-user']}</p><p id=\"sid\">{told['x-sid']}</p>"
    return Answer(200, [("content-type", "text/html")], page.encode())


@pytest.fixture(scope="module")
def world(make_world):
    """Two applications at one provider, which reaches this Envoy by its address."""
    world = make_world("logout-provider", concurrency=4, cookies={"secure": False})
    own = f"http://127.0.0.1:{world.port}"
    clients = []
    for code in ("acme", "other", "pushed"):
        account = world.account(code)
        account.origin = f"http://{code}.localhost:{world.port}"
        clients.append({"client_id": code, "client_secret": SECRET,
                        "redirect_uris": [f"{account.origin}/sso/oidc/consume?u={code}"],
                        "post_logout_redirect_uris": [f"{account.origin}/sso/logout-complete"],
                        "backchannel_logout_uri": f"{own}/sso/backchannel-logout?u={code}",
                        "backchannel_logout_session_required": True})
    provider = OidcProvider(clients)
    strict = OidcProvider(clients, require_par=True)
    world.clusters |= {"provider": provider.port, "strict": strict.port}
    world.cluster_table = {f"127.0.0.1:{provider.port}": "provider", f"127.0.0.1:{strict.port}": "strict"}
    for code, account in world.accounts.items():
        issuer = (strict if code == "pushed" else provider).issuer
        account.config |= {
            "origins": [account.origin, own],
            "identity_providers": [{"id": "corp", "oidc": {
                "discovery": f"{issuer}/.well-known/openid-configuration", "client_id": code,
                "client_secret": {"env": "OIDC_SECRET"}}}],
            "forward": {"headers": {"x-sid": "sid"}}}
    world.provider, world.strict = provider, strict
    world.app.routes["/who"] = who
    world.start()
    yield world
    provider.stop()
    strict.stop()


class _Forms(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.forms = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append((attrs.get("action"), {}))
        elif tag in ("input", "button") and attrs.get("name") and self.forms:
            self.forms[-1][1].setdefault(attrs["name"], attrs.get("value") or "")


def submit(client, page, **values):
    """The first form of a page, filled in."""
    action, fields = _Forms(page.text).forms[0]
    filled = {name: values.get(name, value) for name, value in (fields | values).items()}
    return client.request("POST", urllib.parse.urljoin(page.url, action), body=filled, navigation=True)


def walk(client, reply, login="ada"):
    """On through redirects, the provider's login form and its consent."""
    for _ in range(20):
        if reply.status in (302, 303):
            reply = client.browse(reply.location)
        elif "/interaction/" in reply.url and reply.status == 200:
            fields = _Forms(reply.text).forms[0][1]
            reply = submit(client, reply, **({"login": login, "password": "any"} if "login" in fields else {}))
        else:
            return reply
    raise AssertionError(f"a redirect loop at {reply}")


def client_of(world, account, provider=None):
    hosts = {f"{code}.localhost": world.port for code in world.accounts}
    return Client(hosts | {"127.0.0.1": (provider or world.provider).port})


def signed_in(world, account, client=None, provider=None):
    client = client or client_of(world, account, provider)
    page = walk(client, client.browse(account.url("/who")))
    assert page.status == 200 and "ada@acme.com" in page.text, page
    return client


def sent_away(world, account, client) -> bool:
    """No worker takes these cookies."""
    own = [cookie for cookie in client.cookies_for(account.url("/")) if is_session(cookie.name)]
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in own)
    replies = [client_of(world, account).get(account.url("/who"), headers={"cookie": cookie}) for _ in range(24)]
    return all(reply.code == "session_expired" for reply in replies)


def test_signing_out_at_the_provider_ends_the_session_here_on_every_worker(world):
    acme, other = world.accounts["acme"], world.accounts["other"]
    client = signed_in(world, acme)
    signed_in(world, other, client)
    bystander = signed_in(world, acme)
    for _ in range(12):
        assert client.get(acme.url("/who")).status == 200
    # The provider's own page, in the browser that is signed in to both applications.
    page = client.browse(f"{world.provider.issuer}/session/end")
    submit(client, page, logout="yes")
    for account in (acme, other):
        eventually(lambda: sent_away(world, account, client), what=f"the end at {account.code}")
    assert bystander.get(acme.url("/who")).status == 200, "another browser of the same person goes on"
    events = [event for event in world.envoy.events() if event.get("reason") == "backchannel_logout"]
    assert {event["account"] for event in events} == {"acme", "other"}, events


def test_signing_out_here_goes_on_at_the_provider_and_comes_back_with_its_state(world):
    acme, other = world.accounts["acme"], world.accounts["other"]
    client = signed_in(world, acme)
    signed_in(world, other, client)
    out = client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{world.provider.issuer}/session/end?") and out.query()["state"], out
    before = world.envoy.stats("sso_logouts_returned")
    page = walk(client, submit(client, client.browse(out.location), logout="yes"))
    assert page.code == "signed_out" and f"state={out.query()['state']}" in page.url, page
    after = world.envoy.stats("sso_logouts_returned")
    assert sum(after.values()) == sum(before.values()) + 1 and all("unknown" not in name for name in after), after
    assert not [name for name in client.values() if "logout" in name], "the state is used up"
    # The other application hears of it over the back channel.
    eventually(lambda: sent_away(world, other, client), what="the end at the other application")


def test_a_wrong_state_afterwards_is_a_page_and_nothing_more(world):
    acme = world.accounts["acme"]
    client = signed_in(world, acme)
    page = client.browse(acme.url("/sso/logout-complete?state=wrong"))
    assert (page.status, page.code) == (200, "still_signed_in"), page
    assert client.get(acme.url("/who")).status == 200


def test_the_frame_of_the_providers_page_signs_out_in_a_real_browser(world):
    acme = world.accounts["acme"]
    browser = Browser()
    try:
        browser.get(acme.url("/who"))
        browser.wait(lambda b: "/interaction/" in b.url, "the provider's form")
        browser.sign_in("ada")
        browser.wait(lambda b: "Authorize" in b.text, "the provider's consent")
        browser.consent()
        browser.wait(lambda b: "ada@acme.com" in b.text, "the page")
        sid = browser.driver.find_element("id", "sid").text
        assert sid

        def frame(**query):
            src = acme.url("/sso/frontchannel-logout?") + urllib.parse.urlencode({"u": "acme"} | query)
            browser.get(f"{world.provider.issuer}/frame?" + urllib.parse.urlencode({"src": src}))
            browser.wait(lambda b: "Signing out" in b.text, "the provider's page")

        frame(iss=world.provider.issuer, sid="guess")
        assert browser.complaints() == [], "the policy lets the provider frame it"
        browser.get(acme.url("/who"))
        assert "ada@acme.com" in browser.text
        frame(iss=world.provider.issuer, sid=sid)
        assert browser.complaints() == []
        browser.get(acme.url("/sso/session"))
        assert "session_expired" in browser.text, browser.text
    finally:
        browser.stop()


def test_a_provider_that_takes_pushed_requests_alone(world):
    pushed = world.accounts["pushed"]
    client = client_of(world, pushed, world.strict)
    start = client.browse(pushed.url("/who"))
    assert set(start.query()) == {"client_id", "request_uri"}, start
    signed_in(world, pushed, client)
    # What it does with a request that was not pushed.
    plain = urllib.parse.urlencode({"client_id": "pushed", "response_type": "code", "scope": "openid",
                                    "redirect_uri": pushed.url("/sso/oidc/consume?u=pushed")})
    refused_there = client.browse(f"{world.strict.issuer}/auth?{plain}")
    assert "error=" in (refused_there.location or "") or refused_there.status == 400, refused_there


def test_a_pushed_request_that_the_provider_refuses_is_an_error_page(world):
    pushed = world.accounts["pushed"]
    oidc = pushed.config["identity_providers"][0]["oidc"]
    oidc["client_secret"] = {"value": "a wrong secret"}
    try:
        assert world.update()
        client = client_of(world, pushed, world.strict)
        eventually(lambda: client.browse(pushed.url("/who")).code == "idp_invalid_answer", what="the new secret")
        refused(client.browse(pushed.url("/who")), "idp_invalid_answer")
    finally:
        oidc["client_secret"] = {"env": "OIDC_SECRET"}
        assert world.update()
