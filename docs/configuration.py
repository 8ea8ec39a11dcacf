#!/usr/bin/env python3
"""Writes the tables of docs/configuration.md from src/config/raw, whose comments are the reference.

    docs/configuration.py           rewrite them
    docs/configuration.py --check   fail if they are not up to date
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs/configuration.md"
MARK = "<!-- From here on: written by docs/configuration.py from src/config/raw -->\n"

# In the order of reading, with the path each type stands at.
PLACES = [
    ("Configuration", "The whole"),
    ("Session", "session"),
    ("SessionKey", "session.keys[]"),
    ("Shared", "shared"),
    ("Cookies", "cookies"),
    ("Pages", "pages"),
    ("Account", "accounts[]"),
    ("Paths", "accounts[].paths"),
    ("IdentityProvider", "accounts[].identity_providers[]"),
    ("Oidc", "accounts[].identity_providers[].oidc"),
    ("OAuth2", "accounts[].identity_providers[].oauth2"),
    ("Groups", "….groups"),
    ("ClientKey", "….client_key"),
    ("Saml", "accounts[].identity_providers[].saml"),
    ("SamlSigning", "….saml.signing"),
    ("SamlDecryption", "….saml.decryption"),
    ("Mapping", "accounts[].mapping"),
    ("Directory", "accounts[].directory"),
    ("StaticDirectory", "….directory.static"),
    ("StaticUser", "….directory.static.users[]"),
    ("Scim", "….directory.scim"),
    ("Provisioning", "accounts[].provisioning"),
    ("Invitation", "….provisioning.invitations[]"),
    ("Password", "accounts[].password"),
    ("PasswordLogin", "….password.logins[]"),
    ("LoginWhen", "….password.logins[].when"),
    ("UsernameField", "….password.logins[].username"),
    ("Success", "….password.logins[].success"),
    ("SuccessJson", "….password.logins[].success.json"),
    ("Attempts", "….password.attempts"),
    ("AccessRule", "accounts[].access[]"),
    ("Resource", "accounts[].access[].resource"),
    ("Condition", "….access[].when[]"),
    ("Bearer", "accounts[].bearer"),
    ("Machine", "accounts[].bearer.machines[]"),
    ("Logout", "accounts[].logout"),
    ("Forward", "accounts[].forward"),
    ("Assertion", "….forward.assertion"),
    ("AssertionKey", "….forward.assertion.keys[]"),
    ("SelfService", "accounts[].self_service"),
    ("Secret", "A secret, wherever one stands"),
]
STRUCT = re.compile(r"((?:    ///[^\n]*\n)+)(?:    #[^\n]*\n)*    pub struct (\w+) \{\n(.*?)\n    \}", re.S)
FIELD = re.compile(r"((?:        ///[^\n]*\n)+)(?:        #[^\n]*\n)*        pub (?:r#)?(\w+): ([^\n]+),(?:\n|$)")
CHOICE = re.compile(r"pub enum (\w+) \{(.*?)\}", re.S)


def words(comment):
    return " ".join(line.strip().removeprefix("///").strip() for line in comment.strip().splitlines())


def kind(rust, choices):
    """The type as an operator writes it."""
    rust = rust.removeprefix("Option<").removesuffix(">") if rust.startswith("Option<") else rust
    if rust.startswith("Vec<"):
        return "list of " + kind(rust[4:-1], choices)
    if rust in choices:
        return ", ".join(f"`{word}`" for word in choices[rust])
    plain = {"String": "text", "OneOrMany": "text or list of text", "bool": "`true`, `false`", "u32": "number", "u16": "number", "Value": "any value", "Params": "text by name", "RequestParams": "text or list of texts by name", "Introspection": "`true`, `false`, URL", "u64": "number"}
    if rust in plain:
        return plain[rust]
    if rust.startswith("BTreeMap"):
        return "object"
    return f"[{rust}](#{rust.lower()})"


def tables():
    source = "\n".join(file.read_text() for file in sorted((TOP / "src/config/raw").glob("*.rs")))
    choices = {name: re.findall(r'= "(\w+)"', body) for name, body in CHOICE.findall(source) if '= "' in body}
    structs = {name: (words(comment), FIELD.findall(body + "\n")) for comment, name, body in STRUCT.findall(source)}
    missing = set(structs) ^ {name for name, _ in PLACES}
    if missing:
        sys.exit(f"docs/configuration.py knows other types than src/config/raw: {sorted(missing)}")
    out = []
    for name, place in PLACES:
        about, fields = structs[name]
        title = place if " " in place else f"`{place}`"
        out.append(f'\n<a id="{name.lower()}"></a>\n\n### {title}\n\n{about}\n\n| field | type | |\n|---|---|---|\n')
        for comment, field, rust in fields:
            text = words(comment).replace("|", "\\|")
            text = re.sub(r"\{(\w+)\}", r"`{\1}`", text)
            out.append(f"| `{field}` | {kind(rust, choices)} | {text} |\n")
    return "".join(out)


def main():
    page = PAGE.read_text()
    head, _, _ = page.partition(MARK)
    new = head + MARK + tables()
    if "--check" in sys.argv:
        if new != page:
            sys.exit("docs/configuration.md is not up to date: run docs/configuration.py")
    else:
        PAGE.write_text(new)


if __name__ == "__main__":
    main()
