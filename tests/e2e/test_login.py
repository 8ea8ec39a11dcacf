"""Signing in with OpenID Connect and OAuth 2.0: who gets in, what the application is told, what is refused."""

import re
import urllib.parse

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from harness import jose
from harness.client import exchange
from harness.expect import flow_cookies, is_session, refused, signed_in, signed_out


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("login")
    world.account("acme")
    world.account("tabs")
    world.account("post", client_auth="post")
    world.account("basic", client_auth="basic")
    world.account("none", client_secret=None, client_auth="none").idp.clients = {"lakehouse": None}
    world.account("public", client_secret=None).idp.clients = {"lakehouse": None}
    key = world.idps.keys["rsa-2"]
    world.environment["OIDC_KEY"] = key.private_pem()
    for alg, kid in (("RS256", "rsa-2"), ("PS256", "rsa-2"), ("ES256", "p256"), ("EdDSA", "ed25519")):
        name = f"OIDC_KEY_{alg.upper()}"
        world.environment[name] = world.idps.keys[kid].private_pem()
        world.account(f"jwt-{alg.lower()}", client_secret=None, client_auth="private_key_jwt",
                      client_key={"private_key": {"env": name}, "kid": kid, "alg": alg})
    world.account("params", authorization_params={"prompt": "login", "audience": "a b&c"},
                  token_params={"resource": "urn:x"}, userinfo_params={"schema": "full"},
                  scope=["openid", "email"])
    hand = world.account("hand")
    hand.config["identity_providers"][0]["oidc"] = {
        "issuer": hand.idp.issuer, "authorization_endpoint": f"{hand.idp.issuer}/authorize",
        "token_endpoint": f"{hand.idp.issuer}/token", "jwks_uri": f"{hand.idp.issuer}/jwks",
        "client_id": "lakehouse", "client_secret": {"env": "OIDC_SECRET"}}
    plain = world.account("oauth")
    plain.config["identity_providers"] = [{"id": "legacy", "oauth2": {
        "authorization_endpoint": f"{plain.idp.issuer}/authorize", "token_endpoint": f"{plain.idp.issuer}/token",
        "userinfo_endpoint": f"{plain.idp.issuer}/userinfo", "client_id": "lakehouse",
        "client_secret": {"env": "OIDC_SECRET"}, "scope": ["email"]}}]
    plain.config["mapping"] = {"from": "userinfo", "claim": "email"}
    world.account("userinfo", {"mapping": {"from": "userinfo"}})
    world.account("forward", {"forward": {"headers": {"x-department": "/org/department"},
                                          "access_token": "authorization"}})
    two = world.account("two")
    other = world.idps.issuer("two-b.idp.test")
    two.config["identity_providers"].append({
        "id": "partners", "title": "Partners & friends", "email_domains": ["partner.com"],
        "oidc": {"discovery": f"{other.issuer}/.well-known/openid-configuration", "client_id": "lakehouse",
                 "client_secret": {"env": "OIDC_SECRET"}}})
    world.account("off", {"sso": "disabled"})
    world.start()
    return world


@pytest.fixture
def acme(world):
    account = world.accounts["acme"]
    account.idp.reset()
    return account


def test_a_person_goes_from_a_page_to_the_idp_and_back_to_the_very_url(world, acme):
    client, mark = acme.client(), world.app.mark()
    start = client.browse(acme.url("/reports?q=1&x=%C3%A9+a%2Fb"))
    assert start.status in (302, 303) and start.location.startswith(f"{acme.idp.issuer}/authorize?"), start
    assert "no-store" in start.get("cache-control")
    asked = start.query()
    assert asked["response_type"] == "code" and asked["client_id"] == "lakehouse"
    assert asked["redirect_uri"] == acme.url("/sso/oidc/consume?u=acme")
    assert set(asked["scope"].split()) == {"openid", "email", "profile"}
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 20 and len(asked["nonce"]) >= 20 and asked["state"] != asked["nonce"]
    world.app.nothing_since(mark)
    at_idp = client.browse(start.location)
    callback = client.browse(at_idp.location)
    assert callback.status in (302, 303), callback
    assert callback.location == acme.url("/reports?q=1&x=%C3%A9+a%2Fb")
    world.app.nothing_since(mark)
    page = client.browse(callback.location)
    assert page.status == 200
    assert [seen.target for seen in world.app.since(mark)] == ["/reports?q=1&x=%C3%A9+a%2Fb"]
    assert flow_cookies(client) == {}, "the login in progress left its cookie behind"
    # The code was exchanged once, with a verifier long enough for RFC 7636 section 4.1.
    form = acme.idp.last("token").form
    assert form["grant_type"] == "authorization_code" and len(form["code_verifier"]) >= 43
    assert form["redirect_uri"] == asked["redirect_uri"]


def test_the_application_is_told_who_is_there(world, acme):
    client = acme.signed_in()
    seen = client.get(acme.url("/who"), headers={"cookie": "theirs=1; " + "; ".join(
        f"{k}={v}" for k, v in client.values().items())}).seen()
    assert seen["x-sso-user"] == ["ada@acme.com"]
    assert seen["x-sso-email"] == ["ada@acme.com"]
    assert seen["x-sso-name"] == ["Ada Lovelace"]
    assert seen["x-sso-roles"] == ["account_admin"]
    assert seen["x-sso-account"] == ["acme"]
    assert seen["x-sso-idp"] == ["corp"]
    assert seen["x-sso-method"] == ["sso"]
    assert seen["cookie"] == ["theirs=1"], "the filter's cookies stay with the filter"


def test_without_cookies_of_the_applications_own_there_is_no_cookie_header(acme):
    assert "cookie" not in acme.signed_in().get(acme.url("/who")).seen()


def test_names_outside_ascii_are_percent_encoded(acme):
    acme.idp.person |= {"name": "Zoë Łuk\r\nX-Sso-Roles: owner", "sub": "zoe"}
    seen = acme.signed_in().get(acme.url("/who")).seen()
    name = seen["x-sso-name"][0]
    assert urllib.parse.unquote(name) == "Zoë Łuk\r\nX-Sso-Roles: owner"
    assert name.isascii() and name.isprintable()
    assert seen["x-sso-roles"] == ["account_admin"]


def test_the_session_cookie_is_a_host_cookie(acme):
    client = acme.client()
    callback, _ = acme.callback(client)
    cookies = [cookie for cookie in callback.set if is_session(cookie.name) and cookie.value]
    assert cookies, callback.headers
    for cookie in cookies:
        assert cookie.name.startswith("__Host-sso") and cookie.secure and cookie.http_only, cookie
        assert cookie.path == "/" and not cookie.domain and cookie.same_site.lower() == "lax", cookie


FORGED = ["x-sso-user", "X-SSO-USER", "x_sso_user", "X.Sso.User", "x-sso_roles", "x_sso-email", "x-sso-method",
          "x.sso-idp", "x-sso-anything-else", "x_sso_anything"]


@pytest.mark.parametrize("path", ["/healthz", "/static/a.css", "/api/sql/run", "/who", "/admin/x", "/owners/x",
                                  "/sso/session", "/sso/login", "/sso/oidc/consume?u=acme&code=x&state=y"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "HEAD", "POST"])
def test_forged_identity_headers_never_reach_the_application(world, acme, path, method):
    client = acme.signed_in()
    for signed in (True, False):
        mark = world.app.mark()
        reply = client.request(method, acme.url(path), cookies=signed,
                               more_headers=[(name, "forged") for name in FORGED] + [("x-kept", "kept")])
        for seen in world.app.since(mark):
            assert seen.get("x-kept") == "kept"
            assert "forged" not in [value for _, value in seen.headers], (reply, seen.headers)
            assert not [name for name in seen.named("x-sso-") if not name.startswith("x-sso-")]
    signed_in(client, acme)


@pytest.mark.parametrize("path", ["/", "/healthz", "/sso/login"])
def test_forged_identity_headers_are_removed_with_sso_disabled_too(world, path):
    off = world.accounts["off"]
    mark = world.app.mark()
    reply = off.client().get(off.url(path), more_headers=[(name, "forged") for name in FORGED])
    assert reply.status == 200, reply
    (seen,) = world.app.since(mark)
    assert "forged" not in [value for _, value in seen.headers] and seen.named("x-sso-") == []


def test_headers_that_rewrite_path_or_method_are_removed(world, acme):
    seen = acme.signed_in().get(acme.url("/who"), more_headers=[
        ("x-original-url", "/admin"), ("x-rewrite-url", "/admin"), ("X_Original_Url", "/admin"),
        ("x-http-method-override", "DELETE"), ("x-http-method", "DELETE"), ("x-method-override", "DELETE"),
        ("x-plain", "kept")]).seen()
    assert seen["x-plain"] == ["kept"]
    assert not {name for name in seen if "rewrite" in name or "override" in name or "original-url" in
                name.replace("_", "-") or name == "x-http-method"}, seen


def test_programs_get_401_as_problem_json_with_a_login_link(world, acme):
    mark = world.app.mark()
    reply = refused(acme.client().get(acme.url("/api/data"), headers={"accept": "application/json"}), "login_required")
    assert reply.get("content-type").startswith("application/problem+json")
    assert reply.get("www-authenticate")
    assert reply.json()["login"], reply.json()
    world.app.nothing_since(mark)


@pytest.mark.parametrize("headers", [
    {"accept": "application/json", "x-requested-with": "XMLHttpRequest"},
    {"accept": "*/*", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
    {"accept": "image/png", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
])
def test_what_is_no_page_navigation_is_not_redirected(acme, headers):
    refused(acme.client().get(acme.url("/x"), headers=headers), "login_required")


def test_a_posted_form_is_not_lost_silently(world, acme):
    mark = world.app.mark()
    reply = acme.client().request("POST", acme.url("/orders"), body={"item": "1"}, navigation=True)
    assert reply.status == 401 and reply.code == "login_required", reply
    assert "html" in reply.get("content-type")
    world.app.nothing_since(mark)


def test_a_body_passes_byte_for_byte_with_a_session(world, acme):
    client, mark = acme.signed_in(), world.app.mark()
    body = bytes(range(256)) * 300
    assert client.post(acme.url("/upload"), body=body, headers={"content-type": "application/x-bytes"}).status == 200
    (seen,) = world.app.since(mark)
    assert seen.body == body and seen.get("content-type") == "application/x-bytes"


def test_the_session_endpoint_says_who_is_signed_in(acme):
    refused(acme.client().get(acme.url("/sso/session")), "login_required")
    reply = acme.signed_in().get(acme.url("/sso/session"))
    assert reply.status == 200 and reply.get("content-type").startswith("application/json"), reply
    assert "no-store" in reply.get("cache-control")
    said = reply.json()
    assert "ada@acme.com" in reply.text and "corp" in reply.text, said
    assert "access_token" not in reply.text and "id_token" not in reply.text


def test_parallel_tabs_each_come_back_to_their_own_page(world):
    tabs = world.accounts["tabs"]
    client = tabs.client()
    started = [client.browse(tabs.url(f"/page/{n}")) for n in range(5)]
    assert len({start.query()["state"] for start in started}) == 5
    for n in (3, 0, 4, 2, 1):
        at_idp = client.browse(started[n].location)
        callback = client.browse(at_idp.location)
        assert callback.status in (302, 303), callback
        assert callback.location == tabs.url(f"/page/{n}")
    signed_in(client, tabs)


def test_a_thousand_unfinished_logins_leave_a_bounded_number_of_cookies(world):
    tabs = world.accounts["tabs"]
    client = tabs.client()
    for n in range(40):
        start = client.browse(tabs.url(f"/page/{n}?{'x' * 500}"))
    assert len(flow_cookies(client)) <= 20
    assert sum(len(k) + len(v) for k, v in flow_cookies(client).items()) <= 6 * 1024
    # The newest of them is the one a person is looking at: it still works.
    callback = client.browse(client.browse(start.location).location)
    assert callback.location == tabs.url(f"/page/39?{'x' * 500}"), callback


def test_client_authentication_basic(world):
    account = world.accounts["basic"]
    signed_in(account.signed_in(), account)
    asked = account.idp.last("token")
    assert asked.headers["authorization"].startswith("Basic ") and "client_secret" not in asked.form


def test_client_authentication_post(world):
    account = world.accounts["post"]
    signed_in(account.signed_in(), account)
    asked = account.idp.last("token")
    assert "authorization" not in asked.headers
    assert asked.form["client_secret"] == "the secret of the client" and asked.form["client_id"] == "lakehouse"


@pytest.mark.parametrize("code", ["none", "public"])
def test_a_public_client_sends_its_name_and_no_secret(world, code):
    account = world.accounts[code]
    signed_in(account.signed_in(), account)
    asked = account.idp.last("token")
    assert "authorization" not in asked.headers and "client_secret" not in asked.form
    assert asked.form["client_id"] == "lakehouse"


@pytest.mark.parametrize("alg, kid", [("RS256", "rsa-2"), ("PS256", "rsa-2"), ("ES256", "p256"), ("EdDSA", "ed25519")])
def test_client_authentication_private_key_jwt(world, alg, kid):
    account = world.accounts[f"jwt-{alg.lower()}"]
    assertions = []
    for _ in range(2):
        signed_in(account.signed_in(), account)
        form = account.idp.last("token").form
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assertions.append(form["client_assertion"])
        assert "client_secret" not in form
    header, claims = jose.header_of(assertions[0]), jose.claims_of(assertions[0])
    assert header["alg"] == alg and header["kid"] == kid
    assert claims["iss"] == claims["sub"] == "lakehouse"
    assert set([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]) <= {
        f"{account.idp.issuer}/token", account.idp.issuer}
    assert 0 < claims["exp"] - claims["iat"] <= 600
    assert claims["jti"] != jose.claims_of(assertions[1])["jti"]
    if alg == "RS256":
        signed, _, mac = assertions[0].rpartition(".")
        world.idps.keys[kid].private.public_key().verify(jose.b64u_decode(mac), signed.encode(), padding.PKCS1v15(),
                                                         hashes.SHA256())


def test_extra_parameters_are_sent_where_they_belong(world):
    account = world.accounts["params"]
    client = account.client()
    start = client.browse(account.url("/x"))
    asked = start.query()
    assert asked["prompt"] == "login" and asked["audience"] == "a b&c" and asked["scope"] == "openid email"
    client.follow(start)
    assert account.idp.last("token").form["resource"] == "urn:x"


def test_endpoints_by_hand(world):
    account = world.accounts["hand"]
    signed_in(account.signed_in(), account)
    assert account.idp.count("discovery") == 0


def test_plain_oauth2_takes_the_identity_from_userinfo(world):
    account = world.accounts["oauth"]
    client = account.client()
    start = client.browse(account.url("/reports?q=1"))
    assert start.query()["scope"] == "email" and start.query()["code_challenge_method"] == "S256"
    hops = client.follow(start)
    assert hops[-1].status == 200, hops
    seen = client.get(account.url("/who")).seen()
    assert seen["x-sso-user"] == ["ada@acme.com"] and seen["x-sso-idp"] == ["legacy"]


def test_claims_from_userinfo_win_where_the_mapping_says_so(world):
    account = world.accounts["userinfo"]
    account.idp.change("userinfo", email="from-userinfo@acme.com")
    signed_in(account.signed_in(), account, "from-userinfo@acme.com")


def test_userinfo_of_somebody_else_is_refused(world):
    account = world.accounts["userinfo"]
    account.idp.change("userinfo", sub="somebody-else")
    callback, _ = account.callback(client := account.client())
    refused(callback, "idp_invalid_answer", "id_token_invalid")
    signed_out(client, account)
    account.idp.reset()
    signed_in(account.signed_in(), account)


def test_signed_userinfo_is_verified(world):
    account = world.accounts["userinfo"]

    def signed(key):
        def jwt(claims):
            claims = claims | {"iss": account.idp.issuer, "aud": "lakehouse"}
            return jose.encode({"alg": "RS256", "kid": "rsa-1"}, claims, "RS256", world.idps.keys[key]).encode()
        return jwt

    account.idp.reset()
    account.idp.userinfo_jwt = signed("rsa-1")
    signed_in(account.signed_in(), account)
    account.idp.userinfo_jwt = signed("rsa-2")
    callback, _ = account.callback(client := account.client())
    refused(callback, "idp_invalid_answer", "id_token_invalid")
    signed_out(client, account)
    account.idp.reset()


def test_configured_claims_and_the_access_token_are_forwarded(world):
    account = world.accounts["forward"]
    account.idp.person["org"] = {"department": "Büro"}
    client = account.signed_in()
    seen = client.get(account.url("/who"), more_headers=[("X-Department", "forged"), ("x_department", "forged"),
                                                         ("x.department", "forged")]).seen()
    assert urllib.parse.unquote(seen["x-department"][0]) == "Büro"
    assert "forged" not in str(seen)
    (token,) = seen["authorization"]
    assert token.removeprefix("Bearer ") in account.idp.access_tokens


def test_with_two_providers_people_choose(world):
    account = world.accounts["two"]
    client = account.client()
    hops = client.login(account.url("/reports?q=1"))
    page = hops[-1]
    assert page.status in (200, 401) and "html" in page.get("content-type"), page
    assert "Acme staff" in page.text and "Partners &amp; friends" in page.text
    links = [urllib.parse.urljoin(page.url, link.replace("&amp;", "&"))
             for link in re.findall(r'href="([^"]*idp=[^"]*)"', page.text)]
    for id, issuer in (("corp", "two.idp.test"), ("partners", "two-b.idp.test")):
        link = next(link for link in links if f"idp={id}" in link)
        browser = account.client()
        browser.cookies = dict(client.cookies)
        hops = browser.login(link)
        assert any(hop.url.startswith(f"https://{issuer}/authorize") for hop in hops), hops
        assert hops[-1].url == account.url("/reports?q=1") and hops[-1].status == 200, hops
        assert browser.get(account.url("/who")).seen()["x-sso-idp"] == [id]


def test_a_provider_can_be_named_in_the_link(world):
    account = world.accounts["two"]
    client = account.client()
    start = client.browse(account.url("/sso/login?idp=partners&return_to=%2Fhere%3Fa%3Db&login_hint=ada%40partner.com"))
    assert start.location.startswith("https://two-b.idp.test/authorize?"), start
    assert start.query()["login_hint"] == "ada@partner.com"
    assert client.follow(start)[-1].url == account.url("/here?a=b")
    refused(account.client().browse(account.url("/sso/login?idp=nobody")), "request_invalid")


def test_a_login_that_the_provider_starts(world, acme):
    """OpenID Connect Core section 4: third-party-initiated login."""
    issuer = urllib.parse.quote(acme.idp.issuer, safe="")
    client = acme.client()
    start = client.browse(acme.url(f"/sso/login?iss={issuer}&login_hint=ada&target_link_uri="
                                   + urllib.parse.quote(acme.url("/there?x=1"), safe="")))
    assert start.location.startswith(f"{acme.idp.issuer}/authorize?"), start
    assert start.query()["login_hint"] == "ada"
    assert client.follow(start)[-1].url == acme.url("/there?x=1")
    refused(acme.client().browse(acme.url("/sso/login?iss=https%3A%2F%2Fevil.test")), "request_invalid")


def test_access_rules_say_who_may_ask_for_what(world, acme):
    anybody = acme.client()
    for path in ("/healthz", "/static/app.css"):
        assert anybody.get(acme.url(path)).status == 200
    # The application's own credentials are left alone.
    seen = anybody.get(acme.url("/api/sql/run"), headers={"authorization": "Basic YTpi"}).seen()
    assert seen["authorization"] == ["Basic YTpi"] and "x-sso-user" not in seen
    for path in ("/healthz/", "/healthz2", "/staticx", "/api/sqlx", "/admin/"):
        refused(anybody.get(acme.url(path)), "login_required")
    client, mark = acme.signed_in(), world.app.mark()
    refused(client.get(acme.url("/owners/x")), "role_missing")
    refused(client.browse(acme.url("/owners/x")), "role_missing")
    world.app.nothing_since(mark)
    assert client.get(acme.url("/admin/x")).status == 200


def test_a_role_that_merely_contains_the_word_is_another_role(world, acme):
    acme.idp.person |= {"groups": ["lakehouse-admins-emeritus", "account_admin", "Lakehouse-Admins"], "sub": "emeritus"}
    client = acme.signed_in()
    refused(client.get(acme.url("/admin/x")), "role_missing")
    assert client.get(acme.url("/who")).seen().get("x-sso-roles", [""]) == [""]


def test_another_host_is_not_served(world, acme):
    mark = world.app.mark()
    for host in ("evil.test", "acme.app.test.evil.test", "acme.app.test:81", "xacme.app.test", "[::1]"):
        refused(acme.client().get(acme.url("/healthz"), host=host), "account_unknown")
    world.app.nothing_since(mark)
    assert acme.client().get(acme.url("/healthz"), host="ACME.app.test").status == 200


def test_forwarded_hosts_are_not_believed(acme):
    start = acme.client().browse(acme.url("/reports"), more_headers=[
        ("x-forwarded-host", "evil.test"), ("x-forwarded-proto", "http"), ("forwarded", "host=evil.test")])
    assert start.query()["redirect_uri"].startswith(acme.origin), start


def test_a_websocket_needs_a_session_too(world, acme):
    upgrade = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13",
               "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}

    def ask(client):
        cookies = "; ".join(f"{c.name}={c.value}" for c in client.cookies_for(acme.url("/")))
        lines = [f"host: acme.app.test", *(f"{k}: {v}" for k, v in upgrade.items())] + ([f"cookie: {cookies}"] if cookies else [])
        return exchange(world.port, ("GET /socket HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())

    mark = world.app.mark()
    assert ask(acme.client()).status == 401
    world.app.nothing_since(mark)
    assert ask(acme.signed_in()).status == 101
    assert world.app.since(mark)[-1].get("x-sso-user") == "ada@acme.com"
