"""Requests and answers that are unlucky or odd: paths that trim to dots, apps that name themselves, tokens with controls."""

import pytest

from harness.expect import flow_cookies, refused, session_cookies, signed_in, signed_out
from harness.idp import DROP

DOTS = ["..%20", "%20..", "..%09", "..%a0", "..%c2%a0", "..%3fx", "..%23x", "..%00", "..;x", "..%3bx", "..%2520", "%2e%2e%20", ".%20", "..%0d"]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("unlucky", concurrency=1)
    world.account("acme", {"forward": {"access_token": "x-token"}})
    world.account("open", {"access": [{"prefix": "/static/", "allow": "anyone"}, {"prefix": "/api/", "allow": "programs"}]})
    world.account("second", {"forward": {"prefix": "x-who-", "headers": {"x-department": "/department"}, "id_token": "x-id-token"}})
    world.account("off", {"sso": "disabled"})
    world.start()
    return world


@pytest.fixture
def acme(world):
    yield world.accounts["acme"]
    world.accounts["acme"].idp.reset()


@pytest.mark.parametrize("prefix", ["/static/", "/api/"])
@pytest.mark.parametrize("dots", DOTS)
def test_a_segment_that_may_be_dots_opens_no_path(world, prefix, dots):
    account, mark = world.accounts["open"], world.app.mark()
    for target in (f"{prefix}{dots}/x", f"{prefix}{dots}"):
        reply = account.client().request("GET", account.url("/"), target=target)
        assert reply.status in (400, 401, 404), (target, reply)
    world.app.nothing_since(mark)
    for twin in (f"{prefix}x%20y", f"{prefix}a..b", f"{prefix}...x"):
        assert account.client().request("GET", account.url("/"), target=twin).status == 200, twin


@pytest.mark.parametrize("code", ["acme", "open", "off"])
def test_headers_of_another_accounts_are_no_clients_to_send(world, code):
    account = world.accounts[code]
    client = account.client() if code != "acme" else account.signed_in()
    path = {"acme": "/who", "open": "/api/x", "off": "/x"}[code]
    forged = {"x-who-user": "root", "X-Who-Roles": "account_admin", "x_who_user": "root", "x-department": "all", "x-id-token": "e30",
              "x-sso-user": "root", "x.sso.user": "root"}
    seen = client.get(account.url(path), headers=forged | {"x-mine": "stays"}).seen()
    found = {name: value for name, value in seen.items() if name.replace("_", "-").replace(".", "-") in map(str.lower, forged)}
    assert all("root" not in value and "all" not in value and "e30" not in value for value in found.values()), found
    assert seen["x-mine"] == ["stays"]


def test_single_sign_on_that_is_off_keeps_sealed_cookies_from_the_application(world, acme):
    sealed, off = session_cookies(acme.signed_in()), world.accounts["off"]
    sent = "; ".join([*(f"{name}={value}" for name, value in sealed.items()), "own=1"])
    for method in ("GET", "POST"):
        seen = off.client().request(method, off.url("/x"), headers={"cookie": sent}).seen()
        assert seen["cookie"] == ["own=1"], seen["cookie"]


@pytest.mark.parametrize("odd", ["a\rb", "a\nb", "a\0b", "a\x7fb", "é", ""], ids=ascii)
def test_an_access_token_with_controls_opens_no_session(world, acme, odd):
    acme.idp.change("token", access_token=odd)
    acme.idp.change("claims", at_hash=DROP)
    callback, _ = acme.callback(client := acme.client())
    refused(callback, "idp_invalid_answer")
    signed_out(client, acme)
    acme.idp.reset()
    signed_in(acme.signed_in(), acme)


@pytest.mark.parametrize("kind", [None, "bearer", "BEARER", DROP], ids=["null", "bearer", "BEARER", "left out"])
def test_a_token_of_a_type_that_may_be_bearer(acme, kind):
    acme.idp.change("token", token_type=kind)
    callback, _ = acme.callback(acme.client())
    assert callback.code == "redirect", callback


@pytest.mark.parametrize("kind", ["DPoP", "mac", 7, ["Bearer"]], ids=str)
def test_a_token_of_another_type(acme, kind):
    acme.idp.change("token", token_type=kind)
    refused(acme.callback(client := acme.client())[0], "idp_invalid_answer")
    signed_out(client, acme)


def test_forty_logins_given_up_leave_little_and_the_next_works(acme):
    client = acme.client()
    for number in range(40):
        client.browse(acme.url(f"/reports/{number}?q={'x' * 250}"))
    sent = sum(len(f"{name}={value}; ") for name, value in flow_cookies(client).items())
    assert 0 < sent < 8000, sent
    assert client.login(acme.url("/reports"))[-1].status == 200


def test_a_long_login_has_a_cookie_that_browsers_keep(acme):
    client, hint = acme.client(), '"' * 320
    start = client.browse(acme.url(f"/sso/login?return_to=/{'r' * 1980}&login_hint={hint.replace(chr(34), '%22')}"))
    assert all(len(cookie.name) + len(cookie.value) <= 4096 for cookie in start.set), start
    assert client.follow(start)[-1].status == 200 and session_cookies(client)


@pytest.mark.parametrize("target", ["/sso/logout", "/sso/%6cogout", "/sso//logout", "/sso/./logout", "/%73so/logout?x", "/sso/x/../logout", "/sso/login"])
def test_a_sign_in_does_not_come_back_to_an_endpoint(acme, target):
    client = acme.client()
    hops = client.follow(client.browse(acme.url("/sso/login?return_to=" + target.replace("%", "%25"))))
    assert hops[-1].status == 200 and session_cookies(client), hops
    signed_in(client, acme)


def test_an_app_that_names_itself_is_a_person_and_a_script_is_none(acme):
    page = {"accept": "text/html", "x-requested-with": "com.example.app"}
    assert acme.client().get(acme.url("/reports"), headers=page).status == 302
    refused(acme.client().get(acme.url("/reports"), headers=page | {"x-requested-with": "XMLHttpRequest"}), "login_required")
