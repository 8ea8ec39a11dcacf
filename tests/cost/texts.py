"""Inputs of the other parsers that cost more than their length: a unit for each thing that is repeated or compared.

A unit takes how long and how many beside one another, as the shapes of XML do; a carrier repeats it up to its limit.
"""

import json

LONG, BESIDE = (1, 12, 250), (1, 20, 400)


def names(pattern):
    """Many different names of one length, so that each is compared with the others."""
    return lambda long, beside: "".join(pattern.format(f"{'n' * long}{number:04}") for number in range(beside))


def plain(text):
    return lambda _long, _beside: text


PAIRS = {
    "empty": plain("&"), "short": plain("a&"), "equals": plain("a=&"), "escapes": plain("%75%3d"), "escaped": plain("a=%41&"),
    "broken escapes": plain("%4&%"), "spaces": plain("+"), "ours": plain("return_t%6f=x&"), "ours twice": plain("u=a&"),
    "bytes": plain("\xff"), "semicolons": plain("a;"), "nested": plain("%2525"), "names": names("{}=x&"), "values": names("u={}&"),
    "long": lambda long, _: "a=" + "x" * long + "&", "codes": names("state={0}&code={0}&"),
}
PATHS = {
    "segments": plain("/a"), "slashes": plain("//"), "dots": plain("/.."), "escaped slashes": plain("%2f"), "twice": plain("%252f"),
    "four times": plain("%2525252f"), "escaped dots": plain("/%2e%2e"), "parameters": plain("a;b%2f"), "trimmed": plain("/..%20"),
    "backslashes": plain("\\"), "rules": plain("/r1/r2"), "bytes": plain("/\xff"), "names": names("/{}"), "broken": plain("%"),
    "overlong": plain("%c0%ae"),
}
COOKIES = {
    "many": plain("a=b; "), "empty": plain("; "), "equals": plain("=; "), "ours": plain("__Host-sso=x; "),
    "ours apart": names("__Host-sso={}; "), "chunks": names("__Host-sso-{}=x; "), "logins": names("__Host-sso-flow-{}=1.k.1.a.x; "),
    "envelopes": lambda long, beside: "".join(f"__Host-sso-flow-{n:012}=1.k1.1.oidc.{'A' * long}; " for n in range(beside)),
    "invitations": names("__Host-sso-invitation-{}=x; "), "marks": names("__Host-sso-device={}; "), "names": names("{}=x; "),
    "long": lambda long, _: "a=" + "x" * long + "; ", "bytes": plain("\xff=\xff; "), "quotes": plain('a="b"; '),
}
WORDS = {
    "list": plain("a,"), "weights": plain("de;q=0.1,"), "ranges": plain("text/html;q=0.1,"), "spaces": plain(" "), "commas": plain(","),
    "names": names("{},"), "equals": plain("="), "bytes": plain("\xff"), "quotes": plain('"'), "bearer": plain("Bearer "),
}


def wide(long, beside):
    return "{" + ",".join(f'"{"k" * long}{n:04}":{n}' for n in range(beside)) + "}"


def nested(opening, closing):
    return lambda _long, beside: opening * beside + "1" + closing * beside


def listed(one):
    return lambda long, beside: '{"username":[' + ",".join([one.replace("LONG", "x" * long)] * beside) + "]}"


JSON = {
    "wide": wide, "objects inside": nested('{"a":', "}"), "lists inside": nested("[", "]"), "numbers": listed("1e308"),
    "texts": listed('"LONG"'), "escapes": listed('"\\u0041\\ud83d\\ude00"'), "objects beside": listed("{}"), "lists beside": listed("[]"),
    "twice": lambda long, beside: "{" + ",".join(['"username":"x"'] * beside) + "}",
    "spaces": lambda long, beside: "{" + " \n" * (long * beside) + "}",
    "digits": lambda long, beside: '{"exp":' + "9" * (long * beside) + "}",
    "surrogates": lambda long, beside: '{"username":"' + "\\ud800" * (long * beside) + '"}',
}


def filled(unit: str, room: int) -> str:
    return (unit * (room // max(len(unit), 1)))[:room]


def json_of(shape, room: int, long: int) -> str:
    """The largest document of a shape in the room."""
    one, two = len(shape(long, 1)), len(shape(long, 2))
    beside = max(1, (room - one) // max(two - one, 1)) if two > one else 1
    text = shape(long, beside)
    while len(text) > room and beside > 1:
        beside = beside * 9 // 10
        text = shape(long, beside)
    return text


def jwts(encode, issuer: str, keys: list[str]):
    """Headers and claims of every shape, with every algorithm and with and without a `kid`."""
    real = json.dumps({"iss": issuer, "aud": "lakehouse-api", "exp": 4_000_000_000, "iat": 1, "sub": "x", "x": "y" * 30_000})
    for alg in ("RS256", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "none"):
        for kid in ({}, {"kid": "x"}, *({"kid": kid} for kid in keys)):
            for size in (32, 64, 96, 256, 512, 4096):
                yield f"{alg} {kid.get('kid', 'without kid')} {size}", encode(json.dumps({"alg": alg} | kid), real, bytes([1]) * size)
    for name, shape in JSON.items():
        for long in LONG:
            text = json_of(shape, 30_000, long)
            yield f"claims: {name} {long}", encode(json.dumps({"alg": "RS256"}), text)
            yield f"header: {name} {long}", encode(text, "{}")
    for name, text in {"dots": "." * 40_000, "one part": "A" * 40_000, "bytes": "\xff" * 1000, "opaque": "A-_~+/=" * 5000}.items():
        yield name, text
