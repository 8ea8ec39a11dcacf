"""No request of a stranger costs more than its budget: instructions counted, for every parser and endpoint."""

import collections
import sys

import pytest

from harness.net import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "cost"))

import counted  # noqa: E402


@pytest.fixture(scope="module")
def counts():
    counter = counted.Counter()
    made = [(case, counter.count(case)) for case in counted.everything(counter.world)]
    counter.stop()
    return counter, made


def test_no_request_of_a_stranger_costs_more_than_its_budget(counts):
    _, made = counts
    over = [f"{case.name}: {count.work} of {counted.limit(case)}" for case, count in made if count.work > counted.limit(case)]
    assert not over, over[:20]


def test_the_budget_is_not_far_above_what_is_spent(counts):
    """The twin: were nothing read, nothing would be shown."""
    _, made = counts
    for kind in ("answer", "bounce", "redirect", "bearer", "logout token", "cookies", "password", "path"):
        assert max(count.work for case, count in made if kind in case.name) > 1_000_000, kind


def test_a_stranger_makes_few_uses_of_a_key(counts):
    """One; one more where the keys were fetched anew because of it, once a minute."""
    _, made = counts
    for case, count in made:
        assert count.private <= 1 and count.verified <= 1 + min(count.calls, 1), (case.name, count)


def test_a_stranger_costs_providers_next_to_nothing(counts):
    """Discovery and keys are fetched; what strangers send is worth a fetch a minute."""
    counter, made = counts
    asked = collections.Counter(one.endpoint for issuer in counter.world.idps.issuers.values() for one in issuer.asked)
    minutes = len(made) / 60 + 1  # a second passes between two requests
    assert sum(asked.values()) == 0, "nobody else asked"
    assert sum(count.calls for _, count in made) < 10 + 2 * minutes


def test_no_request_leaves_memory_behind(counts):
    counter, _ = counts
    assert counter.vm.memory_bytes < 32 << 20
    assert counter.vm.shared_bytes < 1 << 20
