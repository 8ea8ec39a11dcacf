"""A real Chromium whose pages look ahead at the filter's links: nothing is done before the click, and the click does it."""

import json
import urllib.parse

import pytest

from harness.app import Answer
from harness.browser import Browser
from harness.expect import signed_in, signed_out
from harness.https import Front, flags
from harness.net import eventually
from harness.passwords import report
from harness.tools import leave_out

KINDS = ["prefetch", "prerender", "link"]
IN = "ada@acme.com"


def start(seen):
    """A page with one link, at which the browser looks ahead: by a speculation rule or by `<link rel=prefetch>`."""
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(seen.target).query))
    rule = {asked["kind"]: [{"urls": [asked["to"]], "eagerness": "immediate"}]}
    ahead = f'<script type="speculationrules">{json.dumps(rule)}</script>'
    if asked["kind"] == "link":
        ahead = f'<link rel="prefetch" href="{asked["to"]}">'
    page = f'<!doctype html><title>Start</title>{ahead}<a id="to" href="{asked["to"]}">there</a>'
    return Answer(200, [("content-type", "text/html")], page.encode())


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("ahead", concurrency=1)
    account = world.account("acme")
    account.config["access"].insert(0, {"path": "/start", "allow": "anyone"})
    world.app.routes |= {"/start": start, "/reports": report}
    world.start()
    return world


@pytest.fixture(scope="module")
def acme(world):
    return world.accounts["acme"]


@pytest.fixture(scope="module")
def browser(world):
    fronts = [Front(world.port), Front(world.idps.port), Front(world.app.port)]
    names = zip(("acme.app.test", "acme.idp.test", "portal.app.test"), fronts)
    browser = Browser(*flags({name: front.port for name, front in names}))
    yield browser
    browser.stop()
    for front in fronts:
        front.stop()


@pytest.fixture
def mark(request) -> str:
    """A parameter that no other test's requests have in their query."""
    return f"n={abs(hash(request.node.name))}"


def look_ahead(world, browser, origin: str, kind: str, url: str) -> tuple[str, str]:
    """Opens the page with the link; how the filter answered the look ahead: status and code."""
    path = url[url.index("/", len("https://")):]
    browser.get(f"{origin}/start?{urllib.parse.urlencode({'kind': kind, 'to': url})}")
    try:
        lines = eventually(lambda: [line for line in world.envoy.access_lines() if line["path"] == path], 60, what=f"a {kind} of {path}")
    except AssertionError:
        if kind != "prerender":
            raise
        leave_out("this Chromium prerenders nothing, as one that is short of memory")
    return lines[0]["status"], lines[0]["code"]


def go(browser, step: str, there) -> None:
    """The user clicks, once more if a page asks for it with a button or link `step`, and comes `there`."""
    browser.click("#to")
    browser.wait(lambda b: there(b) or b.driver.title in ("One more step", "Sign out?"), "the page after the click")
    if not there(browser):
        browser.click_text(step)
    browser.wait(there, "where the link leads")
    assert browser.complaints() == []


# A page of another origin of the same site may look ahead with the cookies; the browser does not say for whom it does.
@pytest.mark.parametrize("kind, host", [*((kind, "acme.app.test") for kind in KINDS), ("prefetch", "portal.app.test"),
                                        ("link", "portal.app.test")])
def test_a_sign_out_that_was_looked_ahead_at(world, acme, browser, mark, kind, host):
    ada, ended = acme.signed_in(), acme.idp.count("end_session")
    browser.devtools("Network.clearBrowserCookies")
    browser.keep(ada, acme.origin)
    answer = look_ahead(world, browser, f"https://{host}", kind, acme.url(f"/sso/logout?{mark}"))
    assert answer == ((204, "ignored") if kind == "link" else (200, "logout_confirm"))
    assert acme.idp.count("end_session") == ended
    signed_in(ada, acme)
    go(browser, "Sign out", lambda b: "You are signed out" in b.text)
    assert acme.idp.count("end_session") == ended + 1
    signed_out(ada, acme)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/reports?", "/sso/login?return_to=/reports&"])
def test_a_login_that_was_looked_ahead_at(world, acme, browser, mark, path, kind):
    browser.devtools("Network.clearBrowserCookies")
    asked, seen_before = acme.idp.count("authorize"), world.app.mark()
    answer = look_ahead(world, browser, acme.origin, kind, acme.url(path + mark))
    assert answer == (204 if kind == "link" else 200, "ignored")
    assert acme.idp.count("authorize") == asked
    assert [seen.path for seen in world.app.since(seen_before)] == ["/start"]
    assert browser.devtools("Network.getCookies", urls=[acme.origin])["cookies"] == []
    go(browser, "Continue", lambda b: b.url.startswith(acme.url("/reports")) and IN in b.text)


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_session_the_page_itself_is_there(world, acme, browser, mark, kind):
    browser.devtools("Network.clearBrowserCookies")
    browser.keep(acme.signed_in(), acme.origin)
    assert look_ahead(world, browser, acme.origin, kind, acme.url(f"/reports?{mark}")) == (200, None)
    browser.click("#to")
    browser.wait(lambda b: b.url.startswith(acme.url("/reports")) and IN in b.text, "the report")
