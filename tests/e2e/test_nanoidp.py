"""NanoIDP before two Envoys that share an engine. By OpenID Connect it has an endpoint to sign out at, and no channel of its own to
relying parties; by SAML it has no sign-out (test_saml_idps_shared.py). It asks for no consent."""

import pytest

from harness.both_envoys import BothEnvoys, another_key_is_refused, answer_is_good_once
from harness.client import form_of
from harness.expect import session_cookies, signed_in, signed_out
from harness.nanoidp import NanoIdp
from harness.own_errors import OwnErrors
from harness.pair import Pair

SECRET = "letters-and-digits-1"  # NanoIDP does not decode what RFC 6749 section 2.3.1 encodes: a space or `%` is another secret

PEOPLE = {name: {"password": password, "email": f"{name}@acme.com", "groups": ["staff"]}
          for name, password in (("ada", "lovelace"), ("bob", "builder"))}
ROLES = {"roles_claim": "groups", "role_map": {"staff": "reader"}}


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair = Pair(make_world, "nanoidp")
    stack.callback(pair.stop)
    provider = NanoIdp(PEOPLE, [
        {"client_id": "acme", "client_secret": SECRET, "redirect_uris": pair.redirect_uris}])
    stack.callback(provider.stop)
    pair.secret = SECRET
    pair.start(provider, mapping=ROLES | {"from": "userinfo"}, identity_providers=pair.oidc(
        provider.issuer, client_secret={"value": SECRET}, scope=["openid", "email", "profile", "offline_access"]))
    return pair


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-roles"]) == (["ada@acme.com"], ["reader"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_signing_out_here_signs_out_at_nanoidp_and_at_both_envoys(pair):
    browser, _ = pair.sign_in()
    bystander, _ = pair.sign_in(name="bob", password="builder")
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/"), out
    hops = browser.follow(out)
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    pair.ended_at_both(captured)
    pair.passes_at_both(session_cookies(bystander))
    page = browser.login(pair.account.url("/reports"))[-1]
    assert page.url.startswith(pair.provider.issuer) and "password" in dict(form_of(page).fields), page


def test_signing_out_at_nanoidp_ends_no_session_here(pair):
    browser, _ = pair.sign_in()
    browser.follow(browser.browse(f"{pair.provider.issuer}/logout"))
    signed_in(browser, pair.account)


class TestNanoIdpAtBothEnvoys(BothEnvoys):
    pass


class TestNanoIdpsOwnErrors(OwnErrors):
    def test_a_wrong_password_stays_at_nanoidp(self, pair):
        browser = pair.browser()
        hops = pair.login(browser, password="wrong")
        assert hops[-1].url.startswith(pair.provider.issuer) and "password" in dict(form_of(hops[-1]).fields), hops
        signed_out(browser, pair.account)


@pytest.fixture(scope="module")
def by_saml(make_world, stack):
    pair, provider = Pair(make_world, "nanoidp-saml"), NanoIdp(PEOPLE)
    stack.callback(pair.stop)
    stack.callback(provider.stop)
    return pair.start(provider, mapping=ROLES, identity_providers=pair.saml(metadata_url=provider.metadata))


def test_by_saml_an_answer_is_good_once_over_both(by_saml):
    seen, _ = answer_is_good_once(by_saml)
    assert seen["x-sso-roles"] == ["reader"]


def test_by_saml_a_response_by_another_key_is_refused_at_both(by_saml):
    another_key_is_refused(by_saml)
