"""SAML single logout, begun here and at the provider, by redirect and by post."""

import base64
import concurrent.futures
import urllib.parse
import zlib

import pytest
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.saml import NameID

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.pysaml import BINDINGS, SIGNATURES, PySaml
from harness.saml import SamlAccount, deflate, fits_the_schema, form_of, key, message
from harness.saml_forge import at

WAYS = ["redirect", "post"]
SIGN_ALG, DIGEST_ALG = SIGNATURES["sha256"]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-logout", concurrency=4)
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem}
    for way in WAYS:
        account = SamlAccount(world, way, binding=way, signing=ours)
        account.settings["slo_url"] = account.saml.slo
    none = SamlAccount(world, "none", signing=ours)
    assert "slo_url" not in none.settings
    other = SamlAccount(world, "other", signing=ours)
    other.settings["slo_url"] = other.saml.slo
    world.start()
    return world


@pytest.fixture(scope="module")
def pysaml(world):
    idps = {}
    for way in WAYS:
        account = world.accounts[way]
        saml = account.saml
        idps[way] = PySaml(saml.entity, saml.sso, saml.slo, saml.key, [account.client().get(account.entity).text])
    return idps


@pytest.fixture(params=WAYS)
def account(request, world):
    return world.accounts[request.param]


def person(account, index: str = "_session", user: str = "ada@acme.com"):
    """A client with a session of this SessionIndex."""
    return account.signed_in(user=user, authn={"SessionIndex": index})


def ended(*clients, account):
    """Each is signed out, on whatever worker it comes to."""
    for client in clients:
        for _ in range(8):
            signed_out(client, account)


# Begun here.


@pytest.mark.parametrize("way", WAYS)
def test_signing_out_here_signs_out_at_the_provider(world, pysaml, way):
    account, idp = world.accounts[way], pysaml[way].server
    client = person(account, "_desk")
    copied = client.values()
    reply = client.browse(account.url("/sso/logout"))
    asked = message(reply)
    assert asked.name == "SAMLRequest" and asked.url == account.saml.slo and asked.binding == way and asked.signed
    fits_the_schema(asked.text)
    # The session is over before the browser leaves, for captured copies too.
    signed_out(client, account)
    thief = account.client()
    reply = thief.get(account.url("/who"), headers={"cookie": "; ".join(f"{k}={v}" for k, v in copied.items())})
    refused(reply, "login_required", "session_expired")
    # pysaml2 reads our request, signature and all, and answers it.
    fields = dict(urllib.parse.parse_qsl(asked.query))
    raw = fields["SAMLRequest"] if way == "redirect" else base64.b64encode(asked.text.encode()).decode()
    read = idp.parse_logout_request(raw, BINDINGS[way], relay_state=fields.get("RelayState"), sigalg=fields.get("SigAlg"),
                                    signature=fields.get("Signature"))
    assert read.message.name_id.text == "ada@acme.com"
    assert [index.text for index in read.message.session_index] == ["_desk"]
    answer = idp.create_logout_response(read.message, [BINDINGS[way]], sign=way == "post", sign_alg=SIGN_ALG,
                                        digest_alg=DIGEST_ALG)
    back = bring(account, client, idp, way, answer, response=True)
    assert back.status in (302, 303) and back.location == account.url("/sso/logout-complete"), (back, account.refusals()[-1:])
    assert client.browse(back.location).status == 200


def bring(account, client, idp, way, text, response=False, relay_state="relay"):
    """pysaml2's own binding of its message, carried by the browser."""
    sent = idp.apply_binding(BINDINGS[way], str(text), account.slo, relay_state, response=response, sign=way == "redirect",
                             sigalg=SIGN_ALG)
    if way == "redirect":
        where = dict(sent["headers"])["Location"]
        # It puts a second question mark where the endpoint has a query.
        base, _, query = where.partition("SAML")
        return client.request("GET", f"{account.slo}&SAML{query}", navigation=True, cross_site=True)
    action, fields = form_of(sent["data"] if isinstance(sent["data"], str) else "".join(sent["data"]))
    assert action == account.slo
    return client.request("POST", account.slo, body=fields, navigation=True, cross_site=True,
                          headers={"origin": f"https://{account.saml.host}"})


def test_the_answer_may_say_that_not_all_ended(account):
    client = person(account)
    asked = message(client.browse(account.url("/sso/logout")))
    text = account.logout_response(asked.id, "Responder")
    reply = account.send(client, "SAMLResponse", text, asked.binding)
    assert reply.location == account.url("/sso/logout-complete"), reply
    assert any("did not end everything" in str(event) for event in account.world.envoy.events())


@pytest.mark.parametrize("name, changes", [
    ("another request", lambda: {"InResponseTo": "id-00000000000000000000000000000000"}),
    ("another destination", lambda: {"Destination": "https://x/"}),
    ("old", lambda: {"IssueInstant": at(-400)}), ("of the future", lambda: {"IssueInstant": at(600)}),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_an_answer_that_does_not_fit(account, name, changes):
    client = person(account)
    asked = message(client.browse(account.url("/sso/logout")))
    refused(account.send(client, "SAMLResponse", account.logout_response(asked.id, **changes()), asked.binding), "request_invalid")
    signed_out(client, account)
    reply = account.send(client, "SAMLResponse", account.logout_response(asked.id), asked.binding)
    assert reply.location == account.url("/sso/logout-complete"), reply


def test_without_a_logout_endpoint_the_session_ends_here(world):
    account = world.accounts["none"]
    client = person(account)
    reply = client.browse(account.url("/sso/logout"))
    assert reply.status in (302, 303) and reply.location == account.url("/sso/logout-complete"), reply
    signed_out(client, account)
    refused(account.send(account.client(), "SAMLRequest", account.logout_request(), "redirect"), "request_invalid")


# Begun at the provider.


@pytest.mark.parametrize("way", WAYS)
def test_pysaml2_ends_a_session(world, pysaml, way):
    account, idp = world.accounts[way], pysaml[way].server
    client, other = person(account, "_desk"), person(account, "_phone")
    name = NameID(text="ada@acme.com", format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")
    _, request = idp.create_logout_request(account.slo, account.entity, name_id=name, session_indexes=["_desk"],
                                           sign=way == "post", sign_alg=SIGN_ALG, digest_alg=DIGEST_ALG)
    reply = bring(account, client, idp, way, request)
    answer = message(reply)
    assert answer.name == "SAMLResponse" and answer.url == account.saml.slo and answer.binding == way
    assert answer.relay_state == "relay" and answer.signed
    fits_the_schema(answer.text)
    fields = dict(urllib.parse.parse_qsl(answer.query))
    raw = fields["SAMLResponse"] if way == "redirect" else base64.b64encode(answer.text.encode()).decode()
    read = idp.parse_logout_request_response(raw, BINDINGS[way])
    assert read and read.response.status.status_code.value.endswith(":Success")
    if way == "redirect":  # a cross-site post does not carry the cookie, so there is none to delete
        assert not session_cookies(client)
    ended(client, account=account)
    signed_in(other, account)


@pytest.mark.parametrize("carrier", ["its own browser", "no browser of hers"])
def test_without_a_session_index_all_sessions_of_the_name_end_on_all_workers(account, carrier):
    clients = [person(account, f"_{number}") for number in range(6)]
    bystander = person(account, "_1", user="bob@acme.com")
    by = clients[0] if carrier == "its own browser" else account.client()
    reply = account.send(by, "SAMLRequest", account.logout_request(index=None), account.code)
    assert message(reply).name == "SAMLResponse"
    ended(*clients, account=account)
    signed_in(bystander, account, "bob@acme.com")
    later = person(account, "_later")
    signed_in(later, account)


def test_one_session_of_several(account):
    desk, phone = person(account, "_desk-1"), person(account, "_phone-1")
    # Of another person, by the same index: it is not hers.
    bob = person(account, "_desk-1", user="bob@acme.com")
    message(account.send(phone, "SAMLRequest", account.logout_request(index="_desk-1"), account.code))
    ended(desk, account=account)
    signed_in(phone, account)
    signed_in(bob, account, "bob@acme.com")


def test_the_answer_goes_back_by_the_way_the_request_came(world):
    account = world.accounts["redirect"]
    for way in WAYS:
        reply = message(account.send(person(account, f"_{way}"), "SAMLRequest", account.logout_request(index=f"_{way}"), way))
        assert reply.binding in WAYS and reply.name == "SAMLResponse" and reply.signed


def refusals(account):
    stranger = key("stranger")
    good = account.logout_request
    return {
        "unsigned": (good(index=None), {"signer": None}),
        "a stranger's": (good(index=None), {"signer": stranger}),
        "our own key's": (good(index=None), {"signer": key("sp")}),
        "old, without an end": (good(index=None, IssueInstant=at(-400), NotOnOrAfter=None), {}),
        "over": (good(index=None, NotOnOrAfter=at(-90)), {}),
        "of the future": (good(index=None, IssueInstant=at(600)), {}),
        "another destination": (good(index=None, Destination="https://other.test/"), {}),
        "another account's": (good(index=None, Destination=account.slo.replace(account.code, "other")), {}),
        "another version": (good(index=None, Version="1.1"), {}),
        "another issuer": (good(index=None).replace(account.saml.entity, "https://evil.com/"), {}),
        "no name": (good(index=None).replace("<saml:NameID>ada@acme.com</saml:NameID>", ""), {}),
        "a comment in the name": (good(index=None).replace("ada@acme.com<", "ada@acme.com<!-- --><"), {}),
        "a document type": ("<!DOCTYPE x>" + good(index=None), {"signer": None}),
        "another message": (good(index=None).replace("LogoutRequest", "AuthnRequest"), {}),
        "no XML": ("hello", {"signer": None}),
    }


@pytest.mark.parametrize("way", WAYS)
def test_what_is_unsigned_stale_or_malformed_ends_nothing(world, way):
    account = world.accounts[way]
    client = person(account)
    for name, (text, options) in refusals(account).items():
        mark = world.app.mark()
        reply = account.send(client, "SAMLRequest", text, way, **options)
        assert reply.code in ("request_invalid", "assertion_invalid") and reply.status == 400, (name, reply)
        assert session_cookies(client), name
        world.app.nothing_since(mark)
        signed_in(client, account)
    message(account.send(client, "SAMLRequest", account.logout_request(index=None), way))
    signed_out(client, account)


def test_a_redirects_signature_covers_what_is_read(world):
    account = world.accounts["redirect"]
    client = person(account)
    bob = person(account, user="bob@acme.com")
    signed = account.logout_request("bob@acme.com", index=None)
    evil = urllib.parse.quote(deflate(account.logout_request(index=None)), safe="")
    for name, tamper in {
        "another message": lambda q: "SAMLRequest=" + evil + q[q.index("&"):],
        "a second message": lambda q: q + "&SAMLRequest=" + evil,
        "a second message before": lambda q: f"SAMLRequest={evil}&" + q,
        "an escaped name": lambda q: f"SAML%52equest={evil}&" + q,
        "another RelayState": lambda q: q.replace("relay+me", "relay+you"),
        "a second RelayState": lambda q: q + "&RelayState=x",
        "no RelayState": lambda q: q.replace("&RelayState=relay+me", ""),
        "another algorithm": lambda q: q.replace("rsa-sha256", "rsa-sha512"),
        "SHA-1": lambda q: q.replace("2001%2F04%2Fxmldsig-more%23rsa-sha256", "2000%2F09%2Fxmldsig%23rsa-sha1"),
        "HMAC": lambda q: q.replace("rsa-sha256", "hmac-sha256"),
        "no algorithm": lambda q: q[:q.index("&SigAlg=")] + q[q.index("&Signature="):],
        "no signature": lambda q: q[:q.index("&Signature=")],
        "an empty signature": lambda q: q[:q.index("&Signature=")] + "&Signature=",
        "a response beside": lambda q: q + "&SAMLResponse=x",
        "another encoding": lambda q: q + "&SAMLEncoding=urn:x",
    }.items():
        reply = account.send(client, "SAMLRequest", signed, "redirect", tamper=tamper)
        assert reply.code in ("request_invalid", "assertion_invalid") and reply.status == 400, (name, reply)
        signed_in(client, account)
        signed_in(bob, account, "bob@acme.com")
    message(account.send(client, "SAMLRequest", signed, "redirect"))
    signed_in(client, account)
    signed_out(bob, account)


def test_a_deflate_bomb_is_cut_off(world):
    """A gigabyte of spaces packs into a request line's worth when packed twice over; one pass gives 1000 to 1."""
    account = world.accounts["redirect"]
    client = person(account)
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(60)) + packer.flush()
    query = urllib.parse.urlencode({"SAMLRequest": base64.b64encode(bomb).decode()})
    assert len(query) < 110_000
    for _ in range(3):
        reply = client.request("GET", f"{account.slo}&{query}", navigation=True, cross_site=True)
        assert reply.status in (400, 431), reply
    large = account.logout_request(index=None).replace("</samlp:LogoutRequest>", " " * 1_000_000 + "</samlp:LogoutRequest>")
    assert account.send(client, "SAMLRequest", large, "redirect").status == 400
    signed_in(client, account)
    account.world.envoy.assert_healthy()


@pytest.mark.parametrize("body, code", [
    ("", "request_invalid"), ("SAMLRequest=%%%", "request_invalid"), ("SAMLRequest=PHgvPg%3D%3D&SAMLResponse=PHgvPg%3D%3D", "request_invalid"),
    ("SAMLRequest=PHgvPg%3D%3D&SAMLRequest=PHgvPg%3D%3D", "request_invalid"), ("SAMLRequest=" + "A" * 700_000, "body_too_large"),
], ids=["empty", "no-base64", "both", "twice", "huge"])
def test_garbage(world, body, code):
    account = world.accounts["post"]
    mark = world.app.mark()
    refused(account.client().request("POST", account.slo, body=body, navigation=True, cross_site=True,
                                     headers={"content-type": "application/x-www-form-urlencoded"}), code)
    refused(account.client().browse(account.slo), "request_invalid")
    refused(account.client().request("PUT", account.slo, navigation=True), "method_not_allowed")
    world.app.nothing_since(mark)


def test_many_at_once_end_one_session_and_no_vm(account):
    clients = [person(account, f"_{number}") for number in range(8)]
    text = account.logout_request(index=None)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: account.send(account.client(), "SAMLRequest", text, account.code), range(16)))
    assert all(message(reply).name == "SAMLResponse" for reply in replies)
    ended(*clients, account=account)


def test_a_logout_that_names_nobody_known_is_answered(account):
    bystander = person(account)
    reply = account.send(account.client(), "SAMLRequest", account.logout_request("nobody@acme.com", index=None), account.code)
    assert message(reply).name == "SAMLResponse"
    signed_in(bystander, account)
