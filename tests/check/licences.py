#!/usr/bin/env python3
"""Every crate that is compiled in must have a licence that goes with Apache-2.0."""

import json
import re
import subprocess
import sys

ALLOWED = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "Unlicense", "CC0-1.0",
           "MIT-0", "CDLA-Permissive-2.0", "Unicode-3.0", "Unicode-DFS-2016", "BSL-1.0", "Apache-2.0 WITH LLVM-exception"}


def allowed(expression: str) -> bool:
    """An SPDX expression of AND, OR and parentheses; `/` is the old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    words = []
    for token in tokens:
        if words and words[-1].endswith(" WITH"):
            words[-1] += f" {token}"
        elif token == "WITH" and words:
            words[-1] += " WITH"
        else:
            words.append(token)
    formula = " ".join(word.lower() if word in ("AND", "OR") else word if word in "()" else str(word in ALLOWED)
                       for word in words)
    return bool(eval(formula, {"__builtins__": {}}))  # only True, False, and, or and parentheses


def main() -> int:
    told = subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True)
    packages = json.loads(told.stdout)["packages"]
    bad = [p for p in packages if not (p.get("license") and allowed(p["license"]))]
    for package in bad:
        print(f"{package['name']} {package['version']}: {package.get('license') or 'no licence'}")
    print(f"licences: {len(packages)} crates, {len(bad)} not allowed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
