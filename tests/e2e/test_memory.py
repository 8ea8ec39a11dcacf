"""Memory that strangers fill stays below the bounds that SECURITY.md names: every store is flooded, in a VM that counts."""

import json
import re
import secrets
import urllib.parse

import pytest

from harness import jose
from harness.client import Reply
from harness.envoy import WASM
from harness.idp import PATHS, Asked
from harness.net import PROJECT
from harness.tokens import AUDIENCE
from harness.vm import Vm
from harness.world import World

MIB = 1 << 20
FORM = {"content-type": "application/x-www-form-urlencoded"}
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def bound(what: str) -> int:
    """The number of MiB that SECURITY.md names."""
    text = (PROJECT / "SECURITY.md").read_text()
    return int(re.search(rf"{what} (?:at most )?(\d+) MiB", " ".join(text.split()))[1]) * MIB


class Flooded:
    """One worker whose Envoy believes every signature: what is left are the bounds."""

    def __init__(self):
        self.world = World("memory", concurrency=1)
        bearer = {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}}
        self.world.account("asks", bearer, introspection=True)
        self.account = self.world.account("acme", bearer | {
            "forward": {"access_token": "x-token"},
            "password": {"mode": "enabled", "logins": [
                {"path": "/login", "username": {"form": "username"}, "success": {"status": [200], "cookie": "app"}}]}})
        self.vm = Vm(WASM, self.world.config(), self.world.environment, self._answer, verifies=True)
        self.start = self.vm.memory_bytes
        self.header = {"alg": "RS256", "kid": self.account.idp.signing.kid}

    def _answer(self, headers: dict, body: bytes):
        url = urllib.parse.urlsplit(headers[":path"])
        issuer, endpoint = self.world.idps.issuers[headers[":authority"]], PATHS.get(url.path)
        if endpoint == "discovery":
            return issuer.json(issuer.discovery() | {"introspection_endpoint": f"{issuer.issuer}/introspect"})
        if endpoint == "introspection":
            token = dict(urllib.parse.parse_qsl(body.decode()))["token"]
            claims = self.claims(iss=issuer.issuer) | {"active": token.startswith("good"), "token_type": "Bearer", "large": "y" * 40_000}
            return issuer.json(claims if claims["active"] else {"active": False})
        if endpoint == "token":
            return issuer.json({"error": "invalid_grant"}, 400)
        query = dict(urllib.parse.parse_qsl(url.query))
        return getattr(issuer, endpoint)(Asked(endpoint, headers[":method"], query, headers, body))

    def claims(self, **more) -> dict:
        now = self.vm.now // 10**9
        made = {"iss": self.account.idp.issuer, "aud": AUDIENCE, "iat": now, "exp": now + 3600, "sub": secrets.token_hex(8),
                "email": "ada@acme.com", "email_verified": True, "client_id": "cli"} | more
        return {name: value for name, value in made.items() if value is not None}

    def token(self, header: dict | None = None, **more) -> str:
        parts = [json.dumps(self.header | (header or {})).encode(), json.dumps(self.claims(**more)).encode(), secrets.token_bytes(256)]
        return ".".join(jose.b64u(part) for part in parts)

    def get(self, path: str, headers=None, host: str = "acme.app.test"):
        return self.vm.request("GET", path, headers or {}, host=host)

    def post(self, path: str, form: dict, **options):
        return self.vm.request("POST", path, FORM, urllib.parse.urlencode(form).encode(), host="acme.app.test", **options)

    # The floods: each fills one store.

    def bearers(self):
        """Tokens that count, of the largest size that a head may have."""
        for number in range(2_500):
            last = self.get("/x", {"authorization": f"Bearer {self.token(large='y' * 36_000)}"})
        assert last.status == 0 and self.vm.goes_on, "they count"

    def unknown_keys(self):
        for number in range(3_000):
            self.get("/x", {"authorization": f"Bearer {self.token({'kid': f'stranger-{number}'})}"})

    def opaque(self):
        """Tokens that the provider does not know, and some that it does, with large answers."""
        for number in range(2_500):
            for kind in ("bad", "good"):
                said = {"authorization": f"Bearer {kind}-{secrets.token_hex(400)}"}
                last = self.get("/x", said, "asks.app.test")
        assert last.status == 0 and self.vm.goes_on, "the good ones count"

    def logins(self):
        """Logins that are begun, and some that come back with a code of their own."""
        for number in range(1_500):
            begun = self.get(f"/page/{number}?{'q' * 1000}", PERSON)
            reply = Reply("https://acme.app.test/", begun.status, begun.headers, begun.body)
            cookie = "; ".join(line.split(";")[0] for line in reply.all("set-cookie"))
            state = reply.query()["state"]
            self.get(f"/sso/oidc/consume?u=acme&code=x&state={state}", PERSON | {"cookie": cookie})

    def attempts(self):
        """Passwords for made-up names, as long as a name may be."""
        for number in range(4_000):
            self.post("/login", {"username": f"{number}-{'n' * 200}@acme.com", "password": "x"}, application=401)

    def logout_tokens(self):
        now = self.vm.now // 10**9
        for number in range(4_000):
            claims = {"aud": "lakehouse", "iat": now, "exp": now + 60, "jti": secrets.token_hex(20), "sid": secrets.token_hex(200),
                      "sub": secrets.token_hex(100), "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
            self.post("/sso/backchannel-logout?u=acme", {"logout_token": self.token({"typ": "logout+jwt"}, **claims)})

    def names(self):
        """Hosts, paths and headers of every kind, for whatever is kept by name: metrics, notices, lanes."""
        for number in range(3_000):
            self.vm.request("GET", f"/{secrets.token_hex(500)}", {f"x-{secrets.token_hex(20)}": "y"}, host=f"{number}.app.test")
            self.get(f"/sso/frontchannel-logout?u=acme&iss={self.account.idp.issuer}&sid={secrets.token_hex(100)}")


FLOODS = ("bearers", "unknown_keys", "opaque", "logins", "attempts", "logout_tokens", "names")


@pytest.fixture(scope="module")
def flooded():
    made = Flooded()
    yield made
    made.world.stop()
    made.world.idps.stop()


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_stays_below_the_bound(flooded, flood):
    """One after the other in one worker, so that the last sees all of them."""
    kept, metrics, calls = flooded.vm.shared_bytes, len(flooded.vm.metrics), flooded.vm.tokens
    getattr(flooded, flood)()
    print(flood, (flooded.vm.memory_bytes - flooded.start) / MIB, (flooded.vm.shared_bytes - kept) / MIB,
          len(flooded.vm.metrics) - metrics, flooded.vm.tokens - calls)
    assert flooded.vm.memory_bytes - flooded.start < bound("a worker keeps")
    assert flooded.vm.shared_bytes < bound("shared data")
    assert len(flooded.vm.metrics) - metrics < 50, "strangers make no metrics"


def test_afterwards_it_serves_as_before(flooded):
    """The twin: the bounds lock nobody out."""
    assert flooded.get("/x").code == "login_required"
    passed = flooded.get("/x", {"authorization": f"Bearer {flooded.token()}"})
    assert passed.status == 0 and flooded.vm.goes_on, (passed, flooded.vm.log[-2:])
