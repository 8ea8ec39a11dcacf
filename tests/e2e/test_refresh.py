"""Sessions that are renewed with a refresh token, at the certified provider with rotation and reuse detection."""

import base64
import concurrent.futures
import itertools
import secrets
import time

import pytest

from harness.client import Client
from harness.etcd import Etcd
from harness.expect import refused, session_cookies
from harness.idp import DROP
from harness.net import eventually
from harness.provider import OidcProvider
from harness.world import World

ORIGIN = "https://acme.app.test"
PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada", "groups": ["lakehouse-admins"]}}


class Setting:
    """A provider, and Envoys in front of one application."""

    def __init__(self, make_world, name: str, replicas: int = 1, ttl: int = 3600, session=None, changes=None, etcd=None,
                 **envoy):
        self.etcd = etcd
        self.provider = OidcProvider([{
            "client_id": "lakehouse", "client_secret": "the secret of the client",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [f"{ORIGIN}/sso/oidc/consume?u=acme"]}], PEOPLE, ttl=ttl)
        self.worlds = [self._world(make_world(f"{name}-{n}", session=session, **envoy), changes) for n in range(replicas)]

    def _world(self, world: World, changes) -> World:
        account = world.account("acme", changes,
                                discovery=f"{self.provider.issuer}/.well-known/openid-configuration",
                                scope=["openid", "email", "profile", "offline_access"],
                                authorization_params={"prompt": "consent"})
        assert account.origin == ORIGIN
        world.clusters["provider"] = self.provider.port
        world.cluster_table = {f"127.0.0.1:{self.provider.port}": "provider"}
        if self.etcd:
            world.shared = {"engine": "etcd", "cluster": "etcd"}
            world.engines = {"etcd": self.etcd.ports}
        world.start()
        return world

    def client(self, replica: int = 0) -> Client:
        return Client({"acme.app.test": self.worlds[replica].port, "127.0.0.1": self.provider.port})

    def signed_in(self) -> dict[str, str]:
        """The cookies of a new session."""
        client = self.client()
        hops = self.provider.login(client, f"{ORIGIN}/reports", "ada")
        assert hops[-1].status == 200 and hops[-1].url.startswith(ORIGIN), hops
        return session_cookies(client)

    def ask(self, cookies: dict[str, str], replica: int = 0):
        """A request with exactly these cookies."""
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.client(replica).get(f"{ORIGIN}/who", headers={"cookie": header})

    def passes(self, cookies: dict[str, str], replica: int = 0) -> dict[str, str]:
        """The cookies afterwards."""
        reply = self.ask(cookies, replica)
        assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
        assert "cookie" not in reply.seen()
        return cookies | {cookie.name: cookie.value for cookie in reply.set}

    def seen(self) -> tuple[int, int]:
        """Refreshes that the provider granted and refused."""
        seen = self.provider.test("seen")
        return seen["refreshed"], seen["refused"]


@pytest.fixture(scope="module")
def setting(make_world):
    settings = []

    def make(*arguments, **options) -> Setting:
        settings.append(Setting(make_world, *arguments, **options))
        return settings[-1]

    yield make
    for one in settings:
        one.provider.stop()


def renewed(setting: Setting, cookies: dict[str, str], replica: int = 0) -> dict[str, str]:
    """Uses the session until it has been renewed once more."""
    before = setting.seen()
    while setting.seen() == before:
        cookies = setting.passes(cookies, replica)
        time.sleep(0.1)
    assert setting.seen() == (before[0] + 1, before[1])
    return setting.passes(cookies, replica)


def at_once(setting: Setting, cookies: dict[str, str], replicas: list[int]):
    """Starts as many requests; the futures of their answers."""
    pool = concurrent.futures.ThreadPoolExecutor(len(replicas))
    return [pool.submit(setting.ask, cookies, replica) for replica in replicas]


def answered(world: World) -> int:
    return world.envoy.stats(r"^http\.in\.downstream_rq_2xx$").get("http.in.downstream_rq_2xx", 0)


def active(world: World) -> int:
    return world.envoy.stats(r"^http\.in\.downstream_rq_active$")["http.in.downstream_rq_active"]


def test_fifty_requests_beside_a_renewal_are_one_refresh_and_nobody_is_signed_out(setting):
    """Four workers. The session is in use: requests go on with it while the provider takes its time."""
    here = setting("busy", session={"recheck": "8s"}, concurrency=4)
    (world,) = here.worlds
    cookies = here.signed_in()
    here.provider.test("hold")
    first = []
    while not here.provider.test("seen")["pending"]:
        # Whoever claims the renewal waits for it; everybody else passes.
        first += at_once(here, cookies, [0])
        time.sleep(0.2)
    futures = at_once(here, cookies, [0] * 50)
    # All of them are in before the provider has answered: either passed already, or waiting.
    eventually(lambda: sum(f.done() for f in futures) + active(world) >= 50, what="fifty requests at Envoy")
    assert here.provider.test("seen")["pending"] == 1
    here.provider.test("release")
    replies = [future.result() for future in [*first, *futures]]
    assert [reply.status for reply in replies] == [200] * len(replies), replies
    assert here.seen() == (1, 0)
    # Every copy of the old cookie leads to the new state, on every worker, and gets its cookie.
    time.sleep(0.3)  # a worker beside a renewal looks again after 200 ms
    late = [future.result() for future in at_once(here, cookies, [0] * 20)]
    assert all(reply.status == 200 and reply.set for reply in late), late
    # The family of tokens is whole: it can be renewed again.
    renewed(here, {cookie.name: cookie.value for cookie in late[0].set})
    assert here.seen()[1] == 0


def test_fifty_requests_that_must_wait_wait_for_one_refresh(setting):
    """Four workers. Nobody was there when the access token expired, and the application gets it."""
    here = setting("idle", ttl=12, concurrency=4, changes={"forward": {"access_token": "authorization"}})
    (world,) = here.worlds
    cookies = here.signed_in()
    old = here.ask(cookies).seen()["authorization"]
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > 13, what="the end of the access token")
    here.provider.test("hold")
    futures = at_once(here, cookies, [0] * 50)
    eventually(lambda: active(world) >= 50, what="fifty requests that wait")
    eventually(lambda: here.provider.test("seen")["pending"] == 1, what="the one refresh")
    assert not any(future.done() for future in futures)
    here.provider.test("release")
    replies = [future.result() for future in futures]
    assert [reply.status for reply in replies] == [200] * 50, replies
    tokens = {tuple(reply.seen()["authorization"]) for reply in replies}
    assert len(tokens) == 1 and tokens != {tuple(old)}, "each has the new token, none the old"
    assert here.seen() == (1, 0)
    assert sum(bool(reply.set) for reply in replies) == 50, "whichever answer the browser reads last has the cookie"


def test_what_was_waited_with_is_whole_a_body_and_calls_of_its_own(setting):
    """A request that waits keeps its body; one that goes on to ask others while nobody holds it any more can."""
    here = setting("whole", session={"recheck": "1s"}, concurrency=2, changes={"password": {"admin_roles": ["account_admin"]}})
    (world,) = here.worlds
    cookies = here.signed_in()
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    sent = secrets.token_bytes(100_000)
    here.provider.test("hold")
    time.sleep(2.5)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        upload = pool.submit(here.client().post, f"{ORIGIN}/upload", body=sent, headers=header)
        report = pool.submit(here.client().get, f"{ORIGIN}/sso/admin/check", headers=header)
        eventually(lambda: active(world) == 2 and here.provider.test("seen")["pending"] == 1, what="two that wait")
        here.provider.test("release")
        assert base64.b64decode(upload.result().json()["body"]) == sent
        report = report.result()
    assert report.status == 200 and report.json()["checks"], report
    assert here.seen() == (1, 0)


@pytest.mark.parametrize("ecds", [True, False])
def test_a_live_update_loses_no_request_that_waits(setting, ecds):
    here = setting(f"update-{ecds}", session={"recheck": "1s"}, concurrency=2, ecds=ecds)
    (world,) = here.worlds
    cookies = here.signed_in()
    here.provider.test("hold")
    time.sleep(2.5)
    futures = at_once(here, cookies, [0] * 10)
    eventually(lambda: active(world) == 10 and here.provider.test("seen")["pending"] == 1, what="ten that wait")
    world.session = world.session | {"idle": "2h"}
    assert world.update()
    more = at_once(here, cookies, [0] * 10)
    here.provider.test("release")
    replies = [future.result() for future in [*futures, *more]]
    assert [reply.status for reply in replies] == [200] * 20, replies
    assert here.seen()[1] == 0
    renewed(here, here.passes(cookies))
    assert here.seen()[1] == 0


def test_a_browser_that_goes_away_does_not_take_the_new_tokens_along(setting):
    here = setting("gone", session={"recheck": "1s"}, concurrency=2)
    cookies = here.signed_in()
    here.provider.test("hold")
    time.sleep(2.2)

    def impatient():
        try:
            here.client().get(f"{ORIGIN}/who", timeout=0.5,
                              headers={"cookie": "; ".join(f"{n}={v}" for n, v in cookies.items())})
        except OSError:
            pass

    impatient()
    eventually(lambda: here.provider.test("seen")["pending"] == 1, what="the refresh")
    eventually(lambda: active(here.worlds[0]) == 0, what="the end of the request")
    here.provider.test("release")
    eventually(lambda: here.seen()[0] == 1, what="its answer")
    cookies = here.passes(cookies)
    cookies = renewed(here, cookies)
    assert here.seen()[1] == 0


def test_what_the_provider_has_revoked_ends(setting):
    """Somebody else used the refresh token: the provider revokes all of them."""
    here = setting("revoked", 2, session={"recheck": "1s"}, concurrency=2)
    cookies = here.signed_in()
    stolen = dict(cookies)
    newer = renewed(here, cookies)
    time.sleep(2.5)
    here.passes(stolen, 1)
    assert here.seen()[1] == 1, "a second use"
    reply = eventually(lambda: (reply := here.ask(newer)).status != 200 and reply, 40, every=0.5, what="the end")
    refused(reply, "session_expired")
    refused(here.ask(stolen, 1), "session_expired")
    assert any(e.get("event") == "logout" and e["reason"] == "invalid_grant" for e in here.worlds[0].envoy.events())
    assert here.provider.login(here.client(), f"{ORIGIN}/reports", "ada")[-1].status == 200


def test_a_provider_that_is_down_signs_nobody_out(setting):
    here = setting("down", session={"recheck": "2s"}, concurrency=2)
    cookies = renewed(here, here.signed_in())
    here.provider.stop()
    events = here.worlds[0].envoy.events
    eventually(lambda: here.passes(cookies) and any(e.get("event") == "renewal" for e in events()), 30, every=0.3,
               what="a renewal that failed")
    (line, *_) = [e for e in events() if e.get("event") == "renewal"]
    assert line["code"] == "idp_unavailable" and line["outcome"] == "failed", line
    here.passes(cookies)


def test_past_the_grace_of_a_dead_provider_requests_are_told(setting):
    here = setting("dead", session={"recheck": "1s", "recheck_grace": "2s"}, concurrency=1)
    cookies = here.signed_in()
    here.provider.stop()
    reply = eventually(lambda: (reply := here.ask(cookies)).status != 200 and reply, 30, every=0.2, what="the end of the grace")
    refused(reply, "idp_unavailable")


def test_two_replicas_one_after_the_other(setting):
    here = setting("replicas", 2, session={"recheck": "2s"}, concurrency=2)
    cookies = here.signed_in()
    for replica in (1, 0, 1, 0):
        cookies = renewed(here, cookies, replica)
        here.passes(cookies, 1 - replica)
    assert here.seen() == (4, 0)


def test_fifty_requests_over_two_replicas_are_one_refresh(setting):
    """Each replica draws a delay of up to five seconds; whoever draws the shorter renews, and the browser takes the new
    cookie along to the other. Delays of both that end within the burst are the race of the next test: once in some
    hundred times, and then a second burst tells."""
    here = setting("lots", 2, session={"recheck": "80s"}, concurrency=1)

    def burst() -> tuple[int, int]:
        cookies, before = here.signed_in(), here.seen()
        time.sleep(80)
        replies = [future.result() for future in at_once(here, cookies, [n % 2 for n in range(50)])]
        assert [reply.status for reply in replies] == [200] * 50, replies
        newer = [{cookie.name: cookie.value for cookie in reply.set} for reply in replies if reply.set]
        cookies = newer[0] if newer else cookies
        for n in itertools.count():  # the browser goes on, at one replica and at the other
            cookies = here.passes(cookies, n % 2)
            if here.seen() != before:
                break
            time.sleep(0.1)
        time.sleep(5)
        for replica in (0, 1, 0, 1):
            cookies = here.passes(cookies, replica)
        refreshed, refused_ones = here.seen()
        return refreshed - before[0], refused_ones - before[1]

    assert burst() == (1, 0) or burst() == (1, 0)


def test_a_second_use_at_another_replica_signs_nobody_out_at_once(setting):
    """What a stateless design cannot prevent: requests of one moment that reach two replicas, both past due. The
    provider takes the second use for theft; all requests pass, and the person signs in again at the session's next
    renewal."""
    here = setting("race", 2, session={"recheck": "2s"}, concurrency=2)
    cookies = here.signed_in()
    time.sleep(4.5)
    first, second = ([future.result() for future in at_once(here, cookies, [replica] * 25)] for replica in (0, 1))
    assert [reply.status for reply in [*first, *second]] == [200] * 50, [*first, *second]
    assert here.seen() == (1, 1), "one use by each replica, whatever arrived beside it"
    assert all(reply.set for reply in first) and not any(reply.set for reply in second), "only the winner sets its cookie"
    later = {cookie.name: cookie.value for cookie in first[0].set}
    for replica in (0, 1):
        here.passes(later, replica)


def test_large_tokens_are_split_over_cookies_and_come_back(make_world):
    """The scriptable provider: an access token of 4 KB and an ID token of 4 KB."""
    size = 4000
    world = make_world("large-tokens", session={"recheck": "2s"})
    account = world.account("acme", {"forward": {"access_token": "x-token"}}, scope=["openid", "email", "offline_access"])
    account.idp.person |= {"filler": "f" * (size * 3 // 4)}
    account.idp.change("token", access_token="a" * size).change("claims", at_hash=DROP)
    world.start()
    client = account.signed_in("/who")
    cookies = session_cookies(client)
    assert len(cookies) >= 3 and all(len(name) + len(value) < 4096 for name, value in cookies.items()), cookies
    begun = account.idp.count("token")
    eventually(lambda: client.get(account.url("/who")).status == 200 and account.idp.count("token") > begun, every=0.2,
               what="a renewal")
    reply = client.get(account.url("/who"))
    assert reply.seen()["x-token"] == ["Bearer " + "a" * size]
    assert "cookie" not in reply.seen()


def test_a_session_that_cannot_fit_is_an_answer_and_no_loop(make_world):
    world = make_world("too-large")
    account = world.account("acme", {"forward": {"access_token": "x-token"}})
    # No base64url, which would be sealed as what it encodes.
    account.idp.change("token", access_token="~" * 13_000).change("claims", at_hash=DROP)
    world.start()
    client = account.client()
    hops = client.login(account.url("/reports"))
    assert len(hops) <= 4
    refused(hops[-1], "not_ready")
    assert "~~~~" not in world.envoy.log_text()
    account.idp.reset()
    assert client.login(account.url("/reports"))[-1].status == 200


@pytest.mark.slow
def test_with_a_shared_engine_fifty_requests_over_two_replicas_are_one_refresh(setting):
    """The race that replicas on their own lose: past due at both, at once."""
    etcd = Etcd("refresh")
    try:
        here = setting("claims", 2, session={"recheck": "2s"}, concurrency=2, etcd=etcd)
        for turn in range(1, 6):
            cookies = here.signed_in()
            before = here.seen()
            time.sleep(4.5)
            replies = [future.result() for future in at_once(here, cookies, [n % 2 for n in range(50)])]
            assert [reply.status for reply in replies] == [200] * 50, replies
            newer = [{cookie.name: cookie.value for cookie in reply.set} for reply in replies if reply.set]
            refreshed, refused_ones = here.seen()
            assert (refreshed - before[0], refused_ones - before[1]) == (1, 0), turn
            assert all(here.ask(cookies, replica).status == 200 for replica in (0, 1))
            assert newer and all(here.ask(newer[-1], replica).status == 200 for replica in (0, 1))
    finally:
        etcd.stop()
