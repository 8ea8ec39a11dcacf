"""SAML with Keycloak, beside a second service provider (pysaml2) in the same session: sign-in and single logout both ways."""

import base64
import urllib.parse

import pytest

from harness.client import form_of, origin
from harness.etcd import Etcd
from harness.expect import is_session, signed_in, signed_out
from harness.keycloak import PASSWORDS, Browser, Realm, asks_for, submit, url
from harness.keycloak_setting import ROLES
from harness.net import eventually
from harness.other_sp import OtherServiceProvider
from harness.saml import SamlAccount, key

ENCRYPTED = {"gcm": ["xmlenc11#aes256-gcm"], "cbc": ["xmlenc#aes256-cbc"], "default": ["xmlenc11#aes256-gcm"]}


def saml_client(account, ours=None, encrypt: str | None = None, **attributes) -> dict:
    """A client as docs/saml.md says to register it."""
    settings = {
        "saml.authnstatement": "true", "saml.assertion.signature": "true", "saml.server.signature": "true",
        "saml.signature.algorithm": "RSA_SHA256",
        "saml.force.post.binding": "true", "saml_name_id_format": "email", "saml.client.signature": "true" if ours else "false",
        "saml_assertion_consumer_url_post": account.acs, "saml_single_logout_service_url_redirect": account.slo,
        "saml_single_logout_service_url_post": account.slo}
    if ours:
        settings["saml.signing.certificate"] = ours.base64
    if encrypt is not None:
        settings |= {"saml.encrypt": "true", "saml.encryption.certificate": ours.base64}
    if encrypt:
        settings["saml.encryption.algorithm"] = encrypt
    mapper = {"protocol": "saml", "consentRequired": False}
    return {
        "clientId": account.entity, "protocol": "saml", "enabled": True, "frontchannelLogout": True,
        "redirectUris": [account.acs], "attributes": settings | attributes, "fullScopeAllowed": True,
        "protocolMappers": [
            mapper | {"name": "email", "protocolMapper": "saml-user-property-mapper", "config": {
                "user.attribute": "email", "attribute.name": "email", "attribute.nameformat": "Basic"}},
            mapper | {"name": "groups", "protocolMapper": "saml-group-membership-mapper", "config": {
                "attribute.name": "groups", "attribute.nameformat": "Basic", "single": "true", "full.path": "true"}}]}


@pytest.fixture(scope="module")
def world(make_world, stack):
    world = make_world("keycloak-saml", cookies={"secure": False})
    sp, own = key("sp"), f"http://127.0.0.1:{world.port}"
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    metadata = f"{url()}/realms/saml/protocol/saml/descriptor"
    clients = []
    for code, settings, theirs in (
        ("plain", {}, {}),
        ("signed", {"signing": ours}, {"ours": sp}),
        ("posted", {"signing": ours, "binding": "post"}, {"ours": sp}),
        ("gcm", {"signing": ours, "decryption": ours}, {"ours": sp, "encrypt": "http://www.w3.org/2009/xmlenc11#aes256-gcm"}),
        ("cbc", {"signing": ours, "decryption": ours}, {"ours": sp, "encrypt": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}),
        ("default", {"signing": ours, "decryption": ours}, {"ours": sp, "encrypt": ""}),
        ("back", {"signing": ours}, {"ours": sp}),
        ("unsigned", {}, {"ours": sp}),
    ):
        account = SamlAccount(world, code, {"mapping": {"roles_claim": ["Role", "groups"], "role_map": ROLES["role_map"]}},
                              sso_url=None, issuer=None, certificates=None, metadata_url=metadata, **settings)
        account.origin = f"http://{code}.localhost:{world.port}"
        account.config["origins"] = [account.origin, own]
        for name, path in (("acs", "consume"), ("slo", "logout"), ("entity", "metadata")):
            setattr(account, name, account.url(f"/sso/saml/{path}?u={code}"))
        clients.append(saml_client(account, **theirs))
        if code == "back":
            clients[-1]["frontchannelLogout"] = False
            clients[-1]["attributes"]["saml_single_logout_service_url_post"] = f"{own}/sso/saml/logout?u=back"
    theirs = world.theirs = OtherServiceProvider(key("other"))
    clients.append({
        "clientId": theirs.entity, "protocol": "saml", "enabled": True, "frontchannelLogout": True, "redirectUris": [f"{theirs.origin}/*"],
        "attributes": {
            "saml.authnstatement": "true", "saml.server.signature": "true", "saml.signature.algorithm": "RSA_SHA256", "saml.client.signature": "true",
            "saml.signing.certificate": theirs.key.base64, "saml.force.post.binding": "false", "saml_name_id_format": "email",
            "saml_assertion_consumer_url_post": f"{theirs.origin}/acs", "saml_single_logout_service_url_redirect": f"{theirs.origin}/slo"}})
    world.realm = Realm("saml", clients)
    theirs.start(metadata)
    stack.callback(theirs.stop)
    etcd = Etcd("keycloak-saml")
    stack.callback(etcd.stop)
    replica = world.replica = make_world("keycloak-saml-1", cookies={"secure": False})
    replica.app.stop()
    replica.app, replica.accounts, replica.environment = world.app, world.accounts, world.environment
    for one in (world, replica):
        one.clusters |= {"app": world.app.port, "keycloak": world.realm.port}
        one.cluster_table = {f"127.0.0.1:{world.realm.port}": "keycloak"}
        one.engines, one.shared = {"etcd": etcd.ports}, {"engine": "etcd", "cluster": "etcd"}
        one.start()
    return world


@pytest.fixture
def browser(world):
    return browser_of(world)


def browser_of(world, envoy=None):
    hosts = {f"{code}.localhost": (envoy or world).port for code in world.accounts}
    return Browser(hosts | {"127.0.0.1": world.realm.port, "theirs.localhost": world.theirs.port})


def walk(browser, reply) -> list:
    """Goes on through redirects and pages that post a SAML message, ours and theirs."""
    hops = [reply]
    while len(hops) < 30:
        last = hops[-1]
        fields = dict(form_of(last).fields) if last.status == 200 and b"<form" in last.body.lower() else {}
        if last.status in (301, 302, 303) and last.location:
            hops.append(browser.browse(last.location))
        elif fields.keys() & {"SAMLRequest", "SAMLResponse"}:
            where = urllib.parse.urljoin(last.url, form_of(last).action)
            same = origin(where) == origin(last.url)
            hops.append(browser.request("POST", where, body=fields, navigation=True, cross_site=not same, headers={
                "origin": origin(last.url), "sec-fetch-site": "same-origin" if same else "cross-site"}))
        else:
            return hops
    raise AssertionError(f"a loop: {hops}")


def sign_in(world, code, browser, path="/reports?q=1", name="ada", password=None):
    account = world.accounts[code]
    hops = walk(browser, browser.browse(account.url(path)))
    if asks_for(hops[-1], "password"):
        hops += walk(browser, submit(browser, hops[-1], username=name, password=password or PASSWORDS[name]))
    return hops


def signed_in_to(world, code, browser, path="/reports?q=1", **user):
    account = world.accounts[code]
    hops = sign_in(world, code, browser, path, **user)
    assert hops[-1].status == 200 and hops[-1].url == account.url(path), (hops, account.refusals()[-1:])
    forms = [dict(form_of(hop).fields) for hop in hops if hop.url.startswith(world.realm.url) and b"SAMLResponse" in hop.body]
    response = base64.b64decode(forms[-1]["SAMLResponse"]).decode()
    assert ("EncryptedAssertion" in response) == (code in ENCRYPTED), response
    assert all(cipher in response for cipher in ENCRYPTED.get(code, ())), response
    return hops[-1].seen()


@pytest.mark.parametrize("code", ["plain", "signed", "posted", "gcm", "cbc", "default", "back"])
def test_a_sign_in_brings_roles_and_groups(world, browser, code):
    seen = signed_in_to(world, code, browser)
    assert seen["x-sso-user"] == ["ada@acme.com"]
    assert set(seen["x-sso-roles"][0].split(",")) == {"account_admin", "publisher", "viewer", "reader", "platform"}, seen
    # The user has a session there: another application's login is silent.
    other = "signed" if code == "plain" else "plain"
    hops = walk(browser, browser.browse(world.accounts[other].url("/silent")))
    assert hops[-1].url == world.accounts[other].url("/silent") and hops[-1].status == 200, hops


def test_a_login_that_begins_at_one_envoy_ends_at_the_other(world, browser):
    account, other = world.accounts["gcm"], browser_of(world, world.replica)
    start = browser.browse(account.url("/reports"))
    other.cookies |= browser.cookies
    page = other.follow(other.browse(start.location))[-1]
    hops = walk(other, submit(other, page, username="ada", password=PASSWORDS["ada"]))
    assert hops[-1].url == account.url("/reports") and hops[-1].status == 200, (hops, account.refusals()[-1:])
    signed_in(other, account)
    browser.cookies |= other.cookies
    signed_in(browser, account)


def test_a_wrong_password_stays_at_keycloak(world, browser):
    hops = sign_in(world, "plain", browser, password="wrong")
    assert hops[-1].url.startswith(world.realm.url) and "Invalid username or password" in hops[-1].text, hops
    signed_out(browser, world.accounts["plain"])


def test_keycloak_refuses_an_unsigned_request_where_it_wants_a_signature(world, browser):
    hops = sign_in(world, "unsigned", browser)
    assert hops[-1].url.startswith(world.realm.url) and "Invalid requester" in hops[-1].text, hops
    signed_out(browser, world.accounts["unsigned"])


def beside(world, browser, code):
    """A browser that is signed in to both applications by one session of Keycloak's."""
    signed_in_to(world, code, browser)
    hops = walk(browser, browser.browse(f"{world.theirs.origin}/"))
    assert hops[-1].text.startswith("hello"), hops
    assert not any(asks_for(hop, "password") for hop in hops), "single sign-on asks no password"
    return browser


def captured(browser, account) -> str:
    """The account's session in a browser that has others too."""
    return "; ".join(f"{one.name}={one.value}" for one in browser.cookies_for(account.url("/")) if is_session(one.name))


def ended_at_both(world, account, cookie: str) -> None:
    for envoy in (world, world.replica):
        eventually(lambda: browser_of(world, envoy).get(account.url("/who"), headers={"cookie": cookie}).code == "session_expired",
                   60, what=f"the end at {envoy.name}")


def keycloak_asks_again(world, browser) -> None:
    for where in (world.accounts["plain"].url("/reports"), f"{world.theirs.origin}/"):
        hops = walk(browser, browser.browse(where))
        assert asks_for(hops[-1], "password"), hops


@pytest.mark.parametrize("code", ["signed", "posted", "gcm", "cbc"])
def test_signing_out_here_signs_out_of_both(world, browser, code):
    account, bystander = world.accounts[code], beside(world, browser_of(world), code)
    beside(world, browser, code)
    cookie = captured(browser, account)
    hops = walk(browser, browser.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
    assert hops[-1].url.startswith(account.url("/sso/logout-complete")) and hops[-1].status == 200, (hops, account.refusals()[-1:])
    assert any(hop.url.startswith(f"{world.theirs.origin}/slo") for hop in hops), hops
    signed_out(browser, account)
    ended_at_both(world, account, cookie)
    keycloak_asks_again(world, browser)
    signed_in(bystander, account)


@pytest.mark.parametrize("code", ["signed", "posted", "gcm", "cbc"])
def test_signing_out_at_the_other_application_signs_out_here(world, browser, code):
    account, bystander = world.accounts[code], beside(world, browser_of(world), code)
    beside(world, browser, code)
    cookie = captured(browser, account)
    hops = walk(browser, browser.browse(f"{world.theirs.origin}/logout"))
    assert hops[-1].text == "goodbye", (hops, account.refusals()[-1:])
    assert any(hop.url.startswith(account.slo) for hop in hops), hops
    ended_at_both(world, account, cookie)
    keycloak_asks_again(world, browser)
    signed_in(bystander, account)


def test_keycloak_ends_a_session_by_a_message_of_its_own(world, browser):
    """"Front channel logout" off: Keycloak posts the LogoutRequest itself, past the browser."""
    account, bystander = world.accounts["back"], browser_of(world)
    signed_in_to(world, "back", browser, name="bob")
    signed_in_to(world, "back", bystander)
    world.realm.api("POST", f"/users/{world.realm.user('bob')['id']}/logout")
    ended_at_both(world, account, captured(browser, account))
    signed_in(bystander, account)
