"""Documents made to be taken for another, each through a real Envoy, each beside the untouched one that signs in.

Every test goes the same way: one login, the attack by a copy of the browser, then the good answer by the browser
itself, with the same cookies, RelayState and request. So nothing but the attack can be what is refused.
"""

import base64
import copy
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness import saml_wrapping
from harness.expect import refused, session_cookies, signed_out
from harness.saml import SamlAccount, key
from harness.saml_forge import (BEARER, DSIG, ENVELOPED, EXC_C14N, MORE, SIGNED, STATUS, XENC, Answer, Hmac, Key, Lock, Spec,
                                at, attribute, cut, inclusive, method, restriction, sign, signature, statement, unsigned)


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-attacks")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    SamlAccount(world, "acme", decryption={"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem})
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


class Attempt:
    """One login, and the good answer to it."""

    def __init__(self, account, **changes):
        self.account = account
        self.client = account.client()
        self.request = account.begin(self.client)
        self.good = account.answer(self.request, **changes)
        self.document = self.good.write()

    def refused(self, name: str, text, words: str = "") -> None:
        """The attack, by a browser with every cookie of this login."""
        account = self.account
        assert text != self.document, f"{name} changes nothing"
        mark = account.world.app.mark()
        attacker = account.client()
        attacker.cookies = copy.deepcopy(self.client.cookies)
        before = len(account.world.envoy.log_text()) if words else 0
        reply = account.finish(attacker, account.post(attacker, text, self.request.relay_state))
        try:
            refused(reply, "assertion_invalid")
            assert not session_cookies(attacker)
            signed_out(attacker, account)
        except AssertionError as failed:
            raise AssertionError(f"{name}: {failed}") from None
        if words:
            assert words in account.world.envoy.log_text()[before:], f"{name}: {account.refusals()[-1]}"
        account.world.app.nothing_since(mark)

    def signs_in(self, text=None) -> None:
        reply = self.account.post(self.client, text or self.document, self.request.relay_state)
        assert reply.status in (302, 303) and session_cookies(self.client), (reply, self.account.refusals()[-1:])

    @property
    def ids(self):
        return (self.good.response_id, self.good.assertion_id)


@pytest.fixture
def attempt(acme):
    """Makes attempts; at the end of the test each one's good answer signs in."""
    made = []

    def make(**changes) -> Attempt:
        made.append(Attempt(acme, **changes))
        return made[-1]

    yield make
    assert made
    for one in made:
        one.signs_in()


# Wrapping.


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
@pytest.mark.parametrize("style", ["assertion", "both"])
def test_the_signed_assertion_wrapped(attempt, style, new_id):
    good = attempt(style=style)
    for name, attack in saml_wrapping.assertions(good.document, good.ids, new_id).items():
        good.refused(name, attack)


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
def test_the_signed_assertion_wrapped_without_the_responses_signature(acme, new_id):
    """As an attacker does it: any change breaks the outer signature, so it goes."""
    good = Attempt(acme, style="both")
    stripped = unsigned(good.document)
    for name, attack in saml_wrapping.assertions(stripped, good.ids, new_id).items():
        good.refused(name, attack)
    good.signs_in(stripped)


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
@pytest.mark.parametrize("style", ["response", "both"])
def test_the_signed_response_wrapped(attempt, style, new_id):
    good = attempt(style=style)
    for name, attack in saml_wrapping.responses(good.document, good.ids, new_id).items():
        good.refused(name, attack)


@pytest.mark.parametrize("place", ["StatusDetail", "Advice", "Object", "Extensions"])
@pytest.mark.parametrize("style", SIGNED)
def test_a_signature_where_none_belongs(attempt, style, place):
    """Nothing else is wrong with these: the one valid signature stands in the wrong place, or a second one does."""
    good = attempt(style=style)
    text, s = good.document, signature(good.document)
    without = unsigned(text)
    put = {
        "StatusDetail": lambda t: t.replace("</samlp:Status>", f"<samlp:StatusDetail>{s}</samlp:StatusDetail></samlp:Status>", 1),
        "Advice": lambda t: t.replace("<saml:AuthnStatement", f"<saml:Advice>{s}</saml:Advice><saml:AuthnStatement", 1),
        "Object": lambda t: t.replace("<samlp:Status>", f"<ds:Object xmlns:ds='{DSIG}'>{s}</ds:Object><samlp:Status>", 1),
        "Extensions": lambda t: t.replace("<samlp:Status>", f"<samlp:Extensions>{s}</samlp:Extensions><samlp:Status>", 1),
    }[place]
    good.refused("moved", put(without))
    good.refused("copied", put(text))


# Signatures that verify somewhere and must not here.


@pytest.mark.parametrize("style", SIGNED)
def test_unsigned_and_half_signed(attempt, style):
    good = attempt(style=style)
    good.refused("unsigned", good.good.but(style="nothing").write(), "neither the Response nor the Assertion is signed")
    good.refused("its signatures taken out", unsigned(unsigned(good.document) if style == "both" else good.document))
    good.refused("another name", good.document.replace("ada@acme.com", "eve@evil.com"), "digest")
    good.refused("encrypted but unsigned", good.good.but(style="nothing", encrypt=Lock(key("sp"))).write(), "neither")
    if style == "both":
        good.refused("one broken", good.document.replace(good.good.response_id, "_other", 1))
        stranger = good.good.but(spec=Spec(key("stranger"))).signed_assertion()
        good.refused("the inner one a stranger's", good.good.around(stranger), "not by a certificate")


@pytest.mark.parametrize("style", SIGNED)
def test_keys_come_from_the_configuration_alone(attempt, style):
    good, stranger = attempt(style=style), key("stranger")

    def by(**spec):
        return good.good.but(spec=Spec(stranger, **spec)).write()

    good.refused("the attacker's key in KeyInfo", by(), "not by a certificate")
    good.refused("the right certificate shown", by(key_info=key("idp").key_info))
    good.refused("no KeyInfo", by(key_info=""))
    numbers = stranger.private.public_key().public_numbers()
    modulus = base64.b64encode(numbers.n.to_bytes(256, "big")).decode()
    good.refused("a KeyValue", by(key_info=f"<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus>"
                                           "<ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>"))
    good.refused("a RetrievalMethod", by(key_info='<ds:KeyInfo><ds:RetrievalMethod URI="https://evil.com/key"/></ds:KeyInfo>'))
    good.refused("our own certificate", good.good.but(spec=Spec(key("sp"))).write())


@pytest.fixture(scope="module")
def weak():
    return Key("weak", rsa.generate_private_key(65537, 1024)), Key("curve", ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize("style", SIGNED)
def test_algorithms_that_are_off(attempt, style, weak):
    good, idp = attempt(style=style), key("idp")
    spki = idp.private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for name, spec, words in (
        ("SHA-1", Spec(idp, algorithm=f"{DSIG}rsa-sha1"), "SHA-1"),
        ("SHA-1 digest", Spec(idp, digest=f"{DSIG}sha1"), "SHA-1"),
        ("HMAC with the certificate's PEM", Spec(Hmac(idp.pem.encode()), algorithm=f"{MORE}hmac-sha256"), ""),
        ("HMAC with the certificate's DER", Spec(Hmac(idp.der), algorithm=f"{MORE}hmac-sha256"), ""),
        ("HMAC with the public key", Spec(Hmac(spki), algorithm=f"{MORE}hmac-sha256"), ""),
        ("HMAC-SHA1 with nothing", Spec(Hmac(b""), algorithm=f"{DSIG}hmac-sha1"), ""),
        ("MD5", Spec(idp, algorithm=f"{MORE}rsa-md5"), ""),
        ("no algorithm", Spec(idp, algorithm=""), ""),
        ("ECDSA's name over RSA", Spec(idp, algorithm=f"{MORE}ecdsa-sha256"), ""),
        ("a short key", Spec(weak[0]), ""),
        ("a curve that is not configured", Spec(weak[1], algorithm=f"{MORE}ecdsa-sha256"), ""),
    ):
        good.refused(name, good.good.but(spec=spec).write(), words)


@pytest.mark.parametrize("style", SIGNED)
def test_references_and_transforms_are_exactly_the_profile(attempt, style):
    good, idp = attempt(style=style), key("idp")
    enveloped, exclusive = method("Transform", ENVELOPED), method("Transform", EXC_C14N)
    xpath = method("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>ancestor::x</ds:XPath>")
    xslt = method("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116")
    plain = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    filter2 = method("Transform", "http://www.w3.org/2002/06/xmldsig-filter2")
    second = '<ds:Reference URI="#_x"><ds:Transforms/></ds:Reference>'
    aid = good.good.assertion_id
    for uri in ("", "#", aid, "#_other", "#xpointer(/)", f"#xpointer(id('{aid}'))", "http://evil.com/x.xml",
                "file:///etc/passwd", f"{good.account.acs}#{aid}"):
        good.refused(f"reference to {uri!r}", good.good.but(spec=Spec(idp, uri=uri)).write())
    for transforms in ("", enveloped, exclusive, exclusive + enveloped, enveloped + exclusive * 2, enveloped + xpath + exclusive,
                       enveloped + filter2 + exclusive, xslt + exclusive, enveloped + method("Transform", plain),
                       enveloped + method("Transform", EXC_C14N + "WithComments"),
                       enveloped + method("Transform", EXC_C14N, "<x/>")):
        good.refused(f"transforms {transforms}", good.good.but(spec=Spec(idp, transforms=transforms)).write())
    for canonicalization in (method("CanonicalizationMethod", plain), method("CanonicalizationMethod", EXC_C14N, "<x/>")):
        good.refused(canonicalization, good.good.but(spec=Spec(idp, canonicalization=canonicalization)).write())
    good.refused("two references", good.good.but(spec=Spec(idp, more=second)).write())
    good.refused("an Object", good.good.but(spec=Spec(idp, key_info=idp.key_info + "<ds:Object/>")).write())
    good.refused("no reference", good.document.replace(cut(good.document, "<ds:Reference ", "</ds:Reference>"), ""))


@pytest.mark.parametrize("style", SIGNED)
def test_two_or_none_of_anything_in_a_signature(attempt, style):
    good = attempt(style=style)
    text, s = good.document, signature(good.document)
    info, value = cut(s, "<ds:SignedInfo>", "</ds:SignedInfo>"), cut(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
    algorithm, digest = cut(s, "<ds:SignatureMethod", "</ds:SignatureMethod>"), cut(s, "<ds:DigestValue>", "</ds:DigestValue>")
    for part in (s, info, value, algorithm, digest):
        good.refused(f"twice {part[:20]}", text.replace(part, part + part, 1))
        if part != s:
            good.refused(f"without {part[:20]}", text.replace(part, "", 1))
    good.refused("a second SignedInfo, of another assertion", text.replace(info, info.replace(
        good.good.assertion_id, "_other").replace(good.good.response_id, "_other") + info, 1))
    good.refused("the value cut", text.replace(algorithm, algorithm.replace(
        "></", "><ds:HMACOutputLength>1</ds:HMACOutputLength></"), 1))
    good.refused("an empty value", text.replace(value, "<ds:SignatureValue></ds:SignatureValue>", 1))
    good.refused("an empty digest", text.replace(digest, "<ds:DigestValue></ds:DigestValue>", 1))
    good.refused("an empty signature", text.replace(s, f'<ds:Signature xmlns:ds="{DSIG}"/>', 1))


# Values, documents, namespaces.


@pytest.mark.parametrize("style", SIGNED)
def test_comments_never_split_a_value(attempt, style):
    """CVE-2017-11427 and its kin: canonical form drops the comment, a careless reader stops at it."""
    good = attempt(style=style)
    for name, before, after in (
        ("NameID", "ada@acme.com</saml:NameID>", "ada@acme.com<!-- --></saml:NameID>"),
        ("NameID, in the middle", "ada@acme.com</saml:NameID>", "ada@acme<!-- -->.com</saml:NameID>"),
        ("attribute", "ada@acme.com</saml:AttributeValue>", "ada@<!-- -->acme.com</saml:AttributeValue>"),
        ("Audience", "</saml:Audience>", "<!-- --></saml:Audience>"),
        ("Issuer", "</saml:Issuer>", "<!-- --></saml:Issuer>"),
        ("DigestValue", "<ds:DigestValue>", "<ds:DigestValue><!-- -->"),
        ("SignatureValue", "<ds:SignatureValue>", "<ds:SignatureValue><!-- -->"),
    ):
        good.refused(name, good.document.replace(before, after, 1), "must hold text alone")
    for inside in ("ada@acme.com<b xmlns=''>.evil.com</b>", "<b xmlns=''>ada@acme.com</b>"):
        name = f"<saml:NameID>{inside}</saml:NameID>"
        good.refused(inside, good.good.but(name_id=name).write(), "must hold text alone")


@pytest.mark.parametrize("style", SIGNED)
def test_document_types_instructions_and_namespaces(attempt, style):
    good = attempt(style=style)
    text = good.document
    bomb = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    subject = "<saml:Subject>"
    for name, attack in {
        "DTD": f"<!DOCTYPE samlp:Response>{text}",
        "XXE": f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>{text}'.replace(
            "ada@acme.com</saml:NameID>", "&x;</saml:NameID>"),
        "external subset": f'<!DOCTYPE r SYSTEM "http://evil.com/x.dtd">{text}',
        "parameter entity": f'<!DOCTYPE r [<!ENTITY % x SYSTEM "http://evil.com/x.dtd"> %x;]>{text}',
        "a billion laughs": f'<!DOCTYPE r [<!ENTITY a "ha">{bomb}]>{text}'.replace(
            "ada@acme.com</saml:NameID>", "&j;</saml:NameID>"),
        "default attributes": f"<!DOCTYPE r [<!ATTLIST saml:Assertion ID CDATA '{good.good.assertion_id}'>]>{text}",
        "an entity of nobody's": text.replace("ada@acme.com</saml:NameID>", "&x;</saml:NameID>"),
        "a style sheet": f'<?xml-stylesheet href="x"?>{text}',
        "an instruction inside": text.replace(subject, "<saml:Subject><?x?>"),
        "several roots": text + text,
        "text behind": text + "x",
        "relative namespace": text.replace(subject, '<saml:Subject xmlns:r="relative">'),
        "xml declared": text.replace(subject, '<saml:Subject xmlns:xml="http://www.w3.org/XML/1998/namespace">'),
        "xmlns declared": text.replace(subject, '<saml:Subject xmlns:xmlns="http://www.w3.org/2000/xmlns/">'),
        "an attribute called xmlns": text.replace(subject, '<saml:Subject saml:xmlns="urn:x">'),
        "a namespace twice": text.replace(subject, '<saml:Subject xmlns="urn:x" xmlns="urn:y">'),
        "the identifier twice": text.replace(subject, f'<saml:Subject ID="{good.good.assertion_id}">'),
        "the identifier as xml:id": text.replace(subject, f'<saml:Subject xml:id="{good.good.assertion_id}">'),
        "xml:base": text.replace(subject, '<saml:Subject xml:base="http://x/">'),
        "another encoding": f'<?xml version="1.0" encoding="UTF-16"?>{text}',
        "UTF-7": f'<?xml version="1.0" encoding="UTF-7"?>{text}',
        "version 1.1": f'<?xml version="1.1"?>{text}',
        "UTF-16 bytes": text.encode("utf-16"),
        "NUL": text.replace(subject, subject + "\0"),
        "deep": text.replace(subject, subject + "<x>" * 5000 + "</x>" * 5000),
        "wide": text.replace(subject, "<saml:Subject " + " ".join(f'a{n}="1"' for n in range(5000)) + ">"),
        "many namespaces": text.replace(subject, "<saml:Subject " + " ".join(f'xmlns:a{n}="urn:x"' for n in range(5000)) + ">"),
        "another Response's namespace": text.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol"),
    }.items():
        good.refused(name, attack)


@pytest.mark.parametrize("style", SIGNED)
def test_shapes_that_are_no_response(attempt, style):
    good = attempt(style=style)
    one = good.good.signed_assertion()
    two = good.good.but(assertion_id="_second").signed_assertion()
    encrypted = Lock(key("sp"))(one)
    around = good.good.around
    for name, attack in {
        "no assertion": around(""), "two assertions": around(one + two), "the same twice": around(one + one),
        "plain and encrypted": around(one + encrypted), "two encrypted": around(encrypted + encrypted),
        "an assertion alone": one, "a request": good.request.text,
    }.items():
        good.refused(name, attack)


# What the protocol asks.


def rows(account):
    ours, wrong = account.entity, "https://evil.com/"
    return {
        "another audience": {"restrictions": restriction("https://other.test")},
        "a longer audience": {"restrictions": restriction(ours + "2")},
        "another restriction beside": {"restrictions": restriction(ours) + restriction("https://other.test")},
        "no audience": {"restrictions": ""},
        "an empty audience": {"restrictions": restriction("")},
        "an unknown condition": {"restrictions": restriction(ours) + "<saml:Condition/>"},
        "no conditions": {"conditions_text": ""},
        "another recipient": {"confirmation": {"Recipient": wrong}},
        "the recipient without its u": {"confirmation": {"Recipient": account.acs.split("?")[0]}},
        "no recipient": {"confirmation": {"Recipient": None}},
        "another destination": {"response": {"Destination": wrong}},
        "the destination at another host": {"response": {"Destination": account.acs.replace("acme.app", "evil.app")}},
        "the destination of another account": {"response": {"Destination": account.acs.replace("u=acme", "u=other")}},
        "no destination": {"response": {"Destination": None}},
        "another issuer": {"issuer": wrong},
        "another issuer inside": {"assertion_issuer": wrong},
        "the issuer with a slash": {"issuer": account.saml.entity + "/"},
        "no issuer": {"issuer": None},
        "not yet": {"conditions": {"NotBefore": at(90)}},
        "no longer": {"conditions": {"NotOnOrAfter": at(-70)}},
        "never": {"conditions": {"NotOnOrAfter": "tomorrow"}},
        "the confirmation over": {"confirmation": {"NotOnOrAfter": at(-70)}},
        "the confirmation without end": {"confirmation": {"NotOnOrAfter": None}},
        "the confirmation not yet": {"confirmation": {"NotBefore": at(90)}},
        "no confirmation": {"confirmations": ""},
        "holder of key": {"confirmations": f'<saml:SubjectConfirmation Method="{BEARER.replace("bearer", "holder-of-key")}"/>'},
        "issued in the future": {"assertion": {"IssueInstant": at(90)}},
        "answered in the future": {"response": {"IssueInstant": at(90)}},
        "never issued": {"assertion": {"IssueInstant": None}},
        "SAML 1.1": {"assertion": {"Version": "1.1"}},
        "a response of SAML 1.1": {"response": {"Version": "1.1"}},
        "no authentication": {"authn_text": ""},
        "the session over": {"authn": {"SessionNotOnOrAfter": at(-1)}},
        "no status": {"status": ""},
        "a status like success": {"status": f'<samlp:Status><samlp:StatusCode Value="{STATUS}SuccessNot"/></samlp:Status>'},
        "two names": {"name_id": "<saml:NameID>ada@acme.com</saml:NameID>" * 2},
        "an empty name": {"name_id": "<saml:NameID/>"},
        "no identifier": {"assertion_id": ""},
        "no identifier of the response": {"response_id": ""},
    }


@pytest.mark.parametrize("style", SIGNED)
def test_every_check_of_the_protocol(attempt, acme, style):
    good = attempt(style=style)
    for name, changes in rows(acme).items():
        good.refused(name, good.good.but(**changes).write())


@pytest.mark.parametrize("style", SIGNED)
def test_what_is_at_the_edge_passes(acme, style):
    """So that the rows above are refused for what they change, not for being changed."""
    for changes in (
        {"conditions": {"NotBefore": at(30), "NotOnOrAfter": at(600)}}, {"conditions": {"NotOnOrAfter": at(-30)}},
        {"conditions": {"NotBefore": None, "NotOnOrAfter": None}}, {"confirmation": {"NotOnOrAfter": at(-30)}},
        {"restrictions": restriction("https://other.test").replace("</saml:AudienceRestriction>", "")
         + f"<saml:Audience>{acme.entity}</saml:Audience></saml:AudienceRestriction>"},
        {"restrictions": "<saml:OneTimeUse/>" + restriction(acme.entity)}, {"assertion": {"IssueInstant": at(30)}},
        {"authn": {"SessionNotOnOrAfter": at(60)}}, {"name_id": ""},
    ):
        Attempt(acme, style=style, **changes).signs_in()


# Encryption.


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes256-cbc", "aes256-gcm"])
def test_damage_tells_nothing(acme, cipher):
    """Padding probes of CBC and of RSA: whatever is damaged, the words are the same, in the answer and in the log."""
    good = Attempt(acme, style="both", encrypt=Lock(key("sp"), cipher=cipher))
    values = [part.split("</")[0] for part in good.document.split("<xenc:CipherValue>")[1:]]
    before = len(acme.refusals())
    pages = set()
    for value in values:
        raw = bytearray(base64.b64decode(value))
        for place in (0, 5, 20, len(raw) // 2, len(raw) - 17, len(raw) - 1):
            damaged = bytearray(raw)
            damaged[place] ^= 0x55
            text = good.good.but(style="nothing").around(cut(good.document, "<saml:EncryptedAssertion", "</saml:EncryptedAssertion>"))
            text = text.replace(value, base64.b64encode(damaged).decode())
            resigned = sign(text, good.good.spec)  # even where the signature is right
            good.refused(f"{place} of {len(raw)}", resigned)
    words = {event.get("detail") or event.get("reason") for event in acme.refusals()[before:] if event["code"] == "assertion_invalid"}
    assert len(words) == 1, words
    good.signs_in()


@pytest.mark.parametrize("style", SIGNED)
def test_encryption_that_is_off_or_beside_the_point(attempt, acme, style):
    good, sp = attempt(style=style), key("sp")
    locked = Lock(sp)

    def but(inside):
        return good.good.around(inside)

    inside = good.good.signed_assertion()
    for name, attack in {
        "rsa-1_5": but(Lock(sp, transport="rsa-1_5")(inside)),
        "another's key": but(Lock(key("stranger"))(inside)),
        "a stranger's assertion": but(locked(good.good.but(spec=Spec(key("stranger"))).signed_assertion())) if style != "response"
        else good.good.but(spec=Spec(key("stranger")), encrypt=locked).write(),
        "two inside": but(locked(inside + inside)),
        "no assertion inside": but(locked("<x/>")),
        "text inside": but(locked("ada@acme.com")),
        "a document type inside": but(locked("<!DOCTYPE x>" + inside)),
        "encrypted again": but(locked(locked(inside))),
        "another key beside": but(Lock(sp, beside=True, retrieval="#_other")(inside)),
        "a key from elsewhere": but(Lock(sp, beside=True, retrieval="http://evil.com/key")(inside)),
    }.items():
        good.refused(name, attack)
    if style == "assertion":
        good.refused("CBC under an unsigned response", but(Lock(sp, cipher="aes256-cbc")(inside)), "saml20.sign.response")


# Random damage.


@pytest.mark.parametrize("style", SIGNED)
def test_random_damage_signs_nobody_else_in(acme, world, style):
    """The same on every run. Where damage falls on what nothing covers, the person may still be let in: as herself."""
    good = Attempt(acme, style=style)
    mark = world.app.mark()
    text = good.document
    for number in range(60):
        seed = hashlib.sha256(f"{style} {number}".encode()).digest()
        place, end = int.from_bytes(seed[:4], "big") % len(text), int.from_bytes(seed[4:8], "big") % len(text)
        kind, piece = seed[8] % 5, text[min(place, end):max(place, end)][:200]
        damaged = [text[:place] + chr(33 + seed[9] % 90) + text[place + 1:], text[:place] + text[place + 1 + seed[9] % 40:],
                   text[:end] + piece + text[end:], text.replace(piece, "", 1),
                   text[:place] + "eve@evil.com" + text[place:]][kind]
        if damaged == text:
            continue
        attacker = acme.client()
        attacker.cookies = copy.deepcopy(good.client.cookies)
        reply = acme.finish(attacker, acme.post(attacker, damaged, good.request.relay_state))
        if reply.code:
            refused(reply, "assertion_invalid", "idp_denied", "identity_missing", "identity_ambiguous")
            continue
        # It was let in: it is Ada, and this login is used up.
        who = attacker.get(acme.url("/who"))
        assert who.seen()["x-sso-user"] == ["ada@acme.com"], damaged
        mark = world.app.mark()
        good = Attempt(acme, style=style)
        text = good.document
    world.app.nothing_since(mark)
    good.signs_in()
