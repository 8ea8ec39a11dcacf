"""An account whose administrators set single sign-on up themselves, in front of one application, over several Envoys and a
real etcd."""

import html
import json
import re

from .etcd import Etcd
from .expect import session_cookies
from .net import eventually

USERS = [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
         {"username": "bob", "email": "bob@acme.com", "roles": ["member"]}]
PEOPLE = {"ada": {"sub": "1", "email": "ada@acme.com", "email_verified": True},
          "bob": {"sub": "2", "email": "bob@acme.com", "email_verified": True},
          "carol": {"sub": "3", "email": "carol@acme.com", "email_verified": True}}
SETTINGS = ["sso", "identity_providers", "mapping", "password", "invitations"]
JSON = {"accept": "application/json"}


def self_service(users=USERS):
    return {
        "directory": {"static": {"users": users}},
        "password": {"mode": "admins", "admin_roles": ["account_admin"], "logins": [
            {"path": "/login", "success": {"status": [302]}, "username": {"form": "username"}}]},
        "self_service": {"settings": SETTINGS, "hosts": ["*.idp.test"], "roles": ["member"]},
    }


class Center:
    """Envoys in front of one application, one provider and one engine."""

    def __init__(self, make_world, name: str, replicas: int = 2, start: bool = True):
        self.etcd = Etcd(name)
        self.worlds = []
        for n in range(replicas):
            world = make_world(f"{name}-{n}")
            if self.worlds:
                first = self.worlds[0]
                world.app.stop(), world.idps.stop()
                world.app, world.idps = first.app, first.idps
                world.clusters |= {"app": first.app.port, "idp": first.idps.port}
                world.accounts = first.accounts
            world.engines = {"etcd": self.etcd.ports}
            world.shared = {"engine": "etcd", "cluster": "etcd"}
            self.worlds.append(world)
        self.account = self.worlds[0].account("acme", self_service())
        self.other = self.worlds[0].account("other", self_service())
        if start:
            self.start()

    def start(self) -> None:
        for world in self.worlds:
            world.start()
        for replica in range(len(self.worlds)):
            # Each connection is another one, and so comes to either worker; each of them reads the settings by itself.
            eventually(lambda: all(self.client(replica).get(self.account.url("/sso/admin")).status != 503 for _ in range(8)), 60)

    def client(self, replica: int = 0):
        return self.worlds[replica].client()

    def signed_in(self, name: str, account=None):
        """A client with this user's session, at the first replica."""
        account = account or self.account
        account.idp.person = PEOPLE[name]

        def attempt():
            """A worker to which none of the start's connections came may not have read the settings yet."""
            client = account.client()
            hops = client.login(account.url(f"/sso/login?u={account.code}&return_to=/reports"))
            return None if hops[-1].code == "not_ready" else (client, hops)

        client, hops = eventually(attempt, 60, what="a worker that is ready")
        assert session_cookies(client), hops
        return client

    def call(self, client, method: str, path: str, body=None, replica: int = 0, account=None, **headers):
        account = account or self.account
        there = self.client(replica)
        there.cookies = client.cookies
        sent = JSON | ({"content-type": "application/json"} if body is not None else {})
        text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        return there.request(method, account.url(f"/sso/admin/{path}"), body=text,
                             headers=sent | {name.replace("_", "-"): value for name, value in headers.items()})

    def document(self, client, replica: int = 0) -> dict:
        reply = self.call(client, "GET", "settings", replica=replica)
        assert reply.status == 200, reply
        return reply.json()

    def tested(self, client, name: str, replica: int = 0, idp: str = "corp") -> dict:
        """A test sign-in as whoever the provider says."""
        self.account.idp.person = PEOPLE[name]
        there = self.client(replica)
        there.cookies = client.cookies
        begun = there.browse(self.account.url(f"/sso/admin/settings/test?idp={idp}"))
        assert begun.status == 302, begun
        back = there.browse(begun.location)
        assert "/sso/oidc/consume" in back.location, back
        reply = there.request("GET", back.location, navigation=True, headers=JSON)
        assert reply.status == 200, reply
        return reply.json()

    def reset(self, client) -> None:
        """Back to the file."""
        reply = self.call(client, "POST", "settings/rollback", {"version": 0, "confirm": True})
        assert reply.status == 200, reply
        self.call(client, "DELETE", "settings/draft")
        for invitation in self.document(client)["invitations"]:
            self.call(client, "DELETE", f"invitations/{invitation['id']}")
        for replica in range(len(self.worlds)):
            eventually(lambda: self.document(client, replica)["active"]["version"] == reply.json()["active"]["version"], 60)


def provider(center, **oidc) -> dict:
    """The file's provider as its administrator sends it back."""
    document = json.loads(json.dumps(center.account.config["identity_providers"][0]))
    document["oidc"]["client_secret"] = {"set": True}
    document["oidc"] |= oidc
    return document


def everywhere(center, replica: int, code: str) -> None:
    """Each request has a connection of its own, and so comes to either worker."""
    def answers():
        return {center.client(replica).post(center.account.url("/login"), body={"username": "bob"}).code for _ in range(8)}
    eventually(lambda: answers() == {code}, 60)


def opened(center, client, query: str = "", replica: int = 0):
    """The page, with its token and revision."""
    there = center.client(replica)
    there.cookies = client.cookies
    page = there.browse(center.account.url(f"/sso/admin/settings{query}"), headers={"sec-fetch-site": "same-origin"})
    assert page.status == 200 and page.code == "settings", page
    return page


def hidden(page) -> dict:
    found = {name: re.search(f'name="{name}" value="([^"]*)"', page.text)[1] for name in ("csrf", "revision")}
    return {name: html.unescape(value) for name, value in found.items()}


def posted(center, client, page, replica: int = 0, **fields):
    there = center.client(replica)
    there.cookies = client.cookies
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return there.post(center.account.url("/sso/admin/settings"), body=hidden(page) | named, navigation=True,
                      headers={"sec-fetch-site": "same-origin", "origin": center.account.origin})
