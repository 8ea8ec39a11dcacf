"""Our metadata, as an identity provider reads it; theirs, fetched, kept and renewed."""

import base64

import pytest
from lxml import etree
from saml2.attribute_converter import ac_factory
from saml2.mdstore import InMemoryMetaData

from harness.expect import refused, signed_in, signed_out
from harness.idp import Fault
from harness.net import eventually
from harness.saml import SamlAccount, key, message
from harness.saml_forge import DSIG, MD, POST, REDIRECT, SAMLP, Key, Spec

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
    for code in ("url", "rolled", "down", "late", "bad", "slow"):
        account = SamlAccount(world, code, sso_url=None, issuer=None, certificates=None)
        account.settings["metadata_url"] = account.saml.entity
    checked = SamlAccount(world, "checked", {
        "directory": {"static": {"users": [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]}]}},
        "password": {"mode": "disabled", "admin_roles": ["account_admin"]}}, signing=ours, sso_url=None, issuer=None, certificates=None)
    checked.settings["metadata_url"] = checked.saml.entity
    checked.saml.key = Key("expired", days=-1)
    checked.saml.published = [checked.saml.key]
    world.accounts["late"].saml.faults["metadata"] = Fault(status=503, body=b"")
    world.accounts["slow"].settings["timeout"] = "500ms"
    world.accounts["slow"].saml.faults["metadata"] = Fault(delay=20)
    world.accounts["bad"].saml.document = "<html>not found</html>"
    # Addresses that reading changes, by hand and from metadata (SAML compares them as text).
    written = SamlAccount(world, "written", sso_url="https://Written.saml.idp.test:443/saml/sso", signing=ours)
    written.settings["slo_url"] = "https://written.saml.idp.test:443"
    told = SamlAccount(world, "told", signing=ours, sso_url=None, issuer=None, certificates=None)
    told.settings["metadata_url"] = told.saml.entity
    told.saml.sso, told.saml.slo = "https://TOLD.saml.idp.test:443/saml/%7esso", "https://told.saml.idp.test:443"
    for code, location in (("moved", "?download"), ("other", "https://elsewhere.test/metadata"),
                           ("plain", "http://plain.saml.idp.test/saml/metadata"), ("loop", "/saml/metadata")):
        account = SamlAccount(world, code, sso_url=None, issuer=None, certificates=None)
        account.settings["metadata_url"] = account.saml.entity
        account.saml.faults["metadata"] = Fault(status=302, body=b"", headers={"location": location}, times=1 if code == "moved" else -1)
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
    # SAML metadata section 2.3.2: one of the two. A validUntil would have providers refuse us on the day after.
    assert root.get("cacheDuration") == "P1D" and root.get("validUntil") is None
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


def test_ours_without_signing_has_no_logout_though_theirs_has(world):
    for code, offered in (("url", False), ("checked", True)):
        account = world.accounts[code]
        role = read(account.client().get(account.entity)).find("md:SPSSODescriptor", NAMES)
        assert bool(role.findall("md:SingleLogoutService", NAMES)) == offered, code
        client = account.signed_in()
        there = client.browse(account.url("/sso/logout")).location
        assert there.startswith(account.saml.slo) if offered else there.endswith("/sso/logout-complete"), there
        signed_out(client, account)


@pytest.mark.parametrize("code", ["full", "bare", "paths"])
def test_ours_fits_the_schema(world, code):
    """By the OASIS schemas that SimpleSAMLphp brings."""
    account = world.accounts[code]
    where = "/api/saml/paths/metadata" if code == "paths" else f"/sso/saml/metadata?u={code}"
    schema = etree.XMLSchema(etree.parse("/usr/share/simplesamlphp/schemas/saml-schema-metadata-2.0.xsd"))
    root = read(account.client().get(account.url(where)))
    schema.assertValid(root)
    root[0].insert(0, root[0].find("md:AssertionConsumerService", NAMES))
    assert not schema.validate(root), "the order counts, so it looks"


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


@pytest.mark.parametrize("code", ["written", "told"])
def test_destination_is_the_address_as_the_idp_wrote_it(world, code):
    account = world.accounts[code]
    client = account.client()
    request = account.begin(client)
    sso = account.settings.get("sso_url") or account.saml.sso
    assert request.root.get("Destination") == sso
    account.post(client, account.answer(request), request.relay_state)
    signed_in(client, account)
    logout = message(client.browse(account.url("/sso/logout")))
    assert logout.root.get("Destination") == account.settings.get("slo_url", account.saml.slo)


def test_metadata_behind_a_redirect_is_found(world):
    account = world.accounts["moved"]
    signed_in(account.signed_in(), account)
    assert "download" in account.saml.asked[1].query


@pytest.mark.parametrize(("code", "target", "why"), [
    ("other", "https://elsewhere.test/metadata", "another host"),
    ("plain", "http://plain.saml.idp.test/saml/metadata", "https to http"),
    ("loop", "https://loop.saml.idp.test/saml/metadata", "loop"),
])
def test_metadata_is_not_followed_astray(world, code, target, why):
    account, mark = world.accounts[code], world.app.mark()
    refused(account.client().browse(account.url("/reports")), "idp_unavailable", "idp_invalid_answer")
    world.app.nothing_since(mark)
    eventually(lambda: any(target in line and why in line for line in map(str, world.envoy.events())))


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


def test_an_idp_that_does_not_answer_in_time(world):
    account = world.accounts["slow"]
    refused(account.client().browse(account.url("/reports")), "idp_timeout", "idp_unavailable")
    account.saml.faults.clear()
    eventually(lambda: all(account.client().browse(account.url("/reports")).status == 302 for _ in range(12)), 40, every=0.5,
               what="its metadata on every worker")


def test_what_is_no_metadata_is_named_in_the_log(world):
    account = world.accounts["bad"]
    refused(account.client().browse(account.url("/reports")), "idp_unavailable", "idp_invalid_answer")
    assert "not SAML metadata" in account.world.envoy.log_text()


def test_the_administrators_check_says_how_it_stands(world):
    account = world.accounts["checked"]
    client = account.signed_in()
    checks = {one["name"]: one for one in client.get(account.url("/sso/admin/check")).json()["checks"]}

    def said(part):
        found = [one["detail"] for name, one in checks.items() if part in name]
        assert found, checks
        return " ".join(found)

    assert account.saml.entity in said("metadata") and account.saml.entity in said("issuer")
    assert "warning" in said("certificate") and "expired" in said("certificate")
    assert account.acs in str(checks) and account.slo in str(checks)
    assert "worked at" in said("last sign-in")
    # The next refusal is there with its reason, for administrators alone.
    stranger = account.client()
    request = account.begin(stranger)
    page = refused(account.post(stranger, account.answer(request, restrictions=""), request.relay_state), "assertion_invalid")
    assert "AudienceRestriction" not in page.text
    assert "set the audience" in client.get(account.url("/sso/admin/check")).text
    refused(stranger.get(account.url("/sso/admin/check")), "login_required")
