# SPDX-License-Identifier: Apache-2.0
"""Expressions about strings, ragged and sparse tensors, sets and tensor arrays.

They are evaluated with TensorFlow (tools/record_structures.py) and with `fastnn.tf`. A
new operation is one more line; then the recorder runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

R = "tf.ragged.constant([[1, 2], [], [3, 4, 5]])"
R3 = "tf.ragged.constant([[[1.5, 2.0], []], [[3.0]], []])"
RS = "tf.ragged.constant([['a', 'bc'], [], ['café']])"
S = "tf.SparseTensor([[0, 1], [1, 0], [2, 3]], [1.0, 2.0, 3.0], [3, 4])"
U = "tf.SparseTensor([[2, 3], [0, 1]], [3.0, 1.0], [3, 4])"
SS = "tf.SparseTensor([[0, 0], [1, 0], [1, 1]], ['a', 'b', 'c'], [3, 2])"

EXPRESSIONS = f"""
tf.constant("café")
tf.constant(b"x", tf.string)
tf.constant([["a", "b"], ["c", "d"]])
tf.constant("a", shape=[2, 2])
tf.constant(["a", "b", "c", "d"], shape=[2, 2])
tf.constant([["a"], ["b", "c"]])
tf.constant(1, tf.string)
tf.constant("a") + ["b", "c"]
tf.constant(["a", "b"]) == "a"
tf.constant(["a", "b"]) != ["a", "c"]
tf.constant([["a", "b"], ["c", "d"]])[:, 1]
tf.constant([["a", "b"], ["c", "d"]])[1, ::-1]
tf.reshape(tf.constant(["a", "b", "c", "d"]), [2, 2])
tf.concat([tf.constant(["a"]), tf.constant(["b"])], 0)
tf.stack([tf.constant(["a"]), tf.constant(["b"])], 1)
tf.transpose(tf.constant([["a", "b"], ["c", "d"]]))
tf.expand_dims(tf.constant("a"), 0)
tf.tile(tf.constant(["a", "b"]), [2])
tf.where(tf.constant([True, False]), tf.constant(["a", "b"]), tf.constant(["c", "d"]))
tf.equal(tf.constant(["a", "b"]), tf.constant("a"))
tf.multiply(tf.constant("a"), 2)
tf.strings.length("café")
tf.strings.length("café", unit="UTF8_CHAR")
tf.strings.length("café", unit="WORD")
tf.strings.unicode_decode("café", "UTF-8")
tf.strings.unicode_decode(["café", "a"], "UTF-8")
tf.strings.unicode_decode(["a", b"\\xff"], "UTF-8", errors="strict")
tf.strings.unicode_decode("a\\x01b", "UTF-8", replace_control_characters=True)
tf.strings.unicode_decode("a", "nonsense")
tf.strings.unicode_decode_with_offsets(["café!", ""], "UTF-8")
tf.strings.unicode_decode({RS}, "UTF-8")
tf.strings.unicode_encode([99, 97, 102, 233], "UTF-8")
tf.strings.unicode_encode([[99, 97], [102, 233]], "UTF-16-BE")
tf.strings.unicode_encode(tf.ragged.constant([[99, 97], [233]]), "UTF-32-BE")
tf.strings.unicode_encode([55296, 97], "UTF-8")
tf.strings.unicode_encode([55296, 97], "UTF-8", errors="ignore")
tf.strings.unicode_encode([55296, 97], "UTF-8", errors="strict")
tf.strings.unicode_encode([97], "ASCII")
tf.strings.unicode_split("café", "UTF-8")
tf.strings.unicode_transcode("café", "UTF-8", "UTF-16-BE")
tf.strings.unicode_transcode("café", "ISO-8859-1", "UTF-8")
tf.strings.upper("café")
tf.strings.upper("café", encoding="utf-8")
tf.strings.lower(["ABC", "É"], encoding="utf-8")
tf.strings.upper({RS}.flat_values)
tf.strings.strip([" a b \\n", "\\tc"])
tf.strings.join(["a", "b", "c"], "-")
tf.strings.join([["a", "b"], "c"])
tf.strings.join([["a", "b"], ["c"]])
tf.strings.split(["a b  c", " x "])
tf.strings.split("a,b,,c", sep=",")
tf.strings.split(["a,b,,c", ""], ",", maxsplit=2)
tf.strings.split([["a b", "c"], ["d e f", ""]])
tf.strings.split({RS}, "c")
tf.strings.substr(["hello", "hi"], -2, 2)
tf.strings.substr(["hello", "world"], [0, 1], [2, 9])
tf.strings.substr("hi", 3, 1)
tf.strings.substr("hi", -3, 1)
tf.strings.substr("café", 2, 2, unit="UTF8_CHAR")
tf.strings.regex_replace(["hello world"], "l+", "L")
tf.strings.regex_replace("hello world", "(l+)o", r"<\\1\\0>")
tf.strings.regex_replace("aaa", "a", "b", replace_global=False)
tf.strings.regex_replace("aaa", "(", "b")
tf.strings.regex_full_match(["hello", "hell"], "h.*o")
tf.strings.to_number(["1.5", " 2 ", "-1e3", "nan"])
tf.strings.to_number(["12", "-7"], tf.int64)
tf.strings.to_number("1.5", tf.int32)
tf.strings.to_number("abc")
tf.strings.to_number("1_0")
tf.strings.to_number("99999999999", tf.int32)
tf.strings.to_number("0x10")
tf.strings.as_string([1.5, -2.0])
tf.strings.as_string([3.14159, 1e10], shortest=True)
tf.strings.as_string([3.14159], precision=2, scientific=True)
tf.strings.as_string([3, -4], width=5, fill="0")
tf.strings.as_string([True, False])
tf.strings.as_string(tf.constant([float("inf"), 1.0]), width=5, fill="0")
tf.strings.as_string([1.0], scientific=True, shortest=True)
tf.strings.as_string(tf.constant([3], tf.uint8), width=4, fill="+")
tf.strings.as_string(tf.constant([3], tf.int8), width=4, fill="+")
tf.reduce_max(tf.ragged.constant([], tf.float32, ragged_rank=1), [0, 1])
tf.strings.reduce_join([["a", "b"], ["c", "d"]])
tf.strings.reduce_join([["a", "b"], ["c", "d"]], 0, separator="-")
tf.strings.reduce_join([["a", "b"], ["c", "d"]], [0, 1])
tf.strings.reduce_join([["a", "b"], ["c", "d"]], [1, 0], keepdims=True)
tf.strings.reduce_join([["a", "b"]], 2)
tf.strings.reduce_join({RS}, 1, separator="-")
tf.strings.unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 3, ":")
tf.strings.unsorted_segment_join(["a"], [-1], 3)
tf.strings.bytes_split(["ab", "c", ""])
tf.strings.bytes_split("ab")
tf.strings.ngrams(["a", "b", "c"], 2)
tf.strings.ngrams({RS}, [1, 2], "_", pad_values=("L", "R"), padding_width=1)
tf.strings.ngrams({RS}, 3, preserve_short_sequences=True)
tf.strings.ngrams(["a"], 2, padding_width=1)
tf.strings.ngrams(["a"], 0)
tf.strings.format("x: {{}} y: {{}}", (tf.range(10), [1.5, 2.0]))
tf.strings.format("{{}}", tf.constant([["a", "b"], ["c", "d"]]))
tf.strings.format("{{}} {{}}", tf.constant(1))
tf.strings.to_hash_bucket(["a", "", "hello world 12345"], 1000)
tf.strings.to_hash_bucket_fast(["NEAR BAY", "INLAND", "", "ISLAND"], 1000)
tf.strings.to_hash_bucket_strong(["a", "hello world 12345"], 1000, [1, 2])
tf.strings.to_hash_bucket_fast("a", 0)
{R}
{R3}
{RS}
tf.ragged.constant([])
tf.ragged.constant([[], []])
tf.ragged.constant([[1], [[2]]])
tf.ragged.constant([1, 2])
tf.ragged.constant([[1], [2.5]])
tf.ragged.constant([[1], []], tf.float64)
tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1)
tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], inner_shape=(2,))
{R}.shape
{R}.row_lengths()
{R}.row_splits
{R}.row_starts()
{R}.row_limits()
{R}.value_rowids()
{R}.nrows()
{R}.values
{R3}.flat_values
{R3}.values
{R3}.nested_row_splits
{R3}.nested_row_lengths()
{R3}.nested_value_rowids()
{R3}.bounding_shape()
{R3}.row_lengths(2)
{R3}.merge_dims(1, 2)
{R3}.merge_dims(0, 2)
{R3}.to_tensor(-1.0)
{RS}.to_tensor("-")
{R}.to_tensor(shape=[2, 2])
{R}.to_tensor(shape=[2])
{R}.to_sparse()
{RS}.to_sparse()
{R}.with_values([9, 8, 7, 6, 5])
{R}.with_values([9])
{R3}.with_flat_values([9.0, 8.0, 7.0])
tf.RaggedTensor.from_row_splits([1, 2, 3], [0, 2, 2, 3])
tf.RaggedTensor.from_row_splits([1, 2, 3], [0, 2, 1, 3])
tf.RaggedTensor.from_row_splits([1, 2, 3], [1, 3])
tf.RaggedTensor.from_row_splits([1, 2, 3], [0, 2])
tf.RaggedTensor.from_row_lengths([1, 2, 3], [2, 0, 1])
tf.RaggedTensor.from_row_lengths([1, 2, 3], [4, -1])
tf.RaggedTensor.from_row_starts([1, 2, 3], [0, 2, 2])
tf.RaggedTensor.from_row_limits([1, 2, 3], [2, 2, 3])
tf.RaggedTensor.from_value_rowids([1, 2, 3], [0, 2, 2])
tf.RaggedTensor.from_value_rowids([1, 2, 3], [0, 0, 3], nrows=5)
tf.RaggedTensor.from_value_rowids([1, 2, 3], [0, 2, 1])
tf.RaggedTensor.from_value_rowids([1, 2, 3], [0, 2, 2], nrows=2)
tf.RaggedTensor.from_uniform_row_length([1, 2, 3, 4], 2)
tf.RaggedTensor.from_uniform_row_length([1, 2, 3], 2)
tf.RaggedTensor.from_nested_row_splits([1, 2, 3], [[0, 1, 3], [0, 0, 1, 3]])
tf.RaggedTensor.from_nested_row_lengths([1, 2, 3], [[1, 2], [0, 1, 2]])
tf.RaggedTensor.from_nested_value_rowids([1, 2, 3], [[0, 1, 1], [1, 2, 2]])
tf.RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], padding=0)
tf.RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], lengths=[3, 1])
tf.RaggedTensor.from_tensor([[[1, 2], [3, 4]]], ragged_rank=2)
tf.RaggedTensor.from_tensor([1, 2])
tf.RaggedTensor.from_tensor([[1]], lengths=[1], padding=0)
tf.RaggedTensor.from_sparse({SS})
tf.RaggedTensor.from_sparse({S})
{R}[0]
{R}[-1]
{R}[5]
{R}[1:]
{R}[:, 1:]
{R}[:, -1:]
{R}[:, ::-1]
{R}[2, 1]
{R}[:, 0]
{R}[tf.newaxis]
{R}[..., :1]
{R3}[0, 0]
{R3}[:, :1, 1:]
{R3}[..., :1]
{R} + 1
10 - {R}
{R} * {R}
{R} + [[10], [20], [30]]
{R} + [1, 2]
{R} + tf.ragged.constant([[1], [2], [3]])
{R} > 2
~({R} > 2)
-{R}
{R} % 2
{R3} / 2.0
{R3} ** 2.0
tf.abs(-{R})
tf.add({R}, 1)
tf.maximum({R}, 3)
tf.square({R3})
tf.cast({R}, tf.float64)
tf.ones_like({R})
tf.reduce_sum({R})
tf.reduce_sum({R}, 1)
tf.reduce_sum({R}, 0)
tf.reduce_sum({R}, axis=1, keepdims=True)
tf.reduce_max({R}, 1)
tf.reduce_min({R3}, -1)
tf.reduce_mean({R3}, 2)
tf.reduce_prod({R}, 1)
tf.reduce_any({R} > 2, 1)
tf.reduce_all({R} > 2, 1)
tf.reduce_sum({R3}, [1, 2])
tf.reduce_sum({R}, 2)
tf.concat([{R}, {R}], 0)
tf.concat([{R}, {R}], 1)
tf.concat([{R3}, {R3}], 2)
tf.concat([{R}, [[7], [8], [9]]], 1)
tf.concat([{R}, {R}], 2)
tf.concat([{R}, {R3}], 0)
tf.stack([{R}, {R}], 1)
tf.ragged.stack([[1, 2], [3]])
tf.ragged.stack([{R}, [[1]]])
tf.ragged.stack([1, 2])
tf.expand_dims({R}, 1)
tf.expand_dims({R}, 2)
tf.ragged.range([0, 5], [3, 7])
tf.ragged.range([3, 0, 2])
tf.ragged.range([0, 5], [6, 0], [2, -2])
tf.ragged.range(3, [4, 5])
tf.ragged.range([1.0], [2.0], 0.25)
tf.ragged.range([1], [2], 0)
tf.ragged.map_flat_values(tf.abs, {R})
tf.ragged.map_flat_values(tf.multiply, {R}, {R})
tf.ragged.map_flat_values(tf.multiply, {R}, {R}[:, :1])
tf.ragged.boolean_mask({R}, [True, False, True])
tf.ragged.boolean_mask({R}, {R} > 2)
tf.ragged.boolean_mask([[1, 2], [3, 4]], [[True, False], [True, True]])
tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5])
tf.ragged.segment_ids_to_row_splits([0, 0, 2])
tf.ragged.segment_ids_to_row_splits([0, 0, 2], 5)
tf.ragged.stack_dynamic_partitions([1, 2, 3, 4], [1, 0, 1, 3], 4)
tf.ragged.stack_dynamic_partitions([1, 2], [1, 4], 4)
{S}
{S}.values
{S}.indices
{S}.dense_shape
{S}.shape
{S} * 2.0
{S} * [[1.0, 2.0, 3.0, 4.0]]
{S} / 2.0
tf.SparseTensor([[0, 1]], [1.0, 2.0], [3, 4])
tf.SparseTensor([[0, 1]], [1.0], [3])
tf.sparse.to_dense({S})
tf.sparse.to_dense({S}, default_value=-1.0)
tf.sparse.to_dense({SS})
tf.sparse.to_dense({SS}, default_value=b"?")
tf.sparse.to_dense({U})
tf.sparse.to_dense({U}, validate_indices=False)
tf.sparse.to_dense(tf.SparseTensor([[5, 0]], [1.0], [3, 4]))
tf.sparse.from_dense([[0, 1, 0], [2, 0, 3]])
tf.sparse.from_dense([["", "a"], ["b", ""]])
tf.sparse.reorder({U})
tf.sparse.reshape({S}, [2, -1])
tf.sparse.reshape({S}, [5, -1])
tf.sparse.reset_shape({S})
tf.sparse.reset_shape({S}, [5, 5])
tf.sparse.reset_shape({S}, [2, 2])
tf.sparse.expand_dims({S}, 1)
tf.sparse.expand_dims({S})
tf.sparse.transpose({S})
tf.sparse.transpose({S}, [0, 1])
tf.sparse.slice({S}, [0, 1], [2, 3])
tf.sparse.slice({SS}, [1, 0], [2, 2])
tf.sparse.concat(0, [{S}, {S}])
tf.sparse.concat(1, [{S}, {U}])
tf.sparse.concat(0, [{S}, {S}], expand_nonconcat_dims=True)
tf.sparse.concat(1, [{S}, tf.SparseTensor([[0, 0]], [1.0], [2, 2])])
tf.sparse.concat(1, [{S}, tf.SparseTensor([[0, 0]], [1.0], [2, 2])], True)
tf.sparse.split(sp_input={S}, num_split=2, axis=1)
tf.sparse.retain({S}, [True, False, True])
tf.sparse.fill_empty_rows({SS}, "z")
tf.sparse.eye(2, 3)
tf.sparse.to_indicator(tf.SparseTensor([[0, 0], [1, 0]], [2, 0], [2, 1]), 3)
tf.sparse.add({S}, {S})
tf.sparse.add({S}, tf.ones([3, 4]))
tf.sparse.add({S}, tf.sparse.eye(3))
tf.sparse.maximum({S}, tf.sparse.eye(3, 4))
tf.sparse.minimum({S}, tf.sparse.eye(3, 4))
tf.sparse.reduce_sum({S})
tf.sparse.reduce_sum({S}, 0)
tf.sparse.reduce_sum({S}, 1, True)
tf.sparse.reduce_sum({S}, axis=[0, 1])
tf.sparse.reduce_sum({S}, 1, output_is_sparse=True)
tf.sparse.reduce_max({S}, 1)
tf.sparse.softmax({S})
tf.sparse.map_values(tf.square, {S})
tf.sparse.sparse_dense_matmul({S}, tf.ones([4, 2]))
tf.sparse.sparse_dense_matmul({S}, tf.ones([3, 2]), adjoint_a=True)
tf.sparse.sparse_dense_matmul({S}, tf.ones([2, 4]), adjoint_b=True)
tf.sparse.sparse_dense_matmul(tf.ones([2, 3]), {S})
tf.sparse.sparse_dense_matmul({S}, tf.ones([3, 2]))
tf.sets.intersection([[1, 2, 2], [3, 4, 5]], [[2, 9], [9, 3]])
tf.sets.union([[1, 2, 2], [3, 4, 5]], [[2, 9], [9, 3]])
tf.sets.difference([[1, 2, 2], [3, 4, 5]], [[2, 9], [9, 3]])
tf.sets.difference([[1, 2, 2], [3, 4, 5]], [[2, 9], [9, 3]], aminusb=False)
tf.sets.intersection([["a", "b"]], [["b", "c"]])
tf.sets.intersection([[1, 2]], [[3, 4]])
tf.sets.union({SS}, {SS})
tf.sets.union([["d"], ["b"], ["c"]], {SS})
tf.sets.size({SS})
tf.sets.intersection([[1.0]], [[1.0]])
tf.sets.intersection([[1]], [[1], [2]])
tf.TensorArray(tf.float32, 3).unstack([[1.0], [2.0], [3.0]]).stack()
tf.TensorArray(tf.float32, 3).unstack([[1.0], [2.0], [3.0]]).concat()
tf.TensorArray(tf.float32, 3).unstack([[1.0], [2.0], [3.0]]).gather([2, 0])
tf.TensorArray(tf.float32, 2).unstack([[1.0], [2.0], [3.0]])
tf.TensorArray(tf.float32, 2).write(0, [1.0, 2.0]).stack()
tf.TensorArray(tf.float32, 2).write(2, 1.0)
tf.TensorArray(tf.float32, 2).write(-1, 1.0)
tf.TensorArray(tf.float32, 2).write(0, 1.0).write(1, [1.0])
tf.TensorArray(tf.int32, 2).write(0, tf.constant(1.5))
tf.TensorArray(tf.float32, 2).read(0)
tf.TensorArray(tf.float32, 0, dynamic_size=True).write(2, [1.0]).stack()
tf.TensorArray(tf.float32, 0, dynamic_size=True).write(2, [1.0]).size()
tf.TensorArray(tf.int32, 2, infer_shape=False).split([1, 2, 3], [1, 2]).concat()
tf.TensorArray(tf.int32, 3).scatter([2, 0], [5, 6]).stack()
tf.TensorArray(tf.string, 2).unstack(["a", "b"]).stack()
tf.TensorArray(tf.int32, 2, element_shape=[None]).write(0, 1)
tf.TensorArray(tf.int32)
""".strip().splitlines()


def plain(value: Any) -> Any:
    """A result as JSON: kind, dtype, shape and values."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "dtype"):
        items = list(value)
        return items if all(v is None or isinstance(v, int) for v in items) else [
            plain(v) for v in items
        ]  # fmt: skip
    if hasattr(value, "dense_shape"):
        parts = [plain(p) for p in (value.indices, value.values, value.dense_shape)]
        return {"sparse": parts}
    if hasattr(value, "as_list"):
        return value.as_list()
    if hasattr(value, "to_list"):
        dtype = getattr(value.dtype, "name", value.dtype)
        return {"ragged": _texts(value.to_list()), "dtype": dtype}
    if hasattr(value, "numpy"):
        array = np.asarray(value.numpy())
        dtype = getattr(value.dtype, "name", value.dtype)
        items = _texts(array.tolist())
        return {"tensor": items, "shape": list(array.shape), "dtype": dtype}
    return type(value).__name__


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(v) for v in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def evaluate(expression: str, tf: Any) -> Any:
    """The plain result of an expression, "error" where it raises."""
    try:
        return plain(eval(expression, {"tf": tf}))
    except Exception:  # of two libraries: their types are another test's business
        return "error"
