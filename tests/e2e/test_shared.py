"""Several Envoys that behave as one, by way of a real etcd."""

import json
import threading
import time

import pytest

from harness.expect import refused
from harness.net import eventually
from harness.shared import CHANGES


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
        eventually(lambda: two.ask(cookies, 1).status == 401, 60, 0.002)
        times.append(time.monotonic() - began)
        # Each request has a connection of its own, and so comes to either worker.
        assert {two.ask(cookies, 1).status for _ in range(10)} == {401}
        refused(two.ask(cookies, 1), "session_expired", "login_required")
    times.sort()
    print(f"p50 {times[10] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")


def test_of_many_sign_outs_at_once_none_is_lost(two):
    sessions, other = [two.signed_in() for _ in range(24)], two.signed_in()
    threads = [threading.Thread(target=two.log_out, args=(cookies, n % 2)) for n, cookies in enumerate(sessions)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    for cookies in sessions:
        eventually(lambda: [two.ask(cookies, replica).status for replica in (0, 1) * 4] == [401] * 8, 60)
    assert [two.ask(other, replica).status for replica in (0, 1)] == [200, 200]


def test_a_request_with_a_session_makes_no_call(two):
    eventually(two.in_step, 60)
    cookies = two.signed_in()
    two.ask(cookies, 1)

    def calls():
        return two.worlds[1].envoy.stats(r"^cluster\.etcd\.upstream_rq_total$").popitem()[1]
    began, before = time.monotonic(), calls()
    for _ in range(300):
        assert two.ask(cookies, 1).status == 200
    # The head is read once a second, and all that is new where the watch had to begin again.
    assert calls() - before <= 3 * (time.monotonic() - began) + 20


def guess(setting, user: str, n: int = 0):
    return setting.client(n % 2).post(
        setting.account.url("/api/auth/login"), headers={"content-type": "application/json"},
        body=json.dumps({"username": user, "password": f"guess {n}"}))


def guesses(setting, user: str, number: int) -> tuple[list, list]:
    """So many at once over two Envoys: the answers, and what reached the application."""
    mark = setting.worlds[0].app.mark()
    replies = []
    threads = [threading.Thread(target=lambda n=n: replies.append(guess(setting, user, n))) for n in range(number)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert len(replies) == number
    return replies, [seen for seen in setting.worlds[0].app.since(mark) if seen.path == "/api/auth/login"]


@pytest.fixture(scope="module")
def patient(make_setting):
    """Waits for the engine however slow the machine is."""
    return make_setting("shared-patient", changes=CHANGES, shared={"timeout": "50s", "stale": "1h"})


@pytest.mark.parametrize("user", [f"root{n}" for n in range(6)])
def test_guesses_are_counted_over_all_envoys(patient, user):
    """Forty at once over two Envoys with a limit of five: exactly five reach the application."""
    eventually(patient.all_in_step, 60)
    replies, reached = guesses(patient, user, 40)
    stats = [world.envoy.stats("sso_shared_calls|sso_logins|sso_password") for world in patient.worlds]
    assert len(reached) == 5, (len(reached), len([key for key in patient.etcd.keys() if "/a/" in key]), stats)
    assert sum(reply.code == "too_many_attempts" for reply in replies) == 35


def test_a_guess_that_the_engine_answers_late_reaches_no_application(make_setting):
    """An engine that only hangs may be counting for the other Envoy: no guess passes that was not counted."""
    setting = make_setting("shared-late", changes=CHANGES, shared={"timeout": "1s", "stale": "1h"})
    eventually(setting.all_in_step, 60)
    for member in setting.etcd.members:
        member.freeze()
    replies, reached = guesses(setting, "root0", 20)
    assert reached == []
    [refused(reply, "not_ready", "too_many_attempts") for reply in replies]
    assert {reply.code for reply in replies} >= {"not_ready"}
    for member in setting.etcd.members:
        member.thaw()
    setting.etcd.healthy()
    _, reached = guesses(setting, "root0", 40)
    assert len(reached) <= 5, "some of those before may count"
    # Its twin: the engine answers again, and another user's guesses pass.
    eventually(lambda: guess(setting, "root1").status == 200, 60)


def test_a_password_login_that_waits_for_the_first_read_is_answered(make_setting):
    """Its body is read before it waits: afterwards Envoy hands out none, and the login would hang."""
    setting = make_setting("shared-first", start=False, changes=CHANGES, shared={"timeout": "3s"})
    for member in setting.etcd.members:
        member.freeze()
    setting.start()
    replies, reached = guesses(setting, "root0", 20)
    # Neither has ever reached the engine: each counts alone.
    assert sorted(reply.status for reply in replies) == [200] * 10 + [429] * 10 and len(reached) == 10, replies
    for member in setting.etcd.members:
        member.thaw()
    eventually(setting.all_in_step, 60)
    assert guess(setting, "root1").status == 200


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
        eventually(lambda: two.ask(cookies, 1).status == 401, 60)
    assert [event["by"] for event in two.worlds[0].envoy.events() if event.get("reason") == "administrator"][-1] == "ada"


def test_readiness_knows_who_signed_in_at_any_envoy_and_after_a_restart(two):
    admin = two.signed_in()
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in admin.items())}

    def never(replica):
        reply = two.client(replica).get(two.account.url("/sso/admin/readiness"), headers=header)
        assert reply.status == 200, reply
        return reply.json()["never_signed_in"]
    assert {f"root{n}" for n in range(6)} <= set(never(1)), "they have not"
    people = two.account.idp.people
    people["root3@acme.com"] = {"sub": "root3", "email": "root3@acme.com", "email_verified": True}
    client = two.account.client()
    hops = client.login(two.account.url("/sso/login?login_hint=root3@acme.com&return_to=/reports"))
    assert hops[-1].status == 200 and hops[-1].seen()["x-sso-user"] == ["root3"], hops
    # The directory is a list and takes no links: only the engine can tell the other Envoy.
    eventually(lambda: "root3" not in never(1), 60)
    assert "root2" in never(1)
    for world in two.worlds:
        world.envoy.stop()
        world.start()
    eventually(lambda: "root3" not in never(0) and "root3" not in never(1), 60)
    assert "root2" in never(0)
