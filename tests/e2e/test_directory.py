"""From identity to user, over a static list and over SCIM: who is found, who is refused, what a
directory that misbehaves does, and what it is asked."""

import json
import time

import pytest

from harness.client import Client
from harness.expect import refused, session_cookies
from harness.idp import DROP
from harness.scim import user

ADA = {"username": "ada", "email": "ada@acme.com", "roles": ["editor"]}
BOB = {"username": "bob", "email": "bob@acme.com"}
PHONE = {"mapping": {"claim": "phone_number", "attribute": "phone", "default_country_code": "86"}}
NAME = {"mapping": {"claim": "preferred_username", "attribute": "username"}}
PAUL = {"username": "paul", "phone": "+86 138 0000 0000"}


def row(outcome, users=(ADA, BOB), changes=None, **person):
    return {"outcome": outcome, "users": [dict(one) for one in users], "changes": changes or {}, "person": person}


def ada(**changes):
    return ADA | changes


# What changes against the good case, and what comes of it: a username, or a code.
ROWS = {
    "one active user": row("ada"),
    "another case and spaces around it": row("ada", email=" ADA@Acme.COM "),
    "another case in the directory": row("ada", [ada(email="Ada@ACME.com"), BOB]),
    # A SCIM server that filters compares text: it does not find them, and nobody else gets in.
    "spaces in the directory": row("ada", [ada(email=" ada@acme.com "), BOB]) | {"scim": "identity_unknown"},
    "an inactive user": row("user_inactive", [ada(active=False), BOB]),
    "two users": row("identity_ambiguous", [ADA, BOB | {"email": "ada@acme.com"}]),
    "two users of different case": row("identity_ambiguous", [ADA, BOB | {"email": "ADA@ACME.COM"}]),
    "two users, one of them inactive": row("identity_ambiguous", [ADA, BOB | {"email": "ada@acme.com", "active": False}]),
    "nobody": row("identity_unknown", [BOB]),
    "an empty directory": row("identity_unknown", []),
    "a user without email": row("identity_unknown", [{"username": "ada"}, BOB]),
    "no claim": row("identity_missing", email=DROP),
    "an empty claim": row("identity_missing", email=""),
    "a claim of spaces": row("identity_missing", email="  "),
    "no address": row("identity_missing", email="ada"),
    "a number": row("identity_missing", email=7),
    "a list": row("identity_missing", email=["ada@acme.com"]),
    "null": row("identity_missing", email=None),
    "an object": row("identity_missing", email={"value": "ada@acme.com"}),
    "a look-alike letter": row("identity_unknown", email="аda@acme.com"),
    "a longer address": row("identity_unknown", email="ada@acme.com.evil.test"),
    "a quote that ends a filter": row({"identity_missing", "identity_unknown"}, email='x" or userName eq "ada'),
    "a wildcard": row({"identity_missing", "identity_unknown"}, email="*@acme.com"),
    "a backslash": row({"identity_missing", "identity_unknown"}, email='ada\\"@acme.com'),
    "linked to this subject": row("ada", [ada(external_id="{issuer}|248289761001"), BOB]),
    "linked to another subject": row("identity_conflict", [ada(external_id="{issuer}|somebody-else"), BOB]),
    "linked to another issuer": row("ada", [ada(external_id="https://other.test|somebody-else"), BOB]),
    "a link in a foreign form": row("ada", [ada(external_id="HR-00017"), BOB]),
    "verified": row("ada", changes={"mapping": {"email_verified": "required"}}),
    "verified as text": row("ada", changes={"mapping": {"email_verified": "required"}}, email_verified="true"),
    "required and absent": row("email_unverified", changes={"mapping": {"email_verified": "required"}}, email_verified=DROP),
    "required and false": row("email_unverified", changes={"mapping": {"email_verified": "required"}}, email_verified=False),
    "required and of another type": row("email_unverified", changes={"mapping": {"email_verified": "required"}},
                                        email_verified=1),
    "unless_false and absent": row("ada", email_verified=DROP),
    "unless_false and false": row("email_unverified", email_verified=False),
    "unless_false and false as text": row("email_unverified", email_verified="false"),
    "unless_false and of another type": row("email_unverified", email_verified=0),
    "ignored and false": row("ada", changes={"mapping": {"email_verified": "ignored"}}, email_verified=False),
    "ignored and of another type": row("ada", changes={"mapping": {"email_verified": "ignored"}}, email_verified=[]),
    "a nested claim": row("ada", changes={"mapping": {"claim": "/work/emails/0"}}, work={"emails": ["ada@acme.com"]}),
    "a nested claim that is not there": row("identity_missing", changes={"mapping": {"claim": "/work/emails/1"}},
                                            work={"emails": ["ada@acme.com"]}),
    "a username": row("ada", changes=NAME, preferred_username="ada", email_verified=False),
    "a username in another case": row({"identity_unknown", "identity_missing"}, changes=NAME, preferred_username="Ada"),
    "a phone as it is stored": row("paul", [PAUL, BOB], PHONE, phone_number="+86 138 0000 0000"),
    "a phone without separators": row("paul", [PAUL, BOB], PHONE, phone_number="+8613800000000"),
    "a phone with 00": row("paul", [PAUL, BOB], PHONE, phone_number="0086-138-0000-0000"),
    "a phone without country code": row("paul", [PAUL, BOB], PHONE, phone_number="138.0000.0000"),
    "a phone with parentheses": row("paul", [PAUL, BOB], PHONE, phone_number="+86 (138) 0000-0000"),
    "stored without country code": row("paul", [PAUL | {"phone": "138-0000-0000"}, BOB], PHONE, phone_number="+8613800000000"),
    "stored with 00": row("paul", [PAUL | {"phone": "008613800000000"}, BOB], PHONE, phone_number="+8613800000000"),
    "stored in an odd notation": row("paul", [PAUL | {"phone": "(+86) 13.80.00.00.000"}, BOB], PHONE,
                                     phone_number="+8613800000000"),
    "a phone of two, in two notations": row("identity_ambiguous", [PAUL, BOB | {"phone": "0086 13800000000"}], PHONE,
                                            phone_number="+8613800000000"),
    "another country": row("identity_unknown", [PAUL, BOB], PHONE, phone_number="+113800000000"),
    "no phone": row("identity_missing", [PAUL, BOB], PHONE, phone_number="call me"),
    "a phone as number": row("identity_missing", [PAUL, BOB], PHONE, phone_number=8613800000000),
}


def static_users(one_row, issuer):
    return [one | ({"external_id": one["external_id"].format(issuer=issuer)} if "external_id" in one else {})
            for one in one_row["users"]]


def scim_users(one_row, issuer):
    made = []
    for one in static_users(one_row, issuer):
        link = one.pop("external_id", None)
        made.append(user(one.pop("username"), **one, **({"externalId": link} if link else {})))
    return made


def code_of(kind, index):
    return f"{kind}-{index}"


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("directory")
    for index, one_row in enumerate(ROWS.values()):
        for kind in ("static", "scim", "whole"):
            account = world.account(code_of(kind, index), one_row["changes"])
            account.idp.person |= {k: v for k, v in one_row["person"].items() if v is not DROP}
            account.idp.change("claims", **{k: v for k, v in one_row["person"].items() if v is DROP})
            if kind == "static":
                account.config["directory"] = {"static": {"users": static_users(one_row, account.idp.issuer)}}
            else:
                directory = world.directory(account.code)
                directory.users = scim_users(one_row, account.idp.issuer)
                directory.ignore_filter = kind == "whole"
    for code in ("one", "faults", "counts", "shapes", "phones"):
        world.account(code, PHONE if code == "phones" else {})
        world.directory(code, timeout="1s")
    world.account("roles", {"mapping": {"roles_claim": "groups", "role_map": {"lakehouse-admins": "account_admin", "writers": "a,b",
                                                                              "editors": "editor"}}})
    world.directory("roles")
    world.account("bare", {"mapping": {"roles_claim": "groups", "role_map": {"lakehouse-admins": "account_admin"}}})
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


def attempt(account) -> tuple[Client, object]:
    client = account.client()
    return client, client.login(account.url("/who"))[-1]


def check(account, outcome):
    """Signs in, and is let in as this user, or refused with this code (one of these codes) with nobody let in."""
    mark = account.world.app.mark()
    client, reply = attempt(account)
    known = {one["username"] for one_row in ROWS.values() for one in one_row["users"]}
    if outcome in known:
        assert reply.status == 200 and reply.code is None, reply
        assert reply.seen()["x-sso-user"] == [outcome], reply.seen()
        return client, reply
    codes = outcome if isinstance(outcome, set) else {outcome}
    refused(reply, *codes)
    account.world.app.nothing_since(mark)
    assert not session_cookies(client)
    refused(client.get(account.url("/who")), "login_required")
    return client, reply


@pytest.mark.parametrize("kind", ["static", "scim", "whole"])
@pytest.mark.parametrize("what", ROWS)
def test_the_table_of_identities(world, what, kind):
    """`whole` is a directory that ignores filters and returns everybody."""
    account = world.accounts[code_of(kind, list(ROWS).index(what))]
    outcome = ROWS[what].get(kind, ROWS[what]["outcome"])
    _, reply = check(account, outcome)
    if outcome == "identity_missing":
        claim = account.config["mapping"].get("claim", "email")
        assert claim.strip("/").split("/")[0] in reply.text, "the answer does not name the field"


# Roles.

@pytest.mark.parametrize("groups, stored, expected", [
    (["lakehouse-admins"], ["editor"], {"account_admin", "editor"}),
    (["lakehouse-admins"], [], {"account_admin"}),
    ([], ["editor"], {"editor"}),
    (["editors"], ["editor"], {"editor"}),
    (["account_admin", "editor", "unmapped"], ["viewer"], {"viewer"}),
    (["Lakehouse-Admins", "lakehouse-admins2"], [], set()),
    (["writers"], [], {"a%2Cb"}),
    (None, ["editor"], {"editor"}),
])
def test_roles_are_the_union_of_directory_and_role_map(world, groups, stored, expected):
    account, directory = world.accounts["roles"], world.dirs["roles"]
    account.idp.reset()
    del account.idp.person["groups"]
    account.idp.person |= {} if groups is None else {"groups": groups}
    directory.reset().add("ada", email="ada@acme.com", roles=stored)
    _, reply = attempt(account)
    told = reply.seen().get("x-sso-roles", [""])
    assert len(told) == 1 and set(filter(None, told[0].split(","))) == expected, reply.seen()


def test_without_a_directory_the_identity_is_the_user(world):
    _, reply = attempt(world.accounts["bare"])
    assert reply.seen()["x-sso-user"] == ["ada@acme.com"] and reply.seen()["x-sso-roles"] == ["account_admin"]


# What a directory may do.

@pytest.fixture
def one(world):
    account, directory = world.accounts["faults"], world.dirs["faults"]
    account.idp.reset()
    directory.reset().add("ada", email="ada@acme.com", roles=["editor"], id="ada-1")
    directory.add("bob", email="bob@acme.com")
    return account, directory


def listing(*resources, **changes) -> bytes:
    return json.dumps({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(resources),
                       "startIndex": 1, "itemsPerPage": len(resources), "Resources": list(resources)} | changes).encode()


GOOD = user("ada", email="ada@acme.com", id="ada-1")
FAULTS = {
    "slow": dict(delay=8),
    "hangs up": dict(drop=True),
    "unauthorized": dict(status=401, body=b"{}"),
    "forbidden": dict(status=403, body=b"{}"),
    "not found": dict(status=404, body=b"{}"),
    "too many": dict(status=429, body=b"", headers={"retry-after": "1"}),
    "broken": dict(status=500, body=b"oops"),
    "unavailable": dict(status=503, body=b""),
    "a redirect": dict(status=302, body=b"", headers={"location": "http://evil.test/"}),
    "no content": dict(status=204, body=b""),
    "an error with a good body": dict(status=500, body=listing(GOOD)),
    "accepted, not done": dict(status=202, body=listing(GOOD)),
    "HTML": dict(body=b"<!doctype html><title>Sign in</title>", headers={"content-type": "text/html"}),
    "nothing": dict(body=b""),
    "enormous": dict(body=b'{"totalResults": 1, "Resources": [' + b" " * (6 << 20) + b"]}"),
    "truncated on the wire": dict(truncate=True, body=listing(GOOD)[:-40]),
    "truncated JSON": dict(body=listing(GOOD)[:-2]),
    "more after the JSON": dict(body=listing(GOOD) + b"{}"),
    "a list": dict(body=b"[]"),
    "an empty object": dict(body=b"{}"),
    "null": dict(body=b"null"),
    "Resources of another type": dict(body=listing(GOOD, Resources="ada")),
    "a user of another type": dict(body=listing("ada")),
    "not UTF-8": dict(body=listing(GOOD).replace(b"work", b"w\xff\xfe")),
    "a member twice": dict(body=listing(GOOD).replace(b'"active": true', b'"active": true, "active": false')),
    "Resources twice": dict(body=listing(GOOD)[:-1] + b', "Resources": []}'),
    "active of another type": dict(body=listing(GOOD | {"active": "perhaps"})),
    "emails of another type": dict(body=listing(GOOD | {"emails": 7})),
    "a userName of another type": dict(body=listing(GOOD | {"userName": ["ada"]})),
    "no userName": dict(body=listing({k: v for k, v in GOOD.items() if k != "userName"})),
    "more users promised than shown": dict(body=listing(GOOD, totalResults=50)),
    "deeply nested": dict(body=b"[" * 100000 + b"]" * 100000),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_broken_directory_signs_nobody_in(one, what):
    account, directory = one
    directory.fault("GET", **FAULTS[what])
    started = time.monotonic()
    check(account, "directory_unavailable")
    assert time.monotonic() - started < 6, "longer than its timeout by far"
    assert account.world.envoy.alive
    directory.faults.clear()
    check(account, "ada")


def test_a_directory_that_refuses_connections_signs_nobody_in(make_world):
    world = make_world("no-directory")
    account = world.account("acme")
    world.directory("acme")
    world.cluster_table["acme.scim.test"] = "dead"
    nowhere = world.account("nowhere")
    world.directory("nowhere")
    world.cluster_table["nowhere.scim.test"] = "no-such-cluster"
    world.start()
    for account in (account, nowhere):
        check(account, "directory_unavailable")


ANSWERS = {
    "another user than asked for": (lambda found: [user("bob", email="bob@acme.com")], "identity_unknown"),
    "everybody": (lambda found: found + [user(f"u{n}", email=f"u{n}@acme.com") for n in range(50)], "ada"),
    "two users": (lambda found: found + [user("eve", email="ada@acme.com")], "identity_ambiguous"),
    "the same user twice": (lambda found: found + found, "ada"),
    "two records of one name": (lambda found: found + [user("ada", email="ada@acme.com")], "identity_ambiguous"),
    "nobody": (lambda found: [], "identity_unknown"),
    "an address that begins alike": (lambda found: [user("eve", email="ada@acme.com.evil.test")], "identity_unknown"),
    "an inactive one as text": (lambda found: [GOOD | {"active": "False"}], "directory_unavailable"),
    "one without active": (lambda found: [{k: v for k, v in GOOD.items() if k != "active"}], "ada"),
    "a second address": (lambda found: [user("ada", emails=["old@acme.com", "ada@acme.com"], id="ada-1")], "ada"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_a_directory_returns_is_compared_again(one, what):
    account, directory = one
    directory.resources, outcome = ANSWERS[what]
    check(account, outcome)


def test_a_user_beyond_the_first_page_counts(one):
    account, directory = one
    directory.page, directory.ignore_filter = 7, True
    directory.users = [user(f"u{n}", email=f"u{n}@acme.com") for n in range(40)] + directory.users
    # Nobody is linked yet.
    directory.add("eve", email="ada@acme.com")
    check(account, "identity_ambiguous")
    directory.users = [one for one in directory.users if one["userName"] != "eve"]
    check(account, "ada")
    # From then on the link names her, whoever else claims her address.
    directory.add("eve", email="ada@acme.com")
    check(account, "ada")


def test_a_server_that_shows_its_first_page_again_and_again_hides_nobody(one):
    account, directory = one
    page = listing(GOOD, totalResults=2)
    directory.fault("GET", body=page)
    check(account, "directory_unavailable")


def test_phones_where_the_server_has_no_ends_with(world):
    account, directory = world.accounts["phones"], world.dirs["phones"]
    account.idp.person["phone_number"] = "138 0000 0000"
    directory.reset().add("paul", phone="+86 138-0000-0000")
    directory.no_ends_with = True
    for _ in range(3):
        check(account, "paul")


# What it is asked.

def test_one_request_for_a_login_and_two_more_for_the_first(world):
    account, directory = world.accounts["counts"], world.dirs["counts"]
    directory.reset().add("ada", email="ada@acme.com")
    client, _ = check(account, "ada")
    assert directory.methods() == ["GET", "GET", "PATCH"], directory.asked
    assert directory.asked[0].headers["authorization"].startswith("Bearer ")
    assert directory.asked[0].filter == f'externalId eq "{account.idp.issuer}|248289761001"'
    assert 'emails.value eq "ada@acme.com"' in directory.asked[1].filter
    assert directory.users[0]["externalId"] == f"{account.idp.issuer}|248289761001"
    for _ in range(20):
        assert client.get(account.url("/who")).status == 200
    assert directory.count() == 3, "a request with a session asks the directory"
    for times in range(1, 4):
        check(account, "ada")
        assert directory.methods(3) == ["GET"] * times, "the link alone"
    # Given to a new person, the address does not open the old account.
    account.idp.person["sub"] = "a new person"
    check(account, "identity_conflict")
    account.idp.reset()
    check(account, "ada")
    assert directory.count("PATCH") == 1


@pytest.mark.parametrize("fault", [dict(status=500, body=b""), dict(status=403, body=b"{}"), dict(drop=True), dict(delay=8),
                                   dict(status=412, body=b"{}")], ids=str)
def test_a_link_that_cannot_be_written_keeps_nobody_out(one, fault):
    account, directory = one
    directory.fault("PATCH", **fault)
    check(account, "ada")
    assert "externalId" not in directory.named("ada")[0]


def test_a_foreign_link_is_left_alone(one):
    account, directory = one
    directory.users[0]["externalId"] = "HR-00017"
    check(account, "ada")
    assert directory.users[0]["externalId"] == "HR-00017" and directory.count("PATCH") == 0


def test_a_wrong_token_is_no_empty_directory(one):
    account, directory = one
    directory.fault("GET", status=401, body=json.dumps({"totalResults": 0, "Resources": []}).encode())
    check(account, "directory_unavailable")


def test_the_token_is_nowhere_to_be_seen(world, one):
    account, directory = one
    directory.fault("GET", status=500, body=b"Bearer the token of the directory")
    _, reply = check(account, "directory_unavailable")
    assert "the token of the directory" not in reply.text
    assert "the token of the directory" not in world.envoy.log_text() + world.envoy.stats_text()
    assert directory.host not in reply.text, "an internal name on a page"
