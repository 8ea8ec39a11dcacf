"""Every configuration under envoy/ is what it says: Envoy accepts it with the filter in it, the filter
accepts its own part, Kubernetes objects have the shape their API asks for, the demo runs."""

import base64
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from harness.etcd import Etcd
from harness.net import eventually, free_port

TOP = Path(__file__).resolve().parents[2]
ENVOY_DIR = TOP / "envoy"
WASM = TOP / "target/wasm32-wasip1/release/envoy_sso.wasm"
SECRETS = {
    "SSO_SESSION_KEY": base64.b64encode(bytes(range(32))).decode(),
    "OIDC_SECRET": "a-client-secret-of-tests",
    "SCIM_TOKEN": "a-token-of-tests",
    "ASSERTION_KEY": (TOP / "tests/keys/test-p256.pem").read_text(),
}
# Those that the samples without a signed identity have.
IN_SAMPLES = set(SECRETS) - {"ASSERTION_KEY"}
WASM_TYPE = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"


@pytest.fixture(scope="session")
def envoy():
    return subprocess.run([ENVOY_DIR / "find"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def command_line():
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "envoy-sso"], cwd=TOP, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    return target / "debug/envoy-sso"


def documents(path):
    return [doc for doc in yaml.safe_load_all((ENVOY_DIR / path).read_text()) if doc]


def find_all(node, wanted):
    """Every mapping in a document for which `wanted` holds."""
    if isinstance(node, dict):
        if wanted(node):
            yield node
        for value in node.values():
            yield from find_all(value, wanted)
    elif isinstance(node, list):
        for value in node:
            yield from find_all(value, wanted)


def plugins(path):
    """The filter's PluginConfig in each document."""
    return [found["config"] for doc in documents(path) for found in find_all(doc, lambda n: n.get("@type") == WASM_TYPE)]


def configurations():
    """Where each configuration of the filter stands, and what it is."""
    yield "demo/sso.yaml", documents("demo/sso.yaml")[0]
    for path in ("envoy.yaml", "minimal.yaml", "compose/envoy.yaml", "istio/envoyfilter.yaml"):
        for plugin in plugins(path):
            yield path, plugin["configuration"]["value"]
    yield "istio/wasmplugin.yaml", documents("istio/wasmplugin.yaml")[0]["spec"]["pluginConfig"]


def check(command_line, tmp_path, value):
    file = tmp_path / "sso.json"
    file.write_text(json.dumps(value))
    return subprocess.run([command_line, "check", file], capture_output=True, text=True, env={**os.environ, **SECRETS})


@pytest.mark.parametrize("path, value", list(configurations()), ids=lambda v: v if isinstance(v, str) else "")
def test_the_filter_accepts_its_part(command_line, tmp_path, path, value):
    done = check(command_line, tmp_path, value)
    assert done.returncode == 0, done.stdout + done.stderr
    # The twin: one mistake, and the same check refuses it and says where.
    value = json.loads(json.dumps(value))
    value["accounts"][0]["identity_providers"][0]["oidc"]["client_idd"] = value["accounts"][0]["identity_providers"][0]["oidc"].pop("client_id")
    done = check(command_line, tmp_path, value)
    assert done.returncode == 1 and "client_idd" in done.stdout + done.stderr


def localised(text, tmp_path):
    """The same file with its paths on this machine."""
    tls = tmp_path / "tls"
    if not tls.exists():
        tls.mkdir()
        certificate(tls / "tls.key", tls / "tls.crt", "app.example.com")
    text = text.replace("/etc/envoy/envoy_sso.wasm", str(WASM)).replace("filename: envoy_sso.wasm", f"filename: {WASM}").replace("/etc/envoy/tls", str(tls))
    authorities = ssl.get_default_verify_paths().cafile
    if authorities and not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        text = text.replace("/etc/ssl/certs/ca-certificates.crt", authorities)
    return text


def certificate(key, crt, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt, "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )


def validate(envoy, file, env=None):
    return subprocess.run(
        [envoy, "--mode", "validate", "-l", "warn", "-c", file], capture_output=True, text=True, env={**os.environ, **SECRETS, **(env or {})},
    )


@pytest.mark.parametrize("path", ["envoy.yaml", "minimal.yaml", "compose/envoy.yaml"])
def test_envoy_accepts(envoy, tmp_path, path):
    file = tmp_path / "envoy.yaml"
    file.write_text(localised((ENVOY_DIR / path).read_text(), tmp_path))
    done = validate(envoy, file)
    assert done.returncode == 0, done.stderr[-3000:]
    file.write_text(file.read_text().replace("failure_policy: FAIL_RELOAD", "failure_policy: NO_SUCH"))
    assert validate(envoy, file).returncode != 0


def test_envoy_accepts_the_extension_configuration_of_the_envoyfilter(envoy, tmp_path):
    """Both patches of the EnvoyFilter, put together the way Istio does: ECDS beside the listener."""
    patches = documents("istio/envoyfilter.yaml")[0]["spec"]["configPatches"]
    extension, http_filter = (patch["patch"]["value"] for patch in patches)
    assert extension["name"] == http_filter["name"], "Istio finds the one by the other's name"
    served = {"resources": [{"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", **extension}]}
    text = json.dumps(served).replace("/var/lib/envoy-sso/envoy_sso.wasm", str(WASM))
    (tmp_path / "ecds.json").write_text(text)
    http_filter["config_discovery"]["config_source"] = {"path_config_source": {"path": str(tmp_path / "ecds.json")}}
    file = tmp_path / "envoy.json"
    port = free_port()
    file.write_text(json.dumps(bootstrap(port, [http_filter])))
    with running(envoy, file, tmp_path, SECRETS):
        # Its IdP cannot be reached from here: the filter answers, and nothing gets past it.
        status, headers, _ = wait_for(port, "/reports", host="app.example.com", done=lambda s: s in (302, 503))
        assert status in (302, 503)
        status, headers, _ = ask(port, "/reports", host="elsewhere.example.com")
        assert (status, headers.get("x-sso-code")) == (404, "account_unknown")


REQUIRED = {
    ("extensions.istio.io/v1alpha1", "WasmPlugin"): {"url": str},
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): {"configPatches": list},
    ("networking.istio.io/v1", "ServiceEntry"): {"hosts": list, "ports": list, "resolution": str, "location": str},
    ("networking.istio.io/v1", "DestinationRule"): {"host": str, "trafficPolicy": dict},
    ("apps/v1", "Deployment"): {"selector": dict, "template": dict},
}
ALLOWED = {
    "WasmPlugin": {"selector", "targetRefs", "url", "sha256", "imagePullPolicy", "imagePullSecret", "pluginConfig", "pluginName", "phase", "priority", "failStrategy", "vmConfig", "match", "type"},
    "EnvoyFilter": {"workloadSelector", "targetRefs", "configPatches", "priority"},
    "ServiceEntry": {"hosts", "addresses", "ports", "location", "resolution", "endpoints", "workloadSelector", "exportTo", "subjectAltNames"},
    "DestinationRule": {"host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"},
    "Deployment": {"selector", "template", "replicas"},
}


@pytest.mark.parametrize("file", sorted(path.name for path in (ENVOY_DIR / "istio").glob("*.yaml")))
def test_kubernetes_objects_have_their_shape(file):
    for doc in documents(f"istio/{file}"):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", doc["metadata"]["name"])
        kind = doc["kind"]
        if (doc["apiVersion"], kind) == ("v1", "Secret"):
            assert set(doc["stringData"]) == IN_SAMPLES
            continue
        spec = doc["spec"]
        for field, of in REQUIRED[(doc["apiVersion"], kind)].items():
            assert isinstance(spec.get(field), of), f"{kind}.spec.{field}"
        assert set(spec) <= ALLOWED[kind], f"unknown fields of {kind}: {set(spec) - ALLOWED[kind]}"


def test_istio_details():
    plugin = documents("istio/wasmplugin.yaml")[0]["spec"]
    assert plugin["phase"] in ("AUTHN", "AUTHZ", "STATS") and plugin["failStrategy"] == "FAIL_CLOSE"
    assert {e["name"] for e in plugin["vmConfig"]["env"]} == IN_SAMPLES
    assert all(e["valueFrom"] == "HOST" and "value" not in e for e in plugin["vmConfig"]["env"])
    # A WasmPlugin cannot hold a password login back: it must not promise the password rule.
    assert "password" not in plugin["pluginConfig"]["accounts"][0]
    patches = documents("istio/envoyfilter.yaml")[0]["spec"]["configPatches"]
    assert [(p["applyTo"], p["patch"]["operation"]) for p in patches] == [("EXTENSION_CONFIG", "ADD"), ("HTTP_FILTER", "INSERT_FIRST")]


@pytest.mark.parametrize("path", ["envoy.yaml", "compose/envoy.yaml", "istio/envoyfilter.yaml"])
def test_every_plugin_fails_closed_and_can_hold_headers(path):
    found = plugins(path)
    assert found
    for plugin in found:
        assert plugin["failure_policy"] in ("FAIL_RELOAD", "FAIL_CLOSED")
        assert plugin["allow_on_headers_stop_iteration"] is True
        assert set(plugin["vm_config"]["environment_variables"]["host_env_keys"]) == (set(SECRETS) if "compose" in path else IN_SAMPLES)
        assert "key_values" not in plugin["vm_config"]["environment_variables"], "secrets would stand in /config_dump"


def test_compose_mounts_what_exists():
    compose = documents("compose.yaml")[0]
    for name, service in compose["services"].items():
        assert re.search(r":v?\d", service["image"]), f"{name}: pin the image"
        for volume in service.get("volumes", []):
            source = (ENVOY_DIR / volume.split(":")[0]).resolve()
            assert source.exists(), f"{name}: {source}"
        given = {name: "x" for name in re.findall(r"\$\{(\w+)", json.dumps(service))}
        assert set(given) <= set(SECRETS)
    version = re.search(r"^version=(.*)$", (ENVOY_DIR / "find").read_text(), re.M)[1]
    envoys = [compose["services"][name] for name in ("envoy", "other-envoy")]
    assert all(one["image"].endswith(f":v{version}") for one in envoys)
    # Every cluster's address is a service, and each Envoy has a port that one of the origins names.
    addresses = {found["socket_address"]["address"] for found in find_all(documents("compose/envoy.yaml")[0]["static_resources"]["clusters"],
                                                                          lambda n: "socket_address" in n)}
    assert addresses <= set(compose["services"]) and "etcd" in addresses
    origins = plugins("compose/envoy.yaml")[0]["configuration"]["value"]["accounts"][0]["origins"]
    assert [f"http://localhost:{one['ports'][0].split(':')[1]}" for one in envoys] == origins
    assert compose["services"]["idp"]["environment"]["APP"].split() == origins


def test_compose_configures_the_filter_as_the_demo_does():
    assert plugins("compose/envoy.yaml")[0]["configuration"]["value"] == documents("demo/sso.yaml")[0]


def test_metrics_have_labels(envoy, tmp_path):
    """envoy.yaml's stats_tags make labels of the tags in the filter's names."""
    production = yaml.safe_load((ENVOY_DIR / "envoy.yaml").read_text())
    plugin = next(find_all(production, lambda n: n.get("@type") == WASM_TYPE))
    port, admin = free_port(), free_port()
    config = bootstrap(port, [{"name": "envoy-sso", "typed_config": plugin}])
    config["stats_config"] = production["stats_config"]
    config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}}
    file = tmp_path / "envoy.json"
    file.write_text(localised(json.dumps(config), tmp_path))
    with running(envoy, file, tmp_path, SECRETS):
        assert wait_for(port, "/", host="elsewhere.example.com", done=lambda s: s == 404)[0] == 404
        text = ""
        for _ in range(50):
            text = ask(admin, "/stats/prometheus", host="admin")[2].decode()
            if "account_unknown" in text:
                break
            time.sleep(0.2)
        assert re.search(r'^sso_refusals\{sso_code="account_unknown"\} \d+$', text, re.M), re.findall("sso_.*", text)[:20]
        assert re.search(r'^sso_configurations\{sso_outcome="loaded"\} \d+$', text, re.M)
        dump = ask(admin, "/config_dump", host="admin")[2].decode()
        assert "SSO_SESSION_KEY" in dump and not any(secret in dump for secret in SECRETS.values())


def test_the_way_out_through_the_internal_listener(envoy, tmp_path):
    """A request into cluster `egress` leaves with TLS to the host it names, verified; other hosts do not."""
    production = yaml.safe_load((ENVOY_DIR / "envoy.yaml").read_text())
    egress = next(listener for listener in production["static_resources"]["listeners"] if listener["name"] == "egress")
    virtual_host = next(find_all(egress, lambda n: n.get("name") == "providers"))
    port, upstream = free_port(), free_port()
    certificate(tmp_path / "key.pem", tmp_path / "crt.pem", "localhost")
    virtual_host["domains"] = [f"localhost:{upstream}"]
    config = bootstrap(port, [], cluster="egress")
    config["bootstrap_extensions"] = production["bootstrap_extensions"]
    config["static_resources"]["listeners"].append(egress)
    config["static_resources"]["clusters"] = [c for c in production["static_resources"]["clusters"] if c["name"] in ("egress", "forward")]
    file = tmp_path / "envoy.json"
    server = tls_server(upstream, tmp_path)
    try:
        for authorities, expected in ((tmp_path / "crt.pem", 200), ("/etc/ssl/certs/ca-certificates.crt", 503)):
            file.write_text(json.dumps(config).replace("/etc/ssl/certs/ca-certificates.crt", str(authorities)))
            with running(envoy, file, tmp_path):
                status, _, body = wait_for(port, "/keys", host=f"localhost:{upstream}", done=lambda s: s == expected)
                assert status == expected, body
                assert ask(port, "/keys", host="metadata.internal")[0] == 404
    finally:
        server.terminate()
        server.wait()


def tls_server(port, folder):
    code = (
        "import http.server,ssl,sys\n"
        "s=http.server.HTTPServer(('127.0.0.1',int(sys.argv[1])),type('H',(http.server.BaseHTTPRequestHandler,),"
        "{'do_GET':lambda h:(h.send_response(200),h.send_header('content-length','0'),h.end_headers()),'log_message':lambda *a:None}))\n"
        "c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER);c.load_cert_chain('crt.pem','key.pem')\n"
        "s.socket=c.wrap_socket(s.socket,server_side=True);s.serve_forever()"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(port)], cwd=folder, stderr=subprocess.DEVNULL)


def bootstrap(port, filters, cluster=None):
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
    action = {"route": {"cluster": cluster}} if cluster else {"direct_response": {"status": 200}}
    return {"node": {"id": "test", "cluster": "test"}, "static_resources": {"clusters": [], "listeners": [{
        "name": "test", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "test", "http_filters": [*filters, router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}]},
        }}]}],
    }]}}


class running:
    """An Envoy for the length of a block."""

    def __init__(self, envoy, file, folder, env=None):
        self.log = (folder / "envoy.log").open("wb")
        self.process = subprocess.Popen(
            [envoy, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn"],
            stdout=self.log, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
        )

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def ask(port, path, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", path, headers={"host": host, "accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def wait_for(port, path, host, done):
    """Asks until `done`, for at most two minutes; the last answer."""
    answer = (0, {}, b"")
    for _ in range(600):
        try:
            answer = ask(port, path, host)
        except OSError:
            pass
        if done(answer[0]):
            break
        time.sleep(0.2)
    return answer


def test_the_demo_runs(tmp_path):
    """Start, sign in and out with a scripted browser, stop; and nothing is left running or lying about."""
    # A folder of its own: another test may run a demo at the same time.
    done = subprocess.run([ENVOY_DIR / "demo/run", "--check"], capture_output=True, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout and done.stdout.count("ok    ") >= 22 and "ada is in by SAML" in done.stdout
    assert "a copy of her session is over on the other" in done.stdout
    assert list(tmp_path.glob("envoy-sso-demo-*")) == []


def test_compose_without_containers(envoy, tmp_path):
    """compose/envoy.yaml itself, with the services on this machine instead of in containers."""
    if shutil.which("node") is None:
        pytest.fail("node is needed")
    sys.path.insert(0, str(ENVOY_DIR / "demo"))
    from check import Browser, sign_in, until

    etcd = Etcd("compose")
    ports = {port: free_port() for port in (8080, 8081, 9400, 9500, 9600, 9700)} | {2379: etcd.port}
    text = localised((ENVOY_DIR / "compose/envoy.yaml").read_text(), tmp_path)
    for old, new in ports.items():
        text = re.sub(rf"\b{old}\b", str(new), text)
    text = re.sub(r"address: (app|idp|saml|etcd|0\.0\.0\.0),", "address: 127.0.0.1,", text)
    file = tmp_path / "envoy.yaml"
    file.write_text(text)
    # The other container publishes its port under another number.
    other = tmp_path / "other/envoy.yaml"
    other.parent.mkdir()
    other.write_text(text.replace(f"port_value: {ports[8080]}", f"port_value: {ports[8081]}"))

    class demo:
        app = f"http://localhost:{ports[8080]}"
        other = f"http://localhost:{ports[8081]}"
        idp = f"http://127.0.0.1:{ports[9400]}"

    if not (ENVOY_DIR / "demo/node_modules/oidc-provider").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=ENVOY_DIR / "demo", check=True)
    services = [
        subprocess.Popen([sys.executable, "-B", ENVOY_DIR / "demo/app.py"], stdout=subprocess.DEVNULL,
                         env={**os.environ, "APP_PORT": str(ports[9600]), "SCIM_PORT": str(ports[9500]), "SCIM_TOKEN": SECRETS["SCIM_TOKEN"]}),
        subprocess.Popen(["node", ENVOY_DIR / "demo/idp.mjs"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, "ISSUER": demo.idp, "PORT": str(ports[9400]), "APP": f"{demo.app} {demo.other}", "CLIENT_SECRET": SECRETS["OIDC_SECRET"]}),
    ]
    try:
        with running(envoy, file, tmp_path, SECRETS), running(envoy, other, other.parent, SECRETS):
            for port in (ports[8080], ports[8081]):
                status, _, _ = wait_for(port, "/reports?q=1", f"localhost:{port}", done=lambda s: s == 302)
                assert status == 302
            browser = Browser()
            sign_in(browser, demo, "ada")
            assert browser.status == 200 and browser.url == f"{demo.app}/reports?q=1" and "Ada Lovelace" in browser.text
            copied = Browser()
            copied.jar = dict(browser.jar)
            assert copied.once("GET", f"{demo.other}/sso/session").status == 200, "one session on both"
            browser.once("GET", f"{demo.app}/sso/logout")
            assert until(copied, f"{demo.other}/sso/session", lambda b: b.status == 401), "signed out on one, out on the other"
    finally:
        etcd.stop()
        for service in services:
            service.terminate()
            service.wait()


def test_the_secret_files_listener_serves_what_is_moved_into_its_folder(envoy, tmp_path):
    text = (ENVOY_DIR / "secret-files.yaml").read_text()
    for folder in ("/etc/envoy/secrets", "/var/run/secrets/tokens"):
        text = text.replace(folder, str(tmp_path))
    for name in ("oidc-secret", "idp"):
        (tmp_path / name).write_text("first")
    port = free_port()
    file = tmp_path / "secret-files.yaml"
    file.write_text(text.replace("9002", str(port)))
    process = subprocess.Popen([envoy, "-c", file, "--use-dynamic-base-id", "--log-level", "error"], cwd=tmp_path)

    def read(path, host="files.internal"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path, headers={"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    try:
        eventually(lambda: read("/oidc-secret") == (200, "first"), 60, what="the listener")
        assert read("/platform-token") == (200, "first")
        assert read("/other")[0] == 404 and read("/oidc-secret", "evil.test")[0] == 404
        (tmp_path / "new").write_text("second")
        os.replace(tmp_path / "new", tmp_path / "oidc-secret")
        eventually(lambda: read("/oidc-secret") == (200, "second"), 30, what="the changed file")
    finally:
        process.terminate()
        process.wait(20)
