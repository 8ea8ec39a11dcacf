"""SimpleSAMLphp and NanoIDP before two Envoys that share an engine: in and out at both, and their own errors."""

import urllib.parse

import pytest

from harness.client import form_of
from harness.etcd import Etcd
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.nanoidp import NanoIdp
from harness.net import eventually
from harness.road import Road
from harness.saml import SamlAccount, key
from harness.simplesaml import SimpleSaml

# What an administrator of SimpleSAMLphp writes to keep users out of one application.
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
DENIES = {"authproc": {"50": {"class": "core:PHP", "code": (
    "\\SimpleSAML\\Auth\\State::throwException($state, new \\SimpleSAML\\Module\\saml\\Error("
    f"'{STATUS}Responder', '{STATUS}RequestDenied', 'not for this application'));")}}}


@pytest.fixture(scope="module")
def world(make_world, stack):
    """The first Envoy; `world.replica` is the second. Accounts at SimpleSAMLphp are service providers of one session there."""
    etcd = Etcd("saml-idps-shared")
    stack.callback(etcd.stop)
    world, replica = make_world("saml-idps-0", concurrency=2), make_world("saml-idps-1", concurrency=2)
    world.replica, world.worlds = replica, [world, replica]
    sp = key("sp")
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    simple = world.simple = SimpleSaml(key("idp"))
    stack.callback(simple.stop)
    for code, settings, theirs in (
        ("first", {"signing": ours, "decryption": ours}, {"assertion.encryption": True}),
        ("second", {"signing": ours}, {}),
        ("denied", {"signing": ours}, DENIES),
        ("unsigned", {"slo_url": None}, {"validate.authnrequest": True}),
    ):
        simple.add(SamlAccount(world, code, **simple.settings | settings), sp, **theirs)
    simple.start()
    world.nano = NanoIdp({"ada": {"password": "lovelace", "email": "ada@acme.com", "groups": ["lakehouse-admins"]}})
    stack.callback(world.nano.stop)
    world.road = Road(world.nano.port)
    SamlAccount(world, "nano", sso_url=None, issuer=None, certificates=None, metadata_url=world.nano.metadata)
    replica.app.stop()
    replica.app, replica.accounts, replica.idps = world.app, world.accounts, world.idps
    world.cluster_table[f"127.0.0.1:{world.nano.port}"] = "nano"
    for one in world.worlds:
        one.environment |= {"SAML_KEY": sp.private_pem}
        one.cluster_table = world.cluster_table
        one.clusters |= {"app": world.app.port, "nano": world.road.port}
        one.engines, one.shared = {"etcd": etcd.ports}, {"engine": "etcd", "cluster": "etcd"}
        one.start()
    return world


def browser_of(world, replica: int = 0, provider=None):
    """A browser of one of the Envoys; it finds the provider at the loopback address."""
    browser = world.worlds[replica].client()
    ports, here = browser.port, (provider or world.simple).port
    browser.port = lambda host: here if host == "127.0.0.1" else ports(host)
    return browser


def sign_in(world, browser, code: str = "first", provider=None, user=("ada", "lovelace")):
    """Every answer on the way in."""
    return (provider or world.simple).sign_in(browser, browser.browse(world.accounts[code].url("/reports")), *user)


def signed_in_to(world, browser, code: str = "first", provider=None):
    hops = sign_in(world, browser, code, provider)
    assert hops[-1].url == world.accounts[code].url("/reports") and hops[-1].status == 200, hops
    assert hops[-1].seen()["x-sso-roles"] == ["account_admin"]
    return session_cookies(browser)


def asked(world, code: str, cookies: dict[str, str], replica: int):
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return browser_of(world, replica).get(world.accounts[code].url("/who"), headers={"cookie": header})


def cookies_of(world, browser, code: str) -> dict[str, str]:
    """The session of an account in a browser that has several."""
    return {one.name: one.value for one in browser.cookies_for(world.accounts[code].url("/")) if "flow" not in one.name}


def ended_at_both(world, code: str, cookies: dict[str, str]) -> None:
    for replica in (0, 1):
        eventually(lambda: asked(world, code, cookies, replica).code == "session_expired", 60, what=f"the end at {replica}")


@pytest.mark.parametrize("code", ["first", "nano"])
def test_a_login_that_begins_at_one_envoy_ends_at_the_other(world, code):
    account, provider = world.accounts[code], world.nano if code == "nano" else world.simple
    browser, other = browser_of(world, 0, provider), browser_of(world, 1, provider)
    start = browser.browse(account.url("/reports"))
    other.cookies |= browser.cookies
    hops = provider.sign_in(other, other.browse(start.location), "ada", "lovelace")
    assert hops[-1].url == account.url("/reports") and hops[-1].status == 200, hops
    for replica in (0, 1):
        assert asked(world, code, session_cookies(other), replica).status == 200


def beside(world):
    """A browser that is signed in to two applications by one session of SimpleSAMLphp's."""
    browser = browser_of(world)
    signed_in_to(world, browser)
    hops = browser.login(world.accounts["second"].url("/reports"))
    assert hops[-1].status == 200 and not any(b'name="password"' in hop.body for hop in hops), "single sign-on asks no password"
    return browser


def test_signing_out_here_ends_both_applications_at_both_envoys(world):
    browser, bystander = beside(world), beside(world)
    captured = {code: cookies_of(world, browser, code) for code in ("first", "second")}
    hops = browser.follow(browser.browse(world.accounts["first"].url("/sso/logout")), limit=20)
    if "continue" in hops[-1].text.lower() and hops[-1].url.startswith(world.simple.url):
        hops += through_the_page(world, browser, hops[-1])
    assert hops[-1].url.startswith(world.accounts["first"].url("/sso/logout-complete")) and hops[-1].status == 200, hops
    for code, cookies in captured.items():
        ended_at_both(world, code, cookies)
        assert asked(world, code, cookies_of(world, bystander, code), 1).status == 200
    page = browser.login(world.accounts["first"].url("/reports"))[-1]
    assert page.url.startswith(world.simple.url) and b'name="password"' in page.body, page


def through_the_page(world, browser, page):
    fields = dict(form_of(page).fields)
    where = urllib.parse.urljoin(page.url, form_of(page).action or page.url)
    return browser.follow(browser.request("POST", where, body=fields, navigation=True), limit=20)


def test_signing_out_at_simplesamlphp_ends_both_applications_at_both_envoys(world):
    browser, bystander = beside(world), beside(world)
    captured = {code: cookies_of(world, browser, code) for code in ("first", "second")}
    there = urllib.parse.urlencode({"ReturnTo": f"{world.simple.url}/module.php/core/frontpage_welcome.php"})
    browser.follow(browser.browse(f"{world.simple.slo}?{there}"), limit=20)
    for code, cookies in captured.items():
        ended_at_both(world, code, cookies)
        assert asked(world, code, cookies_of(world, bystander, code), 0).status == 200


def test_simplesamlphp_says_no_for_one_application_and_the_user_is_told(world):
    for replica in (0, 1):
        browser, mark = browser_of(world, replica), world.app.mark()
        hops = sign_in(world, browser, "denied")
        refused(hops[-1], "idp_denied")
        told = [event for event in world.worlds[replica].envoy.events() if event.get("code") == "idp_denied"][-1]
        assert "RequestDenied" in told["reason"], told
        world.app.nothing_since(mark)
        signed_out(browser, world.accounts["denied"])
        assert not cookies_of(world, browser, "denied")
        hops = browser.login(world.accounts["second"].url("/reports"))
        assert hops[-1].status == 200, hops


def test_simplesamlphp_refuses_an_unsigned_request_where_it_wants_a_signature(world):
    browser = browser_of(world)
    page = browser.login(world.accounts["unsigned"].url("/reports"))[-1]
    assert page.url.startswith(world.simple.url) and b'name="password"' not in page.body, page
    assert b"no signature found on message" in page.body, page
    signed_out(browser, world.accounts["unsigned"])


def test_a_wrong_password_stays_at_simplesamlphp(world):
    browser = browser_of(world)
    hops = sign_in(world, browser, user=("ada", "wrong"))
    assert hops[-1].url.startswith(world.simple.url) and b'name="password"' in hops[-1].body, hops
    signed_out(browser, world.accounts["first"])


def test_a_wrong_password_stays_at_nanoidp(world):
    browser = browser_of(world, provider=world.nano)
    hops = sign_in(world, browser, "nano", world.nano, ("ada", "wrong"))
    assert hops[-1].url.startswith(world.nano.url) and b'name="password"' in hops[-1].body, hops
    signed_out(browser, world.accounts["nano"])


def test_nanoidp_has_no_single_logout_and_the_session_ends_here_at_both(world):
    assert b"SingleLogoutService" not in browser_of(world, provider=world.nano).get(world.nano.metadata).body
    browser, bystander = browser_of(world, provider=world.nano), browser_of(world, provider=world.nano)
    captured, other = signed_in_to(world, browser, "nano", world.nano), signed_in_to(world, bystander, "nano", world.nano)
    hops = browser.follow(browser.browse(world.accounts["nano"].url("/sso/logout")))
    assert hops[-1].code == "signed_out" and all(hop.url.startswith(world.accounts["nano"].origin) for hop in hops), hops
    ended_at_both(world, "nano", captured)
    assert asked(world, "nano", other, 1).status == 200


def test_without_a_way_to_the_provider_its_known_metadata_lets_users_in(world):
    """SAML goes through the browser: Envoy reaches the provider for metadata alone."""
    world.road.close()
    try:
        browser = browser_of(world, 1, world.nano)
        signed_in_to(world, browser, "nano", world.nano)
        signed_in(browser, world.accounts["nano"])
    finally:
        world.road.open()
