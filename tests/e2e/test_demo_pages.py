"""The demo's application and its identity provider in a real browser, at 320 and 360 pixels, light and dark."""

import os
import shutil
import subprocess
import sys
import urllib.request

import pytest

from harness.browser import Browser
from harness.net import PROJECT, eventually, free_port

DEMO = PROJECT / "envoy/demo"
TOLD = {"x-sso-user": "ada", "x-sso-name": "Ada Lovelace", "x-sso-roles": "account_admin,member", "x-sso-method": "sso",
        "x-sso-idp": "corp", "x-sso-assertion": "eyJhbGciOiJFUzI1NiJ9." + "x" * 700}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Both as the demo starts them; the provider finds its packages where these tests have them."""
    here = tmp_path_factory.mktemp("demo")
    for name in ("idp.mjs", "users.json"):
        shutil.copy(DEMO / name, here)
    (here / "node_modules").symlink_to(PROJECT / "tests/e2e/node_modules")
    app, scim, idp = free_port(), free_port(), free_port()
    urls = {"app": f"http://127.0.0.1:{app}", "idp": f"http://127.0.0.1:{idp}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    services = [
        subprocess.Popen([sys.executable, "-B", DEMO / "app.py"], **quiet,
                         env={**os.environ, "APP_PORT": str(app), "SCIM_PORT": str(scim), "SCIM_TOKEN": "x"}),
        subprocess.Popen(["node", here / "idp.mjs"], cwd=here, **quiet,
                         env={**os.environ, "ISSUER": urls["idp"], "PORT": str(idp), "APP": urls["app"], "CLIENT_SECRET": "x" * 40}),
    ]
    for url in (urls["app"] + "/healthz", urls["idp"] + "/.well-known/openid-configuration"):
        eventually(lambda: urllib.request.urlopen(url, timeout=5).status == 200, 60)
    yield urls
    for service in services:
        service.terminate()
        service.wait(60)


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.stop()


def come_to(demo, browser, page: str) -> None:
    browser.devtools("Network.setExtraHTTPHeaders", headers=TOLD if page in ("start", "administrators") else {})
    browser.devtools("Network.clearBrowserCookies")
    begin = (f"{demo['idp']}/auth?client_id=reports&response_type=code&scope=openid&code_challenge={'x' * 43}"
             f"&code_challenge_method=S256&redirect_uri={demo['app']}/sso/oidc/consume%3Fu%3Dacme")
    match page:
        case "login" | "start" | "administrators":
            browser.get(demo["app"] + {"login": "/login", "start": "/reports?q=1", "administrators": "/admin/settings"}[page])
        case "wrong-password":
            browser.get(demo["app"] + "/login")
            browser.fill("username", "ada")
            browser.fill("password", "wrong")
            browser.click("button")
            browser.wait(lambda b: "do not belong together" in b.text, "the refusal")
        case "provider" | "provider-wrong-password":
            browser.get(begin)
            browser.wait(lambda b: "Acme identity provider" in b.text, "the provider's form")
            if page != "provider":
                browser.fill("login", "ada")
                browser.fill("password", "wrong")
                browser.click("button")
                browser.wait(lambda b: "do not belong together" in b.text, "the refusal")
        case "provider-sign-out":
            browser.get(begin)
            browser.fill("login", "ada")
            browser.fill("password", "idp")
            browser.click("button")
            browser.wait(lambda b: b.url.startswith(demo["app"]), "the application")
            browser.get(demo["idp"] + "/session/end")
            browser.wait(lambda b: "sign me out" in b.text, "the question")


@pytest.mark.parametrize("page", ["login", "wrong-password", "start", "administrators", "provider", "provider-wrong-password",
                                  "provider-sign-out"])
def test_nothing_is_in_anybodys_way(demo, browser, page):
    found = []
    for scheme in ("light", "dark"):
        browser.colours(scheme)
        browser.size(360, 640)
        come_to(demo, browser, page)
        for width in (320, 360):
            browser.size(width, 640)
            wide = browser.driver.execute_script("return document.scrollingElement.scrollWidth")
            found += [f"{scheme}, {width}: {wide} pixels wide"] if wide > width else []
            found += [f"{scheme}, {width}: {violation}" for violation in browser.violations(undecided=False)]
    assert not found, "\n".join(found)
