"""What a worker remembers of sessions: how much memory each takes, and how many `session.cache` allows, in a VM that counts."""

import secrets
import urllib.parse

import pytest

from harness import jose
from harness.client import Reply
from harness.envoy import WASM
from harness.idp import PATHS, Asked
from harness.vm import Vm
from harness.world import World

KIB = 1 << 10
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def like(claims: int, signature: int) -> str:
    """A JWT of that many bytes of claims and signature, which nobody reads."""
    header = b'{"alg":"HS512","typ":"JWT","kid":"6d2f4a30-9c1e-4b6f-8f58-0a5cf1f0f3f5"}'
    return ".".join(jose.b64u(part) for part in (header, secrets.token_bytes(claims), secrets.token_bytes(signature)))


class Worker:
    """One worker whose provider issues tokens of Keycloak's size: an ID token of 1.1 KB, a refresh token of 0.7 KB."""

    def __init__(self, places: int, account: dict | None = None):
        self.world = World("session-cache", session={"cache": places})
        self.account = self.world.account("acme", account)
        self.account.idp.change("claims", filler="x" * 300).change("token", refresh_token=like(360, 64))
        self.vm = Vm(WASM, self.world.config(), self.world.environment, self._answer, verifies=True)

    def _answer(self, headers: dict, body: bytes):
        url = urllib.parse.urlsplit(headers[":path"])
        endpoint, issuer = PATHS[url.path], self.account.idp
        if endpoint == "discovery":
            return issuer.json(issuer.discovery())
        return getattr(issuer, endpoint)(Asked(endpoint, headers[":method"], {}, headers, body))

    def login(self, asks: bool = True) -> str:
        """The cookies of a new session, which the worker remembers; with them a first request was made."""
        begun = self.vm.request("GET", "/reports", PERSON)
        reply = Reply("https://acme.app.test/", begun.status, begun.headers, begun.body)
        _, answer, _ = self.account.idp.authorize(Asked("authorize", "GET", reply.query(), {}, b""))
        back = urllib.parse.urlsplit(answer["location"])
        ended = self.vm.request("GET", f"{back.path}?{back.query}", PERSON | {"cookie": cookies(reply)})
        assert ended.status == 302, (ended.status, ended.code, self.vm.log[-2:])
        session = cookies(Reply("https://acme.app.test/", ended.status, ended.headers, ended.body))
        if asks:
            self.work(session)
        return session

    def work(self, session: str) -> int:
        """The instructions of a request with this session, which passes."""
        passed = self.vm.request("GET", "/reports", {"cookie": session})
        assert passed.status == 0, (passed.status, passed.code, self.vm.log[-2:])
        return passed.work

    def stop(self):
        self.world.stop()


def cookies(reply: Reply) -> str:
    pairs = (line.split(";")[0] for line in reply.all("set-cookie"))
    return "; ".join(pair for pair in pairs if not pair.endswith("="))


@pytest.fixture(scope="module")
def worker():
    made = []

    def of(places: int) -> Worker:
        made.append(Worker(places))
        return made[-1]
    yield of
    for one in made:
        one.stop()


def test_a_remembered_session_takes_no_more_than_four_and_a_half_kilobytes(worker):
    many = worker(16_384)
    sessions = [many.login() for _ in range(300)]
    before = many.vm.memory_bytes
    sessions += [many.login() for _ in range(1_500)]
    each = (many.vm.memory_bytes - before) / 1_500
    print(f"{each:.0f} bytes; cookies of {len(sessions[-1])} bytes")
    assert 1 * KIB < each <= 4.5 * KIB
    opened = many.work(sessions[0])
    assert opened < 100_000 and many.work(sessions[-1]) < 100_000, "all of them are remembered"


def test_the_number_of_remembered_sessions_can_be_set(worker):
    few = worker(100)
    sessions = [few.login() for _ in range(300)]
    before = few.vm.memory_bytes
    sessions += [few.login() for _ in range(600)]
    assert few.vm.memory_bytes - before <= 256 * KIB, "a hundred have their places"
    first, again = few.work(sessions[0]), few.work(sessions[0])
    assert again < first / 2, "one that is not remembered is opened again, once"
