"""Providers that sign people out, with every rule on what they send: the logout plans of the OpenID conformance suite
that the native tests walk in full, here on a real Envoy with four workers. And sessions the configuration ends."""

import secrets
import time

import pytest

from harness import jose
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.net import eventually

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("channels", concurrency=4, ecds=True)
    for code in ("acme", "cut"):
        account = world.account(code)
        account.idp.change("claims", sid="sid-of-nobody")
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


def sign_in(account, sid: str, **person):
    """A client whose session is this one of the provider's."""
    account.idp.change("claims", sid=sid, **person)
    return account.signed_in()


def claims(account, **changes):
    now = int(time.time())
    good = {"iss": account.idp.issuer, "aud": "lakehouse", "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
            "events": {EVENT: {}}} | changes
    return {name: value for name, value in good.items() if value is not None}


def token(account, **changes) -> str:
    key = account.idp.signing
    header = {"alg": key.default_alg, "kid": key.kid, "typ": "logout+jwt"}
    return jose.encode(header, claims(account, **changes), key.default_alg, key)


def send(account, logout_token: str):
    return account.client().post(account.url(f"/sso/backchannel-logout?u={account.code}"),
                                 body={"logout_token": logout_token})


def ended_everywhere(account, captured: dict) -> None:
    """Refused by whichever worker takes the connection."""
    cookie = "; ".join(f"{name}={value}" for name, value in captured.items())
    for _ in range(24):
        refused(account.client().get(account.url("/who"), headers={"cookie": cookie}), "session_expired")


def goes_on(account, client) -> None:
    for _ in range(12):
        signed_in(client, account)


def test_a_logout_token_ends_that_session_on_every_worker(world, acme):
    one, two = sign_in(acme, "sid-a"), sign_in(acme, "sid-b")
    goes_on(acme, one)
    reply = send(acme, token(acme, sid="sid-a"))
    assert (reply.status, reply.body) == (200, b"") and "no-store" in reply.get("cache-control"), reply
    ended_everywhere(acme, session_cookies(one))
    goes_on(acme, two)
    events = [event for event in world.envoy.events() if event.get("reason") == "backchannel_logout"]
    assert events[-1]["event"] == "logout" and events[-1]["ends"] == "sid" and events[-1]["idp"] == "corp", events
    assert world.envoy.stats("sso_sessions_ended")


def test_by_sub_all_sessions_of_the_person_and_none_opened_later(acme):
    one, two = sign_in(acme, "sid-c"), sign_in(acme, "sid-d")
    assert send(acme, token(acme, sub="248289761001")).status == 200
    for client in (one, two):
        ended_everywhere(acme, session_cookies(client))
    goes_on(acme, sign_in(acme, "sid-e"))


@pytest.mark.parametrize("changes", [{"aud": "other"}, {"iss": "https://evil.test"}, {"events": None}, {"nonce": "n"},
                                     {"sid": None}, {"exp": 1}, {"iat": None}, {"jti": None}],
                         ids=lambda changes: next(iter(changes)))
def test_a_wrong_token_ends_nothing(acme, changes):
    client = sign_in(acme, "sid-f")
    reply = send(acme, token(acme, **({"sid": "sid-f"} | changes)))
    assert (reply.status, reply.code) == (400, "request_invalid"), reply
    assert reply.json()["error"] == "invalid_request" and "no-store" in reply.get("cache-control")
    goes_on(acme, client)


def test_a_token_signed_by_somebody_else_ends_nothing(acme):
    client = sign_in(acme, "sid-g")
    other = jose.new_key("RSA", acme.idp.signing.kid)
    forged = jose.encode({"alg": "RS256", "kid": other.kid}, claims(acme, sid="sid-g"), "RS256", other)
    none = jose.encode({"alg": "none"}, claims(acme, sid="sid-g"), "none", None)
    for wrong in (forged, none, "x", ""):
        assert (reply := send(acme, wrong)).status == 400, reply
    goes_on(acme, client)
    assert send(acme, token(acme, sid="sid-g")).status == 200
    ended_everywhere(acme, session_cookies(client))


def test_a_token_is_good_once_whichever_worker_sees_it(acme):
    once = token(acme, sid="sid-h")
    assert send(acme, once).status == 200
    for _ in range(12):
        assert send(acme, once).status == 400


def test_a_frame_ends_the_session_though_the_browser_sends_no_cookie(world, acme):
    client, other = sign_in(acme, "sid-i"), sign_in(acme, "sid-j")
    frame = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site", "referer": acme.idp.issuer + "/"}

    def load(query):
        return acme.client().browse(acme.url("/sso/frontchannel-logout?u=acme" + query), headers=frame)

    for wrong in ("&iss=https%3A%2F%2Fevil.test&sid=sid-i", f"&iss={acme.idp.issuer}"):
        refused(load(wrong), "request_invalid")
    assert load(f"&iss={acme.idp.issuer}&sid=guess").status == 200
    goes_on(acme, client)
    reply = load(f"&iss={acme.idp.issuer}&sid=sid-i")
    assert reply.status == 200 and "no-store" in reply.get("cache-control"), reply
    assert f"frame-ancestors {acme.idp.issuer}" in reply.get("content-security-policy"), reply.headers
    ended_everywhere(acme, session_cookies(client))
    goes_on(acme, other)


def test_another_replica_and_a_restart_know_nothing_of_it_until_the_configuration_says_so(make_world, world, acme):
    """What the documentation says of replicas, no less and no more."""
    replica = make_world("channels-replica")
    replica.account("acme")
    replica.start()
    there = replica.accounts["acme"]
    client = sign_in(acme, "sid-k")
    captured = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}
    assert there.client().get(there.url("/who"), headers=captured).status == 200
    assert send(acme, token(acme, sid="sid-k")).status == 200
    ended_everywhere(acme, session_cookies(client))
    assert there.client().get(there.url("/who"), headers=captured).status == 200
    there.config["not_before"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    assert replica.update()
    eventually(lambda: there.client().get(there.url("/who"), headers=captured).code == "session_expired",
               what="the cut at the replica")


def test_a_cut_in_the_configuration_ends_sessions_live(world):
    account = world.accounts["cut"]
    ada = sign_in(account, "sid-l", sub="ada", email="ada@acme.com")
    bob = sign_in(account, "sid-m", sub="bob", email="bob@acme.com")
    # A time is to the second: what was opened in this one is before the next.
    cut = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))

    def settle(client):
        captured = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}

        def code():
            return account.client().get(account.url("/who"), headers=captured).code

        assert world.update()
        eventually(lambda: all(code() == "session_expired" for _ in range(12)), what="the cut on every worker")

    account.config["not_before_users"] = {"bob@acme.com": cut}
    settle(bob)
    goes_on(account, ada)
    account.config["not_before"] = cut
    settle(ada)
    signed_out(ada, account)
    # Who signs in afterwards is in.
    eventually(lambda: account.client().login(account.url("/who"))[-1].status == 200, what="a sign-in after the cut")
