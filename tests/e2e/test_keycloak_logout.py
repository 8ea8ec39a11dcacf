"""Signing out with Keycloak, beside another application of the same session: every channel it has, both ways."""

import html
import re
import urllib.parse

import pytest

from harness.browser import Browser as Chromium
from harness.expect import is_session, signed_in, signed_out
from harness.keycloak import asks_for, submit
from harness.keycloak_setting import Setting
from harness.net import eventually
from harness.other_application import OtherApplication


@pytest.fixture(scope="module")
def setting(make_world, stack):
    world = make_world("keycloak-logout", concurrency=4, cookies={"secure": False})
    own = f"http://127.0.0.1:{world.port}"
    theirs = OtherApplication()
    stack.callback(theirs.stop)
    front = f"http://front.localhost:{world.port}/sso/frontchannel-logout?u=front"
    setting = Setting(world, "logout", {"acme": {}, "front": {"forward": {"headers": {"x-sid": "sid"}}}}, {
        "acme": {"attributes": {"backchannel.logout.url": f"{own}/sso/backchannel-logout?u=acme",
                                "backchannel.logout.session.required": "true"}},
        "front": {"frontchannelLogout": True, "attributes": {
            "frontchannel.logout.url": front, "frontchannel.logout.session.required": "true"}},
    }, [theirs.client])
    theirs.use(setting.realm.discovery)
    setting.theirs = theirs
    setting.hosts["theirs.localhost"] = theirs.port
    world.start()
    return setting


def everywhere(setting, code: str = "acme", **user):
    """A browser that is signed in to both applications by one session of Keycloak's."""
    browser, _ = setting.sign_in(code, **user)
    hops = browser.login(f"{setting.theirs.origin}/")
    assert hops[-1].status == 200 and hops[-1].text.startswith("hello"), hops
    assert not any(asks_for(hop, "password") for hop in hops), "single sign-on asks no password"
    return browser


def sent_away(setting, browser, code: str = "acme") -> bool:
    """No worker takes this browser's cookies."""
    account = setting.account(code)
    own = [cookie for cookie in browser.cookies_for(account.url("/")) if is_session(cookie.name)]
    cookie = "; ".join(f"{one.name}={one.value}" for one in own)
    return all(setting.browser().get(account.url("/who"), headers={"cookie": cookie}).code == "session_expired" for _ in range(16))


def theirs_is_over(setting, browser) -> bool:
    """The other application sends the browser to Keycloak, which asks for the password."""
    return asks_for(browser.login(f"{setting.theirs.origin}/")[-1], "password")


def test_signing_out_here_signs_out_at_keycloak_and_at_the_other_application(setting):
    account = setting.account()
    browser, bystander = everywhere(setting), everywhere(setting)
    hops = browser.follow(browser.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
    assert hops[0].location.startswith(f"{setting.realm.protocol}/logout?"), hops
    assert hops[-1].url.startswith(account.url("/sso/logout-complete?state=")) and hops[-1].code == "signed_out", hops
    signed_out(browser, account)
    eventually(lambda: theirs_is_over(setting, browser), what="the end at the other application")
    signed_in(bystander, account)
    assert bystander.get(f"{setting.theirs.origin}/").text == "hello ada"


def test_signing_out_at_the_other_application_signs_out_here(setting):
    browser, bystander = everywhere(setting), everywhere(setting)
    assert browser.get(setting.account().url("/who")).status == 200
    hops = browser.follow(browser.browse(f"{setting.theirs.origin}/logout"))
    assert hops[-1].url.startswith(f"{setting.theirs.origin}/bye") and hops[-1].text == "goodbye", hops
    eventually(lambda: sent_away(setting, browser), what="the end here")
    signed_in(bystander, setting.account())
    assert any(event.get("reason") == "backchannel_logout" and event.get("ends") == "sid" for event in setting.world.envoy.events())


def test_the_administrator_signs_a_user_out_of_every_browser(setting):
    """The one button of Keycloak's pages: it logs out by back channel, each session by its `sid`."""
    browsers = [everywhere(setting, name="bob") for _ in range(2)]
    bystander = everywhere(setting)
    setting.realm.api("POST", f"/users/{setting.realm.user('bob')['id']}/logout")
    for browser in browsers:
        eventually(lambda: sent_away(setting, browser), what="the end here")
        assert theirs_is_over(setting, browser)
    signed_in(bystander, setting.account())


def test_without_a_hint_keycloak_asks_first(setting):
    """An ID token that does not fit into the cookie is left out: then Keycloak shows a page of its own."""
    account, browser = setting.account(), everywhere(setting)
    query = {"client_id": "acme", "post_logout_redirect_uri": account.url("/sso/logout-complete"), "state": "x"}
    page = browser.browse(f"{setting.realm.protocol}/logout?{urllib.parse.urlencode(query)}")
    assert "Do you want to log out?" in page.text, page
    signed_in(browser, account)
    hops = browser.follow(submit(browser, page, confirmLogout="Logout"))
    assert hops[-1].url.startswith(account.url("/sso/logout-complete")), hops
    eventually(lambda: sent_away(setting, browser), what="the end here")


def test_the_frame_of_keycloaks_page_signs_out_in_a_real_browser(setting):
    account = setting.account("front")
    chromium = Chromium()
    try:
        chromium.get(account.url("/who"))
        chromium.fill("username", "ada")
        chromium.fill("password", "lovelace")
        chromium.click("[name=login]")
        chromium.wait(lambda b: b.url.startswith(account.origin) and "x-sid" in b.text, "the page")
        chromium.get(f"{setting.theirs.origin}/")
        chromium.wait(lambda b: b.text == "hello ada", "the other application")
        chromium.get(f"{setting.theirs.origin}/logout")
        chromium.wait(lambda b: b.text == "goodbye", "the other application's farewell")
        chromium.get(account.url("/sso/session"))
        chromium.wait(lambda b: "session_expired" in b.text or "login_required" in b.text, "the end here")
    finally:
        chromium.stop()
    assert any(event.get("reason") == "frontchannel_logout" for event in setting.world.envoy.events())


def test_front_channel_by_hand(setting):
    """What Keycloak's page loads, as the browser of a user who blocks third-party cookies loads it."""
    account = setting.account("front")
    browser, bystander = everywhere(setting, "front"), everywhere(setting, "front")
    page = browser.follow(browser.browse(f"{setting.theirs.origin}/logout"))[-1]
    [frame] = [html.unescape(src) for src in re.findall(r'<iframe[^>]*src="([^"]+)"', page.text) if "frontchannel" in src]
    assert frame.startswith(account.url("/sso/frontchannel-logout?u=front&")) and "sid=" in frame and "iss=" in frame, frame
    reply = setting.browser().get(frame, headers={"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"})
    assert reply.status == 200, reply
    eventually(lambda: sent_away(setting, browser, "front"), what="the end here")
    signed_in(bystander, account)
