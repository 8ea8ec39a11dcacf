"""The Account Center's whole story in a real browser, by clicks alone: an account's administrator takes it from
`sso: disabled` to single sign-on without passwords, and back, over two Envoys that share an etcd. Once by OpenID Connect with
the certified provider, once by SAML with SimpleSAMLphp. After each step a table says who gets in by which way; it holds at
both Envoys. With UPDATE_SCREENSHOTS=1 the pictures of docs/migration.md are made anew."""

import os
import struct

import pytest

from harness.browser import Browser
from harness.center import Center
from harness.client import Client
from harness.clicks import Keyboard, gets_in
from harness.expect import session_cookies
from harness.net import PROJECT
from harness.passwords import login_page, report
from harness.provider import OidcProvider
from harness.saml import key
from harness.simplesaml import SimpleSaml
from harness.https import Front, flags

PICTURES = PROJECT / "docs/screenshots/migration"
WIDTH = 760
USERS = [{"username": "root", "email": "root@acme.com", "roles": ["account_admin"]},
         {"username": "ada", "email": "ada@acme.com", "roles": ["member"]}]
PEOPLE = {name: {"email": f"{name}@acme.com", "email_verified": True, "name": name.title()} for name in ("root", "ada", "carol")}
SECRET = "the secret of the client"
HOSTS = {"oidc": "op.acme.test", "saml": "saml.acme.test"}
# Who gets in after each step: root, an administrator, and ada by password; then root, ada, and carol, who is in no directory,
# by the provider. `in`: with a session. `as ever`: the application's own matter. Else the code of the refusal, which is that of a
# provider that is not there while the file holds.
TABLE = {
    "as the file has it": ["in", "as ever", "request_invalid", "request_invalid", "request_invalid"],
    "side by side": ["in", "in", "in", "in", "identity_unknown"],
    "administrators only": ["in", "password_not_allowed", "in", "in", "identity_unknown"],
    "no passwords": ["password_disabled", "password_disabled", "in", "in", "identity_unknown"],
    "carol is invited": ["password_disabled", "password_disabled", "in", "in", "invitation"],
    "back in one step": ["in", "password_not_allowed", "in", "in", "invitation"],
    "back to the file": ["in", "as ever", "request_invalid", "request_invalid", "request_invalid"],
}


class Story:
    """An account without a provider, in front of an application with passwords."""

    def __init__(self, make_world, protocol: str):
        self.protocol = protocol
        self.center = Center(make_world, f"center-{protocol}", start=False)
        self.account = self.center.account
        self.account.config |= {
            "sso": "disabled", "identity_providers": [], "directory": {"static": {"users": USERS}}, "mapping": {},
            "provisioning": {"mode": "invited"},
            "password": {"mode": "enabled", "admin_roles": ["account_admin"], "page": "/login", "logins": [
                {"path": "/login", "username": {"form": "username"}, "success": {"redirect": "/reports"}}]},
            "access": [{"path": "/login", "allow": "anyone"}]}
        self.account.config["self_service"]["hosts"] = ["*.acme.test"]
        self.provider = self.with_openid() if protocol == "oidc" else self.with_saml()
        for world in self.center.worlds:
            world.pages = {"name": "Acme Reports"}
            world.clusters["provider"] = self.provider.port
            world.cluster_table = {HOSTS[protocol]: "provider", "*": "idp"}
            world.app.routes |= {"/login": login_page, "/reports": report}
        self.center.start()
        self.fronts = [Front(port) for port in (*(world.port for world in self.center.worlds), self.provider.port)]
        self.browsers = []

    def with_openid(self):
        return OidcProvider([{"client_id": "reports", "client_secret": SECRET,
                              "redirect_uris": [self.account.url("/sso/oidc/consume?u=acme")]}], PEOPLE,
                            issuer=f"https://{HOSTS['oidc']}")

    def with_saml(self):
        simple = SimpleSaml(key("idp"), HOSTS["saml"])
        self.account.entity, self.account.acs, self.account.slo = (
            self.account.url(f"/sso/saml/{what}?u=acme") for what in ("metadata", "consume", "logout"))
        simple.add(self.account, key("sp"), **{"validate.logout": False})
        return simple.start()

    def stop(self) -> None:
        for browser in self.browsers:
            browser.stop()
        for front in self.fronts:
            front.stop()
        self.provider.stop()
        self.center.etcd.stop()

    def browser(self, replica: int) -> Browser:
        self.browsers.append(Browser(*flags({"acme.app.test": self.fronts[replica].port,
                                             HOSTS[self.protocol]: self.fronts[2].port})))
        return self.browsers[-1]

    # What people do.

    def by_password(self, browser: Browser, name: str) -> None:
        browser.get(self.account.url("/login"))
        browser.fill("username", name)
        browser.fill("password", "right")
        browser.click("button[type=submit]")
        browser.wait(lambda b: "/reports" in b.url, "the application")

    def at_the_provider(self, browser: Browser, name: str) -> None:
        """Through the provider's own form, if it does not know the browser yet."""
        back = self.account.origin

        def arrived(b):
            return b.url.startswith(back) or "Authorize" in b.text or b.driver.find_elements("css selector", "input[type=password]")

        browser.wait(arrived, "the provider")
        if browser.driver.find_elements("css selector", "input[type=password]"):
            if self.protocol == "oidc":
                browser.sign_in(name)
            else:
                browser.fill("username", name)
                browser.fill("password", "lovelace" if name == "ada" else "builder")
                browser.click("button[type=submit], input[type=submit], #regularsubmit button")
        browser.wait(lambda b: b.url.startswith(back) or "Authorize" in b.text, "the way back")
        if not browser.url.startswith(back):
            browser.consent()
        browser.wait(lambda b: b.url.startswith(back), "the way back")

    # The page of the administrators.

    def keyboard(self, browser: Browser) -> Keyboard:
        return Keyboard(browser, self.account.url("/sso/admin/settings"), self.at_the_provider)

    def connect(self, keyboard: Keyboard) -> None:
        """Fills the form as the provider's documents say."""
        browser = keyboard.browser
        own = self.account.url("/sso/oidc/consume?u=acme" if self.protocol == "oidc" else "/sso/saml/consume?u=acme")
        keyboard.choose("sso", "enabled")
        browser.fill("provider.id", "corp")
        browser.fill("provider.title", "your Acme account")
        browser.click(f"input[name=protocol][value={self.protocol}]")
        details = browser.driver.find_elements("css selector", "details:not([open]) summary")
        if self.protocol == "saml":
            details[-1].click()
        assert own in browser.text, "the address to copy to the provider"
        fields = {"oidc.discovery": f"https://{HOSTS['oidc']}/.well-known/openid-configuration", "oidc.client_id": "reports",
                  "oidc.client_secret": SECRET, "oidc.scope": "openid email profile"} if self.protocol == "oidc" else {
                  "saml.sso_url": self.provider.sso, "saml.issuer": self.provider.entity,
                  "saml.certificates": self.provider.key.pem}
        for name, value in fields.items():
            browser.fill(name, value)
        browser.fill("mapping.claim", "email")
        keyboard.choose("mapping.attribute", "email")

    # Who gets in.

    def client(self, replica: int) -> Client:
        return Client({".app.test": self.center.worlds[replica].port, ".acme.test": self.provider.port})

    def password(self, replica: int, name: str) -> str:
        client = self.client(replica)
        reply = client.post(self.account.url("/login"), body={"username": name, "password": "right"}, navigation=True,
                            headers={"origin": self.account.origin, "sec-fetch-site": "same-origin"})
        if reply.code:
            return reply.code
        assert reply.status == 302, reply
        return "in" if session_cookies(client) else "as ever"

    def sso(self, replica: int, name: str) -> str:
        client = self.client(replica)
        # With `idp` the page that offers a choice is left out.
        where = self.account.url("/sso/login?idp=corp&return_to=/reports")
        if self.protocol == "oidc":
            last = self.provider.login(client, where, name)[-1]
        else:
            first = client.browse(where)
            if first.status != 302:
                last = first
            else:
                last = self.provider.sign_in(client, first, name, "lovelace" if name == "ada" else "builder")[-1]
        if last.code is None and f"user={name}" in last.text and session_cookies(client):
            return "in"
        return last.code or f"{last.status} of the application"

    def row(self, replica: int) -> list[str]:
        return [self.password(replica, name) for name in ("root", "ada")] + \
               [self.sso(replica, name) for name in ("root", "ada", "carol")]

    def holds(self, step: str) -> None:
        for replica in (0, 1):
            gets_in(step, f"replica {replica}", lambda at=replica: self.row(at), TABLE[step])


def picture(browser: Browser, name: str, selector: str) -> None:
    """A part of the page, for docs/migration.md."""
    browser.size(WIDTH, 700)
    part = browser.driver.find_element("css selector", selector).rect
    clip = {"x": part["x"] - 8, "y": part["y"] - 8, "width": part["width"] + 16, "height": min(part["height"] + 16, 900), "scale": 1}
    shot = browser.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    if os.environ.get("UPDATE_SCREENSHOTS"):
        import base64
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(params=["oidc", "saml"])
def story(make_world, request):
    story = Story(make_world, request.param)
    yield story
    story.stop()


def test_from_disabled_to_no_passwords_and_back(story):
    shown = picture if story.protocol == "oidc" else lambda *_: None
    story.holds("as the file has it")
    root, ada = story.browser(0), story.browser(1)

    # An administrator's password opens the Account Center while single sign-on is off; a member's does not.
    story.by_password(ada, "ada")
    ada.get(story.account.url("/sso/admin/settings"))
    ada.wait(lambda b: "What holds now" not in b.text, "anything but the settings")
    story.by_password(root, "root")
    keyboard = story.keyboard(root)
    keyboard.open()
    assert "Version 0: as the operator set it up." in root.text
    story.connect(keyboard)
    shown(root, "connection", "form fieldset:nth-of-type(2)")
    keyboard.save()
    shown(root, "draft", "main > section")
    story.holds("as the file has it")

    # Not before it was tested, by the administrator himself.
    keyboard.is_held_back()
    shown(root, "guard", "div[role=alert]")
    keyboard.test_sign_in("root")
    assert "root@acme.com" in root.text, root.text
    shown(root, "test", "main")
    keyboard.open()
    assert "You have signed in with it." in root.text
    root.click_text("Who could sign in with this draft")
    root.wait(lambda b: '"complete":2' in b.text.replace(" ", ""), "completeness")
    keyboard.enable()
    shown(root, "enabled", "main > p")
    story.holds("side by side")

    # Administrators only: the member's session by password ends, the one by the provider goes on.
    member = story.browser(1)
    member.get(story.account.url("/sso/login?idp=corp&return_to=/reports"))
    story.at_the_provider(member, "ada")
    member.wait(lambda b: "user=ada" in b.text, "the application")
    keyboard.passwords("admins", "root")
    story.holds("administrators only")
    member.driver.refresh()
    assert "user=ada" in member.text

    # None. The administrator is there by the provider from here on: his own session by password would end.
    root.get(story.account.url("/sso/login?idp=corp&return_to=/reports"))
    story.at_the_provider(root, "root")
    root.wait(lambda b: "method=sso" in b.text, "the application")
    keyboard.passwords("disabled", "root")
    story.holds("no passwords")
    root.get(story.account.url("/sso/admin"))
    root.wait(lambda b: "Ready to turn passwords off?" in b.text, "the overview")
    shown(root, "readiness", "main > section")

    # An invitation.
    keyboard.invite("carol@acme.com", "member")
    story.holds("carol is invited")
    shown(root, "history", "main > section:last-of-type")

    # Back in one step, at the other Envoy: fewer people may use passwords there, more here.
    other = story.browser(1)
    other.get(story.account.url("/sso/login?idp=corp&return_to=/reports"))
    story.at_the_provider(other, "root")
    other.wait(lambda b: "user=root" in b.text, "the application")
    elsewhere = story.keyboard(other)
    elsewhere.back_to(2)
    story.holds("back in one step")
    carol = story.browser(1)
    carol.get(story.account.url("/sso/login?idp=corp&return_to=/reports"))
    story.at_the_provider(carol, "carol")
    carol.click_text("Accept and sign in")
    carol.wait(lambda b: "user=carol@acme.com" in b.text, "the application")
    other.get(story.account.url("/sso/admin/settings"))
    other.wait(lambda b: "What holds now" in b.text and "carol" not in b.text.split("History")[0], "no invitation any more")
    # The file has no provider: the sessions by the one that the settings had end, the administrator's own too.
    elsewhere.back_to(0)
    story.holds("back to the file")
    story.by_password(other, "root")
    elsewhere.open()
    for browser in (root, ada, member, other, carol):
        assert browser.complaints() == []


def test_the_pictures_of_the_guide_are_those_made_here():
    guide = (PROJECT / "docs/migration.md").read_text()
    files = sorted(PICTURES.glob("*.png"))
    assert files and sum(file.stat().st_size for file in files) < 1_000_000
    for file in files:
        assert f"(screenshots/migration/{file.name})" in guide, file.name
        content = file.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", content[16:20])[0] <= WIDTH
    assert guide.count("(screenshots/migration/") == len(files)
