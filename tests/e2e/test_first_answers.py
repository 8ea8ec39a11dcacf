"""What requests and a login cost: WebAssembly instructions, which are the same on every machine."""

import pytest

from harness.tokens import BEARER, access_token
from test_session_cache import PERSON, Worker

# Of a browser with cookies of the application, as the bench sends them.
OTHERS = "theme=" + "x" * 4090
PROGRAM = {"accept": "application/json"}


@pytest.fixture(scope="module")
def worker():
    made = Worker(1_000, BEARER)
    yield made
    made.stop()


def work(worker, status: int, headers: dict, cookie: str) -> int:
    for _ in range(3):  # the first one of its kind fetches the provider's document and defines metrics
        answer = worker.vm.request("GET", "/api/items?page=2", headers | {"cookie": cookie})
        assert answer.status == status, (answer.status, answer.code, worker.vm.log[-2:])
    print(f"{status}: {answer.work}")
    return answer.work


def test_a_refusal_and_a_redirect_stay_cheap(worker):
    assert work(worker, 401, PROGRAM, OTHERS) < 95_000
    assert work(worker, 302, PERSON, OTHERS) < 250_000


def test_a_cookie_that_does_not_count_is_opened_once(worker):
    session = worker.login()
    stale = session[:300] + ("A" if session[300] != "A" else "B") + session[301:]
    opening = work(worker, 401, PROGRAM, stale) - work(worker, 401, PROGRAM, OTHERS)
    redirect = work(worker, 302, PERSON, stale) - work(worker, 302, PERSON, OTHERS)
    assert 0 < opening < 180_000
    assert redirect < 1.5 * opening


def test_a_remembered_token_costs_no_more_than_a_session(worker):
    session = work(worker, 0, PROGRAM, worker.login() + "; " + OTHERS)
    token = access_token(worker.account, header={"typ": "at+jwt", "filler": "x" * 400})
    bearer = work(worker, 0, PROGRAM | {"authorization": f"Bearer {token}"}, OTHERS)
    assert bearer < 1.3 * session
    another = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
    first = worker.vm.request("GET", "/api/items", PROGRAM | {"authorization": f"Bearer {another}"})
    assert first.verified == 1 and first.work > 2 * bearer, "nothing is known of a token with another byte"


def test_the_first_request_of_a_session_costs_no_more_than_the_next(worker):
    session = worker.login(asks=False)
    first, next_ = worker.work(session), worker.work(session)
    assert first < 1.3 * next_
