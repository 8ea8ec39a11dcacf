"""Certificates that cost a reader more than their length, in the KeyInfo of messages that a stranger signs."""

import base64
import functools

from cases import CRYPTO, LOGIN, LOGOUT, RESPONSE, message, saml_case
from harness.saml import key
from harness.saml_forge import SAML, Spec, at, sign

SUCCESS = '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
COMMON_NAME = bytes.fromhex("0603550403")


def der(tag: int, *content: bytes) -> bytes:
    inside = b"".join(content)
    size = len(inside)
    length = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + inside


def common_name(number: int) -> bytes:
    return der(0x30, COMMON_NAME, der(0x0c, b"%05d" % number))


def descending(often: int) -> bytes:
    """One SET of names in the order that sorting by insertion takes longest with."""
    return der(0x30, der(0x31, *(common_name(number) for number in range(often, 0, -1))))


def several(often: int) -> bytes:
    return der(0x30, *(der(0x31, common_name(number)) for number in range(often)))


def nested(often: int) -> bytes:
    inside = b""
    for _ in range(often):
        inside = der(0x30, inside)
    return inside


SHAPES = {"one SET": descending, "many SETs": several, "nested": lambda often: nested(min(often, 2000))}


@functools.cache
def certificate(shape: str, often: int) -> str:
    """A real certificate whose issuer is one of these, in base64."""
    real = key("stranger").certificate
    signed, whole = real.tbs_certificate_bytes, key("stranger").der
    issuer = real.issuer.public_bytes()
    fields = signed[4:].replace(issuer, SHAPES[shape](often), 1)
    made = der(0x30, der(0x30, fields), whole[whole.index(signed) + len(signed):])
    return base64.b64encode(made).decode()


def key_info(texts: list[str]) -> str:
    return "<ds:KeyInfo>" + "".join(f"<ds:X509Data><ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data>" for text in texts) + "</ds:KeyInfo>"


def signed(account, kind: str, text: str, shown: list[str]) -> str:
    """The message with a good signature by a key that is not the provider's."""
    spec = Spec(key("stranger"), key_info=key_info(shown))
    if kind == "LogoutRequest":
        return sign(text, spec)
    assertion = f'<saml:Assertion xmlns:saml="{SAML}" ID="_b" Version="2.0" IssueInstant="{at()}"><saml:Issuer>{account.saml.entity}</saml:Issuer></saml:Assertion>'
    return text.replace("<!--HERE-->", sign(assertion, spec))


def of(world):
    """Logout requests, and answers to a login of one's own."""
    account = world.accounts["saml"]
    for shape in SHAPES:
        for room, endpoint, budget in ((16 << 10, "logout", CRYPTO), (LOGOUT - 6000, "logout", CRYPTO), (16 << 10, "answer", LOGIN),
                                       (RESPONSE - 12_000, "answer", LOGIN), (16 << 10, "unsolicited", CRYPTO)):
            kind = "LogoutRequest" if endpoint == "logout" else "Response"
            inside = "<saml:NameID>ada</saml:NameID>" if kind == "LogoutRequest" else f"{SUCCESS}<!--HERE-->"
            often = (room * 3 // 4 - 1500) // 16
            for many in (1, 4):
                text = signed(account, kind, message(kind, account, inside), [certificate(shape, often // many)] * many)
                case = saml_case(account, endpoint, text, f"{endpoint}: {many} certificates, {shape} of {often // many}")
                case.budget = budget
                yield case
