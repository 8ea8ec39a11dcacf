"""Canaille 0.3.6 as a provider of OpenID Connect, before two Envoys that share an engine. It has an endpoint to sign out at, and
no channel of its own to relying parties."""

import pytest

from harness.both_envoys import BothEnvoys
from harness.canaille import Canaille
from harness.client import form_of
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.own_errors import OwnErrors
from harness.pair import Pair

SECRET = "letters-and-digits-1"  # Canaille does not decode what RFC 6749 section 2.3.1 encodes: a space or `%` is another secret


def person(username: str, name: str, password: str) -> dict:
    return {"userName": username, "displayName": name, "active": True, "emails": [{"value": f"{username}@acme.com"}],
            "name": {"formatted": name, "familyName": name.split()[-1]}, "password": password}


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair = Pair(make_world, "canaille-oidc")
    stack.callback(pair.stop)
    provider = Canaille([person("ada", "Ada Lovelace", "lovelace"), person("bob", "Bob Bobson", "builder")], [{
        "client_id": "acme", "client_secret": SECRET, "client_name": "Acme", "client_uri": "http://app.test",
        "redirect_uris": pair.redirect_uris, "post_logout_redirect_uris": pair.account.url("/sso/logout-complete"),
        "grant_types": ["authorization_code", "refresh_token"], "response_types": "code", "scope": ["openid", "email", "profile", "groups"],
        "token_endpoint_auth_method": "client_secret_basic",
        # Two access tokens that a user gets within one second are equal with RS256, and Canaille answers 500 to the second.
        "id_token_signed_response_alg": "ES256"}])
    stack.callback(provider.stop)
    pair.secret = SECRET
    pair.start(provider, identity_providers=pair.oidc(provider.issuer, client_secret={"value": SECRET}, scope=["openid", "email", "profile", "groups"]))
    return pair


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-name"]) == (["ada@acme.com"], ["Ada Lovelace"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_signing_out_here_signs_out_at_canaille_and_at_both_envoys(pair):
    browser, _ = pair.sign_in()
    bystander, _ = pair.sign_in()
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/oauth/end_session?"), out
    hops = browser.follow(out)
    if 'value="logout"' in hops[-1].text:  # it asks first
        hops += browser.follow(pair.provider.submit(browser, hops[-1], dict(form_of(hops[-1]).fields) | {"answer": "logout"}))
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    pair.ended_at_both(captured)
    pair.passes_at_both(session_cookies(bystander))
    page = browser.login(pair.account.url("/reports"))[-1]
    assert page.url.startswith(pair.provider.issuer) and dict(form_of(page).fields).keys() & {"login", "password"}, page


def test_signing_out_at_canaille_ends_no_session_here(pair):
    """It tells no relying party. The session lasts until it is renewed in vain, signed out of, or over."""
    browser, _ = pair.sign_in()
    browser.follow(browser.browse(f"{pair.provider.issuer}/logout"))
    signed_in(browser, pair.account)
    assert "backchannel_logout_supported" not in browser.get(f"{pair.provider.issuer}/.well-known/openid-configuration").json()


class TestCanailleAtBothEnvoys(BothEnvoys):
    pass


class TestCanaillesOwnErrors(OwnErrors):
    def test_a_wrong_password_stays_at_canaille(self, pair):
        browser = pair.browser()
        hops = pair.login(browser, password="wrong")
        assert hops[-1].url.startswith(pair.provider.issuer) and "Login failed" in hops[-1].text, hops
        signed_out(browser, pair.account)

    def test_a_user_who_denies_is_told_so_at_both(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser, login="bob", password="builder", consent="deny")[-1], "idp_denied")
            pair.worlds[0].app.nothing_since(mark)
            signed_out(browser, pair.account)
        pair.sign_in(pair.browser(1), login="bob", password="builder")

    def test_a_user_who_is_locked_there_is_out_at_the_next_renewal(self, pair):
        browser, _ = pair.sign_in(login="bob", password="builder")
        cookies = session_cookies(browser)
        record = pair.provider.users()["bob"]
        lock = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "active", "value": False}]}
        status, said = pair.provider.ask("PATCH", f"/Users/{record['id']}", lock)
        assert status in (200, 204), said
        self.ended(pair, cookies, "invalid_request")
