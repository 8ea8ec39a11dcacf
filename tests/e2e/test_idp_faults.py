"""A provider that is down, slow or broken, at each of its endpoints: a coded answer within the timeout, and
nobody who is signed in notices."""

import socket
import threading
import time

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.net import eventually

HUGE = b'{"x": "' + b"x" * (10 << 20) + b'"}'
BROKEN = {
    "4xx": dict(status=404, body=b"{}"),
    "400": dict(status=400, body=b'{"error": "invalid_request"}'),
    "5xx": dict(status=500, body=b"oops"),
    "503": dict(status=503, body=b"", headers={"retry-after": "10"}),
    "html": dict(status=200, body=b"<html><title>Wi-Fi login</title></html>", headers={"content-type": "text/html"}),
    "empty": dict(status=200, body=b"\n"),
    "not json": dict(status=200, body=b"{\"access_token\": "),
    "a list": dict(status=200, body=b"[]"),
    "deep": dict(status=200, body=b"[" * 100000 + b"]" * 100000),
    "truncated": dict(truncate=True),
    "huge": dict(status=200, body=HUGE),
    "not utf-8": dict(status=200, body=b'{"access_token": "\xff\xfe", "id_token": "\xff"}'),
    "redirect": dict(status=302, body=b"", headers={"location": "https://evil.idp.test/token"}),
    "dropped": dict(drop=True),
    "slow": dict(delay=30),
}
UNREACHABLE = {"truncated", "dropped"}
ENDPOINTS = ["token", "userinfo"]
FETCHED_AHEAD = ["discovery", "jwks"]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("faults")
    for endpoint in ENDPOINTS:
        world.account(endpoint, {"mapping": {"from": "userinfo"}} if endpoint == "userinfo" else {})
    for endpoint in FETCHED_AHEAD:
        for number, fault in enumerate(BROKEN.values()):
            account = world.account(f"{endpoint}-{number}")
            account.idp.fault(endpoint, **fault)
    world.account("steady")
    nowhere = world.account("nowhere")
    nowhere.config["identity_providers"][0]["oidc"]["timeout"] = "1s"
    world.cluster_table = {"*": "idp", "nowhere.idp.test": "dead"}
    world.start()
    return world


@pytest.fixture(scope="module")
def steady(world):
    """Somebody who signed in before anything broke."""
    return world.accounts["steady"].signed_in()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("what", BROKEN)
def test_an_endpoint_asked_during_a_login(world, steady, endpoint, what):
    account = world.accounts[endpoint]
    account.idp.reset()
    client = account.signed_in()
    account.idp.fault(endpoint, **BROKEN[what])
    mark = world.app.mark()
    newcomer = account.client()
    begun = time.monotonic()
    callback, _ = account.callback(newcomer)
    took = time.monotonic() - begun
    if what == "slow":
        refused(callback, "idp_timeout")
        assert took < 20, f"the timeout is 2 s; this took {took:.1f} s"
    elif what in UNREACHABLE:
        refused(callback, "idp_unavailable", "idp_invalid_answer")
    elif what in ("5xx", "503"):
        refused(callback, "idp_unavailable", "idp_invalid_answer")
    else:
        refused(callback, "idp_invalid_answer", *(["idp_denied"] if what in ("4xx", "400") else []))
    assert session_cookies(newcomer) == {}
    signed_out(newcomer, account)
    world.app.nothing_since(mark)
    # Whoever is signed in goes on, here and elsewhere, and so does everybody once it is whole again.
    signed_in(client, account)
    signed_in(steady, world.accounts["steady"])
    account.idp.faults.clear()
    signed_in(account.signed_in(), account)


@pytest.mark.parametrize("endpoint", FETCHED_AHEAD)
@pytest.mark.parametrize("number", range(len(BROKEN)), ids=list(BROKEN))
def test_a_document_fetched_ahead(world, steady, endpoint, number):
    account = world.accounts[f"{endpoint}-{number}"]
    mark = world.app.mark()
    newcomer = account.client()
    hops = newcomer.login(account.url("/reports?q=1"))
    refused(hops[-1], "idp_unavailable", "idp_invalid_answer", "idp_timeout", "not_ready", "id_token_invalid")
    world.app.nothing_since(mark)
    signed_in(steady, world.accounts["steady"])
    # It is fetched again by itself.
    account.idp.faults.clear()

    def whole():
        hops = account.client().login(account.url("/reports?q=1"))
        return hops[-1].status == 200 and hops[-1].code is None

    eventually(whole, 90, every=0.5, what="recovery without a restart")


def test_a_provider_nobody_listens_for(world, steady):
    account = world.accounts["nowhere"]
    refused(account.client().browse(account.url("/reports")), "idp_unavailable")
    refused(account.client().get(account.url("/reports")), "login_required")
    signed_in(steady, world.accounts["steady"])


def test_the_whole_provider_goes_down_and_comes_back(world, steady):
    account = world.accounts["steady"]
    half = account.client()
    start = half.browse(account.url("/reports?q=1"))
    at_idp = half.browse(start.location)
    world.idps.down()
    try:
        for _ in range(10):
            signed_in(steady, account)
        refused(half.browse(at_idp.location), "idp_unavailable")
    finally:
        world.idps.up()
    signed_in(account.signed_in(), account)


def test_an_answer_to_a_browser_that_left_harms_nobody(world, steady):
    account = world.accounts["token"]
    account.idp.reset()
    account.idp.fault("token", delay=1)
    threads = []
    for _ in range(10):
        client = account.client()
        url = client.browse(client.browse(account.url("/x")).location).location

        def leave(client=client, url=url):
            cookies = "; ".join(f"{c.name}={c.value}" for c in client.cookies_for(url))
            path = url.split(".test", 1)[1]
            with socket.create_connection(("127.0.0.1", world.port)) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: token.app.test\r\ncookie: {cookies}\r\n\r\n".encode())
                time.sleep(0.2)

        threads.append(threading.Thread(target=leave))
        threads[-1].start()
    for thread in threads:
        thread.join()
    account.idp.faults.clear()
    signed_in(account.signed_in(), account)
    signed_in(steady, world.accounts["steady"])


def test_an_envoy_started_without_its_provider_recovers_by_itself(make_world):
    world = make_world("cold")
    account = world.account("acme")
    world.idps.down()
    world.start()
    refused(account.client().browse(account.url("/reports")), "idp_unavailable", "not_ready")
    assert account.client().get(account.url("/healthz")).status == 200
    refused(account.client().get(account.url("/who")), "login_required")
    world.idps.up()
    def whole():
        hops = account.client().login(account.url("/reports"))
        # Until then every answer is a refusal with its code, whichever worker gives it.
        return hops[-1].status == 200 or not refused(hops[-1], "idp_unavailable", "not_ready")

    eventually(whole, 90, every=0.5, what="the first login after the provider came up")
    signed_in(account.signed_in(), account)
