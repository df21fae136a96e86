# SPDX-License-Identifier: Apache-2.0
"""Record what TensorFlow makes of expressions about strings, ragged and sparse tensors.

    python tools/record_structures.py tests/structures/golden/structures.json

Needs TensorFlow. The expressions are those of tests/structures_cases.py and random
ones; tests/structures/test_against_tensorflow.py evaluates them with `fastnn.tf`.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from structures_cases import EXPRESSIONS, evaluate

RNG = random.Random(5)
LETTERS = ["a", "b", "X", " ", ",", "é", "日", "😀", "1"]


def word() -> bytes:
    return "".join(RNG.choices(LETTERS, k=RNG.randrange(6))).encode()


def broken() -> bytes:
    text = bytearray(word())
    if text and RNG.random() < 0.5:
        text[RNG.randrange(len(text))] = RNG.randrange(256)
    return bytes(text)


def number(kind: str) -> Any:
    return RNG.randrange(-5, 6) if kind == "int32" else round(RNG.uniform(-3, 3), 2)


def nested(depth: int, kind: str) -> Any:
    if depth == 0:
        return word() if kind == "string" else number(kind)
    return [nested(depth - 1, kind) for _ in range(RNG.randrange(4))]


def ragged(depth: int, kind: str) -> str:
    rows = nested(depth, kind)
    return f"tf.ragged.constant({rows}, tf.{kind}, ragged_rank={depth - 1})"


def piece() -> str:
    part = ["", *map(str, range(-4, 5))]
    step = RNG.choice(["", "", ":1", ":2", ":-1", ":-2"])
    return f"{RNG.choice(part)}:{RNG.choice(part)}{step}"


def ragged_expressions() -> list[str]:
    kind, depth = RNG.choice(["int32", "float32", "string"]), RNG.choice([2, 2, 3])
    x, y = ragged(depth, kind), ragged(depth, kind)
    axis = RNG.randrange(-depth, depth)
    out = [
        f"{x}.to_tensor()",
        f"{x}.to_tensor(shape=[{RNG.choice([None, 2, 3])}] + [None] * {depth - 1})",
        f"{x}.to_sparse()",
        f"{x}.row_lengths({abs(axis)})",
        f"{x}[{', '.join(piece() for _ in range(RNG.randrange(1, depth + 1)))}]",
        f"tf.concat([{x}, {y}], {axis})",
        f"tf.ragged.stack([{x}, {y}], {abs(axis)})",
        f"tf.expand_dims({x}, {axis})",
        f"{x}.merge_dims(0, 1)",
        f"{x} == {x}",
    ]
    if kind != "string":
        name = RNG.choice("sum max min mean prod".split())
        out += [
            f"tf.reduce_{name}({x}, {RNG.randrange(1, depth)})",
            f"tf.reduce_sum({x}, 0)",
            f"tf.abs({x} * 2 - 1)",
        ]
    return out


def sparse(kind: str, shape: list[int]) -> str:
    index = [[i, j] for i in range(shape[0]) for j in range(shape[1])]
    index = [at for at in index if RNG.random() < 0.4] or [[0, 0]]
    values = [nested(0, kind) for _ in index]
    return f"tf.SparseTensor({index}, tf.constant({values}, tf.{kind}), {shape})"


def sparse_expressions() -> list[str]:
    kind = RNG.choice(["int32", "float32", "string"])
    shape = [RNG.randrange(1, 5), RNG.randrange(1, 5)]
    x, y, axis = sparse(kind, shape), sparse(kind, shape), RNG.randrange(-2, 2)
    start = [RNG.randrange(n) for n in shape]
    out = [
        f"tf.sparse.to_dense({x})",
        f"tf.sparse.from_dense(tf.sparse.to_dense({x}))",
        f"tf.sparse.slice({x}, {start}, [2, 3])",
        f"tf.sparse.concat({axis}, [{x}, {y}])",
        f"tf.sparse.transpose({x})",
        f"tf.sparse.expand_dims({x}, {axis})",
        f"tf.sparse.reshape({x}, [-1])",
        f"tf.sparse.split(sp_input={x}, num_split=1, axis={axis})",
    ]
    if kind == "string":
        return out
    dense = [[number(kind) for _ in range(2)] for _ in range(shape[1])]
    return [
        *out,
        f"tf.sparse.add({x}, {y})",
        f"tf.sparse.maximum({x}, {y})",
        f"tf.sparse.reduce_sum({x}, {axis})",
        f"tf.sparse.reduce_max({x}, {axis}, True)",
        f"tf.sparse.sparse_dense_matmul({x}, tf.constant({dense}, tf.{kind}))",
    ]


def set_expressions() -> list[str]:
    a = [[RNG.randrange(5) for _ in range(4)] for _ in range(3)]
    b = [[RNG.randrange(5) for _ in range(3)] for _ in range(3)]
    return [
        f"tf.sets.{name}({a}, {b})" for name in ("intersection", "union", "difference")
    ] + [f"tf.sets.size(tf.sparse.from_dense(tf.constant({a}, tf.int64)))"]


def string_expressions() -> list[str]:
    x, bad = [word() for _ in range(3)], [broken() for _ in range(3)]
    rows = [[word() for _ in range(RNG.randrange(4))] for _ in range(3)]
    r = f"tf.ragged.constant({rows}, tf.string, ragged_rank=1)"
    unit = RNG.choice(["BYTE", "UTF8_CHAR"])
    sep = RNG.choice([None, ",", " ", "ab"])
    errors = RNG.choice(["replace", "ignore"])
    raw = [bytes(RNG.randrange(256) for _ in range(RNG.randrange(150))) for _ in "ab"]
    value = [RNG.choice([0.0, -0.5, 1e10, 3.14159265, round(RNG.uniform(-9, 9), 3)])]
    return [
        f"tf.strings.length({x}, {unit!r})",
        f"tf.strings.upper({r}.flat_values, 'utf-8')",
        f"tf.strings.substr({x[0]!r}, {RNG.randrange(-2, 3)}, 3, {unit!r})",
        f"tf.strings.split({x}, {sep!r})",
        f"tf.strings.bytes_split({x})",
        f"tf.strings.join([{x}, '-', {x}], '+')",
        f"tf.strings.reduce_join({[x, x]}, {RNG.randrange(-2, 2)}, separator='|')",
        f"tf.strings.ngrams({r}, {RNG.randrange(1, 4)}, pad_values=('L', 'R'))",
        f"tf.strings.unicode_decode({bad}, 'UTF-8', {errors!r})",
        f"tf.strings.unicode_split_with_offsets({bad}, 'UTF-8', {errors!r})",
        f"tf.strings.unicode_transcode({bad}, 'UTF-8', 'UTF-16-BE', {errors!r})",
        f"tf.strings.to_hash_bucket({raw}, {2**61 - 1})",
        f"tf.strings.to_hash_bucket_fast({raw}, {2**61 - 1})",
        f"tf.strings.to_hash_bucket_strong({raw}, {2**61 - 1}, [{2**60 + 1}, 7])",
        f"tf.strings.as_string({value}, precision={RNG.choice([-1, 0, 3])}, width=9)",
    ]


def main() -> None:
    import tensorflow as tf

    expressions = list(EXPRESSIONS)
    for _ in range(12):
        for make in (
            ragged_expressions,
            sparse_expressions,
            set_expressions,
            string_expressions,
        ):
            expressions += make()
    rows = []
    for expression in dict.fromkeys(expressions):
        found = evaluate(expression, tf)
        if expression in EXPRESSIONS or found != "error":
            rows.append(json.dumps([expression, found]))
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    print(len(rows), "expressions")


if __name__ == "__main__":
    main()
