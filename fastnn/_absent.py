# SPDX-License-Identifier: Apache-2.0
"""Names of Keras 3 that fastnn does not have: why, and what serves instead.

Read where a name is not found, and by docs/keras_compat.md.
"""

from __future__ import annotations

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
_LEGACY = Absent("belongs to Keras 1 and 2")
_WRAPPED = "write it as a Layer with fastnn.ops, or import the network's ONNX file"

# Module or module.name -> what is said of it and of all below. The longest that fits.
REASONS = {
    "keras.Quantizer": _QUANTIZED,
    "keras.applications": Absent(
        "networks with trained weights are not built yet",
        "import an ONNX file of the network: fastnn.onnx.import_model",
    ),
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
    "keras.legacy": _LEGACY,
    "keras.optimizers.legacy": Absent(
        "only raises an error in Keras 3", "the optimizers of fastnn.optimizers"
    ),
    "keras.quantizers": _QUANTIZED,
    "keras.utils.FeatureSpace": _PREPROCESSING,
    "keras.utils.legacy": _LEGACY,
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


def absent(path: str) -> Absent | None:
    """What is known of a dotted name of Keras (`keras.layers.Hashing`)."""
    known = [k for k in REASONS if path == k or path.startswith(f"{k}.")]
    return REASONS[max(known, key=len)] if known else None


def why(name: str) -> str:
    """The end of an error about a dotted name of fastnn; "" if Keras has none such."""
    known = absent("keras" + name.removeprefix("fastnn").removeprefix(".keras"))
    if known is None:
        return ""
    instead = f" Instead: {known.instead}." if known.instead else ""
    return f", which Keras has: {known.why}.{instead}"


def not_there(module: str, name: str) -> AttributeError:
    """The error for a name that a module of fastnn does not have.

    For a name of Keras it says why, and what to do.
    """
    text = f"module {module!r} has no attribute {name!r}" + why(f"{module}.{name}")
    # With both, Python adds "Did you mean ...?" for a misspelt name.
    import sys

    return AttributeError(text, name=name, obj=sys.modules.get(module))
