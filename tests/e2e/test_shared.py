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


class Poll:
    """Asks one session at one Envoy without a pause, and keeps every status."""

    def __init__(self, setting: Setting, cookies: dict[str, str], replica: int = 1):
        self.statuses: list[tuple[float, int]] = []
        self.began = time.monotonic()
        self.over = threading.Event()

        def run():
            while not self.over.is_set():
                try:
                    status = setting.ask(cookies, replica).status
                except OSError:
                    status = 0
                self.statuses.append((time.monotonic() - self.began, status))
                time.sleep(0.002)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def stop(self) -> list[int]:
        """The statuses in their order, each run of them once."""
        self.over.set()
        self.thread.join(10)
        runs: list[int] = []
        for _, status in self.statuses:
            if not runs or runs[-1] != status:
                runs.append(status)
        return runs


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


@pytest.mark.slow
@pytest.mark.parametrize("outage", [killed, stopped, frozen, emptied, set_back, compacted])
def test_a_session_that_ended_in_an_outage_stays_ended_after_it(two, outage):
    eventually(two.in_step, 20)
    before, during, other = two.signed_in(), two.signed_in(), two.signed_in()
    two.log_out(before)
    eventually(lambda: two.ask(before, 1).status == 401, 5)
    polls = [Poll(two, cookies) for cookies in (before, during, other)]
    heal = outage(two)
    time.sleep(1)
    assert two.log_out(during).status == 302, "it holds here, and is told later"
    assert two.ask(during, 0).status == 401
    heal()
    eventually(lambda: two.ask(during, 1).status == 401, 20)
    time.sleep(1)
    runs = [poll.stop() for poll in polls]
    assert runs[0] == [401] and runs[1] == [200, 401] and runs[2] == [200], runs


@pytest.fixture(scope="module")
def closed(make_setting):
    return make_setting("shared-closed", shared={"on_outage": "closed", "stale": "2s", "settle": "1s"})


@pytest.mark.slow
@pytest.mark.parametrize("outage", [killed, frozen])
def test_closed_lets_nobody_in_who_may_have_signed_out(closed, outage):
    eventually(lambda: closed.in_step(0) and closed.in_step(1), 20)
    ended, other = closed.signed_in(), closed.signed_in()
    eventually(lambda: closed.ask(ended, 1).status == 200, 10)
    polls = [Poll(closed, cookies) for cookies in (ended, other)]
    heal = outage(closed)
    closed.log_out(ended)
    refused(eventually(lambda: (reply := closed.ask(other, 1)).status == 503 and reply, 20), "not_ready")
    assert closed.ask(ended, 0).status == 401, "this Envoy knows it"
    assert closed.ask({}, 1, "/healthz").status == 200 and closed.ask({}, 1, "/api/sql/x").status == 200
    assert closed.client(1).get(closed.account.url("/sso/ready")).status == 503
    refused(closed.client(1).get(closed.account.url("/sso/oidc/consume?u=acme&code=1&state=2")), "not_ready")
    heal()
    eventually(lambda: closed.ask(other, 1).status == 200, 20)
    time.sleep(1)
    runs = [poll.stop() for poll in polls]
    assert runs[0] in ([200, 503, 401], [200, 401]) and runs[1] == [200, 503, 200], runs


@pytest.mark.slow
def test_an_envoy_that_starts_knows_what_ended_before(two):
    ended, other = two.signed_in(), two.signed_in()
    two.log_out(ended)
    world = two.worlds[1]
    world.envoy.stop()
    world.start()
    polls = [Poll(two, cookies) for cookies in (ended, other)]
    time.sleep(2)
    runs = [poll.stop() for poll in polls]
    assert runs == [[401], [200]], runs


def test_a_request_with_a_session_makes_no_call(two):
    eventually(two.in_step, 20)
    cookies = two.signed_in()
    two.ask(cookies, 1)

    def calls():
        return two.worlds[1].envoy.stats(r"^cluster\.etcd\.upstream_rq_total$").popitem()[1]
    began, before = time.monotonic(), calls()
    for _ in range(300):
        assert two.ask(cookies, 1).status == 200
    # The head is read once a second.
    assert calls() - before <= time.monotonic() - began + 2
