# SPDX-License-Identifier: Apache-2.0
"""Record what Keras's networks are: tests/models/golden/keras_applications.json.

KERAS_BACKEND=jax python tools/record_keras_applications.py             # needs keras 3
KERAS_BACKEND=jax python tools/record_keras_applications.py Xception    # this one only
KERAS_BACKEND=jax python tools/record_keras_applications.py --lines Xception

For each network, with its classifier and without: how many parameters and layers, and a
hash of its layers' names, settings, weights and connections. `--lines` prints what is
hashed, `--lines-of-fastnn` what fastnn makes of it, for a look at both with diff. Also
what `preprocess_input` makes of one image.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def _draw_nothing(keras: Any) -> None:
    """Zeros for random weights: JAX compiles each shape that it draws, for minutes."""

    def zeros(self: Any, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.zeros(shape, dtype or "float32")

    for cls in (keras.initializers.VarianceScaling, keras.initializers.RandomUniform):
        cls.__call__ = zeros


class _AskedError(Exception):
    """What a network asked for, instead of a download."""


def files(keras: Any, names: list[str]) -> dict[str, list[Any]]:
    """(name in the cache, address, hash) of the trained weights of each network."""
    from keras.src.utils import file_utils

    def ask(name: str, url: str, file_hash: Any = None, **rest: Any) -> None:
        raise _AskedError(name, url, file_hash)

    kept, file_utils.get_file = file_utils.get_file, ask
    found = {}
    for name in names:
        for top in (True, False):
            try:
                getattr(keras.applications, name)(include_top=top)
            except _AskedError as asked:
                found[name if top else f"{name} without top"] = list(asked.args)
    file_utils.get_file = kept
    return found


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    import application_cases as cases

    options = [a for a in sys.argv[1:] if a.startswith("--")]
    if "--lines-of-fastnn" in options:
        from fastnn import keras
    else:
        import keras

        _draw_nothing(keras)
    chosen = [a for a in sys.argv[1:] if a not in options] or cases.networks(keras)
    found: dict[str, Any] = {"networks": {}}
    if cases.GOLDEN.exists():
        found = json.loads(cases.GOLDEN.read_text())
    for name in chosen:
        for top in (True, False):
            keras.utils.clear_session()
            build = getattr(keras.applications, name)
            model = build(weights=None, include_top=top)
            if options:
                print("\n".join(cases.lines(model)))
            else:
                key = name if top else f"{name} without top"
                found["networks"][key] = cases.record(model)
                print(key, found["networks"][key], flush=True)
    if options:
        return
    found["files"] = files(keras, cases.networks(keras))
    found["keras"] = keras.__version__
    found["preprocessed"] = cases.preprocessed(keras)
    found["modes"] = cases.modes(keras)
    cases.GOLDEN.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
