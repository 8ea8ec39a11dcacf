"""Access tokens as the scripted provider issues them."""

import time

from . import jose

AUDIENCE = "lakehouse-api"
BEARER = {"bearer": {"audiences": [AUDIENCE], "providers": ["corp"]}}


def access_token(account, header=None, key=None, alg="RS256", **changes) -> str:
    """A good one with these claims changed; None removes one."""
    now = int(time.time())
    claims = {"iss": account.idp.issuer, "aud": AUDIENCE, "iat": now, "exp": now + 600, "client_id": "cli", "scope": "read",
              } | account.idp.person | changes
    key = key or account.idp.signing
    return jose.encode({"alg": alg, "kid": key.kid, "typ": "at+jwt"} | (header or {}),
                       {name: value for name, value in claims.items() if value is not None}, alg, key)
