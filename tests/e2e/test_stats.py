"""What operators see: counters, histograms, access log fields, one JSON line for each event, and no secret."""

import urllib.parse

import pytest

from harness.expect import refused, session_cookies, signed_in
from harness.net import eventually


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("stats")
    world.account("acme")
    world.account("silent")
    world.start()
    return world


def counters(world, *words):
    return {name: value for name, value in world.envoy.stats("sso_").items() if all(word in name for word in words)}


def total(world, *words):
    return sum(counters(world, *words).values())


def event(world, **members):
    """Waits for a log line with these members; Envoy's log may lag a moment behind."""
    def found():
        return [line for line in world.envoy.events() if all(line.get(k) == v for k, v in members.items())]
    return eventually(found, what=f"a log line with {members}")


def test_logins_and_sessions_are_counted(world):
    acme = world.accounts["acme"]
    before, opened = total(world, "sso_logins", "acme", "corp", "outcome.ok"), total(world, "sso_sessions_opened")
    acme.signed_in()
    eventually(lambda: total(world, "sso_logins", "acme", "corp", "outcome.ok") == before + 1, what="the login's counter")
    assert total(world, "sso_sessions_opened") == opened + 1
    assert total(world, "sso_calls", "token") >= 1
    assert "sso_call_time" in world.envoy.stats_text()


def test_failed_logins_and_refusals_are_counted_by_code(world):
    acme = world.accounts["acme"]
    before = total(world, "sso_refusals", "id_token_invalid")
    acme.idp.change("claims", aud="other")
    callback, _ = acme.callback(acme.client())
    acme.idp.reset()
    refused(callback, "id_token_invalid")
    eventually(lambda: total(world, "sso_refusals", "id_token_invalid") == before + 1, what="the refusal's counter")
    assert total(world, "sso_logins", "acme", "outcome.id_token_invalid") >= 1
    (line,) = event(world, event="refusal", code="id_token_invalid")
    assert line["account"] == "acme" and "aud" in line["reason"] and line.get("request_id"), line


def test_ended_sessions_are_counted(world):
    acme = world.accounts["acme"]
    before = total(world, "sso_sessions_ended")
    client = acme.signed_in()
    client.browse(acme.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    eventually(lambda: total(world, "sso_sessions_ended") == before + 1, what="the counter of ended sessions")
    assert event(world, event="logout", user="ada@acme.com")


def test_each_event_is_one_line_of_json(world):
    acme = world.accounts["acme"]
    acme.signed_in()
    login = event(world, event="login", account="acme", user="ada@acme.com")[-1]
    assert login["idp"] == "corp" and login["method"] == "sso"
    assert event(world, event="configuration", outcome="loaded")


def test_the_access_log_knows_user_and_code(world):
    acme = world.accounts["acme"]
    client = acme.signed_in()
    client.get(acme.url("/logged/page"))
    refused(acme.client().get(acme.url("/logged/refused")), "login_required")
    refused(client.get(acme.url("/owners/logged")), "role_missing")

    def lines():
        by_path = {line["path"]: line for line in world.envoy.access_lines()}
        return by_path if "/owners/logged" in by_path else None

    by_path = eventually(lines, 30, every=0.5, what="the access log")
    assert by_path["/logged/page"]["user"] == "ada@acme.com" and by_path["/logged/page"]["code"] is None
    assert by_path["/logged/refused"]["code"] == "login_required" and by_path["/logged/refused"]["status"] == 401
    assert by_path["/owners/logged"]["code"] == "role_missing"


def test_no_secret_stands_in_log_stats_or_answers(world):
    acme = world.accounts["acme"]
    client = acme.client()
    hops = client.login(acme.url("/secret?x=1"))
    client.get(acme.url("/who"), headers={"authorization": "Bearer a-program's-token"})
    acme.client().browse(acme.url("/sso/oidc/consume?u=acme&code=the-code-of-nobody&state=the-state-of-nobody"))
    acme.client().get(acme.url("/who"), headers={"cookie": "__Host-sso=a-cookie-of-nobody"})
    code = next(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(hop.url).query)).get("code") for hop in hops
                if "/sso/oidc/consume" in hop.url)
    form = acme.idp.last("token").form
    secrets = [code, form["code_verifier"], "the secret of the client", "the-code-of-nobody", "a-cookie-of-nobody",
               "a-program's-token", *session_cookies(client).values(), *list(acme.idp.access_tokens)[-3:],
               world.environment["SSO_SESSION_KEY"]]
    seen = world.envoy.log_text() + world.envoy.stats_text()
    answers = "".join(hop.text for hop in hops if hop.url.startswith(acme.origin) and hop.code)
    for secret in secrets:
        assert secret not in seen and secret not in answers, secret


def test_hosts_and_paths_of_strangers_make_no_new_counters(world):
    acme = world.accounts["acme"]
    acme.client().get(acme.url("/warm-up"))
    refused(acme.client().get(acme.url("/"), host="warm-up.test"), "account_unknown")
    before = set(world.envoy.stats("sso_"))
    for number in range(50):
        acme.client().get(acme.url(f"/stranger-{number}"), host=f"stranger-{number}.test")
        acme.client().get(acme.url(f"/stranger-{number}"))
    new = set(world.envoy.stats("sso_")) - before
    assert not [name for name in new if "stranger" in name] and len(new) < 5, new
