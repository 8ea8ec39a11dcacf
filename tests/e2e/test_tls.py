"""What Envoy knows of a failed connection, told by real TLS servers: in the log line and in `…/admin/check`."""

import pytest

from harness.expect import refused, signed_in
from harness.net import eventually, free_port
from harness.tls import Authority, TlsServer, tls_cluster
from harness.world import World

# Provider: the words of its failure, the counter that they name, and the code of the page.
FAILURES = {
    "untrusted": ("the server's certificate is not trusted", "ssl.fail_verify_error", "idp_unavailable"),
    "wrong-name": ("the server's certificate is for another name", "ssl.fail_verify_san", "idp_unavailable"),
    "not-tls": ("the server does not speak TLS at that port", "ssl.connection_error", "idp_unavailable"),
    "refused": ("the connection was refused", "upstream_cx_connect_fail", "idp_unavailable"),
    "resets": ("the connection was closed before an answer began", "upstream_cx_destroy_remote_with_active_rq", "idp_unavailable"),
    "wants-tls": ("the connection was closed before an answer began", "upstream_cx_destroy_remote_with_active_rq",
                  "idp_unavailable"),
    "hangs": ("no answer in time", None, "idp_timeout"),
}


# Envoy 1.38.1 and later leave out why no connection came about, unless this is set (docs/operations.md).
TELLS = {"envoy.reloadable_features.hide_transport_failure_reason_in_response_body": False}
HIDDEN = {"mappers": [{
    "filter": {"response_flag_filter": {"flags": ["UF", "UC"]}},
    "body": {"inline_string": "upstream connect error"}}]}
NOT_MADE = ("untrusted", "wrong-name", "not-tls", "refused")


def words_of(name: str, tells: bool) -> tuple[str, str | None, str]:
    words, counter, code = FAILURES[name]
    if name in NOT_MADE and not tells:
        return "no connection came about", "upstream_cx_connect_fail", code
    return words, counter, code


def host_of(name: str) -> str:
    return f"{name}.tls.idp.test"


def provider(world: World, name: str) -> dict:
    issuer = world.idps.issuer(host_of(name))
    return {"id": name, "title": name, "oidc": {
        "discovery": f"{issuer.issuer}/.well-known/openid-configuration", "client_id": "lakehouse",
        "client_secret": {"env": "OIDC_SECRET"}, "timeout": "2s"}}


@pytest.fixture(scope="module", params=[True, False], ids=["tells why", "as it comes"])
def tells(request):
    return request.param


@pytest.fixture(scope="module")
def world(make_world, tmp_path_factory, tells):
    folder = tmp_path_factory.mktemp("tls")
    ours, other = Authority(folder, "ours"), Authority(folder, "other")
    clusters = []
    settings = {"runtime": TELLS, "local_reply": HIDDEN} if tells else {}
    world = make_world("tls", concurrency=1, more_clusters=clusters, routes=[
        {"match": {"prefix": "/static/untrusted"}, "route": {"cluster": "untrusted"}}], **settings)
    target = world.idps.port
    servers = {
        "good": TlsServer(ours.server(host_of("good")), "relay", target),
        "untrusted": TlsServer(other.server(host_of("untrusted")), "relay", target),
        "wrong-name": TlsServer(ours.server("elsewhere.test"), "relay", target),
        "resets": TlsServer(ours.server(host_of("resets")), "reset"),
        "wants-tls": TlsServer(ours.server(host_of("wants-tls")), "relay", target),
        "hangs": TlsServer(ours.server(host_of("hangs")), "hang"),
    }
    ports = {name: server.port for name, server in servers.items()} | {"not-tls": target, "refused": free_port()}
    account = world.account("acme", {
        "directory": {"static": {"users": [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]}]}},
        "password": {"mode": "disabled", "admin_roles": ["account_admin"]}})
    for name in ("good", *FAILURES):
        if name == "wants-tls":
            world.clusters[name] = ports[name]  # in plain text to a port that wants TLS
        else:
            clusters.append(tls_cluster(name, ports[name], host_of(name), ours.pem))
        world.cluster_table[host_of(name)] = name
        account.config["identity_providers"].append(provider(world, name))
    world.start()
    yield world
    for server in servers.values():
        server.stop()


def words_for(world: World, name: str) -> list[str]:
    """The log's lines about the cluster of this provider."""
    return [line for line in world.envoy.log_text().splitlines() if f'cluster \\"{name}\\": ' in line]


@pytest.mark.parametrize("name", FAILURES)
def test_the_log_says_what_became_of_the_connection(world, tells, name):
    words, counter, code = words_of(name, tells)
    account = world.accounts["acme"]
    reply = account.client().get(account.url(f"/sso/login?idp={name}"), navigation=True)
    refused(reply, code)
    assert "cluster" not in reply.text and words not in reply.text, "internal names are for the log"
    line = eventually(lambda: words_for(world, name), what="a line of the log")[-1]
    others = {said for said, _, _ in FAILURES.values()} - {words}
    assert words in line and not any(said in line for said in others), line
    if counter:
        assert f"(cluster.{name}.{counter})" in line, line
        assert world.envoy.stats(rf"^cluster\.{name}\.{counter}$").popitem()[1] >= 1, "the counter that it names says so"


def test_the_administrators_check_says_the_same(world, tells):
    account = world.accounts["acme"]
    client = account.client()
    start = client.browse(account.url("/sso/login?idp=good&return_to=/who"))
    assert client.follow(start)[-1].status == 200
    checks = client.get(account.url("/sso/admin/check")).json()["checks"]
    for name in FAILURES:
        words, _, _ = words_of(name, tells)
        about = [check for check in checks if f'"{name}"' in check["detail"] and "cluster" in check["detail"]]
        assert about and not any(check["ok"] for check in about), (name, checks)
        assert all(words in check["detail"] for check in about), (name, about)


def test_what_envoy_says_to_itself_is_nothing_for_users(world):
    account = world.accounts["acme"]
    reply = account.client().get(account.url("/static/untrusted"))
    assert reply.status == 503 and b"upstream connect error" in reply.body, reply
    assert b"TLS" not in reply.body and b"certificate" not in reply.body.lower(), reply


def test_over_tls_that_is_right_a_person_signs_in(world):
    account = world.accounts["acme"]
    client = account.client()
    hops = client.follow(client.browse(account.url("/sso/login?idp=good&return_to=/who")))
    assert hops[-1].status == 200, hops
    signed_in(client, account, "ada")
    assert words_for(world, "good") == []
