"""SimpleSAMLphp and NanoIDP, with their own login forms, and the filter between."""

import urllib.parse

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.nanoidp import NanoIdp
from harness.saml import SamlAccount, form, key, message
from harness.simplesaml import SimpleSaml


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-idps")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    simple = SimpleSaml(key("idp"))
    world.simple = simple
    for code, more, theirs in (
        ("plain", {}, {}),
        ("assertion", {}, {"saml20.sign.response": False}),
        ("encrypted", {"decryption": ours}, {"assertion.encryption": True}),
        ("unsigned", {"decryption": ours}, {"assertion.encryption": True, "saml20.sign.response": False}),
        ("signed", {"signing": ours, "binding": "post"}, {"validate.authnrequest": True}),
        ("logout", {"signing": ours}, {}),
        ("named", {"signing": ours, "decryption": ours}, {"nameid.encryption": True}),
    ):
        account = SamlAccount(world, code, **simple.settings, **more)
        simple.add(account, sp, **theirs)
    try:
        simple.start()
        world.nano = NanoIdp({"ada": {"password": "lovelace", "email": "ada@acme.com", "groups": ["lakehouse-admins"]}})
        for code, binding in (("nano", "redirect"), ("nano-post", "post")):
            account = SamlAccount(world, code, sso_url=None, issuer=None, certificates=None, binding=binding,
                                  metadata_url=world.nano.metadata)
        world.clusters["nano"] = world.nano.port
        world.cluster_table[f"127.0.0.1:{world.nano.port}"] = "nano"
        world.start()
        yield world
    finally:
        simple.stop()
        if hasattr(world, "nano"):
            world.nano.stop()


@pytest.fixture
def client(world):
    """A browser that also finds the providers: they live on one address, at ports of their own."""
    client = world.client()
    ports = client.port
    client.port = lambda host: client.here if host == "127.0.0.1" else ports(host)
    return client


def comes_back(account, hops, target):
    callback = [hop for hop in hops if hop.url == account.acs]
    assert callback, hops
    assert callback[-1].location == account.url(target), (callback, account.refusals()[-1:])
    assert hops[-1].url == account.url(target) and hops[-1].status == 200, hops


@pytest.mark.parametrize("code", ["plain", "assertion", "encrypted", "signed", "named"])
def test_simplesamlphp(world, client, code):
    account, client.here = world.accounts[code], world.simple.port
    target = "/reports?q=1&x=%C3%A9+a%2Fb"
    start = client.browse(account.url(target))
    asked = message(start)
    if asked.binding == "post":  # the filter's page posts itself
        start = client.request("POST", asked.url, body=form(start)[1], navigation=True, cross_site=True)
    hops = world.simple.sign_in(client, start)
    comes_back(account, hops, target)
    seen = hops[-1].seen()
    assert seen["x-sso-user"] == ["ada@acme.com"] and seen["x-sso-roles"] == ["account_admin"]
    # The person has a session there: another login is silent.
    other = world.accounts["assertion" if code == "plain" else "plain"]
    comes_back(other, client.login(other.url("/silent")), "/silent")


def test_simplesamlphp_refuses_the_wrong_password(world, client):
    account, client.here = world.accounts["plain"], world.simple.port
    hops = world.simple.sign_in(client, client.browse(account.url("/reports")), "ada", "wrong")
    assert hops[-1].url.startswith(world.simple.url), hops
    signed_out(client, account)


def test_cbc_under_an_unsigned_response_names_the_setting(world, client):
    account, client.here = world.accounts["unsigned"], world.simple.port
    hops = world.simple.sign_in(client, client.browse(account.url("/reports")))
    refused(hops[-1], "assertion_invalid")
    assert "saml20.sign.response" in account.refusals()[-1]["reason"]
    signed_out(client, account)


def test_signing_out_here_signs_out_at_simplesamlphp(world, client):
    account, client.here = world.accounts["logout"], world.simple.port
    comes_back(account, world.simple.sign_in(client, client.browse(account.url("/reports"))), "/reports")
    hops = client.follow(client.browse(account.url("/sso/logout")))
    assert hops[-1].url == account.url("/sso/logout-complete") and hops[-1].status == 200, hops
    assert any(hop.url.startswith(world.simple.slo) for hop in hops), hops
    signed_out(client, account)
    # Out there as well: it asks for the password again.
    hops = client.follow(client.browse(account.url("/reports")))
    assert hops[-1].url.startswith(world.simple.url) and b'name="password"' in hops[-1].body, hops


@pytest.mark.parametrize("code", ["logout", "named"])
def test_signing_out_at_simplesamlphp_signs_out_here(world, client, code):
    account, client.here = world.accounts[code], world.simple.port
    comes_back(account, world.simple.sign_in(client, client.browse(account.url("/reports"))), "/reports")
    there = f"{world.simple.url}/saml2/idp/SingleLogoutService.php?" + urllib.parse.urlencode(
        {"ReturnTo": f"{world.simple.url}/module.php/core/frontpage_welcome.php"})
    hops = client.follow(client.browse(there))
    request = next(hop for hop in hops if (hop.location or "").startswith(account.slo))
    assert ("EncryptedID" in message(request).text) == (code == "named")
    assert any("SAMLResponse" in hop.url for hop in hops), hops
    assert not session_cookies(client)
    signed_out(client, account)


@pytest.mark.parametrize("code", ["nano", "nano-post"])
def test_nanoidp_by_its_metadata(world, client, code):
    account, client.here = world.accounts[code], world.nano.port
    start = client.browse(account.url("/reports?q=1"))
    asked = message(start)
    assert asked.url == world.nano.sso
    if asked.binding == "post":
        start = client.request("POST", asked.url, body=form(start)[1], navigation=True, cross_site=True)
    hops = world.nano.sign_in(client, start, "ada", "lovelace")
    comes_back(account, hops, "/reports?q=1")
    assert hops[-1].seen()["x-sso-roles"] == ["account_admin"]
    signed_in(client, account)
