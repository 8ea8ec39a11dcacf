"""One worker of the soak: a process with a few people, who do everything that people, programs and attackers do,
one request after another. What each answer must be is known before it is asked for."""

import base64
import collections
import copy
import http.client
import json
import random
import secrets
import threading
import time
import traceback
import urllib.parse

from harness.client import Client, exchange
from harness.expect import STATUS, is_session, refused, session_cookies
from harness.scim import TOKEN

ORIGIN = "https://soak.app.test"
ENGINE_MEMORY = 30  # seconds for which what an outage of the shared engine did may still be seen
IDP_CODES = ("idp_unavailable", "idp_timeout", "idp_invalid_answer", "not_ready")
DIRECTORY_CODES = ("directory_unavailable",)
TIMEOUTS = {"idp": 5, "directory": 2}  # seconds that the filter waits for an answer
PEOPLE = 5
FORGED = {"x-sso-user": "root", "X_SSO_Roles": "account_admin", "x.sso.email": "root@acme.com"}


def people(worker: int) -> list[dict]:
    """Who this worker plays: the first is an administrator."""
    return [{"name": f"w{worker}p{n}", "email": f"w{worker}p{n}@acme.com", "roles": ["account_admin"] if n == 0 else []}
            for n in range(PEOPLE)]


class Wrong(AssertionError):
    """A ruling that must not be."""


class EngineAway(Exception):
    """A ruling that may be, while the replicas cannot tell each other."""


class EndedInOutage(Exception):
    """A session whose refresh token an outage may have used up has ended."""


class Weather:
    """What the main process says of the world, shared: which of IdP and directory is up. `number` changes with it."""

    FIELDS = ("number", "idp_down", "directory_down", "stop", "engine_down", "engine_back", "idp_hangs", "idp_back")

    def __init__(self, shared):
        self.shared = shared

    def now(self) -> dict:
        with self.shared.get_lock():
            return dict(zip(self.FIELDS, self.shared))

    def set(self, **values) -> None:
        with self.shared.get_lock():
            for name, value in values.items():
                self.shared[self.FIELDS.index(name)] = value
            self.shared[0] += 1


class Person:
    def __init__(self, about: dict, client: Client):
        self.name, self.email, self.roles = about["name"], about["email"], about["roles"]
        self.client = client
        self.signed_in = False
        self.since = 0.0


class Counting(Client):
    """Counts the sessions that it is given."""

    given = None

    def _keep(self, url, reply):
        super()._keep(url, reply)
        if any(is_session(cookie.name) and cookie.value for cookie in reply.set):
            with self.given.get_lock():
                self.given.value += 1

    def port(self, host):
        """Each request comes to any replica."""
        port = super().port(host)
        return random.choice(port) if isinstance(port, list) else port

    def __deepcopy__(self, _):
        other = Counting(self.hosts, self.default_port)
        other.cookies, other.given = dict(self.cookies), self.given
        return other


class Worker:
    def __init__(self, number: int, ports: dict, shared, done, given, results, seed: int):
        self.number, self.ports, self.done, self.given, self.results = number, ports, done, given, results
        self.weather = Weather(shared)
        self.random = random.Random(seed * 1000 + number)
        self.people = [Person(about, self.client()) for about in people(number)]
        self.counts = collections.Counter()
        self.times = collections.defaultdict(list)
        self.wrong: list[str] = []
        self.resets = 0
        self.person: Person | None = None  # whose session is asked with
        self.began = time.monotonic()

    def client(self) -> Client:
        client = Counting({".app.test": self.ports["envoy"], ".idp.test": self.ports["idp"], ".scim.test": self.ports["scim"]})
        client.given = self.given
        return client

    # The loop.

    def run(self) -> None:
        names, weights = zip(*MIX.items())
        while not self.weather.now()["stop"]:
            name = self.random.choices(names, weights)[0]
            self.one(name)
            with self.done.get_lock():
                self.done.value += 1
        self.results.put({"worker": self.number, "counts": self.counts, "wrong": self.wrong, "resets": self.resets,
                          "times": {name: self.random.sample(t, min(len(t), 2000)) for name, t in self.times.items()}})

    def one(self, name: str) -> None:
        before, start = self.weather.now(), time.monotonic()
        self.began, self.person = start, None
        try:
            outcome = getattr(self, name)(before) or "as it must"
        except EngineAway:
            outcome = "engine away"
        except EndedInOutage:
            outcome = "ended in an outage"
        except Exception as problem:  # an answer that did not come is wrong too
            outcome = "WRONG"
            if sum(wrong.startswith(f"{name} ") for wrong in self.wrong) < 2:  # the table counts them all
                where = traceback.extract_tb(problem.__traceback__)[-1].lineno
                self.wrong.append(f"{name} (line {where}) in {before} to {self.weather.now()} "
                                  f"after {time.monotonic() - start:.1f} s: {problem!r}"[:800])
        self.counts[name, outcome] += 1
        self.times[name].append(time.monotonic() - start)

    def excused(self, before: dict, *parts: str) -> bool:
        """Whether one of these was down, went up or down since `before`, or was slower than the filter waits: its server
        here shares the machine with everything else."""
        now = self.weather.now()
        if time.monotonic() - self.began >= min(TIMEOUTS[part] for part in parts):
            return True
        return now["number"] != before["number"] or any(before[f"{part}_down"] for part in parts)

    def engine_is_away(self) -> bool:
        """Whether the shared engine is down, or was until a moment ago."""
        now = self.weather.now()
        return bool(now["engine_down"]) or time.time() - now["engine_back"] < ENGINE_MEMORY

    def may_have_ended(self, person: Person) -> bool:
        """Whether an outage may have used this session's refresh token up, so that the provider refuses it at the next
        renewal: without the engine each replica uses it (SPEC 12: as a single Envoy does), and a provider that hangs uses
        it, but its answer with the next one comes later than the filter waits."""
        now = self.weather.now()
        return bool(now["engine_down"] or now["idp_hangs"]) or person.since <= max(now["engine_back"], now["idp_back"]) + 1

    def must(self, holds, what: str, reply=None) -> None:
        if not holds:
            if getattr(reply, "status", None) in (302, 401):
                if self.person and self.may_have_ended(self.person):
                    self.person.signed_in = False
                    self.person.client.drop_cookies()
                    raise EndedInOutage
                if self.engine_is_away():
                    raise EngineAway
            raise Wrong(f"{what}: {reply}")

    def somebody(self, before: dict) -> Person | None:
        """A person with a session; None where nobody could sign in just now."""
        person = self.random.choice(self.people)
        if not person.signed_in:
            self.sign_in(person, before)
        self.person = person if person.signed_in else None
        return self.person

    def sign_in(self, person: Person, before: dict) -> str:
        since = time.time()
        hint = urllib.parse.urlencode({"login_hint": person.email, "return_to": f"/reports?of={person.name}"})
        try:
            hops = person.client.login(f"{ORIGIN}/sso/login?{hint}")
        except OSError:
            # The IdP itself, as a browser sees it; never Envoy.
            self.must(self.excused(before, "idp"), "the IdP does not answer")
            return "no IdP"
        last = hops[-1]
        if last.code in IDP_CODES + DIRECTORY_CODES or "idp.test" in last.url:
            part = "directory" if last.code in DIRECTORY_CODES else "idp"
            self.must(self.excused(before, part), f"no sign-in while {part} is up", hops)
            if last.code:
                self.must(last.status == STATUS[last.code], "a status that is not the code's", last)
            return last.code or "no IdP"
        self.is_in(person, last)
        self.must(session_cookies(person.client), "in without a session cookie", last)
        person.signed_in, person.since = True, since
        return "signed in"

    def is_in(self, person: Person, reply) -> None:
        """The application answered, and was told who it is, by nobody but the filter."""
        self.must(reply.status == 200 and reply.code is None, "somebody with a session is out", reply)
        seen = reply.seen()
        named = {name: values for name, values in seen.items() if name.replace("_", "-").replace(".", "-").startswith("x-sso-")}
        self.must(named.get("x-sso-user") == [person.name] and named.get("x-sso-email") == [person.email],
                  f"not {person.name}", named)
        self.must(named.get("x-sso-roles", [""]) == [",".join(person.roles)], f"not the roles of {person.name}", named)
        self.must(all(name.startswith("x-sso-") and len(values) == 1 for name, values in named.items()), "forged", named)
        self.must("sso=" not in str(seen.get("cookie", "")), "the application saw the session", seen)

    def is_out(self, reply, *codes: str) -> None:
        refused(reply, *(codes or ("login_required", "session_expired")))

    def gets_out(self, client) -> None:
        """The session has ended on one replica; the others know it a moment later, or once the engine is back."""
        end = time.monotonic() + 20
        while True:
            try:
                reply = client.get(f"{ORIGIN}/reports")
            except http.client.RemoteDisconnected:
                # This replica had let the request through when it heard of the end: its stream is reset.
                self.resets += 1
                self.must(time.monotonic() < end, "no answer to a session that has ended")
                continue
            if reply.code:
                return self.is_out(reply)
            if self.engine_is_away():
                raise EngineAway
            self.must(time.monotonic() < end, "a session that has ended goes on", reply)
            time.sleep(0.05)

    # What people do.

    def page(self, before):
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        headers = FORGED if self.random.random() < 0.3 else None
        self.is_in(person, person.client.browse(f"{ORIGIN}/reports?n={self.random.random()}", headers=headers))

    def burst(self, before):
        """A page and what it loads, at once: with one and the same cookie, perhaps just when it is due."""
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        copies = [copy.deepcopy(person.client) for _ in range(6)]
        replies = [None] * len(copies)

        def ask(n):
            replies[n] = copies[n].get(f"{ORIGIN}/api/items/{n}")

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(copies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.must(all(replies), "no answer to a request of several")
        for reply in replies:
            self.is_in(person, reply)
        # What a browser keeps of several answers is the last.
        last = next((one for one, reply in zip(copies, replies) if reply.set), None)
        if last:
            person.client = last

    def login(self, before):
        person = self.random.choice(self.people)
        old = dict(person.client.cookies) if person.signed_in else None
        outcome = self.sign_in(person, before)
        if outcome == "signed in" and old:
            # Its session before is over, and no copy of it works.
            thief = self.client()
            thief.cookies = old
            self.gets_out(thief)
        return outcome

    def logout(self, before):
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        copied = self.client()
        copied.cookies = dict(person.client.cookies)
        reply = person.client.browse(f"{ORIGIN}/sso/logout", headers={"sec-fetch-site": "same-origin"})
        self.must(reply.status == 302, "no sign-out", reply)
        person.signed_in = False
        self.must(not session_cookies(person.client), "the session cookie stays", reply)
        self.gets_out(copied)

    def anonymous(self, before):
        client = self.client()
        self.is_out(client.get(f"{ORIGIN}/reports", headers=FORGED), "login_required")
        reply = client.browse(f"{ORIGIN}/reports?q=1", headers=FORGED)
        fine = reply.status == 302 and (reply.code == "login_required") or reply.code in IDP_CODES
        self.must(fine and (reply.status == 302 or self.excused(before, "idp")), "not sent to sign in", reply)

    def open(self, before):
        for path in ("/healthz", "/static/app.css"):
            reply = self.client().get(f"{ORIGIN}{path}", headers=FORGED)
            self.must(reply.status == 200 and reply.code is None, "an open path is closed", reply)
            self.must(not any("sso" in name for name in reply.seen()), "forged", reply)

    def program(self, before):
        basic = "Basic " + base64.b64encode(b"job:its own").decode()
        reply = self.client().post(f"{ORIGIN}/api/sql/run", headers=FORGED | {"authorization": basic}, body="select 1")
        self.must(reply.status == 200 and reply.seen().get("authorization") == [basic], "a program's own way in", reply)
        reply = self.client().get(f"{ORIGIN}/reports", headers={"authorization": basic})
        self.is_out(reply, "login_required", "token_invalid")

    def role(self, before):
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        reply = person.client.get(f"{ORIGIN}/admin/users")
        if person.roles:
            return self.is_in(person, reply)
        # Not `refused`: a session that was just checked comes anew with the refusal.
        self.must(reply.status == 403 and reply.code == "role_missing", "an administrators' page", reply)
        for path in ("/;%2f2/admin/users", "/x/..;/admin/users", "/%61dmin/users", "/static/..%2fadmin/users"):
            reply = person.client.get(f"{ORIGIN}/", target=path)
            self.must(reply.code == "role_missing" or reply.status == 400, "another spelling of an administrators' path", reply)

    def who(self, before):
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        reply = person.client.get(f"{ORIGIN}/sso/session")
        self.must(reply.status == 200 and reply.json()["user"] == person.name, "somebody else", reply)
        self.is_out(self.client().get(f"{ORIGIN}/sso/session"), "login_required")

    def password(self, before):
        """Administrators only. The application takes any password: what it answers is not the filter's business."""
        for person in self.people[:2]:
            client = self.client()
            reply = client.post(f"{ORIGIN}/api/auth/login", body=json.dumps({"username": person.name, "password": "local"}),
                                headers={"content-type": "application/json", "origin": ORIGIN})
            if reply.code == "not_ready":
                self.must(self.engine_is_away() or time.monotonic() - self.began >= 1, "no password login while the engine is up", reply)
            elif reply.code in DIRECTORY_CODES:
                self.must(self.excused(before, "directory"), "no password login while the directory is up", reply)
            elif person.roles and reply.code == "too_many_attempts" and self.engine_is_away():
                # The engine counts late what came while it hung; each worker deletes it once the engine answers.
                raise EngineAway
            elif person.roles:
                self.must(reply.status == 200 and reply.code is None, "an administrator's password", reply)
            else:
                refused(reply, "password_not_allowed")

    def deactivated(self, before):
        """Whose account is closed is out at the next recheck, and in again once it is open."""
        person = self.somebody(before)
        if person is None or before["directory_down"] or before["idp_down"]:
            return "not now"
        admin = self.client()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/scim+json"}
        try:
            found = admin.get("http://soak.scim.test/scim/v2/Users?" + urllib.parse.urlencode(
                {"filter": f'userName eq "{person.name}"'}), headers=headers)
            url = f"http://soak.scim.test/scim/v2/Users/{found.json()['Resources'][0]['id']}"
        except (OSError, ValueError, LookupError):
            self.must(self.excused(before, "directory"), "the directory does not answer")
            return "not now"

        def set_active(active: bool) -> bool:
            operation = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                         "Operations": [{"op": "replace", "path": "active", "value": active}]}
            try:
                reply = admin.request("PATCH", url, body=json.dumps(operation), headers=headers)
                return reply.status == 200 and reply.json()["active"] is active
            except (OSError, ValueError):
                return False

        set_active(False)
        try:
            end = time.monotonic() + 60
            while True:
                reply = person.client.get(f"{ORIGIN}/reports")
                if reply.code:
                    also = ("login_required",) if self.may_have_ended(person) else ()
                    refused(reply, "user_inactive", "session_expired", *also)
                    outcome = "out"
                    break
                if self.excused(before, "directory"):
                    outcome = "not now"  # nobody could ask the directory: the grace holds
                    break
                self.must(time.monotonic() < end, "a deactivated user stays in", reply)
                time.sleep(0.1)
        finally:
            while not set_active(True):
                time.sleep(0.2)
                if self.weather.now()["stop"]:
                    break
        person.signed_in = False
        person.client.drop_cookies()
        return outcome

    # What nobody should send.

    def garbage(self, before):
        return getattr(self, self.random.choice(GARBAGE))(before)

    def bytes_in_headers(self, before):
        """Not UTF-8: nobody is kept out for it, and no VM dies of it."""
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        self.is_in(person, person.client.get(f"{ORIGIN}/reports", headers={"x-bytes": "\xff\xfe", "user-agent": "\x80"}))
        self.is_out(self.client().get(f"{ORIGIN}/reports", headers={"cookie": "a=\xff; sso=\xfe"}))

    def giant_cookies(self, before):
        many = "; ".join(f"c{n}={secrets.token_hex(100)}" for n in range(280))
        self.is_out(self.client().get(f"{ORIGIN}/reports", headers={"cookie": f"{many}; __Host-sso={'A' * 3000}"}))
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        own = "; ".join(f"{name}={value}" for name, value in person.client.values().items())
        self.is_in(person, person.client.get(f"{ORIGIN}/reports", headers={"cookie": f"{many}; {own}"}))

    def broken_session(self, before):
        person = self.somebody(before)
        if person is None:
            return "nobody could sign in"
        [(name, value), *_] = session_cookies(person.client).items()
        at = self.random.randrange(len(value) - 2)
        spoiled = value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1:]
        for bad in (spoiled, value[:-1], value + "A", value[::-1]):
            self.is_out(self.client().get(f"{ORIGIN}/reports", headers={"cookie": f"{name}={bad}"}))

    def random_callback(self, before):
        raw = bytes(self.random.randrange(33, 256) for _ in range(self.random.randrange(0, 400)))
        query = raw.replace(b"#", b"").decode("latin-1")
        for target in (f"/sso/oidc/consume?u=soak&code=x&state={secrets.token_urlsafe(16)}", f"/sso/oidc/consume?u=soak&{query}"):
            reply = self.client().request("GET", f"{ORIGIN}/", target=target, navigation=True)
            self.must(400 <= reply.status < 500 and reply.code != "id_token_invalid", "a callback that nobody waits for", reply)

    def random_bytes(self, before):
        """Not even HTTP: Envoy's own business, as long as it lives."""
        raw = bytes(self.random.randrange(256) for _ in range(200))
        try:
            exchange(random.choice(self.ports["envoy"]), b"GET /" + raw + b" HTTP/1.1\r\nhost: soak.app.test\r\n\r\n", timeout=10)
        except Exception:
            pass  # the next request says whether anybody is alive


MIX = {"page": 46, "burst": 2, "login": 8, "logout": 4, "anonymous": 8, "open": 6, "program": 4, "role": 6, "who": 4,
       "password": 4, "deactivated": 0.2, "garbage": 8}
GARBAGE = ("bytes_in_headers", "giant_cookies", "broken_session", "random_callback", "random_bytes")


def work(*arguments) -> None:
    Worker(*arguments).run()
