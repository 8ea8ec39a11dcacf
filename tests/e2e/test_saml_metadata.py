"""Our metadata, as an identity provider reads it; theirs, fetched, kept and renewed."""

import base64

import pytest
from lxml import etree
from saml2.attribute_converter import ac_factory
from saml2.mdstore import InMemoryMetaData

from harness.expect import refused, signed_in, signed_out
from harness.idp import Fault
from harness.net import eventually
from harness.saml import SamlAccount, key
from harness.saml_forge import DSIG, MD, POST, REDIRECT, SAMLP, Spec

NAMES = {"md": MD, "ds": DSIG}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-metadata")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    SamlAccount(world, "full", signing=ours, decryption=ours, slo_url="https://full.saml.idp.test/saml/slo")
    SamlAccount(world, "bare")
    SamlAccount(world, "paths", {"paths": {"saml_callback": "/api/saml/{code}/acs", "saml_metadata": "/api/saml/{code}/metadata"}})
    for code in ("url", "rolled", "down", "late", "bad"):
        account = SamlAccount(world, code, sso_url=None, issuer=None, certificates=None)
        account.settings["metadata_url"] = account.saml.entity
    world.accounts["late"].saml.faults["metadata"] = Fault(status=503, body=b"")
    world.accounts["bad"].saml.document = "<html>not found</html>"
    world.start()
    return world


# Ours.


def read(reply):
    assert reply.status == 200 and reply.get("content-type").startswith("application/samlmetadata+xml"), reply
    return etree.fromstring(reply.body)


def test_ours_holds_what_an_idp_needs(world):
    account, sp = world.accounts["full"], key("sp")
    root = read(account.client().get(account.entity))
    assert root.get("entityID") == account.entity == account.url("/sso/saml/metadata?u=full")
    role = root.find("md:SPSSODescriptor", NAMES)
    assert role.get("protocolSupportEnumeration") == SAMLP
    assert role.get("AuthnRequestsSigned") == "true" and role.get("WantAssertionsSigned") == "true"
    acs = role.findall("md:AssertionConsumerService", NAMES)
    assert [(one.get("Binding"), one.get("Location")) for one in acs] == [(POST, account.acs)]
    assert "?u=full" in acs[0].get("Location")
    slo = role.findall("md:SingleLogoutService", NAMES)
    assert {(one.get("Binding"), one.get("Location")) for one in slo} == {(POST, account.slo), (REDIRECT, account.slo)}
    keys = {one.get("use"): one.findtext(".//ds:X509Certificate", None, NAMES) for one in role.findall("md:KeyDescriptor", NAMES)}
    assert set(keys) == {"signing", "encryption"}
    assert all(base64.b64decode(value) == sp.der for value in keys.values())
    # In the order of the schema (SAML metadata section 2.4.2), which IdPs validate.
    names = [etree.QName(child).localname for child in role]
    order = ["KeyDescriptor", "SingleLogoutService", "NameIDFormat", "AssertionConsumerService"]
    assert names == sorted(names, key=order.index)


def test_ours_without_keys_and_logout(world):
    account = world.accounts["bare"]
    role = read(account.client().get(account.entity)).find("md:SPSSODescriptor", NAMES)
    assert role.get("AuthnRequestsSigned") == "false"
    assert role.findall("md:KeyDescriptor", NAMES) == [] == role.findall("md:SingleLogoutService", NAMES)


@pytest.mark.parametrize("code", ["full", "bare"])
def test_pysaml2_loads_ours(world, code):
    account = world.accounts[code]
    store = InMemoryMetaData(ac_factory(), "")
    store.parse(account.client().get(account.entity).body)
    found = store.service(account.entity, "spsso_descriptor", "assertion_consumer_service")
    assert found[POST][0]["location"] == account.acs
    signing = store.certs(account.entity, "spsso", use="signing")
    assert bool(signing) == (code == "full")


def test_ours_at_paths_of_the_operators_own(world):
    account = world.accounts["paths"]
    root = read(account.client().get(account.url("/api/saml/paths/metadata")))
    assert root.get("entityID") == account.url("/api/saml/paths/metadata")
    assert root.find(".//md:AssertionConsumerService", NAMES).get("Location") == account.url("/api/saml/paths/acs")


def test_ours_is_for_anyone_and_for_its_own_host(world):
    account, mark = world.accounts["full"], world.app.mark()
    for client in (account.client(), account.signed_in()):
        mark = world.app.mark()
        read(client.get(account.entity))
    refused(account.client().get(account.entity.replace("full.app", "nobody.app")), "account_unknown")
    refused(account.client().post(account.entity, body=""), "method_not_allowed")
    world.app.nothing_since(mark)


# Theirs.


def unknown_key(account, name: str):
    """An answer by a key that the filter has not seen, in a login of its own."""
    client = account.client()
    request = account.begin(client)
    return client, account.post(client, account.answer(request, spec=Spec(key(name))), request.relay_state)


def test_theirs_says_where_to_go_and_by_which_key(world):
    account = world.accounts["url"]
    assert account.begin(account.client()).url == account.saml.sso
    signed_in(account.signed_in(), account)
    client, reply = unknown_key(account, "stranger")
    refused(reply, "assertion_invalid")
    signed_out(client, account)


def test_a_rolled_over_certificate_is_picked_up_and_asked_for_once_a_minute(world):
    account = world.accounts["rolled"]
    signed_in(account.signed_in(), account)
    account.saml.published = [key("idp"), key("new")]
    asked = len(account.saml.asked)
    client, reply = unknown_key(account, "new")
    assert reply.status in (302, 303), (reply, account.refusals()[-1:])
    signed_in(client, account)
    signed_in(account.signed_in(), account)
    assert len(account.saml.asked) == asked + 1
    # A stranger's signatures do not make the filter ask again and again.
    for _ in range(10):
        client, reply = unknown_key(account, "stranger")
        refused(reply, "assertion_invalid")
    assert len(account.saml.asked) <= asked + 2


def test_an_idp_that_is_down_keeps_what_is_known(world):
    account = world.accounts["down"]
    signed_in(account.signed_in(), account)
    for fault in (Fault(status=503, body=b""), Fault(drop=True), Fault(status=200, body=b"<html>down</html>")):
        account.saml.faults["metadata"] = fault
        signed_in(account.signed_in(), account)
        # Even when a stranger's key makes it ask.
        client, reply = unknown_key(account, "stranger")
        refused(reply, "assertion_invalid")
        signed_in(account.signed_in(), account)


def test_an_idp_that_comes_late_is_found(world):
    account = world.accounts["late"]
    refused(account.client().browse(account.url("/reports")), "idp_unavailable", "idp_invalid_answer")
    del account.saml.faults["metadata"]
    # Each worker asks again in its own time.
    eventually(lambda: all(account.client().browse(account.url("/reports")).status == 302 for _ in range(12)), 40, every=0.5,
               what="its metadata on every worker")
    signed_in(account.signed_in(), account)


def test_what_is_no_metadata_is_named_in_the_log(world):
    account = world.accounts["bad"]
    refused(account.client().browse(account.url("/reports")), "idp_unavailable", "idp_invalid_answer")
    assert "not SAML metadata" in account.world.envoy.log_text()
