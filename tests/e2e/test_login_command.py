"""`envoy-sso login URL` against the certified provider: nothing but the URL is known."""

import json
import os
import re
import stat
import subprocess
import urllib.parse

import pytest

from harness.client import Client
from harness.net import PROJECT
from harness.provider import OidcProvider

PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada"}}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def program():
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "envoy-sso"], cwd=PROJECT, check=True)
    return os.path.join(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"), "debug", "envoy-sso")


@pytest.fixture(scope="module")
def setting(make_world):
    world = make_world("login-command", cookies={"secure": False})
    origin = f"http://127.0.0.1:{world.port}"
    provider = OidcProvider([
        {"client_id": "lakehouse", "client_secret": "the secret of the client", "redirect_uris": [f"{origin}/sso/oidc/consume?u=acme"]},
        {"client_id": "cli", "token_endpoint_auth_method": "none", "application_type": "native",
         "redirect_uris": ["http://127.0.0.1/callback"], "grant_types": ["authorization_code", DEVICE]}],
        PEOPLE, resource=f"{origin}/api", scope="reports.read")
    account = world.account("acme", {"bearer": {"audiences": [f"{origin}/api"]}, "access": [
        {"prefix": "/api/", "allow": "users", "resource": {"name": "Reports", "scopes": ["reports.read"], "client_id": "cli"}}]},
        discovery=f"{provider.issuer}/.well-known/openid-configuration")
    account.config["origins"] = [origin]
    world.clusters["provider"] = provider.port
    world.cluster_table = {f"127.0.0.1:{provider.port}": "provider"}
    world.start()
    yield account, provider, f"{origin}/api/tables"
    provider.stop()


class Login:
    """A run of the command, and the person it talks to."""

    def __init__(self, program, cache, *arguments):
        self.process = subprocess.Popen(
            [program, "login", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": "/nowhere", "XDG_CACHE_HOME": str(cache)})

    def line(self, pattern: str) -> str:
        """What a line that it tells the person holds."""
        for line in self.process.stderr:
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"{pattern} was never said: {self.process.communicate(timeout=10)}")

    def end(self) -> tuple[str, str]:
        try:
            return self.process.communicate(timeout=60)
        finally:
            self.process.kill()


def approve(provider, url: str, login: str = "ada"):
    return provider.login(Client({"127.0.0.1": provider.port}), url, login)


def test_the_device_flow_prints_and_keeps_a_token_that_counts(setting, program, tmp_path):
    account, provider, url = setting
    login = Login(program, tmp_path, url)
    approve(provider, login.line(r"or open (\S+)"))
    said, problems = login.end()
    assert login.process.returncode == 0, problems
    token = said.strip()
    reply = account.client().get(url, headers={"authorization": f"Bearer {token}"})
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
    [kept] = (tmp_path / "envoy-sso").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    # The next run asks nobody.
    again = Login(program, tmp_path, url, "--exec-credential")
    said, problems = again.end()
    credential = json.loads(said)
    assert (credential["kind"], credential["apiVersion"]) == ("ExecCredential", "client.authentication.k8s.io/v1")
    assert credential["status"]["token"] == token and credential["status"]["expirationTimestamp"].endswith("Z"), problems


def test_the_browser_of_this_machine_with_pkce(setting, program, tmp_path):
    account, provider, url = setting
    login = Login(program, tmp_path, url, "--browser", "--no-cache")
    where = login.line(r"(http\S+/auth\?\S+)")
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where).query))
    assert asked["code_challenge_method"] == "S256" and asked["resource"] == url.removesuffix("/tables"), asked
    back = urllib.parse.urlsplit(asked["redirect_uri"])
    # Another page of the browser that guesses the port gets nowhere.
    person = Client({"127.0.0.1": provider.port})
    intruder = Client({"127.0.0.1": back.port})
    assert intruder.get(asked["redirect_uri"] + "?code=evil&state=guessed").status == 404
    hops = provider.login(person, where, "ada")
    answer = next(hop.location for hop in hops if (hop.location or "").startswith(asked["redirect_uri"]))
    assert intruder.get(answer).status == 200
    said, problems = login.end()
    assert login.process.returncode == 0, problems
    reply = account.client().get(url, headers={"authorization": f"Bearer {said.strip()}"})
    assert reply.status == 200, reply
    assert not list(tmp_path.iterdir()), "--no-cache keeps nothing"


def test_what_cannot_be_found_is_said(setting, program, tmp_path):
    _, provider, _ = setting
    for arguments, words in [([f"{provider.issuer}/x"], "no metadata of a protected resource"),
                             (["http://app.test/x"], "expected an https URL"), ([], "usage:"),
                             ([setting[2], "--issuer", "https://other.test"], "no usable authorization server")]:
        login = Login(program, tmp_path, *arguments)
        said, problems = login.end()
        assert (login.process.returncode, said) == (2, ""), (said, problems)
        assert words in problems, problems
