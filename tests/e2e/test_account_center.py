"""The Account Center over two Envoys and a real etcd: an account's administrator sets single sign-on up as JSON."""

import base64
import http.client
import json
import time

import pytest

from harness.center import JSON, PEOPLE, Center, everywhere, opened, posted, provider
from harness.expect import session_cookies
from harness.net import eventually


# Offers every way in, to a user with a session too.
WAYS = "/sso/login?u=acme&show=all"


@pytest.fixture(scope="module")
def center(make_world):
    center = Center(make_world, "account-center")
    yield center
    center.etcd.stop()


class Open:
    """One connection to the second replica, which stays open."""

    def __init__(self, center, client):
        self.connection = http.client.HTTPConnection("127.0.0.1", center.worlds[1].port, timeout=10)
        cookies = "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())
        self.headers = {"host": "acme.app.test", "accept": "text/html", "cookie": cookies}

    def get(self, path: str):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()


def test_draft_test_enable_holds_everywhere_within_a_second_and_goes_back(center, ada):
    before = center.document(ada)
    assert before["active"]["settings"]["identity_providers"][0]["oidc"]["client_secret"] == {"set": True}
    assert before["draft"] is None and before["invitations"] == []
    connection = Open(center, ada)
    assert connection.get("/reports")[0] == 200
    changed = provider(center)
    changed["title"] = "Acme people"
    saved = center.call(ada, "PUT", "settings/draft", {"identity_providers": [changed], "password": {"mode": "disabled"}})
    assert saved.status == 200 and saved.json()["draft"]["tested"] == [], saved
    assert center.document(ada)["active"] == before["active"], "a draft changes nothing"
    reply = center.call(ada, "POST", "settings/enable", {})
    assert (reply.status, reply.code) == (409, "settings_untested"), reply
    report = center.tested(ada, "bob")
    assert (report["ok"], report["user"], report["mapped"]) == (True, "bob", "bob@acme.com"), report
    assert center.call(ada, "POST", "settings/enable", {}).status == 409, "somebody else's sign-in"
    assert center.tested(ada, "carol")["code"] == "identity_unknown"
    report = center.tested(ada, "ada", replica=1)
    assert (report["ok"], report["user"], report["roles"]) == (True, "ada", ["account_admin"]), report
    eventually(lambda: center.document(ada)["draft"]["tested"] == ["corp"], 60)
    enabled = center.call(ada, "POST", "settings/enable", {"confirm": False})
    assert enabled.status == 200, enabled
    assert enabled.json()["history"][0]["changes"] == ["identity_providers[0].title", "password.mode"]
    eventually(lambda: center.document(ada, 1)["active"]["settings"]["password"] == {"mode": "disabled"}, 60, 0.01)
    # The page of the ways in, on the connection that is open.
    eventually(lambda: "Acme people" in connection.get(WAYS)[1], 60, 0.01)
    assert connection.get("/reports")[0] == 200, "the session goes on, on the same connection"
    # A password login is refused at both.
    for replica in (0, 1):
        eventually(lambda: center.client(replica).post(center.account.url("/login"), body={"username": "bob"}).code
                   == "password_disabled", 60, 0.01)
    version = enabled.json()["active"]["version"]
    back = center.call(ada, "POST", "settings/rollback", {"version": 0}, replica=1)
    assert back.status == 200 and back.json()["active"]["version"] == version + 1, back
    eventually(lambda: center.document(ada)["active"]["settings"] == before["active"]["settings"], 60, 0.01)


def test_a_change_shows_on_an_open_connection_of_the_other_envoy_within_a_second(center, ada):
    """Of several changes: what else the machine does may hold up one."""
    connection, took = Open(center, ada), []
    for turn in range(20):
        changed = provider(center)
        changed["title"] = f"Acme people {turn}"
        assert center.call(ada, "PUT", "settings/draft", {"identity_providers": [changed]}).status == 200
        assert changed["title"] not in connection.get(WAYS)[1], "a draft changes nothing"
        began = time.monotonic()
        assert center.call(ada, "POST", "settings/enable", {"confirm": True}).status == 200
        eventually(lambda: changed["title"] in connection.get(WAYS)[1], 60, 0.01)
        took.append(time.monotonic() - began)
        if took[-1] < 1:
            break
    assert took[-1] < 1, took
    assert connection.get("/reports")[0] == 200, "the session goes on"


def test_who_may(center, ada):
    bob, stranger = center.signed_in("bob"), center.client()
    others = center.signed_in("ada", center.other)
    requests = [("GET", "settings", None), ("PUT", "settings/draft", {"sso": "disabled"}), ("DELETE", "settings/draft", None),
                ("POST", "settings/enable", {"confirm": True}), ("POST", "settings/rollback", {"version": 0, "confirm": True}),
                ("GET", "settings/test", None), ("POST", "invitations", {"email": "x@acme.com", "roles": []}),
                ("DELETE", "invitations/x", None), ("GET", "completeness", None), ("POST", "sessions", {"user": "zoe"})]
    before = center.document(ada)
    for method, path, body in requests:
        reply = center.call(stranger, method, path, body)
        assert (reply.status, reply.code) == (401, "login_required"), (method, path, reply)
        reply = center.call(bob, method, path, body)
        assert (reply.status, reply.code) == (403, "role_missing"), (method, path, reply)
        cookies = "; ".join(f"{name}={value}" for name, value in session_cookies(others).items())
        reply = center.call(stranger, method, path, body, cookie=cookies)
        assert reply.status == 401, (method, path, reply)
        if method != "GET":
            for site in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
                reply = center.call(ada, method, path, body, **site)
                assert reply.status == 403, (method, path, reply)
    assert center.document(ada) == before


def test_problems_limits_and_stale_revisions(center, ada):
    first = center.call(ada, "GET", "settings")
    etag = first.get("etag")
    assert etag
    bad = provider(center, token_endpoint="https://127.0.0.1/t", userinfo_endpoint="http://acme.idp.test/u",
                   jwks_uri="https://evil.example/keys", client_secret={"env": "SSO_SESSION_KEY"})
    reply = center.call(ada, "PUT", "settings/draft", {"access": [], "identity_providers": [bad]})
    assert (reply.status, reply.code) == (422, "settings_invalid"), reply
    paths = {problem["path"] for problem in reply.json()["problems"]}
    where = "identity_providers[0].oidc."
    assert {"access", where + "token_endpoint", where + "userinfo_endpoint", where + "jwks_uri",
            where + "client_secret"} <= paths, paths
    reply = center.call(ada, "PUT", "settings/draft", b'{"x":"' + b"x" * (300 << 10) + b'"}')
    assert (reply.status, reply.code) == (413, "body_too_large"), reply
    assert center.call(ada, "PUT", "settings/draft", "x", content_type="text/plain").status == 415
    assert center.call(ada, "POST", "settings/rollback", {"version": 999, "confirm": True}).status == 422
    saved = center.call(ada, "PUT", "settings/draft", {"sso": "disabled"}, if_match=etag)
    assert saved.status == 200 and saved.get("etag") != etag, saved
    for method, path, body in [("PUT", "settings/draft", {"sso": "enabled"}), ("POST", "settings/enable", {"confirm": True}),
                               ("POST", "settings/rollback", {"version": 0, "confirm": True})]:
        reply = center.call(ada, method, path, body, if_match=etag)
        assert (reply.status, reply.code) == (412, "settings_changed"), (path, reply)
    assert center.call(ada, "DELETE", "settings/draft").status == 204
    assert center.call(ada, "DELETE", "settings/draft").status == 204, "also when there is none"


def test_an_invitation_is_taken_up_once_over_both(center, ada):
    body = {"email": "carol@acme.com", "roles": ["member"]}
    made = center.call(ada, "POST", "invitations", body)
    assert made.status == 201, made
    assert center.call(ada, "POST", "invitations", body, replica=1).status == 422
    assert center.call(ada, "POST", "invitations", body | {"email": "no address"}).status == 422
    assert center.call(ada, "POST", "invitations", {"email": "d@acme.com", "roles": ["owner"]}).status == 422
    [listed] = eventually(lambda: center.document(ada, 1)["invitations"], 60)
    assert (listed["email"], listed["roles"], listed["by"]) == ("carol@acme.com", ["member"], "ada")
    center.account.idp.person = PEOPLE["carol"]

    form = {"sec-fetch-site": "same-origin", "origin": center.account.origin}

    def taken_up():
        """Each worker learns of the invitation by itself, within a second."""
        carol, twice = center.client(1), center.client(0)
        page = carol.login(center.account.url("/sso/login?u=acme&return_to=/x"))[-1]
        assert page.code == "invitation", page
        twice.cookies = dict(carol.cookies)
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        accepted = carol.post(center.account.url("/sso/invitation"), body={"csrf": csrf, "decision": "accept"}, headers=form)
        assert accepted.status == 302, accepted
        return twice, csrf

    twice, csrf = eventually(taken_up, 60)
    again = twice.post(center.account.url("/sso/invitation"), body={"csrf": csrf, "decision": "accept"}, headers=form)
    assert (again.status, again.code) == (403, "identity_unknown"), again
    eventually(lambda: center.document(ada)["invitations"] == [], 60)


def test_completeness_of_a_draft(center, ada):
    mapping = {"claim": "phone_number", "attribute": "phone"}
    assert center.call(ada, "PUT", "settings/draft", {"mapping": mapping}).status == 200
    now = center.call(ada, "GET", "completeness")
    assert now.json()["complete"] == 2, now
    draft = center.call(ada, "GET", "completeness?draft=1")
    assert draft.status == 200 and draft.json()["complete"] == 0, draft
    center.call(ada, "DELETE", "settings/draft")
    assert center.call(ada, "GET", "completeness?draft=1").status == 409, "nothing to report on"


def test_a_provider_that_leads_elsewhere_is_not_followed(center, ada):
    """What the discovery document names stays within the fence too."""
    center.account.idp.change("discovery", userinfo_endpoint="https://evil.example/u", token_endpoint="https://evil.example/t")
    try:
        changed = provider(center, discovery="https://acme.idp.test/.well-known/openid-configuration?x=1")
        assert center.call(ada, "PUT", "settings/draft", {"identity_providers": [changed]}).status == 200
        there = center.client()
        there.cookies = ada.cookies
        reply = there.request("GET", center.account.url("/sso/admin/settings/test?idp=corp"), navigation=True, headers=JSON)
        assert reply.status == 200 and reply.json()["ok"] is False, reply
        assert reply.json()["code"] == "idp_unavailable" and "self_service.hosts" in reply.json()["reason"], reply
    finally:
        center.account.idp.reset()


def test_the_engine_away_and_a_restart(center, ada):
    saved = center.call(ada, "PUT", "settings/draft", {"password": {"mode": "disabled"}})
    assert saved.status == 200
    enabled = center.call(ada, "POST", "settings/enable", {"confirm": True})
    assert enabled.status == 200, enabled
    version = enabled.json()["active"]["version"]
    for replica in (0, 1):
        everywhere(center, replica, "password_disabled")
    center.etcd.kill()
    try:
        for replica in (0, 1):
            for method, path, body in [("PUT", "settings/draft", {"sso": "disabled"}),
                                       ("POST", "settings/rollback", {"version": 0, "confirm": True}),
                                       ("POST", "invitations", {"email": "e@acme.com", "roles": []})]:
                reply = center.call(ada, method, path, body, replica=replica)
                assert (reply.status, reply.code) == (503, "not_ready"), (path, reply)
            document = center.document(ada, replica)
            assert document["active"]["version"] == version and document["draft"] is None
            reply = center.client(replica).post(center.account.url("/login"), body={"username": "bob"})
            assert reply.code == "password_disabled", reply
    finally:
        center.etcd.start()
    for world in center.worlds:
        world.envoy.stop()
    center.start()
    again = center.signed_in("ada")
    for replica in (0, 1):
        document = eventually(lambda: center.document(again, replica), 60)
        assert document["active"]["version"] == version
        assert document["active"]["settings"]["password"] == {"mode": "disabled"}
    center.reset(again)


def test_what_is_written_without_the_key_changes_nothing(center, ada):
    keys = [key for key in center.etcd.keys("") if "settings" in key or "doc" in key.lower()]
    assert keys, center.etcd.keys("")
    before = center.document(ada)
    for key in keys:
        for value in ('{"v":[{"n":99,"by":"eve"}]}', "k1.1." + base64.b64encode(b"x" * 200).decode(), ""):
            center.etcd.control("put", key, value)
            time.sleep(1)
            for replica in (0, 1):
                document = center.document(ada, replica)
                assert document["active"] == before["active"] and document["draft"] == before["draft"]
    # Replicas that know the document put it back, and go on writing.
    eventually(lambda: center.call(ada, "PUT", "settings/draft", {"sso": "disabled"}).status == 200, 60)
    center.call(ada, "DELETE", "settings/draft")


def test_the_whole_story_by_clicks(center, ada):
    page = opened(center, ada)
    assert "https://acme.app.test/sso/oidc/consume" in page.text and "the secret of the client" not in page.text
    fields = {"idp": "corp", "sso": "enabled", "provider__id": "corp", "provider__title": "By <hand>", "protocol": "oidc",
              "oidc__discovery": "https://acme.idp.test/.well-known/openid-configuration", "oidc__client_id": "lakehouse",
              "oidc__client_secret": "the secret of the client", "oidc__scope": "openid email", "mapping__claim": "email",
              "mapping__attribute": "email", "password__mode": "disabled", "do": "save"}
    wrong = posted(center, ada, page, **fields | {"oidc__discovery": "https://10.0.0.1/x"})
    assert (wrong.status, wrong.code) == (422, "settings_invalid"), wrong
    assert 'href="#oidc.discovery"' in wrong.text and "https://10.0.0.1/x" in wrong.text
    assert "the secret of the client" not in wrong.text
    saved = posted(center, ada, wrong, **fields)
    assert saved.status == 302, saved
    page = opened(center, ada, "?done=save")
    assert "By &lt;hand&gt;" in page.text
    untested = posted(center, ada, page, do="enable")
    assert (untested.status, untested.code) == (409, "settings_untested"), untested
    assert 'name="confirm" value="true"' in untested.text
    assert center.tested(ada, "ada")["user"] == "ada"
    stale = posted(center, ada, wrong, do="enable")
    assert (stale.status, stale.code) == (412, "settings_changed"), stale
    assert posted(center, ada, opened(center, ada), do="enable").status == 302
    everywhere(center, 1, "password_disabled")
    page = opened(center, ada, replica=1)
    assert "password.mode" in page.text
    assert posted(center, ada, page, replica=1, do="rollback", version="0").status == 302
    everywhere(center, 0, "password_not_allowed")
    forged = posted(center, ada, page, do="save", csrf="x")
    assert forged.status == 403, forged


def test_an_administrator_ends_sessions_as_json(center, ada):
    bob = center.signed_in("bob")
    reply = center.call(ada, "POST", "sessions", {"user": "bob"})
    assert reply.status == 204, reply
    eventually(lambda: center.call(bob, "GET", "settings", replica=1).status == 401, 60)
    assert center.document(ada)
