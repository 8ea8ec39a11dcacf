"""Signing in with SAML 2.0: who gets in, what the application is told, what is refused.

pysaml2 with xmlsec1 is the provider that we did not write; the forge answers where a test changes one thing.
"""

import base64

import pytest

from harness.expect import flow_cookies, refused, session_cookies, signed_in, signed_out
from harness.net import eventually
from harness.pysaml import PySaml
from harness.saml import SamlAccount, fits_the_schema, form, key, message
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
    SamlAccount(world, "other")
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
    several = SamlAccount(world, "several")
    openid = several.config["identity_providers"] + [
        {"id": "second", "title": "Second company", "saml": several.settings | {
            "issuer": "https://second.idp.test/", "certificates": [key("second").pem]}},
        {"id": "openid", "title": "OpenID company", "oidc": {
            "discovery": f"{several.idp.issuer}/.well-known/openid-configuration", "client_id": "lakehouse",
            "client_secret": {"env": "OIDC_SECRET"}}}]
    several.config["identity_providers"] = openid
    for code in ("north", "south"):  # one origin for both
        account = SamlAccount(world, code)
        account.origin = "https://shared.app.test"
        account.config["origins"] = [account.origin]
        account.entity, account.acs = (account.url(f"/sso/saml/{what}?u={code}") for what in ("metadata", "consume"))
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


def cases(**rows):
    return [pytest.param(*row, id=name.replace("_", "-")) for name, row in rows.items()]


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


# The login in progress.


def test_another_browsers_response_is_useless(acme, world):
    """A stolen response, or one planted on a victim: the flow cookie is not there."""
    mark = world.app.mark()
    thief, victim = acme.client(), acme.client()
    request = acme.begin(victim)
    text = acme.answer(request).write()
    refused(acme.finish(thief, acme.post(thief, text, request.relay_state)), "state_unknown")
    own = acme.begin(thief)  # with a login of the thief's own under way
    refused(acme.finish(thief, acme.post(thief, text, own.relay_state)), "assertion_invalid")
    refused(acme.finish(thief, acme.post(thief, text, request.relay_state)), "state_unknown")
    signed_out(thief, acme)
    world.app.nothing_since(mark)
    assert acme.post(victim, text, request.relay_state).status in (302, 303)
    signed_in(victim, acme)


@pytest.mark.parametrize("wrong", ["another", "", "https://evil.com/", "//evil.com", "/elsewhere", "\u00e9\u4e00", "x" * 4000])
def test_relay_state_is_a_handle_and_never_an_address(acme, world, wrong):
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client, "/reports?q=2")
    text = acme.answer(request).write()
    reply = acme.finish(client, acme.post(client, text, wrong))
    refused(reply, "state_unknown")
    assert reply.location is None
    world.app.nothing_since(mark)
    assert acme.post(client, text, request.relay_state).location == acme.url("/reports?q=2")


def test_without_relay_state_the_request_says_which_login_it_is(acme):
    client = acme.client()
    request = acme.begin(client)
    text = acme.answer(request).write()
    refused(acme.finish(acme.client(), acme.post(acme.client(), text)), "state_unknown")
    for there_and_wrong in ("", "x" * 32):
        refused(acme.finish(client, acme.post(client, text, there_and_wrong)), "state_unknown")
    assert acme.post(client, text).location == acme.url("/reports?q=1")


@pytest.mark.parametrize("changes", cases(
    of_nobody=({"request": "id-00000000000000000000000000000000"},),
    empty=({"request": ""},),
    none=({"request": None},),
    only_in_the_response=({"confirmation": {"InResponseTo": None}},),
    only_in_the_subject=({"response": {"InResponseTo": None}},),
    another_in_the_subject=({"confirmation": {"InResponseTo": "id-00000000000000000000000000000000"}},),
    another_in_the_response=({"response": {"InResponseTo": "id-00000000000000000000000000000000"}},),
))
def test_the_answer_names_the_request_of_this_login(acme, world, changes):
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client)
    refused(acme.finish(client, acme.post(client, acme.answer(request, **changes), request.relay_state)),
            "assertion_invalid", "state_unknown")
    signed_out(client, acme)
    world.app.nothing_since(mark)


def test_another_accounts_response(acme, world):
    """`u=a` answered at `u=b`: neither account lets anybody in."""
    other = world.accounts["other"]
    mark = world.app.mark()
    for first, second in ((acme, other), (other, acme)):
        client = first.client()
        request = first.begin(client)
        text = first.answer(request).write()
        refused(second.finish(client, second.post(client, text, request.relay_state)), "state_unknown")
        wrong_u = first.acs.replace(f"u={first.code}", f"u={second.code}")
        refused(first.finish(client, first.post(client, text, request.relay_state, where=wrong_u)),
                "state_unknown", "account_unknown", "assertion_invalid", "callback_invalid", "request_invalid")
        # The other account's login under way, the first one's answer.
        own = second.begin(client)
        refused(second.finish(client, second.post(client, text, own.relay_state)), "assertion_invalid")
        signed_out(client, second)
        world.app.nothing_since(mark)
        assert first.post(client, text, request.relay_state).status in (302, 303)
        signed_in(client, first)
        mark = world.app.mark()


def test_accounts_that_share_an_origin(world):
    """A login names its account; the answer to it counts there and nowhere else."""
    north, south = world.accounts["north"], world.accounts["south"]
    client, mark = north.client(), world.app.mark()

    def begun(account):
        return message(client.browse(account.url(f"/sso/login?u={account.code}&return_to=/reports")))

    request = begun(north)
    assert request.issuer == north.entity and request.acs == north.acs
    text = north.answer(request).write()
    for relay_state in (request.relay_state, begun(south).relay_state):
        refused(south.finish(client, south.post(client, text, relay_state)), "state_unknown", "assertion_invalid")
    # Made out for the other account by this one's provider, or by the other's for this one.
    for issuer, account in ((north, south), (south, north)):
        request = begun(account)
        forged = account.answer(request, spec=Spec(key("stranger")), issuer=issuer.saml.entity)
        refused(account.finish(client, account.post(client, forged, request.relay_state)), "assertion_invalid")
    world.app.nothing_since(mark)
    request = begun(north)
    assert north.post(client, north.answer(request), request.relay_state).location == north.url("/reports")
    assert client.get(north.url("/who")).seen()["x-sso-account"] == ["north"]


def test_several_providers_of_one_account_are_not_mixed_up(world):
    """A login at one is answered by that one: with the other's key, the other's name, or both, nobody is signed in."""
    account = world.accounts["several"]
    client = account.client()
    page = client.follow(client.browse(account.url("/reports")))[-1]
    assert all(title in page.text for title in ("Acme staff", "Second company", "OpenID company")), page

    def begun(provider):
        return message(client.browse(account.url(f"/sso/login?idp={provider}&return_to=/reports")))

    second = {"spec": Spec(key("second")), "issuer": "https://second.idp.test/"}
    mark = world.app.mark()
    for changes in (second, {"spec": second["spec"]}, {"issuer": second["issuer"]}, {"assertion_issuer": second["issuer"]}):
        request = begun("corp")
        refused(account.post(client, account.answer(request, **changes), request.relay_state), "assertion_invalid")
    world.app.nothing_since(mark)
    for provider, changes in (("second", second), ("corp", {})):
        request = begun(provider)
        assert account.post(client, account.answer(request, **changes), request.relay_state).status in (302, 303)
        assert client.get(account.url("/who")).seen()["x-sso-idp"] == [provider]
    # And by OpenID Connect in the same browser: one session, one set of headers.
    hops = client.follow(client.browse(account.url("/sso/login?idp=openid&return_to=/who")))
    assert hops[-1].seen()["x-sso-idp"] == ["openid"], hops


def test_somebody_in_two_thousand_groups(acme):
    """140 KB of assertion: as large as real ones get, and then some."""
    groups = [f"CN=Group {number:04},OU=Groups,DC=acme,DC=com" for number in range(2000)] + ["lakehouse-admins"]
    client = acme.signed_in(statements=statement(attribute("email", "ada@acme.com"), attribute("groups", *groups)))
    assert client.get(acme.url("/who")).seen()["x-sso-roles"] == ["account_admin"]


def test_names_of_every_script(world):
    account = world.accounts["name"]
    client = account.signed_in(name_id="<saml:NameID>Zo\u00eb \u65e5\u672c &amp; &#60;b&#62;</saml:NameID>")
    assert client.get(account.url("/who")).seen()["x-sso-user"] == ["Zo%C3%AB %E6%97%A5%E6%9C%AC & <b>"]


def test_parallel_logins_of_one_browser_all_arrive(acme):
    client = acme.client()
    requests = [acme.begin(client, f"/reports?tab={number}") for number in range(3)]
    for number in (2, 0, 1):
        reply = acme.post(client, acme.answer(requests[number]), requests[number].relay_state)
        assert reply.location == acme.url(f"/reports?tab={number}"), reply


def test_a_replayed_answer_is_refused_even_with_the_flow_cookie(acme, world):
    client = acme.client()
    request = acme.begin(client)
    copied = dict(client.cookies)
    text = acme.answer(request).write()
    assert acme.post(client, text, request.relay_state).status in (302, 303)
    mark = world.app.mark()
    refused(acme.finish(client, acme.post(client, text, request.relay_state)), "state_unknown", "assertion_invalid")
    thief = acme.client()
    thief.cookies = copied
    refused(acme.post(thief, text, request.relay_state), "assertion_invalid", "state_unknown")
    signed_out(thief, acme)
    world.app.nothing_since(mark)


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


# Cookies.


def test_the_flow_cookie_crosses_sites_and_the_sessions_does_not(acme):
    client = acme.client()
    start = client.browse(acme.url("/reports"))
    crossing = [cookie for cookie in start.set if cookie.same_site == "None"]
    assert len(crossing) == 1 and {c.same_site for c in start.set} == {"None", "Lax"}, start.set
    assert all(c.secure and c.http_only and c.name.startswith("__Host-") for c in crossing), start.set
    assert all(c.secure and c.http_only and c.expires for c in start.set if "flow" in c.name), start.set
    request = message(start)
    done = acme.post(client, acme.answer(request), request.relay_state)
    sessions = [c for c in done.set if c.name == "__Host-sso"]
    assert sessions and all(c.same_site.lower() == "lax" and c.secure and c.http_only for c in sessions), done.set


@pytest.mark.parametrize("kind", ["takes it for Strict", "does not keep it"])
def test_a_browser_whose_cookie_does_not_cross_is_bounced_once(acme, world, kind):
    """Old Safari takes `SameSite=None` for `Strict`, older Chromes drop it: one post of the page to its own origin brings it
    or its `Lax` twin."""
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client)
    for key, cookie in list(client.cookies.items()):
        if cookie.same_site == "None" and kind == "does not keep it":
            del client.cookies[key]
        elif cookie.same_site == "None":
            cookie.same_site = "Strict"
    assert client.cookies
    bounce = acme.post(client, acme.answer(request), request.relay_state)
    assert bounce.status == 200 and form(bounce), bounce
    assert form(bounce)[0].startswith(acme.origin + "/"), form(bounce)
    assert "no-store" in bounce.get("cache-control") and not session_cookies(client)
    world.app.nothing_since(mark)
    reply = acme.finish(client, bounce)
    assert reply.status in (302, 303) and reply.location == acme.url("/reports?q=1"), reply
    signed_in(client, acme)


@pytest.mark.parametrize("bounced", [False, True], ids=["at-once", "bounced"])
def test_base64_in_lines(acme, bounced):
    """As some providers write it into their form; the page of a bounce writes it anew."""
    client = acme.client()
    request = acme.begin(client)
    lines = base64.encodebytes(acme.answer(request).write().encode()).decode().replace("\n", "\r\n")
    if bounced:
        for cookie in client.cookies.values():
            cookie.same_site = "Strict"
    reply = client.request("POST", acme.acs, body={"SAMLResponse": lines, "RelayState": request.relay_state}, navigation=True,
                           cross_site=True, headers={"origin": f"https://{acme.saml.host}"})
    assert (reply.status == 200) == bounced, reply
    assert acme.finish(client, reply).status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


def test_a_login_ends_the_session_that_it_replaces(acme):
    """Though the cross-site post does not bring its cookie."""
    client = acme.signed_in(user="bob@acme.com")
    before = "; ".join(f"{k}={v}" for k, v in session_cookies(client).items())
    request = message(client.browse(acme.url("/sso/login?return_to=/reports")))
    assert acme.client().get(acme.url("/who"), headers={"cookie": before}).status == 200
    assert acme.post(client, acme.answer(request), request.relay_state).status in (302, 303)
    signed_in(client, acme)
    for _ in range(8):
        refused(acme.client().get(acme.url("/who"), headers={"cookie": before}), "login_required", "session_expired")


def test_the_bounce_has_an_end(acme):
    client = acme.client()
    request = acme.begin(client)
    client.drop_cookies()
    bounce = acme.post(client, acme.answer(request), request.relay_state)
    refused(acme.finish(client, bounce), "state_unknown")


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
