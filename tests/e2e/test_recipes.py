"""The recipes of docs/idps.md whose provider answers in a shape of its own, and what a claim of roles may look like."""

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.idp import DROP
from harness.net import eventually

B2C = "https://b2c.idp.test/11111111-2222-3333-4444-555555555555/v2.0/"
ZITADEL = "urn:zitadel:iam:org:project:roles"
ADMINS = {"role_map": {"lakehouse-admins": "account_admin"}}


def github(account, **more):
    """The recipe for GitHub, at this account's provider."""
    base = account.idp.issuer
    account.config["identity_providers"] = [{"id": "github", "title": "GitHub", "oauth2": {
        "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token", "userinfo_endpoint": f"{base}/userinfo",
        "client_id": "lakehouse", "client_secret": {"env": "OIDC_SECRET"}, "client_auth": "post", "scope": ["read:user", "user:email"],
        "timeout": "2s"} | more}]
    return account


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("recipes", concurrency=1)
    world.account("b2c", {"mapping": {"claim": "/emails/0", "email_verified": "ignored"}}, issuer=B2C)
    world.account("cognito", {"mapping": ADMINS | {"roles_claim": "cognito:groups"}}, logout_url="https://cognito.idp.test/v2/logout",
                  logout_params={"client_id": "{client_id}", "logout_uri": "{post_logout_redirect_uri}"})
    world.account("line", {"mapping": {"email_verified": "ignored"}}, client_auth="post", id_token_signed_response_alg="HS256")
    world.account("apple", client_auth="post", response_mode="form_post", scope=["openid", "email", "name"])
    world.account("slack", {"forward": {"headers": {"x-team": "/https:~1~1slack.com~1team_id"}}}, client_auth="post")
    world.account("gitlab", {"mapping": {"roles_claim": "groups_direct", "role_map": {"acme/admins": "account_admin"}}})
    world.account("zitadel", {"mapping": ADMINS | {"from": "userinfo", "email_verified": "required", "roles_claim": ZITADEL}})
    github(world.account("login")).config["mapping"] = {"from": "userinfo", "claim": "login", "attribute": "username"}
    github(world.account("emails"), emails_endpoint="https://emails.idp.test/user/emails").config["mapping"] = {
        "from": "userinfo", "email_verified": "required"}
    world.account("shapes", {"mapping": ADMINS | {"roles_claim": "groups"}})
    world.account("two-claims", {"mapping": ADMINS | {"roles_claim": ["/realm_access/roles", "/resource_access/app/roles"]}})
    world.start()
    return world


@pytest.fixture(autouse=True)
def as_before(world):
    yield
    for account in world.accounts.values():
        account.idp.reset()


def shown(account, **person):
    """What the application is told of a new session of this person."""
    account.idp.person = {name: value for name, value in (account.idp.person | person).items() if value is not DROP}
    return account.signed_in().get(account.url("/who")).seen()


def test_b2c_has_a_list_of_addresses_and_an_issuer_of_its_own(world):
    account = world.accounts["b2c"]
    account.idp.change("claims", iss=B2C)
    account.idp.change("discovery", issuer=B2C)
    assert shown(account, emails=["ada@acme.com"], email=DROP, email_verified=DROP)["x-sso-user"] == ["ada@acme.com"]
    for emails in ([], [None], "ada@acme.com", [["ada@acme.com"]]):
        account.idp.person["emails"] = emails
        refused(account.callback(client := account.client())[0], "identity_missing")
        signed_out(client, account)
    account.idp.person["emails"] = ["ada@acme.com"]
    account.idp.change("claims", iss=account.idp.issuer)
    refused(account.callback(account.client())[0], "id_token_invalid")


def test_cognito_signs_out_by_its_own_parameter_though_discovery_has_an_endpoint(world):
    account = world.accounts["cognito"]
    account.idp.person |= {"cognito:groups": ["lakehouse-admins"]}
    ada = account.signed_in("/admin/x")
    out = ada.browse(account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.split("?")[0] == "https://cognito.idp.test/v2/logout", out
    assert out.query() == {"client_id": "lakehouse", "logout_uri": account.url("/sso/logout-complete")}
    signed_out(ada, account)


def test_line_signs_with_the_secret(world):
    account = world.accounts["line"]
    account.idp.alg, account.idp.sign_with = "HS256", b"the secret of the client"
    signed_in(account.signed_in(), account)
    assert account.idp.last("token").form["client_secret"] == "the secret of the client"
    account.idp.sign_with = b"another secret"
    refused(account.callback(client := account.client())[0], "id_token_invalid")
    signed_out(client, account)


def test_apple_posts_the_callback_and_says_true_as_text(world):
    account = world.accounts["apple"]
    client = account.client()
    start = client.browse(account.url("/reports"))
    assert start.query()["response_mode"] == "form_post" and start.query()["scope"].split() == ["openid", "email", "name"]
    account.idp.person |= {"email_verified": "true", "is_private_email": "true"}
    assert client.follow(start)[-1].status == 200
    signed_in(client, account)
    account.idp.person["email_verified"] = "false"
    refused(account.callback(client := account.client())[0], "email_unverified")
    signed_out(client, account)


def test_slack_names_claims_by_urls(world):
    account = world.accounts["slack"]
    assert shown(account, **{"https://slack.com/team_id": "T0123"})["x-team"] == ["T0123"]
    assert "x-team" not in shown(account, **{"https://slack.com/team_id": DROP, "team_id": "T9"})


def test_gitlab_has_groups_in_the_token_and_no_sign_out(world):
    account = world.accounts["gitlab"]
    account.idp.change("discovery", end_session_endpoint=DROP)
    assert shown(account, groups_direct=["acme/admins", "acme"])["x-sso-roles"] == ["account_admin"]
    assert not shown(account, groups_direct=["acme", "other/acme/admins"]).get("x-sso-roles", [""])[0]


def test_zitadel_has_roles_as_names_of_an_object(world):
    account = world.accounts["zitadel"]
    assert shown(account, **{ZITADEL: {"lakehouse-admins": {"1234": "acme.zitadel.cloud"}}})["x-sso-roles"] == ["account_admin"]
    for none in ({"member": {"1": "acme"}}, {"lakehouse-admins": {}}, {"lakehouse-admins": False}, {"1": {"lakehouse-admins": "x"}}):
        assert not shown(account, **{ZITADEL: none}).get("x-sso-roles", [""])[0], none
    account.idp.person["email_verified"] = False
    refused(account.callback(account.client())[0], "email_unverified")


@pytest.mark.parametrize("code, claims, granted", [
    ("shapes", {"groups": ["everyone", "lakehouse-admins"]}, True),
    ("shapes", {"groups": "lakehouse-admins"}, True),
    ("shapes", {"groups": [{"name": "lakehouse-admins", "id": 7}]}, True),
    ("shapes", {"groups": ["x", {"name": "lakehouse-admins"}, 1, None]}, True),
    ("shapes", {"groups": {"lakehouse-admins": True}}, True),
    ("shapes", {"groups": {"lakehouse-admins": ["acme"]}}, True),
    ("two-claims", {"realm_access": {"roles": ["lakehouse-admins"]}}, True),
    ("two-claims", {"resource_access": {"app": {"roles": ["lakehouse-admins"]}}}, True),
    ("two-claims", {"realm_access": {"roles": []}, "resource_access": {"app": {"roles": "lakehouse-admins"}}}, True),
    ("shapes", {"groups": "former lakehouse-admins"}, False),
    ("shapes", {"groups": "lakehouse-admins,everyone"}, False),
    ("shapes", {"groups": "lakehouse-admins everyone"}, False),
    ("shapes", {"groups": ["former lakehouse-admins", "Lakehouse-Admins", "lakehouse-admins "]}, False),
    ("shapes", {"groups": {"lakehouse-admins": False}}, False),
    ("shapes", {"groups": {"lakehouse-admins": None}}, False),
    ("shapes", {"groups": [{"value": "lakehouse-admins"}]}, False),
    ("shapes", {"groups": [["lakehouse-admins"]]}, False),
    ("shapes", {"groups": 7}, False), ("shapes", {"groups": None}, False), ("shapes", {"groups": []}, False),
    ("two-claims", {"realm_access": "lakehouse-admins", "roles": ["lakehouse-admins"]}, False),
    ("two-claims", {"resource_access": {"other": {"roles": ["lakehouse-admins"]}}}, False),
], ids=str)
def test_a_claim_of_roles_grants_what_it_names_and_nothing_else(world, code, claims, granted):
    account = world.accounts[code]
    account.idp.person = {name: value for name, value in account.idp.person.items() if name != "groups"} | claims
    ada, mark = account.signed_in(), world.app.mark()
    reply = ada.get(account.url("/admin/x"))
    if granted:
        assert reply.status == 200 and reply.seen()["x-sso-roles"] == ["account_admin"], reply
    else:
        refused(reply, "role_missing")
        world.app.nothing_since(mark)


@pytest.mark.parametrize("shape", ["a,lakehouse-admins", 7, [["lakehouse-admins"]], {"lakehouse-admins": False}], ids=str)
def test_a_shape_that_grants_nothing_is_a_line_without_values(world, shape):
    account = world.accounts["shapes"]
    known = len(world.envoy.events())
    shown(account, groups=shape)


    def lines():
        return [line for line in world.envoy.events()[known:] if line.get("account") == "shapes" and "groups" in str(line.get("reason", ""))]

    assert "lakehouse-admins" not in str(eventually(lines, 60, what="a line about the claim"))


def test_github_by_login_and_by_the_number_of_the_user(world):
    account = world.accounts["login"]
    person = {"login": "ada", "id": 583231, "sub": DROP, "email": DROP}
    assert shown(account, **person)["x-sso-user"] == ["ada"]
    assert account.idp.last("userinfo").headers["user-agent"].startswith("envoy-sso/")
    account.idp.person["id"] = 1.5
    refused(account.callback(account.client())[0], "idp_invalid_answer")


def address(email, primary=True, verified=True):
    return {"email": email, "primary": primary, "verified": verified, "visibility": "private"}


HIDDEN = {"login": "ada", "id": 583231, "sub": DROP, "email": None, "email_verified": DROP}


@pytest.mark.parametrize("hidden", [None, DROP], ids=["null", "absent"])
def test_a_private_address_is_the_one_that_is_primary_and_verified(world, hidden):
    account = world.accounts["emails"]
    account.idp.addresses = [address("old@acme.com", primary=False), address("ada@acme.com"), address("x@acme.com", False, False)]
    seen = shown(account, **HIDDEN | {"email": hidden})
    assert seen["x-sso-user"] == ["ada@acme.com"] and seen["x-sso-email"] == ["ada@acme.com"], seen
    asked = account.idp.last("emails")
    assert asked.method == "GET" and asked.headers["user-agent"].startswith("envoy-sso/")


@pytest.mark.parametrize("addresses", [
    [], [address("ada@acme.com", verified=False)], [address("ada@acme.com", primary=False)],
    [address("ada@acme.com"), address("eve@acme.com")], [address("ada@acme.com", primary="true")], [address(["ada@acme.com"])],
    ["ada@acme.com"], {"email": "ada@acme.com", "primary": True, "verified": True}, [address("")], None], ids=str)
def test_any_other_list_signs_in_as_no_one(world, addresses):
    account = world.accounts["emails"]
    account.idp.person = {name: value for name, value in (account.idp.person | HIDDEN).items() if value is not DROP}
    account.idp.addresses = addresses
    mark = world.app.mark()
    refused(account.callback(client := account.client())[0], "idp_invalid_answer", "identity_missing")
    world.app.nothing_since(mark)
    signed_out(client, account)


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 403}, {"status": 500}, {"drop": True}, {"body": b"<html>"}, {"delay": 20}],
                         ids=str)
def test_a_list_that_cannot_be_read_signs_in_as_no_one(world, fault):
    account = world.accounts["emails"]
    account.idp.addresses = [address("ada@acme.com")]
    account.idp.person = {name: value for name, value in (account.idp.person | HIDDEN).items() if value is not DROP}
    account.idp.fault("emails", **fault)
    refused(account.callback(client := account.client())[0], "idp_invalid_answer", "idp_unavailable", "idp_timeout")
    assert not session_cookies(client)
    account.idp.faults.clear()
    signed_in(account.signed_in(), account)


def test_a_public_address_is_not_asked_for_and_not_taken_for_verified(world):
    """GitHub does not say that the address on a profile is verified: `required` refuses it, and no list is read."""
    account = world.accounts["emails"]
    account.idp.addresses = [address("ada@acme.com")]
    account.idp.person = {"login": "eve", "id": 7, "email": "ada@acme.com"}
    asked = account.idp.count("emails")
    refused(account.callback(client := account.client())[0], "email_unverified")
    assert account.idp.count("emails") == asked
    signed_out(client, account)
