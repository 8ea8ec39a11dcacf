"""A signed identity for the application, verified by two libraries of others: PyJWT and jose."""

import base64
import json
import subprocess
import time

import pytest

from harness import jose
from harness.expect import refused
from harness.net import PROJECT, eventually
from test_bearer import AUDIENCE as API, access_token, ask

AUDIENCE = "https://backend.internal"
KEYS = [jose.new_key("P-256", kid) for kid in ("a1", "a0")]
PASSWORDS = {"mode": "enabled", "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}]}
PYJWT = """
import json, sys, jwt
given = json.load(sys.stdin)
key = jwt.PyJWKSet.from_dict(given["jwks"])[jwt.get_unverified_header(given["token"])["kid"]]
print(json.dumps(jwt.decode(given["token"], key.key, algorithms=["ES256"], audience=given["audience"], issuer=given["issuer"],
                            options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub"]})))
"""
NODE = """
import { createLocalJWKSet, jwtVerify } from 'jose';
let text = ''; for await (const part of process.stdin) text += part;
const { token, jwks, audience, issuer } = JSON.parse(text);
const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), { algorithms: ['ES256'], audience, issuer, requiredClaims: ['exp', 'sub'] });
console.log(JSON.stringify(payload));
"""


def settings(**changes) -> dict:
    keys = [{"id": key.kid, "private_key": {"value": key.private_pem()}} for key in KEYS]
    return {"audience": AUDIENCE, "keys": keys} | changes


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("assertion", concurrency=4)
    forward = {"forward": {"assertion": settings()}}
    world.account("acme", forward | {"bearer": {"audiences": [API], "providers": ["corp"]}})
    world.account("short", {"forward": {"assertion": settings(lifetime="3s", header="X-Who")}})
    world.account("two", forward | {"origins": ["https://two.app.test", "https://other.app.test"]})
    world.account("bare", {"forward": {"identity": [], "id_token": "x-id-token"}})
    world.account("some", {"forward": {"identity": ["roles", "user"]}})
    world.account("passwords", forward | {"password": PASSWORDS, "directory": {"static": {"users": [
        {"username": "ada", "email": "ada@acme.com", "roles": ["member"]}]}}})
    world.account("off", forward | {"sso": "disabled", "forward": {"assertion": settings(header="x-vouch"), "id_token": "x-raw"}})
    world.start()
    return world


def jwks(account) -> dict:
    reply = account.client().get(account.url("/sso/jwks"))
    assert reply.status == 200 and reply.get("content-type") == "application/jwk-set+json", reply
    return reply.json()


def by_pyjwt(**given) -> subprocess.CompletedProcess:
    return subprocess.run([PROJECT / ".venv-nanoidp/bin/python", "-c", PYJWT], input=json.dumps(given), capture_output=True, text=True, timeout=60)


def by_jose(**given) -> subprocess.CompletedProcess:
    return subprocess.run(["node", "--input-type=module", "-e", NODE], input=json.dumps(given), capture_output=True, text=True,
                          timeout=60, cwd=PROJECT / "tests/e2e")


def verified(account, token: str, issuer: str | None = None) -> dict:
    """The claims, by both libraries."""
    given = {"token": token, "jwks": jwks(account), "audience": AUDIENCE, "issuer": issuer or account.origin}
    found = []
    for verify in (by_pyjwt, by_jose):
        done = verify(**given)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    return found[0]


def header(token: str) -> dict:
    return json.loads(jose.b64u_decode(token.split(".")[0]))


def test_the_keys_are_public_and_hold_no_private_part(world):
    acme = world.accounts["acme"]
    published = jwks(acme)["keys"]
    assert [key["kid"] for key in published] == ["a1", "a0"]
    assert published == [key.jwk() for key in KEYS], "the public halves, and no member more"
    assert jwks(world.accounts["bare"]) == {"keys": []}
    refused(acme.client().request("POST", acme.url("/sso/jwks")), "method_not_allowed")


def test_two_libraries_verify_it(world):
    acme = world.accounts["acme"]
    acme.idp.person |= {"groups": ["lakehouse-admins"], "amr": ["pwd", "otp"], "acr": "silver"}
    begun = int(time.time())
    client = acme.signed_in()
    [token] = client.get(acme.url("/who")).seen()["x-sso-assertion"]
    assert header(token) == {"alg": "ES256", "kid": "a1", "typ": "JWT"}
    claims = verified(acme, token)
    dates = {name: claims.pop(name) for name in ("iat", "nbf", "exp", "auth_time")}
    assert begun <= dates["auth_time"] <= dates["iat"] == dates["nbf"] <= int(time.time())
    assert dates["exp"] == dates["iat"] + 300
    sid = claims.pop("sid")
    assert len(sid) == 32 and sid not in str(client.cookies)
    assert claims == {"iss": acme.origin, "aud": AUDIENCE, "sub": "ada@acme.com", "email": "ada@acme.com", "name": "Ada Lovelace",
                      "roles": ["account_admin"], "account": "acme", "idp": "corp", "method": "sso", "amr": ["pwd", "otp"], "acr": "silver"}


def test_a_wrong_audience_issuer_or_byte_is_refused_by_both(world):
    acme = world.accounts["acme"]
    [token] = acme.signed_in().get(acme.url("/who")).seen()["x-sso-assertion"]
    good = {"token": token, "jwks": jwks(acme), "audience": AUDIENCE, "issuer": acme.origin}
    head, body, signature = token.split(".")
    claims = json.loads(jose.b64u_decode(body)) | {"sub": "root"}
    forged = f"{head}.{jose.b64u(json.dumps(claims).encode())}.{signature}"
    for changes in ({"audience": "https://other.internal"}, {"issuer": "https://evil.test"}, {"token": forged}):
        for verify in (by_pyjwt, by_jose):
            assert verify(**good | changes).returncode != 0, changes
    for verify in (by_pyjwt, by_jose):
        assert verify(**good).returncode == 0


def test_it_is_signed_once_for_a_session_on_all_workers(world):
    acme = world.accounts["acme"]
    client = acme.signed_in()
    signed = lambda: sum(world.envoy.stats("sso_assertions_signed").values())  # noqa: E731
    first = client.get(acme.url("/who")).seen()["x-sso-assertion"]
    before = signed()
    tokens = {client.get(acme.url(f"/who?{n}")).seen()["x-sso-assertion"][0] for n in range(80)}
    assert tokens == set(first) and signed() == before


def test_sessions_of_every_kind_have_one(world):
    acme = world.accounts["acme"]
    token = access_token(acme)
    exp = json.loads(jose.b64u_decode(token.split(".")[1]))["exp"]
    many = {ask(acme, token).seen()["x-sso-assertion"][0] for _ in range(40)}
    assert len(many) == 1, "a token is one on every worker"
    claims = verified(acme, many.pop())
    assert claims["method"] == "bearer" and claims["sub"] == "ada@acme.com" and claims["exp"] <= exp
    now = int(time.time())
    dying = ask(acme, access_token(acme, exp=now + 20)).seen()["x-sso-assertion"][0]
    assert verified(acme, dying)["exp"] == now + 20, "no longer than the token"

    account = world.accounts["passwords"]
    client = account.client()
    form = {"content-type": "application/x-www-form-urlencoded", "origin": account.origin, "sec-fetch-site": "same-origin"}
    reply = client.request("POST", account.url("/login"), body="username=ada", headers=form)
    assert "x-sso-assertion" not in reply.seen()
    claims = verified(account, client.get(account.url("/who")).seen()["x-sso-assertion"][0])
    assert claims["method"] == "password" and claims["roles"] == ["member"]
    assert "idp" not in claims and "amr" not in claims and "acr" not in claims and "name" not in claims


def test_the_issuer_is_the_origin_that_was_asked(world):
    two = world.accounts["two"]
    tokens = {}
    for origin in two.config["origins"]:
        client = two.client()
        client.login(f"{origin}/who")
        [tokens[origin]] = client.get(f"{origin}/who").seen()["x-sso-assertion"]
    for origin, token in tokens.items():
        assert verified(two, token, origin)["iss"] == origin


@pytest.mark.slow
def test_a_short_one_is_signed_anew_before_it_expires(world):
    short = world.accounts["short"]
    client = short.signed_in()
    tokens, until = [], time.time() + 8
    while time.time() < until:
        asked = time.time()
        [token] = client.get(short.url("/who")).seen()["x-who"]
        claims = json.loads(jose.b64u_decode(token.split(".")[1]))
        assert claims["exp"] > asked and claims["exp"] - claims["iat"] == 3
        if token not in tokens:
            tokens.append(token)
        time.sleep(0.05)
    assert 2 <= len(tokens) <= 5, len(tokens)


ALIASES = ["x-sso-assertion", "X-SSO-Assertion", "x_sso_assertion", "x.sso.assertion", "X-Sso_Assertion"]


@pytest.mark.parametrize("code, names", [
    ("acme", ALIASES), ("short", ["x-who", "X_Who", "x.who"]), ("bare", ["x-id-token", "X_Id_Token", "x.id.token", "x-sso-user", "x_sso_roles"]),
    ("off", ["x-vouch", "x_vouch", "x-raw", "X.Raw"])])
def test_a_forged_header_never_arrives(world, code, names):
    account = world.accounts[code]
    clients = [account.client()] if code == "off" else [account.client(), account.signed_in()]
    for client in clients:
        for path in ("/static/x", "/api/sql/x", "/healthz", "/who"):
            reply = client.get(account.url(path), more_headers=[(name, "forged") for name in names])
            if reply.code is None:
                assert "forged" not in reply.text, reply
            else:
                refused(reply, "login_required")


def test_which_headers_are_set_is_the_operators_choice(world):
    some = world.accounts["some"].signed_in().get(world.accounts["some"].url("/who")).seen()
    assert sorted(name for name in some if name.startswith("x-sso-")) == ["x-sso-roles", "x-sso-user"] or \
        sorted(name for name in some if name.startswith("x-sso-")) == ["x-sso-user"]
    bare = world.accounts["bare"]
    seen = bare.signed_in().get(bare.url("/who")).seen()
    assert not [name for name in seen if name.startswith("x-sso-")]
    [token] = seen["x-id-token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == bare.idp.issuer and claims["nonce"], "the ID token itself, without Bearer"


def test_the_key_ring_turns(world):
    """The second key becomes the first: new assertions are signed by it, old ones still verify."""
    acme = world.accounts["acme"]
    client = acme.signed_in()
    [old] = client.get(acme.url("/who")).seen()["x-sso-assertion"]
    acme.config["forward"]["assertion"]["keys"].reverse()
    assert world.update()
    fresh = eventually(lambda: (lambda t: header(t)["kid"] == "a0" and t)(client.get(acme.url("/who")).seen()["x-sso-assertion"][0]),
                       what="the other key")
    assert verified(acme, fresh)["sid"] == verified(acme, old)["sid"]
