"""Programs with an access token: no browser, no cookie, the same user."""

import json
import time
import urllib.parse
import urllib.request

import pytest

from harness import jose
from harness.client import Client
from harness.expect import refused, session_cookies
from harness.net import eventually
from harness.provider import OidcProvider
from harness.tokens import AUDIENCE, BEARER, access_token


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("bearer", concurrency=4)
    world.account("acme", BEARER)
    world.account("without")
    world.account("rotating", BEARER)
    world.account("down", BEARER)
    world.start()
    return world


def ask(account, token: str, path: str = "/who", **headers):
    return account.client().get(account.url(path), headers={"authorization": f"Bearer {token}"} | headers)


def outcomes(world, account) -> dict[str, int]:
    found = {}
    for name, value in world.envoy.stats(r"sso_bearer_tokens").items():
        if f"account.{account.code}." in name:
            found[name.rpartition(".")[2]] = value
    return found


def test_a_token_is_the_same_user_as_a_browser(world):
    acme = world.accounts["acme"]
    browser = acme.signed_in().get(acme.url("/who")).seen()
    reply = ask(acme, access_token(acme))
    assert reply.status == 200 and not reply.set, reply
    program = reply.seen()
    for name in ("x-sso-user", "x-sso-email", "x-sso-name", "x-sso-roles", "x-sso-account", "x-sso-idp"):
        assert program[name] == browser[name], name
    assert (browser["x-sso-method"], program["x-sso-method"]) == (["sso"], ["bearer"])
    assert len(program["authorization"]) == 1, "the application gets the token too"
    assert ask(acme, access_token(acme), "/admin/x").status == 200
    refused(ask(acme, access_token(acme), "/owners/x"), "role_missing")


@pytest.mark.parametrize("what, changes", [
    ("audience", {"aud": "other"}), ("issuer", {"iss": "https://evil.test"}), ("expired", {"exp": 1}),
    ("not yet", {"nbf": int(time.time()) + 900}), ("no sub", {"sub": None}), ("bound", {"cnf": {"jkt": "x"}}),
    ("an ID token", {"nonce": "n", "aud": "lakehouse"}), ("Keycloak's ID token", {"typ": "ID"}),
    ("a logout token", {"header": {"typ": "logout+jwt"}}), ("none", {"alg": "none"}),
    ("forged", {"key": "forged", "header": {"kid": "rsa-1"}}), ("algorithm", {"header": {"alg": "RS512"}})])
def test_a_wrong_token_is_refused_and_the_application_sees_nothing(world, what, changes):
    acme = world.accounts["acme"]
    session = session_cookies(acme.signed_in())
    keys = {name: acme.idp.keys[value] for name, value in changes.items() if name == "key"}
    bad = access_token(acme, **(changes | keys))
    mark = world.app.mark()
    reply = refused(ask(acme, bad, cookie="; ".join(f"{n}={v}" for n, v in session.items())), "token_invalid")
    world.app.nothing_since(mark)
    assert reply.get("www-authenticate").startswith('Bearer realm="sso", error="invalid_token", error_description="')
    assert reply.get("content-type") == "application/problem+json"
    assert bad.rpartition(".")[2][:40] not in world.envoy.log_text() or not bad.rpartition(".")[2]
    assert ask(acme, access_token(acme)).status == 200


def test_two_headers_are_refused(world):
    acme = world.accounts["acme"]
    good = access_token(acme)
    mark = world.app.mark()
    for other in (f"Bearer {good}", "Basic eDp5", "x"):
        reply = acme.client().get(acme.url("/who"), headers={"authorization": f"Bearer {good}"},
                                  more_headers=[("authorization", other)])
        # Envoy may join the two; what comes out is not a token.
        refused(reply, "request_invalid", "token_invalid")
    world.app.nothing_since(mark)


def test_without_bearer_a_token_is_nothing_to_the_filter(world):
    without = world.accounts["without"]
    refused(ask(without, access_token(without)), "login_required")
    reply = ask(without, "the application's own", "/api/sql/x")
    assert reply.status == 200 and reply.seen()["authorization"] == ["Bearer the application's own"]


def test_it_is_verified_once_by_each_worker_and_remembered(world):
    """Four workers: at most four verifications, and afterwards the provider may be down."""
    account = world.accounts["down"]
    token = access_token(account)
    for _ in range(60):
        assert ask(account, token).status == 200
    assert 1 <= outcomes(world, account)["ok"] <= 4


def test_a_provider_that_was_never_there_lets_nobody_in(make_world):
    world = make_world("bearer-dead", concurrency=1)
    account = world.account("acme", BEARER)
    account.idp.fault("discovery", status=500)
    world.start()
    refused(ask(account, access_token(account)), "idp_unavailable")
    account.idp.faults.clear()
    eventually(lambda: ask(account, access_token(account)).status == 200, 40, every=0.5, what="the provider's return")


def test_a_new_key_is_fetched_once_whatever_is_sent(world):
    account = world.accounts["rotating"]
    eventually(lambda: ask(account, access_token(account)).status == 200, what="keys")
    before = account.idp.count("jwks")
    for n in range(30):
        refused(ask(account, access_token(account, header={"kid": f"unknown-{n}"})), "token_invalid")
    assert account.idp.count("jwks") - before <= 1
    assert ask(account, access_token(account)).status == 200


def test_adfs_has_an_issuer_of_its_own_for_access_tokens(make_world):
    world = make_world("adfs", concurrency=1)
    account = world.account("acme", BEARER)
    second = "http://fs.acme.test/adfs/services/trust"
    account.idp.change("discovery", access_token_issuer=second)
    world.start()
    assert ask(account, access_token(account, iss=second, header={"typ": "JWT"}, scp="openid")).status == 200
    refused(ask(account, access_token(account, iss=second + "/")), "token_invalid")
    account.idp.change("claims", iss=second)
    client = account.client()
    refused(client.login(account.url("/reports"))[-1], "id_token_invalid")  # and only of them


def test_the_device_flow_of_a_real_provider(make_world):
    """OAuth 2.0 Device Authorization Grant (RFC 8628): a script on a machine without a browser, a person elsewhere."""
    provider = OidcProvider([{
        "client_id": "script", "token_endpoint_auth_method": "none", "application_type": "native", "redirect_uris": [],
        "response_types": [], "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]}],
        {"ada": {"email": "ada@acme.com", "email_verified": True, "groups": ["lakehouse-admins"]}},
        resource="https://api.acme.test", audience=AUDIENCE)
    try:
        world = make_world("device", concurrency=4)
        account = world.account("acme", BEARER, discovery=f"{provider.issuer}/.well-known/openid-configuration")
        world.clusters["provider"] = provider.port
        world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
        world.start()

        def post(path: str, **form):
            request = urllib.request.Request(provider.issuer + path, urllib.parse.urlencode(form).encode())
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as failed:
                return json.loads(failed.read())

        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "script"}
        device = post("/device/auth", client_id="script", scope="openid email profile")
        assert post("/token", **grant, device_code=device["device_code"])["error"] == "authorization_pending"
        person = Client({"127.0.0.1": provider.port})
        hops = provider.login(person, device["verification_uri_complete"], "ada")
        assert hops[-1].status == 200, hops
        tokens = post("/token", **grant, device_code=device["device_code"])
        assert jose.header_of(tokens["access_token"])["typ"] == "at+jwt", tokens

        # From here on a plain HTTP client.
        url = f"http://127.0.0.1:{world.port}/api/tables"
        request = urllib.request.Request(url, headers={"host": "acme.app.test", "authorization": f"Bearer {tokens['access_token']}"})
        for _ in range(20):
            with urllib.request.urlopen(request, timeout=30) as answer:
                seen = {name.lower(): value for name, value in json.loads(answer.read())["headers"]}
            assert seen["x-sso-user"] == "ada@acme.com" and seen["x-sso-roles"] == "account_admin"
            assert seen["x-sso-method"] == "bearer"
        # The ID token of the same answer is none.
        refused(ask(account, tokens["id_token"]), "token_invalid")
        refused(ask(account, tokens["access_token"][:-4] + "AAAA"), "token_invalid")
    finally:
        provider.stop()
