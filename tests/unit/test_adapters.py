# SPDX-License-Identifier: Apache-2.0
"""From what users call data to batches of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.data import (
    ArrayData,
    StreamData,
    adapt,
    class_weight_to_sample_weights,
    is_arrays,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from fastnn.errors import DTypeError, ShapeError


def rows(n, *shape, dtype="float32"):
    return np.arange(n * int(np.prod(shape)), dtype=dtype).reshape(n, *shape)


class TestArrays:
    def test_batches_cover_the_data_in_order(self):
        x, y = rows(10, 3), rows(10)
        data = adapt(x, y)
        assert isinstance(data, ArrayData)
        assert data.num_batches(4) == 3
        batches = list(data.batches(4))
        assert [len(b[0]) for b in batches] == [4, 4, 2]
        np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x)
        np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)
        assert all(b[2] is None for b in batches)

    def test_an_order_is_followed_by_every_array(self):
        x, y, w = rows(7, 2), rows(7), rows(7)
        order = np.array([3, 1, 6, 0, 2, 5, 4])
        got = list(adapt(x, y, w).batches(3, order))
        np.testing.assert_array_equal(np.concatenate([b[0] for b in got]), x[order])
        np.testing.assert_array_equal(np.concatenate([b[1] for b in got]), y[order])
        np.testing.assert_array_equal(np.concatenate([b[2] for b in got]), w[order])

    @pytest.mark.parametrize(
        "dtype", ["uint8", "int32", "int64", "bool", "float32", "float64", "uint16"]
    )
    def test_arrays_are_not_copied(self, dtype):
        x = np.ones((4, 2), dtype)
        assert adapt(x).x is x

    def test_strided_views_are_not_copied(self):
        x = rows(20, 6)[::2, ::-1]
        assert adapt(x).x is x

    @pytest.mark.parametrize(
        ("given", "kept"),
        [("float16", "float32"), (">f4", "float32"), (">i8", "int64")],
    )
    def test_other_dtypes_are_converted(self, given, kept):
        x = rows(3, 2).astype(given)
        got = adapt(x).x
        assert got.dtype == np.dtype(kept) and got.dtype.isnative
        np.testing.assert_array_equal(got, rows(3, 2))

    def test_nested_lists_of_numbers_are_one_array(self):
        data = adapt([[1, 2], [3, 4], [5, 6]], [0, 1, 0])
        np.testing.assert_array_equal(data.x, [[1, 2], [3, 4], [5, 6]])
        np.testing.assert_array_equal(data.y, [0, 1, 0])

    def test_lists_tuples_and_dicts_of_arrays_are_structures(self):
        a, b = rows(5, 2), rows(5, 3)
        for structure in ([a, b], (a, b), {"a": a, "b": b}):
            data = adapt(structure, rows(5))
            assert isinstance(data, ArrayData) and data.num_samples == 5
            first = next(data.batches(2))[0]
            assert type(first) is type(structure)
            leaves = first.values() if isinstance(first, dict) else first
            assert [leaf.shape for leaf in leaves] == [(2, 2), (2, 3)]

    def test_anything_with_the_array_protocol_is_an_array(self):
        class Frame:
            def __array__(self, dtype=None, copy=None):
                return rows(3, 2)

        np.testing.assert_array_equal(adapt(Frame()).x, rows(3, 2))

    def test_split_takes_the_last_rows_for_validation(self):
        train, validation = adapt(rows(10, 2), rows(10)).split(0.25)
        np.testing.assert_array_equal(train.x, rows(10, 2)[:7])
        np.testing.assert_array_equal(validation.x, rows(10, 2)[7:])
        np.testing.assert_array_equal(validation.y, rows(10)[7:])
        assert (train.num_samples, validation.num_samples) == (7, 3)

    @pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, 1.5])
    def test_split_outside_0_1_is_refused(self, fraction):
        with pytest.raises(ValueError, match=r"between 0 and 1.*" + str(fraction)):
            adapt(rows(10)).split(fraction)

    def test_split_that_leaves_nothing_is_refused(self):
        with pytest.raises(ValueError, match="of 1 samples leaves 0 for training"):
            adapt(rows(1)).split(0.5)


class TestErrors:
    def test_lengths_that_differ_are_named(self):
        with pytest.raises(ShapeError) as error:
            adapt(rows(10, 3), rows(8), rows(10), where="fit")
        text = str(error.value)
        assert text.startswith("[fit] x and y and sample_weight must have the same")
        assert "x (10, 3)" in text and "y (8,)" in text

    def test_lengths_inside_a_structure_are_named(self):
        with pytest.raises(ShapeError, match=r"x\['b'\] \(4, 3\)"):
            adapt({"a": rows(5, 2), "b": rows(4, 3)})

    def test_no_samples(self):
        with pytest.raises(ShapeError, match=r"no samples; received x \(0, 3\)"):
            adapt(np.zeros((0, 3)))

    @pytest.mark.parametrize(
        "bad",
        [
            np.array(["a", "b"]),
            np.array([object(), None]),
            np.array([1j, 2j]),
            np.array(["2020-01-01"], "datetime64[D]"),
            ["text", "more"],
        ],
    )
    def test_unsupported_dtypes(self, bad):
        with pytest.raises(DTypeError, match=r"\[fit\] x must hold numbers.*dtype"):
            adapt(bad)

    def test_text_columns_of_a_frame_are_named(self):
        class Dtype:
            def __init__(self, kind):
                self.kind = kind

        class Frame:
            columns = ("income", "ocean_proximity")
            dtypes = (Dtype("f"), Dtype("O"))

            def __array__(self, dtype=None, copy=None):
                return np.array([[1.0, "INLAND"]], dtype=object)

        with pytest.raises(DTypeError, match="without numbers: ocean_proximity"):
            adapt(Frame())

    def test_rows_of_unequal_length(self):
        with pytest.raises(ShapeError, match="rows have different lengths"):
            adapt([[1, 2], [3]])

    def test_scalars(self):
        with pytest.raises(ShapeError, match="first axis that counts the samples"):
            adapt(np.float32(3))

    def test_y_beside_a_generator(self):
        with pytest.raises(ValueError, match="do not give y"):
            adapt((b for b in ()), rows(3))

    @pytest.mark.parametrize("bad", [None, "path.csv", 3, lambda: None])
    def test_what_is_no_data(self, bad):
        with pytest.raises((TypeError, ValueError), match=r"\[fit\] x"):
            adapt(bad)


class TestStreams:
    def batches(self, n=3):
        for i in range(n):
            yield rows(4, 2) + i, rows(4)

    def test_is_arrays_tells_them_apart(self):
        assert (
            is_arrays(rows(3)) and is_arrays([1.0, 2.0]) and is_arrays({"a": rows(2)})
        )
        assert not is_arrays(self.batches())
        assert not is_arrays(iter([rows(3)]))

    def test_peek_loses_no_batch_of_a_generator(self):
        data = adapt(self.batches())
        assert isinstance(data, StreamData) and not data.restarts
        np.testing.assert_array_equal(data.peek()[0], rows(4, 2))
        np.testing.assert_array_equal(data.peek()[0], rows(4, 2))
        assert [b[0][0, 0] for b in data.batches()] == [0, 1, 2]
        assert list(data.batches()) == []

    def test_an_iterable_starts_again(self):
        class Loader:
            def __iter__(loader):
                return self.batches()

            def __len__(loader):
                return 3

        data = adapt(Loader())
        assert data.restarts and data.length == 3
        data.peek()
        assert len(list(data.batches())) == 3
        assert len(list(data.batches())) == 3

    def test_a_sequence_is_indexed_and_hears_the_end_of_the_epoch(self):
        class Sequence:
            ended = 0

            def __len__(self):
                return 2

            def __getitem__(self, i):  # never raises IndexError
                return rows(3, 2) + i, rows(3)

            def on_epoch_end(self):
                self.ended += 1

        source = Sequence()
        data = adapt(source)
        assert [b[0][0, 0] for b in data.batches()] == [0, 1]
        data.end_epoch()
        assert source.ended == 1

    def test_class_weight_applies_to_each_batch(self):
        data = adapt(iter([(rows(3, 2), np.array([0, 1, 0]))]), class_weight={1: 5.0})
        np.testing.assert_array_equal(next(data.batches())[2], [1, 5, 1])

    def test_no_batch_at_all(self):
        with pytest.raises(ShapeError, match="yielded no batch"):
            adapt(iter(())).peek()

    def test_a_bad_batch_is_named(self):
        with pytest.raises(ShapeError, match=r"x \(3, 2\), y \(2,\)"):
            adapt(iter([(rows(3, 2), rows(2))])).peek()


class TestTuples:
    def test_unpack(self):
        x, y, w = rows(1), rows(1), rows(1)
        assert unpack_x_y_sample_weight(x) == (x, None, None)
        assert unpack_x_y_sample_weight((x,)) == (x, None, None)
        assert unpack_x_y_sample_weight((x, y))[1] is y
        assert unpack_x_y_sample_weight([x, y, w])[2] is w
        with pytest.raises(ValueError, match="tuple of 4"):
            unpack_x_y_sample_weight((x, y, w, w))

    def test_pack_and_unpack_are_inverse(self):
        x, y, w = "x", "y", "w"
        for parts in ((x, None, None), (x, y, None), (x, y, w), (x, None, w)):
            assert unpack_x_y_sample_weight(pack_x_y_sample_weight(*parts)) == parts
        pair = ((x, x), None, None)
        assert unpack_x_y_sample_weight(pack_x_y_sample_weight(*pair)) == pair


class TestClassWeight:
    def test_labels_columns_and_one_hot_agree(self):
        labels = np.array([2, 0, 1, 2])
        weights = {0: 0.5, 2: 3.0}
        expected = [3.0, 0.5, 1.0, 3.0]
        for y in (labels, labels[:, None], np.eye(3)[labels], labels.astype("f4")):
            got = class_weight_to_sample_weights(y, weights)
            assert got.dtype == np.float32 and got.shape == (4,)
            np.testing.assert_array_equal(got, expected)

    @pytest.mark.parametrize(
        "bad", [{}, [1.0], {"a": 1.0}, {0: "x"}, {-1: 1.0}, {0: float("nan")}]
    )
    def test_bad_dicts(self, bad):
        with pytest.raises(TypeError, match=r"\[class_weight\]"):
            class_weight_to_sample_weights(np.array([0]), bad)

    def test_sample_weight_takes_precedence_with_a_warning(self):
        weights = rows(3)
        with pytest.warns(UserWarning, match="sample_weight takes precedence"):
            data = adapt(rows(3, 2), rows(3), weights, {0: 2.0})
        assert data.sample_weight is weights

    def test_images_as_targets_have_no_classes(self):
        with pytest.raises(ShapeError, match=r"received y \(2, 3, 3\)"):
            class_weight_to_sample_weights(rows(2, 3, 3), {0: 1.0})
