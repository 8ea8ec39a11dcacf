#!/usr/bin/env python3
"""Who may name what: proxy_wasm only under src/proxy, no unsafe, nothing that reads the clock itself, and the
protocols know nothing of requests, sessions and pages."""

import pathlib
import re
import sys

RULES = [
    (r"\bproxy_wasm\b", "src/proxy/", "proxy_wasm is named only under src/proxy"),
    (r"\bunsafe\s*(\{|fn|impl)", None, "unsafe code"),
    (r"\b(SystemTime|Instant)::now\b", "src/bin/", "time comes in through Host"),
]

# What stands below may not name what stands above it.
BELOW = ("directory", "identity", "idp", "jose", "oidc", "saml")
ABOVE = r"\bcrate::(admin|bearer|endpoints|gate|login|logout|pages|password|proxy|recheck|session|world)\b"


def main() -> int:
    wrong = 0
    for file in sorted(pathlib.Path("src").rglob("*.rs")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            code = line.split("//")[0]
            for pattern, home, why in RULES:
                if re.search(pattern, code) and not (home and file.as_posix().startswith(home)):
                    print(f"{file}:{number}: {why}: {line.strip()}")
                    wrong += 1
            if file.parts[1] in BELOW and "tests" not in file.as_posix() and re.search(ABOVE, code):
                print(f"{file}:{number}: a protocol names what is built on it: {line.strip()}")
                wrong += 1
    lib = pathlib.Path("src/lib.rs").read_text()
    if "#![forbid(unsafe_code)]" not in lib:
        print("src/lib.rs: #![forbid(unsafe_code)] is missing")
        wrong += 1
    print(f"rooms: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
