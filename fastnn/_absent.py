# SPDX-License-Identifier: Apache-2.0
"""Names of Keras 3 that fastnn does not have: why, and what serves instead.

Read where a name is not found, and by docs/keras_compat.md.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import NamedTuple


class Absent(NamedTuple):
    """Why a name of Keras is not there, and what to do without it."""

    why: str
    instead: str = ""


def _foreign(what: str, instead: str) -> Absent:
    return Absent(f"{what} belongs to another framework", instead)


_PREPROCESSING = Absent(
    "preprocessing layers are not built yet",
    "prepare the data before the model, with NumPy or scikit-learn (OneHotEncoder, "
    "KBinsDiscretizer, ...); layers.Normalization and layers.Rescaling are there",
)
_QUANTIZED = Absent(
    "quantization is not built yet",
    'for smaller weights: dtype="bfloat16", or the policy "mixed_bfloat16"',
)
_WRAPPED = "write it as a Layer with fastnn.ops, or import the network's ONNX file"

# Module or module.name -> what is said of it and of all below. The longest that fits.
REASONS = {
    "keras.Quantizer": _QUANTIZED,
    "keras.callbacks.OrbaxCheckpoint": _foreign(
        "Orbax", "callbacks.ModelCheckpoint or BackupAndRestore"
    ),
    "keras.distillation": Absent(
        "distillation is not built yet", "write the loss in a train_step"
    ),
    "keras.distribution": Absent("training on several machines is not built yet"),
    "keras.export": Absent("ExportArchive is not built yet", "model.export"),
    "keras.layers.FlaxLayer": _foreign("Flax", _WRAPPED),
    "keras.layers.JaxLayer": _foreign("JAX", _WRAPPED),
    "keras.layers.TFSMLayer": _foreign("TensorFlow's SavedModel", _WRAPPED),
    "keras.layers.TernaryDense": _QUANTIZED,
    "keras.layers.TorchModuleWrapper": _foreign("PyTorch", _WRAPPED),
    "keras.quantizers": _QUANTIZED,
    "keras.utils.FeatureSpace": _PREPROCESSING,
}
REASONS |= dict.fromkeys(
    [
        f"keras.layers.{name}"
        for name in """AugMix AutoContrast CategoryEncoding CenterCrop
        ContrastLimitedAdaptiveHistogramEqualization CutMix Discretization Equalization
        HashedCrossing Hashing IntegerLookup MaxNumBoundingBoxes MixUp Pipeline
        RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
        RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
        RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
        RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
        RandomTranslation RandomZoom Resizing Solarization StringLookup
        TextVectorization""".split()
    ],
    _PREPROCESSING,
)


# Names of Keras 1 and 2 that Keras 3 has no more -> what serves instead.
DROPPED = {
    "keras.engine": "keras.layers and keras.models",
    "keras.layers.CuDNNGRU": "layers.GRU",
    "keras.layers.CuDNNLSTM": "layers.LSTM",
    "keras.layers.DenseFeatures": "columns prepared with NumPy or scikit-learn, and "
    "layers.Concatenate",
    "keras.layers.ThresholdedReLU": "layers.Lambda(lambda x: ops.where(x > theta, x, "
    "0.0))",
    "keras.objectives": "keras.losses",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.preprocessing.image.ImageDataGenerator": "utils.image_dataset_from_directory"
    ", or a utils.PyDataset for own changes of the images",
    "keras.preprocessing.text": "scikit-learn's CountVectorizer or a dict of words, "
    "and utils.pad_sequences",
    "keras.utils.multi_gpu_model": "one device",
}
DROPPED |= dict.fromkeys(
    [
        f"keras.layers.{name}"
        for name in "advanced_activations convolutional core embeddings experimental "
        "recurrent".split()
    ],
    "the names of keras.layers",
)
DROPPED |= dict.fromkeys(
    [f"keras.utils.{name}_utils" for name in "data generic layer np vis".split()],
    "the names of keras.utils, such as to_categorical and plot_model",
)


def absent(path: str) -> Absent | None:
    """What is known of a dotted name of Keras (`keras.layers.Hashing`)."""
    key = _longest(path, REASONS)
    return REASONS[key] if key else None


def _longest(path: str, table: Iterable[str]) -> str:
    known = [k for k in table if path == k or path.startswith(f"{k}.")]
    return max(known, key=len, default="")


def why(name: str) -> str:
    """The end of an error about a dotted name of fastnn; "" if Keras has none such."""
    path = "keras" + name.removeprefix("fastnn").removeprefix(".keras")
    if known := absent(path):
        instead = f" Instead: {known.instead}." if known.instead else ""
        return f", which Keras has: {known.why}.{instead}"
    dropped = _longest(path, DROPPED)
    return f", which Keras 3 dropped. Instead: {DROPPED[dropped]}." if dropped else ""


def remark(name: str) -> str:
    """`why`, or which name of its package a dotted name is near to."""
    package, _, leaf = name.rpartition(".")
    names = getattr(sys.modules.get(package), "__all__", ())
    near = difflib.get_close_matches(leaf, names, 1, 0.75)
    return why(name) or (f". Did you mean {near[0]!r}?" if near else "")


def hint(name: str) -> None:
    """Raises for a dotted name of fastnn that is known to be absent, or near to one.

    Raises:
        ImportError: which says why, or what was meant.
    """
    if text := remark(name):
        package, _, leaf = name.rpartition(".")
        text = f"cannot import name {leaf!r} from {package!r}{text}"
        raise ImportError(text, name=name)


def not_there(module: str, name: str) -> AttributeError:
    """The error for a name that a module of fastnn does not have.

    For a name of Keras it says why, and what to do.
    """
    text = f"module {module!r} has no attribute {name!r}" + why(f"{module}.{name}")
    # With both, Python adds "Did you mean ...?" for a misspelt name.
    return AttributeError(text, name=name, obj=sys.modules.get(module))
