#!/usr/bin/env python3
"""Words that a plain sentence does without, in documents, samples and the source (docs/developing.md, "How we write"): who
acts is named, and what a thing is not is said with `not`."""

import pathlib
import re
import sys

from rooms import TESTS

RULES = [
    (r"\b(nobody|somebody|anybody|everybody|whoever|whomever|no one|someone)\b", "name the actor: user, client, provider, filter, operator"),
    (r"(?<!there )(?<!in )\b(is|was) no (?!longer|more|other|better|good|less|doubt)\w", "write `is not`"),
]
# The key of a text.
KEPT = re.compile(r'"admin\.nobody"')
READ = ["*.md", "*.toml", "Makefile", "docs/**/*.md", ".github/**/*", "envoy/**/*.yaml", "src/**/*.rs", "tests/e2e/README.md"]
LEFT_OUT = re.compile(r"node_modules|^envoy/translations/")


def own(file: str, text: str) -> str:
    """Without the tests at the end of a source file."""
    return re.split(r"#\[cfg\(test\)\]\s*(?:pub(?:\(crate\))? )?mod \w+ \{", text)[0] if file.endswith(".rs") else text


def problems(file: str, text: str) -> list[str]:
    found = []
    for number, line in enumerate(own(file, text).splitlines(), 1):
        for pattern, why in RULES:
            for match in re.finditer(pattern, KEPT.sub("", line), re.I):
                found.append(f"{file}:{number}: \"{match[0]}\": {why}: {line.strip()[:100]}")
    return found


def is_read(file: pathlib.Path) -> bool:
    """Tests may say it as they like; the command line is read too."""
    name = file.as_posix()
    is_test = name.startswith("src/") and not name.startswith("src/bin/") and TESTS.search(name.removeprefix("src/"))
    return file.is_file() and not LEFT_OUT.search(name) and not is_test


def main() -> int:
    files = [file for pattern in READ for file in sorted(pathlib.Path().glob(pattern)) if is_read(file)]
    found = [problem for file in files for problem in problems(file.as_posix(), file.read_text())]
    print("\n".join([*found, f"plain: {len(found)} wrong in {len(files)} files"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
