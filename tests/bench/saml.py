"""The bench's SAML provider: answers a request without a process of its own, signed by RSA-2048. Needs .venv."""

import base64
import sys
import urllib.parse
import zlib

import venv_packages

sys.path.insert(0, str(venv_packages.TOP / "tests/e2e"))

from harness.saml_forge import Answer, Key, Lock, Spec, parse  # noqa: E402

ISSUER, SSO = "http://idp.bench/saml", "http://idp.bench/sso"
IDP, OURS = Key("idp.bench"), Key("sp.bench")
KINDS = {
    "saml": ("SAML, the assertion signed", {"style": "assertion"}),
    "saml_encrypted": ("SAML, signed twice and encrypted", {"style": "both", "encrypt": Lock(OURS)}),
}


def provider():
    """As the filter is configured with it."""
    return {"id": "idp", "saml": {"sso_url": SSO, "issuer": ISSUER, "certificates": [IDP.pem], "decryption": {"private_key": {"value": OURS.private_pem}}}}


def login(browser, url, kind):
    """In: the page, its redirect to the provider, the provider's post, the page; the status at last."""
    status, location, body = browser.get(url)
    if status != 302 or not location.startswith(SSO):
        return status, body
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
    request = parse(zlib.decompress(base64.b64decode(asked["SAMLRequest"]), -15).decode())
    acs = request.get("AssertionConsumerServiceURL")
    answer = Answer(spec=Spec(IDP), issuer=ISSUER, acs=acs, entity=request.findtext("{*}Issuer"), request=request.get("ID"), **KINDS[kind][1])
    form = {"SAMLResponse": base64.b64encode(answer.write().encode()).decode(), "RelayState": asked["RelayState"]}
    status, location, body = browser.get(acs, form=form)
    if status != 302:
        return status, body
    status, _, body = browser.get(urllib.parse.urljoin(url, location))
    return status, body
