"""Two Envoys that share an etcd, before one realm of Keycloak whose refresh tokens are good once."""

import concurrent.futures
import html
import re

import pytest

from harness.etcd import Etcd
from harness.expect import is_session, refused, session_cookies
from harness.keycloak_setting import Setting
from harness.net import Never, eventually


@pytest.fixture(scope="module")
def setting(make_world, stack):
    etcd = Etcd("keycloak-shared")
    stack.callback(etcd.stop)
    worlds = [make_world(f"keycloak-shared-{n}", concurrency=2, cookies={"secure": False}, session={"recheck": "2s"}) for n in range(2)]
    first, second = worlds
    setting = Setting(first, "shared", {"acme": {}, "front": {}}, {
        "acme": {"attributes": {"backchannel.logout.url": f"http://127.0.0.1:{first.port}/sso/backchannel-logout?u=acme",
                                "backchannel.logout.session.required": "true"}},
        "front": {"frontchannelLogout": True, "attributes": {
            "frontchannel.logout.url": f"http://front.localhost:{first.port}/sso/frontchannel-logout?u=front",
            "frontchannel.logout.session.required": "true"}}})
    second.app.stop()
    second.app, second.accounts, second.cluster_table = first.app, first.accounts, first.cluster_table
    second.clusters |= {"app": first.app.port, "keycloak": setting.realm.port}
    for world in worlds:
        world.engines, world.shared = {"etcd": etcd.ports}, {"engine": "etcd", "cluster": "etcd"}
        world.start()
    setting.worlds = worlds
    return setting


def ask(setting, cookies: dict[str, str], replica: int, code: str = "acme"):
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return setting.browser(setting.worlds[replica]).get(setting.account(code).url("/who"), headers={"cookie": header})


def test_a_login_that_begins_at_one_envoy_ends_at_the_other(setting):
    account = setting.account()
    browser, other = setting.browser(), setting.browser(setting.worlds[1])
    hops = setting.realm.sign_in(browser, browser.browse(account.url("/reports")))
    assert hops[-1].status == 200, hops
    start = other.browse(account.url("/reports"))
    browser.cookies |= other.cookies
    other.cookies |= browser.cookies
    callback = browser.follow(browser.browse(start.location), until=lambda hop: "/sso/oidc/consume" in (hop.location or ""))[-1]
    hops = other.login(callback.location)
    assert hops[-1].status == 200 and hops[-1].url == account.url("/reports"), (hops, setting.refusals())
    # The state is good once over both.
    refused(browser.get(callback.location), "state_unknown")


def renewals(setting, outcome: str = "ok") -> int:
    return sum(sum(world.envoy.stats(rf"sso_renewals.*outcome\.{outcome}").values()) for world in setting.worlds)


def test_a_refresh_token_is_used_once_though_both_envoys_have_the_session(setting):
    """Keycloak would end the session at the second use."""
    browser, _ = setting.sign_in()
    cookies, before = session_cookies(browser), renewals(setting)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def both():
            replies = list(pool.map(lambda n: ask(setting, cookies, n % 2), range(8)))
            if any(reply.status != 200 for reply in replies):
                raise Never(replies, setting.refusals())
            for reply in replies:
                cookies.update({cookie.name: cookie.value for cookie in reply.set})
            return renewals(setting) >= before + 3
        eventually(both, 60, every=0.1, what="three renewals")
    assert renewals(setting, "refused") == 0


def ended_at_both(setting, cookies, code: str = "acme") -> None:
    for n in (0, 1):
        eventually(lambda: {ask(setting, cookies, n, code).code for _ in range(6)} == {"session_expired"}, 60, what=f"the end at {n}")


@pytest.mark.parametrize("where", ["here", "at Keycloak"])
def test_an_end_holds_at_both(setting, where):
    browser, _ = setting.sign_in(name="bob")
    bystander, _ = setting.sign_in()
    cookies = session_cookies(browser)
    assert all(ask(setting, cookies, n).status == 200 for n in (0, 1))
    if where == "here":
        hops = browser.follow(browser.browse(setting.account().url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))
        assert hops[0].location.startswith(f"{setting.realm.protocol}/logout?") and hops[-1].code == "signed_out", hops
    else:
        setting.realm.api("POST", f"/users/{setting.realm.user('bob')['id']}/logout")
    ended_at_both(setting, cookies)
    assert all(ask(setting, session_cookies(bystander), n).status == 200 for n in (0, 1))


def test_the_front_channel_at_one_envoy_ends_the_session_at_both(setting):
    """One session of Keycloak's, two applications: signing out of the one shows a page with a frame for the other."""
    def both_applications():
        browser, _ = setting.sign_in()
        setting.sign_in("front", browser)
        own = [one for one in browser.cookies_for(setting.account("front").url("/")) if is_session(one.name)]
        return browser, {one.name: one.value for one in own}

    browser, cookies = both_applications()
    _, others = both_applications()
    page = browser.follow(browser.browse(setting.account().url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}))[-1]
    [frame] = [html.unescape(src) for src in re.findall(r'<iframe[^>]*src="([^"]+)"', page.text) if "frontchannel" in src]
    assert frame.startswith(setting.account("front").url("/sso/frontchannel-logout?u=front&")), frame
    assert all(ask(setting, cookies, n, "front").status == 200 for n in (0, 1))
    reply = setting.browser(setting.worlds[1]).get(frame, headers={"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"})
    assert reply.status == 200, reply
    ended_at_both(setting, cookies, "front")
    assert all(ask(setting, others, n, "front").status == 200 for n in (0, 1))
