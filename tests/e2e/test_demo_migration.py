"""The demo's migration as docs/migration.md tells it, in a real browser and by clicks alone: from `sso: disabled` to no passwords and
back, in what `make run` starts: two Envoys, an etcd between them, the provider with its login form, the application. After each
step a table says who gets in by which way, at both Envoys."""

import sys
from urllib.parse import urlencode

import pytest

from harness.browser import Browser
from harness.clicks import Keyboard, gets_in
from harness.demo import CONFIG, RUN, Demo

sys.path.insert(0, str(RUN.parent))
from check import Browser as Scripted  # noqa: E402
from check import password  # noqa: E402

# Who gets in after each step: ada, an administrator, and bob by password; then ada, bob, and grace, who is in no directory, by the
# provider. `in`: with a session. `as ever`: the application's own matter. Else the code of the refusal. The file has the provider, and
# the filter's own endpoints answer while single sign-on is off, so that it can be tried; no page leads there yet.
TABLE = {
    "as the file has it": ["in", "as ever", "in", "in", "identity_unknown"],
    "side by side": ["in", "in", "in", "in", "identity_unknown"],
    "administrators only": ["in", "password_not_allowed", "in", "in", "identity_unknown"],
    "no passwords": ["password_disabled", "password_disabled", "in", "in", "identity_unknown"],
    "grace is invited": ["password_disabled", "password_disabled", "in", "in", "invitation"],
    "back in one step": ["in", "password_not_allowed", "in", "in", "invitation"],
    "grace has accepted": ["in", "password_not_allowed", "in", "in", "in"],
    "back to the file": ["in", "as ever", "in", "in", "in"],
}


class Migration:
    def __init__(self, demo: Demo):
        self.demo = demo
        self.app, self.other, self.idp = (demo.address(name) for name in ("Open", "Other Envoy", "Provider"))
        self.browsers = []

    def browser(self) -> Browser:
        self.browsers.append(Browser())
        return self.browsers[-1]

    def stop(self) -> None:
        for browser in self.browsers:
            browser.stop()
        self.demo.stop()

    # What people do.

    def by_password(self, browser: Browser, name: str, address: str) -> None:
        browser.get(address + "/login")
        browser.fill("username", name)
        browser.fill("password", "local")
        browser.click("form button")
        browser.wait(lambda b: "/login" not in b.url, "the application")

    def at_the_provider(self, browser: Browser, name: str) -> None:
        """Through the provider's own form, if it does not know the browser yet."""
        def has_form(b):
            return b.driver.find_elements("css selector", "input[name=login]")

        browser.wait(lambda b: not b.url.startswith(self.idp) or has_form(b), "the provider")
        if has_form(browser):
            browser.fill("login", name)
            browser.fill("password", "idp")
            browser.click("button")
        browser.wait(lambda b: not b.url.startswith(self.idp), "the way back")

    def by_provider(self, browser: Browser, name: str, address: str) -> None:
        browser.get(f"{address}/sso/login?" + urlencode({"idp": "corp", "return_to": "/reports?q=1"}))
        self.at_the_provider(browser, name)

    # Who gets in.

    def outcome(self, browser: Scripted, address: str) -> str:
        if browser.header("x-sso-code"):
            return browser.header("x-sso-code")
        assert browser.status == 200 and browser.url.startswith(address), (browser.trail, browser.text[:500])
        return "in" if browser.once("GET", f"{address}/sso/session").status == 200 else "as ever"

    def row(self, address: str) -> list[str]:
        found = [self.outcome(password(self, name, address), address) for name in ("ada", "bob")]
        for name in ("ada", "bob", "grace"):
            browser = Scripted().get(f"{address}/sso/login?" + urlencode({"idp": "corp", "return_to": "/reports?q=1"}))
            if browser.url.startswith(self.idp):
                browser.submit(login=name, password="idp")
            found.append(self.outcome(browser, address))
        return found

    def holds(self, step: str) -> None:
        for address in (self.app, self.other):
            gets_in(step, f"at {address}", lambda at=address: self.row(at), TABLE[step])


@pytest.fixture
def migration(tmp_path):
    config = tmp_path / "sso.yaml"
    # Where docs/migration.md begins.
    config.write_text(CONFIG.replace("sso: enabled ", "sso: disabled", 1))
    demo = Demo(config)
    made = None
    try:
        demo.waits_for("Ctrl-C stops everything")
        made = Migration(demo)
        yield made
    finally:
        (made or demo).stop()


def test_the_demo_migrates_by_clicks_and_comes_back(migration):
    migration.holds("as the file has it")
    ada, bob = migration.browser(), migration.browser()
    keyboard = Keyboard(ada, migration.app + "/sso/admin/settings", migration.at_the_provider)
    migration.by_password(bob, "bob", migration.other)
    bob.get(migration.other + "/sso/admin/settings")
    bob.wait(lambda b: b.text and "What holds now" not in b.text, "anything but the settings")
    migration.by_password(ada, "ada", migration.app)
    keyboard.open()
    assert "Version 0: as the operator set it up." in ada.text

    # Single sign-on beside passwords, by the provider that the file has.
    keyboard.choose("sso", "enabled")
    keyboard.choose("password.mode", "enabled")
    keyboard.save()
    migration.holds("as the file has it")
    keyboard.is_held_back()
    keyboard.test_sign_in("ada")
    keyboard.enable()
    migration.holds("side by side")

    # bob comes by the provider, at the other Envoy, and stays in from here on.
    migration.by_provider(bob, "bob", migration.other)
    bob.wait(lambda b: "Bob Noyce" in b.text, "the application")
    keyboard.passwords("admins", "ada")
    migration.holds("administrators only")
    bob.get(migration.other + "/reports?q=2")
    assert "Bob Noyce" in bob.text

    # ada too: her session by password would end with the next step.
    migration.by_provider(ada, "ada", migration.app)
    ada.wait(lambda b: "Ada Lovelace" in b.text, "the application")
    keyboard.passwords("disabled", "ada")
    migration.holds("no passwords")
    bob.get(migration.other + "/reports?q=3")
    assert "Bob Noyce" in bob.text

    keyboard.invite("grace@acme.example", "member")
    migration.holds("grace is invited")

    # Back in one step, at the other Envoy.
    Keyboard(ada, migration.other + "/sso/admin/settings", migration.at_the_provider).back_to(2)
    migration.holds("back in one step")
    grace = migration.browser()
    migration.by_provider(grace, "grace", migration.other)
    grace.click_text("Accept and sign in")
    grace.wait(lambda b: "Grace Hopper" in b.text, "the application")
    migration.holds("grace has accepted")
    keyboard.back_to(0)
    migration.holds("back to the file")
    for browser in migration.browsers:
        assert browser.complaints() == []
