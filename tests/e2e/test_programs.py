"""Programs and agents: opaque tokens, protected resources, an MCP client, and issuers for programs alone."""

import concurrent.futures
import json
import secrets
import subprocess
import time
import urllib.parse

import pytest

from harness import jose, process
from harness.client import Client
from harness.expect import refused
from harness.idp import DROP
from harness.net import WORK, eventually, free_port
from harness.provider import HERE, OidcProvider
from harness.scim import user

AUDIENCE = "https://api.acme.test"
OTHER = "https://other.acme.test"
PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada", "groups": ["lakehouse-admins"]}}
WORKERS = 2
RESOURCE = {"access": [{"prefix": "/mcp/", "allow": "users", "resource": {"name": "Reports", "scopes": ["reports.read"]}}]}


@pytest.fixture(scope="module")
def provider():
    provider = OidcProvider([
        {"client_id": "lakehouse", "client_secret": "the secret of the client",
         "redirect_uris": ["https://acme.app.test/sso/oidc/consume?u=acme"]},
        {"client_id": "script", "token_endpoint_auth_method": "none", "application_type": "native", "redirect_uris": [],
         "response_types": [], "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]}],
        PEOPLE, resource=AUDIENCE, opaque=True, scope="openid reports.read")
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def world(make_world, provider):
    world = make_world("programs", concurrency=WORKERS)
    world.account("acme", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}},
                  discovery=f"{provider.issuer}/.well-known/openid-configuration", introspection=True)
    world.account("scripted", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}} | RESOURCE,
                  introspection="https://scripted.idp.test/introspect")
    world.account("strict", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}}, introspection=True)
    strict = world.accounts["strict"].idp
    strict.change("discovery", introspection_endpoint=f"{strict.issuer}/introspect")
    world.account("machines", {"bearer": {"audiences": [AUDIENCE], "machines": [
        {"id": "ci", "issuer": "https://ci.idp.test", "audiences": ["lakehouse"], "users": {"repo:acme/etl": "etl-bot"}},
    ]}} | RESOURCE)
    world.idps.issuer("ci.idp.test").person = {"sub": "repo:acme/etl"}
    world.directory("machines").users.append(user("etl-bot", email="etl@acme.com"))
    world.clusters["provider"] = provider.port
    world.cluster_table[f"127.0.0.1:{provider.port}"] = "provider"
    world.start()
    return world


def device_token(provider, **asked) -> str:
    """An access token from the device flow, approved by HTTP."""
    client = Client({"127.0.0.1": provider.port})

    def post(path: str, **form):
        return client.post(provider.issuer + path, body=form).json()

    device = post("/device/auth", client_id="script", scope="openid reports.read", **asked)
    hops = provider.login(client, device["verification_uri_complete"], "ada")
    assert hops[-1].status == 200, hops
    answer = post("/token", grant_type="urn:ietf:params:oauth:grant-type:device_code", client_id="script",
                  device_code=device["device_code"])
    return answer["access_token"]


def ask(account, token: str, path: str = "/who", **headers):
    return account.client().get(account.url(path), headers={"authorization": f"Bearer {token}"} | headers)


def refused_unseen(account, token: str, *codes: str, path: str = "/who"):
    mark = account.world.app.mark()
    reply = refused(ask(account, token, path), *codes)
    account.world.app.nothing_since(mark)
    return reply


def test_an_opaque_token_is_asked_about_once_by_each_worker(world, provider):
    acme = world.accounts["acme"]
    token = device_token(provider)
    assert "." not in token, "the provider's token is a JWT"
    before = provider.test("seen")["introspected"]
    for _ in range(30):
        reply = ask(acme, token)
        assert reply.status == 200, reply
        assert reply.seen()["x-sso-user"] == ["ada@acme.com"] and reply.seen()["x-sso-method"] == ["bearer"]
    assert 1 <= provider.test("seen")["introspected"] - before <= WORKERS
    assert token not in world.envoy.log_text()


def test_a_token_for_another_application_of_the_provider_is_refused(world, provider):
    token = device_token(provider, resource=OTHER)
    refused_unseen(world.accounts["acme"], token, "token_invalid")
    assert any("aud holds none" in str(event.get("reason")) for event in world.envoy.events())


def test_a_refusal_is_remembered(world, provider):
    acme = world.accounts["acme"]
    before = provider.test("seen")["introspected"]
    token = secrets.token_urlsafe(32)
    for _ in range(20):
        refused_unseen(acme, token, "token_invalid")
    assert provider.test("seen")["introspected"] - before <= WORKERS


def test_a_flood_of_random_tokens_makes_a_bounded_number_of_calls(world, provider):
    acme = world.accounts["acme"]
    good = device_token(provider)
    # Each worker knows it before the flood.
    for _ in range(20):
        assert ask(acme, good).status == 200
    before, began = provider.test("seen")["introspected"], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(lambda _: ask(acme, secrets.token_urlsafe(32)), range(600)))
    took = time.monotonic() - began
    for reply in replies:
        refused(reply, "token_invalid", "idp_unavailable")
    assert provider.test("seen")["introspected"] - before <= 100 * (int(took) + 2)
    assert ask(acme, good).status == 200


@pytest.mark.parametrize("what, claims", [
    ("another audience", {"aud": OTHER}), ("another issuer", {"iss": "https://evil.test"}), ("over", {"exp": 1}),
    ("not yet", {"nbf": 9_999_999_999}), ("bound to a key", {"cnf": {"jkt": "x"}}), ("a refresh token", {"token_type": "refresh_token"}),
    ("an ID token", {"typ": "ID"}), ("not active", {"active": "true"})])
def test_what_introspection_says_is_checked(world, what, claims):
    account = world.accounts["scripted"]
    token, good = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    account.idp.opaque |= {token: {"aud": AUDIENCE} | claims, good: {"aud": AUDIENCE}}
    refused_unseen(account, token, "token_invalid")
    assert ask(account, good).status == 200


def test_without_an_audience_a_token_counts_only_where_the_operator_named_the_endpoint(world):
    scripted, strict = world.accounts["scripted"], world.accounts["strict"]
    for account in (scripted, strict):
        account.idp.opaque["without"] = {"aud": DROP}
        account.idp.opaque["with"] = {"aud": [AUDIENCE]}
        eventually(lambda: ask(account, "with").status == 200, what="discovery")
    assert ask(scripted, "without").status == 200
    refused_unseen(strict, "without", "token_invalid")


def test_the_metadata_is_public_and_names_the_issuers(world):
    account = world.accounts["scripted"]
    url = account.url("/.well-known/oauth-protected-resource/mcp")
    reply = account.client().get(url)
    assert reply.status == 200 and reply.get("access-control-allow-origin") == "*", reply
    assert reply.json() == {
        "resource": account.url("/mcp"), "authorization_servers": [account.idp.issuer], "bearer_methods_supported": ["header"],
        "scopes_supported": ["reports.read"], "resource_name": "Reports"}
    preflight = account.client().request("OPTIONS", url, headers={
        "origin": "https://agent.test", "access-control-request-method": "GET", "access-control-request-headers": "mcp-protocol-version"})
    assert preflight.status == 204 and preflight.get("access-control-allow-origin") == "*", preflight
    refused(account.client().post(url), "method_not_allowed")
    # Under another name it is the application's business.
    assert account.client().get(account.url("/.well-known/oauth-protected-resource/other")).code == "login_required"
    machines = world.accounts["machines"]
    both = machines.client().get(machines.url("/.well-known/oauth-protected-resource/mcp")).json()
    assert both["authorization_servers"] == [machines.idp.issuer, "https://ci.idp.test"]


def test_a_challenge_names_the_metadata_and_the_scopes(world):
    account = world.accounts["scripted"]
    wanted = f'resource_metadata="{account.url("/.well-known/oauth-protected-resource/mcp")}", scope="reports.read"'
    reply = refused(account.client().get(account.url("/mcp/x")), "login_required")
    assert reply.get("www-authenticate") == f'Bearer realm="sso", {wanted}', reply.headers
    reply = refused_unseen(account, "unknown", "token_invalid", path="/mcp/x")
    assert 'error="invalid_token"' in reply.get("www-authenticate") and wanted in reply.get("www-authenticate")
    account.idp.opaque |= {"narrow": {"aud": AUDIENCE, "scope": "reports.write"}, "wide": {"aud": AUDIENCE}}
    reply = refused_unseen(account, "narrow", "insufficient_scope", path="/mcp/x")
    assert 'error="insufficient_scope"' in reply.get("www-authenticate") and wanted in reply.get("www-authenticate")
    assert ask(account, "narrow").status == 200, "other paths need no scope"
    assert ask(account, "wide", "/mcp/x").status == 200
    assert account.signed_in("/mcp/x").get(account.url("/mcp/x")).status == 200, "a browser's session needs no scope"


def machine_token(world, **changes) -> str:
    issuer = world.idps.issuer("ci.idp.test")
    now = int(time.time())
    claims = {"iss": issuer.issuer, "aud": "lakehouse", "iat": now, "exp": now + 300, "sub": "repo:acme/etl"} | changes
    return jose.encode({"alg": "RS256", "kid": issuer.signing.kid}, claims, "RS256", issuer.signing)


def test_a_machine_is_the_user_that_the_map_names(world):
    account = world.accounts["machines"]
    reply = eventually(lambda: (lambda r: r if r.status == 200 else None)(ask(account, machine_token(world))), what="keys")
    seen = reply.seen()
    assert (seen["x-sso-user"], seen["x-sso-idp"], seen["x-sso-method"]) == (["etl-bot"], ["ci"], ["bearer"])
    refused_unseen(account, machine_token(world, sub="repo:evil/etl"), "identity_unknown")
    refused_unseen(account, machine_token(world, sub="REPO:acme/etl"), "identity_unknown")
    refused_unseen(account, machine_token(world, aud=AUDIENCE), "token_invalid")
    refused_unseen(account, machine_token(world, exp=1), "token_invalid")
    # A machine's issuer is no way in for people.
    assert "ci.idp.test" not in account.client().browse(account.url("/reports")).location


def proof(key: jose.Key, url: str, nonce: str | None) -> str:
    """A proof of possession for a POST to the URL (RFC 9449 section 4.2)."""
    claims = {"jti": secrets.token_hex(8), "htm": "POST", "htu": url, "iat": int(time.time())} | ({"nonce": nonce} if nonce else {})
    public = {name: value for name, value in key.jwk().items() if name in ("kty", "crv", "x", "y")}
    return jose.encode({"typ": "dpop+jwt", "alg": "ES256", "jwk": public}, claims, "ES256", key)


def bound_token(provider, key: jose.Key) -> dict:
    """What the token endpoint gives a program that proves to have the key: by the device flow, as ada."""
    client, url = Client({"127.0.0.1": provider.port}), f"{provider.issuer}/token"
    device = client.post(f"{provider.issuer}/device/auth", body={"client_id": "script", "scope": "openid reports.read"}).json()
    provider.login(client, device["verification_uri_complete"], "ada")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "script", "device_code": device["device_code"]}
    reply = client.post(url, body=form, headers={"dpop": proof(key, url, None)})
    assert reply.json()["error"] == "use_dpop_nonce", reply
    reply = client.post(url, body=form, headers={"dpop": proof(key, url, reply.get("dpop-nonce"))})
    assert reply.status == 200, reply
    return reply.json()


@pytest.mark.parametrize("opaque", [False, True], ids=["JWT", "opaque"])
def test_a_stolen_token_that_is_bound_to_a_key_is_refused(make_world, opaque):
    """The provider binds it to the key of the program that asked (RFC 9449 section 6): nobody else may use it, in no scheme."""
    world = make_world(f"bound-{opaque}", concurrency=1)
    provider = OidcProvider([
        {"client_id": "lakehouse", "client_secret": "the secret of the client",
         "redirect_uris": ["https://acme.app.test/sso/oidc/consume?u=acme"]},
        {"client_id": "script", "token_endpoint_auth_method": "none", "application_type": "native", "redirect_uris": [],
         "response_types": [], "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]}],
        PEOPLE, resource=AUDIENCE, opaque=opaque, dpop=True, scope="openid reports.read")
    try:
        account = world.account("acme", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}},
                                discovery=f"{provider.issuer}/.well-known/openid-configuration", introspection=True)
        world.clusters["provider"] = provider.port
        world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
        world.start()
        answer = bound_token(provider, jose.new_key("P-256", "program"))
        stolen = answer["access_token"]
        assert answer["token_type"] == "DPoP" and (stolen.count(".") == 0) == opaque
        mark = world.app.mark()
        theirs = {"dpop": proof(jose.new_key("P-256", "thief"), account.url("/who"), None)}
        refused(ask(account, stolen), "token_invalid")
        refused(ask(account, stolen, **theirs), "token_invalid")
        reply = account.client().get(account.url("/who"), headers={"authorization": f"DPoP {stolen}"} | theirs)
        refused(reply, "login_required", "token_invalid")
        world.app.nothing_since(mark)
        # The twin: the same program without a key.
        reply = ask(account, device_token(provider))
        assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
    finally:
        provider.stop()


def test_an_mcp_client_finds_its_way_by_the_metadata(make_world):
    """The client library of the protocol's authors: challenge, metadata, discovery, PKCE, resource, token, tool."""
    port = free_port()
    world = make_world("mcp", cookies={"secure": False}, routes=[
        {"match": {"prefix": "/mcp"}, "route": {"cluster": "mcp", "timeout": "30s"}}])
    origin = f"http://127.0.0.1:{world.port}"
    provider = OidcProvider([
        {"client_id": "lakehouse", "client_secret": "the secret of the client", "redirect_uris": [f"{origin}/sso/oidc/consume?u=acme"]},
        {"client_id": "agent", "token_endpoint_auth_method": "none", "application_type": "native",
         "redirect_uris": ["http://127.0.0.1:7999/callback"]}],
        PEOPLE, resource=f"{origin}/mcp", scope="reports.read")
    account = world.account("acme", {"bearer": {"audiences": [f"{origin}/mcp"]}, "access": [
        {"prefix": "/mcp", "allow": "users", "resource": {"name": "Reports", "scopes": ["reports.read"]}}]},
        discovery=f"{provider.issuer}/.well-known/openid-configuration")
    account.config["origins"] = [origin]
    world.clusters |= {"provider": provider.port, "mcp": port}
    world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
    world.start()
    said_by_server = WORK / f"mcp-{port}.log"
    log = said_by_server.open("wb")
    server = subprocess.Popen(["node", "mcp_server.mjs", str(port)], cwd=HERE, stdout=log, stderr=subprocess.STDOUT)
    agent = subprocess.Popen(["node", "mcp_client.mjs", f"{origin}/mcp", "agent"], cwd=HERE, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: b"ready" in said_by_server.read_bytes(), 60, what="a server that listens")
        where = agent.stdout.readline().strip()
        assert where.startswith(provider.issuer), agent.communicate(timeout=30)
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where).query))
        assert asked["resource"] == f"{origin}/mcp" and asked["scope"] == "reports.read", asked
        hops = provider.login(Client({"127.0.0.1": provider.port}), where, "ada")
        back = next(hop.location for hop in hops if (hop.location or "").startswith("http://127.0.0.1:7999/callback"))
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))["code"]
        said, problems = agent.communicate(code + "\n", timeout=60)
        assert said.strip() == "ada@acme.com by bearer", (said, problems, json.dumps(world.envoy.events()[-3:]))
    finally:
        process.end(server, log)
        agent.kill()
        agent.wait()
        provider.stop()
