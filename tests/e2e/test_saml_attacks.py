"""Documents made to be taken for another, each through a real Envoy, beside the untouched one that signs in.

Every attack is the answer to a login of its own, sent by the very browser that began it, with its cookies and its
RelayState: nothing but the attack can be what is refused. Each test ends with the good document signing in.
"""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness import saml_wrapping
from harness.expect import refused, session_cookies, signed_out
from harness.saml import SamlAccount, key
from harness.saml_forge import (BEARER, DSIG, ENVELOPED, EXC_C14N, MORE, SIGNED, STATUS, Hmac, Key, Lock, Spec, at, cut, method,
                                restriction, sign, signature, unsigned)


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

    @property
    def ids(self):
        return (self.good.response_id, self.good.assertion_id)

    def refused(self, name: str, text, words: str = "") -> None:
        account = self.account
        assert text != self.document, f"{name} changes nothing"
        mark = account.world.app.mark()
        before = len(account.world.envoy.log_text()) if words else 0
        try:
            reply = account.post(self.client, text, self.request.relay_state)
            refused(account.finish(self.client, reply), "assertion_invalid")
            assert not session_cookies(self.client)
        except AssertionError as failed:
            raise AssertionError(f"{name}: {failed}\n{account.refusals()[-1:]}\n{text}") from None
        if words:
            assert words in account.world.envoy.log_text()[before:], f"{name}: {account.refusals()[-1]}"
        account.world.app.nothing_since(mark)

    def signs_in(self, text=None) -> None:
        reply = self.account.post(self.client, text or self.document, self.request.relay_state)
        assert reply.status in (302, 303) and session_cookies(self.client), (reply, self.account.refusals()[-1:])


def attack(account, build, **changes) -> int:
    """`build` gives every attack on an attempt by its name: the text, what makes it, or either with the words of the log.
    Returns how many there were."""
    names = list(build(Attempt(account, **changes)))
    for name in names:
        good = Attempt(account, **changes)
        made = build(good)[name]
        made, words = made if isinstance(made, tuple) else (made, "")
        good.refused(name, made() if callable(made) else made, words)
    signed_out(good.client, account)
    Attempt(account, **changes).signs_in()
    return len(names)


# Wrapping.


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
@pytest.mark.parametrize("style", ["assertion", "both"])
def test_the_signed_assertion_wrapped(acme, style, new_id):
    count = attack(acme, lambda good: saml_wrapping.assertions(good.document, good.ids, new_id), style=style)
    assert count == 18


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
def test_the_signed_assertion_wrapped_without_the_responses_signature(acme, new_id):
    """As an attacker does it: any change breaks the outer signature, so it goes."""
    attack(acme, lambda good: saml_wrapping.assertions(unsigned(good.document), good.ids, new_id), style="both")
    good = Attempt(acme, style="both")
    good.signs_in(unsigned(good.document))


@pytest.mark.parametrize("new_id", [True, False], ids=["another-id", "the-same-id"])
@pytest.mark.parametrize("style", ["response", "both"])
def test_the_signed_response_wrapped(acme, style, new_id):
    count = attack(acme, lambda good: saml_wrapping.responses(good.document, good.ids, new_id), style=style)
    assert count == 12


@pytest.mark.parametrize("style", SIGNED)
def test_a_signature_where_none_belongs(acme, style):
    """Nothing else is wrong with these: the one valid signature stands in the wrong place, or a second one does."""
    def build(good):
        s = signature(good.document)
        places = {
            "StatusDetail": ("</samlp:Status>", f"<samlp:StatusDetail>{s}</samlp:StatusDetail></samlp:Status>"),
            "Advice": ("<saml:AuthnStatement", f"<saml:Advice>{s}</saml:Advice><saml:AuthnStatement"),
            "Object": ("<samlp:Status>", f"<ds:Object xmlns:ds='{DSIG}'>{s}</ds:Object><samlp:Status>"),
            "Extensions": ("<samlp:Status>", f"<samlp:Extensions>{s}</samlp:Extensions><samlp:Status>"),
        }
        return {f"{how} to {place}": text.replace(*change, 1) for place, change in places.items()
                for how, text in (("moved", unsigned(good.document)), ("copied", good.document))}

    attack(acme, build, style=style)


# Signatures that verify somewhere and must not here.


@pytest.mark.parametrize("style", SIGNED)
def test_unsigned_and_half_signed(acme, style):
    def build(good):
        answer, text = good.good, good.document
        found = {
            "unsigned": (answer.but(style="nothing").write, "neither the Response nor the Assertion is signed"),
            "its signatures taken out": unsigned(unsigned(text)) if style == "both" else unsigned(text),
            "another name": (text.replace("ada@acme.com", "eve@evil.com"), "digest"),
            "encrypted but unsigned": (answer.but(style="nothing", encrypt=Lock(key("sp"))).write, "neither"),
        }
        if style == "both":
            found["the outer one broken"] = text.replace(answer.response_id, "_other", 1)
            stranger = answer.but(spec=Spec(key("stranger")))
            found["the inner one a stranger's"] = (lambda: answer.around(stranger.signed_assertion()), "not by a certificate")
            found["the outer one a stranger's"] = (lambda: stranger.around(answer.signed_assertion()), "not by a certificate")
        return found

    attack(acme, build, style=style)


@pytest.mark.parametrize("style", SIGNED)
def test_keys_come_from_the_configuration_alone(acme, style):
    stranger = key("stranger")
    modulus = base64.b64encode(stranger.private.public_key().public_numbers().n.to_bytes(256, "big")).decode()
    value = (f"<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
             "</ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>")

    def build(good):
        def by(signer=stranger, **spec):
            return good.good.but(spec=Spec(signer, **spec)).write

        return {
            "the attacker's key in KeyInfo": (by(), "not by a certificate"),
            "the right certificate shown": by(key_info=key("idp").key_info),
            "no KeyInfo": by(key_info=""),
            "a KeyValue": by(key_info=value),
            "a RetrievalMethod": by(key_info='<ds:KeyInfo><ds:RetrievalMethod URI="https://evil.com/key"/></ds:KeyInfo>'),
            "our own key": by(key("sp")),
        }

    attack(acme, build, style=style)


@pytest.fixture(scope="module")
def weak():
    return Key("weak", rsa.generate_private_key(65537, 1024)), Key("curve", ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize("style", SIGNED)
def test_algorithms_that_are_off(acme, style, weak):
    idp = key("idp")
    spki = idp.private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    specs = {
        "SHA-1": (Spec(idp, algorithm=f"{DSIG}rsa-sha1"), "SHA-1"),
        "SHA-1 digest": (Spec(idp, digest=f"{DSIG}sha1"), "SHA-1"),
        "HMAC with the certificate's PEM": (Spec(Hmac(idp.pem.encode()), algorithm=f"{MORE}hmac-sha256"), ""),
        "HMAC with the certificate's DER": (Spec(Hmac(idp.der), algorithm=f"{MORE}hmac-sha256"), ""),
        "HMAC with the public key": (Spec(Hmac(spki), algorithm=f"{MORE}hmac-sha256"), ""),
        "HMAC-SHA1 with nothing": (Spec(Hmac(b""), algorithm=f"{DSIG}hmac-sha1"), ""),
        "MD5": (Spec(idp, algorithm=f"{MORE}rsa-md5"), ""),
        "no algorithm": (Spec(idp, algorithm=""), ""),
        "ECDSA's name over RSA": (Spec(idp, algorithm=f"{MORE}ecdsa-sha256"), ""),
        "a short key": (Spec(weak[0]), ""),
        "a curve that is not configured": (Spec(weak[1], algorithm=f"{MORE}ecdsa-sha256"), ""),
    }
    attack(acme, lambda good: {name: (good.good.but(spec=spec).write, words) for name, (spec, words) in specs.items()},
           style=style)


@pytest.mark.parametrize("style", SIGNED)
def test_references_and_transforms_are_exactly_the_profile(acme, style):
    enveloped, exclusive = method("Transform", ENVELOPED), method("Transform", EXC_C14N)
    xpath = method("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>ancestor::x</ds:XPath>")
    xslt = method("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116")
    plain = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    filter2 = method("Transform", "http://www.w3.org/2002/06/xmldsig-filter2")
    second = '<ds:Reference URI="#_x"><ds:Transforms/></ds:Reference>'
    idp = key("idp")

    def build(good):
        aid = good.good.assertion_id
        specs = {f"reference {number}": {"uri": uri} for number, uri in enumerate((
            "", "#", aid, "#_other", "#xpointer(/)", f"#xpointer(id('{aid}'))", "http://evil.com/x.xml", "file:///etc/passwd",
            f"{good.account.acs}#{aid}"))}
        specs |= {f"transforms {transforms}": {"transforms": transforms} for transforms in (
            "", enveloped, exclusive, exclusive + enveloped, enveloped + exclusive * 2, enveloped + xpath + exclusive,
            enveloped + filter2 + exclusive, xslt + exclusive, enveloped + method("Transform", plain),
            enveloped + method("Transform", EXC_C14N + "WithoutComments"), enveloped + method("Transform", EXC_C14N, "<x/>"))}
        specs |= {how: {"canonicalization": how} for how in (
            method("CanonicalizationMethod", plain), method("CanonicalizationMethod", EXC_C14N, "<x/>"))}
        specs |= {"two references": {"more": second}, "an Object": {"key_info": idp.key_info + "<ds:Object/>"}}
        found = {name: good.good.but(spec=Spec(idp, **spec)).write for name, spec in specs.items()}
        found["no reference"] = good.document.replace(cut(good.document, "<ds:Reference ", "</ds:Reference>"), "")
        return found

    attack(acme, build, style=style)


@pytest.mark.parametrize("style", SIGNED)
def test_two_or_none_of_anything_in_a_signature(acme, style):
    def build(good):
        text, s = good.document, signature(good.document)
        info, value = cut(s, "<ds:SignedInfo>", "</ds:SignedInfo>"), cut(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
        algorithm, digest = cut(s, "<ds:SignatureMethod", "</ds:SignatureMethod>"), cut(s, "<ds:DigestValue>", "</ds:DigestValue>")
        other = info.replace(good.good.assertion_id, "_other").replace(good.good.response_id, "_other")
        found = {f"twice {part.split('>')[0]}": text.replace(part, part + part, 1) for part in (s, info, value, algorithm, digest)}
        found |= {f"without {part.split('>')[0]}": text.replace(part, "", 1) for part in (info, value, algorithm, digest)}
        return found | {
            "a second SignedInfo, of another assertion": text.replace(info, other + info, 1),
            "the value cut": text.replace(algorithm, algorithm.replace(
                "></", "><ds:HMACOutputLength>1</ds:HMACOutputLength></"), 1),
            "an empty value": text.replace(value, "<ds:SignatureValue></ds:SignatureValue>", 1),
            "an empty digest": text.replace(digest, "<ds:DigestValue></ds:DigestValue>", 1),
            "an empty signature": text.replace(s, f'<ds:Signature xmlns:ds="{DSIG}"/>', 1),
        }

    attack(acme, build, style=style)


# Values, documents, namespaces.


@pytest.mark.parametrize("style", SIGNED)
def test_comments_never_split_a_value(acme, style):
    """CVE-2017-11427 and its kin: canonical form drops the comment, a careless reader stops at it."""
    def build(good):
        found = {name: (good.document.replace(before, after, 1), "must hold text alone") for name, before, after in (
            ("NameID", "ada@acme.com</saml:NameID>", "ada@acme.com<!-- --></saml:NameID>"),
            ("NameID, in the middle", "ada@acme.com</saml:NameID>", "ada@acme<!-- -->.com</saml:NameID>"),
            ("attribute", "ada@acme.com</saml:AttributeValue>", "ada@<!-- -->acme.com</saml:AttributeValue>"),
            ("Audience", "</saml:Audience>", "<!-- --></saml:Audience>"),
            ("Issuer", "</saml:Issuer>", "<!-- --></saml:Issuer>"),
            ("DigestValue", "<ds:DigestValue>", "<ds:DigestValue><!-- -->"),
            ("SignatureValue", "<ds:SignatureValue>", "<ds:SignatureValue><!-- -->"))}
        for inside in ("ada@acme.com<b xmlns=''>.evil.com</b>", "<b xmlns=''>ada@acme.com</b>"):
            name = f"<saml:NameID>{inside}</saml:NameID>"
            found[inside] = (good.good.but(name_id=name).write, "must hold text alone")
        return found

    attack(acme, build, style=style)
    good = Attempt(acme, style=style)
    good.signs_in(good.document.replace("<saml:Subject>", "<saml:Subject><!-- no value is read here -->"))


@pytest.mark.parametrize("style", SIGNED)
def test_document_types_instructions_and_namespaces(acme, style):
    laughs = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    subject = "<saml:Subject>"

    def build(good):
        text, aid = good.document, good.good.assertion_id
        entity = text.replace("ada@acme.com</saml:NameID>", "&x;</saml:NameID>")

        def before(what):
            return text.replace(subject, subject[:-1] + " " + what + ">")

        return {
            "DTD": f"<!DOCTYPE samlp:Response>{text}",
            "XXE": f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>{entity}',
            "external subset": f'<!DOCTYPE r SYSTEM "http://evil.com/x.dtd">{text}',
            "parameter entity": f'<!DOCTYPE r [<!ENTITY % x SYSTEM "http://evil.com/x.dtd"> %x;]>{text}',
            "a billion laughs": f'<!DOCTYPE r [<!ENTITY a "ha">{laughs}<!ENTITY x "&j;">]>{entity}',
            "default attributes": f"<!DOCTYPE r [<!ATTLIST saml:Assertion ID CDATA '{aid}'>]>{text}",
            "an entity of nobody's": entity,
            "a style sheet": f'<?xml-stylesheet href="x"?>{text}',
            "an instruction inside": text.replace(subject, subject + "<?x?>"),
            "several roots": text + text,
            "text behind": text + "x",
            "relative namespace": before('xmlns:r="relative"'),
            "xml declared": before('xmlns:xml="http://www.w3.org/XML/1998/namespace"'),
            "xmlns declared": before('xmlns:xmlns="http://www.w3.org/2000/xmlns/"'),
            "an attribute called xmlns": before('saml:xmlns="urn:x"'),
            "a namespace twice": before('xmlns="urn:x" xmlns="urn:y"'),
            "the identifier twice": before(f'ID="{aid}"'),
            "the identifier as xml:id": before(f'xml:id="{aid}"'),
            "xml:base": before('xml:base="http://x/"'),
            "another encoding": f'<?xml version="1.0" encoding="UTF-16"?>{text}',
            "UTF-7": f'<?xml version="1.0" encoding="UTF-7"?>{text}',
            "version 1.1": f'<?xml version="1.1"?>{text}',
            "UTF-16 bytes": text.encode("utf-16"),
            "NUL": text.replace(subject, subject + "\0"),
            "deep": text.replace(subject, subject + "<x>" * 5000 + "</x>" * 5000),
            "wide": before(" ".join(f'a{n}="1"' for n in range(5000))),
            "many namespaces": before(" ".join(f'xmlns:a{n}="urn:x"' for n in range(5000))),
            "the protocol of SAML 1": text.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol"),
        }

    attack(acme, build, style=style)


@pytest.mark.parametrize("style", SIGNED)
def test_shapes_that_are_no_response(acme, style):
    def build(good):
        one = good.good.signed_assertion()
        two = good.good.but(assertion_id="_second").signed_assertion()
        encrypted, around = Lock(key("sp"))(one), good.good.around
        return {
            "no assertion": lambda: around(""), "two assertions": lambda: around(one + two),
            "the same twice": lambda: around(one + one), "plain and encrypted": lambda: around(one + encrypted),
            "two encrypted": lambda: around(encrypted + encrypted), "an assertion alone": one, "a request": good.request.text,
        }

    attack(acme, build, style=style)


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
        "not yet": {"conditions": {"NotBefore": at(600)}},
        "no longer": {"conditions": {"NotOnOrAfter": at(-70)}},
        "never": {"conditions": {"NotOnOrAfter": "tomorrow"}},
        "the confirmation over": {"confirmation": {"NotOnOrAfter": at(-70)}},
        "the confirmation without end": {"confirmation": {"NotOnOrAfter": None}},
        "the confirmation not yet": {"confirmation": {"NotBefore": at(600)}},
        "no confirmation": {"confirmations": ""},
        "holder of key": {"confirmations": f'<saml:SubjectConfirmation Method="{BEARER.replace("bearer", "holder-of-key")}"/>'},
        "issued in the future": {"assertion": {"IssueInstant": at(600)}},
        "answered in the future": {"response": {"IssueInstant": at(600)}},
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
def test_every_check_of_the_protocol(acme, style):
    attack(acme, lambda good: {name: good.good.but(**changes).write for name, changes in rows(acme).items()}, style=style)


@pytest.mark.parametrize("style", SIGNED)
def test_what_is_at_the_edge_passes(acme, style):
    """So that the rows above are refused for what they change, not for being changed."""
    for changes in (
        {"conditions": {"NotBefore": at(30), "NotOnOrAfter": at(600)}}, {"conditions": {"NotOnOrAfter": at(-5)}},
        {"conditions": {"NotBefore": None, "NotOnOrAfter": None}}, {"confirmation": {"NotOnOrAfter": at(-5)}},
        {"restrictions": restriction("https://other.test").replace("</saml:AudienceRestriction>", "")
         + f"<saml:Audience>{acme.entity}</saml:Audience></saml:AudienceRestriction>"},
        {"restrictions": "<saml:OneTimeUse/>" + restriction(acme.entity)}, {"assertion": {"IssueInstant": at(30)}},
        {"authn": {"SessionNotOnOrAfter": at(3600)}}, {"name_id": ""},
    ):
        Attempt(acme, style=style, **changes).signs_in()


# Encryption.


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes256-cbc", "aes256-gcm"])
def test_damage_tells_nothing(acme, cipher):
    """Padding probes of CBC and of RSA: whatever is damaged, the words are the same, in the answer and in the log. The
    signature around is right each time: it is not what refuses."""
    def build(good):
        locked = cut(good.document, "<saml:EncryptedAssertion", "</saml:EncryptedAssertion>")
        found = {}
        for value in [part.split("</")[0] for part in locked.split("<xenc:CipherValue>")[1:]]:
            raw = base64.b64decode(value)
            for place in (0, 5, 20, len(raw) // 2, len(raw) - 17, len(raw) - 1):
                damaged = raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1:]
                found[f"{place} of {'key' if len(raw) == 256 else 'data'}"] = (
                    lambda damaged=damaged, value=value: good.good.around(
                        locked.replace(value, base64.b64encode(damaged).decode())))
        return found

    before = len(acme.refusals())
    count = attack(acme, build, style="response", encrypt=Lock(key("sp"), cipher=cipher))
    events = [event for event in acme.refusals()[before:] if event["code"] == "assertion_invalid"]
    words = {event.get("detail") or event.get("reason") for event in events}
    assert count == 12 and len(events) >= count
    # Damage of the plain text that unpadding cannot see is found when it is read; no answer tells it apart.
    assert len(words) == 1 or cipher.endswith("cbc"), words


@pytest.mark.parametrize("style", SIGNED)
def test_encryption_that_is_off_or_beside_the_point(acme, style):
    sp = key("sp")
    locked = Lock(sp)

    def build(good):
        inside, around = good.good.signed_assertion(), good.good.around
        stranger = good.good.but(spec=Spec(key("stranger")))
        found = {
            "rsa-1_5": lambda: around(Lock(sp, transport="rsa-1_5")(inside)),
            "another's key": lambda: around(Lock(key("stranger"))(inside)),
            "a stranger's": lambda: (stranger if style == "response" else good.good).around(locked(stranger.signed_assertion())),
            "two inside": lambda: around(locked(inside + inside)),
            "no assertion inside": lambda: around(locked("<x/>")),
            "text inside": lambda: around(locked("ada@acme.com")),
            "a document type inside": lambda: around(locked("<!DOCTYPE x>" + inside)),
            "encrypted again": lambda: around(locked(locked(inside))),
            "another key beside": lambda: around(Lock(sp, beside=True, retrieval="#_other")(inside)),
            "a key from elsewhere": lambda: around(Lock(sp, beside=True, retrieval="http://evil.com/key")(inside)),
        }
        if style == "assertion":
            found["CBC under an unsigned response"] = (lambda: around(Lock(sp, cipher="aes256-cbc")(inside)), "saml20.sign.response")
        return found

    attack(acme, build, style=style)
    Attempt(acme, style=style, encrypt=locked).signs_in()
    Attempt(acme, style=style, encrypt=Lock(sp, beside=True)).signs_in()


# Random damage.


@pytest.mark.parametrize("style", SIGNED)
def test_random_damage_signs_nobody_else_in(acme, style):
    """The same on every run. Where damage falls on what nothing covers, the person may still be let in: as herself."""
    for number in range(50):
        good = Attempt(acme, style=style)
        text, seed = good.document, hashlib.sha256(f"{style} {number}".encode()).digest()
        place, end = int.from_bytes(seed[:4], "big") % len(text), int.from_bytes(seed[4:8], "big") % len(text)
        piece = text[min(place, end):max(place, end)][:200]
        damaged = [text[:place] + chr(33 + seed[9] % 90) + text[place + 1:], text[:place] + text[place + 1 + seed[9] % 40:],
                   text[:end] + piece + text[end:], text.replace(piece, "", 1),
                   text[:place] + "eve@evil.com" + text[place:]][seed[8] % 5]
        mark = acme.world.app.mark()
        reply = acme.finish(good.client, acme.post(good.client, damaged, good.request.relay_state))
        if reply.status not in (302, 303):
            refused(reply, "assertion_invalid", "idp_denied", "identity_missing", "identity_ambiguous")
            acme.world.app.nothing_since(mark)
        else:
            assert good.client.get(acme.url("/who")).seen()["x-sso-user"] == ["ada@acme.com"], damaged
