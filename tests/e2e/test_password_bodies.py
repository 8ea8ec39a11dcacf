"""The password rule: bodies and heads that the filter and an application might read in two ways.

Every refusal has a twin that passes, and an application that received not one byte.
"""

import base64
import itertools

import pytest

from harness.app import Answer
from harness.client import exchange
from harness.expect import refused
from harness.password_rule import FORM, JSON, form, modes, passes, password, sign_in, untouched, ways
from harness.readers import agree


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-bodies")
    modes(world)
    world.account("nested", password("admins", logins=[
        {"path": "/login", "username": {"form": "user[name]"}, "success": {"status": [200]}},
        {"path": "/api/login", "username": {"json": "/user/name"}, "success": {"status": [200]}},
    ]))
    return world.start()


# The same login in other clothes.

def raw(account, head: str, body: bytes):
    return exchange(account.world.port, head.replace("\n", "\r\n").encode("latin-1") + b"connection: close\r\n\r\n" + body, method="POST")


@pytest.mark.parametrize("head", [
    "POST http://admins.app.test/login HTTP/1.1\nhost: evil.test\n",
    "POST /login HTTP/1.1\nhost: ADMINS.app.test\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nexpect: 100-continue\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nupgrade: websocket\nsec-websocket-key: eA==\nsec-websocket-version: 13\n",
    "POST /login#x HTTP/1.1\nhost: admins.app.test\n",
    "POST /login? HTTP/1.1\nhost: admins.app.test\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-original-url: /healthz\nx-rewrite-url: /healthz\n",
    "POST /healthz HTTP/1.1\nhost: admins.app.test\nx-original-url: /login\nx-http-method-override: GET\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-sso-user: root\nx-sso-method: password\n",
    "POST /login HTTP/1.1\nhost: admins.app.test\nx-forwarded-host: enabled.app.test\nx-forwarded-proto: https\n",
])
def test_a_login_in_other_clothes(world, head):
    """Nobody but an administrator gets a password to the application by it."""
    account = world.accounts["admins"]
    body = b"username=ada&password=right"
    mark = world.app.mark()
    reply = raw(account, head + f"content-type: {FORM}\ncontent-length: {len(body)}\n", body)
    if head.startswith("POST /healthz"):
        # Another path: it arrives as that, without the headers that would make it a login.
        [seen] = world.app.since(mark)
        assert seen.path == "/healthz" and not seen.all("x-original-url") and not seen.all("x-http-method-override")
        return
    assert reply.status in (100, 400, 403, 404), reply
    world.app.nothing_since(mark)


def test_nothing_of_a_refused_login_is_left_on_the_connection(world):
    """On one connection: a refused login, then a request that passes. The application sees the second only."""
    import http.client
    account = world.accounts["admins"]
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=30)
    mark = world.app.mark()
    for _ in range(3):
        connection.request("POST", "/login", b"username=ada&password=right&x=GET /who HTTP/1.1",
                           {"host": "admins.app.test", "content-type": FORM, "origin": account.origin})
        answer = connection.getresponse()
        assert answer.status in (400, 403), answer.read()
        answer.read()
        connection.request("GET", "/healthz", headers={"host": "admins.app.test"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()
    assert [(seen.method, seen.path, seen.body) for seen in world.app.since(mark)] == [("GET", "/healthz", b"")] * 3


# Bodies that parsers read differently.

def hostile_forms():
    """Two names in every way to write a form that some parser takes for one, in both orders."""
    spellings = ["username", "Username", "USERNAME", "user%6eame", "user%6Eame", "username[]", "username[0]", "username[x]", "username%5B%5D",
                 "+username", "username+", "%20username", "username%00", "username%00x", "user.name", "user_name", "username.", "%EF%BB%BFusername",
                 "user%C2%ADname", "ｕsername", "%EF%BD%95sername", "u%C5%BFername", "username%0a", "user%u006eame", "username[", "[username]",
                 "user[name]", "user%2525name", "_username", "username%5b", "\tusername", "username\x00"]
    for spelling, (mine, theirs), separator in itertools.product(spellings, [("root", "ada"), ("ada", "root")], ["&", ";", "&amp;", "\n"]):
        yield f"username={mine}{separator}{spelling}={theirs}&password=right"
        yield f"{spelling}={theirs}{separator}username={mine}&password=right"
    for name in ["root%00ada", "root%0aada", "root%0d%0a", "+root", "root+", "root%20", "%20root", "ro%6ft", "ro%C2%ADot", "r%EF%BD%8Fot", "roo%74",
                 "root%", "root%0", "root%zz", "%ff", "%C0%AFroot", "root%E2%80%8B", "ROOT", "root,ada", "root;ada", "root&ada", "root=ada",
                 "ren%C3%A9e", "rene%CC%81e", "ren%E9e", "%FEroot", "root%u0000", "root'--", "root%22", "root*", "", "%00", "root\x00", "root\tada"]:
        yield f"username={name}&password=right"
        yield f"password=right&username={name}"
    for extra in ["_charset_=utf-16", "_charset_=utf-8", "_method=PUT", "__proto__[username]=ada", "constructor=1", "&&&", "=", "=ada", "a=%",
                  "user=ada", "name=ada", "login=ada", "x[username]=ada", "json={\"username\":\"ada\"}", "x=" + "&x=" * 300]:
        yield f"username=root&password=right&{extra}"
        yield f"{extra}&username=root&password=right"
    yield "\ufeffusername=root&password=right"
    yield "username=root&password=right\r\n\r\nusername=ada"
    yield "{\"username\":\"ada\",\"password\":\"right\"}&username=root"
    yield ""
    yield "username"
    yield "password=right"
    yield "&".join(f"a{n}=1" for n in range(1001)) + "&username=root&password=right"
    yield "username=root&" + "&".join(f"a{n}=1" for n in range(1001)) + "&username=ada&password=right"


def hostile_json():
    keys = ['"username"', '"Username"', '"USERNAME"', '"user\\u006eame"', '"user\\u006Eame"', '"username "', '" username"', '"username\\u0000"',
            '"user.name"', '"user_name"', '"username[]"', '"username[0]"', '"user\\u00adname"', '"\\uff55sername"', '"u\\u017fername"', '"/username"',
            '"\\ufeffusername"', '"username\\n"', "'username'", "username", '"__proto__"', '"constructor"', '"$username"', '"userName"', '"user-name"']
    for key, (mine, theirs) in itertools.product(keys, [("root", "ada"), ("ada", "root")]):
        yield f'{{"username":"{mine}",{key}:"{theirs}","password":"right"}}'
        yield f'{{{key}:"{theirs}","username":"{mine}","password":"right"}}'
        yield f'{{"password":"right","username":"{mine}","x":1,{key}:["{theirs}"]}}'
    for value in ['"root\\u0000"', '"root\\u0000ada"', '"root "', '" root"', '"ro\\u006ft"', '"\\u0072oot"', '"root\\n"', '["root"]', '["root","ada"]',
                  '{"x":"root"}', "1", "null", "true", '"root', "'root'", "root", '"ROOT"', '"\\ud800root"', '"ro\\u00adot"', '"\\uff52oot"',
                  '"ren\\u00e9e"', '"rene\\u0301e"', '"renée"', '"rene\u0301e"', '""', '"\\u200broot"', '"root\\', '"ro\tot"', '"ro\x00ot"', '"root\ufeff"',
                  '"root" "ada"', '"root"/**/', '/**/"root"', '"root",', '"root"//x\n', "NaN", "1e999", '"\\x72oot"', '"roo\\t"']:
        yield f'{{"username":{value},"password":"right"}}'
        yield f'{{"password":"right","username":{value}}}'
    good = '{"username":"root","password":"right"}'
    other = good.replace("root", "ada")
    for body in [f"\ufeff{good}", f"{good}{other}", f"{good}\n{other}", f"{good}\x00{other}", f"[{good}]", f"[{good},{other}]", f"{good},", f"{good}]",
                 f"\x00{good}", f"\x0c{good}", f"\u00a0{good}", f"//x\n{good}", f")]}}',\n{good}", good[:-1], good[1:], good.replace(":", "="),
                 good.replace('"', "'"), '{"user":{"username":"ada"},"username":"root","password":"right"}',
                 '{"user":{"name":"ada"},"username":"root","password":"right"}', '{"x":{"username":"ada"},"username":"root","password":"right"}',
                 '{"username":"root","password":"right","x":{"a":1,"a":2}}', '{"username":"root","password":"right",}', '{"username":"root" "password":"right"}',
                 '{"username":"root","password":"right","username":"root"}', "[" * 5000, '{"a":' * 5000, '{"username":"root","password":"right","n":01}',
                 '{"username":"root","password":"right","n":+1}', '{"username":"root","password":"right","n":.5}',
                 '{"username":"root","password":"right","n":Infinity}', "", " ", "null", '"root"', "username=root&password=right", "{}",
                 f"username=ada&x={good}", '{"user":"ada","username":"root","password":"right"}', '{"login":"ada","username":"root","password":"right"}',
                 '{"username":"root","password":"\ud83d\ude00right"}'.encode("utf-16", "surrogatepass").decode("utf-16")]:
        yield body
    for charset in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"):
        yield good.encode(charset)
    yield good.replace("root", "roöt").encode("latin-1")
    yield b'{"username":"root","password":"right","x":"\xff"}'
    yield b'{"username":"r\xc0\xafoot","password":"right"}'
    yield b'{"username":"\xed\xa0\x80root","password":"right"}'


@pytest.mark.parametrize("mode", ["enabled", "admins"])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_no_body_is_read_in_two_ways(world, mode, kind):
    """Either the filter refuses it and the application receives not one byte, or every parser agrees with the filter on
    the name: `x-sso-user` of the session that it opened."""
    account = world.accounts[mode]
    path, content = ("/login", FORM) if kind == "form" else ("/api/login", JSON)
    codes, passed, problems = {}, 0, []
    # The application takes every password here, so that every login that passes shows who was ruled on.
    world.app.routes |= {"/login": lambda seen: Answer(), "/api/login": lambda seen: Answer()}
    try:
        for body in hostile_forms() if kind == "form" else hostile_json():
            client, mark = account.client(), world.app.mark()
            reply = client.post(account.url(path), body=body, headers={"origin": account.origin, "content-type": content})
            if reply.code:
                codes[reply.code] = codes.get(reply.code, 0) + 1
                try:
                    refused(reply, "username_unreadable", "password_not_allowed")
                    world.app.nothing_since(mark)
                except AssertionError as failed:
                    problems.append((body, repr(failed)))
                continue
            passed += 1
            [seen] = world.app.since(mark)
            sent = body if isinstance(body, bytes) else body.encode()
            user = client.get(account.url("/sso/session")).json()["user"]
            user = user["username"] if isinstance(user, dict) else user
            if seen.body != sent:
                problems.append((body, "not byte for byte", seen.body))
            if mode == "admins" and user not in ("root", "renée"):
                problems.append((body, "let in", user))
            if mistaken := agree(seen, user):
                problems.append((body, user, mistaken[:5]))
    finally:
        world.app.routes |= {"/login": sign_in, "/api/login": sign_in}
    assert problems == []
    assert codes.get("username_unreadable", 0) > 50 and passed > 5, (codes, passed)


@ways
def test_a_nested_field(world, way):
    account = world.accounts["nested"]
    good = "user%5Bname%5D=root&password=right" if way is form else '{"user":{"name":"root","x":1},"password":"right"}'
    kind = {"content-type": FORM if way is form else JSON}
    passes(account, lambda client: way(account, client=client, body=good, headers=kind))
    bad = (["user[name]=root&user%5Bname%5D=ada&password=right", "user%5Bname%5D=root&user=ada", "user.name=ada&user%5Bname%5D=root",
            "user%5Bname%5D%5B%5D=ada&user%5Bname%5D=root", "user%5Bname=ada&user%5Bname%5D=root", "user_name=ada&user%5Bname%5D=root"] if way is form else
           ['{"user":{"name":"root"},"user":{"name":"ada"}}', '{"user":{"name":"root","Name":"ada"}}', '{"user":{"name":"root"},"User":{"name":"ada"}}',
            '{"user":[{"name":"root"}]}', '{"user":{"name":"root"},"user.name":"ada"}', '{"user":{"name":["root"]}}', '{"user":"root"}'])
    for body in bad:
        untouched(account, lambda: way(account, body=body, headers=kind), "username_unreadable")


# Basic credentials.

@pytest.mark.parametrize("value", ["Basic {}", "basic {}", "BASIC  {}", "Basic\t{}"])
def test_basic_counts_on_paths_of_programs_only(world, value):
    account = world.accounts["admins"]
    headers = {"authorization": value.format(base64.b64encode(b"ada:right").decode())}
    mark = world.app.mark()
    assert account.client().get(account.url("/api/sql/x"), headers=headers).seen()["authorization"] == [headers["authorization"]]
    # `anyone`: passes without them.
    assert "authorization" not in account.client().get(account.url("/healthz"), headers=headers).seen()
    # `users`: nobody is signed in by them.
    mark = world.app.mark()
    refused(account.client().get(account.url("/who"), headers=headers), "login_required")
    world.app.nothing_since(mark)
    # Beside a session they do not arrive.
    client = passes(account, lambda client: form(account, client=client))
    assert "authorization" not in client.get(account.url("/who"), headers=headers).seen()
    # Nor beside a login that is ruled on, nor on the way to its page.
    mark = world.app.mark()
    account.client().get(account.url("/api/login"), headers=headers)
    passes(account, lambda client: form(account, client=client, headers=headers))
    assert all("authorization" not in (name.lower() for name, _ in seen.headers) for seen in world.app.since(mark))
