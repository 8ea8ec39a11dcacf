"""A real Chromium between SimpleSAMLphp and the filter: the cross-site post with `SameSite=None` cookies (https) and
without them (http, where a page of the filter's own carries the login over)."""

import json

import pytest

from harness.app import Answer
from harness.browser import Browser
from harness.net import eventually
from harness.saml import SamlAccount, key
from harness.saml_forge import Key
from harness.simplesaml import SimpleSaml

KINDS = ["https", "http"]


def report(seen):
    """The application's page: who is there, and a way out."""
    told = {name: value for name, value in seen.headers if name.startswith("x-sso-")}
    page = f"""<!doctype html><title>Reports</title><h1>Reports</h1><p id="target">{seen.target}</p>
<pre>{json.dumps(told)}</pre><a href="/sso/logout">Sign out</a>"""
    return Answer(200, [("content-type", "text/html")], page.encode())


@pytest.fixture(scope="module")
def worlds(make_world):
    """An Envoy with TLS and one without; SimpleSAMLphp at another site than both."""
    tls, sp = Key("localhost"), key("sp")
    made = {"https": make_world("saml-browser-https", tls=(tls.pem, tls.private_pem)),
            "http": make_world("saml-browser-http", cookies={"secure": False})}
    simple = SimpleSaml(key("idp"))
    for kind, world in made.items():
        world.simple = simple
        world.environment |= {"SAML_KEY": sp.private_pem}
        for binding in ("redirect", "post"):
            account = SamlAccount(world, f"{kind}-{binding}", binding=binding, **simple.settings,
                                  signing={"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem})
            account.origin = f"{kind}://{account.code}.localhost:{world.port}"
            account.config["origins"] = [account.origin]
            account.entity, account.acs = (account.url(f"/sso/saml/{what}?u={account.code}") for what in ("metadata", "consume"))
            account.slo = account.url(f"/sso/saml/logout?u={account.code}")
            simple.add(account, sp)
        world.app.routes["/reports"] = report
    try:
        simple.start()
        for world in made.values():
            world.start()
        yield made
    finally:
        simple.stop()


@pytest.fixture
def browser():
    browser = Browser("--ignore-certificate-errors")
    yield browser
    browser.stop()


def sign_in(browser):
    browser.fill("username", "ada")
    browser.fill("password", "lovelace")
    browser.click("button[type=submit], input[type=submit], #regularsubmit button")


def cookies_named(browser, part):
    return [cookie for cookie in browser.driver.get_cookies() if part in cookie["name"]]


@pytest.mark.parametrize("binding", ["redirect", "post"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_and_out_through_the_providers_form(worlds, browser, kind, binding):
    world = worlds[kind]
    account = world.accounts[f"{kind}-{binding}"]
    browser.get(account.url("/reports?q=1"))
    browser.wait(lambda b: b.url.startswith(world.simple.url), "the provider's form")
    sign_in(browser)
    browser.wait(lambda b: b.url == account.url("/reports?q=1"), "the way back")
    assert '"x-sso-user": "ada@acme.com"' in browser.text and '"x-sso-roles": "account_admin"' in browser.text
    [session] = [cookie for cookie in browser.driver.get_cookies() if cookie["name"].endswith("sso")]
    assert session["sameSite"] == "Lax" and session["secure"] == (kind == "https") and session["httpOnly"]
    assert cookies_named(browser, "flow") == []
    browser.click_text("Sign out")
    browser.wait(lambda b: b.url.startswith(account.url("/sso/logout-complete")), "the page afterwards")
    assert browser.complaints() == []
    browser.get(account.url("/reports?q=2"))
    browser.wait(lambda b: b.url.startswith(world.simple.url) and "password" in b.driver.page_source, "the form again")


@pytest.mark.parametrize("kind", KINDS)
def test_begun_at_the_provider(worlds, browser, kind):
    """Its dashboard's link: the unsolicited response starts a login of the filter's own, which is silent."""
    world = worlds[kind]
    account = world.accounts[f"{kind}-redirect"]
    browser.get(f"{world.simple.sso}?spentityid={account.entity.replace('&', '%26').replace('?', '%3F')}&RelayState=/reports?q=3")
    sign_in(browser)
    browser.wait(lambda b: b.url == account.url("/reports?q=3"), "the page")
    assert '"x-sso-user": "ada@acme.com"' in browser.text
    assert browser.complaints() == []


def test_over_https_the_post_needs_no_bounce_and_over_http_one(worlds, browser):
    for kind, posts in (("https", 1), ("http", 2)):
        world = worlds[kind]
        account = world.accounts[f"{kind}-redirect"]
        browser.driver.delete_all_cookies()

        def consumed():
            return [line for line in world.envoy.access_lines()
                    if line["method"] == "POST" and line["path"] == f"/sso/saml/consume?u={account.code}"]

        browser.get(account.url("/reports?q=4"))
        browser.wait(lambda b: b.url == account.url("/reports?q=4") or "password" in b.driver.page_source, "form or page")
        before = len(consumed())
        if browser.url.startswith(world.simple.url):
            sign_in(browser)
        browser.wait(lambda b: b.url == account.url("/reports?q=4"), "the way back")
        browser.get(account.url("/sso/logout"))
        browser.wait(lambda b: b.url.startswith(account.url("/sso/logout-complete")), "the page afterwards")
        eventually(lambda: [line["code"] for line in consumed()[before:]] == ["continue", "redirect"][-posts:], 20,
                   what=f"{posts} posts over {kind}, not {consumed()}")
