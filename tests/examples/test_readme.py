# SPDX-License-Identifier: Apache-2.0
"""The programs of the README that need no data run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_square_root_and_its_slope(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (program,) = [block for block in blocks if "def newton" in block]
    path = tmp_path / "newton.py"
    path.write_text(program)
    run = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=True
    )
    found = [float(x) for x in re.findall(r"tf\.Tensor\(([\d.]+),", run.stdout)]
    np.testing.assert_allclose(found, [2**0.5, 0.5 / 2**0.5], rtol=1e-6)
