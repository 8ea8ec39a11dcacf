"""What the platform and the provider give: secrets by URL, certificates, assertions, groups by URL, tokens bound to keys."""

import re

import pytest

from harness.client import Client
from harness.expect import refused, signed_in
from harness.files import Files
from harness.idp import DROP
from harness.net import eventually
from harness.provider import OidcProvider

PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada", "groups": ["lakehouse-admins"]}}


@pytest.fixture(scope="module")
def files(request):
    return Files("secrets")


@pytest.fixture(scope="module")
def world(make_world, files):
    files.write("oidc-secret", "the secret of the client\n")
    files.write("token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJsYWtlaG91c2UifQ.\n")
    world = make_world("platform", concurrency=1, listeners=[files.listener("oidc-secret", "token")])
    world.clusters["files"] = files.port
    world.cluster_table["files.internal"] = "files"
    world.account("secret", client_secret={"env": None, "url": "http://files.internal/oidc-secret"})
    world.account("missing", client_secret={"env": None, "url": "http://files.internal/none"})
    world.account("assertion", client_secret=None, client_auth="assertion", client_assertion={"url": "http://files.internal/token"})
    tls = world.account("tls", client_secret=None, client_auth="tls").idp
    tls.change("discovery", mtls_endpoint_aliases={"token_endpoint": f"{tls.issuer}/mtls/token"})
    for code, decide in (("groups", True), ("notice", False)):
        changes = {} if decide else {"access": [], "mapping": {"role_map": {"lakehouse-admins": "reader"}}}
        world.account(code, changes, groups={
            "url": f"https://{code}.idp.test/groups", "list": "/value", "name": "/id", "next": "/next", "when": "overage"})
    world.account("google", groups={
        "url": "https://google.idp.test/groups?userKey={email}", "list": "/memberships", "name": "/groupKey/id", "next": "/nextPageToken",
        "next_param": "pageToken", "when": "always"})
    world.start()
    return world


def test_a_secret_by_url_is_read_before_it_is_needed(world):
    signed_in(world.accounts["secret"].signed_in(), world.accounts["secret"])
    assert "the secret of the client" not in world.envoy.log_text()


def test_a_changed_secret_is_read_after_invalid_client(world, files):
    account = world.accounts["secret"]
    account.signed_in()
    try:
        account.idp.clients["lakehouse"] = "another secret"
        files.write("oidc-secret", "another secret")
        # Envoy has the file a moment later; the first login that the provider refuses reads it.
        eventually(lambda: account.signed_in(), 20, every=0.5, what="a login with the changed secret")
        tries = account.idp.count("token")
        account.signed_in()
        assert account.idp.count("token") == tries + 1
    finally:
        account.idp.clients["lakehouse"] = "the secret of the client"
        files.write("oidc-secret", "the secret of the client")


def test_until_a_secret_has_been_read_logins_get_not_ready(world):
    account = world.accounts["missing"]
    client = account.client()
    refused(client.login(account.url("/reports"))[-1], "not_ready")
    assert account.idp.count("token") == 0


def test_the_platforms_jwt_is_the_client_assertion(world, files):
    account = world.accounts["assertion"]
    account.signed_in()
    form = account.idp.last("token").form
    assert form["client_assertion"] == "eyJhbGciOiJub25lIn0.eyJzdWIiOiJsYWtlaG91c2UifQ."
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in form and "authorization" not in account.idp.last("token").headers


def test_tls_goes_to_the_aliases_and_sends_no_secret(world):
    account = world.accounts["tls"]
    account.signed_in()
    assert account.idp.count("token") == 0 and account.idp.count("mtls_token") == 1
    form = account.idp.last("mtls_token").form
    assert form["client_id"] == "lakehouse" and "client_secret" not in form and "client_assertion" not in form


def overage(account, *pages):
    account.idp.change("claims", groups=DROP, _claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": "x"}})
    account.idp.change("userinfo", groups=DROP)
    account.idp.pages = list(pages)


def test_groups_are_read_page_by_page_where_the_token_left_them_out(world):
    account = world.accounts["groups"]
    at = f"https://{account.code}.idp.test/groups?page="
    overage(account, {"value": [{"id": "everyone"}], "next": f"{at}1"}, {"value": [{"id": "lakehouse-admins"}]})
    client = account.signed_in()
    assert client.get(account.url("/admin/x")).seen()["x-sso-roles"] == ["account_admin"]
    assert account.idp.count("groups") == 2
    # A token that holds them needs no list.
    account.idp.reset()
    account.signed_in()
    assert account.idp.count("groups") == 2


@pytest.mark.parametrize("what", ["endless", "another host", "another scheme", "no list", "down"])
def test_groups_that_cannot_be_read_let_nobody_in_where_roles_decide(world, what):
    deciding, telling = world.accounts["groups"], world.accounts["notice"]
    for account in (deciding, telling):
        at = f"https://{account.code}.idp.test/groups"
        overage(account, {
            "endless": {"value": [{"id": "lakehouse-admins"}], "next": f"{at}?page=0"},
            "another host": {"value": [{"id": "lakehouse-admins"}], "next": "https://evil.idp.test/groups"},
            "another scheme": {"value": [{"id": "lakehouse-admins"}], "next": at.replace("https", "http")},
            "no list": {"values": []}, "down": {"value": []}}[what])
        if what == "down":
            account.idp.fault("groups", status=500)
    try:
        before = deciding.idp.count("groups")
        mark = world.app.mark()
        refused(deciding.client().login(deciding.url("/reports"))[-1], "idp_unavailable")
        world.app.nothing_since(mark)
        assert deciding.idp.count("groups") - before <= 10
        client = telling.signed_in()
        assert client.get(telling.url("/who")).seen().get("x-sso-roles", [""]) == [""]
        assert any("without groups by URL" in str(event.get("reason")) for event in world.envoy.events())
        assert "evil.idp.test" not in world.idps.issuers or not world.idps.issuers["evil.idp.test"].asked
    finally:
        deciding.idp.reset()
        telling.idp.reset()


def test_groups_of_the_user_whom_the_url_names(world):
    """As Google's APIs have it: the user's address in the query, a token for the next page, nothing for an empty list."""
    account = world.accounts["google"]
    account.idp.change("claims", groups=DROP, email="ada+x@acme.com").change("userinfo", groups=DROP)
    group = lambda name: {"groupKey": {"id": name}}  # noqa: E731
    account.idp.pages = [{"memberships": [group("everyone")], "nextPageToken": "1"}, {"memberships": [group("lakehouse-admins")]}]
    before = account.idp.count("groups")
    client = account.signed_in()
    assert client.get(account.url("/admin/x")).seen()["x-sso-roles"] == ["account_admin"]
    asked = [one.query for one in account.idp.asked if one.endpoint == "groups"][before:]
    assert asked == [{"userKey": "ada+x@acme.com"}, {"userKey": "ada+x@acme.com", "pageToken": "1"}]
    account.idp.pages = [{"kind": "empty"}]
    refused(account.signed_in().get(account.url("/admin/x")), "role_missing")
    account.idp.reset()


@pytest.mark.parametrize("claims", [
    {"email": "root@acme.com", "email_verified": False}, {"email": "x' || member_key_id == 'root@acme.com"}, {"email": "x&userKey=root@acme.com"}])
def test_a_claim_asks_for_no_other_users_groups(world, claims):
    account = world.accounts["google"]
    before = account.idp.count("groups")
    account.idp.change("claims", groups=DROP, **claims)
    account.idp.pages = [{"memberships": [{"groupKey": {"id": "lakehouse-admins"}}]}]
    try:
        mark = world.app.mark()
        refused(account.client().login(account.url("/reports"))[-1], "idp_unavailable")
        world.app.nothing_since(mark)
        assert account.idp.count("groups") == before
    finally:
        account.idp.reset()


def test_dpop_at_every_endpoint_of_a_real_provider(make_world):
    """PAR, token, UserInfo and renewal, each with a proof; the provider wants its nonce in every one (RFC 9449)."""
    origin = "https://acme.app.test"
    provider = OidcProvider([{
        "client_id": "lakehouse", "client_secret": "the secret of the client", "dpop_bound_access_tokens": True,
        "grant_types": ["authorization_code", "refresh_token"], "redirect_uris": [f"{origin}/sso/oidc/consume?u=acme"]}],
        PEOPLE, dpop=True, require_par=True)
    try:
        world = make_world("dpop", concurrency=2, session={"recheck": "1s"})
        account = world.account(
            "acme", {"mapping": {"from": "userinfo"}}, discovery=f"{provider.issuer}/.well-known/openid-configuration", dpop=True,
            scope=["openid", "email", "profile", "offline_access"], authorization_params={"prompt": "consent"})
        world.clusters["provider"] = provider.port
        world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
        world.start()
        client = Client({"acme.app.test": world.port, "127.0.0.1": provider.port})
        hops = provider.login(client, f"{origin}/reports", "ada")
        assert hops[-1].status == 200 and hops[-1].url.startswith(origin), hops
        began = next(hop.location for hop in hops if (hop.location or "").startswith(provider.issuer + "/auth"))
        assert re.search(r"request_uri=", began), began
        proofs = provider.test("seen")["proofs"]
        assert {"/request", "/token", "/me"} <= set(proofs), proofs
        signed_in(client, account)

        def renewed():
            signed_in(client, account)
            return provider.test("seen")["refreshed"]

        eventually(renewed, 20, every=0.5, what="a renewal with a proof")
        assert provider.test("seen")["refused"] <= provider.test("seen")["refreshed"] + 1
    finally:
        provider.stop()
