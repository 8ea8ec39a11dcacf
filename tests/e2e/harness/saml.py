"""Accounts with a SAML provider, and the scripted part of that provider: it reads what we ask and answers by the
forge. Nobody is asked for a password."""

import base64
import time
import urllib.parse
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from .client import Client, Reply, _Form
from .expect import session_cookies
from .idp import Fault
from .saml_forge import (DSIG, MD, POST, REDIRECT, RSA_SHA256, SAML, SAMLP, Answer, Key, Spec, at, attributes, parse,
                         sign)
from .world import Account, World

_KEYS: dict[str, Key] = {}


def cases(**rows) -> list:
    """Parameters of a test, each row under its own name."""
    return [pytest.param(*row, id=name.replace("_", "-")) for name, row in rows.items()]


def key(name: str) -> Key:
    """The key pair of this name, made once a run."""
    if name not in _KEYS:
        _KEYS[name] = Key(name)
    return _KEYS[name]


def form(reply: Reply) -> tuple[str, dict[str, str]] | None:
    """Action and fields of the one form to post on a page, whoever wrote it."""
    if "html" not in (reply.get("content-type") or ""):
        return None
    found = form_of(reply.text)
    return found and (urllib.parse.urljoin(reply.url, found[0]), found[1])


def form_of(page: str) -> tuple[str, dict[str, str]] | None:
    found = _Form()
    found.feed(page)
    return (found.action, dict(found.fields)) if found.method == "post" and found.fields else None


def deflate(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    packer = zlib.compressobj(9, wbits=-15)
    return base64.b64encode(packer.compress(data) + packer.flush()).decode()


def inflate(text: str) -> str:
    return zlib.decompress(base64.b64decode(text), -15).decode()


def redirect_query(name: str, message: str, relay_state: str | None, signer: Key | None, algorithm: str = RSA_SHA256) -> str:
    """SAML bindings section 3.4.4.1: the query, signed over its octets."""
    parts = [(name, deflate(message))]
    if relay_state is not None:
        parts.append(("RelayState", relay_state))
    if signer:
        parts.append(("SigAlg", algorithm))
    query = urllib.parse.urlencode(parts)
    if signer:
        query += "&" + urllib.parse.urlencode({"Signature": base64.b64encode(signer.sign(algorithm, query.encode())).decode()})
    return query


@dataclass
class Message:
    """A message of the filter's, as the browser carries it."""

    name: str  # SAMLRequest | SAMLResponse
    text: str
    url: str
    binding: str
    relay_state: str | None
    query: str = ""

    @property
    def root(self):
        return parse(self.text)

    @property
    def id(self) -> str:
        return self.root.get("ID")

    @property
    def issuer(self) -> str:
        return self.root.findtext(f"{{{SAML}}}Issuer")

    @property
    def acs(self) -> str:
        return self.root.get("AssertionConsumerServiceURL")

    @property
    def signed(self) -> bool:
        return "&Signature=" in self.query if self.binding == "redirect" else bool(self.root.findall(f"{{{DSIG}}}Signature"))

    def verify(self, by: Key) -> None:
        """The query's signature (the POST binding's is read by xmlsec1, through pysaml2)."""
        octets, _, signature = self.query.partition("&Signature=")
        by.certificate.public_key().verify(base64.b64decode(urllib.parse.unquote(signature)), octets.encode(),
                                           padding.PKCS1v15(), hashes.SHA256())


def message(reply: Reply) -> Message:
    """What an answer of the filter's sends the browser away with, by redirect or by a form."""
    if reply.location:
        query = urllib.parse.urlsplit(reply.location).query
        fields = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        url, binding = reply.location.split("?")[0], "redirect"
    else:
        found = form(reply)
        assert found, f"neither a redirect nor a form: {reply}"
        (url, fields), query, binding = found, "", "post"
    names = [name for name in ("SAMLRequest", "SAMLResponse") if name in fields]
    assert len(names) == 1, f"{reply} carries {sorted(fields)}"
    raw = fields[names[0]]
    text = inflate(raw) if binding == "redirect" else base64.b64decode(raw).decode()
    return Message(names[0], text, url, binding, fields.get("RelayState"), query)


_SCHEMA = []


def fits_the_schema(text: str) -> None:
    """By the OASIS schema of protocol messages that SimpleSAMLphp brings."""
    if not _SCHEMA:
        _SCHEMA.append(etree.XMLSchema(etree.parse("/usr/share/simplesamlphp/schemas/saml-schema-protocol-2.0.xsd")))
    _SCHEMA[0].assertValid(parse(text))


class SamlIssuer:
    """The provider's host: it serves metadata; everything else the tests do in its name."""

    def __init__(self, host: str, signer: Key):
        self.host = host
        self.entity = f"https://{host}/saml/metadata"
        self.sso = f"https://{host}/saml/sso"
        self.slo = f"https://{host}/saml/slo"
        self.key = signer
        self.published = [signer]
        self.faults: dict[str, Fault] = {}
        self.asked = []
        self.document = None

    def metadata(self, _asked):
        return 200, {"content-type": "application/samlmetadata+xml"}, self.metadata_text().encode()

    def metadata_text(self) -> str:
        if self.document is not None:
            return self.document
        keys = "".join(f'<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{DSIG}"><ds:X509Data><ds:X509Certificate>'
                       f"{one.base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
                       for one in self.published)
        ends = "".join(f'<md:{kind} Binding="{binding}" Location="{where}"/>'
                       for kind, where in (("SingleLogoutService", self.slo), ("SingleSignOnService", self.sso))
                       for binding in (REDIRECT, POST))
        return (f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{self.entity}"><md:IDPSSODescriptor '
                f'protocolSupportEnumeration="{SAMLP}">{keys}{ends}</md:IDPSSODescriptor></md:EntityDescriptor>')


class SamlAccount(Account):
    """One account with its own origin and SAML provider."""

    def __init__(self, world: World, code: str, changes: dict | None = None, **saml):
        super().__init__(world, code, changes or {}, {})
        world.accounts[code] = self
        self.saml = SamlIssuer(f"{code}.saml.idp.test", key("idp"))
        world.idps.issuers[self.saml.host] = self.saml
        self.settings = {"sso_url": self.saml.sso, "issuer": self.saml.entity, "certificates": [self.saml.key.pem]} | saml
        self.settings = {name: value for name, value in self.settings.items() if value is not None}
        self.config["identity_providers"] = [{"id": "corp", "title": "Acme staff", "saml": self.settings}]
        self.entity = self.settings.get("entity_id") or self.url(f"/sso/saml/metadata?u={code}")
        self.acs = self.url(f"/sso/saml/consume?u={code}")
        self.slo = self.url(f"/sso/saml/logout?u={code}")

    # The way to the provider.

    def begin(self, client: Client, path: str = "/reports?q=1") -> Message:
        """A page that nobody may see yet, up to the request at the provider."""
        asked = message(client.browse(self.url(path)))
        assert asked.name == "SAMLRequest"
        return asked

    def answer(self, to: Message | None, **changes) -> Answer:
        """The good answer to it; to none, an unsolicited one."""
        made = {"spec": Spec(self.saml.key), "style": "both", "issuer": self.saml.entity, "acs": self.acs,
                "entity": self.entity, "request": to.id if to else None}
        return Answer(**(made | changes))

    # And back.

    def post(self, client: Client, text: Answer | str, relay_state: str | None = None, *, where: str | None = None,
             **options) -> Reply:
        """The provider's page posts the response across sites."""
        raw = text.write() if isinstance(text, Answer) else text
        fields = {"SAMLResponse": base64.b64encode(raw.encode() if isinstance(raw, str) else raw).decode()}
        if relay_state is not None:
            fields["RelayState"] = relay_state
        options = {"navigation": True, "cross_site": True, "headers": {"origin": f"https://{self.saml.host}"}} | options
        return self.within_budget(lambda: client.request("POST", where or self.acs, body=fields, **options))

    def finish(self, client: Client, reply: Reply) -> Reply:
        """Through a bounce, where the filter asks for one: the page posts to its own origin."""
        found = form(reply)
        if reply.status != 200 or not found:
            return reply
        return self.within_budget(lambda: client.request(
            "POST", found[0], body=found[1], navigation=True,
            headers={"origin": self.origin, "sec-fetch-site": "same-origin"}))

    def within_budget(self, send: Callable[[], Reply]) -> Reply:
        """A worker uses private keys twenty times in one second and then answers 503, with nothing used up. A fast machine
        gets there: it sends the same again a second later, as the page asks."""
        reply = send()
        for _ in range(5):
            if reply.status != 503 or "private keys too often" not in str(self.refusals()[-1:]):
                break
            time.sleep(1)
            reply = send()
        return reply

    def signed_in(self, path: str = "/reports?q=1", **changes) -> Client:
        """A client with a session."""
        client = self.client()
        request = self.begin(client, path)
        reply = self.post(client, self.answer(request, **changes), request.relay_state)
        assert reply.status in (302, 303) and reply.location == self.url(path), (reply, self.refusals()[-1:])
        assert session_cookies(client), "nobody signed in"
        return client

    def refusals(self) -> list[dict]:
        """What the log says of refusals, for messages of failed tests and for tests of the words."""
        return [event for event in self.world.envoy.events() if event.get("code")]

    # Single logout, in the provider's name.

    def logout_request(self, name: str = "ada@acme.com", index: str | None = "_session", **changes) -> str:
        head = {"ID": "_l" + at().replace(":", "") + str(id(object())), "Version": "2.0", "IssueInstant": at(),
                "Destination": self.slo, "NotOnOrAfter": at(300)} | changes
        sessions = f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" if index is not None else ""
        return (f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{attributes(**head)}>'
                f'<saml:Issuer>{self.saml.entity}</saml:Issuer><saml:NameID>{name}</saml:NameID>{sessions}'
                "</samlp:LogoutRequest>")

    def logout_response(self, to: str, status: str = "Success", **changes) -> str:
        head = {"ID": "_lr" + to, "Version": "2.0", "IssueInstant": at(), "Destination": self.slo,
                "InResponseTo": to} | changes
        return (f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{attributes(**head)}>'
                f'<saml:Issuer>{self.saml.entity}</saml:Issuer><samlp:Status><samlp:StatusCode '
                f'Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status></samlp:LogoutResponse>')

    def send(self, client: Client, name: str, text: str, binding: str, *, signer: Key | None | bool = True,
             relay_state: str | None = "relay me", tamper=lambda query: query) -> Reply:
        """A logout message to the filter, signed by the provider unless told."""
        by = self.saml.key if signer is True else signer
        if binding == "redirect":
            query = tamper(redirect_query(name, text, relay_state, by or None))
            return client.request("GET", f"{self.slo}&{query}", navigation=True, cross_site=True)
        raw = sign(text, Spec(by)) if by else text
        fields = {name: base64.b64encode(raw.encode()).decode()}
        if relay_state is not None:
            fields["RelayState"] = relay_state
        return client.request("POST", self.slo, body=fields, navigation=True, cross_site=True,
                              headers={"origin": f"https://{self.saml.host}"})
