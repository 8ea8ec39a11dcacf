#!/usr/bin/env python3
"""Who may name what: proxy_wasm only under src/proxy, no unsafe, nothing that reads the clock itself."""

import pathlib
import re
import sys

RULES = [
    (r"\bproxy_wasm\b", "src/proxy/", "proxy_wasm is named only under src/proxy"),
    (r"\bunsafe\s*(\{|fn|impl)", None, "unsafe code"),
    (r"\b(SystemTime|Instant)::now\b", "src/bin/", "time comes in through Host"),
]


def main() -> int:
    wrong = 0
    for file in sorted(pathlib.Path("src").rglob("*.rs")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            code = line.split("//")[0]
            for pattern, home, why in RULES:
                if re.search(pattern, code) and not (home and file.as_posix().startswith(home)):
                    print(f"{file}:{number}: {why}: {line.strip()}")
                    wrong += 1
    lib = pathlib.Path("src/lib.rs").read_text()
    if "#![forbid(unsafe_code)]" not in lib:
        print("src/lib.rs: #![forbid(unsafe_code)] is missing")
        wrong += 1
    print(f"rooms: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
