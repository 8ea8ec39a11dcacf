"""Makes .venv's packages importable, by whatever Python runs this."""

import site
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
for packages in (TOP / ".venv").glob("lib/python3*/site-packages"):
    site.addsitedir(str(packages))
