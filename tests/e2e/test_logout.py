"""Signing out: here, at the provider, for captured copies, and not because another site says so."""

import re
import urllib.parse

import pytest

from harness import jose
from harness.client import origin
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.idp import DROP


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("logout", concurrency=4)
    world.account("acme")
    url = world.account("url", logout_url="https://url.idp.test/v2/logout",
                        logout_params={"client_id": "{client_id}", "returnTo": "{post_logout_redirect_uri}"})
    url.idp.change("discovery", end_session_endpoint=DROP)
    world.account("large").idp.change("claims", padding="x" * 9000)
    world.account("fits").idp.change("claims", padding="x" * 1800)
    world.account("plain").idp.change("discovery", end_session_endpoint=DROP)
    world.account("paths", {"paths": {"oidc_callback": "/api/auth/callback", "logout": "/api/auth/logout",
                                      "logout_complete": "/api/auth/logout-complete", "session": "/api/auth/me"}})
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


def test_out_here_and_at_the_provider(world, acme):
    client = acme.signed_in()
    mark = world.app.mark()
    out = client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.status in (302, 303) and out.location.startswith(f"{acme.idp.issuer}/logout?"), out
    asked = out.query()
    assert asked["post_logout_redirect_uri"] == acme.url("/sso/logout-complete")
    assert asked.get("client_id", "lakehouse") == "lakehouse"
    assert jose.claims_of(asked["id_token_hint"])["sub"] == "248289761001"
    assert session_cookies(client) == {}
    signed_out(client, acme)
    hops = client.follow(out)
    assert urllib.parse.urlsplit(hops[-1].url).path == "/sso/logout-complete", hops
    assert hops[-1].status == 200 and "html" in hops[-1].get("content-type"), hops[-1]
    world.app.nothing_since(mark)
    signed_out(client, acme)
    # And in again.
    assert client.login(acme.url("/reports"))[-1].status == 200


@pytest.mark.parametrize("code, is_hinted", [("fits", True), ("large", False)])
def test_no_url_is_longer_than_servers_take(world, code, is_hinted):
    """RP-Initiated Logout 1.0 section 2: the hint is recommended, and a URL over 4 KB is what servers refuse."""
    account = world.accounts[code]
    client = account.signed_in()
    out = client.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{account.idp.issuer}/logout?") and len(out.location) <= 4096, len(out.location)
    assert ("id_token_hint" in out.query()) is is_hinted
    assert out.query()["client_id"] == "lakehouse" and out.query()["post_logout_redirect_uri"]
    hops = client.follow(out)
    assert urllib.parse.urlsplit(hops[-1].url).path == "/sso/logout-complete", hops
    signed_out(client, account)


def test_captured_copies_of_the_session_end_on_every_worker(world, acme):
    client = acme.signed_in()
    captured = "; ".join(f"{k}={v}" for k, v in session_cookies(client).items())
    bystander = acme.signed_in()
    for _ in range(12):  # every worker has it in its cache
        assert acme.client().get(acme.url("/who"), headers={"cookie": captured}).status == 200
    client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    for _ in range(24):
        reply = acme.client().get(acme.url("/who"), headers={"cookie": captured})
        refused(reply, "session_expired", "login_required")
    signed_in(bystander, acme)


def test_where_there_is_no_end_session_endpoint_the_url_template_is_used(world):
    account = world.accounts["url"]
    client = account.signed_in()
    out = client.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith("https://url.idp.test/v2/logout?"), out
    assert out.query() == {"client_id": "lakehouse", "returnTo": account.url("/sso/logout-complete")}
    signed_out(client, account)
    assert client.follow(out)[-1].status == 200


def test_where_the_provider_has_neither_it_ends_here(world):
    account = world.accounts["plain"]
    client = account.signed_in()
    hops = client.follow(client.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
    assert hops[-1].status == 200 and not any(hop.url.startswith(account.idp.issuer) for hop in hops), hops
    signed_out(client, account)


def test_other_paths_work_as_well(world):
    account = world.accounts["paths"]
    client = account.client()
    start = client.browse(account.url("/reports?q=1"))
    assert start.query()["redirect_uri"] == account.url("/api/auth/callback")
    assert client.follow(start)[-1].status == 200
    assert client.get(account.url("/api/auth/me")).status == 200
    out = client.browse(account.url("/api/auth/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.query()["post_logout_redirect_uri"] == account.url("/api/auth/logout-complete")
    signed_out(client, account)


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
                                     {"sec-fetch-site": None, "origin": "https://evil.test"},
                                     {"sec-fetch-site": None, "referer": "https://evil.test/x"}],
                         ids=["cross-site", "same-site", "origin", "referer"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_cannot_sign_anybody_out(world, acme, headers, method):
    client = acme.signed_in()
    mark = world.app.mark()
    reply = client.request(method, acme.url("/sso/logout"), navigation=True, headers=headers)
    assert reply.status not in (302, 303), reply
    world.app.nothing_since(mark)
    signed_in(client, acme)


def test_a_cross_site_link_gets_a_page_that_asks(world, acme):
    client = acme.signed_in()
    page = client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "cross-site"})
    assert page.status == 200 and 'method="post"' in page.text and "frame-ancestors 'none'" in \
        page.get("content-security-policy"), page
    signed_in(client, acme)
    action = re.search(r'<form[^>]*action="([^"]*)"', page.text).group(1)
    fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', page.text))
    # A guess at what the page carries is not enough.
    for wrong in ({}, fields | {"csrf": "x" * len(fields.get("csrf", "x"))}):
        client.request("POST", acme.url(action), body=wrong, navigation=True,
                       headers={"origin": "https://evil.test", "sec-fetch-site": "cross-site"})
        signed_in(client, acme)
    out = client.request("POST", urllib.parse.urljoin(page.url, action), body=fields, navigation=True,
                         headers={"origin": origin(page.url), "sec-fetch-site": "same-origin"})
    assert out.status in (302, 303), out
    signed_out(client, acme)


def test_nobody_signed_in_can_sign_out_too(acme):
    client = acme.client()
    hops = client.follow(client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
    assert hops[-1].status == 200, hops


def test_the_page_afterwards_shows_nothing_it_was_told(acme):
    reply = acme.client().browse(acme.url("/sso/logout-complete?state=%3Cscript%3Ealert(1)%3C/script%3E&error=%22onload="))
    assert reply.status == 200 and "alert(1)" not in reply.text and "onload" not in reply.text
