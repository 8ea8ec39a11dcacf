"""The cluster for providers that administrators name, as docs/account-center.md sets it up, in a real Envoy: a name that leads inside,
by whatever address and beside whatever other, is refused before anything inside is connected to."""

import contextlib
import http.client
import http.server
import ipaddress
import json
import re
import socket
import ssl
import subprocess
import threading

import pytest
import yaml

from harness import process
from harness.dns import Names
from harness.envoy import find_envoy
from harness.net import PROJECT, eventually, free_port

# Not routed (RFC 5737, RFC 3849): what a stranger puts first, to be looked at.
OUTSIDE, OUTSIDE_6 = "203.0.113.1", "2001:db8::1"
NAMES = {
    "inside.example": ["127.0.0.1"], "inside-6.example": ["::1"], "mapped.example": ["::ffff:127.0.0.1"],
    "first.example": ["127.0.0.1", OUTSIDE], "second.example": [OUTSIDE, "127.0.0.1"],
    "other-family.example": [OUTSIDE_6, "127.0.0.1"], "other-family-6.example": [OUTSIDE, "::1"],
}


class Provider(http.server.BaseHTTPRequestHandler):
    """A provider that answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Inside:
    """Something that must not be reached: it counts who connects, by IPv4 and IPv6."""

    def __init__(self):
        self.seen = 0
        self.port = free_port()
        self.listeners = [socket.create_server(("127.0.0.1", self.port))]
        with contextlib.suppress(OSError):  # a machine without IPv6
            self.listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listener in self.listeners:
            threading.Thread(target=self._run, args=(listener,), daemon=True).start()

    def _run(self, listener) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.seen += 1
            connection.close()

    def stop(self) -> None:
        for listener in self.listeners:
            listener.close()


def documented() -> dict:
    """The part of the guide that is Envoy's configuration."""
    blocks = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs/account-center.md").read_text(), re.S)
    [found] = [yaml.safe_load(block) for block in blocks if "providers-of-administrators" in block]
    return json.loads(json.dumps(found))  # an alias of YAML is one object


class Envoy:
    def __init__(self, folder, names: Names, change=lambda _: None):
        config = documented()
        [listener] = config["static_resources"]["listeners"]
        self.port = listener["address"]["socket_address"]["port_value"] = free_port()
        resolver = {"name": "envoy.network.dns_resolver.cares", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [{"socket_address": {"address": "127.0.0.1", "port_value": names.port}}]}}
        for cache in caches(config):
            cache["typed_dns_resolver_config"] = resolver
        change(config)
        file = folder / "envoy.yaml"
        file.write_text(yaml.safe_dump(config))
        self.output = (folder / "envoy.log").open("wb")
        self.process = subprocess.Popen([*find_envoy(), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"],
                                        stdout=self.output, stderr=subprocess.STDOUT)
        eventually(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() is None, 60)

    def ask(self, host: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/x", headers={"host": host})
        return connection.getresponse().status

    def stop(self) -> None:
        process.end(self.process, self.output)


def caches(node):
    """Every `dns_cache_config`."""
    if isinstance(node, dict):
        if "dns_cache_config" in node:
            yield node["dns_cache_config"]
        for value in node.values():
            yield from caches(value)
    elif isinstance(node, list):
        for value in node:
            yield from caches(value)


@pytest.fixture(scope="module")
def names():
    names = Names(NAMES)
    yield names
    names.stop()


@pytest.fixture
def inside():
    inside = Inside()
    yield inside
    inside.stop()


@pytest.fixture
def begin(tmp_path, names):
    running = []

    def begin(change=lambda _: None) -> Envoy:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Envoy(folder, names, change))
        return running[-1]

    yield begin
    for envoy in running:
        envoy.stop()


def without_loopback(config: dict) -> None:
    """The same rules, but for loopback: what a name must have for a test to connect to."""
    for cache in caches(config):
        ranges = cache["resolved_address_filter"]["ranges"]
        kept = [one for one in ranges if one["address_prefix"] not in ("127.0.0.0", "::")]
        assert len(kept) == len(ranges) - 2
        cache["resolved_address_filter"]["ranges"] = kept


def test_no_name_leads_inside(begin, inside):
    envoy = begin()
    found = {name: envoy.ask(f"{name}:{inside.port}") for name in NAMES}
    assert inside.seen == 0, found
    assert all(status in (403, 503, 504) for status in found.values()), found


def test_the_twin_without_the_rule_for_loopback_connects(begin, inside):
    envoy = begin(without_loopback)
    for name in ("inside.example", "second.example", *(["inside-6.example"] if len(inside.listeners) == 2 else [])):
        before = inside.seen
        envoy.ask(f"{name}:{inside.port}")
        assert inside.seen > before, name


def test_every_private_range_is_listed():
    for cache in caches(documented()):
        listed = [ipaddress.ip_network(f"{one['address_prefix']}/{one['prefix_len']}") for one in cache["resolved_address_filter"]["ranges"]]
        for address in ("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.255", "192.168.0.1", "224.0.0.1",
                        "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", "fe80::1", "ff02::1"):
            assert any(ipaddress.ip_address(address) in network for network in listed if network.version == ipaddress.ip_address(address).version), address
        for address in ("8.8.8.8", "203.0.113.1", "2606:4700::1111"):
            assert not any(ipaddress.ip_address(address) in network for network in listed
                           if network.version == ipaddress.ip_address(address).version), address


def test_a_provider_answers_by_tls_if_its_certificate_has_its_name(begin, tmp_path):
    key, crt = tmp_path / "key.pem", tmp_path / "crt.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=inside.example", "-addext",
                    "subjectAltName=DNS:inside.example", "-keyout", key, "-out", crt], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def trusting(config):
        without_loopback(config)
        tls = [one for one in config["static_resources"]["clusters"] if "transport_socket" in one]
        assert len(tls) == 1
        tls[0]["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]["trusted_ca"]["filename"] = str(crt)

    try:
        envoy = begin(trusting)
        assert envoy.ask(f"inside.example:{server.server_port}") == 200
        assert envoy.ask(f"first.example:{server.server_port}") == 503, "a certificate of another name"
    finally:
        server.shutdown()
        server.server_close()
