"""Every connection that the page of the Account Center has: each protocol by a document and by hand, filled into the form, tested by a
sign-in and enabled; what the page says beside each field; and the fence around every address of SAML and OAuth 2.0. The one JSON
line of each change, test and refusal."""

import base64
import html.parser
import json
import re

import pytest

from harness.center import PEOPLE, Center, opened, posted, provider
from harness.expect import session_cookies
from harness.net import eventually
from harness.passwords import login_page
from harness.saml import SamlIssuer, key, message
from harness.saml_forge import Answer, Spec

SECRET = "the secret of the client"
DISCOVERY = "https://acme.idp.test/.well-known/openid-configuration"
OIDC = {"protocol": "oidc", "oidc__client_id": "lakehouse", "oidc__client_secret": SECRET, "oidc__scope": "openid email"}
ENDPOINTS = {name: f"https://acme.idp.test/{name.removesuffix('_endpoint')}" for name in ("token_endpoint", "userinfo_endpoint")} | {
    "authorization_endpoint": "https://acme.idp.test/authorize"}
CONNECTIONS = {
    "OpenID Connect by discovery": OIDC | {"oidc__discovery": DISCOVERY},
    "OpenID Connect by hand": OIDC | {"oidc__issuer": "https://acme.idp.test", "oidc__jwks_uri": "https://acme.idp.test/jwks"}
    | {f"oidc__{name}": url for name, url in ENDPOINTS.items()},
    "OAuth 2.0 by hand": {"protocol": "oauth2", "oauth2__client_id": "lakehouse", "oauth2__client_secret": SECRET,
                          "oauth2__scope": "email", "mapping__from": "userinfo"}
    | {f"oauth2__{name}": url for name, url in ENDPOINTS.items()},
    "SAML by metadata": {"protocol": "saml", "saml__metadata_url": "https://acme.saml.idp.test/saml/metadata"},
    "SAML by hand": {"protocol": "saml", "saml__sso_url": "https://acme.saml.idp.test/saml/sso",
                     "saml__issuer": "https://acme.saml.idp.test/saml/metadata"},
}
FORM = {"idp": "corp", "sso": "enabled", "provider__id": "corp", "provider__title": "By form", "mapping__claim": "email",
        "mapping__attribute": "email", "password__mode": "admins", "do": "save"}
INSIDE = ["https://127.0.0.1/x", "https://[::1]/x", "https://0x7f.1/x", "https://localhost/x", "https://etcd/x", "https://a.internal/x",
          "https://evil.example/x", "http://acme.idp.test/x", "https://acme.idp.test:8443/x"]


@pytest.fixture(scope="module")
def center(make_world):
    center = Center(make_world, "center-connections", start=False)
    center.saml = SamlIssuer("acme.saml.idp.test", key("idp"))
    center.worlds[0].idps.issuers[center.saml.host] = center.saml
    CONNECTIONS["SAML by hand"]["saml__certificates"] = center.saml.key.pem
    center.account.config["password"]["logins"][0]["success"] = {"redirect": "/reports"}
    for world in center.worlds:
        world.app.routes["/login"] = login_page
    center.start()
    yield center
    center.etcd.stop()


@pytest.fixture
def ada(center):
    """By password: sessions by a provider end with its connection."""
    def attempt():
        client = center.client()
        client.post(center.account.url("/login"), body={"username": "ada", "password": "right"}, navigation=True,
                    headers={"origin": center.account.origin, "sec-fetch-site": "same-origin"})
        assert session_cookies(client)
        return client

    client = eventually(attempt, 60)
    center.reset(client)
    return client


def outcome(center, client, connection: str) -> dict:
    """The test sign-in of ada, as JSON."""
    accept = {"accept": "application/json"}
    if not connection.startswith("SAML"):
        return center.tested(client, "ada")
    begun = client.browse(center.account.url("/sso/admin/settings/test?idp=corp"))
    login = message(begun)
    acs, entity = (center.account.url(f"/sso/saml/{what}?u=acme") for what in ("consume", "metadata"))
    text = Answer(spec=Spec(center.saml.key), style="both", issuer=center.saml.entity, acs=acs, entity=entity,
                  user="ada@acme.com", request=login.id).write()
    fields = {"SAMLResponse": base64.b64encode(text.encode()).decode(), "RelayState": login.relay_state, "sso_bounced": "1"}
    reply = client.request("POST", acs, body=fields, navigation=True,
                           headers=accept | {"origin": center.account.origin, "sec-fetch-site": "same-origin"})
    assert reply.status == 200, reply
    return reply.json()


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_each_connection_of_the_form_signs_in(center, ada, connection):
    fields = FORM | CONNECTIONS[connection]
    saved = posted(center, ada, opened(center, ada), **fields)
    assert saved.status == 302, saved.text[:3000]
    assert center.document(ada)["active"]["settings"]["identity_providers"][0]["title"] != "By form", "a draft changes nothing"
    report = outcome(center, ada, connection)
    assert (report["ok"], report["user"]) == (True, "ada"), report
    enabled = eventually(lambda: (reply := posted(center, ada, opened(center, ada), do="enable")).status == 302 and reply, 60)
    assert enabled.status == 302
    for replica in (0, 1):
        eventually(lambda: center.document(ada, replica)["active"]["settings"]["identity_providers"][0]["title"] == "By form", 60)


class Fields(html.parser.HTMLParser):
    """Controls with what describes them, and the texts of elements with an id."""

    def __init__(self, text: str):
        super().__init__()
        self.labels, self.controls, self.texts, self._open = set(), {}, {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        if tag == "label" and "for" in own:
            self.labels.add(own["for"])
        if tag in ("input", "select", "textarea") and own.get("type") not in ("hidden", "radio", "checkbox"):
            self.controls[own["name"]] = own
        if tag == "p":
            self._open = own.get("id")

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag):
        if tag == "p":
            self._open = None


def test_each_field_says_what_it_means_and_its_error_stands_beside_it(center, ada):
    page = opened(center, ada)
    fields = Fields(page.text)
    settings = {name: own for name, own in fields.controls.items() if "." in name or name == "sso"}
    assert len(settings) == 31, sorted(settings)
    for name, own in settings.items():
        assert name in fields.labels, name
        help = fields.texts[own["aria-describedby"]]
        assert len(help) > 15, (name, help)
        if own.get("type") == "text" or name.endswith(("certificates", "params", "role_map")):
            assert "Example: " in help or "BEGIN CERTIFICATE" in help, (name, help)
    # What to copy to the provider, for each protocol.
    for url in ("/sso/oidc/consume", "/sso/saml/consume", "/sso/saml/metadata"):
        assert center.account.url(url) in page.text, url
    wrong = {"oidc__discovery": "https://127.0.0.1/x", "provider__id": "no id!", "mapping__default_country_code": "x"}
    refused = posted(center, ada, page, **FORM | CONNECTIONS["OpenID Connect by discovery"] | wrong)
    assert refused.status == 422
    fields = Fields(refused.text)
    for name in wrong:
        name = name.replace("__", ".")
        own = fields.controls[name]
        assert own.get("aria-invalid") == "true", name
        beside = [fields.texts[one] for one in own["aria-describedby"].split() if one.endswith("-bad")]
        assert beside and beside[0].strip(), name
    assert "aria-invalid" not in fields.controls["mapping.claim"], "the twin: no error, no mark"


ADDRESSES = {"saml": ["metadata_url", "sso_url", "slo_url"], "oauth2": list(ENDPOINTS)}


@pytest.mark.parametrize("protocol, field", [(protocol, field) for protocol, fields in ADDRESSES.items() for field in fields])
def test_hosts_inside_are_refused_for_saml_and_oauth_too(center, ada, protocol, field):
    before = center.document(ada)

    def settings(url: str) -> dict:
        if protocol == "saml":
            own = {"metadata_url": url} if field == "metadata_url" else {
                "sso_url": center.saml.sso, "issuer": center.saml.entity, "certificates": [center.saml.key.pem], field: url}
        else:
            own = ENDPOINTS | {"client_id": "lakehouse", "client_secret": {"value": SECRET}, field: url}
        return {"identity_providers": [{"id": "corp", "title": "Acme staff", protocol: own}],
                "mapping": {"claim": "email", "attribute": "email"} | ({"from": "userinfo"} if protocol == "oauth2" else {})}

    for url in INSIDE:
        reply = center.call(ada, "PUT", "settings/draft", settings(url))
        assert (reply.status, reply.code) == (422, "settings_invalid"), (url, reply)
        assert [one["path"] for one in reply.json()["problems"]] == [f"identity_providers[0].{protocol}.{field}"], (url, reply.text)
    for replica in (0, 1):
        assert center.document(ada, replica) == before
    twin = center.call(ada, "PUT", "settings/draft", settings("https://acme.idp.test/x"))
    assert twin.status == 200, twin


def test_what_metadata_names_stays_outside_too(center, ada):
    before = center.document(ada)["active"]
    fields = FORM | CONNECTIONS["SAML by metadata"]
    try:
        for n, url in enumerate(["https://127.0.0.1/sso", "https://localhost/sso", "https://evil.example/sso"]):
            center.saml.sso = url
            named = fields | {"saml__metadata_url": f"https://acme.saml.idp.test/saml/metadata?{n}"}
            assert posted(center, ada, opened(center, ada), **named).status == 302
            reply = ada.request("GET", center.account.url("/sso/admin/settings/test?idp=corp"), navigation=True,
                                headers={"accept": "application/json"})
            assert (reply.status, reply.location) == (200, None) and reply.json()["ok"] is False, (url, reply)
            assert "self_service.hosts" in reply.json()["reason"] or "not" in reply.json()["reason"], reply.text
    finally:
        center.saml.sso = "https://acme.saml.idp.test/saml/sso"
    assert center.document(ada)["active"] == before


def lines(center) -> list[dict]:
    """Of the first Envoy: changes and tests, and refusals."""
    found = re.findall(r'envoy_sso: (\{.*"event":"(?:settings|refusal)".*\})', center.worlds[0].envoy.log_text())
    return [json.loads(line) for line in found]


def test_each_change_test_and_refusal_is_one_line_without_a_secret(center, ada):
    invite = {"email": "dan@acme.com", "roles": []}
    named = provider(center, client_secret={"value": "a secret that is nowhere else"})

    def steps():
        yield center.call(ada, "PUT", "settings/draft", {"identity_providers": [named]}), 200
        yield center.call(ada, "POST", "settings/enable", {}), 409
        yield center.call(ada, "PUT", "settings/draft", {"identity_providers": [named], "access": []}), 422
        center.tested(ada, "carol")
        yield None, 200
        yield center.call(ada, "POST", "settings/enable", {"confirm": True}), 200
        made = center.call(ada, "POST", "invitations", invite)
        yield made, 201
        yield center.call(ada, "POST", "invitations", invite), 422
        yield center.call(ada, "DELETE", f"invitations/{made.json()['id']}"), 204
        yield center.call(ada, "POST", "settings/rollback", {"version": 0, "confirm": True}), 200
        yield center.call(ada, "PUT", "settings/draft", {"sso": "disabled"}), 200
        yield center.call(ada, "DELETE", "settings/draft"), 204
        yield center.call(ada, "POST", "sessions", {"everybody": True}), 400

    known = len(lines(center))
    for number, (reply, status) in enumerate(steps()):
        assert reply is None or reply.status == status, (number, reply)
        found = eventually(lambda: (all := lines(center)[known:]) and all, 60, what=f"the line of step {number}")
        assert len(found) == 1, (number, found)
        [line] = found
        assert (line["account"], line["user"]) == ("acme", "ada") and "acme.com" not in str(line.get("detail")), line
        is_refusal = status in (400, 409, 422)
        assert line["event"] == ("refusal" if is_refusal else "settings") and line["code" if is_refusal else "what"], line
        known += 1
    log = "".join(world.envoy.log_text() for world in center.worlds)
    assert "a secret that is nowhere else" not in log and "dan@acme.com" not in log
