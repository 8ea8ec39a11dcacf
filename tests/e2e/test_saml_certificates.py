"""A certificate that a message shows: the log names it by its fingerprint, whatever is in it, and nothing else reads it."""

import base64
import hashlib
import sys

import pytest

from harness.expect import signed_in, signed_out
from harness.net import PROJECT, eventually
from harness.saml import SamlAccount, key, message
from harness.saml_forge import Spec, sign

sys.path.insert(0, str(PROJECT / "tests" / "cost"))

import certificates  # noqa: E402


@pytest.fixture(scope="module")
def account(make_world):
    world = make_world("saml-certificates", concurrency=1)
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    account = SamlAccount(world, "acme", signing={"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem})
    account.settings["slo_url"] = account.saml.slo
    world.start()
    return account


def shown(account, signer, text: str) -> str:
    """A logout request with a good signature of this key, and this certificate in it."""
    return sign(account.logout_request(index=None), Spec(signer, key_info=certificates.key_info([text])))


@pytest.mark.parametrize("shape", certificates.SHAPES)
@pytest.mark.parametrize("often", [1, 500])
def test_a_strangers_certificate_is_named_by_its_fingerprint(account, shape, often):
    client, text = account.signed_in(), certificates.certificate(shape, often)
    reply = account.send(client, "SAMLRequest", shown(account, key("stranger"), text), "post", signer=None)
    assert reply.status == 400 and reply.code in ("request_invalid", "assertion_invalid"), reply
    fingerprint = hashlib.sha256(base64.b64decode(text)).digest()[:8].hex(":").upper()
    eventually(lambda: f"it shows the certificate with the SHA-256 {fingerprint}:" in account.world.envoy.log_text(), 60)
    signed_in(client, account)


@pytest.mark.parametrize("shape", certificates.SHAPES)
def test_the_providers_key_counts_whatever_certificate_is_beside_it(account, shape):
    client, text = account.signed_in(), certificates.certificate(shape, 500)
    message(account.send(client, "SAMLRequest", shown(account, account.saml.key, text), "post", signer=None))
    signed_out(client, account)
