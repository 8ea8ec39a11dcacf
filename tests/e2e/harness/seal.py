"""Seals and opens as the filter does (src/crypto/seal.rs): sessions and marks by the thousand without a login for each."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CONSTANTS = b"expand 32-byte k"


def _less(left: bytes, right: bytes) -> bytes:
    """Four words less four others."""
    pairs = zip(struct.unpack("<4I", left), struct.unpack("<4I", right))
    return struct.pack("<4I", *((one - other) & 0xFFFFFFFF for one, other in pairs))


def _cipher(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """XChaCha20-Poly1305: ChaCha20-Poly1305 under HChaCha20's key, which is a block of ChaCha20 less what went into it."""
    block = Cipher(algorithms.ChaCha20(key, nonce[:16]), None).encryptor().update(bytes(64))
    return ChaCha20Poly1305(_less(block[:16], CONSTANTS) + _less(block[48:], nonce[:16])), bytes(4) + nonce[16:]


def _sealed(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(24)
    cipher, short = _cipher(key, nonce)
    return nonce + cipher.encrypt(short, plain, associated)


def _opened(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    cipher, short = _cipher(key, sealed[:24])
    return cipher.decrypt(short, sealed[24:], associated)


class Ring:
    """One key of `session.keys`."""

    def __init__(self, key: str, name: str = "k1"):
        self.id = name
        self.master = base64.b64decode(key)
        self.session, self.shared, self.names = (self._derived(label) for label in (b"session", b"shared", b"names"))

    def _derived(self, label: bytes) -> bytes:
        return HKDF(hashes.SHA256(), 32, b"envoy-sso v1", label).derive(self.master)

    def _session(self, cookie: str) -> tuple[str, bytes, bytes, int]:
        """The header of a cookie's value, what it is sealed with, what was sealed, and where the JSON in it ends."""
        header, payload = cookie.rsplit(".", 1)
        associated = b"envoy-sso\0session\0" + header.encode()
        # src/session/packed.rs: a version, the length of the JSON, the JSON, tokens.
        packed = _opened(self.session, base64.urlsafe_b64decode(payload + "=="), associated)
        assert packed[0] == 1, "another format"
        return header, associated, packed, 5 + int.from_bytes(packed[1:5], "little")

    def refresh_token(self, cookies: dict[str, str]) -> str:
        """That of a session."""
        chunks = sorted(cookies.items(), key=lambda one: int("0" + re.sub(r"\D", "", one[0])))
        _, _, packed, end = self._session("".join(value for _, value in chunks))
        rest = packed[end:]
        while rest:
            which, parts, rest = rest[0], [], rest[1:]
            count, rest = rest[0], rest[1:]
            for _ in range(count):
                length = int.from_bytes(rest[:4], "little")
                parts.append(base64.urlsafe_b64encode(rest[4:4 + length]).rstrip(b"=").decode())
                rest = rest[4 + length:]
            if which == 2:
                return ".".join(parts)
        return json.loads(packed[5:end])["t"]["r"]

    def copies(self, cookie: str, number: int) -> list[tuple[str, str]]:
        """Other sessions that are as this one but for their ids: each with its cookie's value."""
        header, associated, packed, end = self._session(cookie)
        session = json.loads(packed[5:end])
        made = []
        for _ in range(number):
            name = secrets.token_urlsafe(16)
            text = json.dumps(session | {"s": name}).encode()
            plain = packed[:1] + len(text).to_bytes(4, "little") + text + packed[end:]
            sealed = base64.urlsafe_b64encode(_sealed(self.session, plain, associated)).rstrip(b"=").decode()
            made.append((name, f"{header}.{sealed}"))
        return made

    def mark(self, session: str, until: int) -> tuple[bytes, bytes]:
        """Key and value in the engine that say that this session has ended, until this time in milliseconds."""
        plain = b"s" + hashlib.sha256(session.encode()).digest()[:16] + struct.pack("<Q", until)
        mac = hmac.new(self.names, digestmod="sha256")
        for part in (b"mark", plain):
            mac.update(struct.pack(">Q", len(part)) + part)
        key = b"sso/1/m/" + mac.digest()[:16].hex().encode()
        head = bytes([1, len(self.id)]) + self.id.encode()
        return key, head + _sealed(self.shared, plain, b"shared\n" + head + key)
