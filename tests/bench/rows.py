"""What is measured: the rows, and the ratios that the results are held by."""

from dataclasses import dataclass

# How long the tokens of a provider are; each has its own rows without a filter, for Envoy pays by the byte too.
TOKENS = {
    "keycloak": "tokens of Keycloak's size",
    "short": "tokens of a few bytes",
    "groups20": "20 ids of groups",
    "groups200": "200 ids of groups",
}

# Those whose access token is a JWT, which jwt_authn can verify. One of eight bytes is opaque.
VERIFIED = [tokens for tokens in TOKENS if tokens != "short"]


@dataclass(frozen=True)
class Row:
    title: str
    listener: str
    tokens: str = "keycloak"
    # Whose cookies: "session" of the listener, "none", or "stale" for a session that does not open.
    cookies: str = "session"
    status: int = 200
    page: bool = False
    bearer: bool = False


def of_filter(name):
    """The rows of one build of this filter; the listeners of another build begin with its name."""
    own = "" if name == "this filter" else name + "."
    rows = {"sso": Row(f"{name}, valid session", own + "sso.keycloak")}
    rows |= {f"sso.{tokens}": Row(f"{name}, {title}", f"{own}sso.{tokens}", tokens) for tokens, title in TOKENS.items() if tokens != "keycloak"}
    rows |= {
        "user": Row(f"{name}, forward.identity: [user]", own + "user"),
        "assertion": Row(f"{name}, forward.assertion", own + "assertion"),
        "bearer": Row(f"{name}, remembered bearer token", own + "bearer", cookies="none", bearer=True),
        "refused": Row(f"{name}, no session: 401", own + "sso.keycloak", cookies="none", status=401),
        "redirect": Row(f"{name}, no session: 302", own + "sso.keycloak", cookies="none", status=302, page=True),
        "stale": Row(f"{name}, stale session: 401", own + "sso.keycloak", cookies="stale", status=401),
        "stale_redirect": Row(f"{name}, stale session: 302", own + "sso.keycloak", cookies="stale", status=302, page=True),
    }
    return {own + key: row for key, row in rows.items()}


def of_envoy():
    rows = {f"none.{tokens}": Row(f"no filter, {title}", "none", tokens, "none") for tokens, title in TOKENS.items()}
    rows["noop"] = Row("a wasm filter that does nothing", "noop", cookies="none")
    rows |= {f"oauth2.{tokens}": Row(f"Envoy's OAuth2 filter, {title}", f"oauth2.{tokens}", tokens) for tokens, title in TOKENS.items()}
    rows |= {f"oauth2_jwt.{tokens}": Row(f"Envoy's OAuth2 and jwt_authn, {TOKENS[tokens]}", f"oauth2_jwt.{tokens}", tokens)
             for tokens in VERIFIED}
    rows["oauth2_redirect"] = Row("Envoy's OAuth2 filter, no session: 302", "oauth2.keycloak", cookies="none", status=302, page=True)
    return rows


# Name: of what, beside what, and the goal. All are of what is added to a request without a filter, or of a whole login.
RATIOS = {
    "session": ("sso", "oauth2.keycloak", 0.45),
    "session, tokens of a few bytes": ("sso.short", "oauth2.short", None),
    "session, 20 groups": ("sso.groups20", "oauth2.groups20", None),
    "session, 200 groups": ("sso.groups200", "oauth2.groups200", None),
    "session beside OAuth2 and jwt_authn": ("sso", "oauth2_jwt.keycloak", 0.12),
    "session beside OAuth2 and jwt_authn, 20 groups": ("sso.groups20", "oauth2_jwt.groups20", None),
    "session beside OAuth2 and jwt_authn, 200 groups": ("sso.groups200", "oauth2_jwt.groups200", None),
    "forward.identity: [user]": ("user", "oauth2.keycloak", 0.36),
    "forward.assertion": ("assertion", "oauth2.keycloak", None),
    "bearer token": ("bearer", "oauth2.keycloak", None),
    "401 beside its 302": ("refused", "oauth2_redirect", 1.5),
    "302 beside its 302": ("redirect", "oauth2_redirect", 2.5),
    "stale 401 beside its 302": ("stale", "oauth2_redirect", None),
    "stale 302 beside its 302": ("stale_redirect", "oauth2_redirect", None),
    "login": ("login.sso", "login.oauth2", 1.2),
    "SAML login": ("login.saml", "login.oauth2", None),
    "SAML login, encrypted": ("login.saml_encrypted", "login.oauth2", None),
}

# Microseconds of a whole login, where the goal is not a share of another filter's.
LOGIN_GOALS = {"login.saml_encrypted": 5000}


def ratios(added):
    """Of what was measured, by row."""
    return {name: added[of] / added[beside] for name, (of, beside, _) in RATIOS.items()}


def dearer(result, kept):
    """What is dearer than was kept by more than the tolerance, by the medians and by the least of the rounds alike: what
    else the machine does moves one of them at a time."""
    now = {name: min(ratio, result["least_ratios"][name]) for name, ratio in result["ratios"].items()}
    now["wasm_bytes"] = result["wasm_bytes"]
    tolerance = {name: kept["tolerance"]["wasm_bytes" if name == "wasm_bytes" else "cpu"] for name in now}
    return [name for name, was in kept["rows"].items() if name in now and now[name] > was * (1 + tolerance[name])]
