"""NanoIDP before two Envoys that share an engine. By OpenID Connect it has an endpoint to sign out at, and no channel of its own to
relying parties; by SAML it has no sign-out (test_saml_idps_shared.py). It asks for no consent."""

import pytest

from harness.client import form_of, origin
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.nanoidp import NanoIdp
from harness.net import eventually
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


def test_a_login_that_begins_at_one_envoy_ends_at_the_other_and_its_state_is_good_once(pair):
    hops, _, held = pair.sign_in_across()
    callback = next(hop.url for hop in hops if "/sso/oidc/consume" in hop.url)
    for replica in (1, 0):
        held.hosts["acme.localhost"] = pair.worlds[replica].port
        refused(held.get(callback), "state_unknown")
        assert "used already" in pair.reasons("state_unknown", replica)[-1], pair.refusals()


def test_a_session_is_renewed_by_one_of_two_envoys_with_tokens_that_are_good_once(pair):
    browser, _ = pair.sign_in()
    before = pair.renewals("refused")
    eventually(pair.renewed(browser, 3), 60, every=0.1, what="renewals")
    assert pair.renewals("refused") == before


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
    hops, _, held = by_saml.sign_in_across()
    assert hops[-1].seen()["x-sso-roles"] == ["reader"]
    page = next(hop for hop in hops if hop.url.startswith(by_saml.provider.url) and "SAMLResponse" in dict(form_of(hop).fields))
    for replica in (1, 0):
        held.hosts["acme.localhost"] = by_saml.worlds[replica].port
        reply = held.follow(held.request("POST", by_saml.account.acs, body=dict(form_of(page).fields), navigation=True, cross_site=True,
                                         headers={"origin": origin(page.url)}))[-1]
        refused(reply, "state_unknown")
        assert "used already" in by_saml.reasons("state_unknown", replica)[-1], by_saml.refusals()


def test_by_saml_a_response_by_another_key_is_refused_at_both(by_saml):
    for replica in (0, 1):
        browser, mark = by_saml.browser(replica), by_saml.worlds[0].app.mark()
        refused(by_saml.login(browser, account=by_saml.wrong)[-1], "assertion_invalid")
        by_saml.worlds[0].app.nothing_since(mark)
        by_saml.sign_in(browser)
