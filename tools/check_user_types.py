# SPDX-License-Identifier: Apache-2.0
"""Programs of users under a type checker: every name they ask fastnn for is known.

`python tools/check_user_types.py` runs mypy over examples/ and, with the import lines
of fastnn, over tests/scripts/; it exits with 1 for a name or an argument that the stubs
lack. What programs without annotations get wrong themselves is not looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from script_cases import SCRIPTS, for_fastnn  # noqa: E402

# Types that a program gives a variable twice, or hides in `**options`.
OWN_AFFAIRS = ("assignment", "arg-type", "has-type", "var-annotated")


def main() -> int:
    """Checks copies: beside the package mypy would take the user's for a part of it."""
    with TemporaryDirectory() as folder:
        for path in [*SCRIPTS, *sorted((ROOT / "examples").glob("*.py"))]:
            text = for_fastnn(path.read_text(encoding="utf-8"))
            (Path(folder) / path.name).write_text(text, encoding="utf-8")
        options = ["--config-file=", "--ignore-missing-imports"]
        options += ["--follow-imports=silent", f"--cache-dir={ROOT / '.mypy_cache'}"]
        options += [f"--disable-error-code={code}" for code in OWN_AFFAIRS]
        command = [sys.executable, "-m", "mypy", *options, "."]
        env = {**os.environ, "MYPYPATH": str(ROOT)}
        return subprocess.run(command, cwd=folder, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
