# SPDX-License-Identifier: Apache-2.0
"""One file per framework, each in its best honest form. `PEERS` lists them all.

Importing this package imports no framework: a peer's module is loaded by name inside
its own process (see `benchmarks/worker.py`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PeerInfo:
    """How a peer is started and shown.

    Attributes:
        module: file in this folder; its `make(variant)` returns a `Peer`.
        variant: string handed to `make`.
        imports: what a user writes, timed over `import numpy`; fastnn loads its
            parts on first use, so it is timed up to a name that needs them.
        label: name in tables of training.
        short: name where only the framework matters.
        trains: False for peers that only predict.
        env: extra environment of its process.
        distributions: what pip installs for it.
        slow: compiles for seconds, so it takes part only when asked for by name.
    """

    module: str
    short: str
    label: str
    imports: str
    variant: str = ""
    trains: bool = True
    env: tuple[tuple[str, str], ...] = ()
    distributions: tuple[str, ...] = ()
    slow: bool = False


_JAX_BACKEND = (("KERAS_BACKEND", "jax"),)
_TF_BACKEND = (("KERAS_BACKEND", "tensorflow"),)
_TF = ("tensorflow-cpu",)

PEERS: dict[str, PeerInfo] = {
    "fastnn": PeerInfo(
        "fastnn_",
        "fastnn",
        "fastnn `fit`",
        "import fastnn; fastnn.Sequential",
        distributions=("fastnn-dl",),
    ),
    "jax_scan": PeerInfo(
        "jax_",
        "JAX scan",
        "JAX, epoch in one `scan`",
        "import jax",
        "scan",
        distributions=("jax",),
    ),
    "jax_step": PeerInfo(
        "jax_",
        "JAX",
        "JAX, jit per step",
        "import jax",
        "step",
        distributions=("jax",),
    ),
    "keras_jax": PeerInfo(
        "keras_",
        "Keras 3 on JAX",
        "Keras 3 on JAX `fit`",
        "import keras",
        "jax",
        env=_JAX_BACKEND,
        distributions=("keras", "jax"),
    ),
    "torch": PeerInfo(
        "torch_",
        "torch",
        "torch eager",
        "import torch",
        "eager",
        distributions=("torch",),
    ),
    "torch_last": PeerInfo(
        "torch_",
        "torch NHWC",
        "torch eager, channels_last",
        "import torch",
        "last",
        distributions=("torch",),
    ),
    "torch_compile": PeerInfo(
        "torch_",
        "torch.compile",
        "torch.compile",
        "import torch",
        "compile",
        slow=True,
        distributions=("torch",),
    ),
    "tf_keras": PeerInfo(
        "keras_",
        "tf.keras",
        "tf.keras `fit`",
        "import tensorflow",
        "tf",
        env=_TF_BACKEND,
        distributions=_TF,
    ),
    "tf_keras_tuned": PeerInfo(
        "keras_",
        "tf.keras tuned",
        "tf.keras, tuned steps_per_execution",
        "import tensorflow",
        "tf_tuned",
        env=_TF_BACKEND,
        distributions=_TF,
    ),
    "tf_keras_jit": PeerInfo(
        "keras_",
        "tf.keras XLA",
        "tf.keras, jit_compile + tuned",
        "import tensorflow",
        "tf_jit",
        env=_TF_BACKEND,
        distributions=_TF,
    ),
    "sklearn": PeerInfo(
        "sklearn_",
        "scikit-learn",
        "scikit-learn MLP",
        "import sklearn.neural_network",
        distributions=("scikit-learn",),
    ),
    "onnxruntime": PeerInfo(
        "onnxruntime_",
        "ONNX Runtime",
        "ONNX Runtime",
        "import onnxruntime",
        trains=False,
        distributions=("onnxruntime",),
    ),
    "numpy": PeerInfo(
        "numpy_",
        "NumPy by hand",
        "NumPy by hand",
        "import numpy",
        trains=False,
        distributions=("numpy",),
    ),
}
