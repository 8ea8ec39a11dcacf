"""SAML responses of which a test decides every byte, signed and encrypted by hand.

Canonical form is libxml2's (by lxml), the cryptography is `cryptography`'s: nothing here shares code with what it
tests. An `Answer` is the good response; a test changes one part of it.
"""

import base64
import datetime
import hashlib
import hmac
import os
import textwrap
import time
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DSIG + "enveloped-signature"
RSA_SHA256 = MORE + "rsa-sha256"
SHA256 = XENC + "sha256"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
SIGNED = ["response", "assertion", "both"]


class Key:
    """A private key with a certificate of its own making."""

    def __init__(self, name: str, private=None, days: int = 3650):
        self.private = private or rsa.generate_private_key(65537, 2048)
        called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=400)
        self.certificate = (x509.CertificateBuilder().subject_name(called).issuer_name(called)
                            .public_key(self.private.public_key()).serial_number(x509.random_serial_number())
                            .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=400 + days))
                            .sign(self.private, hashes.SHA256()))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def base64(self) -> str:
        return base64.b64encode(self.der).decode()

    @property
    def private_pem(self) -> str:
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()).decode()

    @property
    def key_info(self) -> str:
        return (f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{self.base64}</ds:X509Certificate></ds:X509Data>"
                "</ds:KeyInfo>")

    def sign(self, algorithm: str, message: bytes) -> bytes:
        kind = HASHES.get(algorithm.rsplit("-", 1)[-1], hashes.SHA256)()
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(kind)))
            size = (self.private.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return self.private.sign(message, padding.PKCS1v15(), kind)


class Hmac:
    """A 'key' of an attacker: HMAC with what everybody knows."""

    key_info = ""

    def __init__(self, secret: bytes):
        self.secret = secret

    def sign(self, algorithm: str, message: bytes) -> bytes:
        return hmac.new(self.secret, message, hashlib.sha256).digest()


def at(offset: float = 0) -> str:
    """A time, in seconds from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


def method(name: str, algorithm: str, inside: str = "") -> str:
    return f'<ds:{name} Algorithm="{algorithm}">{inside}</ds:{name}>'


def inclusive(prefixes: str) -> str:
    return f'<ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="{prefixes}"/>'


@dataclass
class Spec:
    """How something is signed."""

    key: object
    algorithm: str = RSA_SHA256
    digest: str = SHA256
    canonicalization: str = method("CanonicalizationMethod", EXC_C14N)
    transforms: str = method("Transform", ENVELOPED) + method("Transform", EXC_C14N)
    prefixes: list = field(default_factory=list)  # those that InclusiveNamespaces names in both places
    uri: str | None = None  # None: to the element itself
    key_info: str | None = None  # None: the key's own
    more: str = ""  # at the end of SignedInfo


def canonical(node, prefixes=()) -> bytes:
    return etree.tostring(node, method="c14n", exclusive=True, with_comments=False,
                          inclusive_ns_prefixes=list(prefixes) or None)


def parse(text: str):
    return etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, huge_tree=False, no_network=True))


def sign(message: str, spec: Spec) -> str:
    """The message with a signature behind its Issuer, or where that would be."""
    root = parse(message)
    place = "</saml:Issuer>" if len(root) and root[0].tag == f"{{{SAML}}}Issuer" else ">"
    kind = spec.digest.rsplit("#", 1)[-1]
    value = base64.b64encode(hashlib.new(kind, canonical(root, spec.prefixes)).digest()).decode()
    uri = f"#{root.get('ID')}" if spec.uri is None else spec.uri
    key_info = spec.key.key_info if spec.key_info is None else spec.key_info
    template = (f'<ds:Signature xmlns:ds="{DSIG}"><ds:SignedInfo>{spec.canonicalization}'
                f'{method("SignatureMethod", spec.algorithm)}<ds:Reference URI={quoteattr(uri)}><ds:Transforms>'
                f'{spec.transforms}</ds:Transforms>{method("DigestMethod", spec.digest)}<ds:DigestValue>{value}'
                f'</ds:DigestValue></ds:Reference>{spec.more}</ds:SignedInfo><ds:SignatureValue>@@</ds:SignatureValue>'
                f'{key_info}</ds:Signature>')
    unsigned_message = behind(message, place, template)
    info = parse(unsigned_message).find(f"{{{DSIG}}}Signature/{{{DSIG}}}SignedInfo")
    made = base64.b64encode(spec.key.sign(spec.algorithm, canonical(info, spec.prefixes))).decode()
    return unsigned_message.replace("@@", "\n".join(textwrap.wrap(made, 76)), 1)  # wrapped as most IdPs wrap it


# Cutting and putting together.

def cut(text: str, opening: str, closing: str) -> str:
    """The first element with this opening, through its closing tag."""
    start = text.index(opening)
    return text[start:text.index(closing, start) + len(closing)]


def signature(text: str) -> str:
    return cut(text, "<ds:Signature ", "</ds:Signature>")


def unsigned(text: str) -> str:
    """Without its first signature."""
    return text.replace(signature(text), "", 1)


def behind(text: str, after: str, what: str) -> str:
    place = text.index(after) + len(after)
    return text[:place] + what + text[place:]


def into(text: str, before: str, what: str) -> str:
    place = text.rindex(before)
    return text[:place] + what + text[place:]


def attributes(**named) -> str:
    """XML attributes; those that are None are left out."""
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in named.items() if value is not None)


def attribute(name: str, *values: str, **more) -> str:
    inside = "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
    return f"<saml:Attribute{attributes(Name=name, **more)}>{inside}</saml:Attribute>"


def statement(*inside: str) -> str:
    return f"<saml:AttributeStatement>{''.join(inside)}</saml:AttributeStatement>"


def restriction(audience: str) -> str:
    return f"<saml:AudienceRestriction><saml:Audience>{escape(audience)}</saml:Audience></saml:AudienceRestriction>"


def status(code: str, inner: str = "", message: str = "") -> str:
    inside = f'<samlp:StatusCode Value="{STATUS}{inner}"/>' if inner else ""
    said = f"<samlp:StatusMessage>{escape(message)}</samlp:StatusMessage>" if message else ""
    return f'<samlp:Status><samlp:StatusCode Value="{STATUS}{code}">{inside}</samlp:StatusCode>{said}</samlp:Status>'


@dataclass
class Answer:
    """A response before it is written. Of what is None, the attribute or element is left out."""

    spec: Spec
    style: str  # nothing | response | assertion | both
    issuer: str | None
    acs: str
    entity: str
    request: str | None
    user: str = "ada@acme.com"
    response_id: str = field(default_factory=lambda: "_r" + os.urandom(16).hex())
    assertion_id: str = field(default_factory=lambda: "_a" + os.urandom(16).hex())
    status: str = status("Success")
    response: dict = field(default_factory=dict)  # attributes of the Response, changed
    assertion: dict = field(default_factory=dict)
    assertion_issuer: str | None = None  # None: the same
    name_id: str | None = None
    confirmation: dict = field(default_factory=dict)
    confirmations: str | None = None
    conditions: dict = field(default_factory=dict)
    restrictions: str | None = None
    conditions_text: str | None = None
    authn: dict = field(default_factory=dict)
    authn_text: str | None = None
    statements: str | None = None
    encrypt: object = None

    def but(self, **changes) -> "Answer":
        return replace(self, **changes)

    def _issuer(self, name: str | None) -> str:
        return "" if name is None else f"<saml:Issuer>{escape(name)}</saml:Issuer>"

    def _assertion(self) -> str:
        head = {"ID": self.assertion_id, "Version": "2.0", "IssueInstant": at()} | self.assertion
        name = self.name_id
        if name is None:
            name = f'<saml:NameID Format="{EMAIL}">{escape(self.user)}</saml:NameID>'
        data = {"Recipient": self.acs, "InResponseTo": self.request, "NotOnOrAfter": at(300)} | self.confirmation
        confirmations = self.confirmations
        if confirmations is None:
            confirmations = (f'<saml:SubjectConfirmation Method="{BEARER}"><saml:SubjectConfirmationData'
                             f'{attributes(**data)}/></saml:SubjectConfirmation>')
        within = {"NotBefore": at(-5), "NotOnOrAfter": at(300)} | self.conditions
        conditions = self.conditions_text
        if conditions is None:
            inside = restriction(self.entity) if self.restrictions is None else self.restrictions
            conditions = f"<saml:Conditions{attributes(**within)}>{inside}</saml:Conditions>"
        session = {"AuthnInstant": at(-5), "SessionIndex": "_session"} | self.authn
        authn = self.authn_text
        if authn is None:
            authn = (f"<saml:AuthnStatement{attributes(**session)}><saml:AuthnContext><saml:AuthnContextClassRef>"
                     "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
                     "</saml:AuthnStatement>")
        statements = self.statements
        if statements is None:
            statements = statement(attribute("email", self.user, FriendlyName="mail"))
        issuer = self._issuer(self.issuer if self.assertion_issuer is None else self.assertion_issuer)
        return (f'<saml:Assertion xmlns:saml="{SAML}"{attributes(**head)}>{issuer}<saml:Subject>{name}{confirmations}'
                f"</saml:Subject>{conditions}{authn}{statements}</saml:Assertion>")

    def signed_assertion(self) -> str:
        text = self._assertion()
        return sign(text, self.spec) if self.style in ("assertion", "both") else text

    def around(self, inside: str) -> str:
        """The response around this, signed where the style says so."""
        head = {"ID": self.response_id, "Version": "2.0", "IssueInstant": at(), "Destination": self.acs,
                "InResponseTo": self.request} | self.response
        text = (f'<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{attributes(**head)}>'
                f"{self._issuer(self.issuer)}{self.status}{inside}</samlp:Response>")
        return sign(text, self.spec) if self.style in ("response", "both") else text

    def write(self) -> str:
        inside = self.signed_assertion()
        return self.around(self.encrypt(inside) if self.encrypt else inside)


@dataclass
class Lock:
    """Encrypts an assertion to a certificate."""

    key: Key
    cipher: str = "aes256-gcm"
    transport: str = "rsa-oaep-mgf1p"
    digest: str = "sha1"
    mask: str = "sha1"
    beside: bool = False  # Okta: the EncryptedKey beside the EncryptedData
    retrieval: str = "#_key"

    def seal(self, plain: bytes) -> tuple[bytes, bytes]:
        key = os.urandom(16 if "128" in self.cipher else 32)
        if self.cipher.endswith("gcm"):
            nonce = os.urandom(12)
            content = nonce + AESGCM(key).encrypt(nonce, plain, None)
        else:
            missing = 16 - len(plain) % 16
            iv = os.urandom(16)
            encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
            content = iv + encryptor.update(plain + bytes(missing - 1) + bytes([missing])) + encryptor.finalize()
        pad = padding.OAEP(padding.MGF1(HASHES[self.mask]()), HASHES[self.digest](), None)
        if self.transport == "rsa-1_5":
            pad = padding.PKCS1v15()
        return content, self.key.private.public_key().encrypt(key, pad)

    def __call__(self, plain: str) -> str:
        content, wrapped = (base64.b64encode(part).decode() for part in self.seal(plain.encode()))
        space = XENC11 if self.cipher.endswith("gcm") else XENC
        transport = XENC11 if self.transport == "rsa-oaep" else XENC
        digest = f'<ds:DigestMethod Algorithm="{XENC}{self.digest}"/>' if self.digest != "sha1" else ""
        mask = f'<m:MGF xmlns:m="{XENC11}" Algorithm="{XENC11}mgf1{self.mask}"/>' if self.mask != "sha1" else ""
        key = (f'<xenc:EncryptedKey Id="_key"><xenc:EncryptionMethod Algorithm="{transport}{self.transport}">{digest}{mask}'
               f"</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue></xenc:CipherData>"
               "</xenc:EncryptedKey>")
        inside, beside = key, ""
        if self.beside:
            inside, beside = f'<ds:RetrievalMethod Type="{XENC}EncryptedKey" URI="{self.retrieval}"/>', key
        return (f'<saml:EncryptedAssertion xmlns:saml="{SAML}" xmlns:xenc="{XENC}" xmlns:ds="{DSIG}">'
                f'<xenc:EncryptedData Type="{XENC}Element"><xenc:EncryptionMethod Algorithm="{space}{self.cipher}"/>'
                f"<ds:KeyInfo>{inside}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{content}</xenc:CipherValue>"
                f"</xenc:CipherData></xenc:EncryptedData>{beside}</saml:EncryptedAssertion>")
