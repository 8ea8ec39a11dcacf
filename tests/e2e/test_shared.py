"""Several Envoys that behave as one, by way of a real etcd."""

import threading
import time

import pytest

from harness.client import Client
from harness.etcd import Etcd
from harness.expect import refused, session_cookies, signed_in
from harness.net import eventually

KEYS = [{"id": "k1", "env": "SSO_SESSION_KEY"}]


class Setting:
    """Envoys in front of one application, one provider and one engine."""

    def __init__(self, make_world, name: str, *, replicas: int = 2, members: int = 1, shared=None, start=True, **options):
        self.etcd = Etcd(name, members)
        self.worlds = []
        for n in range(replicas):
            world = make_world(f"{name}-{n}", **options)
            if self.worlds:
                first = self.worlds[0]
                world.app.stop(), world.idps.stop()
                world.app, world.idps = first.app, first.idps
                world.clusters |= {"app": first.app.port, "idp": first.idps.port}
            world.engines = {"etcd": self.etcd.ports}
            world.shared = {"engine": "etcd", "cluster": "etcd"} | (shared or {})
            self.worlds.append(world)
        self.account = self.worlds[0].account("acme")
        for world in self.worlds[1:]:
            world.accounts = self.worlds[0].accounts
        if start:
            self.start()

    def start(self) -> None:
        for world in self.worlds:
            world.start()

    def client(self, replica: int = 0) -> Client:
        return self.worlds[replica].client()

    def signed_in(self) -> dict[str, str]:
        return session_cookies(self.account.signed_in())

    def ask(self, cookies: dict[str, str], replica: int, path: str = "/who", **options):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.client(replica).get(self.account.url(path), headers={"cookie": header, **options.pop("headers", {})})

    def log_out(self, cookies: dict[str, str], replica: int = 0):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.client(replica).get(self.account.url("/sso/logout"), headers={"cookie": header})

    def in_step(self, replica: int = 1) -> bool:
        lag = self.worlds[replica].envoy.stats(r"sso_shared_lag_ms$")
        return bool(lag) and max(lag.values()) < 2000

    def stop(self) -> None:
        for world in self.worlds:
            world.stop()
        self.etcd.stop()


@pytest.fixture(scope="module")
def make_setting(make_world):
    settings = []

    def make(*arguments, **options):
        setting = Setting(make_world, *arguments, **options)
        settings.append(setting)
        return setting

    yield make
    for setting in settings:
        setting.etcd.stop()


@pytest.fixture(scope="module")
def two(make_setting):
    return make_setting("shared-two")


def test_a_sign_out_holds_on_every_worker_of_the_other_envoy(two):
    times = []
    for _ in range(20):
        cookies = two.signed_in()
        assert all(two.ask(cookies, replica).status == 200 for replica in (0, 1))
        two.log_out(cookies)
        began = time.monotonic()
        eventually(lambda: two.ask(cookies, 1).status == 401, 5, 0.002)
        times.append(time.monotonic() - began)
        # Each request has a connection of its own, and so comes to either worker.
        assert {two.ask(cookies, 1).status for _ in range(10)} == {401}
        refused(two.ask(cookies, 1), "session_expired", "login_required")
    times.sort()
    print(f"p50 {times[10] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
    assert times[10] < 0.1
