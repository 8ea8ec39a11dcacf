"""What an Account Center is attacked with, over two Envoys and a real etcd: refused, nothing changed, nothing shown; and the
engine away in every step. Each attack has its twin that passes."""

import base64
import html
import html.parser
import re
import secrets

import pytest

from harness.center import PEOPLE, Center, everywhere, hidden, opened, posted, provider, self_service
from harness.expect import session_cookies
from harness.net import eventually
from harness.saml import SamlIssuer, key, message
from harness.saml_forge import Answer, Spec

SECRET = "the secret of the client"
MARKUP = "\"><script>alert('1')</script><img src=x onerror=alert(2)>"
# Every spelling of what is inside, and of what only looks like a provider.
INSIDE = [
    "https://127.0.0.1/x", "https://[::1]/x", "https://0x7f.1/x", "https://2130706433/x", "https://017700000001/x",
    "https://127.1/x", "https://0/x", "https://[::ffff:127.0.0.1]/x", "https://[64:ff9b::7f00:1]/x", "https://[fe80::1]/x",
    "https://10.0.0.1/x", "https://172.16.0.1/x", "https://192.168.0.1/x", "https://169.254.169.254/latest/meta-data/",
    "https://localhost/x", "https://localhost./x", "https://LOCALHOST/x", "https://a.localhost/x", "https://intranet/x",
    "https://etcd/x", "https://directory.internal/x", "https://printer.local/x", "https://①②⑦.⓪.⓪.①/x", "https://127。0。0。1/x",
    "https://acme.idp.test@127.0.0.1/x", "https://acme.idp.test:8443/x", "https://acme.idp.test.evil.example/x",
    "https://idp.test/x", "https://evil.example/acme.idp.test", "http://acme.idp.test/x", "ftp://acme.idp.test/x",
    "file:///etc/passwd", "//127.0.0.1/x", "https:127.0.0.1/x",
]
OPENID = {"provider__id": "corp", "protocol": "oidc", "oidc__issuer": "https://acme.idp.test",
          "oidc__authorization_endpoint": "https://acme.idp.test/authorize", "oidc__token_endpoint": "https://acme.idp.test/token",
          "oidc__userinfo_endpoint": "https://acme.idp.test/userinfo", "oidc__jwks_uri": "https://acme.idp.test/jwks",
          "oidc__client_id": "lakehouse", "oidc__client_secret": SECRET, "oidc__scope": "openid email"}
SETTINGS = {"idp": "corp", "sso": "enabled", "provider__title": "Acme staff", "mapping__claim": "email",
            "mapping__attribute": "email", "password__mode": "admins", "do": "save"}
URLS = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"]


@pytest.fixture(scope="module")
def center(make_world):
    center = Center(make_world, "center-attacks", start=False)
    users = [{"username": name, "email": f"{name}@acme.com", "roles": ["account_admin"]} for name in ("ada", "root")]
    for account in (center.account, center.other):
        account.config |= self_service([*users, {"username": "bob", "email": "bob@acme.com", "roles": ["member"]}])
        # Listing what is inside does not let it in.
        account.config["self_service"]["hosts"] = ["*.idp.test", "*.localhost", "*.internal", "*.local"]
    PEOPLE["root"] = {"sub": "4", "email": "root@acme.com", "email_verified": True}
    center.start()
    yield center
    center.etcd.stop()


class Tags(html.parser.HTMLParser):
    """Elements and attributes that run something."""

    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        own = [name for name, value in attrs if name.startswith("on") or (value or "").lower().startswith("javascript:")]
        if tag in ("script", "iframe", "object", "embed") or own or tag == "img":
            self.found.append((tag, own))


def unchanged(center, client, before: dict) -> None:
    """Where the test has written, and elsewhere: there what the test wrote earlier may still be on its way."""
    assert center.document(client) == before
    eventually(lambda: center.document(client, 1) == before, what="the same document on the other replica")


def test_forged_and_foreign_tokens_and_posts_from_elsewhere(center, ada):
    page = opened(center, ada)
    good = hidden(page)
    bob, root, theirs = center.signed_in("bob"), center.signed_in("root"), center.signed_in("ada", center.other)
    there = theirs.browse(center.other.url("/sso/admin/settings"), headers={"sec-fetch-site": "same-origin"})
    sessions = ada.browse(center.account.url("/sso/admin/sessions"), headers={"sec-fetch-site": "same-origin"})
    tokens = {"none": "", "made up": "x", "cut": good["csrf"][:-2], "of another administrator": hidden(opened(center, root))["csrf"],
              "of another account": hidden(there)["csrf"],
              "of another page": re.search('name="csrf" value="([^"]*)"', sessions.text)[1]}
    elsewhere = {"origin": {"origin": "https://evil.example"}, "null": {"origin": "null"},
                 "cross-site": {"sec-fetch-site": "cross-site"}, "same-site": {"sec-fetch-site": "same-site"},
                 "the other account": {"origin": center.other.origin}}
    invited = center.call(ada, "POST", "invitations", {"email": "dan@acme.com", "roles": []}).json()
    assert center.call(ada, "PUT", "settings/draft", {"sso": "disabled"}).status == 200
    before = center.document(ada)
    orders = [SETTINGS | OPENID, SETTINGS | {"do": "remove"}, {"do": "discard"}, {"do": "enable", "confirm": "true"},
              {"do": "rollback", "version": "0", "confirm": "true"}, {"do": "invite", "email": "eve@acme.com"},
              {"do": "withdraw", "id": invited["id"]}]
    own = {"sec-fetch-site": "same-origin", "origin": center.account.origin}
    url = center.account.url("/sso/admin/settings")
    for order in orders:
        body = {name.replace("__", "."): value for name, value in order.items()} | hidden(opened(center, ada))
        for what, token in tokens.items():
            reply = ada.post(url, body=body | {"csrf": token}, navigation=True, headers=own)
            assert (reply.status, reply.code) == (403, "request_invalid"), (order, what, reply)
        for what, headers in elsewhere.items():
            reply = ada.post(url, body=body, navigation=True, headers=own | headers)
            assert (reply.status, reply.code) == (403, "request_invalid"), (order, what, reply)
        reply = bob.post(url, body=body, navigation=True, headers=own)
        assert (reply.status, reply.code) == (403, "role_missing"), (order, reply)
        cookies = "; ".join(f"{name}={value}" for name, value in session_cookies(theirs).items())
        reply = center.client().post(url, body=body, navigation=True, headers=own | {"cookie": cookies})
        assert reply.status in (401, 302) and "/sso/login" in (reply.location or "/sso/login"), (order, reply)
        unchanged(center, ada, before)
    # The twin, and its replay: what it compares is gone.
    body = hidden(opened(center, ada)) | {"do": "withdraw", "id": invited["id"]}
    assert ada.post(url, body=body, navigation=True, headers=own).status == 302
    again = ada.post(url, body=body | {"do": "discard"}, navigation=True, headers=own)
    assert (again.status, again.code) == (412, "settings_changed"), again
    # After signing out no token of that session counts.
    assert center.call(ada, "POST", "sessions", {"user": "ada"}).status == 204
    late = eventually(lambda: (reply := ada.post(url, body=body, navigation=True, headers=own)).code != "settings_changed" and reply, 60)
    assert late.status in (302, 401) and late.code in (None, "login_required", "session_expired"), late


def test_two_administrators_at_once_lose_nothing(center, ada):
    root = center.signed_in("root")
    first, second = opened(center, ada), opened(center, root, replica=1)
    saved = posted(center, ada, first, **SETTINGS | OPENID | {"provider__title": "Of ada"})
    assert saved.status == 302, saved
    # The other replica has heard of it, or has not yet: the engine decides.
    late = posted(center, root, second, replica=1, **SETTINGS | OPENID | {"provider__title": "Of root", "password__mode": "disabled"})
    assert (late.status, late.code) == (412, "settings_changed"), late
    assert 'value="Of root"' in late.text and SECRET not in late.text, "what was typed is there, but for the secret"
    assert re.search(r'<option value="disabled" selected>', late.text), "the choice too"
    [draft] = center.document(ada)["draft"]["settings"]["identity_providers"]
    assert draft["title"] == "Of ada"
    # He sees what changed, and sends it again: the secret came along, sealed.
    kept = html.unescape(re.search('name="kept.oidc.client_secret" value="([^"]*)"', late.text)[1])
    fields = SETTINGS | OPENID | {"provider__title": "Of root", "oidc__client_secret": "", "kept__oidc__client_secret": kept}
    assert kept and "the secret" not in kept
    named = {name: value for name, value in fields.items() if not name.startswith("kept")} | {"kept.oidc.client_secret": kept}
    again = eventually(lambda: (reply := posted(center, root, late, replica=1, **named)).status == 302 and reply, 60)
    assert again.status == 302
    [draft] = center.document(root, 1)["draft"]["settings"]["identity_providers"]
    assert draft["title"] == "Of root" and draft["oidc"]["client_secret"] == {"set": True}
    # Sealed for this account and page: it opens nothing at another's.
    theirs = center.signed_in("ada", center.other)
    page = theirs.browse(center.other.url("/sso/admin/settings"), headers={"sec-fetch-site": "same-origin"})
    named = {name.replace("__", "."): value for name, value in (SETTINGS | OPENID).items()} | {
        "oidc.client_secret": "", "oidc.client_id": "another", "kept.oidc.client_secret": kept}
    stolen = theirs.post(center.other.url("/sso/admin/settings"), body=hidden(page) | named, navigation=True,
                         headers={"sec-fetch-site": "same-origin", "origin": center.other.origin})
    assert (stolen.status, stolen.code) == (422, "settings_invalid"), stolen


@pytest.mark.parametrize("field", [*URLS, "discovery"])
def test_hosts_inside_are_refused(center, ada, field):
    before = center.document(ada)
    asked = len(center.worlds[0].app.requests)
    for url in INSIDE:
        oidc = {"discovery": url} if field == "discovery" else {field: url}
        base = provider(center)
        if field != "discovery":
            base["oidc"].pop("discovery")
            base["oidc"] |= {"issuer": "https://acme.idp.test", **{name: f"https://acme.idp.test/{name}" for name in URLS}}
        base["oidc"] |= oidc | {"client_secret": {"value": SECRET}}
        reply = center.call(ada, "PUT", "settings/draft", {"identity_providers": [base]})
        assert (reply.status, reply.code) == (422, "settings_invalid"), (url, reply)
        paths = [problem["path"] for problem in reply.json()["problems"]]
        assert paths == [f"identity_providers[0].oidc.{field}"], (url, paths)
        assert SECRET not in reply.text
    unchanged(center, ada, before)
    assert len(center.worlds[0].app.requests) == asked
    base["oidc"] |= {field: "https://acme.idp.test/.well-known/openid-configuration"}
    assert center.call(ada, "PUT", "settings/draft", {"identity_providers": [base]}).status == 200, "the twin"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_what_a_discovery_document_names_stays_outside_too(center, ada, name):
    idp = center.account.idp
    before = center.document(ada)["active"]
    for n, url in enumerate(["https://127.0.0.1/x", "https://localhost/x", "https://etcd/x", "https://evil.example/x", "http://acme.idp.test/x"]):
        idp.change("discovery", **{name: url})
        try:
            changed = provider(center, discovery=f"https://acme.idp.test/.well-known/openid-configuration?{name}={n}")
            assert center.call(ada, "PUT", "settings/draft", {"identity_providers": [changed]}).status == 200
            there = center.client()
            there.cookies = ada.cookies
            reply = there.request("GET", center.account.url("/sso/admin/settings/test?idp=corp"), navigation=True,
                                  headers={"accept": "application/json"})
            assert reply.status == 200 and reply.json()["ok"] is False and reply.location is None, (url, reply)
        finally:
            idp.reset()
    assert center.document(ada)["active"] == before


def test_markup_in_every_field(center, ada):
    page = opened(center, ada)
    names = set(re.findall(r'<(?:input type="(?:text|password|email)"|select|textarea)[^>]* name="([^"]+)"', page.text))
    assert len(names) > 28, names
    for protocol in ("oidc", "oauth2", "saml"):
        fields = {name.replace(".", "__"): MARKUP for name in names} | {"protocol": protocol, "idp": MARKUP, "do": "save"}
        refused = posted(center, ada, page, **fields)
        assert (refused.status, refused.code) == (422, "settings_invalid"), refused
        assert Tags(refused.text).found == [] and "<script" not in refused.text
    invited = posted(center, ada, page, do="invite", email=MARKUP, roles=MARKUP)
    assert invited.status == 422 and Tags(invited.text).found == []
    for order in ({"do": "rollback", "version": MARKUP}, {"do": "withdraw", "id": MARKUP}, {"do": MARKUP}):
        reply = posted(center, ada, page, **order)
        assert Tags(reply.text).found == [] and MARKUP not in (reply.location or ""), reply
    for query in ("?done=", "?idp=", "?"):
        shown = ada.browse(center.account.url("/sso/admin/settings") + query + "%22%3E%3Cscript%3E", headers={"sec-fetch-site": "same-origin"})
        assert shown.status == 200 and Tags(shown.text).found == []
    assert center.document(ada)["draft"] is None
    # Where text is free it holds, and stays text: on this page, on the sign-in page, in the outcome of a test.
    free = SETTINGS | OPENID | {"provider__title": MARKUP, "mapping__role_map": "<script>alert(3)</script>=member", "mapping__roles_claim": "groups",
                                "oidc__authorization_params": f"x={MARKUP}"}
    saved = posted(center, ada, opened(center, ada), **free)
    assert saved.status == 302, saved
    shown = opened(center, ada)
    assert html.escape(MARKUP).replace("&#x27;", "&#39;") in shown.text and Tags(shown.text).found == []
    center.account.idp.person = PEOPLE["ada"] | {"name": MARKUP, MARKUP: MARKUP, "groups": [MARKUP]}
    begun = ada.browse(center.account.url("/sso/admin/settings/test?idp=corp"))
    outcome = ada.browse(ada.browse(begun.location).location)
    assert outcome.code == "settings_test" and Tags(outcome.text).found == [] and "alert" in outcome.text, outcome
    assert center.call(ada, "POST", "settings/enable", {"confirm": True}).status == 200
    login = eventually(lambda: "alert" in (page := center.client().browse(center.account.url("/sso/login?show=all"))).text and page
                       or page.status == 302 and page, 10)
    assert Tags(login.text).found == []


def too_large(reply):
    """Without a code it is Envoy itself that refuses what a request may not hold back while it waits."""
    assert reply.status == 413 and reply.code in ("body_too_large", None), reply


def test_a_document_of_a_megabyte(center, ada):
    before = center.document(ada)
    large = "x" * (1 << 20)
    for body in ({"sso": large}, {"mapping": {"claim": large}}, {"identity_providers": [{"id": large}]}):
        reply = center.call(ada, "PUT", "settings/draft", body)
        too_large(reply)
    too_large(posted(center, ada, opened(center, ada), **SETTINGS | {"mapping__claim": large}))
    # Small in itself, but more than a document may hold in the end.
    many = {f"group-{n}-{'x' * 200}": "member" for n in range(1100)}
    reply = center.call(ada, "PUT", "settings/draft", {"mapping": {"claim": "email", "role_map": many}})
    assert (reply.status, reply.code) in ((413, "body_too_large"), (200, "ok")), reply.status
    if reply.status == 200:
        assert center.call(ada, "DELETE", "settings/draft").status == 204
    unchanged(center, ada, before)


def test_what_is_written_into_the_engine_without_the_key(center, ada):
    assert center.call(ada, "PUT", "settings/draft", {"password": {"mode": "disabled"}}).status == 200
    assert center.call(ada, "POST", "settings/enable", {"confirm": True}).status == 200
    theirs = center.signed_in("ada", center.other)
    assert center.call(theirs, "PUT", "settings/draft", {"password": {"mode": "enabled"}}, account=center.other).status == 200
    documents = {key: center.etcd.value(key) for key in center.etcd.keys("")}
    mine = [key for key in documents if "acme" in key or "/d/" in key]
    assert mine, list(documents)
    before = eventually(lambda: (one := center.document(ada)) == center.document(ada, 1) and one, 60)
    values = [*set(documents.values()), b"x" * (1 << 20), b"{}", secrets.token_bytes(300), b"", b"0"]
    for key in mine:
        for value in values:
            if value == documents[key]:
                continue
            center.etcd.put(key, value)
            for replica in (0, 1):
                document = center.document(ada, replica)
                assert document["active"] == before["active"], (key, value[:80])
    # Replicas that know the document put it back, and go on writing.
    eventually(lambda: center.call(ada, "PUT", "settings/draft", {"sso": "enabled"}).status == 200, 30)
    assert center.document(ada)["active"] == before["active"]


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_the_engine_away_in_every_step(center, ada, how):
    member = center.etcd.members[0]
    invited = center.call(ada, "POST", "invitations", {"email": "dan@acme.com", "roles": []}).json()
    assert center.call(ada, "PUT", "settings/draft", {"password": {"mode": "disabled"}}).status == 200
    before = eventually(lambda: (one := center.document(ada)) == center.document(ada, 1) and one, 60)
    pages = {replica: opened(center, ada, replica=replica) for replica in (0, 1)}
    for replica in (0, 1):
        everywhere(center, replica, "password_not_allowed")
    member.kill() if how == "kill" else member.freeze()
    try:
        for replica, page in pages.items():
            for order in (SETTINGS | OPENID | {"provider__title": "Typed <once>"}, {"do": "enable", "confirm": "true"}, {"do": "discard"},
                          {"do": "rollback", "version": "0", "confirm": "true"}, {"do": "invite", "email": "typed@acme.com"},
                          {"do": "withdraw", "id": invited["id"]}):
                reply = posted(center, ada, page, replica=replica, **order)
                assert (reply.status, reply.code) == (503, "not_ready"), (order, reply)
                if order["do"] == "save":
                    assert "Typed &lt;once&gt;" in reply.text and SECRET not in reply.text
                    assert re.search('name="kept.oidc.client_secret" value="[^"]+"', reply.text), "the secret comes along, sealed"
                if order["do"] == "invite":
                    assert 'value="typed@acme.com"' in reply.text
            for method, path, body in [("PUT", "settings/draft", {"sso": "disabled"}), ("DELETE", "settings/draft", None),
                                       ("POST", "settings/enable", {"confirm": True}), ("DELETE", f"invitations/{invited['id']}", None),
                                       ("POST", "settings/rollback", {"version": 0, "confirm": True}),
                                       ("POST", "invitations", {"email": "e@acme.com", "roles": []})]:
                reply = center.call(ada, method, path, body, replica=replica)
                assert (reply.status, reply.code) == (503, "not_ready"), (path, reply)
        unchanged(center, ada, before)
        reply = center.client(1).post(center.account.url("/login"), body={"username": "bob"})
        assert reply.code == "password_not_allowed", "the last settings hold"
    finally:
        center.etcd.start() if how == "kill" else member.thaw()
    eventually(lambda: center.call(ada, "PUT", "settings/draft", {"sso": "enabled"}).status == 200, 60)
    after = center.document(ada)
    changed = [part for part in ("active", "invitations") if after[part] != before[part]]
    # An engine that was only slow may have taken one order after all, and only one: each names the document that it changes.
    assert changed == [] if how == "kill" else len(changed) <= 1, (changed, after)
    if "invitations" in changed:
        assert [one["email"] for one in after["invitations"]] in ([], ["dan@acme.com", "typed@acme.com"], ["dan@acme.com", "e@acme.com"])
    if "active" in changed:
        assert after["active"]["version"] == before["active"]["version"] + 1


def test_the_engine_away_while_users_are_under_way(center, ada):
    """A test sign-in notes nothing, an invitation is not taken up by half; both go on afterwards."""
    form = {"sec-fetch-site": "same-origin", "origin": center.account.origin}
    assert center.call(ada, "POST", "invitations", {"email": "carol@acme.com", "roles": ["member"]}).status == 201
    changed = provider(center)
    changed["title"] = "Under way"
    assert center.call(ada, "PUT", "settings/draft", {"identity_providers": [changed]}).status == 200

    def asked():
        """Each worker learns of the invitation by itself, and each connection comes to either."""
        center.account.idp.person = PEOPLE["carol"]
        client = center.client()
        page = client.login(center.account.url("/sso/login?u=acme&return_to=/x"))[-1]
        return page.code == "invitation" and (client, page)

    carol, page = eventually(lambda: all(asked() for _ in range(8)) and asked(), 60)
    accept = {"csrf": re.search('name="csrf" value="([^"]*)"', page.text)[1], "decision": "accept"}
    before = center.document(ada)
    center.etcd.kill()
    try:
        reply = carol.post(center.account.url("/sso/invitation"), body=accept, headers=form)
        assert (reply.status, reply.code) == (503, "not_ready") and not session_cookies(carol), reply
        center.account.idp.person = PEOPLE["ada"]
        there = center.client()
        there.cookies = dict(ada.cookies)
        begun = there.browse(center.account.url("/sso/admin/settings/test?idp=corp"))
        back = there.browse(begun.location)
        report = there.request("GET", back.location, navigation=True, headers={"accept": "application/json"})
        assert (report.status, report.json()["user"]) == (200, "ada"), report
        for replica in (0, 1):
            assert center.document(ada, replica) == before, "nothing was noted"
        complete = center.call(ada, "GET", "completeness?draft=1")
        assert complete.status == 200, complete
        ended = center.call(ada, "POST", "sessions", {"user": "bob"})
        assert ended.status in (204, 503), ended
    finally:
        center.etcd.start()

    def goes_on():
        again = center.client()
        again.cookies = dict(carol.cookies)
        reply = again.post(center.account.url("/sso/invitation"), body=accept, headers=form)
        return reply.status == 302 and session_cookies(again)

    assert eventually(goes_on, 60), "what the engine did not take can be sent again"
    center.account.idp.person = PEOPLE["ada"]
    assert center.document(ada)["draft"]["tested"] == [], "a test that could not be noted does not count"
    assert center.call(ada, "POST", "settings/enable", {}).code == "settings_untested"
    assert center.tested(ada, "ada")["ok"] is True
    enabled = eventually(lambda: (reply := center.call(ada, "POST", "settings/enable", {})).status == 200 and reply, 60)
    assert enabled.json()["active"]["settings"]["identity_providers"][0]["title"] == "Under way"


def test_a_draft_answers_no_response_that_nobody_asked_for(center, ada):
    """A draft whose SAML provider accepts such responses, with a certificate of the administrator's own: the cookie of its
    test sign-in is sent under another name, so that no login is in progress, and the response names anybody."""
    own = SamlIssuer("acme.saml.idp.test", key("own"))
    saml = {"sso_url": own.sso, "issuer": own.entity, "certificates": [own.key.pem], "idp_initiated": "accept"}
    partners = {"id": "partners", "title": "Partners", "saml": saml}
    draft = {"identity_providers": [provider(center), partners]}
    assert center.call(ada, "PUT", "settings/draft", draft).status == 200
    acs, entity = (center.account.url(f"/sso/saml/{what}?u=acme") for what in ("consume", "metadata"))
    headers = {"origin": center.account.origin, "sec-fetch-site": "same-origin", "accept": "application/json"}

    def answered(renamed: bool, asked: bool):
        begun = ada.browse(center.account.url("/sso/admin/settings/test?idp=partners"))
        login = message(begun)
        name, value = next((cookie.name, cookie.value) for cookie in begun.set if "-flow-" in cookie.name)
        cookie = f"{name.split('-flow-')[0]}-flow-another={value}" if renamed else f"{name}={value}"
        response = Answer(spec=Spec(own.key), style="both", issuer=own.entity, acs=acs, entity=entity, user="bob@acme.com",
                          request=login.id if asked else None).write()
        fields = {"SAMLResponse": base64.b64encode(response.encode()).decode(), "RelayState": login.relay_state, "sso_bounced": "1"}
        client = center.client()
        reply = client.request("POST", acs, body=fields, navigation=True, headers=headers | {"cookie": cookie})
        assert not session_cookies(client), reply
        return reply

    for asked in (False, True):
        reply = answered(True, asked)
        assert reply.code in ("assertion_invalid", "state_unknown"), reply
    reply = answered(renamed=False, asked=False)
    assert (reply.json()["ok"], reply.json()["code"]) == (False, "assertion_invalid"), reply
    reply = answered(renamed=False, asked=True)
    assert (reply.json()["ok"], reply.json()["user"]) == (True, "bob"), "the twin: the test sign-in, which opens no session either"
