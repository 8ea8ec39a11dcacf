"""Paths that ask for more than a session: stronger or fresher authentication at the provider, on a real Envoy. The
native tests have every case."""

import time

import pytest

from harness.expect import refused, session_cookies


@pytest.fixture(scope="module")
def acme(make_world):
    world = make_world("ways-in")
    account = world.account("acme", {"access": [{"prefix": "/strong/", "allow": "users", "acr_values": ["mfa"]},
                                                {"prefix": "/fresh/", "allow": "users", "max_age": "1h"}]})
    world.start()
    return account


def test_a_path_asks_for_a_stronger_authentication(acme):
    acme.idp.change("claims", acr="password")
    client = acme.signed_in()
    before = session_cookies(client)
    refused(client.get(acme.url("/strong/x")), "login_required")
    # A provider that does not care: a page, no loop, and the session is what it was.
    hops = client.login(acme.url("/strong/x?y=1"))
    assert [hop.query()["acr_values"] for hop in hops if "/authorize" in (hop.location or "")] == ["mfa"], hops
    refused(hops[-1], "idp_denied")
    assert session_cookies(client) == before and client.get(acme.url("/who")).status == 200
    # One that does.
    acme.idp.change("claims", acr="mfa")
    hops = client.login(acme.url("/strong/x?y=1"))
    assert hops[-1].status == 200 and hops[-1].url == acme.url("/strong/x?y=1"), hops
    assert client.get(acme.url("/strong/x")).status == 200


def test_a_path_asks_for_a_fresh_authentication(acme):
    acme.idp.change("claims", auth_time=int(time.time()) - 7200)
    client = acme.signed_in()
    assert client.get(acme.url("/who")).status == 200
    hops = client.login(acme.url("/fresh/x"))
    assert any(hop.query().get("max_age") == "3600" for hop in hops if "/authorize" in (hop.location or "")), hops
    refused(hops[-1], "id_token_invalid")
    acme.idp.change("claims", auth_time=int(time.time()))
    assert client.login(acme.url("/fresh/x"))[-1].status == 200
    assert client.get(acme.url("/fresh/x")).status == 200


def test_a_third_party_starts_a_login_with_post(acme):
    """OpenID Connect Core section 4."""
    client = acme.client()
    start = client.request("POST", acme.url("/sso/login"), navigation=True, cross_site=True,
                           headers={"origin": acme.idp.issuer},
                           body={"iss": acme.idp.issuer, "login_hint": "ada", "target_link_uri": acme.url("/there")})
    hops = client.follow(start)
    assert hops[-1].status == 200 and hops[-1].url == acme.url("/there"), hops
    assert any(hop.query().get("login_hint") == "ada" for hop in hops if "/authorize" in (hop.location or "")), hops
