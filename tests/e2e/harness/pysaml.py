"""pysaml2 as an identity provider: it reads our metadata, verifies our signatures and signs by xmlsec1."""

import base64
import time
import urllib.parse

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml, sigver
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.saml import NameID
from saml2.server import Server

from .net import WORK
from .saml import Key, Message
from .saml_forge import XENC, XENC11
from .tools import need

BINDINGS = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}
SIGNATURES = {"sha256": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
              "sha512": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512")}


def xmlsec1() -> str:
    return need("xmlsec1", debian="xmlsec1")


class PySaml:
    """`metadata` are the service providers' documents."""

    def __init__(self, entity: str, sso: str, slo: str, key: Key, metadata: list[str], *, want_signed: bool = False):
        self.directory = WORK / f"pysaml2-{time.monotonic_ns()}"
        self.directory.mkdir(parents=True)
        (self.directory / "key.pem").write_text(key.private_pem)
        (self.directory / "cert.pem").write_text(key.pem)
        both = (BINDING_HTTP_REDIRECT, BINDING_HTTP_POST)
        self.server = Server(config=IdPConfig().load({
            "entityid": entity,
            "xmlsec_binary": xmlsec1(),
            "key_file": str(self.directory / "key.pem"),
            "cert_file": str(self.directory / "cert.pem"),
            "allow_unknown_attributes": True,
            "delete_tmpfiles": True,
            "service": {"idp": {
                "endpoints": {"single_sign_on_service": [(sso, one) for one in both],
                              "single_logout_service": [(slo, one) for one in both]},
                "want_authn_requests_signed": want_signed,
                "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None,
                                       "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"}},
            }},
            "metadata": {"inline": metadata},
        }))
        self.cipher = "tripledes-cbc"
        encrypt = self.server.sec.encrypt_assertion

        def with_cipher(statement, enc_key, template, *args, **more):
            """pysaml2 has one cipher of its own, triple DES; xmlsec1 knows those that are in use."""
            if self.cipher != "tripledes-cbc":
                space = XENC11 if self.cipher.endswith("gcm") else XENC
                template = str(template).replace(f"{XENC}tripledes-cbc", f"{space}{self.cipher}")
                more["key_type"] = self.cipher.rsplit("-")[0].replace("aes", "aes-")
            return encrypt(statement, enc_key, template, *args, **more)

        self.server.sec.encrypt_assertion = with_cipher

    def read(self, request: Message):
        """Our AuthnRequest as pysaml2 understands it, its signature verified where it has one."""
        fields = dict(urllib.parse.parse_qsl(request.query))
        raw = fields["SAMLRequest"] if request.binding == "redirect" else base64.b64encode(request.text.encode()).decode()
        return self.server.parse_authn_request(raw, BINDINGS[request.binding], relay_state=fields.get("RelayState"),
                                               sigalg=fields.get("SigAlg"), signature=fields.get("Signature"))

    def answer(self, asked, attributes: dict, *, style: str = "both", algorithm: str = "sha256", user: str = "ada@acme.com",
               encrypt: Key | None = None, cipher: str = "aes256-gcm", session_not_on_or_after: str | None = None) -> str:
        """A response to what `read` returned."""
        self.cipher = cipher
        sign_alg, digest_alg = SIGNATURES[algorithm]
        to = self.server.response_args(asked.message)
        return str(self.server.create_authn_response(
            attributes, in_response_to=to["in_response_to"], destination=to["destination"], sp_entity_id=to["sp_entity_id"],
            name_id=NameID(format=saml.NAMEID_FORMAT_EMAILADDRESS, text=user),
            authn={"class_ref": PASSWORD, "authn_auth": "https://pysaml.example"}, sign_assertion=style != "response",
            sign_response=style != "assertion", sign_alg=sign_alg, digest_alg=digest_alg,
            session_not_on_or_after=session_not_on_or_after,
            **({"encrypt_assertion": True, "encrypt_cert_assertion": encrypt.base64,
                "encrypted_advice_attributes": False} if encrypt else {})))
