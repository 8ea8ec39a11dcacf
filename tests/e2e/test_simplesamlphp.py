"""SimpleSAMLphp before two Envoys that share an engine, beside a service provider in the same session that is not ours:
what test_saml_idps_shared.py has not. It has single logout in the browser alone, and no tokens to renew a session with."""

import base64
import urllib.parse

import pytest

from harness.both_envoys import another_key_is_refused, answer_is_good_once
from harness.client import form_of
from harness.expect import session_cookies, signed_out
from harness.other_sp import OtherServiceProvider
from harness.pair import Pair
from harness.saml import key, message
from harness.simplesaml import CONSENT, SimpleSaml


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair, provider, theirs = Pair(make_world, "simplesamlphp"), SimpleSaml(key("idp")), OtherServiceProvider(key("other"))
    stack.callback(pair.stop)
    stack.callback(provider.stop)
    sp = key("sp")
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    settings = provider.settings | {"signing": ours, "decryption": ours}
    providers = pair.saml(**settings)
    for account, more in ((pair.account, CONSENT), (pair.wrong, {})):
        provider.add(account, sp, **{"assertion.encryption": True}, **more)
    provider.add(theirs, theirs.key)
    provider.start()
    theirs.start(provider.metadata)
    stack.callback(theirs.stop)
    pair.theirs = theirs
    for world in pair.worlds:
        world.environment |= {"SAML_KEY": sp.private_pem}
    return pair.start(provider, identity_providers=providers, mapping={"roles_claim": "groups", "role_map": {"staff": "reader"}})


def beside(pair, **user):
    """A browser that is signed in to both applications by one session of the provider's."""
    browser, _ = pair.sign_in(**user)
    browser.hosts["theirs.localhost"] = pair.theirs.port
    hops = browser.follow(browser.browse(f"{pair.theirs.origin}/"))
    assert hops[-1].text.startswith("hello"), hops
    return browser


def asks_for_the_password(pair, browser) -> None:
    page = browser.login(pair.account.url("/reports"))[-1]
    assert page.url.startswith(pair.provider.url) and "password" in dict(form_of(page).fields), page


def test_a_login_that_begins_at_one_envoy_ends_at_the_other_and_its_answer_is_good_once(pair):
    seen, fields = answer_is_good_once(pair)
    assert (seen["x-sso-user"], seen["x-sso-roles"]) == (["ada@acme.com"], ["reader"])
    assert b"EncryptedAssertion" in base64.b64decode(fields["SAMLResponse"])


def test_a_start_at_the_provider_ends_in_a_session_at_both(pair):
    """Its response answers no request: the filter drops it and begins a login of its own."""
    browser = pair.browser()
    asked = {"spentityid": pair.account.entity, "RelayState": "/reports?q=1"}
    hops = pair.provider.go_on(browser, browser.follow(browser.browse(f"{pair.provider.sso}?{urllib.parse.urlencode(asked)}")))
    hops = pair.provider.go_on(browser, hops)  # consent, once more
    assert hops[-1].status == 200 and hops[-1].url == pair.account.url("/reports?q=1"), (hops, pair.refusals())
    pair.passes_at_both(session_cookies(browser))


def test_signing_out_here_signs_out_at_the_provider_and_at_the_other_application(pair):
    browser, bystander, other = beside(pair), beside(pair), beside(pair, login="bob", password="builder")
    captured = session_cookies(browser)
    # It goes to the Envoy that the login did not come to.
    browser.hosts["acme.localhost"] = pair.worlds[1].port
    hops = pair.sign_out(browser)
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete")), hops
    assert any(hop.url.startswith(f"{pair.theirs.origin}/slo?SAMLRequest=") for hop in hops), hops
    pair.ended_at_both(captured)
    signed_out(browser, pair.account)
    assert "hello" not in browser.get(f"{pair.theirs.origin}/").text
    asks_for_the_password(pair, browser)
    for twin in (bystander, other):
        pair.passes_at_both(session_cookies(twin))


def test_signing_out_at_the_other_application_ends_the_session_at_both(pair):
    browser, bystander = beside(pair), beside(pair)
    captured = session_cookies(browser)
    hops = browser.follow(browser.browse(f"{pair.theirs.origin}/logout"), limit=20)
    assert hops[-1].text == "goodbye", hops
    assert any((hop.location or "").startswith(pair.account.slo) for hop in hops), hops
    pair.ended_at_both(captured)
    pair.passes_at_both(session_cookies(bystander))


def test_a_logout_request_to_the_other_envoy_ends_the_session_at_both(pair):
    """The login came to the first."""
    browser, bystander = pair.sign_in()[0], pair.sign_in(login="bob", password="builder")[0]
    captured = session_cookies(browser)
    browser.hosts["acme.localhost"] = pair.worlds[1].port
    out = f"{pair.provider.slo}?" + urllib.parse.urlencode({"ReturnTo": f"{pair.provider.url}/module.php/core/frontpage_welcome.php"})
    hops = browser.follow(browser.browse(out), limit=20)
    request = next(hop for hop in hops if (hop.location or "").startswith(pair.account.slo))
    assert message(request).name == "SAMLRequest"
    answer = next(hop for hop in hops if hop.url.startswith(pair.account.slo))
    assert message(answer).name == "SAMLResponse" and "status:Success" in message(answer).text, answer
    pair.ended_at_both(captured)
    pair.passes_at_both(session_cookies(bystander))
    asks_for_the_password(pair, browser)


def test_a_user_who_does_not_consent_stays_at_the_provider(pair):
    browser, mark = pair.browser(), pair.worlds[0].app.mark()
    page = pair.login(browser, consent="no")[-1]
    assert "/module.php/consent/noconsent.php" in page.url and page.status == 200, page
    signed_out(browser, pair.account)
    pair.worlds[0].app.nothing_since(mark)
    pair.sign_in(browser)


def test_an_application_that_it_does_not_know_gets_a_page_of_the_provider(pair):
    """Here by an address that is not registered: what is asked for is not in its metadata."""
    entity = pair.provider.parties.pop(pair.wrong.entity)
    pair.provider.write_parties()
    browser = pair.browser()
    try:
        page = pair.login(browser, account=pair.wrong)[-1]
        assert page.url.startswith(pair.provider.sso) and "Metadata not found" in page.text, page
    finally:
        pair.provider.parties[pair.wrong.entity] = entity
        pair.provider.write_parties()


def test_a_response_by_another_key_is_refused_at_both(pair):
    another_key_is_refused(pair)
