"""Signing in with SAML 2.0: who gets in, what the application is told, what is refused.

pysaml2 with xmlsec1 is the provider that we did not write; the forge answers where a test changes one thing.
"""

import base64

import pytest

from harness.expect import flow_cookies, refused, signed_in, signed_out
from harness.net import eventually
from harness.pysaml import PySaml
from harness.saml import SamlAccount, cases, fits_the_schema, form, key
from harness.saml_forge import EMAIL, POST, SIGNED, Lock, Spec, at, attribute, statement, status

BINDINGS = ["redirect", "post"]
GROUPS = "http://schemas.xmlsoap.org/claims/Group"
PEOPLE = [
    {"username": "ada", "email": "ada@acme.com", "phone": "+86 138 0000 0000", "name": "Ada L", "roles": ["member"]},
    {"username": "bob", "email": "bob@acme.com", "active": False},
]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-login")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    SamlAccount(world, "acme", decryption=ours)
    for binding in BINDINGS:
        SamlAccount(world, f"plain-{binding}", binding=binding, decryption=ours)
        SamlAccount(world, f"signed-{binding}", binding=binding, signing=ours, decryption=ours)
    SamlAccount(world, "closed")  # no key: encrypted assertions are refused
    SamlAccount(world, "name", {"mapping": {"claim": "NameID", "attribute": "username"}}, name_id_format="persistent")
    SamlAccount(world, "groups", {"mapping": {"claim": "mail", "roles_claim": GROUPS}})
    SamlAccount(world, "phone", {"mapping": {"claim": "telephone", "attribute": "phone", "default_country_code": "86"},
                                 "directory": {"static": {"users": PEOPLE}}})
    SamlAccount(world, "static", {"directory": {"static": {"users": PEOPLE}}})
    SamlAccount(world, "auto", {"directory": {"static": {"users": PEOPLE}},
                                "provisioning": {"mode": "automatic", "email_domains": ["acme.com"], "roles": ["guest"]}})
    SamlAccount(world, "scim")
    world.directory("scim").add("ada", email="ada@acme.com")
    SamlAccount(world, "fresh", force_authn=True)
    SamlAccount(world, "two-keys").settings["certificates"] = [key("old").pem, key("idp").pem]
    SamlAccount(world, "entity", entity_id="urn:acme:lakehouse")
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


# A provider that we did not write.


@pytest.fixture(scope="module")
def pysaml(world):
    """pysaml2 for each account, from the metadata that the filter itself publishes."""
    idps = {}
    for code in [f"{kind}-{binding}" for kind in ("plain", "signed") for binding in BINDINGS]:
        account = world.accounts[code]
        ours = account.client().get(account.entity)
        assert ours.status == 200, ours
        saml = account.saml
        idps[code] = PySaml(saml.entity, saml.sso, saml.slo, saml.key, [ours.text], want_signed=code.startswith("signed"))
    return idps


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("style", SIGNED)
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", ["plain", "signed"])
def test_pysaml2_signs_in_however_it_signs(world, pysaml, kind, binding, style, algorithm):
    account, idp = world.accounts[f"{kind}-{binding}"], pysaml[f"{kind}-{binding}"]
    client, mark = account.client(), world.app.mark()
    target = "/reports?q=1&x=%C3%A9+a%2Fb"
    request = account.begin(client, target)
    assert request.binding == binding and request.signed == (kind == "signed")
    fits_the_schema(request.text)
    asked = idp.read(request)  # it refuses a request whose signature does not verify
    world.app.nothing_since(mark)
    reply = account.post(client, idp.answer(asked, {"email": ["ada@acme.com"], "groups": ["lakehouse-admins", "other"]},
                                            style=style, algorithm=algorithm), request.relay_state)
    assert reply.status in (302, 303) and reply.location == account.url(target), (reply, account.refusals()[-1:])
    world.app.nothing_since(mark)
    page = client.browse(reply.location)
    assert [seen.target for seen in world.app.since(mark)] == [target]
    seen = page.seen()
    assert seen["x-sso-user"] == ["ada@acme.com"] and seen["x-sso-roles"] == ["account_admin"]
    assert seen["x-sso-idp"] == ["corp"] and seen["x-sso-account"] == [account.code] and seen["x-sso-method"] == ["sso"]
    assert flow_cookies(client) == {}, "the login in progress left its cookie behind"


@pytest.mark.parametrize("style, cipher", [("response", "aes128-cbc"), ("both", "aes256-cbc"), ("response", "aes256-gcm"),
                                           ("assertion", "aes128-gcm"), ("both", "aes256-gcm")])
def test_pysaml2_encrypts(world, pysaml, style, cipher):
    account, idp = world.accounts["plain-redirect"], pysaml["plain-redirect"]
    client = account.client()
    request = account.begin(client)
    text = idp.answer(idp.read(request), {"email": ["ada@acme.com"]}, style=style, encrypt=key("sp"), cipher=cipher)
    assert "EncryptedAssertion" in text and "ada@acme.com" not in text
    assert account.post(client, text, request.relay_state).status in (302, 303), account.refusals()[-1:]
    signed_in(client, account)


def test_triple_des_is_refused_with_what_to_set(world, pysaml):
    account, idp = world.accounts["plain-redirect"], pysaml["plain-redirect"]
    client = account.client()
    request = account.begin(client)
    text = idp.answer(idp.read(request), {"email": ["ada@acme.com"]}, encrypt=key("sp"), cipher="tripledes-cbc")
    refused(account.post(client, text, request.relay_state), "assertion_invalid")
    assert "AES-256-GCM" in account.refusals()[-1]["reason"]


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_request_that_somebody_changed_is_refused_by_pysaml2(world, pysaml, binding):
    """The twin of the signed logins above: our signatures are looked at."""
    account, idp = world.accounts[f"signed-{binding}"], pysaml[f"signed-{binding}"]
    request = account.begin(account.client())
    idp.read(request)
    if binding == "redirect":
        request.query = request.query.replace("&RelayState=", "&RelayState=x")
    else:
        request.text = request.text.replace(request.id, "id-0123456789abcdef0123456789abcdef")
    with pytest.raises(Exception):
        assert idp.read(request) is None or pytest.fail("pysaml2 takes a changed request")
        raise AssertionError("refused")


# What we ask.


def test_the_request_asks_what_the_configuration_says(world, acme):
    request = acme.begin(acme.client())
    root = request.root
    assert request.url == acme.saml.sso and root.get("Destination") == acme.saml.sso
    assert request.acs == acme.acs and root.get("ProtocolBinding") == POST
    assert request.issuer == acme.entity and root.get("Version") == "2.0"
    assert root.get("ForceAuthn") is None and not request.signed
    assert not request.id[0].isdigit() and len(request.id) > 30
    assert len(request.relay_state) <= 80, "SAML bindings section 3.4.3"
    policy = root.find("{*}NameIDPolicy")
    assert policy.get("Format") == EMAIL
    again = acme.begin(acme.client())
    assert again.id != request.id and again.relay_state != request.relay_state
    assert world.accounts["fresh"].begin(acme.client()).root.get("ForceAuthn") == "true"
    persistent = world.accounts["name"].begin(acme.client()).root.find("{*}NameIDPolicy").get("Format")
    assert persistent == "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    assert world.accounts["entity"].begin(acme.client()).issuer == "urn:acme:lakehouse"


def test_a_signed_redirect_verifies_with_our_key(world):
    account = world.accounts["signed-redirect"]
    account.begin(account.client()).verify(key("sp"))


# From the assertion to the user.


@pytest.mark.parametrize("code, changes, user, more", cases(
    by_attribute=("acme", {}, "ada@acme.com", {}),
    by_friendly_name=("groups", {}, "ada@acme.com", {}),
    by_name_id=("name", {"name_id": "<saml:NameID>some-opaque-name</saml:NameID>"}, "some-opaque-name", {}),
    by_email_in_a_directory=("static", {"user": " ADA@acme.com "}, "ada", {"x-sso-roles": ["member"], "x-sso-name": ["Ada L"]}),
    by_phone=("phone", {"statements": statement(attribute("telephone", "138-0000-0000"))}, "ada", {}),
    by_scim=("scim", {}, "ada", {}),
    created=("auto", {"user": "eve@acme.com"}, "eve@acme.com", {"x-sso-roles": ["guest"]}),
    roles=("acme", {"statements": statement(attribute("email", "ada@acme.com"), attribute("groups", "lakehouse-admins"))},
           "ada@acme.com", {"x-sso-roles": ["account_admin"]}),
    roles_one_by_one=("groups", {"statements": statement(attribute("m", "ada@acme.com", FriendlyName="mail")) + statement(
        attribute(GROUPS, "a"), attribute(GROUPS, "lakehouse-admins"))}, "ada@acme.com", {"x-sso-roles": ["account_admin"]}),
    another_entity_id=("entity", {}, "ada@acme.com", {}),
    the_second_certificate=("two-keys", {}, "ada@acme.com", {}),
    signed_in_anew=("fresh", {"authn": {"AuthnInstant": None}}, "ada@acme.com", {}),
))
def test_the_application_is_told_who_is_there(world, code, changes, user, more):
    account = world.accounts[code]
    if changes.get("authn"):
        changes = changes | {"authn": {"AuthnInstant": at()}}
    seen = account.signed_in(**changes).get(account.url("/who")).seen()
    assert seen["x-sso-user"] == [user], seen
    for name, value in more.items():
        assert seen[name] == value, seen
    if "x-sso-roles" not in more and not account.config.get("directory"):
        assert seen.get("x-sso-roles", [""]) == [""], "a group of nobody's grants nothing"


@pytest.mark.parametrize("code, changes, expected", cases(
    absent=("acme", {"statements": ""}, "identity_missing"),
    another_name=("acme", {"statements": statement(attribute("Email", "ada@acme.com"))}, "identity_missing"),
    empty=("acme", {"statements": statement(attribute("email", ""))}, "identity_missing"),
    several=("acme", {"statements": statement(attribute("email", "ada@acme.com", "eve@evil.com"))}, "identity_ambiguous"),
    several_elements=("acme", {"statements": statement(attribute("email", "ada@acme.com")) + statement(
        attribute("email", "eve@evil.com"))}, "identity_ambiguous"),
    no_name_id=("name", {"name_id": ""}, "identity_missing"),
    unknown=("static", {"user": "eve@acme.com"}, "identity_unknown"),
    inactive=("static", {"user": "bob@acme.com"}, "user_inactive"),
    another_domain=("auto", {"user": "eve@evil.com"}, "identity_unknown"),
    no_phone=("phone", {"statements": statement(attribute("telephone", "none"))}, "identity_missing"),
    old_sign_in=("fresh", {"authn": {"AuthnInstant": "2020-01-01T00:00:00Z"}}, "assertion_invalid"),
))
def test_who_does_not_get_in(world, code, changes, expected):
    account, mark = world.accounts[code], world.app.mark()
    client = account.client()
    request = account.begin(client)
    refused(account.post(client, account.answer(request, **changes), request.relay_state), expected)
    signed_out(client, account)
    world.app.nothing_since(mark)


def test_the_session_ends_when_the_idps_does(world, acme):
    for life in (3, 10, 30, 90):  # however slow the machine is, one of them is seen alive
        try:
            client = acme.signed_in(authn={"SessionNotOnOrAfter": at(life)})
            signed_in(client, acme)
            break
        except AssertionError:
            assert life < 90
    longer = acme.signed_in(authn={"SessionNotOnOrAfter": at(3600)})
    eventually(lambda: client.get(acme.url("/who")).status == 401, life + 20, what="the end of the session")
    signed_in(longer, acme)


def test_somebody_in_two_thousand_groups(acme):
    """140 KB of assertion: as large as real ones get, and then some."""
    groups = [f"CN=Group {number:04},OU=Groups,DC=acme,DC=com" for number in range(2000)] + ["lakehouse-admins"]
    client = acme.signed_in(statements=statement(attribute("email", "ada@acme.com"), attribute("groups", *groups)))
    assert client.get(acme.url("/who")).seen()["x-sso-roles"] == ["account_admin"]


def test_names_of_every_script(world):
    account = world.accounts["name"]
    client = account.signed_in(name_id="<saml:NameID>Zo\u00eb \u65e5\u672c &amp; &#60;b&#62;</saml:NameID>")
    assert client.get(account.url("/who")).seen()["x-sso-user"] == ["Zo%C3%AB %E6%97%A5%E6%9C%AC & <b>"]


# A no.


@pytest.mark.parametrize("outer, inner, expected", cases(
    cancelled=("Responder", "AuthnFailed", "idp_denied"),
    forbidden=("Responder", "RequestDenied", "idp_denied"),
    name_id_policy=("Requester", "InvalidNameIDPolicy", "assertion_invalid"),
    passive=("Responder", "NoPassive", "assertion_invalid"),
    success_inside=("Responder", "Success", "assertion_invalid"),
))
@pytest.mark.parametrize("style", ["nothing", "response"])
def test_a_no_of_the_idp(acme, world, style, outer, inner, expected):
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client)
    no = acme.answer(request, style=style, status=status(outer, inner, "Not today, Ada"))
    page = refused(acme.finish(client, acme.post(client, no.around(""), request.relay_state)), expected)
    assert "Not today" not in page.text, "what others write is for the log"
    eventually(lambda: any("Not today, Ada" in str(event) for event in acme.refusals()), what="the words in the log")
    world.app.nothing_since(mark)


# What is not a response at all.


@pytest.mark.parametrize("body", cases(
    nothing=("",), other_fields=("a=b",), empty=("SAMLResponse=&RelayState=x",), no_base64=("SAMLResponse=%%%&RelayState=x",),
    no_xml=(f"SAMLResponse={base64.b64encode(b'hello').decode()}&RelayState=x",),
    not_utf8=(f"SAMLResponse={base64.b64encode(bytes([255, 254, 0])).decode()}&RelayState=x",),
    twice=("SAMLResponse=PHg%2BPC94Pg%3D%3D&SAMLResponse=PHg%2BPC94Pg%3D%3D&RelayState=x",),
    a_request=("SAMLRequest=PHg%2BPC94Pg%3D%3D&RelayState=x",),
))
def test_garbage_at_the_callback(acme, world, body):
    client, mark = acme.client(), world.app.mark()
    acme.begin(client)
    reply = client.request("POST", acme.acs, body=body, navigation=True, cross_site=True,
                           headers={"content-type": "application/x-www-form-urlencoded"})
    refused(acme.finish(client, reply), "callback_invalid", "state_unknown", "assertion_invalid", "request_invalid")
    world.app.nothing_since(mark)


def test_a_body_without_end_is_not_read(acme, world):
    mark = world.app.mark()
    fits = "SAMLResponse=" + "A" * 1000
    for size, codes in ((0, ("state_unknown", "assertion_invalid", "callback_invalid")), (700_000, ("body_too_large",))):
        reply = acme.client().request("POST", acme.acs, body=fits + "A" * size, navigation=True, cross_site=True,
                                      headers={"content-type": "application/x-www-form-urlencoded"})
        refused(acme.finish(acme.client(), reply), *codes)
    world.app.nothing_since(mark)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_callback_takes_posts_alone(acme, world, method):
    mark = world.app.mark()
    reply = refused(acme.client().request(method, acme.acs, navigation=True), "method_not_allowed")
    assert "POST" in (reply.get("allow") or ""), reply.headers
    world.app.nothing_since(mark)


def test_another_content_type(acme):
    client = acme.client()
    request = acme.begin(client)
    refused(client.request("POST", acme.acs, body="{}", navigation=True, cross_site=True,
                           headers={"content-type": "application/json"}), "content_type_unsupported", "callback_invalid")
    assert acme.post(client, acme.answer(request), request.relay_state).status in (302, 303)


# Keys.


@pytest.mark.parametrize("style", SIGNED)
def test_an_encrypted_assertion_without_a_key_of_ours(world, style):
    account = world.accounts["closed"]
    client = account.client()
    request = account.begin(client)
    text = account.answer(request, style=style, encrypt=Lock(key("sp")))
    refused(account.post(client, text, request.relay_state), "assertion_invalid")
    assert "saml.decryption is not set" in str(account.refusals()[-1])
    with_key = world.accounts["acme"]
    signed_in(with_key.signed_in(style=style, encrypt=Lock(key("sp"))), with_key)


def test_signed_by_the_old_certificate_too(world):
    account = world.accounts["two-keys"]
    signed_in(account.signed_in(spec=Spec(key("old"))), account)
