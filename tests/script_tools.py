# SPDX-License-Identifier: Apache-2.0
"""What the scripts share: data, weights without a random stream, what they print."""

from __future__ import annotations

import zlib

import numpy as np


def fix(model, scale=0.3):
    for i, w in enumerate(model.weights):
        v = np.asarray(w)
        if v.dtype.kind != "f" and "bfloat" not in str(v.dtype):
            continue
        if any(k in w.path for k in ("seed", "moving", "iterations", "total", "count")):
            continue
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{i}{w.name}".encode())))
        w.assign(rng.uniform(-scale, scale, v.shape))
    return model


def blobs(n=120, d=6, k=3, seed=0):
    rng = np.random.Generator(np.random.PCG64(seed))
    centres = rng.uniform(-2, 2, (k, d))
    y = np.arange(n) % k
    x = centres[y] + rng.uniform(-1, 1, (n, d))
    return x.astype("float32"), y


def regression(n=120, d=8, seed=1):
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.uniform(-1, 1, (n, d)).astype("float32")
    y = (x[:, :1] * 2 - x[:, 1:2] ** 2 + 0.5).astype("float32")
    return x, y


def images(n=60, size=12, c=1, k=3, seed=2):
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.uniform(0, 1, (n, size, size, c)).astype("float32")
    y = np.arange(n) % k
    for i in range(n):
        x[i, y[i] * 2 : y[i] * 2 + 3] += 1
    return x, y


def sentences(n=80, length=10, words=50, seed=3):
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(1, words, (n, length))
    for i in range(n):
        x[i, length - i % 5 :] = 0
    return x, (x[:, 0] > words // 2).astype("int64")


def show(label, value=None):
    def text(v):
        if isinstance(v, dict):
            return "{" + ", ".join(f"{k}: {text(v[k])}" for k in sorted(v)) + "}"
        if isinstance(v, (list, tuple)):
            o = "[]" if isinstance(v, list) else "()"
            return o[0] + ", ".join(text(w) for w in v) + o[1]
        if (
            hasattr(v, "numpy")
            or hasattr(v, "__jax_array__")
            or (hasattr(v, "dtype") and hasattr(v, "shape"))
            or isinstance(v, (np.ndarray, np.generic))
        ):
            v = np.asarray(v)
            if v.dtype.kind in "fV" or "bfloat" in str(v.dtype):
                v32 = v.astype("float64")
                return (
                    f"{v.dtype}{v.shape}["
                    + " ".join(f"{a:.4f}" for a in v32.ravel()[:6])
                    + f"; {v32.sum():.3f}]"
                )
            return (
                f"{v.dtype}{v.shape}[" + " ".join(str(a) for a in v.ravel()[:8]) + "]"
            )
        if isinstance(v, float):
            return f"{v:.4f}"
        return str(v)

    print(f"{label}: {text(value)}")


def summary(model, **kwargs):
    """The cells of the printed table, wrapped ones joined, and the lines around it."""
    lines = []
    model.summary(
        line_length=150,
        print_fn=lambda line, *a, **k: lines.extend(line.split("\n")),
        **kwargs,
    )
    for line in lines:
        if line.strip() and line[0] in "│┃":
            print(
                " | ".join(
                    cell.strip()
                    for cell in line.strip("│┃").replace("┃", "│").split("│")
                )
            )
        elif line.strip() and line[0] not in "┏┡├└┗":
            print(line.split("(")[0].strip() if "params:" in line else line.strip())
