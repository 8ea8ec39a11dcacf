"""JSON Web Signatures with nothing checked: a test decides every byte of header, payload and signature.

Only what the tests need of RFC 7515, 7517 and 7518, on top of `cryptography`.
"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64u_decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int, size: int | None = None) -> str:
    return b64u(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A private key with a `kid`."""

    def __init__(self, private, kid: str):
        self.private = private
        self.kid = kid

    @property
    def default_alg(self) -> str:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return "RS256"
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return "EdDSA"
        return {256: "ES256", 384: "ES384", 521: "ES512"}[self.private.key_size]

    def jwk(self, **more) -> dict:
        """The public key as a JSON Web Key; a value of None in `more` leaves the member out."""
        public = self.private.public_key()
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = public.public_numbers()
            key = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        elif isinstance(self.private, ed25519.Ed25519PrivateKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            key = {"kty": "OKP", "crv": "Ed25519", "x": b64u(raw)}
        else:
            numbers = public.public_numbers()
            size = (public.key_size + 7) // 8
            crv = {256: "P-256", 384: "P-384", 521: "P-521"}[public.key_size]
            key = {"kty": "EC", "crv": crv, "x": _number(numbers.x, size), "y": _number(numbers.y, size)}
        key |= {"kid": self.kid, "use": "sig", "alg": self.default_alg} | more
        return {name: value for name, value in key.items() if value is not None}

    def private_pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def public_pem(self) -> str:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()


def new_key(kind: str, kid: str) -> Key:
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    if kind == "RSA":
        return Key(rsa.generate_private_key(65537, 2048), kid)
    if kind == "Ed25519":
        return Key(ed25519.Ed25519PrivateKey.generate(), kid)
    return Key(ec.generate_private_key(curves[kind]()), kid)


def session_keys() -> dict[str, Key]:
    """One key of every kind, a second RSA key for rotation, and one that is never published."""
    keys = [new_key("RSA", "rsa-1"), new_key("RSA", "rsa-2"), new_key("P-256", "p256"), new_key("P-384", "p384"),
            new_key("P-521", "p521"), new_key("Ed25519", "ed25519"), new_key("RSA", "forged")]
    return {key.kid: key for key in keys}


_HASH = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def signature(alg: str, key, message: bytes) -> bytes:
    """`key` is a Key, for HS256, HS384 and HS512 bytes; `none` signs with nothing."""
    if alg.lower() == "none":
        return b""
    if alg == "EdDSA":
        return key.private.sign(message)
    digest = _HASH[alg[2:]]()
    if alg.startswith("HS"):
        return hmac.new(key, message, f"sha{alg[2:]}").digest()
    if alg.startswith("RS"):
        return key.private.sign(message, padding.PKCS1v15(), digest)
    if alg.startswith("PS"):
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH)
        return key.private.sign(message, pss, digest)
    size = (key.private.key_size + 7) // 8
    r, s = utils.decode_dss_signature(key.private.sign(message, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def encode(header: dict, claims, alg: str, key) -> str:
    """A compact JWS; `claims` is a dict, or bytes that go in as they are."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{b64u(json.dumps(header).encode())}.{b64u(payload)}"
    return f"{signed}.{b64u(signature(alg, key, signed.encode()))}"


def claims_of(token: str) -> dict:
    """The payload, unverified."""
    return json.loads(b64u_decode(token.split(".")[1]))


def header_of(token: str) -> dict:
    return json.loads(b64u_decode(token.split(".")[0]))


def left_hash(alg: str, text: str) -> str:
    """`at_hash` (OpenID Connect Core 3.1.3.6)."""
    name = "sha512" if alg == "EdDSA" else f"sha{alg[2:]}"
    digest = hashlib.new(name, text.encode()).digest()
    return b64u(digest[: len(digest) // 2])
