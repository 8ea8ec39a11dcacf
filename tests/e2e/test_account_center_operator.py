"""What administrators have set, after the operator changed the file or the keys: over two Envoys and a real etcd. Each refusal
has its twin that passes."""

import pytest

from harness.center import PEOPLE, Center, everywhere, provider, self_service
from harness.net import eventually

KEYS = {"k1": {"id": "k1", "env": "SSO_SESSION_KEY"}, "k2": {"id": "k2", "env": "SSO_SESSION_KEY_2"}}


@pytest.fixture(scope="module")
def center(make_world):
    center = Center(make_world, "center-operator", start=False)
    users = [{"username": name, "email": f"{name}@acme.com", "roles": roles}
             for name, roles in (("ada", ["account_admin"]), ("bob", ["member"]), ("grace", []))]
    center.account.config |= self_service(users)
    PEOPLE["grace"] = {"sub": "5", "email": "grace@acme.com", "email_verified": True, "groups": ["lakehouse-admins"]}
    center.start()
    yield center
    center.etcd.stop()


@pytest.fixture
def change(center):
    """Changes the file on all Envoys, and back again afterwards."""
    kept = {}

    def change(**fields):
        own = center.account.config["self_service"]
        for name, value in fields.items():
            kept.setdefault(name, own[name])
            own[name] = value
        for world in center.worlds:
            world.update()

    yield change
    change(**kept)


def enabled(center, client, draft: dict, **body) -> int:
    assert center.call(client, "PUT", "settings/draft", draft).status == 200
    if not body:
        assert center.tested(client, "ada")["ok"] is True
    reply = center.call(client, "POST", "settings/enable", body)
    assert reply.status == 200, reply
    return reply.json()["active"]["version"]


def by_hand(center) -> dict:
    """A provider that administrators have named, each address by hand."""
    named = provider(center, issuer=center.account.idp.issuer, client_secret={"value": "the secret of the client"})
    named["oidc"].pop("discovery")
    ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo", "jwks_uri": "jwks"}
    named["oidc"] |= {name: f"{center.account.idp.issuer}/{path}" for name, path in ends.items()}
    return named


def logins(center) -> set:
    """Where a login goes, on each worker of each Envoy."""
    url = center.account.url("/sso/login?u=acme&idp=corp&return_to=/reports")
    replies = [center.client(replica).browse(url) for replica in (0, 1) for _ in range(8)]
    return {(reply.status, "acme.idp.test" in (reply.location or "")) for reply in replies}


def test_a_provider_outside_the_fence_is_not_asked_any_more(center, ada, change):
    version = enabled(center, ada, {"identity_providers": [by_hand(center)]})
    eventually(lambda: logins(center) == {(302, True)}, 60)
    change(hosts=["*.okta.test"])
    eventually(lambda: logins(center) == {(400, False)}, 60)
    assert "acme.idp.test:443 is not one of self_service.hosts" in center.worlds[0].envoy.log_text()
    change(hosts=["*.idp.test"])
    eventually(lambda: logins(center) == {(302, True)}, 60)
    center.reset(center.signed_in("ada"))
    # Nor does the history lead back to it; what the file has just like that is the operator's, and opens sessions.
    change(hosts=["*.okta.test"])
    eventually(lambda: logins(center) == {(302, True)}, 60)
    there = center.signed_in("ada")

    def back():
        reply = center.call(there, "POST", "settings/rollback", {"version": version, "confirm": True})
        assert reply.status != 200 or center.call(there, "POST", "settings/rollback", {"version": 0, "confirm": True}).status == 200
        return reply.status == 422 and reply.code

    assert eventually(back, 60, what="each worker has the new file") == "settings_invalid"


def test_what_administrators_may_no_longer_set_is_the_files(center, ada, change):
    enabled(center, ada, {"sso": "disabled"}, confirm=True)

    def statuses():
        return {center.client(replica).get(center.account.url("/reports")).status for replica in (0, 1) for _ in range(8)}

    eventually(lambda: statuses() == {200}, 60)
    change(settings=["mapping"])
    eventually(lambda: statuses() == {401}, 60)
    assert "sso" not in center.document(ada)["active"]["settings"]
    change(settings=["sso", "identity_providers", "mapping", "password", "invitations"])
    eventually(lambda: statuses() == {200}, 60)


def test_a_test_that_leads_to_no_administrator_is_no_way_back(center, ada):
    """Only the provider's groups make grace an administrator."""
    grace = center.signed_in("grace")
    for mode in ("disabled", "admins"):
        for role_map, status in (({}, 409), ({"lakehouse-admins": "account_admin"}, 200)):
            draft = {"mapping": {"roles_claim": "groups", "role_map": role_map}, "password": {"mode": mode}}
            assert center.call(grace, "PUT", "settings/draft", draft).status == 200
            tested = center.tested(grace, "grace")
            assert (tested["ok"], tested["user"]) == (True, "grace")
            reply = center.call(grace, "POST", "settings/enable", {})
            assert (reply.status, reply.code) == (status, "ok" if status == 200 else "settings_untested"), (mode, role_map, reply)


def restarted(center, *keys: str) -> None:
    for world in center.worlds:
        world.envoy.stop()
    for world in center.worlds:
        world.session = world.session | {"keys": [KEYS[key] for key in keys]}
        world.start()


def test_settings_outlive_their_key_and_none_that_cannot_be_read_gives_way_to_the_file(center, ada):
    enabled(center, ada, {"password": {"mode": "disabled"}}, confirm=True)
    [key] = [key for key in center.etcd.keys("") if "acme" in str(key)]
    sealed = center.etcd.value(key)
    # Dropped at once: the file would let administrators use their passwords.
    restarted(center, "k2")
    for replica in (0, 1):
        everywhere(center, replica, "not_ready")
    assert "none of session.keys opens what the engine has" in center.worlds[0].envoy.log_text()
    # As docs/operations.md has it: appended, put first, and then the old one dropped.
    restarted(center, "k1", "k2")
    everywhere(center, 0, "password_disabled")
    assert center.etcd.value(key) == sealed
    restarted(center, "k2", "k1")
    eventually(lambda: center.etcd.value(key) != sealed, 60)
    restarted(center, "k2")
    for replica in (0, 1):
        everywhere(center, replica, "password_disabled")
    # Nor does what was cut off while all were away.
    whole = center.etcd.value(key)
    for world in center.worlds:
        world.envoy.stop()
    center.etcd.put(key, whole[:40])
    restarted(center, "k2")
    everywhere(center, 0, "not_ready")
    center.etcd.put(key, whole)
    everywhere(center, 0, "password_disabled")
