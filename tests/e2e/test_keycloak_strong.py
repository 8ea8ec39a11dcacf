"""Keycloak and stronger ways in: step-up by `acr`, pushed requests, tokens bound to a key, programs and their tokens."""

import json
import os
import subprocess
import time
import urllib.parse

import pytest

from harness import jose
from harness.expect import refused, signed_in, signed_out
from harness.keycloak import PASSWORDS, asks_for, submit
from harness.keycloak_setting import Setting
from harness.net import PROJECT, Never, eventually

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
AUDIENCE = "reports-api"


def audience(lightweight: bool = False) -> dict:
    """The audience mapper that docs/programs.md asks for."""
    return {"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper", "config": {
        "included.custom.audience": AUDIENCE, "access.token.claim": "true", "id.token.claim": "false",
        "introspection.token.claim": "true", "lightweight.claim": str(lightweight).lower()}}


PROGRAMS = [
    {"clientId": "cli", "enabled": True, "publicClient": True, "standardFlowEnabled": True, "directAccessGrantsEnabled": True,
     "redirectUris": ["http://127.0.0.1/callback"], "attributes": {"oauth2.device.authorization.grant.enabled": "true"},
     "protocolMappers": [audience()]},
    {"clientId": "light", "enabled": True, "publicClient": True, "directAccessGrantsEnabled": True,
     "attributes": {"client.use.lightweight.access.token.enabled": "true"}, "protocolMappers": [audience(True)]},
]


@pytest.fixture(scope="module")
def setting(make_world):
    world = make_world("keycloak-strong", concurrency=2, cookies={"secure": False}, session={"recheck": "1s"})
    setting = Setting(world, "strong", {
        "acme": {"access": [{"prefix": "/strong/", "allow": "users", "acr_values": ["gold"]},
                            {"prefix": "/unknown/", "allow": "users", "acr_values": ["platinum"]},
                            {"prefix": "/fresh/", "allow": "users", "max_age": "1h"}],
                 "forward": {"headers": {"x-auth-time": "auth_time"}}},
        "pushed": {}, "bound": {"oidc": {"dpop": True}},
        "programs": {"bearer": {"audiences": [AUDIENCE]}, "access": [
            {"prefix": "/api/", "allow": "users", "resource": {"name": "Reports", "scopes": ["email"], "client_id": "cli"}}]},
        "asked": {"oidc": {"introspection": True}, "bearer": {"audiences": [AUDIENCE]}},
    }, {"pushed": {"attributes": {"require.pushed.authorization.requests": "true"}},
        "bound": {"attributes": {"dpop.bound.access.tokens": "true"}}}, PROGRAMS,
        attributes={"acr.loa.map": json.dumps({"silver": 1, "gold": 2})})
    pushed = setting.account("pushed").config["identity_providers"][0]["oidc"]
    pushed["pushed_authorization_request_endpoint"] = f"{setting.realm.protocol}/ext/par/request"
    two_levels(setting.realm)
    world.start()
    return setting


def two_levels(realm) -> None:
    """A browser flow with two levels of authentication: name and password, and the password once more for the second."""
    flows = "/authentication/flows"
    realm.api("POST", flows, {"alias": "levels", "providerId": "basic-flow", "topLevel": True, "builtIn": False})

    def add(flow: str, kind: str, what: str, requirement: str):
        document = {"provider": what} if kind == "execution" else {"alias": what, "type": "basic-flow", "provider": "x"}
        realm.api("POST", f"{flows}/{flow}/executions/{kind}", document)
        one = [one for one in realm.api("GET", f"{flows}/{flow}/executions")
               if one.get("providerId") == what or one["displayName"] == what][-1]
        realm.api("PUT", f"{flows}/{flow}/executions", one | {"requirement": requirement})
        return one["id"]

    add("levels", "execution", "auth-cookie", "ALTERNATIVE")
    add("levels", "flow", "level-forms", "ALTERNATIVE")
    for level, authenticator in ((1, "auth-username-password-form"), (2, "auth-password-form")):
        add("level-forms", "flow", f"level{level}", "CONDITIONAL")
        condition = add(f"level{level}", "execution", "conditional-level-of-authentication", "REQUIRED")
        realm.api("POST", f"/authentication/executions/{condition}/config", {"alias": f"level {level}", "config": {
            "loa-condition-level": str(level), "loa-max-age": "36000"}})
        add(f"level{level}", "execution", authenticator, "REQUIRED")
    realm.change(browserFlow="levels")


def test_a_path_that_asks_for_more_takes_the_user_to_the_second_level(setting):
    account = setting.account()
    browser, _ = setting.sign_in()
    mark = setting.world.app.mark()
    page = browser.follow(browser.browse(account.url("/strong/x")))[-1]
    assert asks_for(page, "password") and not asks_for(page, "username"), page
    setting.world.app.nothing_since(mark)
    refused(browser.get(account.url("/strong/x")), "login_required")
    signed_in(browser, account)
    hops = browser.follow(submit(browser, page, password=PASSWORDS["ada"]))
    assert hops[-1].url == account.url("/strong/x") and hops[-1].status == 200, (hops, setting.refusals())
    # It still holds after renewals, whose ID tokens have an acr of their own.
    before = setting.renewals()

    def renewed():
        if (reply := browser.get(account.url("/strong/x"))).status != 200:
            raise Never(reply, setting.refusals())
        return setting.renewals() >= before + 2

    eventually(renewed, 60, every=0.2, what="renewals")


def test_a_level_that_keycloak_does_not_know_is_refused_and_not_asked_for_for_ever(setting):
    account = setting.account()
    browser, _ = setting.sign_in()
    mark = setting.world.app.mark()
    hops = browser.follow(browser.browse(account.url("/unknown/x")))
    if asks_for(hops[-1], "password"):
        hops += browser.follow(submit(browser, hops[-1], password=PASSWORDS["ada"]))
    refused(hops[-1], "idp_denied")
    setting.world.app.nothing_since(mark)


def test_a_login_that_must_be_fresh_asks_for_the_password_again(setting):
    account = setting.account()
    browser, seen = setting.sign_in()
    [first] = seen["x-auth-time"]
    eventually(lambda: int(time.time()) > int(first) + 2, what="two seconds")
    page = browser.follow(browser.browse(account.url("/sso/login?max_age=1&return_to=/fresh/x")))[-1]
    assert asks_for(page, "password"), page
    hops = browser.follow(submit(browser, page, username="ada", password=PASSWORDS["ada"]))
    assert hops[-1].url == account.url("/fresh/x") and hops[-1].status == 200, (hops, setting.refusals())
    assert int(hops[-1].seen()["x-auth-time"][0]) > int(first)


def test_a_client_of_pushed_requests_alone(setting):
    account, browser = setting.account("pushed"), setting.browser()
    start = browser.browse(account.url("/reports"))
    assert set(start.query()) == {"client_id", "request_uri"}, start
    setting.sign_in("pushed", browser)
    query = {"client_id": "pushed", "response_type": "code", "scope": "openid", "redirect_uri": account.url("/sso/oidc/consume?u=pushed")}
    plain = setting.browser().browse(f"{setting.realm.protocol}/auth?{urllib.parse.urlencode(query)}")
    assert plain.status != 200 and "error=" in (plain.location or "error="), plain


def claims_of(token: str) -> dict:
    return json.loads(jose.b64u_decode(token.split(".")[1]))


def test_tokens_that_are_bound_to_a_key_at_login_and_renewal(setting):
    browser, _ = setting.sign_in("bound")
    before = setting.renewals()

    def renewed():
        signed_in(browser, setting.account("bound"))
        return setting.renewals() >= before + 2

    eventually(renewed, 60, every=0.2, what="renewals with a proof")


# Programs.

@pytest.fixture(scope="module")
def program():
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "envoy-sso"], cwd=PROJECT, check=True)
    return os.path.join(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"), "debug", "envoy-sso")


def test_the_device_flow_of_the_command_line(setting, program, tmp_path):
    from test_login_command import Login
    account = setting.account("programs")
    url = f"http://127.0.0.1:{setting.world.port}/api/tables"
    login = Login(program, tmp_path, url, "--client-id", "cli")
    browser = setting.browser()
    hops = setting.realm.sign_in(browser, browser.browse(login.line(r"or open (\S+)")))
    page = hops[-1]
    assert "Grant Access" in page.text, page
    done = browser.follow(submit(browser, page, accept="Yes"))[-1]
    assert "Device Login Successful" in done.text, done
    said, problems = login.end()
    assert login.process.returncode == 0, problems
    reply = browser.get(account.url("/api/tables"), headers={"authorization": f"Bearer {said.strip()}"}, cookies=False)
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], (reply, setting.refusals())


def test_a_user_who_denies_a_device_gets_no_token(setting, program, tmp_path):
    from test_login_command import Login
    login = Login(program, tmp_path, f"http://127.0.0.1:{setting.world.port}/api/tables", "--client-id", "cli")
    browser = setting.browser()
    page = setting.realm.sign_in(browser, browser.browse(login.line(r"or open (\S+)")))[-1]
    browser.follow(submit(browser, page, cancel="No"))
    said, problems = login.end()
    assert login.process.returncode != 0 and not said and "denied" in problems, (said, problems)


def token_of(setting, client: str, **more) -> str:
    reply = setting.browser().post(f"{setting.realm.protocol}/token", body={
        "grant_type": "password", "client_id": client, "username": "ada", "password": PASSWORDS["ada"], "scope": "openid email"} | more)
    assert reply.status == 200, reply
    return reply.json()["access_token"]


def ask(setting, code: str, token: str, path: str = "/who"):
    return setting.browser().get(setting.account(code).url(path), headers={"authorization": f"Bearer {token}"}, cookies=False)


@pytest.mark.parametrize("code", ["programs", "asked"])
def test_an_access_token_with_an_audience_mapper_is_the_same_user(setting, code):
    token = token_of(setting, "cli")
    assert AUDIENCE in claims_of(token)["aud"], claims_of(token)
    reply = ask(setting, code, token)
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], (reply, setting.refusals())
    for wrong in ("opaque-and-made-up", token[:-8] + "AAAAAAAA"):
        refused(ask(setting, code, wrong), "token_invalid")
    if code == "asked":
        calls = setting.world.envoy.stats(r"sso_calls\..*introspection.*2xx")
        assert sum(calls.values()) >= 1, "Keycloak was asked about the token that is not a JWT"


def test_a_lightweight_access_token_needs_mappers_for_subject_and_address(setting):
    """It has neither `sub` nor `email` by itself, and Keycloak's UserInfo endpoint does not take it."""
    def map_into_it(kind: str, **config):
        at = f"/clients/{setting.realm.client_id('light')}/protocol-mappers/models"
        setting.realm.api("POST", at, {
            "name": kind, "protocol": "openid-connect", "protocolMapper": f"oidc-{kind}-mapper",
            "config": {"access.token.claim": "true", "introspection.token.claim": "true", "lightweight.claim": "true"} | config})

    def answer():
        return ask(setting, "programs", token_of(setting, "light"))

    refused(answer(), "token_invalid")
    assert "sub is missing" in setting.refusals()[-1]["reason"]
    map_into_it("sub")
    refused(answer(), "identity_missing")
    map_into_it("usermodel-attribute", **{"user.attribute": "email", "claim.name": "email", "jsonType.label": "String"})
    reply = answer()
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], (reply, setting.refusals())
