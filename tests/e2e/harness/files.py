"""Secrets in files that the filter reads by URL."""

import os
import urllib.request

from .envoy import FILTERS, TYPE, address
from .net import WORK, eventually, free_port


class Files:
    """A folder behind a loopback listener of the same Envoy, as envoy/secret-files.yaml has it."""

    def __init__(self, name: str):
        self.directory = WORK / f"{name}-{os.getpid()}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()

    def write(self, name: str, text: str) -> None:
        beside = self.directory / f"{name}.new"
        beside.write_text(text)
        os.replace(beside, self.directory / name)  # Envoy watches for the rename

    def listener(self, *names: str) -> dict:
        routes = [{"match": {"path": f"/{name}"}, "direct_response": {"status": 200, "body": {
            "filename": str(self.directory / name), "watched_directory": {"path": str(self.directory)}}}} for name in names]
        manager = {
            "@type": f"{TYPE}{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "files",
            "route_config": {"virtual_hosts": [{"name": "files", "domains": ["*"], "routes": routes}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}{FILTERS}.http.router.v3.Router"}}]}
        return {"name": "files", "address": address(self.port),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}

    def arrived(self, name: str, text: str) -> None:
        """Waits until Envoy serves what was written."""
        def served() -> bool:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{name}", timeout=10) as answer:
                return answer.read().decode() == text
        eventually(served, 60, every=0.1, what=f"{name} as it was written")
