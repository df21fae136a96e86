# SPDX-License-Identifier: Apache-2.0
"""Spectrograms of signals: by convolutions that can be trained, and on the mel scale.

Both are products with a table of sines and cosines and no fast transform: so they run
inside plans, and gradients reach the table. At 2048 samples per frame the product costs
about four times the transform.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from fastnn import config, initializers, ops
from fastnn._registry import export
from fastnn.errors import DTypeError
from fastnn.layers import _images
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


@export("keras.layers")
class STFTSpectrogram(Layer):
    """Short-time Fourier transform of signals, by convolutions.

    Args:
        mode: what is returned: `"real"`, `"imag"`, both (`"stft"`), the `"angle"`, the
            `"magnitude"`, its logarithm (`"log"`), or the power spectral density
            (`"psd"`, twice the power but at both ends).
        frame_length: samples in a frame.
        frame_step: samples from frame to frame, by default half a frame.
        fft_length: size of the transform, by default the next power of two.
        window: `"hann"`, `"hamming"`, another window of SciPy, an array, or None.
        periodic: whether a named window is periodic instead of symmetric.
        scaling: of the window: `"density"`, `"spectrum"` or None.
        padding: `"valid"` or `"same"`.
        expand_dims: whether frequencies get an axis of their own, as in images.
        data_format: `"channels_last"`: inputs (batch, time, channels), outputs (batch,
            frames, channels * frequencies), or (batch, frames, frequencies, channels)
            with `expand_dims`; `"channels_first"`: (batch, channels, time), and
            (batch, channels * frequencies, frames), or (batch, channels, frames,
            frequencies).
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Weights: real_kernel and imag_kernel, (frame_length, 1, fft_length // 2 + 1), those
    that the mode needs.

    Raises:
        ValueError: for arguments out of range.
        TypeError: for inputs that are no floats.
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        _check_frames(frame_length, frame_step, fft_length)
        if mode not in MODES:
            raise ValueError(
                f"[STFTSpectrogram] mode must be one of {', '.join(MODES)}; received "
                f"{mode!r}."
            )
        initializers.STFT("real", window, scaling, periodic)  # refuses what it must
        super().__init__(**kwargs)
        self.mode = mode
        self.frame_length = frame_length
        self.frame_step = frame_step
        self.fft_length = fft_length
        self.window = window
        self.periodic = periodic
        self.scaling = scaling
        self.padding = _images.padding_of(self, padding)
        self.expand_dims = expand_dims
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=3)

    @property
    def _step(self) -> int:
        return self.frame_step or self.frame_length // 2

    @property
    def _size(self) -> int:
        return self.fft_length or 1 << (self.frame_length - 1).bit_length()

    def build(self, input_shape: Shape) -> None:
        shape = (self.frame_length, 1, self._size // 2 + 1)
        options = (self.window, self.scaling, self.periodic)
        for side, without in (("real", "imag"), ("imag", "real")):
            if self.mode != without:
                first = initializers.STFT(side, *options)
                name = f"{side}_kernel"
                setattr(self, name, self.add_weight(shape, first, name=name))

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in ("float16", "bfloat16", "float32", "float64"):
            raise DTypeError(
                "[STFTSpectrogram] inputs must be floats, received "
                f"{inputs.dtype}: cast(x, 'float32') first."
            )
        if self.mode in ("real", "imag"):
            kernel = self.real_kernel if self.mode == "real" else self.imag_kernel
            return self._arranged(self._frames(inputs, kernel))
        real = self._frames(inputs, self.real_kernel)
        imag = self._frames(inputs, self.imag_kernel)
        if self.mode == "angle":
            return self._arranged(ops.arctan2(imag, real))
        if self.mode == "stft":
            return self._arranged(ops.concatenate([real, imag], axis=-1))
        power = ops.square(real) + ops.square(imag)
        if self.mode == "psd":
            inner = power[..., 1:-1]
            return self._arranged(power + ops.pad(inner, [(0, 0)] * 3 + [(1, 1)]))
        smallest = config.epsilon()
        magnitude = self._arranged(ops.sqrt(ops.maximum(power, smallest)))
        if self.mode == "magnitude":
            return magnitude
        return ops.log(ops.maximum(magnitude, smallest))

    def _frames(self, inputs: Any, kernel: Any) -> Any:
        """(batch, channels, frames, frequencies)."""
        last = self.data_format == "channels_last"
        signals = ops.transpose(inputs, (0, 2, 1)) if last else inputs
        batch, channels, time = signals.shape
        flat = ops.reshape(signals, (batch * channels, time, 1))
        found = ops.conv(
            flat,
            kernel,
            strides=self._step,
            padding=self.padding,
            data_format="channels_last",
        )
        return ops.reshape(found, (batch, channels, *found.shape[1:]))

    def _arranged(self, frames: Any) -> Any:
        """From (batch, channels, frames, frequencies)."""
        batch, channels, count, frequencies = frames.shape
        if self.data_format == "channels_last":
            if self.expand_dims:
                return ops.transpose(frames, (0, 2, 3, 1))
            moved = ops.transpose(frames, (0, 2, 1, 3))
            return ops.reshape(moved, (batch, count, channels * frequencies))
        if self.expand_dims:
            return frames
        moved = ops.transpose(frames, (0, 1, 3, 2))
        return ops.reshape(moved, (batch, channels * frequencies, count))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        frequencies = (self._size // 2 + 1) * (2 if self.mode == "stft" else 1)
        channels = input_shape[_images.channel_axis(self)]
        windows = (self.frame_length,), (self._step,), self.padding
        (frames,) = _images.window_sizes(self, input_shape, *windows)
        batch = input_shape[0]
        last = self.data_format == "channels_last"
        if self.expand_dims:
            if last:
                return (batch, frames, frequencies, channels)
            return (batch, channels, frames, frequencies)
        both = None if channels is None else channels * frequencies
        return (batch, frames, both) if last else (batch, both, frames)

    def get_config(self) -> dict[str, Any]:
        window = self.window
        return {
            **super().get_config(),
            "mode": self.mode,
            "frame_length": self.frame_length,
            "frame_step": self.frame_step,
            "fft_length": self.fft_length,
            "window": window if isinstance(window, (str, type(None))) else list(window),
            "periodic": self.periodic,
            "scaling": self.scaling,
            "padding": self.padding,
            "data_format": self.data_format,
            "expand_dims": self.expand_dims,
        }


def _check_frames(length: int, step: int | None, size: int | None) -> None:
    if step is not None and not 1 <= step <= length:
        raise ValueError(
            f"[STFTSpectrogram] frame_step must lie in 1..frame_length={length}, "
            f"received {step}."
        )
    if size is not None and size < length:
        raise ValueError(
            f"[STFTSpectrogram] fft_length must be at least frame_length={length}, "
            f"received {size}."
        )
    if size is not None and size & (size - 1):
        warnings.warn(
            f"[STFTSpectrogram] fft_length should be a power of two, received {size}.",
            stacklevel=3,
        )


# ---- mel ---------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _transform(
    length: int, size: int, window: str | tuple[float, ...] | None
) -> np.ndarray:
    """(size, 2 * (size // 2 + 1)): windowed cosines beside sines."""
    frequencies = size // 2 + 1
    length = size if window is None else length  # as ops.stft has it
    given = window if isinstance(window, (str, type(None))) else np.array(window)
    sides = [
        np.asarray(
            initializers.STFT(side, given, None, True)(
                (length, 1, frequencies), "float64"
            )
        )[:, 0]
        for side in ("real", "imag")
    ]
    table = np.zeros((size, 2 * frequencies))
    before = (size - length) // 2  # the window stands in the middle
    table[before : before + length] = np.concatenate(sides, axis=1)
    return table


@lru_cache(maxsize=16)
def _mel_weights(
    bins: int, frequencies: int, rate: float, low: float, high: float
) -> np.ndarray:
    """(frequencies, bins): triangles of height 1 on the mel scale of HTK."""

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    found = mel(np.linspace(0.0, rate / 2, frequencies)[1:])[:, None]
    edges = np.linspace(mel(low), mel(high), bins + 2)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    up, down = (found - left) / (middle - left), (right - found) / (right - middle)
    weights = np.maximum(0.0, np.minimum(up, down))
    return np.pad(weights, [(1, 0), (0, 0)])  # HTK leaves frequency 0 out


@export("keras.layers")
class MelSpectrogram(Layer):
    """Mel spectrograms: (..., samples) to (..., mel bins, frames).

    The magnitudes of the short-time Fourier transform to a power, added up in triangles
    that are equally wide on the mel scale, `1127 log(1 + f / 700)`, in decibel.

    Args:
        fft_length: size of the transform.
        sequence_stride: samples from frame to frame.
        sequence_length: samples of the window, by default `fft_length`.
        window: `"hann"`, `"hamming"`, an array, or None.
        sampling_rate: samples per second.
        num_mel_bins: number of triangles.
        min_freq, max_freq: where they begin and end, in Hertz; by default up to half of
            the sampling rate.
        power_to_db: whether decibels are returned.
        top_db: decibels below the loudest value at which they are cut off.
        mag_exp: power of the magnitudes: 1 for energies' roots, 2 for power.
        min_power: smallest power, for the logarithm.
        ref_power: power of 0 dB.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for a window longer than the transform.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fft_length = fft_length
        self.sequence_stride = sequence_stride
        self.sequence_length = sequence_length or fft_length
        if fft_length < self.sequence_length:
            raise ValueError(
                "[MelSpectrogram] fft_length must be at least sequence_length, "
                f"received {fft_length} and {self.sequence_length}."
            )
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = num_mel_bins
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power = min_power
        self.ref_power = ref_power

    def build(self, input_shape: Shape) -> None:
        """Nothing to make."""

    def call(self, inputs: Any) -> Any:
        own = self.compute_dtype
        dtype = own if own in ("float32", "float64") else "float32"
        mel = ops.matmul(
            self._magnitudes(ops.cast(inputs, dtype), dtype), self._mel(dtype)
        )
        if self.power_to_db:
            mel = self._decibels(mel)
        return ops.cast(ops.swapaxes(mel, -1, -2), own)

    def _magnitudes(self, signal: Any, dtype: str) -> Any:
        half = self.fft_length // 2
        sides = [(0, 0)] * (len(signal.shape) - 1) + [(half, half)]
        mirrored = ops.pad(signal, sides, "reflect")
        frames = ops.extract_sequences(mirrored, self.fft_length, self.sequence_stride)
        window = self.window
        if not isinstance(window, (str, type(None))):
            window = tuple(np.asarray(window, np.float64).tolist())
        table = _transform(self.sequence_length, self.fft_length, window)
        both = ops.matmul(frames, table.astype(dtype))
        real, imag = both[..., : half + 1], both[..., half + 1 :]
        power = ops.square(real) + ops.square(imag)
        return power if self.mag_exp == 2 else ops.power(power, self.mag_exp / 2)

    def _mel(self, dtype: str) -> np.ndarray:
        edges = float(self.min_freq), float(self.max_freq)
        sizes = self.num_mel_bins, self.fft_length // 2 + 1
        return _mel_weights(*sizes, float(self.sampling_rate), *edges).astype(dtype)

    def _decibels(self, power: Any) -> Any:
        found = 10.0 * ops.log10(ops.maximum(power, self.min_power))
        zero = 10.0 * np.log10(max(abs(self.ref_power), self.min_power))
        found = found - float(zero)
        return ops.maximum(found, ops.max(found) - self.top_db)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        samples = input_shape[-1]
        if samples is not None:
            padded = samples + 2 * (self.fft_length // 2) - self.fft_length
            samples = padded // self.sequence_stride + 1
        return (*input_shape[:-1], self.num_mel_bins, samples)

    def get_config(self) -> dict[str, Any]:
        window = self.window
        return {
            **super().get_config(),
            "fft_length": self.fft_length,
            "sequence_stride": self.sequence_stride,
            "sequence_length": self.sequence_length,
            "window": window if isinstance(window, (str, type(None))) else list(window),
            "sampling_rate": self.sampling_rate,
            "num_mel_bins": self.num_mel_bins,
            "min_freq": self.min_freq,
            "max_freq": self.max_freq,
            "power_to_db": self.power_to_db,
            "top_db": self.top_db,
            "mag_exp": self.mag_exp,
            "min_power": self.min_power,
            "ref_power": self.ref_power,
        }
