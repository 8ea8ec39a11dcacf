"""What a request costs, counted: WebAssembly instructions in a VM of its own, the same on every machine.

Every parser of what strangers send is fed every shape, at every limit. `tests/cost/count` is the whole search,
`tests/e2e/test_cost.py` its short form, which runs with every change.
"""

import functools
import json
import urllib.parse

import certificates
import texts
from cases import CRYPTO, HERE, PLAIN, SEEDS, Case, answered, encrypted, fixed, form, jwt, make, shaped
from harness.client import Reply
from harness.envoy import WASM
from harness.idp import PATHS, Asked
from harness.saml import message
from harness.vm import Vm

# Instructions of a millisecond. A worker of a real Envoy ran 20 to 40 million of them where parsers run (`tests/cost/run` prints
# them beside the CPU that it measured), so that what is below the budget here is about below it there.
RATE = 25_000_000
COUNTED = HERE / "counted.json"
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
GETS = ("login", "session", "logout", "logout-complete", "oidc/consume", "saml/metadata", "saml/logout", "admin", "admin/check",
        "frontchannel-logout", "invitation", "jwks", "ready")
POSTS = ("login", "logout", "oidc/consume", "saml/consume", "saml/logout", "backchannel-logout", "frontchannel-logout", "invitation",
         "admin/settings")


class Counter:
    """Accounts with every capability, in a VM."""

    def __init__(self):
        self.world = make("counted")
        self.vm = Vm(WASM, self.world.config(), self.world.environment, self._answer)

    def _answer(self, headers: dict, body: bytes):
        """What the scripted provider says."""
        url = urllib.parse.urlsplit(headers[":path"])
        issuer = self.world.idps.issuers.get(headers[":authority"])
        endpoint = PATHS.get(url.path)
        if issuer is None or endpoint is None:
            return None
        if endpoint == "discovery":
            return issuer.json(issuer.discovery())
        query = dict(urllib.parse.parse_qsl(url.query))
        return getattr(issuer, endpoint)(Asked(endpoint, headers[":method"], query, headers, body))

    def count(self, case: Case):
        """One such request; a login of one's own is begun before."""
        self.vm.tick(1000)
        host = case.account.origin.removeprefix("https://")
        body, headers = case.body, dict(case.headers)
        if case.login:
            begun = self.vm.request("GET", "/reports", PERSON, host=host)
            reply = Reply(f"https://{host}/reports", begun.status, begun.headers, begun.body)
            body = answered(case, message(reply))
            headers["cookie"] = "; ".join(line.split(";")[0] for line in reply.all("set-cookie"))
        return self.vm.request(case.method, case.path, headers, body.encode("latin-1") if isinstance(body, str) else body, host=host)

    def stop(self):
        self.world.stop()


def limit(case: Case) -> int:
    return int(case.budget * RATE)


def of_xml(world, seeds: dict) -> list[Case]:
    """The dearest documents that a search found."""
    return [case for endpoint, list_ in seeds.items() for seed in list_ if (case := shaped(world, endpoint, *seed))]


@functools.cache
def units(table: str, room: int) -> list[tuple[str, str]]:
    """Each unit of a table, repeated up to the room."""
    found = []
    for name, unit in getattr(texts, table).items():
        made = {}
        for long in texts.LONG:
            for beside in texts.BESIDE:
                made.setdefault(texts.filled(unit(long, beside), room), f"{name} {long} {beside} {room}")
        found += [(name, text) for text, name in made.items()]
    return found


def in_a_target(table: str, room: int):
    """Envoy itself answers a request line with other bytes."""
    return [(name, text) for name, text in units(table, room) if text.isascii()]


def of_texts(world):
    """Queries, paths, cookies, other headers, forms and JSON, at their limits and far beyond."""
    saml, oidc = world.accounts["saml"], world.accounts["oidc"]
    for account in (saml, oidc):
        u = f"u={account.code}&"
        for endpoint in GETS:
            for room in (8000, 48_000, 60_000):
                for name, text in in_a_target("PAIRS", room):
                    yield Case(f"{account.code} GET {endpoint}: {name}", PLAIN, account, "GET", f"/sso/{endpoint}?{u}{text}", headers=PERSON)
        for room in (4000, 60_000):
            for name, text in in_a_target("PATHS", room):
                yield Case(f"{account.code} path: {name}", PLAIN, account, "GET", f"/{text}")
        for name, text in units("COOKIES", 60_000):
            for path in ("/x", f"/sso/oidc/consume?{u}code=x&state=y", f"/sso/logout?{u}", f"/sso/login?{u}"):
                yield Case(f"{account.code} cookies at {path}: {name}", CRYPTO, account, "GET", path, headers=PERSON | {"cookie": text})
        for endpoint in POSTS:
            for room in (60_000, 400_000):
                for name, text in units("PAIRS", room):
                    yield Case(f"{account.code} POST {endpoint}: {name}", CRYPTO, account, "POST", f"/sso/{endpoint}?{u}", text, FORM)
    for header in ("accept", "accept-language", "authorization", "content-type", "origin", "referer", "user-agent", "x-forwarded-for",
                   "sec-fetch-site", "purpose", "sec-purpose", "connection", "dpop", "x-sso-user"):
        for name, text in units("WORDS", 60_000):
            for path in ("/x", "/sso/login?u=oidc"):
                yield Case(f"{header} at {path}: {name}", CRYPTO, oidc, "GET", path, headers={header: text})
    for name, text in units("PAIRS", 64_000):
        yield Case(f"password's form: {name}", PLAIN, oidc, "POST", "/form", text, FORM)
    for name, shape in texts.JSON.items():
        for long in texts.LONG:
            for room in (4000, 64_000):
                text = texts.json_of(shape, room, long)
                yield Case(f"password's JSON: {name} {long} {room}", PLAIN, oidc, "POST", "/login", text, JSON)


def of_tokens(world):
    """Tokens as bearer, logout token and client's answers of a provider that is not ours."""
    oidc = world.accounts["oidc"]
    keys = [key["kid"] for key in oidc.idp.published]
    for name, token in texts.jwts(jwt, oidc.idp.issuer, keys):
        yield Case(f"bearer: {name}", CRYPTO, oidc, "GET", "/x", headers={"authorization": f"Bearer {token}"})
        yield Case(f"logout token: {name}", CRYPTO, oidc, "POST", "/sso/backchannel-logout?u=oidc", form(logout_token=token), FORM)


def everything(world):
    """Every request that is counted: XML by its seeds, all else in full."""
    yield from fixed(world)
    yield from encrypted(world)
    yield from certificates.of(world)
    for seeds in (SEEDS, COUNTED):
        yield from of_xml(world, json.loads(seeds.read_text()))
    yield from of_tokens(world)
    yield from of_texts(world)
