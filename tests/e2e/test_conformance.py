"""What the relying-party modules of the OpenID conformance suite ask of the code flow, as a table, and more.

Each row is two accounts with a provider each: at one the row's fault, at the other its twin that differs in
one thing and signs in. So a filter that refuses everything fails as surely as one that lets everything in.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Callable

import pytest

from harness import jose
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.idp import DROP
from harness.net import eventually

BAD_TOKEN = ("id_token_invalid",)
BAD_ANSWER = ("idp_invalid_answer",)
EITHER = BAD_TOKEN + BAD_ANSWER


@dataclass
class Row:
    name: str
    bad: Callable
    good: Callable = lambda idp: None
    codes: tuple = BAD_TOKEN
    oidc: dict = field(default_factory=dict)
    user: str = "ada@acme.com"


def claims(**values):
    return lambda idp: idp.change("claims", **values)


def header(**values):
    return lambda idp: idp.change("header", **values)


def token(**values):
    return lambda idp: idp.change("token", **values)


def discovery(**values):
    return lambda idp: idp.change("discovery", **values)


def now(seconds=0):
    return int(time.time()) + seconds


def also(*changes):
    def all_of_them(idp):
        for change in changes:
            change(idp)
    return all_of_them


def put(**attributes):
    """Sets attributes of the provider; a function is called with it first."""
    def setter(idp):
        for name, value in attributes.items():
            setattr(idp, name, value(idp) if callable(value) and name != "tamper" else value)
    return setter


def signing(kid, alg=None, published=None):
    """Signs with that key and publishes it."""
    def setter(idp):
        idp.signing, idp.alg = idp.keys[kid], alg
        idp.published = [idp.keys[k].jwk(alg=alg if k == kid and alg else idp.keys[k].default_alg)
                         for k in (published or [kid])]
    return setter


def keys(make):
    return lambda idp: setattr(idp, "published", make(idp))


def tamper(change):
    """Changes the finished token, whose signature then no longer fits unless `change` is harmless."""
    return lambda idp: setattr(idp, "tamper", change)


def rewrite(change):
    """Changes the text of the payload before it is signed: what json.dumps would never write."""
    def setter(idp):
        def again(made):
            text = change(jose.b64u_decode(made.split(".")[1]).decode())
            return jose.encode({"alg": "RS256", "kid": "rsa-1"}, text if isinstance(text, bytes) else text.encode(),
                               "RS256", idp.keys["rsa-1"])
        idp.tamper = again
    return setter


def flip_signature(made):
    head, body, mac = made.split(".")
    raw = bytearray(jose.b64u_decode(mac))
    raw[len(raw) // 2] ^= 1
    return f"{head}.{body}.{jose.b64u(bytes(raw))}"


def der_signature(made):
    """An ECDSA signature as DER, which other libraries write and JWS does not (RFC 7518 section 3.4)."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    head, body, mac = made.split(".")
    raw = jose.b64u_decode(mac)
    half = len(raw) // 2
    der = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
    return f"{head}.{body}.{jose.b64u(der)}"


def zero_signature(made):
    head, body, mac = made.split(".")
    return f"{head}.{body}.{jose.b64u(bytes(len(jose.b64u_decode(mac))))}"


def hmac_with(secret):
    """HS256 with a key that an attacker knows."""
    return lambda idp: (setattr(idp, "alg", "HS256"), setattr(idp, "sign_with", secret(idp)))


def forged(idp):
    """A signature by a key that is not the provider's, under the kid of one that is."""
    idp.sign_with = idp.keys["rsa-2"]


def forged_with_header(**values):
    return lambda idp: (forged(idp), idp.change("header", **{k: v(idp) if callable(v) else v for k, v in values.items()}))


RSA = "rsa-1"
STRANGE = [{"kty": "XYZ", "kid": "?"}, {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}, {"kty": "EC", "crv": "secp256k1",
           "x": "AA", "y": "AA", "kid": "k1"}, {"kid": "no kty"}, {"kty": "oct", "k": "AAAA", "kid": "oct"},
           {"kty": "RSA", "use": "enc", "kid": RSA, "n": "AQAB", "e": "AQAB"}]

ROWS = [
    # iss: OpenID Connect Core 3.1.3.7 step 2.
    Row("iss of another", claims(iss="https://evil.test")),
    Row("iss missing", claims(iss=DROP)),
    Row("iss with a trailing slash", lambda idp: idp.change("claims", iss=idp.issuer + "/")),
    Row("iss in another case", lambda idp: idp.change("claims", iss=idp.issuer.upper())),
    Row("iss as a list", lambda idp: idp.change("claims", iss=[idp.issuer])),
    # sub
    Row("sub missing", claims(sub=DROP)),
    Row("sub empty", claims(sub=""), claims(sub="0")),
    Row("sub a number", claims(sub=7), claims(sub="7")),
    # aud and azp: steps 3 to 5.
    Row("aud of another client", claims(aud="somebody-else")),
    Row("aud missing", claims(aud=DROP)),
    Row("aud a list without us", claims(aud=["somebody-else"]), claims(aud=["lakehouse"])),
    Row("aud an empty list", claims(aud=[])),
    Row("aud a number", claims(aud=1)),
    Row("aud that merely contains us", claims(aud="lakehouse-2")),
    Row("several aud without azp", claims(aud=["lakehouse", "other"]), claims(aud=["lakehouse", "other"], azp="lakehouse")),
    Row("azp of another", claims(azp="somebody-else"), claims(azp="lakehouse")),
    # iat, exp, nbf: steps 9 and 10.
    Row("iat missing", claims(iat=DROP)),
    Row("iat in the future", lambda idp: idp.change("claims", iat=now(3600), exp=now(7200)), claims(exp=now(7200))),
    Row("iat as text", lambda idp: idp.change("claims", iat=str(now()))),
    Row("exp missing", claims(exp=DROP)),
    Row("exp past", lambda idp: idp.change("claims", iat=now(-7200), exp=now(-3600))),
    Row("exp as text", lambda idp: idp.change("claims", exp=str(now(300)))),
    Row("exp null", claims(exp=None)),
    Row("exp negative", claims(exp=-1)),
    Row("nbf in the future", lambda idp: idp.change("claims", nbf=now(3600), exp=now(7200)),
        lambda idp: idp.change("claims", nbf=now(-60))),
    Row("nbf as text", lambda idp: idp.change("claims", nbf="soon"), lambda idp: idp.change("claims", nbf=now(-60))),
    # nonce: step 11.
    Row("nonce missing", claims(nonce=DROP)),
    Row("nonce of another login", claims(nonce="A" * 43)),
    Row("nonce empty", claims(nonce="")),
    Row("nonce a list", claims(nonce=["A" * 43])),
    # at_hash: Core 3.1.3.8.
    Row("at_hash of another token", claims(at_hash=jose.left_hash("RS256", "another")), claims(at_hash=DROP)),
    Row("at_hash a number", claims(at_hash=5)),
    # Signatures.
    Row("signature changed", tamper(flip_signature)),
    Row("signature empty", tamper(lambda made: made.rsplit(".", 1)[0] + ".")),
    Row("signature missing", tamper(lambda made: made.rsplit(".", 1)[0]), codes=EITHER),
    Row("payload changed", tamper(lambda made: ".".join([made.split(".")[0], jose.b64u(json.dumps(
        jose.claims_of(made) | {"email": "root@acme.com"}).encode()), made.split(".")[2]]))),
    Row("signed by another key under the same kid", forged),
    Row("alg none", header(alg="none")),
    Row("alg none without a signature in the middle of nowhere", also(header(alg="none", kid=DROP))),
    Row("alg nOnE", also(header(alg="nOnE"), put(sign_with=lambda idp: idp.keys["rsa-2"]))),
    Row("alg missing", header(alg=DROP), codes=EITHER),
    Row("HS256 with the public key as secret", hmac_with(lambda idp: idp.keys[RSA].public_pem().encode())),
    Row("HS256 with the modulus as secret", hmac_with(lambda idp: jose.b64u_decode(idp.keys[RSA].jwk()["n"]))),
    Row("HS256 with the client's secret where it is not configured", hmac_with(lambda idp: b"the secret of the client")),
    Row("HS256 with another secret where it is configured", hmac_with(lambda idp: b"another"),
        hmac_with(lambda idp: b"the secret of the client"), oidc={"id_token_signed_response_alg": "HS256"}),
    Row("RS256 where HS256 is configured", lambda idp: None, hmac_with(lambda idp: b"the secret of the client"),
        oidc={"id_token_signed_response_alg": "HS256"}),
    Row("RS256 where ES256 is configured", signing(RSA), signing("p256"), oidc={"id_token_signed_response_alg": "ES256"}),
    Row("HS256 with a symmetric key that the set publishes", also(
        hmac_with(lambda idp: b"published"), header(kid="oct"),
        keys(lambda idp: [idp.signing.jwk(), {"kty": "oct", "kid": "oct", "k": jose.b64u(b"published"), "alg": "HS256"}]))),
    Row("a key of its own in the header (jwk)", forged_with_header(jwk=lambda idp: idp.keys["rsa-2"].jwk(), kid=DROP)),
    Row("a key behind a URL in the header (jku)", forged_with_header(jku="https://evil.idp.test/jwks", kid="rsa-2")),
    Row("a certificate behind a URL in the header (x5u)", forged_with_header(x5u="https://evil.idp.test/x", kid="rsa-2")),
    Row("a crit header", header(crit=["exp"]), header(typ="JWT")),
    Row("an unencoded payload (b64)", header(crit=["b64"], b64=False)),
    Row("ES256 as DER", also(signing("p256"), tamper(der_signature)), signing("p256")),
    Row("ES256 of zeros", also(signing("p256"), tamper(zero_signature)), signing("p256")),
    Row("ES256 with a P-384 key", also(signing("p384"), header(alg="ES256")), signing("p384")),
    Row("PS256 under a key for RS256", also(put(alg="PS256")), signing(RSA, "PS256")),
    # Each algorithm, and its signature changed.
    *[Row(f"{alg} changed", also(signing(kid, alg), tamper(flip_signature)), signing(kid, alg)) for alg, kid in [
        ("RS256", RSA), ("RS384", RSA), ("RS512", RSA), ("PS256", RSA), ("PS384", RSA), ("PS512", RSA),
        ("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521"), ("EdDSA", "ed25519")]],
    # Keys.
    Row("kid unknown", header(kid="nobody"), header(kid=RSA)),
    Row("kid absent, signed by a stranger", also(header(kid=DROP), forged), header(kid=DROP)),
    Row("kid a number", header(kid=1), codes=EITHER),
    Row("key set empty", keys(lambda idp: []), keys(lambda idp: [idp.signing.jwk()])),
    Row("key for encryption only", keys(lambda idp: [idp.signing.jwk(use="enc")]),
        keys(lambda idp: [idp.signing.jwk(use=None, alg=None)])),
    Row("key whose operations are others", keys(lambda idp: [idp.signing.jwk(use=None, key_ops=["encrypt"])]),
        keys(lambda idp: [idp.signing.jwk(use=None, key_ops=["verify"])])),
    Row("strange keys only", keys(lambda idp: STRANGE), keys(lambda idp: STRANGE + [idp.signing.jwk()])),
    Row("kid of a key of another type", also(keys(lambda idp: [idp.keys["p256"].jwk(kid=RSA)])),
        keys(lambda idp: [idp.keys["p256"].jwk(kid=RSA), idp.signing.jwk()])),
    # What the token endpoint says.
    Row("ID token missing", token(id_token=DROP), codes=EITHER),
    Row("ID token a number", token(id_token=5), codes=EITHER),
    Row("ID token no JWT", token(id_token="x"), codes=EITHER),
    Row("ID token encrypted", tamper(lambda made: made + ".a.b"), codes=EITHER),
    Row("ID token with padding", tamper(lambda made: made + "=="), codes=EITHER),
    Row("ID token with a line break", tamper(lambda made: made.replace(".", ".\n", 1)), codes=EITHER),
    Row("access token missing", token(access_token=DROP), codes=EITHER),
    Row("access token a list", token(access_token=["x"]), codes=EITHER),
    # RFC 6749 section 5.1 demands it; several providers leave it out.
    Row("token type a number", token(token_type=1), token(token_type=DROP), codes=EITHER),
    Row("token type another", token(token_type="mac"), codes=EITHER),
    # The payload as text.
    Row("payload not JSON", rewrite(lambda text: text[:-1]), rewrite(lambda text: text), codes=EITHER),
    Row("payload a list", rewrite(lambda text: f"[{text}]"), codes=EITHER),
    Row("payload not UTF-8", rewrite(lambda text: text.encode().replace(b"Ada", b"\xff\xfe"))),
    Row("sub twice", rewrite(lambda text: text[:-1] + ', "sub": "root"}'), rewrite(lambda text: text[:-1] + ', "x": "y"}'),
        codes=EITHER),
    Row("email twice", rewrite(lambda text: text[:-1] + ', "email": "root@acme.com"}'),
        rewrite(lambda text: text[:-1] + ', "email2": "root@acme.com"}'), codes=EITHER + ("identity_missing",)),
    # The mapped claim.
    Row("email missing", claims(email=DROP), codes=("identity_missing",)),
    Row("email empty", claims(email=""), codes=("identity_missing",)),
    Row("email no address", claims(email="ada"), codes=("identity_missing",)),
    Row("email a list", claims(email=["ada@acme.com"]), codes=("identity_missing",)),
    Row("email_verified false", claims(email_verified=False), claims(email_verified=DROP), codes=("email_unverified",)),
    Row('email_verified "false"', claims(email_verified="false"), claims(email_verified="true"), codes=("email_unverified",)),
    Row("email_verified of another type", claims(email_verified=1), codes=("email_unverified",)),
    # Discovery: OpenID Connect Discovery 4.3.
    Row("discovery of another issuer", discovery(issuer="https://evil.test"), codes=("idp_unavailable",)),
    Row("discovery without an issuer", discovery(issuer=DROP), codes=("idp_unavailable",)),
    Row("iss without the slash that discovery has", lambda idp: idp.change("discovery", issuer=idp.issuer + "/"),
        lambda idp: idp.change("discovery", issuer=idp.issuer + "/").change("claims", iss=idp.issuer + "/")),
    Row("discovery without a token endpoint", discovery(token_endpoint=DROP), codes=("idp_unavailable",)),
    Row("discovery without keys", discovery(jwks_uri=DROP), codes=("idp_unavailable",) + BAD_TOKEN),
    Row("discovery with a script for an endpoint", discovery(authorization_endpoint="javascript:alert(1)"),
        codes=("idp_unavailable",)),
]


def slug(number: int, kind: str) -> str:
    return f"r{number}-{kind}"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("conformance")
    for number, row in enumerate(ROWS):
        for kind, change in (("bad", row.bad), ("good", row.good)):
            account = world.account(slug(number, kind), **row.oidc)
            change(account.idp)
    for code in ("rotation", "rotation-before", "many", "flood", "lastgood", "evil"):
        world.account(code)
    world.account("basics")
    world.start()
    return world


def wait_for_keys(account):
    """Discovery and keys are fetched before they are needed."""
    eventually(lambda: account.idp.count("jwks") >= 1, what="the first fetch of the keys")


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.name for row in ROWS])
def test_row(world, number):
    row = ROWS[number]
    bad, good = (world.accounts[slug(number, kind)] for kind in ("bad", "good"))
    # The twin first: where it does not sign in, the refusal proves nothing.
    eventually(lambda: good.client().browse(good.url("/reports?q=1")).status in (302, 303), what="the provider")
    signed_in(good.signed_in(), good, row.user)
    client, mark = bad.client(), world.app.mark()
    hops = client.login(bad.url("/reports?q=1"))
    refused(hops[-1], *row.codes)
    world.app.nothing_since(mark)
    assert session_cookies(client) == {}
    signed_out(client, bad)


def test_nobody_asked_the_urls_in_token_headers(world):
    assert "evil.idp.test" not in world.idps.issuers or world.idps.issuers["evil.idp.test"].count("jwks") <= 2


def test_keys_that_rotate_are_fetched_again(world):
    account = world.accounts["rotation"]
    signed_in(account.signed_in(), account)
    before = account.idp.count("jwks")
    signing("rsa-2")(account.idp)
    signed_in(account.signed_in(), account)
    assert account.idp.count("jwks") > before


def test_keys_that_rotate_between_redirect_and_token(world):
    account = world.accounts["rotation-before"]
    client = account.client()
    start = eventually(lambda: (r := client.browse(account.url("/reports?q=1"))).status in (302, 303) and r)
    at_idp = client.browse(start.location)
    signing("p256")(account.idp)
    callback = client.browse(at_idp.location)
    assert callback.status in (302, 303), callback
    signed_in(client, account)


def test_a_flood_of_unknown_kids_fetches_the_keys_once(world):
    account = world.accounts["flood"]
    signed_in(account.signed_in(), account)
    before = account.idp.count("jwks")
    account.idp.change("header", kid="nobody")
    for _ in range(12):
        callback, _ = account.callback(account.client())
        refused(callback, "id_token_invalid")
    # At most once a minute; a slow machine may take longer than one minute for this.
    assert account.idp.count("jwks") - before <= 2
    account.idp.reset()
    signed_in(account.signed_in(), account)


def test_the_last_good_keys_stay_when_a_refetch_fails(world):
    account = world.accounts["lastgood"]
    signed_in(account.signed_in(), account)
    account.idp.fault("jwks", status=500, body=b"{}")
    account.idp.change("header", kid="nobody")
    callback, _ = account.callback(account.client())
    refused(callback, "id_token_invalid", "idp_invalid_answer", "idp_unavailable")
    account.idp.changes.pop("header")
    signed_in(account.signed_in(), account)


def test_a_kid_less_token_among_many_keys_needs_a_signature_by_one_of_them(world):
    account = world.accounts["many"]
    account.idp.header_kid = False
    account.idp.published = [account.idp.keys[k].jwk() for k in ("rsa-2", "p256", "rsa-1")]
    client = account.client()
    hops = client.login(account.url("/reports?q=1"))
    # Core 10.1 wants a kid here; refusing is as right as finding the key that fits.
    if hops[-1].status == 200:
        signed_in(client, account)
    else:
        refused(hops[-1], "id_token_invalid")
    account.idp.published = [account.idp.keys[k].jwk() for k in ("p256", "rsa-1")]
    account.idp.sign_with = account.idp.keys["forged"]
    account.idp.signing = account.idp.keys["rsa-1"]
    callback, _ = account.callback(client := account.client())
    refused(callback, "id_token_invalid")
    signed_out(client, account)


def test_userinfo_is_asked_with_the_token_in_the_header(world):
    """oidcc-client-test-userinfo-bearer-header: never in the query (RFC 6750 section 2.3)."""
    account = world.accounts["basics"]
    signed_in(account.signed_in(), account)
    for asked in account.idp.asked:
        assert "access_token" not in asked.query
        if asked.endpoint == "userinfo":
            assert asked.headers["authorization"].startswith("Bearer ")
