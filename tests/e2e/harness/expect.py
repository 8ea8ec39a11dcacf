"""What a refusal and a sign-in look like, the same everywhere."""

from .client import Client, Reply

STATUS = {
    "state_unknown": 400, "callback_invalid": 400, "username_unreadable": 400, "request_invalid": 400,
    "return_to_refused": 400, "login_required": 401, "token_invalid": 401, "session_expired": 401,
    "identity_missing": 403, "identity_ambiguous": 403, "identity_unknown": 403, "identity_conflict": 403,
    "email_unverified": 403, "user_inactive": 403, "role_missing": 403, "access_denied": 403, "insufficient_scope": 403, "password_not_allowed": 403,
    "password_disabled": 403, "idp_denied": 403, "id_token_invalid": 403, "assertion_invalid": 403,
    "account_unknown": 404, "method_not_allowed": 405, "body_too_large": 413, "content_type_unsupported": 415,
    "too_many_attempts": 429, "idp_invalid_answer": 502, "idp_unavailable": 503, "directory_unavailable": 503,
    "not_ready": 503, "idp_timeout": 504,
}


def refused(reply: Reply, *codes: str, status: int | None = None) -> Reply:
    """An answer of the filter's own with one of the codes, its status, and nothing for a cache to keep."""
    assert reply.code in codes, reply
    assert reply.status == (status or STATUS[reply.code]), reply
    assert "no-store" in (reply.get("cache-control") or ""), reply.headers
    kind = reply.get("content-type") or ""
    if kind.startswith("application/problem+json"):
        problem = reply.json()
        assert problem["code"] == reply.code and problem["status"] == reply.status, problem
    else:
        assert kind.startswith("text/html"), reply.headers
        assert reply.code in reply.text, "the page does not name the code"
        assert "default-src 'none'" in (reply.get("content-security-policy") or ""), reply.headers
    opened = [cookie for cookie in reply.set if cookie.expires is None or cookie.expires > 9e9]
    assert not [cookie for cookie in opened if is_session(cookie.name)], opened
    return reply


def is_session(name: str) -> bool:
    """The session cookie and its further chunks: `sso`, `sso-1`; a login in progress is `sso-flow-…`."""
    bare = name.removeprefix("__Host-").removeprefix("__Secure-")
    return bare == "sso" or bare.startswith("sso-") and bare[4:].isdigit()


def session_cookies(client: Client) -> dict[str, str]:
    return {name: value for name, value in client.values().items() if is_session(name)}


def flow_cookies(client: Client) -> dict[str, str]:
    return {name: value for name, value in client.values().items() if "sso-flow-" in name}


def signed_in(client: Client, account, user: str = "ada@acme.com") -> None:
    """The filter lets this client's requests pass, as this user."""
    reply = client.get(account.url("/who"))
    assert reply.status == 200 and reply.code is None, reply
    assert reply.seen()["x-sso-user"] == [user], reply.seen()


def signed_out(client: Client, account) -> None:
    mark = account.world.app.mark()
    refused(client.get(account.url("/who")), "login_required", "session_expired")
    account.world.app.nothing_since(mark)
