"""Passwords turned off in the Account Center though no administrator would be left, said twice by clicks in a real browser: the
`administrators` of the file still get in by password, at every Envoy, and nobody else does."""

import pytest

from harness.browser import Browser
from harness.center import Center
from harness.expect import session_cookies
from harness.https import Front, flags
from harness.net import eventually
from harness.passwords import login_page, report

USERS = [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
         {"username": "bob", "email": "bob@acme.com", "roles": ["member"]}]
NOBODY = {"root": "password_disabled", "ada": "password_disabled", "bob": "password_disabled"}


@pytest.fixture(params=["named", "nobody"])
def center(make_world, request):
    center = Center(make_world, f"glass-{request.param}", start=False)
    center.named = ["root"] if request.param == "named" else []
    center.account.config |= {
        "directory": {"static": {"users": USERS}},
        "password": {"mode": "enabled", "admin_roles": ["account_admin"], "administrators": center.named, "page": "/login",
                     "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"redirect": "/reports"}}]},
        "access": [{"path": "/login", "allow": "anyone"}]}
    for world in center.worlds:
        world.app.routes |= {"/login": login_page, "/reports": report}
    center.start()
    fronts = [Front(world.port) for world in center.worlds]
    center.browsers = [Browser(*flags({"acme.app.test": front.port})) for front in fronts]
    yield center
    for part in (*center.browsers, *fronts, center.etcd):
        part.stop()


def by_password(browser: Browser, name: str) -> None:
    browser.fill("username", name)
    browser.fill("password", "right")
    browser.click("button[type=submit]")
    browser.wait(lambda b: "/reports" in b.url, "the application")


def outcomes(center, replica: int) -> dict:
    """What a password brings each of them: `in`, or a code."""
    found = {}
    for name in NOBODY:
        client = center.client(replica)
        reply = client.post(center.account.url("/login"), body={"username": name, "password": "right"}, navigation=True,
                            headers={"origin": center.account.origin, "sec-fetch-site": "same-origin"})
        found[name] = "in" if session_cookies(client) else reply.code
    return found


def test_after_saying_it_twice_only_the_administrators_of_the_file_get_in(center):
    account, (keyboard, other) = center.account, center.browsers
    admin = "root" if center.named else "ada"
    keyboard.get(account.url("/login"))
    by_password(keyboard, admin)
    keyboard.get(account.url("/sso/admin/settings"))
    keyboard.wait(lambda b: "What holds now" in b.text, "the settings")
    keyboard.click("select[name='password.mode'] option[value='disabled']")
    keyboard.click("button[name=do][value=save]")
    keyboard.wait(lambda b: "The draft is saved." in b.text, "the draft")
    keyboard.click("button[name=do][value=enable]")
    keyboard.wait(lambda b: "could lock administrators out" in b.text, "the guard")
    assert outcomes(center, 1) == {name: "in" for name in NOBODY}, "once is not enough"
    keyboard.click_text("do it all the same")

    wanted = NOBODY | {name: "in" for name in center.named}
    for replica in (0, 1):
        def holds():
            # Each worker that a connection may come to.
            seen = [outcomes(center, replica) for _ in range(3)]
            assert all(one == wanted for one in seen), seen
            return True

        eventually(holds, 60, what=f"what holds at replica {replica}")
    if not center.named:
        return
    # At the other Envoy, by the page of the ways in, and back to passwords.
    other.get(account.url("/sso/login?show=all"))
    other.wait(lambda b: b.driver.find_elements("css selector", "a[href='/login']"), "the ways in")
    other.click("a[href='/login']")
    other.wait(lambda b: b.driver.find_elements("css selector", "input[name=password]"), "the application's page")
    by_password(other, "root")
    other.get(account.url("/sso/admin/settings"))
    other.wait(lambda b: "What holds now" in b.text, "the settings")
    other.driver.find_element("xpath", "//form[input[@name='version' and @value='0']]//button").click()
    other.wait(lambda b: "The older settings hold again." in b.text, "the older settings")
    for replica in (0, 1):
        eventually(lambda: outcomes(center, replica) == {name: "in" for name in NOBODY}, 60)
    for browser in (keyboard, other):
        assert browser.complaints() == []
