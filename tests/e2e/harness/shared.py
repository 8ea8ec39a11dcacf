"""Several Envoys in front of one application, with one provider and a real etcd between them."""

import http.client
import itertools
import threading
import time

from .client import Client
from .etcd import Etcd
from .expect import session_cookies
from .net import eventually

LOGIN = {"path": "/api/auth/login", "username": {"json": "/username"}, "success": {"status": [200], "cookie": "app_session"}}
CHANGES = {
    "directory": {"static": {"users": [
        {"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
        *({"username": f"root{n}", "email": f"root{n}@acme.com", "roles": ["account_admin"]} for n in range(6))]}},
    "password": {"mode": "admins", "admin_roles": ["account_admin"], "attempts": {"limit": 5, "window": "1m"},
                 "logins": [LOGIN]},
}


TRAPPED = 0  # among the statuses of a poll: the 503 of Envoy itself, whose VM trapped


class Setting:
    """Envoys in front of one application, one provider and one engine."""

    def __init__(self, make_world, name: str, *, replicas: int = 2, members: int = 1, shared=None, changes=None, start=True, **options):
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
        self.account = self.worlds[0].account("acme", changes)
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

    def signed_in_without_an_answer(self) -> dict[str, str]:
        """The cookies of a login whose last redirect is not followed."""
        client = self.account.client()
        reply = client.browse(self.account.url("/reports"))
        client.follow(reply, until=lambda hop: "/sso/oidc/consume" in hop.url)
        return session_cookies(client)

    def ask(self, cookies: dict[str, str], replica: int, path: str = "/who", **options):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.client(replica).get(self.account.url(path), headers={"cookie": header, **options.pop("headers", {})})

    def log_out(self, cookies: dict[str, str], replica: int = 0):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.client(replica).get(self.account.url("/sso/logout"), headers={"cookie": header})

    def in_step(self, replica: int = 1) -> bool:
        stats = self.worlds[replica].envoy.stats(r"sso_shared_lag_ms$|sso_shared_calls\.op\.range\.answer\.ok$")
        lag = [value for name, value in stats.items() if name.endswith("lag_ms")]
        # Until the first read the lag is the time since the start: it takes five calls at most.
        return bool(lag) and max(lag) < 2000 and sum(stats.values()) - sum(lag) > 5

    def all_in_step(self) -> bool:
        return all(self.in_step(replica) for replica in range(len(self.worlds)))

    def stop(self) -> None:
        for world in self.worlds:
            world.stop()
        self.etcd.stop()


class Poll:
    """Asks one session at one Envoy without a pause, and keeps every status with the times of question and answer."""

    numbers = itertools.count()

    def __init__(self, setting: Setting, cookies: dict[str, str], replica: int = 1):
        self.statuses: list[tuple[float, float, int]] = []
        self.lost = 0  # requests without an answer of the filter or the application, which may have seen them
        self.over = threading.Event()
        self.app, self.path = setting.worlds[0].app, f"/who?poll={next(self.numbers)}"

        def run():
            while not self.over.is_set():
                asked = time.monotonic()
                try:
                    reply = setting.ask(cookies, replica, self.path)
                except (OSError, http.client.HTTPException):
                    self.lost += 1  # no Envoy, or no longer: it restarts
                    time.sleep(0.02)
                    continue
                is_envoys = reply.status == 503 and reply.code is None
                self.lost += is_envoys
                self.statuses.append((asked, time.monotonic(), TRAPPED if is_envoys else reply.status))
                time.sleep(0.002)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        self.goes_on()

    def goes_on(self) -> None:
        """Waits for two answers: one that was asked for from now on is among them."""
        before = len(self.statuses)
        eventually(lambda: len(self.statuses) >= before + 2, 60, 0.002, what="answers")

    def stop(self) -> list[int]:
        """The statuses in their order, each run of them once."""
        self.goes_on()
        self.over.set()
        self.thread.join(60)
        # The application saw each request that it answered, and none that the filter refused.
        passed = sum(status == 200 for _, _, status in self.statuses)
        seen = sum(request.target == self.path for request in list(self.app.requests))
        assert passed <= seen <= passed + self.lost, (passed, seen, self.lost)
        return self.since(0)

    def since(self, begin: float, but: tuple[int, ...] = ()) -> list[int]:
        """Those of what was asked for since then, each run of them once, and some left out."""
        runs: list[int] = []
        for asked, _, status in self.statuses:
            if asked >= begin and status not in but and (not runs or runs[-1] != status):
                runs.append(status)
        return runs

    def within(self, begin: float, end: float) -> set[int]:
        """The statuses that were asked for and answered between two times."""
        return {status for asked, answered, status in self.statuses if begin <= asked and answered <= end}


# Outages: each function begins one and returns what ends it.


def killed(setting):
    setting.etcd.kill()
    return setting.etcd.start


def stopped(setting):
    for member in setting.etcd.members:
        member.process.terminate()
        member.process.wait(10)
    return setting.etcd.start


def frozen(setting):
    for member in setting.etcd.members:
        member.freeze()

    def thaw():
        for member in setting.etcd.members:
            member.thaw()
        setting.etcd.healthy()
    return thaw


def emptied(setting):
    setting.etcd.kill()
    return setting.etcd.empty


def set_back(setting):
    snapshot = setting.etcd.snapshot()
    # What the snapshot does not have.
    setting.log_out(setting.signed_in())
    return lambda: setting.etcd.restore(snapshot)


def compacted(setting):
    setting.etcd.kill()

    def back():
        setting.etcd.start()
        setting.etcd.compact()
    return back
