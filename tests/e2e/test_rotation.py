"""A provider changes its keys: the first login on every worker gets in, whichever worker fetched the keys."""

import pytest

from harness.expect import refused
from harness.saml import SamlAccount, key
from harness.saml_forge import Spec
from harness.tokens import BEARER, access_token

KEYS = ("rsa-2", "p256", "rsa-1")


def publish(issuer, new, with_kid: bool) -> None:
    issuer.signing, issuer.header_kid = new, with_kid
    issuer.published = [{name: value for name, value in new.jwk().items() if with_kid or name != "kid"}]


@pytest.mark.parametrize("with_kid", [True, False], ids=["kid", "no kid"])
def test_an_openid_provider_with_new_keys_costs_no_login_on_any_worker(make_world, with_kid):
    world = make_world(f"rotation-{'kid' if with_kid else 'bare'}", concurrency=4)
    account = world.account("acme", BEARER)
    publish(account.idp, account.idp.signing, with_kid)
    world.start()
    for name in KEYS:
        publish(account.idp, account.idp.keys[name], with_kid)
        for number in range(16):
            reply, _ = account.callback(account.client())
            assert (reply.status, reply.code) == (302, "redirect"), (name, number, reply)
    # The twin: a key that is not published is refused, on every worker.
    account.idp.sign_with = account.idp.keys["forged"]
    forged = {"authorization": f"Bearer {access_token(account, key=account.idp.keys['forged'])}"}
    for _ in range(16):
        refused(account.callback(account.client())[0], "id_token_invalid")
        refused(account.client().get(account.url("/who"), headers=forged), "token_invalid")


def test_a_saml_provider_with_new_keys_costs_no_login_on_any_worker(make_world):
    world = make_world("rotation-saml", concurrency=4)
    account = SamlAccount(world, "acme", sso_url=None, issuer=None, certificates=None)
    account.settings["metadata_url"] = account.saml.entity
    world.start()
    for name in [f"rolled-{number}" for number in range(5)]:
        account.saml.key = key(name)
        account.saml.published = [account.saml.key]
        # One login for each key, so that the other workers miss some of them.
        account.signed_in()
    client = account.client()
    request = account.begin(client)
    refused(account.post(client, account.answer(request, spec=Spec(key("stranger"))), request.relay_state), "assertion_invalid")
