"""The migration and its rollback, live in one running Envoy, with a real browser and the certified provider.

Side by side, then administrators only, then no passwords, then back again. After every step: who gets in by which way,
and which of the sessions that were open before still are.
"""

import pytest

from harness.passwords import login_page, report
from harness.browser import Browser
from harness.client import Client
from harness.expect import refused, session_cookies
from harness.net import eventually
from harness.provider import OidcProvider

USERS = [{"username": "root", "email": "root@acme.com", "roles": ["account_admin"]},
         {"username": "ada", "email": "ada@acme.com", "roles": ["editor"]}]
PEOPLE = {name: {"email": f"{name}@acme.com", "email_verified": True, "name": name.title()} for name in ("root", "ada")}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("migration", cookies={"secure": False}, ecds=True)
    account = world.account("acme")
    account.origin = f"http://acme.localhost:{world.port}"
    provider = OidcProvider([{"client_id": "acme", "client_secret": "the secret of the client",
                              "redirect_uris": [f"{account.origin}/sso/oidc/consume?u=acme"],
                              "post_logout_redirect_uris": [f"{account.origin}/sso/logout-complete"]}], PEOPLE)
    world.clusters["provider"] = provider.port
    world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
    account.config |= {
        "origins": [account.origin],
        "identity_providers": [{"id": "corp", "title": "Acme staff", "oidc": {
            "discovery": f"{provider.issuer}/.well-known/openid-configuration", "client_id": "acme",
            "client_secret": {"env": "OIDC_SECRET"}}}],
        "mapping": {"claim": "email", "attribute": "email"},
        "directory": {"static": {"users": USERS}},
        "password": {"mode": "enabled", "admin_roles": ["account_admin"], "page": "/login", "logins": [
            {"path": "/login", "username": {"form": "username"}, "success": {"redirect": "/reports"}}]},
        "access": [{"path": "/login", "allow": "anyone"}],
    }
    world.app.routes |= {"/login": login_page, "/reports": report}
    world.start()
    yield world
    provider.stop()


@pytest.fixture
def browsers():
    """One browser for each session that must outlive, or not, the steps."""
    opened = []

    def make() -> Browser:
        opened.append(Browser())
        return opened[-1]

    yield make
    for browser in opened:
        browser.stop()


class Steps:
    def __init__(self, world):
        self.world, self.account = world, world.accounts["acme"]
        self.app, self.origin = world.app, self.account.origin

    def set_mode(self, mode: str) -> None:
        """A live update of nothing but the mode; waits until every worker has it."""
        self.account.config["password"]["mode"] = mode
        assert self.world.update()
        expected = {"enabled": (302, 302), "admins": (302, 403), "disabled": (403, 403)}[mode]

        def settled():
            return all((self.post("root").status, self.post("ada").status) == expected for _ in range(8))

        eventually(settled, what=f"mode {mode} on every worker")

    def client(self) -> Client:
        return Client({"acme.localhost": self.world.port}, self.world.port)

    def post(self, username: str, client: Client | None = None):
        return (client or self.client()).post(self.origin + "/login", body={"username": username, "password": "right"},
                                              headers={"origin": self.origin})

    def passwords_are(self, **expected) -> None:
        """What a password login of each brings: None, in; or the code of the refusal, and nothing at the application."""
        for username, code in expected.items():
            mark, client = self.app.mark(), self.client()
            reply = self.post(username, client)
            if code is None:
                assert reply.status == 302 and reply.code is None and session_cookies(client), reply
                seen = client.get(self.origin + "/reports").text
                assert f"user={username}" in seen and "method=password" in seen
            else:
                refused(reply, code)
                self.app.nothing_since(mark)
                assert not session_cookies(client)

    def is_in(self, browser: Browser, username: str, method: str) -> None:
        browser.get(self.origin + "/reports")
        assert f"user={username}" in browser.text and f"method={method}" in browser.text, (browser.url, browser.text[:500])

    def is_out(self, browser: Browser) -> None:
        mark = self.app.mark()
        browser.get(self.origin + "/reports")
        assert "user=" not in browser.text, browser.text[:500]
        self.app.nothing_since(mark)

    def by_password(self, browser: Browser, username: str) -> None:
        browser.get(self.origin + "/login")
        browser.fill("username", username)
        browser.fill("password", "right")
        browser.click("button[type=submit]")

    def by_provider(self, browser: Browser, username: str) -> None:
        browser.get(self.origin + "/reports")
        if "/interaction/" not in browser.url:  # the sign-in page, where there is a choice
            browser.click_text("Acme staff")
        browser.wait(lambda b: "/interaction/" in b.url, "the provider's form")
        browser.sign_in(username)
        browser.wait(lambda b: "Authorize" in b.text, "the provider's consent")
        browser.consent()
        browser.wait(lambda b: f"user={username}" in b.text and "method=sso" in b.text, "the report")


def test_the_migration_and_its_rollback(world, browsers):
    steps = Steps(world)

    # 1. Side by side: both ways for everybody, and the sign-in page offers both.
    ada_sso, root_sso, ada_password, root_password = browsers(), browsers(), browsers(), browsers()
    ada_password.get(steps.origin + "/reports")
    ada_password.wait(lambda b: "Acme staff" in b.text, "the sign-in page")
    assert ada_password.driver.find_elements("css selector", 'a[href$="/login"]'), ada_password.driver.page_source[:3000]
    ada_password.screenshot("migration-side-by-side")
    for browser, username in ((ada_password, "ada"), (root_password, "root")):
        steps.by_password(browser, username)
        browser.wait(lambda b, username=username: f"user={username}" in b.text and "method=password" in b.text, "the report")
    steps.by_provider(ada_sso, "ada")
    steps.by_provider(root_sso, "root")
    steps.passwords_are(root=None, ada=None, nobody=None)

    # 2. Administrators only.
    steps.set_mode("admins")
    steps.passwords_are(root=None, ada="password_not_allowed", nobody="password_not_allowed")
    steps.is_in(ada_sso, "ada", "sso")
    steps.is_in(root_sso, "root", "sso")
    steps.is_in(root_password, "root", "password")
    steps.is_out(ada_password)
    assert "/interaction/" in ada_password.url, "straight to the only provider"
    # A form that was open since before: the refusal is a page that says what to do.
    steps.by_password(ada_password, "ada")
    ada_password.wait(lambda b: "password_not_allowed" in b.text, "the refusal")
    ada_password.screenshot("migration-not-allowed")
    assert ada_password.complaints() == []
    steps.by_provider(ada_password, "ada")
    # The administrator's way in when the provider is broken.
    ada_password.get(steps.origin + "/sso/login?show=all")
    assert ada_password.driver.find_elements("css selector", 'a[href$="/login"]'), "no way to the password page"

    # 3. No passwords.
    steps.set_mode("disabled")
    steps.passwords_are(root="password_disabled", ada="password_disabled", nobody="password_disabled")
    steps.is_out(root_password)
    for browser, username in ((ada_sso, "ada"), (root_sso, "root"), (ada_password, "ada")):
        steps.is_in(browser, username, "sso")
    steps.by_password(root_password, "root")
    root_password.wait(lambda b: "password_disabled" in b.text, "the refusal")
    root_password.screenshot("migration-disabled")
    root_password.get(steps.origin + "/sso/login?show=all")
    assert not root_password.driver.find_elements("css selector", 'a[href$="/login"]'), "a way that leads nowhere"

    # 4. Back again: administrators, then everybody; nobody's SSO session is lost on the way.
    steps.set_mode("admins")
    steps.passwords_are(root=None, ada="password_not_allowed")
    steps.by_password(root_password, "root")
    root_password.wait(lambda b: "user=root" in b.text and "method=password" in b.text, "the report")
    steps.set_mode("enabled")
    steps.passwords_are(root=None, ada=None, nobody=None)
    steps.is_in(root_password, "root", "password")
    for browser, username in ((ada_sso, "ada"), (root_sso, "root"), (ada_password, "ada")):
        steps.is_in(browser, username, "sso")
    new = browsers()
    steps.by_password(new, "ada")
    new.wait(lambda b: "user=ada" in b.text and "method=password" in b.text, "the report")


def test_a_copy_of_a_password_session_does_not_outlive_its_mode(world):
    """Also one that made no request while passwords were off, by whatever worker it is met; SSO sessions are untouched."""
    steps = Steps(world)
    steps.set_mode("enabled")
    client, admin = steps.client(), steps.client()
    assert steps.post("ada", client).status == 302 and steps.post("root", admin).status == 302
    for mode, ada_in, root_in in (("admins", False, True), ("disabled", False, False)):
        steps.set_mode(mode)
        for _ in range(8):
            for who, stays in ((client, ada_in), (admin, root_in)):
                copy = steps.client()
                copy.cookies = dict(who.cookies)
                mark = steps.app.mark()
                reply = copy.get(steps.origin + "/reports")
                if stays:
                    assert reply.status == 200 and "method=password" in reply.text, reply
                else:
                    refused(reply, "session_expired", "login_required")
                    steps.app.nothing_since(mark)
    steps.set_mode("enabled")


def test_a_refused_change_leaves_the_rules_as_they_are(world):
    steps = Steps(world)
    world.may_be_harmed = True  # a refused configuration counts as a failure of its VM
    steps.set_mode("admins")
    broken = world.config()
    broken["accounts"][0]["password"] = {"mode": "enable"}
    world.update(broken)
    for _ in range(8):
        steps.passwords_are(ada="password_not_allowed")
    steps.set_mode("enabled")
