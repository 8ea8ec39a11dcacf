"""A SCIM server that we did not write: Canaille 0.3.6. It ignores filters, never returns externalId, and is strict about
what it is sent."""

import pytest

from harness.canaille import Canaille
from harness.expect import refused, session_cookies
from harness.net import eventually

def person(username: str, name: str, **attributes) -> dict:
    return {"userName": username, "displayName": name, "active": True, "emails": [{"value": f"{username}@acme.com"}],
            "name": {"formatted": name, "familyName": name.split()[-1]}} | attributes


PEOPLE = [person("ada", "Ada Lovelace"), person("bob", "Bob Bobson", phoneNumbers=[{"value": "+86 138 0000 0000"}]),
          person("ivan", "Ivan Inactive", active=False)]


@pytest.fixture(scope="module")
def world(make_world):
    canaille = Canaille(PEOPLE)
    world = make_world("canaille", session={"recheck": "1s"})
    world.canaille = canaille
    world.environment["CANAILLE_TOKEN"] = canaille.token
    world.clusters["canaille"] = canaille.port
    world.cluster_table[canaille.host] = "canaille"
    directory = {"scim": {"url": canaille.url, "token": {"env": "CANAILLE_TOKEN"}, "timeout": "10s", "cache": "0s"}}
    for code, changes in {
        "acme": {"password": {"mode": "enabled", "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}]}},
        "phone": {"mapping": {"claim": "phone_number", "attribute": "phone", "default_country_code": "86"}},
        "auto": {"provisioning": {"mode": "automatic", "email_domains": ["newpeople.com"], "roles": []}},
    }.items():
        world.account(code, changes | {"directory": directory})
    world.account("wrong", {"directory": {"scim": directory["scim"] | {"token": {"value": "not a token"}}}})
    world.start()
    yield world
    canaille.stop()


def attempt(account, **person):
    account.idp.person |= person
    client = account.client()
    return client, client.login(account.url("/who"))[-1]


def test_a_login_by_email_leads_to_its_user(world):
    _, reply = attempt(world.accounts["acme"], email="Ada@acme.com")
    assert reply.status == 200 and reply.code is None, reply
    assert reply.seen()["x-sso-user"] == ["ada"]
    _, reply = attempt(world.accounts["acme"], email="bob@acme.com", sub="bob")
    assert reply.seen()["x-sso-user"] == ["bob"]


def test_a_login_by_phone(world):
    _, reply = attempt(world.accounts["phone"], phone_number="138-0000-0000")
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["bob"], reply


def test_the_link_is_offered_and_does_no_harm(world):
    """Canaille knows externalId as read-only; what it says to the link keeps nobody out and changes nothing else."""
    before = {name: {k: v for k, v in one.items() if k != "meta"} for name, one in world.canaille.users().items()}
    _, reply = attempt(world.accounts["acme"], email="ada@acme.com", sub="248289761001")
    assert reply.status == 200, reply
    after = {name: {k: v for k, v in one.items() if k != "meta"} for name, one in world.canaille.users().items()}
    assert {name: after[name] for name in before} == before
    log = (world.canaille.directory / "log").read_text()
    assert "Traceback" not in log, log[-3000:]


@pytest.mark.parametrize("email, code", [("ivan@acme.com", "user_inactive"), ("eve@acme.com", "identity_unknown")])
def test_inactive_and_unknown_people_are_refused(world, email, code):
    mark = world.app.mark()
    client, reply = attempt(world.accounts["acme"], email=email, sub=email)
    refused(reply, code)
    assert not session_cookies(client)
    world.app.nothing_since(mark)


def test_a_wrong_token_signs_nobody_in(world):
    refused(attempt(world.accounts["wrong"])[1], "directory_unavailable")


def test_a_password_login_finds_its_user(world):
    account = world.accounts["acme"]
    client = account.client()
    reply = client.post(account.url("/login"), body={"username": "ada", "password": "CorrectHorse9!"},
                        headers={"origin": account.origin})
    assert reply.status == 200 and session_cookies(client), reply
    mark = world.app.mark()
    refused(account.client().post(account.url("/login"), body={"username": "ivan", "password": "x"},
                                  headers={"origin": account.origin}), "user_inactive")
    world.app.nothing_since(mark)


def test_somebody_new_is_created_there(world):
    account = world.accounts["auto"]
    _, reply = attempt(account, email="carol@newpeople.com", sub="carol", name="Carol Newman", given_name="Carol", family_name="Newman")
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["carol@newpeople.com"], reply
    made = world.canaille.users()["carol@newpeople.com"]
    assert [one["value"] for one in made["emails"]] == ["carol@newpeople.com"]
    _, reply = attempt(account)
    assert reply.status == 200 and len(world.canaille.users()) == len(PEOPLE) + 1


def test_a_user_who_is_locked_there_is_out(world):
    account = world.accounts["acme"]
    client, reply = attempt(account, email="bob@acme.com", sub="bob")
    assert reply.status == 200
    record = world.canaille.users()["bob"]
    status, said = world.canaille.ask("PATCH", f"/Users/{record['id']}", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}]})
    assert status in (200, 204) and world.canaille.users()["bob"]["active"] is False, said
    reply = eventually(lambda: (r := client.get(account.url("/who"))).status != 200 and r, what="the end of the session")
    refused(reply, "user_inactive", "session_expired")
