"""The certified oidc-provider before two Envoys that share an engine, beside another application in the same session."""

import time
import urllib.parse

import pytest

from harness.client import form_of
from harness.expect import refused, session_cookies, signed_out
from harness.net import eventually
from harness.other_application import OtherApplication
from harness.own_errors import OwnErrors, at_callback
from harness.pair import SECRET, Pair
from harness.provider import OidcProvider

PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada", "groups": ["staff"]}}


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


def beside(pair):
    """A browser that is signed in to both applications by one session of the provider's."""
    browser, _ = pair.sign_in()
    browser.hosts["theirs.localhost"] = pair.theirs.port
    hops = pair.provider.go_on(browser, browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20))
    assert hops[-1].text.startswith("hello"), hops
    return browser


def ended_at_both(pair, cookies) -> None:
    for replica in (0, 1):
        eventually(lambda: pair.ask(cookies, replica).code == "session_expired", 60, what=f"the end at {replica}")


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-name"], seen["x-sso-roles"]) == (["ada@acme.com"], ["Ada"], ["reader"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_a_login_that_begins_at_one_envoy_ends_at_the_other(pair):
    browser, other = pair.browser(), pair.browser(1)
    start = browser.browse(pair.account.url("/reports"))
    other.cookies |= browser.cookies
    hops = pair.provider.go_on(other, other.follow(other.browse(start.location)))
    assert hops[-1].url == pair.account.url("/reports") and hops[-1].status == 200, (hops, pair.refusals())


def test_a_session_is_renewed_by_one_of_two_envoys_with_tokens_that_are_good_once(pair):
    browser, _ = pair.sign_in()
    before = pair.renewals("refused")
    eventually(pair.renewed(browser, 3), 60, every=0.1, what="renewals")
    assert pair.renewals("refused") == before


def test_signing_out_here_signs_out_at_the_provider_and_at_the_other_application(pair):
    browser, bystander = beside(pair), beside(pair)
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/session/end?"), out
    page = browser.browse(out.location)
    fields = dict(form_of(page).fields) | {"logout": "yes"}
    hops = browser.follow(browser.request("POST", urllib.parse.urljoin(page.url, form_of(page).action), body=fields, navigation=True))
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    ended_at_both(pair, captured)
    eventually(lambda: "hello" not in browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20)[-1].text, what="the end at the other")
    assert pair.ask(session_cookies(bystander), 1).status == 200


def test_signing_out_at_the_provider_ends_the_session_at_both(pair):
    browser, bystander = beside(pair), beside(pair)
    captured = session_cookies(browser)
    page = browser.browse(f"{pair.provider.issuer}/session/end")
    fields = dict(form_of(page).fields) | {"logout": "yes"}
    browser.follow(browser.request("POST", urllib.parse.urljoin(page.url, form_of(page).action), body=fields, navigation=True))
    ended_at_both(pair, captured)
    assert pair.ask(session_cookies(bystander), 1).status == 200
    assert any(event.get("reason") == "backchannel_logout" for event in pair.events())


class TestItsOwnErrors(OwnErrors):
    def test_a_user_who_cancels_is_told_so_at_both(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser, cancels=True)[-1], "idp_denied")
            pair.worlds[0].app.nothing_since(mark)
            pair.sign_in(browser)

    def test_a_code_that_has_expired_is_refused(self, pair):
        browser = pair.browser()

        def late(url):
            came = time.monotonic()
            eventually(lambda: time.monotonic() > came + 3, what="the end of the code")
            return url

        browser.meddle = at_callback(late)
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
