"""A real Envoy with the filter in it, as operators load it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

from . import process
from .net import PROJECT, WORK, eventually, free_port

WASM = pathlib.Path(os.environ.get("ENVOY_SSO_WASM") or PROJECT / "target/wasm32-wasip1/release/envoy_sso.wasm")
TYPE = "type.googleapis.com/"
FILTERS = "envoy.extensions.filters"
ACCESS_LOG = {
    "path": "%REQ(:path)%", "method": "%REQ(:method)%", "status": "%RESPONSE_CODE%", "user": "%REQ(x-sso-user)%",
    "code": "%RESP(x-sso-code)%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
}


def find_envoy() -> list[str]:
    """$ENVOY, else func-e, else `envoy` on the PATH, else the one of the Python wheel."""
    if os.environ.get("ENVOY"):
        return [os.environ["ENVOY"]]
    if shutil.which("func-e"):
        return [shutil.which("func-e"), "run"]
    if shutil.which("envoy"):
        return [shutil.which("envoy")]
    for place in (pathlib.Path(sys.executable).parent / "envoy", PROJECT / ".venv/bin/envoy"):
        if place.exists():
            return [str(place)]
    raise RuntimeError("no Envoy: set ENVOY, or put func-e or envoy on the PATH, or run make, which installs the wheel")


def wasm_filter(configuration, environment: dict[str, str], *, wasm=WASM, struct=False, stop_iteration=True,
                failure_policy="FAIL_RELOAD", reload_config: dict | None = None) -> dict:
    """The HTTP filter as docs/configuration.md has it. `configuration` is a dict, or text as it is."""
    if struct:
        plugin = {"@type": TYPE + "google.protobuf.Struct", "value": configuration}
    else:
        text = configuration if isinstance(configuration, str) else json.dumps(configuration)
        plugin = {"@type": TYPE + "google.protobuf.StringValue", "value": text}
    config = {
        "name": "envoy_sso",
        "root_id": "envoy_sso",
        "failure_policy": failure_policy,
        "configuration": plugin,
        "vm_config": {
            "vm_id": "envoy_sso",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(wasm)}},
            "environment_variables": {"key_values": environment},
        },
    }
    if reload_config:
        config["reload_config"] = reload_config
    if stop_iteration:
        config["allow_on_headers_stop_iteration"] = True
    return {"name": "envoy.filters.http.wasm",
            "typed_config": {"@type": f"{TYPE}{FILTERS}.http.wasm.v3.Wasm", "config": config}}


class Envoy:
    """One Envoy process. Its listener comes from a file (LDS), with `ecds` its filter from another, so that every
    test can change it live."""

    def __init__(self, name: str, filters: list[dict], clusters: dict[str, int], *, port: int | None = None,
                 concurrency: int = 2, normalize: bool = True, route: dict | None = None, log_level: str = "warning",
                 app_requests_per_connection: int | None = None, ecds: bool = False, tls: tuple[str, str] | None = None,
                 trailers: bool = False, engines: dict[str, list[int]] | None = None, routes: list[dict] | None = None,
                 per_filter: dict | None = None, stats_tags: list[dict] | None = None,
                 listeners: list[dict] | None = None, more_clusters: list[dict] | None = None,
                 runtime: dict | None = None, local_reply: dict | None = None, manager: dict | None = None):
        self.directory = WORK / f"{name}-{os.getpid()}-{time.monotonic_ns()}"
        self.directory.mkdir(parents=True)
        self.port = port or free_port()
        self.admin = free_port()
        self.normalize = normalize
        self.concurrency = concurrency
        self.route = route or {"cluster": "app", "timeout": "30s"}
        self.routes = routes or []  # come before the one to the application
        self.per_filter = per_filter or {}  # settings of Envoy's own filters for every route
        self.log_level = log_level
        self.local_reply = local_reply  # what users see of Envoy's own answers
        self.manager = manager or {}  # more settings of the connection manager
        self.trailers = trailers  # HTTP/1 trailers are passed on
        self.tls = tls  # certificate and key, PEM
        self.process = None
        self.access_log = self.directory / "access.log"
        self.log = self.directory / "envoy.log"
        self.lds = self.directory / "lds.json"
        self.ecds = self.directory / "ecds.json" if ecds else None
        self._versions = 0
        self._write_listener(filters)
        (self.directory / "bootstrap.json").write_text(json.dumps({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(self.admin)},
            "stats_config": {"stats_tags": stats_tags or []},
            "dynamic_resources": {"lds_config": {"resource_api_version": "V3",
                                                 "path_config_source": {"path": str(self.lds)}}},
            "static_resources": {"listeners": listeners or [], "clusters": [
                cluster(name, port, app_requests_per_connection if name == "app" else None, trailers)
                for name, port in clusters.items()] + [engine(name, ports) for name, ports in (engines or {}).items()]
                + (more_clusters or [])},
            "layered_runtime": {"layers": [{"name": "static", "static_layer": {
                "overload": {"global_downstream_max_connections": 50000}, **(runtime or {})}}]},
        }))

    # Starting and stopping.

    def start(self, ready: bool = True) -> "Envoy":
        """`ready`: wait until the listener takes connections; else until the admin interface answers."""
        self._output = self.log.open("ab")
        self.epoch = 0
        self.process = self._run("--use-dynamic-base-id", "--base-id-path", str(self.directory / "base-id"))
        try:
            eventually(self._up, 60, what="Envoy's admin interface")
            if ready:
                eventually(lambda: self.stats().get("listener_manager.lds.update_success", 0) >= 1
                           and self.stats().get("listener_manager.total_listeners_active", 0) >= 1, 60,
                           what="the listener")
        except AssertionError as failed:
            log = self.log_text()[-4000:]
            self.stop()
            raise AssertionError(f"{failed}\n{log}") from None
        return self

    def _run(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*find_envoy(), "-c", str(self.directory / "bootstrap.json"), "--concurrency", str(self.concurrency),
             *arguments, "--log-level", self.log_level, "--component-log-level", "wasm:info",
             "--drain-time-s", "1", "--drain-strategy", "immediate", "--parent-shutdown-time-s", "2",
             "--file-flush-interval-msec", "250"],
            stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.directory)

    def hot_restart(self, meanwhile=lambda: None) -> None:
        """Another process takes the listeners over; waits until this one has ended. `meanwhile` runs once it has begun."""
        self.epoch += 1
        base = (self.directory / "base-id").read_text().strip()
        before, self.process = self.process, self._run("--base-id", base, "--restart-epoch", str(self.epoch))
        try:
            meanwhile()
            eventually(lambda: before.poll() is not None, 120, what="the end of the old process")
        finally:
            if before.poll() is None:
                before.kill()
        eventually(self._up, 60, what="the new process")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"Envoy ended with {self.process.returncode}:\n{self.log_text()[-4000:]}")
        return self.get_admin("/server_info") is not None

    def stop(self) -> None:
        """Ends this Envoy and no other process."""
        if self.process:
            process.end(self.process, self._output)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # The listener.

    def _listener(self, filters: list[dict]) -> dict:
        manager = {
            "@type": f"{TYPE}{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in",
            "codec_type": "AUTO",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "max_request_headers_kb": 128,
            "common_http_protocol_options": {"max_headers_count": 10000},
            "request_timeout": "30s",
            "access_log": [{"name": "file", "typed_config": {
                "@type": f"{TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": str(self.access_log), "log_format": {"json_format": ACCESS_LOG}}}],
            "route_config": {"name": "all", "virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "typed_per_filter_config": self.per_filter,
                "routes": [*self.routes, {"match": {"prefix": ""}, "route": self.route}]}]},
            "http_filters": [*filters, {"name": "router", "typed_config": {
                "@type": f"{TYPE}{FILTERS}.http.router.v3.Router"}}],
        }
        if self.local_reply:
            manager |= {"local_reply_config": self.local_reply}
        if self.normalize:
            manager |= {"normalize_path": True, "merge_slashes": True}
        if self.trailers:
            manager |= {"http_protocol_options": {"enable_trailers": True}}
        chain = {"filters": [{"name": "http", "typed_config": manager | self.manager}]}
        if self.tls:
            certificate, key = self.tls
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{"certificate_chain": {"inline_string": certificate},
                                                             "private_key": {"inline_string": key}}]}}}
        return {
            "@type": TYPE + "envoy.config.listener.v3.Listener",
            "name": "in",
            "address": address(self.port),
            "filter_chains": [chain],
        }

    def _write_listener(self, filters: list[dict]) -> None:
        """The listener with these filters; with ECDS it stays, and its one filter is replaced."""
        self._versions += 1
        if self.ecds:
            [only] = filters
            self._put(self.ecds, {"@type": TYPE + "envoy.config.core.v3.TypedExtensionConfig", "name": "envoy-sso",
                                  "typed_config": only["typed_config"]})
            if self.lds.exists():
                return
            filters = [{"name": "envoy-sso", "config_discovery": {
                "config_source": {"resource_api_version": "V3", "path_config_source": {"path": str(self.ecds)}},
                "type_urls": [only["typed_config"]["@type"]]}}]
        self._put(self.lds, self._listener(filters))

    def _put(self, place: pathlib.Path, resource: dict) -> None:
        beside = place.with_suffix(".new")
        beside.write_text(json.dumps({"version_info": str(self._versions), "resources": [resource]}))
        os.replace(beside, place)  # Envoy watches for the rename

    def _update_filter(self, filters: list[dict]) -> bool:
        def counts():
            stats = self.stats(r"^extension_config_discovery\.")
            return [sum(value for name, value in stats.items() if name.endswith(end))
                    for end in (".config_reload", ".config_fail")]

        if json.loads(self.ecds.read_text())["resources"][0]["typed_config"] == filters[0]["typed_config"]:
            return True  # Envoy loads nothing anew that did not change
        before = counts()
        self._write_listener(filters)
        eventually(lambda: counts() != before, what="the live update")
        return counts()[0] > before[0]

    def update(self, filters: list[dict]) -> bool:
        """Changes the filter live; true where Envoy took it, false where it refused it. With LDS the listener is
        replaced and connections that are open keep the old one until they drain; with ECDS every next request
        has the new filter, as soon as its worker has it: poll."""
        if self.ecds:
            return self._update_filter(filters)
        before = self.stats()
        names = ("listener_manager.lds.update_success", "listener_manager.lds.update_rejected")
        self._write_listener(filters)

        def decided():
            now = self.stats()
            if now.get(names[1], 0) > before.get(names[1], 0):
                return "refused"
            warm = now.get("listener_manager.total_listeners_warming", 0) == 0
            return "taken" if now.get(names[0], 0) > before.get(names[0], 0) and warm else None

        return eventually(decided, what="the live update") == "taken"

    # Looking in.

    def get_admin(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges whose name holds the regular expression."""
        text = self.get_admin("/stats?format=json&histogram_buckets=none") or '{"stats": []}'
        return {stat["name"]: stat["value"] for stat in json.loads(text)["stats"]
                if "value" in stat and re.search(pattern, stat["name"])}

    def stats_text(self) -> str:
        return self.get_admin("/stats") or ""

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def events(self) -> list[dict]:
        """The filter's own log lines: one JSON object each."""
        found = []
        for line in self.log_text().splitlines():
            start = line.find("{")
            if start >= 0:
                try:
                    found.append(json.loads(line[start:]))
                except ValueError:
                    continue
        return found

    def access_lines(self) -> list[dict]:
        """Access log so far. Envoy writes it out a moment later: poll."""
        if not self.access_log.exists():
            return []
        return [json.loads(line) for line in self.access_log.read_text().splitlines() if line.endswith("}")]

    def failures(self) -> dict[str, int]:
        """What Envoy counts of VMs that failed, crashed or were loaded anew, where it is not zero."""
        stats = self.stats(r"wasm")
        return {name: value for name, value in stats.items()
                if value and re.search(r"fail|crash|vm_reload|error|panic|trap", name) and "sso_" not in name}

    def assert_healthy(self) -> None:
        """No VM failed, and nothing in the log says so."""
        assert self.alive, self.log_text()[-4000:]
        assert self.failures() == {}, self.log_text()[-4000:]
        for sign in ("panicked", "Function: proxy_", "Uncaught RuntimeError", "Proxy-Wasm plugin in-VM backtrace"):
            assert sign not in self.log_text(), self.log_text()[-4000:]


def engine(name: str, ports: list[int]) -> dict:
    """The cluster of an etcd as docs/operations.md has it: HTTP/2, with pings, so that a dead connection is left."""
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {
                "connection_keepalive": {"interval": "2s", "timeout": "2s"}}}}},
        "outlier_detection": {"consecutive_gateway_failure": 1, "enforcing_consecutive_gateway_failure": 100,
                              "enforcing_consecutive_5xx": 0, "base_ejection_time": "2s", "interval": "1s",
                              "max_ejection_percent": 50},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(port)}} for port in ports]}]},
    }


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int, requests_per_connection: int | None = None, trailers: bool = False) -> dict:
    one = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{"max_connections": 4096, "max_pending_requests": 4096,
                                             "max_requests": 4096}]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(port)}}]}]},
    }
    if requests_per_connection or trailers:
        common = {"max_requests_per_connection": requests_per_connection} if requests_per_connection else {}
        one["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": common,
            "explicit_http_config": {"http_protocol_options": {"enable_trailers": trailers}}}}
    return one
