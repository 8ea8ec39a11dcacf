"""Envoy's own filters around this one, as docs/envoy-filters.md has them: cors, rbac, api_key_auth, basic_auth, csrf."""

import base64
import hashlib

import pytest
import yaml

from harness.expect import refused
from harness.net import PROJECT
from test_bearer import AUDIENCE, access_token, ask

TYPE = "type.googleapis.com/envoy.extensions.filters.http"
FRONTEND = "https://frontend.example"
ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def envoy_filter(name: str, kind: str, disabled: bool = False, **config) -> dict:
    found = {"name": name, "typed_config": {"@type": f"{TYPE}.{name}.v3.{kind}", **config}}
    return found | ({"disabled": True} if disabled else {})


CORS = envoy_filter("cors", "Cors")
CORS_POLICY = {"cors": {
    "@type": f"{TYPE}.cors.v3.CorsPolicy",
    "allow_origin_string_match": [{"exact": FRONTEND}],
    "allow_methods": "GET, POST, DELETE", "allow_headers": "authorization, content-type", "allow_credentials": True,
    "expose_headers": "x-sso-code", "max_age": "600"}}
RBAC = envoy_filter("rbac", "RBAC", rules={"action": "ALLOW", "policies": {
    "reports": {
        "permissions": [{"url_path": {"path": {"prefix": "/reports/"}}}],
        "principals": [{"header": {"name": "x-sso-roles", "string_match": {"safe_regex": {"regex": "(.*,)?auditor(,.*)?"}}}}]},
    "others": {
        "permissions": [{"not_rule": {"url_path": {"path": {"prefix": "/reports/"}}}}],
        "principals": [{"any": True}]}}})
SHA = base64.b64encode(hashlib.sha1(b"etl-secret").digest()).decode()
API_KEYS = envoy_filter("api_key_auth", "ApiKeyAuth", disabled=True)
BASIC = envoy_filter("basic_auth", "BasicAuth", disabled=True, users={"inline_string": f"nobody:{{SHA}}{SHA}"})
CSRF = envoy_filter("csrf", "CsrfPolicy", filter_enabled=ALWAYS)


def route(prefix: str, **per_filter) -> dict:
    return {"match": {"prefix": prefix}, "route": {"cluster": "app"}, "typed_per_filter_config": per_filter}


ROUTES = [
    route("/api/sql/", csrf={"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True},
          api_key_auth={"@type": f"{TYPE}.api_key_auth.v3.ApiKeyAuthPerRoute",
                        "credentials": [{"key": "key-of-etl", "client": "etl"}], "key_sources": [{"header": "x-api-key"}],
                        "forwarding": {"header": "x-client", "hide_credentials": True}}),
    route("/api/batch/", csrf={"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True},
          basic_auth={"@type": f"{TYPE}.basic_auth.v3.BasicAuthPerRoute", "users": {"inline_string": f"etl:{{SHA}}{SHA}"}}),
]


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("envoy-filters", routes=ROUTES, per_filter=CORS_POLICY)
    world.account("acme", {
        "bearer": {"audiences": [AUDIENCE], "providers": ["corp"]},
        "mapping": {"role_map": {"auditors": "auditor", "owners": "owner"}},
        "access": [{"prefix": "/api/sql/", "allow": "programs"}, {"prefix": "/api/batch/", "allow": "programs"},
                   {"prefix": "/hr/", "allow": "users", "methods": ["GET"], "roles": ["auditor"]}],
    }, response_mode="form_post")
    plain = world.filters
    world.filters = lambda config=None: [CORS, *plain(config), RBAC, API_KEYS, BASIC, CSRF]
    world.start()
    return world


def test_a_preflight_is_answered_before_anybody_asks_who_is_there(world):
    acme = world.accounts["acme"]
    mark = world.app.mark()
    for path in ("/who", "/hr/x", "/sso/session"):
        reply = acme.client().request("OPTIONS", acme.url(path), headers={
            "origin": FRONTEND, "access-control-request-method": "DELETE", "access-control-request-headers": "authorization"})
        assert reply.status == 200 and reply.code is None, reply
        assert reply.get("access-control-allow-origin") == FRONTEND
        assert "DELETE" in reply.get("access-control-allow-methods")
        assert reply.get("access-control-allow-credentials") == "true"
    # Without Access-Control-Request-Method it is not a preflight, and from elsewhere it is not allowed.
    for headers in ({"origin": FRONTEND}, {"origin": "https://evil.test", "access-control-request-method": "GET"}):
        reply = refused(acme.client().request("OPTIONS", acme.url("/who"), headers=headers), "login_required")
        assert (reply.get("access-control-allow-origin") is not None) == (headers["origin"] == FRONTEND)
    world.app.nothing_since(mark)


def test_a_refusal_can_be_read_by_the_page_that_asked(world):
    acme = world.accounts["acme"]
    headers = {"origin": FRONTEND, "sec-fetch-mode": "cors", "sec-fetch-site": "cross-site"}
    reply = refused(acme.client().get(acme.url("/who"), headers=headers), "login_required")
    assert reply.get("access-control-allow-origin") == FRONTEND and reply.get("access-control-expose-headers") == "x-sso-code"
    reply = refused(ask(acme, "nonsense", **headers), "token_invalid")
    assert reply.get("access-control-allow-origin") == FRONTEND
    other = refused(acme.client().get(acme.url("/who"), headers=headers | {"origin": "https://evil.test"}), "login_required")
    assert other.get("access-control-allow-origin") is None
    reply = ask(acme, access_token(acme), **headers)
    assert reply.status == 200 and reply.get("access-control-allow-origin") == FRONTEND


def test_rbac_decides_on_the_headers_that_this_filter_sets(world):
    acme = world.accounts["acme"]
    for groups, let_in in ((["auditors"], True), (["owners", "auditors"], True), (["owners"], False), ([], False)):
        acme.idp.person |= {"groups": groups}
        client = acme.signed_in("/who")
        mark = world.app.mark()
        for forged in ({}, {"x-sso-roles": "auditor"}, {"X_Sso_Roles": "auditor"}):
            reply = client.get(acme.url("/reports/q1"), headers=forged)
            assert (reply.status == 200) == let_in, (groups, forged, reply)
        if not let_in:
            assert reply.status == 403 and reply.code is None, "the answer is rbac's"
            world.app.nothing_since(mark)
        assert client.get(acme.url("/who")).status == 200


def test_programs_show_an_api_key_or_basic_credentials_to_envoy(world):
    acme = world.accounts["acme"]
    client = acme.client()
    mark = world.app.mark()
    assert client.get(acme.url("/api/sql/x")).status == 401
    assert client.get(acme.url("/api/sql/x"), headers={"x-api-key": "wrong"}).status == 401
    assert client.get(acme.url("/api/batch/x")).status == 401
    basic = lambda text: {"authorization": "Basic " + base64.b64encode(text).decode()}  # noqa: E731
    assert client.get(acme.url("/api/batch/x"), headers=basic(b"etl:wrong")).status == 401
    world.app.nothing_since(mark)
    seen = client.request("POST", acme.url("/api/sql/x"), headers={"x-api-key": "key-of-etl", "x-sso-user": "root"}, body=b"q").seen()
    assert seen["x-client"] == ["etl"] and "x-api-key" not in seen and "x-sso-user" not in seen
    assert client.get(acme.url("/api/batch/x"), headers=basic(b"etl:etl-secret")).status == 200
    # Neither opens any other path.
    refused(client.get(acme.url("/who"), headers={"x-api-key": "key-of-etl"}), "login_required")
    refused(client.get(acme.url("/who"), headers=basic(b"etl:etl-secret")), "login_required")


def test_csrf_behind_this_filter_judges_the_applications_posts_alone(world):
    acme = world.accounts["acme"]
    client = acme.signed_in("/who")  # by form_post: a cross-site POST of the provider, which csrf would refuse
    mark = world.app.mark()
    for headers in ({"origin": "https://evil.test"}, {}):
        reply = client.request("POST", acme.url("/transfer"), headers=headers, body=b"x")
        assert reply.status == 403 and reply.code is None and reply.text == "Invalid origin", reply
    world.app.nothing_since(mark)
    assert client.request("POST", acme.url("/transfer"), headers={"origin": acme.origin}, body=b"x").status == 200
    reply = client.request("POST", acme.url("/sso/logout"), headers={"origin": acme.origin, "sec-fetch-site": "same-origin"})
    assert reply.code is not None and reply.text != "Invalid origin"


def test_the_rule_of_the_documents_refuses_server_actions(make_world):
    """Any page runs them, and no path names them: docs/passwords.md has the filter that keeps them from open paths."""
    block = (PROJECT / "docs/passwords.md").read_text().split("```yaml")[-1].split("```")[0]
    [rule] = yaml.safe_load(block)
    world = make_world("server-actions")
    acme = world.account("acme", {"access": [{"prefix": "/", "allow": "anyone"}]})
    plain = world.filters
    world.filters = lambda config=None: [rule, *plain(config)]
    world.start()
    mark = world.app.mark()
    for method, path, header in (("POST", "/open", "next-action"), ("POST", "/login", "Next-Action"), ("PUT", "/x", "NEXT-ACTION"), ("GET", "/", "next-action")):
        for value in ("4" * 40, ""):
            body = None if method == "GET" else b"--x\r\n\r\nx\r\n--x--"
            reply = acme.client().request(method, acme.url(path), headers={header: value, "content-type": "multipart/form-data; boundary=x"}, body=body)
            assert reply.status == 403 and reply.text == "RBAC: access denied", (method, path, value, reply)
    world.app.nothing_since(mark)
    assert acme.client().request("POST", acme.url("/open"), headers={"content-type": "multipart/form-data; boundary=x"}, body=b"x").status == 200
    assert acme.client().get(acme.url("/open"), headers={"next-router-state-tree": "x"}).status == 200
