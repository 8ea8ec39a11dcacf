"""Nothing that hangs up, hangs or dies holds anybody up."""

import base64
import os
import threading
import time
import urllib.parse

import pytest

from harness.hang_up import ForgetfulProxy, Http2, closes
from harness.idp import Issuer
from harness.net import eventually
from harness.saml import SamlAccount, key
from harness.saml_forge import Answer, Spec
from harness.tokens import BEARER, access_token

RECHECK = 2
# HANG_UP_TRIES=1000 make e2e E2E=test_hang_up.py: how often a user who is out tries to get in.
TRIES = int(os.environ.get("HANG_UP_TRIES", "40"))
# What is taken away in the directory, how often it is tried, and the codes of the refusals.
OUT = {"user": (TRIES, ("user_inactive", "session_expired", "login_required")), "role": (min(TRIES, 10), ("role_missing",))}


@pytest.fixture(scope="module")
def leaving(make_world):
    world = make_world("leaving", concurrency=2, session={"recheck": f"{RECHECK}s", "recheck_grace": "30m"})
    for code in ("resets", "closes", "slow"):
        world.account(code, BEARER)
        world.directory(code)
    world.start()
    return world


def who(account, kind: str) -> dict[str, str]:
    """The header that says who asks: of a session, or of a token that was verified before."""
    directory = account.world.scim.directories[f"{account.code}.scim.test"]
    directory.reset().add("ada", email="ada@acme.com", roles=["owner"], id="ada-1")
    if kind == "cookie":
        client = account.signed_in("/who")
        return {"cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies_for(account.url("/")))}
    said = {"authorization": f"Bearer {access_token(account)}"}
    for _ in range(8):  # every worker remembers it
        assert account.client().get(account.url("/owners/x"), headers=said).status == 200
    return said


def head_of(account, path: str, said: dict, method: str = "GET") -> dict[str, str]:
    return {":method": method, ":scheme": "https", ":authority": f"{account.code}.app.test", ":path": path} | said


def take(account, what: str) -> None:
    [user] = account.world.scim.directories[f"{account.code}.scim.test"].users
    user |= {"active": False} if what == "user" else {"roles": []}


def tries(account, said: dict, path: str, number: int = TRIES) -> list[bytes]:
    """What the last request of a connection is answered after nineteen that were reset and one that was cut in its body."""
    answers = []
    for _ in range(number):
        connection = Http2(account.world.port)
        for _ in range(19):
            connection.reset(head_of(account, path, said))
        connection.half(head_of(account, path, said | {"content-length": "10"}, "POST"), b"half")
        answers.append(connection.reaches(head_of(account, path, said)))
        connection.close()
    return answers


@pytest.mark.parametrize("kind, path, what", [
    ("cookie", "/owners/x", "user"), ("cookie", "/sso/session", "user"), ("cookie", "/sso/admin/readiness", "user"),
    ("bearer", "/owners/x", "user"), ("cookie", "/owners/x", "role"), ("bearer", "/owners/x", "role")])
def test_resetting_streams_keeps_nobody_in(leaving, kind, path, what):
    account = leaving.accounts["resets"]
    number, codes = OUT[what]
    said = who(account, kind)
    take(account, what)
    time.sleep(RECHECK + 0.1)
    mark = leaving.app.mark()
    answers = tries(account, said, path, number)
    assert all(any(f'"{code}"'.encode() in answer for code in codes) for answer in answers), answers
    leaving.app.nothing_since(mark)


@pytest.mark.parametrize("kind", ["cookie", "bearer"])
def test_resets_keep_nobody_out(leaving, kind):
    account = leaving.accounts["resets"]
    said = who(account, kind)
    time.sleep(RECHECK + 0.1)
    answers = tries(account, said, "/owners/x")
    assert all(b'"x-sso-user"' in answer for answer in answers), answers


@pytest.mark.parametrize("kind", ["cookie", "bearer"])
@pytest.mark.parametrize("what", OUT)
@pytest.mark.parametrize("code, delay", [("closes", 0), ("slow", 0.15)])
def test_closing_connections_keeps_nobody_in(leaving, code, delay, what, kind):
    account, directory = leaving.accounts[code], leaving.scim.directories[f"{code}.scim.test"]
    number, codes = OUT[what]
    said = who(account, kind)
    take(account, what)
    if delay:
        directory.fault("GET", delay=delay)
    time.sleep(RECHECK + 0.1)
    [(name, value)] = said.items()
    head = f"GET /owners/x HTTP/1.1\r\nhost: {code}.app.test\r\n{name}: {value}\r\n".encode()
    mark = leaving.app.mark()
    for n in range(2 * number):
        body = (b"\r\n", b"content-length: 10\r\n\r\nhalf")[n % 2]
        closes(leaving.port, head + body, 0.001 * (n % 3))
        if n % 10 == 0:
            reply = account.client().get(account.url("/owners/x"), headers=said)
            assert reply.code in codes and reply.status in (401, 403), reply
    leaving.app.nothing_since(mark)


def test_two_hundred_logins_over_connections_that_the_other_side_forgot(make_world):
    world = make_world("forgotten", concurrency=1)
    account = world.account("acme")
    proxy = ForgetfulProxy(world.idps.port)
    world.clusters["idp"] = proxy.port
    world.start()
    for number in range(200):
        reply, _ = account.callback(account.client())
        assert (reply.status, reply.code) == (302, "redirect"), (number, reply)
    assert proxy.resets > 100, "connections were kept, and forgotten"
    proxy.stop()


class Flood:
    """A stranger that sends these requests, one after the other, and hangs up on each."""

    def __init__(self, port: int, heads: list[bytes]):
        self.port, self.heads, self.sent, self.over = port, heads, 0, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.is_set():
            for wait in (0, 0.02):
                closes(self.port, self.heads[self.sent % len(self.heads)], wait)
                self.sent += 1

    def __enter__(self):
        self.thread.start()
        eventually(lambda: self.sent > 4, what="a flood")
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def post_of(code: str, path: str, body: str) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nhost: {code}.app.test\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}").encode()


def test_a_rotation_beside_a_strangers_flood_costs_no_login(make_world):
    world = make_world("rotation", concurrency=2)
    account = world.account("acme", BEARER)
    world.start()
    account.signed_in()
    issuer: Issuer = account.idp
    token = access_token(account, header={"kid": "stranger"}, key=issuer.keys["forged"])
    heads = [post_of("acme", "/sso/backchannel-logout?u=acme", f"logout_token={token}"),
             f"GET /who HTTP/1.1\r\nhost: acme.app.test\r\nauthorization: Bearer {token}\r\n\r\n".encode()]
    with Flood(world.port, heads) as flood:
        for new in [issuer.keys[name] for name in ("rsa-2", "p256", "rsa-1")]:
            before = flood.sent
            eventually(lambda: flood.sent > before + 6, what="more of the flood")
            issuer.signing = new
            issuer.published = [new.jwk()]
            reply, _ = account.callback(account.client())
            assert (reply.status, reply.code) == (302, "redirect"), reply
    assert issuer.count("jwks") < 20, "a flood is a bounded number of fetches"


def test_a_rotation_at_a_saml_provider_beside_a_flood_costs_no_login(make_world):
    world = make_world("saml-rotation", concurrency=2)
    account = SamlAccount(world, "acme", sso_url=None, issuer=None, certificates=None, idp_initiated="accept")
    account.settings["metadata_url"] = account.saml.entity
    world.start()
    account.signed_in()
    forged: Answer = account.answer(None, spec=Spec(key("stranger")))
    body = urllib.parse.urlencode({"SAMLResponse": base64.b64encode(forged.write().encode()).decode()})
    with Flood(world.port, [post_of("acme", "/sso/saml/consume?u=acme", body)]) as flood:
        for name in ("rolled-1", "rolled-2"):
            before = flood.sent
            eventually(lambda: flood.sent > before + 6, what="more of the flood")
            account.saml.key = key(name)
            account.saml.published = [account.saml.key]
            account.signed_in()
    assert len(account.saml.asked) < 20, "a flood is a bounded number of fetches"


def test_what_envoy_knows_of_a_failed_connection_stands_in_the_log(make_world):
    world = make_world("words", concurrency=1)
    refused_, closed, hangs = world.account("refused"), world.account("closed"), world.account("hangs")
    world.cluster_table["refused.idp.test"] = "dead"
    world.start()
    closed.idp.fault("discovery", drop=True)
    hangs.idp.fault("discovery", delay=30)
    for account, code in [(refused_, "idp_unavailable"), (closed, "idp_unavailable"), (hangs, "idp_timeout")]:
        reply = account.client().get(account.url("/sso/login"), navigation=True)
        assert reply.code == code, reply
        assert "cluster" not in reply.text, "internal names are for the log"
    for words in ("no connection came about", "upstream_cx_connect_fail",
                  "the connection was closed before an answer began", "no answer in time"):
        eventually(lambda: words in world.envoy.log_text(), what=words)
