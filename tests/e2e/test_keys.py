"""Session keys change while everybody is signed in: one filter, and two replicas that change one after the other."""

import pytest

from harness.expect import refused, session_cookies
from harness.net import eventually

K1 = {"id": "k1", "env": "SSO_SESSION_KEY"}
K2 = {"id": "k2", "env": "SSO_SESSION_KEY_2"}
ORIGIN = "https://acme.app.test"


@pytest.fixture(scope="module")
def replicas(make_world):
    """Two Envoys with the same configuration, each changed on its own."""
    worlds = [make_world(f"keys-{n}", ecds=True, session={"keys": [K1]}) for n in range(2)]
    for world in worlds:
        world.account("acme")
        world.start()
    return worlds


def give(world, *keys) -> None:
    """Changes the keys of one replica, on all of its workers."""
    world.session = {"keys": list(keys)}
    assert world.update()


def ask(world, cookies):
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return world.client().get(f"{ORIGIN}/who", headers={"cookie": header})


def passes(world, cookies) -> dict[str, str]:
    """The cookies afterwards."""
    reply = ask(world, cookies)
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
    return cookies | {cookie.name: cookie.value for cookie in reply.set}


def key_of(cookies) -> str:
    (value,) = cookies.values()
    return value.split(".")[1]


def signed_in(world) -> dict[str, str]:
    return session_cookies(world.accounts["acme"].signed_in())


def test_replicas_change_keys_one_after_the_other_and_nobody_signs_in_again(replicas):
    first, second = replicas
    old = signed_in(first)
    assert key_of(old) == "k1"
    people = [old]
    # 1. The new key behind the old one, replica by replica; 2. in front; 3. alone, once all have been here since.
    for keys, seals in (([K1, K2], "k1"), ([K2, K1], "k2")):
        for world in (first, second):
            give(world, *keys)
            # Whoever signs in at either replica in between is in at both.
            people += [signed_in(first), signed_in(second)]
            for cookies in people:
                for other in replicas:
                    passes(other, cookies)
        eventually(lambda: key_of(signed_in(first)) == seals and key_of(signed_in(second)) == seals,
                   what=f"sessions sealed with {seals}")
    # Every answer to an old cookie brings one of the new key: nobody has to sign in for it.
    renewed = []
    for cookies in people:
        newer = eventually(lambda cookies=cookies: (c := passes(first, cookies)) and key_of(c) == "k2" and c, what="a new cookie")
        renewed.append(newer)
    for world in (first, second):
        give(world, K2)
        for cookies in renewed:
            for other in replicas:
                passes(other, cookies)
    # What the old key sealed is nothing any more.
    for world in replicas:
        eventually(lambda world=world: ask(world, old).status == 401, what="the end of the old key")
        refused(ask(world, old), "session_expired", "login_required")


def test_a_key_that_replicas_do_not_share_yet_is_what_signs_people_out(replicas):
    """Why the new key goes behind the old one first: the twin that goes wrong."""
    first, second = replicas
    give(first, K2)
    give(second, K2)
    give(first, K1, K2)
    eventually(lambda: key_of(signed_in(first)) == "k1", what="the first replica's new key")
    early = signed_in(first)
    passes(first, early)
    refused(ask(second, early), "session_expired", "login_required")
