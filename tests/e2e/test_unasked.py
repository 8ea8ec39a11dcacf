"""Requests that no user made (prefetches, HEAD, images): they end no session, begin no login and use none up."""

import pytest

from harness.expect import flow_cookies, session_cookies, signed_in, signed_out

OWN = {"sec-fetch-site": "same-origin"}
SPECULATIVE = [{name: value} for name in ("sec-purpose", "purpose", "x-moz", "x-purpose")
               for value in ("prefetch", "Prefetch;Prerender", "prefetch;anonymous-client-ip", "prerender", "preview")]
SPECULATIVE += [{"next-router-prefetch": "1"}, {"x-middleware-prefetch": "1"}]
DESTINATIONS = ("image", "style", "script", "font", "video", "audio", "track", "worker", "manifest", "object", "embed", "empty")
EMBEDDED = [OWN | {"sec-fetch-dest": dest, "sec-fetch-mode": "no-cors"} for dest in DESTINATIONS]
CLICKS = [("GET", OWN), ("GET", {"sec-fetch-site": None, "sec-fetch-dest": None, "sec-fetch-mode": None}),
          ("POST", OWN | {"origin": "https://acme.app.test"}),
          ("POST", OWN | {"origin": "https://acme.app.test", "sec-fetch-dest": "empty", "sec-fetch-mode": "cors"})]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("unasked", concurrency=1)
    world.account("acme")
    second = world.account("two")
    second.config["identity_providers"].append(second.config["identity_providers"][0] | {"id": "other", "title": "Others"})
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


@pytest.fixture
def front(acme):
    """The session at the provider is `front`, which a front-channel logout names."""
    acme.idp.change("claims", sid="front")
    yield
    acme.idp.reset()


def ignored(reply, page: bool = False):
    """Nothing was done: 204, or for the navigation of a document the page that leads to its own address."""
    assert reply.status == (200 if page else 204) and reply.code == "ignored", reply
    assert reply.get("cache-control") == "no-store" and not reply.set and reply.location is None, reply.headers
    assert reply.get("refresh") is None and "<script" not in reply.text and "ada" not in reply.text, reply
    assert ('href="">Continue</a>' in reply.text) == page, reply


def asks(reply):
    """Nothing was done: the page asks whether to sign out, and names no user."""
    assert (reply.status, reply.code) == (200, "logout_confirm"), reply
    assert reply.get("cache-control") == "no-store" and not reply.set and reply.location is None, reply.headers
    assert "ada" not in reply.text and "Another site" not in reply.text and "<script" not in reply.text, reply


def targets(account):
    framed = f"/sso/frontchannel-logout?u={account.code}&iss=https%3A%2F%2F{account.code}.idp.test&sid=front"
    return ["/sso/logout", "/sso//logout", "/sso/%6cogout", framed, f"/sso/frontchannel-logout?u={account.code}"]


def test_no_user_asked_for_this_sign_out(world, acme):
    ada = acme.signed_in()
    mark = world.app.mark()
    for headers in SPECULATIVE:
        asks(ada.browse(acme.url("/sso/logout"), headers=OWN | headers))
        for dest in DESTINATIONS + ("iframe", "frame"):
            ignored(ada.browse(acme.url("/sso/logout"), headers=OWN | headers | {"sec-fetch-dest": dest}))
    for headers in EMBEDDED:
        ignored(ada.browse(acme.url("/sso/logout"), headers=OWN | headers))
    for headers in SPECULATIVE:  # as a program sends it
        ignored(ada.get(acme.url("/sso/logout"), headers=headers))
    for headers in ({}, OWN, OWN | {"sec-purpose": "prefetch"}):
        ignored(ada.request("HEAD", acme.url("/sso/logout"), navigation=True, headers=headers))
    world.app.nothing_since(mark)
    signed_in(ada, acme)


def test_the_front_channel_and_other_spellings_end_nothing_either(world, acme, front):
    ada = acme.signed_in()
    mark = world.app.mark()
    for target in targets(acme):
        for headers in ({"sec-purpose": "prefetch"}, {"purpose": "prefetch"}, {"x-moz": "prefetch"}, OWN | {"sec-fetch-dest": "image"}):
            reply = ada.request("GET", acme.url("/sso/logout"), navigation=True, headers=headers, target=target)
            assert reply.status in (200, 204, 400) and reply.code in ("ignored", "logout_confirm", "request_invalid") and not reply.set, (target, headers, reply)
    world.app.nothing_since(mark)
    signed_in(ada, acme)


@pytest.mark.parametrize("method, headers", CLICKS, ids=("link", "old browser", "form", "script"))
def test_a_click_and_a_form_sign_out(acme, method, headers):
    ada = acme.signed_in()
    out = ada.request(method, acme.url("/sso/logout"), navigation=True, headers=headers)
    assert out.status in (302, 303) and out.location.startswith(f"{acme.idp.issuer}/logout?"), out
    assert not session_cookies(ada)
    signed_out(ada, acme)


def test_the_providers_own_frame_signs_out(acme, front):
    ada = acme.signed_in()
    framed = acme.url(f"/sso/frontchannel-logout?u=acme&iss={acme.idp.issuer}&sid=front")
    reply = ada.browse(framed, headers=OWN | {"sec-fetch-dest": "iframe"})
    assert reply.status == 200, reply
    signed_out(ada, acme)


@pytest.mark.parametrize("code, target", [(code, target) for code in ("acme", "two") for target in (
    "/sso/login", "/sso/login?return_to=/reports", "/sso/login?idp=corp&login_hint=ada", "/sso/login?prompt=login",
    "/reports", "/admin/x", "/sso/admin")])
def test_looking_ahead_begins_no_login(world, code, target):
    account = world.accounts[code]
    browser, mark, asked = account.client(), world.app.mark(), account.idp.count("authorize")
    for headers in SPECULATIVE:
        reply = browser.browse(account.url(target), headers=headers)
        assert not reply.set and not browser.cookies, (headers, reply)
        assert reply.location is None or "/authorize" not in reply.location, (headers, reply)
        assert reply.status in (200, 204) and reply.get("cache-control") == "no-store", (headers, reply)
    assert account.idp.count("authorize") == asked
    world.app.nothing_since(mark)
    # The twin: the user's own goes to the provider, and back.
    hops = browser.follow(browser.browse(account.url("/sso/login?idp=corp&return_to=/reports")))
    assert hops[-1].status == 200 and session_cookies(browser), hops


@pytest.mark.parametrize("headers", EMBEDDED, ids=DESTINATIONS)
def test_what_a_page_embeds_begins_no_login(world, acme, headers):
    browser, mark = acme.client(), world.app.mark()
    for target in ("/sso/login", "/sso/login?idp=corp&return_to=/reports", "/reports"):
        reply = browser.browse(acme.url(target), headers=headers)
        assert not reply.set and reply.location is None, (target, reply)
    world.app.nothing_since(mark)
    start = browser.browse(acme.url("/sso/login"))
    assert start.status == 302 and flow_cookies(browser), start


def test_a_head_begins_no_login(acme):
    browser = acme.client()
    for target in ("/sso/login", "/sso/login?idp=corp"):
        ignored(browser.request("HEAD", acme.url(target), navigation=True))
        assert browser.browse(acme.url(target)).location.startswith(f"{acme.idp.issuer}/authorize?")


def test_a_callback_looked_at_ahead_uses_neither_code_nor_state(acme):
    browser = acme.client()
    start = browser.browse(acme.url("/reports"))
    back = browser.browse(start.location).location
    asked = acme.idp.count("token")
    for headers in SPECULATIVE:
        ignored(browser.browse(back, headers=headers), page=True)
    assert acme.idp.count("token") == asked
    hops = browser.follow(browser.browse(back))
    assert hops[0].code == "redirect" and hops[-1].status == 200 and session_cookies(browser), hops


def test_with_a_session_a_page_is_looked_at_ahead(acme):
    ada = acme.signed_in()
    for headers in SPECULATIVE:
        reply = ada.browse(acme.url("/reports"), headers=headers)
        assert reply.status == 200 and reply.code is None and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
