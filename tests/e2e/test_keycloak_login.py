"""Signing in with Keycloak as its makers distribute it: roles and groups, renewal, new keys, and its own errors."""

import concurrent.futures
import json
import threading
import time
import urllib.parse

import pytest

from harness import jose
from harness.expect import refused, session_cookies, signed_out
from harness.files import Files
from harness.keycloak import PASSWORDS, asks_for, submit
from harness.keycloak_setting import SECRET, Setting
from harness.net import Never, eventually

FORWARD = {"headers": {"x-sid": "sid", "x-auth-time": "auth_time"}}
CONSENT = {"consentRequired": True}


@pytest.fixture(scope="module")
def setting(make_world):
    files = Files("keycloak-secret")
    files.write("secret", SECRET)
    world = make_world("keycloak-login", concurrency=2, cookies={"secure": False}, session={"recheck": "1s"}, listeners=[files.listener("secret")])
    setting = Setting(world, "login", {
        "acme": {"forward": FORWARD}, "other": {}, "asking": {},
        "filed": {"oidc": {"client_secret": {"url": "http://files.internal/secret"}}}}, {"asking": CONSENT})
    world.clusters["files"] = files.port
    world.cluster_table["files.internal"] = "files"
    world.start()
    setting.files = files
    return setting


def test_nested_roles_of_realm_client_and_groups_arrive(setting):
    browser, seen = setting.sign_in()
    assert seen["x-sso-user"] == ["ada@acme.com"] and seen["x-sso-name"] == ["Ada Lovelace"]
    # app-admin is of a group two levels down; it contains editor, which contains reader, and publish, which contains view.
    assert set(seen["x-sso-roles"][0].split(",")) == {"account_admin", "publisher", "viewer", "reader", "platform"}
    _, seen = setting.sign_in(name="bob")
    assert seen["x-sso-roles"] == ["reader"]
    # The user has a session there: another application's login is silent.
    hops = browser.login(setting.account("other").url("/silent"))
    assert hops[-1].url == setting.account("other").url("/silent") and hops[-1].status == 200, hops


def used_until(setting, browser, done, what: str, code: str = "acme") -> None:
    """Uses the session until `done`; it must pass every time."""
    def step():
        reply = browser.get(setting.account(code).url("/who"))
        if reply.status != 200:
            raise Never(reply, setting.refusals())
        return done()
    eventually(step, 60, every=0.2, what=what)


def renewed(setting, browser, times: int = 1) -> None:
    before, refused_before = setting.renewals(), setting.renewals("refused")
    used_until(setting, browser, lambda: setting.renewals() >= before + times, "a renewal")
    assert setting.renewals("refused") == refused_before, setting.refusals()


def test_a_session_is_renewed_with_tokens_that_are_good_once(setting):
    """Revoke Refresh Token, with no reuse: Keycloak ends a session whose refresh token comes twice."""
    browser, _ = setting.sign_in()
    renewed(setting, browser, 3)
    # Many requests that arrive together renew once.
    cookie = "; ".join(f"{name}={value}" for name, value in session_cookies(browser).items())
    before = setting.renewals()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        while setting.renewals() == before:
            statuses = list(pool.map(lambda _: setting.browser().get(
                setting.account().url("/who"), headers={"cookie": cookie}).status, range(16)))
            assert statuses == [200] * 16, (statuses, setting.refusals())


def test_a_role_that_is_taken_away_is_gone_at_the_next_renewal(setting):
    browser, seen = setting.sign_in(name="bob")
    assert seen["x-sso-roles"] == ["reader"]
    user, group = setting.realm.user("bob")["id"], setting.realm.api("GET", "/groups?search=staff&exact=true")[0]["id"]
    setting.realm.api("DELETE", f"/users/{user}/groups/{group}")
    try:
        def roles():
            reply = browser.get(setting.account().url("/who"))
            assert reply.status == 200, reply
            return reply.seen().get("x-sso-roles", [""])
        eventually(lambda: roles() == [""], 60, every=0.2, what="the role's end")
    finally:
        setting.realm.api("PUT", f"/users/{user}/groups/{group}")


@pytest.mark.parametrize("how", ["the administrator ends it", "the user is disabled"])
def test_what_ends_at_keycloak_ends_here_at_the_next_renewal(setting, how):
    browser, _ = setting.sign_in(name="bob")
    user = setting.realm.user("bob")
    if how == "the user is disabled":
        setting.realm.api("PUT", f"/users/{user['id']}", user | {"enabled": False})
    else:
        setting.realm.api("POST", f"/users/{user['id']}/logout")
    try:
        eventually(lambda: browser.get(setting.account().url("/who")).code == "session_expired", 60, every=0.2, what="the end")
        signed_out(browser, setting.account())
        hops = browser.login(setting.account().url("/reports"))
        assert asks_for(hops[-1], "password"), hops
        hops += browser.follow(submit(browser, hops[-1], username="bob", password=PASSWORDS["bob"]))
        if how == "the user is disabled":
            assert "Account is disabled" in hops[-1].text and not session_cookies(browser), hops
        else:
            assert hops[-1].url == setting.account().url("/reports") and hops[-1].status == 200, hops
    finally:
        setting.realm.api("PUT", f"/users/{user['id']}", user | {"enabled": True})


def authorize(setting, code: str, **more) -> str:
    """The authorization endpoint, as another application of the realm would use it."""
    account = setting.account(code)
    query = {"client_id": code, "response_type": "code", "scope": "openid", "state": "theirs",
             "redirect_uri": account.url(f"/sso/oidc/consume?u={code}")} | more
    return f"{setting.realm.protocol}/auth?{urllib.parse.urlencode(query)}"


def test_a_sign_in_again_at_another_application_does_not_end_our_session(setting):
    browser, seen = setting.sign_in()
    [sid], [first] = seen["x-sid"], seen["x-auth-time"]
    eventually(lambda: int(time.time()) > int(first) + 1, what="another second")
    page = browser.browse(authorize(setting, "other", prompt="login"))
    assert asks_for(page, "password"), page
    back = submit(browser, page, username="ada", password=PASSWORDS["ada"])
    assert "code=" in back.location, back
    tokens = browser.post(f"{setting.realm.protocol}/token", body={
        "grant_type": "authorization_code", "code": back.query()["code"], "client_id": "other", "client_secret": SECRET,
        "redirect_uri": setting.account("other").url("/sso/oidc/consume?u=other")}).json()
    claims = json.loads(jose.b64u_decode(tokens["id_token"].split(".")[1]))
    assert claims["sid"] == sid and claims["auth_time"] > int(first), (claims, sid, first)
    renewed(setting, browser, 2)
    assert browser.get(setting.account().url("/who")).seen()["x-sid"] == [sid]


def test_logins_go_on_while_the_realm_gets_a_new_key(setting):
    """Three browsers sign in without a pause. Meanwhile a new key begins to sign, and the old one is withdrawn."""
    over, problems, logins = threading.Event(), [], []

    def keep_signing_in():
        while not over.is_set():
            try:
                logins.append(setting.sign_in())
            except BaseException as failed:
                problems.append(repr(failed))
                return

    def kids():
        return {key["kid"] for key in setting.browser().get(f"{setting.realm.protocol}/certs").json()["keys"] if key["use"] == "sig"}

    def more_logins(count: int = 6):
        goal = len(logins) + count
        eventually(lambda: problems or len(logins) >= goal, 120, what="logins")

    threads = [threading.Thread(target=keep_signing_in, daemon=True) for _ in range(3)]
    [thread.start() for thread in threads]
    try:
        more_logins()
        before = kids()
        provider = {"providerType": "org.keycloak.keys.KeyProvider", "parentId": setting.realm.api("GET")["id"]}
        old = [one for one in setting.realm.api("GET", "/components?type=org.keycloak.keys.KeyProvider")
               if one["providerId"] == "rsa-generated"]
        setting.realm.api("POST", "/components", provider | {"name": "new", "providerId": "rsa-generated", "config": {
            "priority": ["1000"], "enabled": ["true"], "active": ["true"], "keySize": ["2048"], "algorithm": ["RS256"]}})
        more_logins()
        for one in old:
            setting.realm.api("PUT", f"/components/{one['id']}", one | {"config": one["config"] | {"enabled": ["false"]}})
        assert not kids() & before, "the old keys are withdrawn"
        more_logins()
    finally:
        over.set()
        [thread.join(120) for thread in threads]
    assert not problems, (problems, setting.refusals())
    # Sessions from before the change go on, and are renewed.
    renewed(setting, logins[0][0])


def test_a_secret_that_changes_at_keycloak_and_in_its_file_is_read_at_the_first_refusal(setting):
    """Keycloak answers `unauthorized_client` to the old one, where RFC 6749 section 5.2 has `invalid_client`."""
    setting.sign_in("filed")
    at, text = f"/clients/{setting.realm.client_id('filed')}", "another secret"
    setting.files.write("secret", text)
    setting.files.arrived("secret", text)
    setting.realm.api("PUT", at, setting.realm.api("GET", at) | {"secret": text})
    for _ in range(4):  # both workers
        setting.sign_in("filed")
    assert not [event for event in setting.world.envoy.events() if event.get("account") == "filed" and event.get("code") == "idp_invalid_answer"]


def test_a_wrong_password_stays_at_keycloak(setting):
    browser = setting.browser()
    hops = setting.realm.sign_in(browser, browser.browse(setting.account().url("/reports")), password="wrong")
    assert hops[-1].url.startswith(setting.realm.url) and "Invalid username or password" in hops[-1].text, hops
    signed_out(browser, setting.account())
    hops = browser.follow(submit(browser, hops[-1], username="ada", password=PASSWORDS["ada"]))
    assert hops[-1].url == setting.account().url("/reports") and hops[-1].status == 200, hops


def test_a_user_who_does_not_consent_is_told_so(setting):
    account, browser = setting.account("asking"), setting.browser()
    page = setting.realm.sign_in(browser, browser.browse(account.url("/reports")))[-1]
    assert "Grant Access" in page.text, page
    mark = setting.world.app.mark()
    refused(browser.follow(submit(browser, page, cancel="No"))[-1], "idp_denied")
    setting.world.app.nothing_since(mark)
    page = setting.realm.sign_in(browser, browser.browse(account.url("/reports")))[-1]
    hops = browser.follow(submit(browser, page, accept="Yes"))
    assert hops[-1].url == account.url("/reports") and hops[-1].status == 200, hops


@pytest.fixture
def patience(setting):
    """How long Keycloak remembers a login that is not finished."""
    def change(seconds: int, wait: int = 0):
        setting.realm.change(accessCodeLifespanLogin=seconds, accessCodeLifespanUserAction=seconds, accessCodeLifespan=seconds)
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + wait, what="the end of Keycloak's patience")
    yield change
    change(1800)


def test_a_login_that_took_too_long_starts_over_at_keycloak(setting, patience):
    account, browser = setting.account(), setting.browser()
    page = browser.login(account.url("/reports"))[-1]
    patience(1, wait=3)
    page = browser.follow(submit(browser, page, username="ada", password=PASSWORDS["ada"]))[-1]
    assert "timed out" in page.text and not session_cookies(browser), page
    patience(1800)
    hops = browser.follow(submit(browser, page, username="ada", password=PASSWORDS["ada"]))
    assert hops[-1].url == account.url("/reports") and hops[-1].status == 200, hops


def test_a_tab_that_waited_too_long_goes_on_once_another_tab_has_signed_in(setting, patience):
    """Keycloak answers the first tab with `temporarily_unavailable` and `authentication_expired`."""
    account, browser = setting.account(), setting.browser()
    patience(1)
    page = browser.login(account.url("/first"))[-1]
    patience(1, wait=5)
    patience(1800)
    setting.sign_in("other", browser, "/second")
    hops = browser.follow(submit(browser, page, username="ada", password=PASSWORDS["ada"]))
    assert "error_description=authentication_expired" in hops[0].location, hops
    assert hops[-1].url == account.url("/first") and hops[-1].status == 200, (hops, setting.refusals())
