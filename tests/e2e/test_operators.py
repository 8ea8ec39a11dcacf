"""Mistakes that only a running Envoy can show: what the log says of each, so that an operator can mend it from its words.
What `envoy-sso check` says of a configuration stands in tests/operators.rs, what `check --online` says in tests/online.rs, what the
log says of TLS in test_tls.py, and what the demo says in test_demo_faults.py."""

import json
import time

import pytest

from harness.expect import refused
from harness.net import eventually

# The mistake; the code that a user sees; what the log says.
MISTAKES = {
    "the issuer as discovery": ("idp_unavailable", "does the address end in /.well-known/openid-configuration?"),
    "a wrong discovery URL": ("idp_unavailable", "status 404"),
    "https where the issuer is http": ("idp_unavailable", "which is not the one of https://"),
    "a trailing slash in an issuer": ("idp_unavailable", ", configured is "),
    "a host without a cluster": ("idp_unavailable", "no cluster for host"),
    "a cluster that Envoy does not have": ("idp_unavailable", "no cluster for host"),
    "nothing listens": ("idp_unavailable", "no connection came about; "),
    "a wrong client secret": ("idp_invalid_answer", "invalid_client: compare client_id, client_secret and client_auth with the client at the provider"),
    "a client that the provider does not know": ("idp_invalid_answer", "invalid_client: compare client_id"),
    "a redirect URI that is not registered": (
        "idp_invalid_answer", "register the redirect URI at the provider exactly as `envoy-sso uris` prints it"),
    "a clock that is ten minutes ahead": ("id_token_invalid", "in the future: compare the clocks of this host and the provider (NTP)"),
    "a mapping that names a wrong claim": ("identity_missing", "is absent, what is there: "),
    "a wrong token of the directory": ("directory_unavailable", "status 401: compare directory.scim.token with"),
    "a wrong path of the directory": ("directory_unavailable", "status 404: directory.scim.url must be its SCIM base"),
    "Secure cookies over http": ("state_unknown", "Secure cookies over http are not kept, so set cookies.secure to false"),
}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("operators", concurrency=1)
    accounts = {what: world.account(f"m{n}") for n, what in enumerate([*MISTAKES, "none"])}
    idps = {what: account.idp for what, account in accounts.items()}

    def oidc(what):
        return accounts[what].config["identity_providers"][0]["oidc"]

    def reach(what, to):
        world.cluster_table[idps[what].host] = to

    oidc("the issuer as discovery")["discovery"] = idps["the issuer as discovery"].issuer
    oidc("a wrong discovery URL")["discovery"] = f"{idps['a wrong discovery URL'].issuer}/realms/x/.well-known/openid-configuration"
    idps["https where the issuer is http"].change("discovery", issuer=f"http://{idps['https where the issuer is http'].host}")
    oidc("a trailing slash in an issuer")["issuer"] = f"{idps['a trailing slash in an issuer'].issuer}/"
    oidc("a host without a cluster")["discovery"] = "https://elsewhere.example.com/.well-known/openid-configuration"
    del world.cluster_table["*"]
    world.cluster_table |= {idp.host: "idp" for idp in idps.values()}
    reach("a cluster that Envoy does not have", "ipd")
    reach("nothing listens", "dead")
    idps["a wrong client secret"].clients = {"lakehouse": "another"}
    idps["a client that the provider does not know"].clients = {}
    idps["a redirect URI that is not registered"].fault("token", status=400, body=json.dumps({"error": "redirect_uri_mismatch"}).encode())
    accounts["a mapping that names a wrong claim"].config["mapping"] |= {"claim": "mail"}
    for what, status in (("a wrong token of the directory", 401), ("a wrong path of the directory", 404)):
        world.directory(accounts[what].code).fault("GET", status=status)
    plain = accounts["Secure cookies over http"]
    plain.origin = plain.origin.replace("https", "http")
    plain.config["origins"] = [plain.origin]
    world.mistakes = accounts
    world.start()
    return world


def says(world, words: str, **wanted) -> bool:
    """Whether a line of the log with these members gives the words for its reason."""
    return any(words in str(event.get("reason")) and wanted.items() <= event.items() for event in world.envoy.events())


@pytest.mark.parametrize("what", MISTAKES)
def test_each_mistake_can_be_mended_from_the_log(world, what):
    account, (code, words) = world.mistakes[what], MISTAKES[what]
    if what == "a clock that is ten minutes ahead":
        account.idp.change("claims", iat=int(time.time()) + 600)
    mark = world.app.mark()
    hops = account.client().login(account.url("/reports"))
    refused(hops[-1], code)
    world.app.nothing_since(mark)
    assert words not in hops[-1].text, "the page tells a user nothing of it"
    eventually(lambda: says(world, words, account=account.code), 60, what=words)


def test_the_twin_without_a_mistake_signs_in(world):
    world.mistakes["none"].signed_in()


@pytest.mark.parametrize("host", ["acme.app.test:8443", "127.0.0.1", "localhost:8080"])
def test_a_host_that_is_not_served_is_told_with_those_that_are(world, host):
    """The log alone: a stranger learns no names."""
    account = world.mistakes["none"]
    reply = account.client().browse(account.url("/reports"), host=host)
    refused(reply, "account_unknown")
    assert account.origin not in reply.text
    words = f'no account is served at "{host}"; origins are {world.mistakes["the issuer as discovery"].origin}'
    eventually(lambda: says(world, words, code="account_unknown"), 60, what=words)
