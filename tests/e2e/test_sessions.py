"""How long a session lasts, and which cookies are one."""

import secrets
import time

import pytest

from harness.expect import flow_cookies, is_session, refused, session_cookies, signed_in, signed_out
from harness.net import eventually
from harness.world import World


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("sessions")
    world.account("acme")
    world.account("other")
    world.account("shared")
    world.start()
    return world


@pytest.fixture
def acme(world):
    account = world.accounts["acme"]
    account.idp.reset()
    return account


def ask(account, cookies) -> object:
    """A request with exactly these cookies."""
    pairs = cookies.items() if isinstance(cookies, dict) else cookies
    return account.client().get(account.url("/who"), headers={"cookie": "; ".join(f"{k}={v}" for k, v in pairs)})


def passes(account, cookies, user="ada@acme.com"):
    reply = ask(account, cookies)
    assert reply.status == 200 and reply.seen()["x-sso-user"] == [user], reply


def stays_out(account, cookies):
    mark = account.world.app.mark()
    reply = refused(ask(account, cookies), "login_required", "session_expired")
    account.world.app.nothing_since(mark)
    return reply


def test_any_client_with_the_cookie_is_the_session(acme):
    passes(acme, session_cookies(acme.signed_in()))


def test_every_single_changed_byte_closes_it(acme):
    cookies = session_cookies(acme.signed_in())
    ((name, value),) = cookies.items()
    for at in sorted({0, 1, 2, 5, 10, len(value) // 3, len(value) // 2, len(value) - 2, len(value) - 1}):
        for changed in {"A", "B", "_", "."}:
            if changed != value[at]:
                other = value[:at] + changed + value[at + 1:]
                reply = ask(acme, {name: other})
                # The last character of base64 may hold bits that mean nothing; a strict reader refuses those too.
                assert reply.status == 401, (at, changed, reply)
    for other in (value[:-1], value[1:], value + "A", value[: len(value) // 2], value * 2, value.lower(), value.upper(), "",
                  f'"{value}"', value + "=", value.replace(".", ""), value.replace("-", "+")):
        if other not in (value, f'"{value}"'):
            stays_out(acme, {name: other})
    passes(acme, cookies)


def test_what_does_not_open_is_deleted(acme):
    name = next(iter(session_cookies(acme.signed_in())))
    client = acme.client()
    reply = client.browse(acme.url("/who"), headers={"cookie": f"{name}=rubbish"})
    gone = [cookie for cookie in reply.set if cookie.name == name]
    assert gone and all(not c.value and c.expires is not None and c.expires <= time.time() + 1 for c in gone), reply.headers


def test_another_accounts_session_is_none(world, acme):
    other = world.accounts["other"]
    stays_out(other, session_cookies(acme.signed_in()))
    passes(other, session_cookies(other.signed_in()))


def test_a_login_in_progress_is_no_session(acme):
    name = next(iter(session_cookies(acme.signed_in())))
    client = acme.client()
    client.browse(acme.url("/reports"))
    flow = flow_cookies(client)
    assert flow
    for value in flow.values():
        stays_out(acme, {name: value})


def test_a_session_is_no_login_in_progress(acme):
    session = next(iter(session_cookies(acme.signed_in()).values()))
    client = acme.client()
    start = client.browse(acme.url("/reports"))
    url = client.browse(start.location).location
    (name,) = flow_cookies(client)
    refused(acme.client().browse(url, headers={"cookie": f"{name}={session}"}), "state_unknown")


def test_two_different_sessions_of_one_name_are_none(acme):
    ((name, first),) = session_cookies(acme.signed_in()).items()
    acme.idp.person |= {"sub": "eve", "email": "eve@acme.com"}
    ((_, second),) = session_cookies(acme.signed_in()).items()
    passes(acme, {name: first})
    passes(acme, {name: second}, "eve@acme.com")
    stays_out(acme, [(name, first), (name, second)])
    stays_out(acme, [(name, second), (name, first)])
    passes(acme, [(name, first), (name, first)])


def test_rubbish_beside_a_session_is_nothing(acme):
    ((name, value),) = session_cookies(acme.signed_in()).items()
    passes(acme, [("a", "b"), (name, value), ("x" + name, "rubbish"), (name + "x", "rubbish")])


@pytest.fixture(scope="module")
def large(make_world):
    """Sessions of several cookies."""
    world = make_world("large", concurrency=2)
    account = world.account("acme", {"forward": {"headers": {f"x-blob-{n}": f"blob{n}" for n in range(3)}}})
    account.idp.person |= {f"blob{n}": secrets.token_urlsafe(2200) for n in range(3)}
    world.start()
    return account


def test_a_large_session_is_split_and_put_together(large):
    client = large.signed_in()
    cookies = session_cookies(client)
    assert len(cookies) >= 2, {k: len(v) for k, v in cookies.items()}
    assert all(len(k) + len(v) <= 4096 for k, v in cookies.items())
    reply = client.get(large.url("/who"))
    for n in range(3):
        assert reply.seen()[f"x-blob-{n}"] == [large.idp.person[f"blob{n}"]]
    assert "cookie" not in reply.seen()


def test_chunks_that_are_missing_swapped_or_strange_are_no_session(large):
    first = session_cookies(large.signed_in())
    second = session_cookies(large.signed_in())
    assert list(first) == list(second)
    names = list(first)
    for name in names:
        stays_out(large, {k: v for k, v in first.items() if k != name})
        stays_out(large, first | {name: second[name]})
        stays_out(large, first | {name: first[name][:-4]})
    stays_out(large, first | {names[0]: first[names[1]], names[1]: first[names[0]]})
    stays_out(large, dict(zip(names, reversed(list(first.values())))))
    passes(large, dict(reversed(first.items())))
    passes(large, second)


def test_a_smaller_session_removes_the_chunks_of_the_larger(large):
    client = large.signed_in()
    many = set(session_cookies(client))
    person = dict(large.idp.person)
    large.idp.person |= {f"blob{n}": "small" for n in range(3)}
    try:
        hops = client.login(large.url("/sso/login?return_to=%2Fwho"))
        assert hops[-1].status == 200, hops
        assert set(session_cookies(client)) < many
        assert hops[-1].seen()["x-blob-0"] == ["small"]
    finally:
        large.idp.person = person


@pytest.fixture(scope="module")
def short(make_world):
    world = make_world("short", session={"idle": "5s", "lifetime": "20s"})
    world.account("acme")
    world.start()
    return world.accounts["acme"]


def test_a_session_ends_when_nobody_uses_it(short):
    client = short.signed_in()
    cookies = session_cookies(client)
    begun = time.monotonic()
    time.sleep(5)
    eventually(lambda: ask(short, cookies).status == 401, 30, every=2, what="the end of an idle session")
    assert time.monotonic() - begun >= 4
    refused(ask(short, cookies), "login_required", "session_expired")


def kept_in_use(short):
    """How long a session went on that was used all the time, and the answer at its end; None where the machine was once too
    slow to use it in time."""
    begun = time.monotonic()
    client = short.signed_in()
    last = time.monotonic()
    while (reply := client.get(short.url("/who"))).status == 200:
        now = time.monotonic()
        assert now - begun < 90, "the session outlives its lifetime"
        if now - last > 3.5:
            return None
        last = now
        time.sleep(0.7)
    return time.monotonic() - begun, reply


def test_use_prolongs_it_up_to_its_lifetime(short):
    kept = next(filter(None, (kept_in_use(short) for _ in range(20))), None)
    assert kept, "this machine cannot keep a session of five seconds in use"
    lasted, reply = kept
    refused(reply, "login_required", "session_expired")
    assert lasted >= 18, "used all the time, it still ended early"


def test_keys_rotate_live_and_nobody_signs_in_again(make_world):
    world = make_world("rotation")
    account = world.account("acme")
    world.start()
    old = session_cookies(account.signed_in())
    world.session = {"keys": [{"id": "k2", "env": "SSO_SESSION_KEY_2"}, {"id": "k1", "env": "SSO_SESSION_KEY"}]}
    assert world.update()
    passes(account, old)
    new = session_cookies(account.signed_in())
    world.session = {"keys": [{"id": "k2", "env": "SSO_SESSION_KEY_2"}]}
    assert world.update()
    eventually(lambda: ask(account, old).status == 401, what="the end of what the old key sealed")
    stays_out(account, old)
    passes(account, new)
    # The same name with other bytes is another key.
    world.session = {"keys": [{"id": "k2", "env": "SSO_SESSION_KEY"}]}
    assert world.update()
    eventually(lambda: ask(account, new).status == 401, what="the end of what the other key sealed")


def test_another_envoy_with_the_same_keys_serves_the_same_session(make_world):
    one, two = make_world("replica-a"), make_world("replica-b")
    first, second = one.account("acme"), two.account("acme")
    one.start()
    two.start()
    passes(second, session_cookies(first.signed_in()))
