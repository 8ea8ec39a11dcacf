"""Several Envoys that behave as one, by way of a real etcd."""

import json
import socket
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


LOGIN = {"path": "/api/auth/login", "username": {"json": "/username"}, "success": {"status": [200], "cookie": "app_session"}}
CHANGES = {
    "directory": {"static": {"users": [
        {"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
        *({"username": f"root{n}", "email": f"root{n}@acme.com", "roles": ["account_admin"]} for n in range(6))]}},
    "password": {"mode": "admins", "admin_roles": ["account_admin"], "attempts": {"limit": 5, "window": "1m"},
                 "logins": [LOGIN]},
}


@pytest.fixture(scope="module")
def two(make_setting):
    return make_setting("shared-two", changes=CHANGES)


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
    return make_setting("shared-closed", shared={"on_outage": "closed", "stale": "2s", "settle": "2s"})


@pytest.mark.slow
@pytest.mark.parametrize("outage", [killed, frozen])
def test_closed_lets_nobody_in_who_may_have_signed_out(closed, outage):
    eventually(lambda: all(closed.client(n).get(closed.account.url("/sso/ready")).status == 200 for n in (0, 1)), 20)
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


class Endless:
    """An application whose answers do not end: a WebSocket, and events once in a while."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        request = connection.recv(65536)
        if b"upgrade: websocket" in request.lower():
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.sendall(b"8\r\ndata: 1\n\r\n")
                time.sleep(0.1)
        except OSError:
            connection.close()


def stream(setting, cookies, replica, headers=""):
    """An open stream, and its first bytes."""
    connection = socket.create_connection(("127.0.0.1", setting.worlds[replica].port), 10)
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.sendall(f"GET /stream HTTP/1.1\r\nhost: acme.app.test\r\ncookie: {header}\r\n{headers}\r\n".encode())
    connection.settimeout(10)
    assert connection.recv(65536).startswith((b"HTTP/1.1 200", b"HTTP/1.1 101"))
    return connection


def ends_within(connection, seconds: float) -> bool:
    end = time.monotonic() + seconds
    connection.settimeout(0.2)
    while time.monotonic() < end:
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


WEBSOCKET = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"


@pytest.fixture(scope="module")
def endless(make_setting):
    setting = make_setting("shared-streams", start=False)
    application = Endless()
    for world in setting.worlds:
        world.clusters["app"] = application.port
        world.envoy_options = {"route": {"cluster": "app", "timeout": "0s"}}
    setting.start()
    return setting


@pytest.mark.parametrize("headers", ["", WEBSOCKET], ids=["events", "websocket"])
def test_an_open_stream_ends_with_its_session_here_and_on_the_other_envoy(endless, headers):
    ended, other = endless.signed_in_without_an_answer(), endless.signed_in_without_an_answer()
    streams = [stream(endless, ended, replica, headers) for replica in (0, 1)]
    others = [stream(endless, other, replica, headers) for replica in (0, 1)]
    assert not any(ends_within(one, 0.5) for one in streams + others)
    endless.log_out(ended)
    began = time.monotonic()
    assert all(ends_within(one, 2) for one in streams)
    print(f"closed after {time.monotonic() - began:.2f} s")
    assert not any(ends_within(one, 0.5) for one in others)


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


@pytest.mark.parametrize("user", [f"root{n}" for n in range(6)])
def test_guesses_are_counted_over_all_envoys(two, user):
    """Forty at once over two Envoys with a limit of five: exactly five reach the application."""
    eventually(two.in_step, 20)
    mark = two.worlds[0].app.mark()
    replies = []

    def guess(n):
        replies.append(two.client(n % 2).post(
            two.account.url("/api/auth/login"), headers={"content-type": "application/json"},
            body=json.dumps({"username": user, "password": f"guess {n}"})))
    threads = [threading.Thread(target=guess, args=(n,)) for n in range(40)]
    [thread.start() for thread in threads]
    [thread.join(30) for thread in threads]
    reached = [seen for seen in two.worlds[0].app.since(mark) if seen.path == "/api/auth/login"]
    stats = [world.envoy.stats("sso_shared_calls|sso_logins|sso_password") for world in two.worlds]
    assert len(reached) == 5, (len(reached), len([key for key in two.etcd.keys() if "/a/" in key]), stats)
    assert sum(reply.code == "too_many_attempts" for reply in replies) == 35


def test_a_login_in_progress_is_used_once_over_all_envoys(two):
    first = two.account.client()
    answers = two.account.callback(first)[1]
    callback = next(hop.url for hop in answers if "/sso/oidc/consume" in hop.url)
    flow = next(cookie for hop in answers for cookie in hop.set if "sso-flow-" in cookie.name and cookie.value)
    again = two.client(1).get(callback, headers={"cookie": f"{flow.name}={flow.value}"})
    refused(again, "state_unknown")


def test_an_administrator_ends_the_sessions_of_a_user(two):
    admin, other = two.signed_in(), two.signed_in()
    header = "; ".join(f"{name}={value}" for name, value in admin.items())
    page = two.client().get(two.account.url("/sso/admin/sessions"), headers={"cookie": header})
    assert page.status == 200 and "csrf" in page.text, page
    order = {"cookie": header, "content-type": "application/json", "origin": two.account.origin,
             "sec-fetch-site": "same-origin"}
    url = two.account.url("/sso/admin/sessions")
    for body, headers, status in [
        (b'{"user": "nobody"}', {}, 204), (b'{"user": 1}', {}, 400), (b'{"all": false}', {}, 400),
        (b'{"all": true}', {"sec-fetch-site": "cross-site"}, 403),
    ]:
        reply = two.client().request("POST", url, body=body, headers=order | headers)
        assert reply.status == status, (body, reply)
    assert two.ask(other, 1).status == 200
    assert two.client().request("POST", url, body=b'{"user": "ada"}', headers=order).status == 204
    for cookies in (admin, other):
        eventually(lambda: two.ask(cookies, 1).status == 401, 2)
    assert [event["by"] for event in two.worlds[0].envoy.events() if event.get("reason") == "administrator"][-1] == "ada"
