"""Dashboard and alert rules name only metrics and labels that the filter has, with values that it can have."""

import json
import re

import pytest
import yaml

from harness.net import PROJECT, eventually
from test_bearer import AUDIENCE, access_token, ask

MONITORING = PROJECT / "envoy/monitoring"
TAGS = yaml.safe_load((PROJECT / "envoy/envoy.yaml").read_text())["stats_config"]["stats_tags"]
SERIES = re.compile(r"\b(sso_[a-z_]+?)(?:_bucket)?\s*(?:\{([^}]*)\})?(?=[\[)\s,]|$)")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def expressions() -> list[str]:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return panels + [rule["expr"] for group in rules for rule in group["rules"]]


def declared() -> dict[str, set[str]]:
    """The filter's metrics with their labels, as the source names them."""
    found: dict[str, set[str]] = {}
    gauges = re.findall(r'gauge\("(sso_[^"]+)"', (PROJECT / "src/proxy/engine.rs").read_text())
    for text in gauges + re.findall(r'"(sso_[^"]+)"', (PROJECT / "src/host/events.rs").read_text()):
        name, *parts = text.split(".")
        found.setdefault(name, set()).update(f"sso_{tag}" for tag in parts[::2])
    return found


def used() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    labels = {tag["tag_name"] for tag in TAGS}
    return [(expression, name, MATCHER.findall(matchers)) for expression in expressions()
            for name, matchers in SERIES.findall(expression) if name not in labels]


def test_every_metric_and_label_is_one_of_the_filter():
    metrics = declared()
    assert len(used()) > 20
    for expression, name, matchers in used():
        assert name in metrics, f"{name} in {expression}"
        for label, _, _ in matchers:
            assert label in metrics[name], f"{label} of {name} in {expression}"
    for expression in expressions():
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        names = [name for _, name, _ in used() if name in expression]
        for label in [one.strip() for group in grouped for one in group.split(",") if one.strip() != "le"]:
            assert any(label in metrics[name] for name in names), f"{label} in {expression}"


def test_every_value_that_a_rule_waits_for_can_come():
    source = (PROJECT / "src/fault.rs").read_text() + "".join(
        file.read_text() for file in (PROJECT / "src").rglob("*.rs"))
    for expression, _, matchers in used():
        for label, _, value in matchers:
            for word in value.split("|"):
                assert word.startswith("$") or f'"{word}"' in source, f"{label}={word} in {expression}"


def test_the_whole_dashboard_shows_every_metric():
    shown = {name for _, name, _ in used()}
    assert set(declared()) - shown == set(), "a metric that no panel shows"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("monitoring", stats_tags=TAGS)
    world.account("acme", {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}})
    world.start()
    return world


def test_envoy_gives_prometheus_these_names_and_labels(world):
    acme = world.accounts["acme"]
    client = acme.signed_in()
    client.get(acme.url("/owners/x"))
    ask(acme, access_token(acme))
    ask(acme, "nonsense")
    client.request("POST", acme.url("/sso/logout"), headers={"origin": acme.origin, "sec-fetch-site": "same-origin"})

    def series():
        text = world.envoy.get_admin("/stats/prometheus")
        return {name: set(re.findall(r'(sso_\w+)="', labels)) for name, labels in re.findall(r"^(sso_[a-z_]+)\{([^}]*)\}", text, re.M)}

    wanted = {"sso_logins", "sso_sessions_opened", "sso_sessions_ended", "sso_refusals", "sso_bearer_tokens", "sso_calls",
              "sso_configurations", "sso_call_time_ms_bucket"}
    found = eventually(lambda: (lambda s: wanted <= set(s) and s)(series()), what="every metric")
    for name in wanted:
        assert found[name] == declared()[name.removesuffix("_bucket")], name
