"""Dex with its local passwords and a connector, two Envoys that share an engine, and no endpoint to sign out at."""

import pytest

from harness.dex import Dex
from harness.both_envoys import BothEnvoys
from harness.expect import refused, session_cookies, signed_out
from harness.net import eventually
from harness.own_errors import OwnErrors
from harness.pair import SECRET, Pair

ROLES = {"roles_claim": "groups", "role_map": {"staff": "reader", "admirals": "account_admin"}}


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair = Pair(make_world, "dex")
    stack.callback(pair.stop)
    dex = Dex([{"id": "acme", "secret": SECRET, "name": "Acme", "redirectURIs": pair.redirect_uris}])
    stack.callback(dex.stop)
    pair.start(dex, mapping=ROLES, bearer={"audiences": ["acme"]}, identity_providers=pair.oidc(
        dex.issuer, scope=["openid", "email", "profile", "groups", "offline_access"]))
    return pair


def test_a_local_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-name"], seen["x-sso-roles"]) == (["ada@acme.com"], ["Ada"], ["reader"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_a_connector_brings_its_users_and_groups(pair):
    _, seen = pair.sign_in(connector="upstream", login="grace")
    assert (seen["x-sso-user"], seen["x-sso-roles"]) == (["grace@acme.com"], ["account_admin"])


def test_signing_out_ends_the_session_here_alone_since_dex_has_no_endpoint(pair):
    assert "end_session_endpoint" not in pair.provider.discovery()
    browser, _ = pair.sign_in()
    bystander, _ = pair.sign_in()
    captured = session_cookies(browser)
    hops = browser.follow(browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
    assert hops[-1].code == "signed_out" and all(hop.url.startswith(pair.account.origin) for hop in hops), hops
    signed_out(browser, pair.account)
    for replica in (0, 1):
        eventually(lambda: pair.ask(captured, replica).code == "session_expired", 60, what=f"the end at {replica}")
        assert pair.ask(session_cookies(bystander), replica).status == 200
    # Dex keeps no session of its own: the next login asks for the password.
    page = browser.login(pair.account.url("/reports"))[-1]
    assert page.url.startswith(pair.provider.issuer), page
    pair.sign_in(browser)


def test_a_wrong_password_stays_at_dex(pair):
    browser = pair.browser()
    hops = pair.provider.go_on(browser, browser.login(pair.account.url("/reports")), password="wrong")
    assert hops[-1].url.startswith(pair.provider.issuer) and "Invalid" in hops[-1].text, hops
    signed_out(browser, pair.account)


def test_a_user_who_does_not_approve_stays_on_a_page_of_dex(pair):
    browser = pair.browser()
    hops = pair.provider.go_on(browser, browser.login(pair.account.url("/reports")), approval="rejected")
    assert hops[-1].url.startswith(pair.provider.issuer) and "Approval rejected" in hops[-1].text, hops
    signed_out(browser, pair.account)
    pair.sign_in(browser)


def test_its_access_tokens_do_not_count_as_bearer_tokens(pair):
    """They are ID tokens by another name: every relying party gets to see them."""
    tokens = pair.browser().post(f"{pair.provider.issuer}/token", body={
        "grant_type": "password", "client_id": "acme", "client_secret": SECRET, "username": "ada@acme.com", "password": "lovelace",
        "scope": "openid email"}).json()
    for token in (tokens["access_token"], tokens["id_token"]):
        reply = pair.browser().get(pair.account.url("/who"), headers={"authorization": f"Bearer {token}"})
        refused(reply, "token_invalid")


class TestDexAtBothEnvoys(BothEnvoys):
    pass


class TestDexsOwnErrors(OwnErrors):
    used_token = "invalid_request"  # RFC 6749 has invalid_grant for it
    bystander = {"connector": "upstream", "login": "grace"}

    def test_a_user_has_one_refresh_token_and_the_later_login_gets_it(self, pair):
        """Dex keeps one for each user and client: the session of the user's other browser ends at its next renewal."""
        first, _ = pair.sign_in()
        second, _ = pair.sign_in()
        self.ended(pair, session_cookies(first))
        eventually(pair.renewed(second, 1), 60, every=0.1, what="a renewal of the later session")
