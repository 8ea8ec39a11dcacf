"""The certified oidc-provider before two Envoys that share an engine, beside another application in the same session. It has no
front-channel logout: test_logout_provider.py plays the frame of one."""

import urllib.parse

import pytest

from harness.both_envoys import BothEnvoys
from harness.client import form_of
from harness.expect import refused, session_cookies, signed_out
from harness.net import Never, eventually
from harness.other_application import OtherApplication
from harness.own_errors import OwnErrors
from harness.pair import SECRET, Pair
from harness.provider import OidcProvider

PEOPLE = {name: {"email": f"{name}@acme.com", "email_verified": True, "name": name.title(), "groups": ["staff"]} for name in ("ada", "bob")}


class Issuer(OidcProvider):
    def go_on(self, browser, hops, login: str = "ada", cancels: bool = False):
        """Through the login form and the consent, or away from it."""
        for _ in range(6):
            page = hops[-1]
            if not page.url.startswith(self.issuer) or b"<form" not in page.body:
                break
            if cancels:
                return hops + browser.follow(browser.browse(f"{page.url}/abort"))
            fields = dict(form_of(page).fields)
            filled = fields | ({"login": login, "password": "any"} if "login" in fields else {})
            where = urllib.parse.urljoin(page.url, form_of(page).action)
            hops = hops + browser.follow(browser.request("POST", where, body=filled, navigation=True), limit=20)
        return hops


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair, theirs = Pair(make_world, "oidc-provider"), OtherApplication()
    stack.callback(pair.stop)
    stack.callback(theirs.stop)
    own = f"http://127.0.0.1:{pair.worlds[0].port}"
    back = {"grant_types": ["authorization_code", "refresh_token"], "backchannel_logout_session_required": True}
    provider = Issuer([
        back | {"client_id": "acme", "client_secret": SECRET, "redirect_uris": pair.redirect_uris,
                "post_logout_redirect_uris": [pair.account.url("/sso/logout-complete")],
                "backchannel_logout_uri": f"{own}/sso/backchannel-logout?u=acme"},
        back | {"client_id": "theirs", "client_secret": theirs.secret, "redirect_uris": [f"{theirs.origin}/callback"],
                "post_logout_redirect_uris": [f"{theirs.origin}/bye"],
                "backchannel_logout_uri": f"http://127.0.0.1:{theirs.port}/back"}], PEOPLE)
    stack.callback(provider.stop)
    theirs.use(f"{provider.issuer}/.well-known/openid-configuration")
    pair.theirs = theirs
    pair.start(provider, mapping={"roles_claim": "groups", "role_map": {"staff": "reader"}}, identity_providers=pair.oidc(
        provider.issuer, scope=["openid", "email", "profile", "offline_access"], authorization_params={"prompt": "consent"}))
    return pair


def answered(browser, page, **button) -> list:
    """The provider's question whether to sign out, answered by this button."""
    where = urllib.parse.urljoin(page.url, form_of(page).action)
    return browser.follow(browser.request("POST", where, body=dict(form_of(page).fields) | button, navigation=True))


def beside(pair, **user):
    """A browser that is signed in to both applications by one session of the provider's."""
    browser, _ = pair.sign_in(**user)
    browser.hosts["theirs.localhost"] = pair.theirs.port
    hops = pair.provider.go_on(browser, browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20))
    assert hops[-1].text.startswith("hello"), hops
    return browser


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-name"], seen["x-sso-roles"]) == (["ada@acme.com"], ["Ada"], ["reader"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_signing_out_here_signs_out_at_the_provider_and_at_the_other_application(pair):
    browser, bystander = beside(pair), beside(pair)
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/session/end?"), out
    hops = answered(browser, browser.browse(out.location), logout="yes")
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    pair.ended_at_both(captured)
    eventually(lambda: "hello" not in browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20)[-1].text, what="the end at the other")
    pair.passes_at_both(session_cookies(bystander))


def test_a_user_who_stays_signed_in_at_the_provider_is_signed_out_here_alone(pair):
    browser = beside(pair)
    captured = session_cookies(browser)
    assert answered(browser, pair.sign_out(browser)[-1])[-1].code == "signed_out"
    pair.ended_at_both(captured)
    assert browser.get(f"{pair.theirs.origin}/").text == "hello ada"
    assert "<h1>Authorize</h1>" in browser.login(pair.account.url("/reports"))[-1].text, "the provider asks for no password"


def test_signing_out_at_the_provider_ends_the_session_at_both(pair):
    browser, bystander, other = beside(pair), beside(pair), beside(pair, login="bob")
    captured = session_cookies(browser)
    answered(browser, browser.browse(f"{pair.provider.issuer}/session/end"), logout="yes")
    pair.ended_at_both(captured)
    for twin in (bystander, other):
        pair.passes_at_both(session_cookies(twin))
    assert any(event.get("reason") == "backchannel_logout" for event in pair.events())


def test_signing_out_at_the_other_application_ends_the_session_at_both(pair):
    browser, bystander = beside(pair), beside(pair)
    page = browser.follow(browser.browse(f"{pair.theirs.origin}/logout"))[-1]
    pair.passes_at_both(session_cookies(browser))
    assert answered(browser, page, logout="yes")[-1].text == "goodbye"
    pair.ended_at_both(session_cookies(browser))
    signed_out(browser, pair.account)
    pair.passes_at_both(session_cookies(bystander))


def test_discovery_names_no_front_channel(pair):
    discovery = pair.browser().get(f"{pair.provider.issuer}/.well-known/openid-configuration").json()
    assert {name for name in discovery if "channel_logout" in name} == {"backchannel_logout_supported", "backchannel_logout_session_supported"}


class TestItAtBothEnvoys(BothEnvoys):
    def test_a_session_is_renewed_by_one_of_two_envoys_with_tokens_that_are_good_once(self, pair):
        """The provider revokes everything of a login at the second use of a refresh token."""
        browser, _ = pair.sign_in()
        before, renewals = pair.provider.test("seen"), pair.renewals()
        eventually(pair.renewed(browser, 3), 60, every=0.1, what="renewals")

        def counted() -> bool:
            after = pair.provider.test("seen")
            if after["refused"] != before["refused"]:
                raise Never(after)
            return after["refreshed"] - before["refreshed"] == pair.renewals() - renewals

        eventually(counted, 60, what="one renewal for each token")


class TestItsOwnErrors(OwnErrors):
    def test_a_user_who_cancels_is_told_so_at_both(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser, cancels=True)[-1], "idp_denied")
            pair.worlds[0].app.nothing_since(mark)
            pair.sign_in(browser)

    def test_a_code_that_has_expired_is_refused(self, pair):
        browser = self.late(pair)
        pair.provider.test("short")
        try:
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser)[-1], "idp_invalid_answer")
            pair.worlds[0].app.nothing_since(mark)
        finally:
            pair.provider.test("long")
        assert "error invalid_grant" in pair.reasons("idp_invalid_answer", 0)[-1], pair.refusals()
        browser.meddle = lambda url: url
        pair.sign_in(browser)

    def test_an_address_that_is_not_registered_stays_on_a_page_of_the_provider(self, pair):
        browser, own = pair.browser(), f"http://127.0.0.1:{pair.worlds[0].port}"
        page = browser.login(f"{own}/reports")[-1]
        assert page.url.startswith(pair.provider.issuer) and page.status == 400 and "invalid_redirect_uri" in page.text, page
        assert browser.get(f"{own}/who").code == "login_required"
