"""A real Chromium, the certified oidc-provider with its own login form, and the filter between them."""

import json

import pytest

from harness.app import Answer
from harness.browser import Browser
from harness.net import free_port
from harness.provider import OidcProvider
from harness.world import World

ALGS = ["RS256", "PS256", "ES256", "EdDSA"]
KINDS = ["confidential", "public"]
PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada Lovelace", "groups": ["lakehouse-admins"]},
          "bob": {"email": "bob@acme.com", "email_verified": False, "name": "Bob"}}


def report(seen):
    """The application's page: who is there, and a way out."""
    told = {name: value for name, value in seen.headers if name.startswith("x-sso-")}
    page = f"""<!doctype html><title>Reports</title><h1>Reports</h1><p id="user">{told.get("x-sso-user")}</p>
<p id="target">{seen.target}</p><pre>{json.dumps(told)}</pre><a href="/sso/logout">Sign out</a>"""
    return Answer(200, [("content-type", "text/html")], page.encode())


@pytest.fixture(scope="module")
def world(make_world):
    """An account for each algorithm and kind of client; each has a host name of its own on this machine."""
    world = make_world("browser", cookies={"secure": False})
    clients = []
    for kind in KINDS:
        for alg in ALGS:
            code = f"{kind}-{alg.lower()}"
            account = world.account(code)
            account.origin = f"http://{code}.localhost:{world.port}"
            clients.append({"client_id": code, "id_token_signed_response_alg": alg,
                            "redirect_uris": [f"{account.origin}/sso/oidc/consume?u={code}"],
                            "post_logout_redirect_uris": [f"{account.origin}/sso/logout-complete"],
                            **({"client_secret": "the secret of the client"} if kind == "confidential" else
                               {"token_endpoint_auth_method": "none"})})
    provider = OidcProvider(clients, PEOPLE)
    world.clusters["provider"] = provider.port
    world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
    for code, account in world.accounts.items():
        oidc = {"discovery": f"{provider.issuer}/.well-known/openid-configuration", "client_id": code}
        if code.startswith("confidential"):
            oidc["client_secret"] = {"env": "OIDC_SECRET"}
        account.config["origins"] = [account.origin]
        account.config["identity_providers"] = [{"id": "corp", "title": "Acme staff", "oidc": oidc}]
    two = world.account("two")
    two.origin = f"http://two.localhost:{world.port}"
    first = world.accounts["confidential-rs256"].config["identity_providers"][0]["oidc"]
    two.config |= {"origins": [two.origin], "identity_providers": [
        {"id": "corp", "title": "Acme staff", "email_domains": ["acme.com"], "oidc": first},
        {"id": "partners", "title": "Partners", "email_domains": ["partner.com"], "oidc": first}]}
    world.app.routes["/reports"] = report
    world.start()
    yield world
    provider.stop()


@pytest.fixture
def browser():
    browser = Browser()
    yield browser
    browser.stop()


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("kind", KINDS)
def test_in_by_the_login_form_back_to_the_page_and_out_by_logout(world, browser, kind, alg):
    account = world.accounts[f"{kind}-{alg.lower()}"]
    browser.get(account.origin + "/reports?q=1")
    browser.wait(lambda b: "/interaction/" in b.url, "the provider's form")
    browser.sign_in("ada")
    browser.wait(lambda b: "Authorize" in b.text, "the provider's consent")
    browser.consent()
    browser.wait(lambda b: b.url == account.origin + "/reports?q=1", "the way back")
    assert "ada@acme.com" in browser.text and "/reports?q=1" in browser.text
    assert '"x-sso-roles": "account_admin"' in browser.text
    browser.driver.refresh()
    assert "ada@acme.com" in browser.text
    browser.click_text("Sign out")
    browser.wait(lambda b: "/session/end" in b.url or "/sso/logout-complete" in b.url, "the provider's question")
    if "/session/end" in browser.url:
        browser.click("button[name=logout], button[type=submit]")
    browser.wait(lambda b: b.url.startswith(account.origin + "/sso/logout-complete"), "the page afterwards")
    if (kind, alg) == (KINDS[0], ALGS[0]):
        browser.screenshot("signed-out")
    assert browser.complaints() == []
    # Out here and there: the form is back.
    browser.get(account.origin + "/reports?q=1")
    browser.wait(lambda b: "/interaction/" in b.url, "the provider's form again")


def test_the_page_that_offers_a_choice(world, browser):
    account = world.accounts["two"]
    browser.get(account.origin + "/reports?q=1")
    browser.wait(lambda b: "Acme staff" in b.text and "Partners" in b.text, "the sign-in page")
    browser.screenshot("sign-in")
    assert browser.complaints() == []
    browser.click_text("Partners")
    browser.wait(lambda b: "127.0.0.1" in b.url, "the provider")


def test_an_error_is_a_page_that_a_person_understands(world, browser):
    account = world.accounts["confidential-rs256"]
    browser.get(account.origin + "/reports?q=1")
    browser.wait(lambda b: "/interaction/" in b.url, "the provider's form")
    browser.sign_in("bob")  # his email is not verified
    browser.wait(lambda b: "Authorize" in b.text, "the provider's consent")
    browser.consent()
    browser.wait(lambda b: "email_unverified" in b.text, "the refusal")
    browser.screenshot("refused")
    assert browser.complaints() == []
    browser.get(account.origin + "/sso/oidc/consume?u=confidential-rs256&code=x&state=y")
    browser.wait(lambda b: "state_unknown" in b.text, "the refusal")
    browser.screenshot("state-unknown")


def test_a_cancelled_login_says_so(world, browser):
    account = world.accounts["confidential-es256"]
    browser.get(account.origin + "/reports?q=1")
    browser.wait(lambda b: "/interaction/" in b.url, "the provider's form")
    browser.click_text("Cancel")
    browser.wait(lambda b: "idp_denied" in b.text, "the refusal")
    browser.screenshot("cancelled")


def test_two_tabs_both_arrive(world, browser):
    account = world.accounts["public-rs256"]
    browser.get(account.origin + "/reports?tab=1")
    browser.wait(lambda b: "/interaction/" in b.url, "the first form")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.get(account.origin + "/reports?tab=2")
    browser.wait(lambda b: "/interaction/" in b.url, "the second form")
    browser.sign_in("ada")
    browser.wait(lambda b: "Authorize" in b.text, "consent")
    browser.consent()
    browser.wait(lambda b: b.url == account.origin + "/reports?tab=2", "the second tab's page")
    browser.driver.switch_to.window(first)
    browser.sign_in("ada")
    browser.wait(lambda b: "Authorize" in b.text or "tab=1" in b.url, "the first tab")
    if "Authorize" in browser.text:
        browser.consent()
    browser.wait(lambda b: b.url == account.origin + "/reports?tab=1", "the first tab's page")
