"""The shapes that real identity providers send, through Envoy."""

import pytest

from harness.expect import refused, signed_in, signed_out
from harness.saml import SamlAccount, key
from harness.saml_forge import (ENVELOPED, EXC_C14N, SAML, SIGNED, Key, Lock, Spec, at, attribute, inclusive, method,
                                restriction, sign, statement)

CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
GROUP = "http://schemas.xmlsoap.org/claims/Group"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-interop")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    SamlAccount(world, "acme", {"mapping": {"roles_claim": "Role"}}, decryption=ours)
    SamlAccount(world, "adfs", {"mapping": {"claim": CLAIM, "roles_claim": GROUP}}, name_id_format="unspecified")
    expired = SamlAccount(world, "expired")
    expired.saml.key = Key("expired", key("idp").private, days=-1)
    expired.settings["certificates"] = [expired.saml.key.pem]
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


def with_list(prefixes: str, **more) -> Spec:
    """InclusiveNamespaces in both places."""
    listed = inclusive(prefixes)
    return Spec(key("idp"), canonicalization=method("CanonicalizationMethod", EXC_C14N, listed),
                transforms=method("Transform", ENVELOPED) + method("Transform", EXC_C14N, listed),
                prefixes=prefixes.split(), **more)


@pytest.mark.parametrize("style", SIGNED)
def test_okta(acme, style):
    """Typed values, InclusiveNamespaces, and the EncryptedKey beside the EncryptedData with a RetrievalMethod."""
    typed = ('<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" '
             'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">ada@acme.com</saml:AttributeValue>')
    shape = {"style": style, "spec": with_list("xs"),
             "statements": statement(f'<saml:Attribute Name="email">{typed}</saml:Attribute>')}
    signed_in(acme.signed_in(**shape), acme)
    signed_in(acme.signed_in(**shape, encrypt=Lock(key("sp"), beside=True)), acme)
    # The list counts: what was signed with it does not verify without it.
    client = acme.client()
    request = acme.begin(client)
    text = acme.answer(request, **shape).write()
    without = text.replace(method("Transform", EXC_C14N, inclusive("xs")), method("Transform", EXC_C14N))
    assert without != text
    refused(acme.post(client, without, request.relay_state), "assertion_invalid")


@pytest.mark.parametrize("prefixes", ["saml samlp", "ds xs", ""])
def test_inclusive_namespaces_in_both_places(acme, prefixes):
    signed_in(acme.signed_in(style="response", spec=with_list(prefixes)), acme)


@pytest.mark.parametrize("style", ["response", "assertion"])
def test_google_puts_attributes_before_authentication(acme, style):
    request = acme.begin(client := acme.client())
    good = acme.answer(request, style=style)
    authn = good.but(statements="")._assertion().rsplit("</saml:Conditions>", 1)[1].removesuffix("</saml:Assertion>")
    answer = good.but(authn_text=statement(attribute("email", "ada@acme.com")), statements=authn)
    assert acme.post(client, answer, request.relay_state).status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


def test_entra_signs_the_assertion_in_the_default_namespace(acme):
    client = acme.client()
    request = acme.begin(client)
    assert not request.id[0].isdigit(), "Entra refuses such an ID"
    now = at()
    good = acme.answer(request, style="assertion", assertion={"IssueInstant": now},
                       conditions={"NotBefore": now, "NotOnOrAfter": at(4200)})
    plain = good._assertion().replace("<saml:", "<").replace("</saml:", "</").replace("xmlns:saml=", "xmlns=")
    # The forge puts its signature behind a prefixed Issuer: the same namespace, by two names.
    issuer = f"<Issuer>{acme.saml.entity}</Issuer>"
    assert issuer in plain
    prefixed = plain.replace(issuer, f'<saml:Issuer xmlns:saml="{SAML}">{acme.saml.entity}</saml:Issuer>')
    reply = acme.post(client, good.around(sign(prefixed, good.spec)), request.relay_state)
    assert reply.status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


def test_entras_clock_ahead_of_ours(acme):
    ahead = at(30)
    signed_in(acme.signed_in(style="assertion", assertion={"IssueInstant": ahead}, response={"IssueInstant": ahead},
                             conditions={"NotBefore": ahead, "NotOnOrAfter": at(4230)}), acme)


def test_adfs(world):
    """No NameID without a rule for one, names of WS-Federation, a group a value."""
    account = world.accounts["adfs"]
    assert account.begin(account.client()).root.find("{*}NameIDPolicy") is None, "ADFS fails on formats it has no rule for"
    client = account.signed_in(style="assertion", name_id="", statements=statement(
        attribute(CLAIM, "ada@acme.com"), attribute(GROUP, "Domain Users", "lakehouse-admins")))
    assert client.get(account.url("/who")).seen()["x-sso-roles"] == ["account_admin"]


@pytest.mark.parametrize("style", ["response", "assertion"])
def test_auth0_signs_one_of_the_two(acme, style):
    signed_in(acme.signed_in(style=style), acme)


def test_authentik_without_an_audience_says_what_to_set(acme):
    client = acme.client()
    request = acme.begin(client)
    page = refused(acme.post(client, acme.answer(request, style="assertion", restrictions=""), request.relay_state),
                   "assertion_invalid")
    reason = acme.refusals()[-1]["reason"]
    assert "Authentik: Audience of the provider" in reason and acme.entity in reason
    assert acme.entity not in page.text, "the person's page says it in general words"
    signed_out(client, acme)
    signed_in(acme.signed_in(style="assertion"), acme)


def test_keycloak_names_its_key_and_repeats_attributes(acme):
    roles = statement(attribute("email", "ada@acme.com"), attribute("Role", "user"), attribute("Role", "lakehouse-admins"))
    for key_info in ("<ds:KeyInfo><ds:KeyName>KWxhYmVsIG9mIGEga2V5</ds:KeyName></ds:KeyInfo>",
                     "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
                     "</ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>"):
        client = acme.signed_in(style="response", spec=Spec(key("idp"), key_info=key_info), statements=roles)
        assert client.get(acme.url("/who")).seen()["x-sso-roles"] == ["account_admin"]


def test_shibboleths_prefixes_and_white_space(acme):
    client = acme.client()
    request = acme.begin(client)
    good = acme.answer(request, style="nothing")
    text = good.write().replace("><", ">\n  <").replace("</samlp:Status>", "</samlp:Status><!-- c -->")
    signed = sign(text.replace("samlp:", "saml2p:").replace(":samlp=", ":saml2p="), good.spec)
    assert acme.post(client, signed, request.relay_state).status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


@pytest.mark.parametrize("cipher", ["aes128-gcm", "aes256-gcm", "aes128-cbc", "aes256-cbc"])
@pytest.mark.parametrize("transport, digest, mask", [
    ("rsa-oaep-mgf1p", "sha1", "sha1"), ("rsa-oaep-mgf1p", "sha256", "sha1"), ("rsa-oaep", "sha1", "sha1"),
    ("rsa-oaep", "sha256", "sha256"), ("rsa-oaep", "sha256", "sha1")])
def test_encrypted_by_every_combination_in_use(acme, cipher, transport, digest, mask):
    lock = Lock(key("sp"), cipher=cipher, transport=transport, digest=digest, mask=mask)
    signed_in(acme.signed_in(style="both", encrypt=lock), acme)
    if cipher.endswith("gcm"):
        signed_in(acme.signed_in(style="assertion", encrypt=lock), acme)


def test_prefixes_that_a_decrypted_assertion_inherits(acme):
    """Encrypted in place, it uses a prefix that only the elements around it declare."""
    client = acme.client()
    request = acme.begin(client)
    good = acme.answer(request, style="response")
    inside = good._assertion().replace(f' xmlns:saml="{SAML}"', "", 1)
    assert "xmlns:saml" not in inside
    reply = acme.post(client, good.around(Lock(key("sp"))(inside)), request.relay_state)
    assert reply.status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


def test_an_expired_certificate_still_verifies_and_is_warned_of(world):
    account = world.accounts["expired"]
    signed_in(account.signed_in(spec=Spec(account.saml.key)), account)
    assert "expired" in world.envoy.log_text()


def test_one_audience_of_several(acme):
    several = restriction(acme.entity).replace("<saml:Audience>", "<saml:Audience>https://other.test</saml:Audience><saml:Audience>")
    signed_in(acme.signed_in(restrictions=several), acme)
