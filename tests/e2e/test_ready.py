"""What a probe asks: whether the filter could rule on requests now."""

import pytest


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("ready")
    world.account("acme")
    world.account("off", {"sso": "disabled"})
    world.account("moved", {"paths": {"ready": "/internal/ready"}})
    world.start()
    return world


@pytest.mark.parametrize("host", ["acme.app.test", "off.app.test", "moved.app.test", "10.1.2.3:8080", "nobody.test", "x" * 200])
def test_it_answers_for_any_host_and_says_nothing(world, host):
    client = world.accounts["acme"].client()
    before = len(world.envoy.events())
    mark = world.app.mark()
    path = "/internal/ready" if host.startswith("moved") else "/sso/ready"
    for method in ("GET", "HEAD"):
        reply = client.request(method, f"https://acme.app.test{path}", host=host)
        assert reply.status == 200 and reply.body == b"" and reply.code == "ok", reply
        assert reply.get("cache-control") == "no-store" and not reply.set
    assert client.request("POST", f"https://acme.app.test{path}", host=host).status == 405
    world.app.nothing_since(mark)
    assert len(world.envoy.events()) == before, "probes come every few seconds"


def test_it_is_no_door(world):
    client = world.accounts["acme"].client()
    mark = world.app.mark()
    for path in ("/sso/ready/x", "/sso/ready;x", "/sso//ready", "/SSO/READY", "/sso/ready%2f..%2fx"):
        reply = client.request("GET", "https://acme.app.test/", target=path)
        assert reply.status in (400, 401) or reply.code == "ok" and not reply.body, reply
        assert client.request("GET", "https://acme.app.test/", target=path, host="nobody.test").status in (400, 404, 200)
    world.app.nothing_since(mark)


def test_it_is_ready_while_providers_are_down(world):
    world.idps.stop()
    assert world.accounts["acme"].client().get("https://acme.app.test/sso/ready").status == 200
