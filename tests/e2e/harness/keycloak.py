"""Keycloak, as its makers distribute it: one process for a whole run of tests, a realm of its own for each module."""

import contextlib
import copy
import fcntl
import html
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from .client import Client, Reply
from .net import PROJECT, WORK, eventually, free_port
from .tools import leave_out

HOME = PROJECT / ".keycloak"
REALM = PROJECT / "tests/e2e/keycloak/realm.json"
PASSWORDS = {"ada": "lovelace", "bob": "builder"}
ADMIN = "only for tests"


def missing() -> str | None:
    """What has to be installed first."""
    if not shutil.which("java"):
        return "java is not on the PATH (Debian: apt-get install default-jre-headless maven)"
    if not (HOME / "bin/kc.sh").exists():
        return f"{HOME} is not there: make .keycloak/.installed, which needs java and mvn (Debian: apt-get install maven)"
    return None


# One process for all workers of a run. The first test that needs it starts it; the run's own process ends it.

RUN = "ENVOY_SSO_E2E_RUN"  # conftest.py sets it in the run's own process; workers inherit it


def _run_folder():
    return WORK / f"keycloak-{os.environ[RUN]}"


def url() -> str:
    """The address of this run's Keycloak, which is started if it is not there."""
    if missing():
        leave_out(missing())
    folder = _run_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = folder / "running.json"
        if not state.exists():
            state.write_text(json.dumps(_start(folder)))
        return json.loads(state.read_text())["url"]


def _start(folder) -> dict:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [HOME / "bin/kc.sh", "start", "--optimized", "--cache=local", "--http-enabled=true", "--http-host=127.0.0.1",
             f"--http-port={port}", f"--hostname={address}", "--log-level=INFO,org.keycloak.events:DEBUG"],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
            env=os.environ | {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN,
                              "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"})

    def up():
        if process.poll() is not None:
            raise RuntimeError(f"Keycloak ended: {(folder / 'log').read_text(errors='replace')[-3000:]}")
        with urllib.request.urlopen(f"{address}/realms/master", timeout=5) as answer:
            return answer.status == 200

    eventually(up, 240, every=0.3, what="Keycloak")
    return {"url": address, "group": process.pid}


def end() -> None:
    """Ends the Keycloak of this run, if one was started."""
    state = _run_folder() / "running.json"
    if state.exists():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(json.loads(state.read_text())["group"], signal.SIGTERM)
        state.unlink()


class Api:
    """The administrators' interface, signed in as the one administrator."""

    def __init__(self, address: str):
        self.address = address
        self._token, self._until = "", 0.0

    def _bearer(self) -> str:
        if time.monotonic() > self._until:
            form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": ADMIN}
            with urllib.request.urlopen(f"{self.address}/realms/master/protocol/openid-connect/token",
                                        urllib.parse.urlencode(form).encode(), timeout=60) as answer:
                said = json.load(answer)
            self._token, self._until = said["access_token"], time.monotonic() + said["expires_in"] / 2
        return self._token

    def __call__(self, method: str, path: str, document=None):
        """The answer as JSON; of a creation, the id of what was created."""
        request = urllib.request.Request(
            f"{self.address}/admin{path}", method=method, data=None if document is None else json.dumps(document).encode(),
            headers={"authorization": f"Bearer {self._bearer()}", "content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
                created = answer.headers.get("location")
                return json.loads(body) if body else created and created.rpartition("/")[2]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{method} {path}: {refused.code} {refused.read()[:500]!r}") from None


class Realm:
    """A realm made of realm.json, and what a test does there as its administrator or as its user."""

    def __init__(self, name: str, clients: list[dict] = (), **changes):
        self.address = url()
        self.admin = Api(self.address)
        self.name = name
        self.url = f"{self.address}/realms/{name}"
        self.protocol = f"{self.url}/protocol/openid-connect"
        self.discovery = f"{self.url}/.well-known/openid-configuration"
        self.port = urllib.parse.urlsplit(self.address).port
        realm = copy.deepcopy(json.loads(REALM.read_text())) | {"realm": name} | changes
        realm["clients"] += clients
        self.admin("POST", "/realms", realm)

    def api(self, method: str, path: str = "", document=None):
        return self.admin(method, f"/realms/{self.name}{path}", document)

    def change(self, **settings) -> None:
        """Changes settings of the realm."""
        self.api("PUT", "", settings)

    def client_id(self, name: str) -> str:
        return self.api("GET", f"/clients?clientId={urllib.parse.quote(name, safe='')}")[0]["id"]

    def user(self, name: str) -> dict:
        return self.api("GET", f"/users?username={name}&exact=true")[0]

    def sessions(self, name: str) -> list[dict]:
        return self.api("GET", f"/users/{self.user(name)['id']}/sessions")

    # A user in a browser.

    def sign_in(self, client: Client, start: Reply, name: str = "ada", password: str | None = None) -> list[Reply]:
        """Fills in the login form, as far as the browser comes."""
        hops = client.follow(start)
        if not asks_for(hops[-1], "password"):
            return hops
        return hops + client.follow(submit(client, hops[-1], username=name, password=password or PASSWORDS[name]))


def asks_for(page: Reply, field: str) -> bool:
    return page.status == 200 and f'name="{field}"'.encode() in page.body


def submit(client: Client, page: Reply, **values) -> Reply:
    """Posts the page's form with its hidden fields and these values."""
    action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    assert action, page
    hidden = {}
    for field in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page.text):
        name, value = re.search(r'name="([^"]*)"', field), re.search(r'value="([^"]*)"', field)
        if name:
            hidden[name[1]] = html.unescape(value[1]) if value else ""
    where = urllib.parse.urljoin(page.url, html.unescape(action[1]))
    return client.request("POST", where, body=hidden | values, navigation=True)


def oidc_client(account, secret: str, **changes) -> dict:
    """A client as docs/idps.md says to register it: groups, realm roles and client roles in the ID token."""
    def mapper(name: str, kind: str, **config):
        return {"name": name, "protocol": "openid-connect", "protocolMapper": f"oidc-{kind}-mapper", "config": {
            "id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true", "multivalued": "true",
            "jsonType.label": "String"} | config}

    attributes = {"post.logout.redirect.uris": f"{account.origin}/sso/logout-complete"} | changes.pop("attributes", {})
    return {
        "clientId": account.code, "secret": secret, "enabled": True, "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False, "redirectUris": [f"{account.origin}/sso/oidc/consume?u={account.code}"],
        "frontchannelLogout": False, "attributes": attributes,
        "protocolMappers": [
            mapper("groups", "group-membership", **{"claim.name": "groups", "full.path": "true"}),
            mapper("realm roles", "usermodel-realm-role", **{"claim.name": "realm_access.roles"}),
            mapper("client roles", "usermodel-client-role", **{
                "claim.name": "resource_access.${client_id}.roles", "usermodel.clientRoleMapping.clientId": "reports"})],
    } | changes


class Browser(Client):
    """A browser for loopback addresses: as browsers do, it keeps cookies with `Secure` there (Secure Contexts)."""

    def _keep(self, url: str, reply: Reply) -> None:
        super()._keep(url.replace("http://", "https://", 1), reply)

    def cookies_for(self, url: str, cross_site_post: bool = False):
        return super().cookies_for(url.replace("http://", "https://", 1), cross_site_post)
