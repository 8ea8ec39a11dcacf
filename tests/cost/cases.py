"""The requests whose cost is measured: on a real Envoy by `run`, in a VM that counts by `count`."""

import base64
import json
import pathlib
import sys
import urllib.parse
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE)]

import shapes  # noqa: E402
from harness.saml import SamlAccount, key  # noqa: E402
from harness.saml_forge import SAML, SAMLP, Lock, at  # noqa: E402
from harness.world import World  # noqa: E402

SEEDS = HERE / "seeds.json"
# Milliseconds: without cryptography, with it (one use of a private key in a login of one's own included), with a login of one's own.
PLAIN, CRYPTO, LOGIN = 2.0, 5.0, 25.0
LOGOUT, RESPONSE = 32 * 1024, 256 * 1024
NUMBERS = [(long, beside) for long in (1, 60, 250) for beside in (1, 23, 44, 63)]
PARTS = (1.0, 0.5, 0.25, 0.12, 0.06)


def make(name: str = "cost") -> World:
    world = World(name, concurrency=1)
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    rules = [{"prefix": f"/r{n}/", "allow": "users", "roles": ["owner"]} for n in range(20)]
    open_paths = [{"prefix": "/static/", "allow": "anyone"}]
    SamlAccount(world, "saml", {"access": open_paths + rules}, decryption=ours, slo_url="https://saml.saml.idp.test/slo")
    world.account("oidc", {
        "access": open_paths + rules, "bearer": {"audiences": ["lakehouse-api"]},
        "directory": {"static": {"users": [{"username": "ada", "email": "ada@acme.com"}]}},
        "password": {"mode": "enabled", "logins": [
            {"path": "/login", "username": {"json": "/username"}, "success": {"status": [200], "cookie": "app"}},
            {"path": "/form", "username": {"form": "username"}, "success": {"status": [200], "cookie": "app"}}]}})
    return world


def message(kind: str, account, inside: str) -> str:
    to = account.slo if kind.startswith("Logout") else account.acs
    return (f'<samlp:{kind} xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_a" Version="2.0" IssueInstant="{at()}" '
            f'Destination="{to}"><saml:Issuer>{account.saml.entity}</saml:Issuer>{inside}</samlp:{kind}>')


def deflated(text: str) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return urllib.parse.quote(base64.b64encode(packer.compress(text.encode()) + packer.flush()).decode(), safe="")


def form(**fields) -> str:
    return urllib.parse.urlencode(fields)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def jwt(header: str, claims: str, signature: bytes = bytes(256)) -> str:
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return ".".join([part(header.encode()), part(claims.encode()), part(signature)])


class Case:
    """One request, and what it may cost."""

    def __init__(self, name, budget, account, method, path, body="", headers=None, login=False):
        self.name, self.budget, self.account, self.method, self.path = name, budget, account, method, path
        self.body, self.headers, self.login = body, headers or {}, login


def saml_case(account, endpoint: str, text: str, name: str) -> Case:
    is_form = {"content-type": "application/x-www-form-urlencoded"}
    person = is_form | {"accept": "text/html", "sec-fetch-mode": "navigate"}
    code = account.code
    if endpoint == "redirect":
        query = f"u={code}&SAMLRequest={deflated(text)}"
        return Case(name, PLAIN, account, "GET", f"/sso/saml/logout?{query}")
    if endpoint == "logout":
        return Case(name, CRYPTO, account, "POST", f"/sso/saml/logout?u={code}", form(SAMLRequest=encoded(text)), is_form)
    login = endpoint == "answer"
    headers = person if endpoint in ("bounce", "answer") else is_form
    return Case(name, LOGIN if login else CRYPTO, account, "POST", f"/sso/saml/consume?u={code}",
                form(SAMLResponse=encoded(text)), headers, login)


ENDPOINTS = {"redirect": ("LogoutRequest", LOGOUT), "logout": ("LogoutRequest", LOGOUT), "unsolicited": ("Response", RESPONSE),
             "bounce": ("Response", RESPONSE), "answer": ("Response", RESPONSE)}


def shaped(world, endpoint: str, shape: str, long: int, beside: int, part: float):
    account = world.accounts["saml"]
    kind, room = ENDPOINTS[endpoint]
    inside = shapes.below(part, shapes.XML[shape], room - 600, long, beside)
    if not inside:
        return None
    if endpoint == "answer":
        inside += "<!--REQUEST-->"
    return saml_case(account, endpoint, message(kind, account, inside), f"{endpoint}: {shape} {long} {beside} {part}")


def fixed(world) -> list[Case]:
    """Inputs that are not XML, at the limits."""
    saml, oidc = world.accounts["saml"], world.accounts["oidc"]
    is_form = {"content-type": "application/x-www-form-urlencoded"}
    is_json = {"content-type": "application/json"}
    jwk = "PS256"
    cases = [
        saml_case(oidc_like(oidc), "redirect", "<x/>" + " " * 32_000, "no SAML provider: redirect"),
        Case("no SAML provider: a form of 400 KB", PLAIN, oidc, "POST", "/sso/saml/consume?u=oidc", "a=%41&" * 68_000, is_form),
        Case("no SAML provider: logout", PLAIN, oidc, "POST", "/sso/saml/logout?u=oidc", "a=%41&" * 10_000, is_form),
    ]
    for name, body in {"ampersands": "&" * 400_000, "escapes": "SAMLResponse=" + "%41" * 130_000,
                       "white space": "SAMLResponse=" + "A+" * 170_000, "fields": "a=b&" * 100_000}.items():
        cases.append(Case(f"callback's form: {name}", CRYPTO, saml, "POST", "/sso/saml/consume?u=saml", body, is_form))
    for name, path in {
        "escapes": "/" + "%2f" * 1300, "parameters": "/" + "a;b%2f" * 680, "dots": "/" + "%2f.." * 800, "twice": "/" + "%252f" * 800,
        "long": "/" + "a;b%2f" * 9000, "long dots": "/" + "%2f.." * 11_000, "long and plain": "/static/" + "a" * 50_000,
    }.items():
        cases.append(Case(f"path: {name}", PLAIN, saml, "GET", path))
    for endpoint in ("login", "session", "logout", "oidc/consume", "saml/metadata", "admin", "saml/logout", "frontchannel-logout"):
        for name, query in {"short parameters": "a&" * 28_000, "escapes": "%75%3d" * 9000, "within": "a=%41&" * 1360,
                            "names": "return_t%6f&" * 600}.items():
            cases.append(Case(f"{endpoint}: {name}", PLAIN, saml, "GET", f"/sso/{endpoint}?{query}"))
    ahead = {"accept": "text/html", "sec-fetch-dest": "document", "sec-purpose": "prefetch;prerender", "accept-language": "de-x;q=0.5," * 5000}
    for path in ("/x", "/" + "a;b%2f" * 680, "/sso/login?return_to=/" + "%61" * 600, "/sso/logout?" + "a=%41&" * 9000,
                 "/sso/oidc/consume?" + "a=%41&" * 9000, "/sso/admin/settings?x"):
        cases.append(Case(f"looked ahead: {path[:20]}", PLAIN, saml, "GET", path, headers=ahead))
    deep = '{"a":' * 100 + "1" + "}" * 100
    wide = "{" + ",".join(f'"k{n}":{n}' for n in range(3000)) + "}"
    issuer = oidc.idp.issuer
    real = json.dumps({"iss": issuer, "aud": "lakehouse-api", "exp": 4_000_000_000, "iat": 1, "x": "y" * 30_000})
    for name, header, claims in (
        ("PS256 without kid", json.dumps({"alg": jwk}), real), ("PS384 without kid", json.dumps({"alg": "PS384"}), real),
        ("ES256 without kid", json.dumps({"alg": "ES256"}), real), ("EdDSA without kid", json.dumps({"alg": "EdDSA"}), real),
        ("RS256 of an unknown kid", json.dumps({"alg": "RS256", "kid": "x"}), real),
        ("deep claims", json.dumps({"alg": "RS256"}), deep), ("wide claims", json.dumps({"alg": "RS256"}), wide),
        ("a wide header", wide, "{}"),
    ):
        token = jwt(header, claims)
        cases.append(Case(f"bearer: {name}", CRYPTO, oidc, "GET", "/x", headers={"authorization": f"Bearer {token}"}))
        cases.append(Case(f"logout token: {name}", CRYPTO, oidc, "POST", "/sso/backchannel-logout?u=oidc",
                          form(logout_token=token), is_form))
    for name, cookie in {
        "session": "__Host-sso=" + "A" * 50_000, "chunks": "; ".join(f"__Host-sso.{n}=" + "A" * 4000 for n in range(1, 13)),
        "logins": "; ".join(f"__Host-sso-flow-{n:012}=" + "A" * 2500 for n in range(20)), "many": "a=b; " * 10_000,
    }.items():
        cases.append(Case(f"cookies: {name}", CRYPTO, oidc, "GET", "/x", headers={"cookie": cookie}))
    for name, path, headers, body in (
        ("wide JSON", "/login", is_json, wide), ("deep JSON", "/login", is_json, deep), ("escapes", "/login", is_json,
         '{"username":"' + "\\u0041" * 10_000 + '"}'), ("members of one length", "/login", is_json,
         "{" + ",".join(f'"{n:06}":0' for n in range(5900)) + "}"),
        ("fields", "/form", is_form, "a=b&" * 16_000), ("escaped", "/form", is_form, "username=" + "%41" * 21_000),
    ):
        cases.append(Case(f"password login: {name}", PLAIN, oidc, "POST", path, body, headers))
    cases.append(Case("login's form", PLAIN, saml, "POST", "/sso/login", "return_t%6f=x&" * 1100, is_form))
    return cases


class oidc_like:
    """An account without SAML, asked like one that has it."""

    def __init__(self, account):
        self.code, self.origin = account.code, account.origin
        self.slo = self.acs = account.origin
        self.saml = account.idp
        self.saml.entity = account.idp.issuer


def encrypted(world) -> list[Case]:
    """Answers to one's own login that ask for the private key."""
    account = world.accounts["saml"]
    lock = Lock(key("sp"))(f'<saml:Assertion xmlns:saml="{SAML}" ID="_b"/>')
    one = lock[lock.index("<xenc:EncryptedKey"):lock.index("</xenc:EncryptedKey>") + len("</xenc:EncryptedKey>")]
    four = "".join(one.replace("_key", f"_key{n}") for n in range(4))
    success = '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
    text = message("Response", account, success + lock.replace(one, four))
    case = saml_case(account, "answer", text, "answer: four EncryptedKeys")
    case.budget = CRYPTO
    return [case]


def answered(case: Case, asked) -> str:
    """The case's form as an answer to this request of ours."""
    fields = dict(urllib.parse.parse_qsl(case.body))
    text = base64.b64decode(fields["SAMLResponse"]).decode()
    fields["SAMLResponse"] = encoded(text.replace('ID="_a"', f'ID="_a" InResponseTo="{asked.id}"', 1))
    return form(**fields, RelayState=asked.relay_state)
