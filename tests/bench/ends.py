"""How soon an end on one Envoy holds on every worker of the other, beside a mixed load."""

import itertools
import os
import secrets
import threading
import time

from harness.expect import session_cookies
from harness.net import eventually
from harness.scim import user
from harness.shared import CHANGES, Setting
from harness.world import World
from test_logout_channels import send, token

MEMBERS = int(os.environ.get("SHARED_MEMBERS", 1))  # of the engine
LOAD = 2  # threads that ask for pages and sign in, meanwhile
ROW = 8  # requests in a row, each by a connection of its own, that come to every worker of an Envoy
RECHECK = 2.0
LIMITS = 0.1, 1.0  # seconds: of the half that is sooner, of 99 of 100
ENDED = ("login_required", "session_expired", "user_inactive")
KINDS = ("sign-out", "back channel", "administrator", "deactivation")


def header(cookies: dict[str, str]) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


class Ends:
    def __init__(self):
        self.setting = Setting(World, "bench-shared", members=MEMBERS, changes=CHANGES, start=False, session={"recheck": f"{RECHECK:.0f}s"})
        one, two = self.setting.worlds
        self.account = self.setting.account
        # Its users are asked for in a directory, which deactivates them.
        self.staff = one.account("staff")
        self.directory = one.directory("staff")
        two.clusters["scim"], two.cluster_table = one.clusters["scim"], one.cluster_table
        self.over = threading.Event()
        self.times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.asked = 0
        self.wrong: list[str] = []
        try:
            self.setting.start()
            eventually(self.setting.all_in_step, 60, what="Envoys in step")
        except BaseException:
            self.stop()
            raise

    def sign_in(self, name: str, sid: str = "load", account=None) -> dict[str, str]:
        account = account or self.account
        about = {"sub": name, "email": f"{name}@acme.com", "email_verified": True, "sid": sid}
        account.idp.people[f"{name}@acme.com"] = about
        client = account.client()
        hops = client.login(account.url(f"/sso/login?login_hint={name}@acme.com&return_to=/reports"))
        assert hops[-1].status == 200, hops
        return session_cookies(client)

    def ask(self, cookies, replica: int, account=None):
        url = (account or self.account).url("/who")
        return self.setting.client(replica).get(url, headers=header(cookies))

    def load(self) -> None:
        """A thread of its own: what ends it is told, since nothing would be beside the ends any more."""
        try:
            self.ask_for_pages()
        except Exception as failed:
            self.wrong.append(f"the load ended: {failed!r}")

    def ask_for_pages(self) -> None:
        cookies = self.sign_in("root5")
        for n in itertools.count():
            if self.over.is_set():
                return
            if (reply := self.ask(cookies, n % 2)).status != 200:
                self.wrong.append(f"a session under load: {reply}")
            if n % 20 == 19:
                cookies = self.sign_in("root5")
            self.asked += 1

    def end(self, kind: str, name: str, sid: str, cookies: dict[str, str], admin: dict[str, str]) -> None:
        client = self.setting.client(0)
        if kind == "sign-out":
            reply = self.setting.log_out(cookies)
            assert reply.status == 302, reply
        elif kind == "back channel":
            reply = send(self.account, token(self.account, sid=sid))
            assert reply.status == 200, reply
        else:
            reply = client.post(self.account.url("/sso/admin/sessions"), body='{"user": "%s"}' % name, headers=header(admin) | {
                "content-type": "application/json", "origin": self.account.origin, "sec-fetch-site": "same-origin"})
            assert reply.status == 204, reply

    def measure(self, kind: str, name: str, admin: dict[str, str]) -> None:
        sid = secrets.token_hex(8)
        cookies = self.sign_in(name, sid)
        assert self.ask(cookies, 1).status == 200
        began = time.monotonic()
        self.end(kind, name, sid, cookies, admin)
        self.holds(kind, name, cookies, began)

    def deactivations(self, number: int) -> None:
        """The first Envoy asks the directory, for the session is due; the other one has just asked."""
        names = [f"staff{n}" for n in range(number)]
        self.directory.users = [user(name, email=f"{name}@acme.com") for name in names]
        sessions = [self.sign_in(name, account=self.staff) for name in names]
        time.sleep(RECHECK + 0.1)
        for one, name, cookies in zip(self.directory.users, names, sessions):
            fresh = eventually(lambda: self.checked(cookies), 60, what="a check of the session")
            one["active"] = False
            began = eventually(lambda: self.notices(cookies), 60, 0, what="the deactivation")
            self.holds("deactivation", name, fresh, began, self.staff)

    def checked(self, cookies: dict[str, str]) -> dict[str, str] | None:
        """The cookies that the other Envoy gives once it has asked the directory."""
        asked = self.ask(cookies, 1, self.staff)
        fresh = cookies | {cookie.name: cookie.value for cookie in asked.set}
        return fresh if asked.status == 200 and fresh != cookies else None

    def notices(self, cookies: dict[str, str]) -> float | None:
        """When the request began at which the first Envoy refused it."""
        began = time.monotonic()
        return began if self.ask(cookies, 0, self.staff).code == "user_inactive" else None

    def holds(self, kind: str, name: str, cookies: dict[str, str], began: float, account=None) -> None:
        """Waits until every worker of the other Envoy refuses it."""
        row, first = 0, began
        while row < ROW:
            if self.ask(cookies, 1, account).code not in ENDED:
                row = 0
            else:
                first = time.monotonic() if row == 0 else first
                row += 1
            if time.monotonic() - began > 60:
                return self.wrong.append(f"lost: {kind} of {name}")
        self.times[kind].append(first - began)

    def run(self, number: int) -> int:
        names = [f"root{n}" for n in range(5)]
        threads = [threading.Thread(target=self.load, daemon=True) for _ in range(LOAD)]
        admin = session_cookies(self.account.signed_in())
        began = time.monotonic()
        [thread.start() for thread in threads]
        for n in range(number - number // len(KINDS)):
            self.measure(KINDS[n % 3], names[n % len(names)], admin)
        for begin in range(0, number // len(KINDS), 25):
            self.deactivations(min(25, number // len(KINDS) - begin))
        took = time.monotonic() - began
        self.over.set()
        [thread.join(60) for thread in threads]
        print(f"{self.asked / took:.0f} requests a second beside them; lost: {'; '.join(self.wrong) or 'none'}")
        is_soon = self.report()
        return 1 if self.wrong else 0 if is_soon else 2

    def report(self) -> bool:
        half, most = LIMITS
        for kind, times in [*self.times.items(), ("all", sum(self.times.values(), []))]:
            times = sorted(times) or [0.0]
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(f"{kind:14} {len(times):4} × p50 {p50 * 1000:7.1f} ms   p99 {p99 * 1000:7.1f} ms   worst {times[-1] * 1000:7.1f} ms")
        is_soon = p50 <= half and p99 <= most
        print(f"limits: p50 {half * 1000:.0f} ms, p99 {most * 1000:.0f} ms: {'held' if is_soon else 'EXCEEDED'}")
        return is_soon

    def stop(self) -> None:
        self.setting.stop()
