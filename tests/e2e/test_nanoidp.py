"""NanoIDP as a provider of OpenID Connect, before two Envoys that share an engine. It has an endpoint to sign out at, and no channel of
its own to relying parties."""

import pytest

from harness.client import form_of
from harness.expect import session_cookies, signed_in, signed_out
from harness.nanoidp import NanoIdp
from harness.net import eventually
from harness.own_errors import OwnErrors
from harness.pair import Pair

SECRET = "letters-and-digits-1"  # NanoIDP does not decode what RFC 6749 section 2.3.1 encodes: a space or `%` is another secret


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair = Pair(make_world, "nanoidp")
    stack.callback(pair.stop)
    provider = NanoIdp({"ada": {"password": "lovelace", "email": "ada@acme.com", "groups": ["staff"]}}, [
        {"client_id": "acme", "client_secret": SECRET, "redirect_uris": pair.redirect_uris}])
    stack.callback(provider.stop)
    pair.secret = SECRET
    pair.start(provider, mapping={"from": "userinfo"}, identity_providers=pair.oidc(
        provider.issuer, client_secret={"value": SECRET}, scope=["openid", "email", "profile", "offline_access"]))
    return pair


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert seen["x-sso-user"] == ["ada@acme.com"]
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


def test_signing_out_here_signs_out_at_nanoidp_and_at_both_envoys(pair):
    browser, _ = pair.sign_in()
    bystander, _ = pair.sign_in()
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/"), out
    hops = browser.follow(out)
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    for replica in (0, 1):
        eventually(lambda: pair.ask(captured, replica).code == "session_expired", 60, what=f"the end at {replica}")
        assert pair.ask(session_cookies(bystander), replica).status == 200
    page = browser.login(pair.account.url("/reports"))[-1]
    assert page.url.startswith(pair.provider.issuer) and "password" in dict(form_of(page).fields), page


def test_signing_out_at_nanoidp_ends_no_session_here(pair):
    browser, _ = pair.sign_in()
    browser.follow(browser.browse(f"{pair.provider.issuer}/logout"))
    signed_in(browser, pair.account)


class TestNanoIdpsOwnErrors(OwnErrors):
    def test_a_wrong_password_stays_at_nanoidp(self, pair):
        browser = pair.browser()
        hops = pair.login(browser, password="wrong")
        assert hops[-1].url.startswith(pair.provider.issuer) and "password" in dict(form_of(hops[-1]).fields), hops
        signed_out(browser, pair.account)
