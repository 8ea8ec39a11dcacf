"""The administrators' pages on a real Envoy."""

import pytest

from harness.expect import refused, session_cookies
from harness.idp import DROP

USERS = [
    {"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
    {"username": "bob", "email": "bob@acme.com"},
    {"username": "cyd", "email": "cyd@acme.com", "active": False},
    {"username": "dan", "email": "shared@acme.com"},
    {"username": "eve", "email": "Shared@acme.com"},
    {"username": "<b>fay</b>"},
]
BOB = {"sub": "bob", "email": "bob@acme.com", "email_verified": True, "groups": []}
REPORTS = ["", "/", "/check", "/completeness", "/readiness"]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("admin", concurrency=1, session={"recheck": "0s"})
    admins = {"password": {"mode": "disabled", "admin_roles": ["account_admin"]}, "mapping": {"roles_claim": None}}
    for code in ("acme", "broken"):
        world.account(code, admins | {"directory": {"static": {"users": USERS}}})
    world.account("large", admins)
    world.directory("large")
    return world.start()


@pytest.fixture
def acme(world):
    account = world.accounts["acme"]
    account.idp.reset()
    return account


def forbidden(reply):
    """Refused for want of the role; the session goes on, checked again, so its cookie may come anew."""
    assert reply.status == 403 and reply.code == "role_missing", reply
    assert "completeness" not in reply.text and "no-store" in reply.get("cache-control")


def admin(account, path=""):
    return account.url("/sso/admin" + path)


def test_only_administrators_see_them(world, acme):
    ada = acme.signed_in()
    acme.idp.person = BOB
    bob = acme.signed_in()
    mark = world.app.mark()
    for path in REPORTS:
        forbidden(bob.get(admin(acme, path)))
        refused(acme.client().get(admin(acme, path)), "login_required")
        assert ada.get(admin(acme, path)).status == 200
        refused(ada.post(admin(acme, path), body={"a": "b"}), "method_not_allowed")
    unknown = ada.get(admin(acme, "/secrets"))
    assert unknown.status == 404 and unknown.code == "request_invalid", unknown
    forbidden(bob.get(admin(acme, "/secrets")))
    world.app.nothing_since(mark)


def test_a_navigation_signs_in_and_comes_back(acme):
    client = acme.client()
    hops = client.login(admin(acme, "/readiness"))
    assert hops[-1].url == admin(acme, "/readiness") and hops[-1].status == 200, hops
    assert session_cookies(client)


def test_completeness_and_readiness_have_the_specified_shapes(acme):
    client = acme.signed_in()
    assert client.get(admin(acme, "/completeness")).json() == {"users": 6, "complete": 3, "notices": [], "problems": [
        {"username": "<b>fay</b>", "problem": "missing", "value": None, "with": []},
        {"username": "dan", "problem": "shared", "value": "shared@acme.com", "with": ["eve"]},
        {"username": "eve", "problem": "shared", "value": "shared@acme.com", "with": ["dan"]},
    ]}
    report = client.get(admin(acme, "/readiness")).json()
    assert report.keys() == {"ready", "reasons", "never_signed_in", "administrators_signed_in"}
    assert report["ready"] is False and report["reasons"]
    assert report["administrators_signed_in"] == ["ada"]
    assert {"dan", "eve", "<b>fay</b>"} <= set(report["never_signed_in"]) and "cyd" not in report["never_signed_in"]


def checks(client, account):
    report = client.get(admin(account, "/check")).json()
    assert report.keys() == {"ok", "checks"} and all(c.keys() == {"name", "ok", "detail"} for c in report["checks"])
    assert report["ok"] is all(check["ok"] for check in report["checks"])
    return report["ok"], {check["name"]: check for check in report["checks"]}, report


def test_the_check_asks_the_provider_through_its_cluster(world, acme):
    client = acme.signed_in()
    before = {name: acme.idp.count(name) for name in ("discovery", "jwks", "token", "userinfo")}
    ok, by_name, report = checks(client, acme)
    assert ok, report
    assert {name: acme.idp.count(name) - n for name, n in before.items()} == dict.fromkeys(before, 1)
    assert "RS256" in by_name["corp: keys"]["detail"]
    details = [check["detail"] for check in report["checks"]]
    registered = ("/sso/oidc/consume?u=acme", "/sso/logout-complete", "/sso/backchannel-logout?u=acme",
                  "/sso/frontchannel-logout?u=acme")
    for uri in registered:
        assert acme.url(uri) in details, report
        # Nothing is to be registered that does not answer.
        assert acme.client().get(acme.url(uri)).code not in ("not_ready", None), uri
    text = str(report)
    assert not [secret for secret in world.environment.values() if secret in text]


@pytest.mark.parametrize("spoil, name", [
    (lambda idp: idp.change("discovery", issuer="https://evil.test"), "corp: issuer and endpoints"),
    (lambda idp: idp.change("discovery", token_endpoint=DROP), "corp: issuer and endpoints"),
    (lambda idp: idp.change("discovery", token_endpoint=f"http://{idp.host}/token"), "corp: TLS"),
    (lambda idp: idp.change("discovery", id_token_signing_alg_values_supported=["ES256"]), "corp: algorithms"),
    (lambda idp: idp.fault("discovery", status=500), "corp: discovery"),
    (lambda idp: idp.fault("discovery", body=b"<html>", headers={"content-type": "text/html"}), "corp: discovery"),
    (lambda idp: idp.fault("jwks", drop=True), "corp: keys"),
    (lambda idp: idp.fault("token", drop=True), "corp: token endpoint"),
])
def test_the_check_says_what_is_wrong_and_sign_ins_go_on(world, spoil, name):
    account = world.accounts["broken"]
    account.idp.reset()
    client = account.signed_in()
    assert checks(client, account)[0]
    spoil(account.idp)
    ok, by_name, report = checks(client, account)
    assert not ok and not by_name[name]["ok"], report
    account.idp.faults.clear()
    account.signed_in()


def test_the_overview_is_for_people(acme):
    page = acme.signed_in().browse(admin(acme))
    assert page.status == 200 and "html" in page.get("content-type") and page.code == "admin", page
    assert "default-src 'none'" in page.get("content-security-policy")
    assert "3 of 6 users" in page.text and acme.url("/sso/oidc/consume?u=acme") in page.text
    assert "&lt;b&gt;fay" in page.text and "<b>fay" not in page.text


def test_a_directory_of_thousands_page_by_page(world):
    account = world.accounts["large"]
    directory = world.scim.directory("large.scim.test")
    directory.add("ada", email="ada@acme.com", roles=["account_admin"])
    for i in range(3000):
        directory.add(f"user-{i}", email=f"user-{i}@acme.com")
    client = account.signed_in()
    before = directory.count()
    report = client.get(admin(account, "/completeness")).json()
    assert report == {"users": 3001, "complete": 3001, "problems": [], "notices": []}
    assert directory.count() - before <= 3001 / directory.page + 2, "pages, and the recheck"
    directory.users[7]["emails"] = directory.users[8]["emails"]
    report = client.get(admin(account, "/completeness")).json()
    assert [(p["username"], p["with"]) for p in report["problems"]] == [("user-6", ["user-7"]), ("user-7", ["user-6"])]
    page = client.browse(admin(account))
    assert "2999 of 3001 users" in page.text and "Showing 200 of" in page.text


def test_who_is_demoted_sees_nothing_more(world):
    account = world.accounts["large"]
    directory = world.scim.directory("large.scim.test")
    directory.reset().add("ada", email="ada@acme.com", roles=["account_admin"])
    client = account.signed_in()
    assert client.get(admin(account, "/readiness")).json()["ready"] is True
    directory.users[0]["roles"] = []
    forbidden(client.get(admin(account, "/readiness")))
    directory.users[0]["roles"] = [{"value": "account_admin"}]
    assert client.get(admin(account, "/readiness")).status == 200


def test_a_directory_that_is_down(world):
    account = world.accounts["large"]
    directory = world.scim.directory("large.scim.test")
    directory.reset().add("ada", email="ada@acme.com", roles=["account_admin"])
    client = account.signed_in()
    directory.fault("GET", status=500)
    refused(client.get(admin(account, "/completeness")), "directory_unavailable")
    ok, by_name, _ = checks(client, account)
    assert not ok and not by_name["directory"]["ok"]
    assert client.browse(admin(account)).status == 200
