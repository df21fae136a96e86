# SPDX-License-Identifier: Apache-2.0
"""Tensors, ops and variables on a device, which is the emulated one."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from cuda_models import CASES, train

import fastnn
from fastnn import ops
from fastnn.autodiff import raw
from fastnn.backends.cuda import device as devices
from fastnn.errors import BackendError


@pytest.fixture
def gpus(monkeypatch):
    """Two devices; `device` gives them by number."""
    made = [EmulatedDevice(0), EmulatedDevice(1)]
    monkeypatch.setattr(devices, "device", made.__getitem__)
    monkeypatch.setattr(devices, "opened", lambda: made)
    return made


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_ops_in_the_context_run_on_the_device(gpus) -> None:
    x, w = numbers(4, 3), numbers(3, 5)
    with fastnn.device("gpu:0"):
        a, b = fastnn.convert_to_tensor(x), fastnn.convert_to_tensor(w)
        y = ops.softmax(ops.matmul(a, b) * 2.0 + 1.0)
    assert y.device == "gpu:0"
    assert gpus[0].downloads == [], "nothing left the device before it was asked for"
    z = np.exp(2 * x.astype("float64") @ w + 1)
    np.testing.assert_allclose(y.numpy(), z / z.sum(-1, keepdims=True), rtol=1e-5)


def test_an_op_runs_where_its_inputs_are(gpus) -> None:
    x = fastnn.convert_to_tensor(numbers(4, 3))
    there = x.to_device("gpu:1")
    assert (x.device, there.device) == ("cpu", "gpu:1")
    assert (there + x).device == "gpu:1"
    assert (x + x).device == "cpu"
    with fastnn.device("cpu"):
        assert (there + x).device == "cpu"
    assert there.to_device("gpu:1") is there
    assert there.to_device("cpu").device == "cpu"
    np.testing.assert_array_equal((there + x).numpy(), (x + x).numpy())


def test_gradients_flow_through_a_move(gpus) -> None:
    x = numbers(4, 3)
    t, w = fastnn.convert_to_tensor(x), fastnn.Variable(numbers(4, 3))
    with fastnn.GradientTape() as tape:
        tape.watch(t)
        y = (t * t).to_device("gpu:0") * w.to_device("gpu:1").to_device("gpu:0")
        back = ops.sum(y.to_device("cpu"))
    assert back.device == "cpu"
    dt, dw = tape.gradient(back, [t, w])
    np.testing.assert_allclose(dt.numpy(), 2 * x * x, rtol=1e-6)
    np.testing.assert_allclose(dw.numpy(), x * x, rtol=1e-6)


def test_a_move_in_a_traced_function_is_the_tensor_itself(gpus) -> None:
    @fastnn.function
    def doubled(t):
        return t.to_device("gpu:0").to_device("cpu") * 2.0

    x = numbers(4, 3)
    np.testing.assert_array_equal(np.asarray(doubled(x)), 2 * x)


VIEWS = {
    "turned": lambda t: ops.transpose(t, (1, 0, 2)),
    "reshaped": lambda t: ops.reshape(t, (6, 4)),
    "turned, reshaped": lambda t: ops.reshape(ops.transpose(t, (2, 0, 1)), (8, 3)),
    "repeated": lambda t: ops.broadcast_to(ops.expand_dims(t, 0), (2, 2, 3, 4)),
    "sliced": lambda t: t[1, ::2, 1:3],
    "reversed": lambda t: t[:, ::-1],
    "reversed, added": lambda t: ops.flip(t, 2) + 1.0,
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_the_memory_or_are_copied(name, gpus) -> None:
    x = fastnn.convert_to_tensor(numbers(2, 3, 4))
    found = VIEWS[name](x.to_device("gpu:0"))
    assert found.device == "gpu:0"
    np.testing.assert_array_equal(found.numpy(), VIEWS[name](x).numpy())


OF_VARIABLES = {
    "reshaped": lambda w: ops.reshape(w, (4, 3)),
    "sliced": lambda w: w[1:],
    "turned": ops.transpose,
    "moved": lambda w: w.to_device("gpu:0"),
    "read": lambda w: w.value,
    "through NumPy": np.asarray,
}


@pytest.mark.parametrize("name", OF_VARIABLES)
@pytest.mark.parametrize("place", ["gpu:0", "cpu"])
def test_what_was_made_of_a_variable_stays_when_it_is_written(
    name, place, gpus
) -> None:
    w = fastnn.Variable(numbers(3, 4))
    with fastnn.device("gpu:0"):
        w.assign_add(ops.ones((3, 4)))  # the device has the newer value
    with fastnn.device(place):
        made = OF_VARIABLES[name](w)
        expected = OF_VARIABLES[name](fastnn.Variable(numbers(3, 4) + 1))
        for write in (
            lambda: w.assign_add(ops.ones((3, 4))),
            lambda: w.assign(numbers(3, 4)),
            w._clear,
        ):
            write()
            np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


@pytest.mark.parametrize("write", ["array", "in place"])
@pytest.mark.parametrize("read", [lambda w: w.__array__(), lambda w: w.value])
def test_what_others_have_of_a_fetched_variable_is_not_written(
    read, write, gpus
) -> None:
    w = fastnn.Variable(numbers(3, 4))
    with fastnn.device("gpu:0"):
        w.assign_add(ops.ones((3, 4)))
    seen = read(w)
    if write == "array":
        w.assign(numbers(3, 4))
    else:
        w._clear()
    np.testing.assert_array_equal(np.asarray(seen), numbers(3, 4) + 1)


MADE_OF_NUMBERS = {
    "moved": lambda t: t.to_device("gpu:0"),
    "made": lambda t: fastnn.convert_to_tensor(1.0),
    "reshaped": lambda t: ops.reshape(t, (1,)),
}


@pytest.mark.parametrize("name", MADE_OF_NUMBERS)
def test_who_writes_into_a_number_on_a_device_writes_into_one_tensor(
    name, gpus
) -> None:
    one, x = fastnn.convert_to_tensor(1.0), fastnn.convert_to_tensor(numbers(3))
    with fastnn.device("gpu:0"):
        expected = (x + one).numpy()
        given = MADE_OF_NUMBERS[name](one)
        np.from_dlpack(Taken(given))  # torch, say, may write there
        given._remote.array.memory.owner[:4] = 0
        np.testing.assert_array_equal((x + one).numpy(), expected)


def test_ops_without_kernels_are_computed_by_the_host_and_come_back(gpus) -> None:
    x = numbers(3, 3) + 4 * np.eye(3, dtype="float32")
    with fastnn.device("gpu:0"):
        y = ops.det(fastnn.convert_to_tensor(x))
    assert y.device == "gpu:0"
    np.testing.assert_allclose(y.numpy(), np.linalg.det(x), rtol=1e-5)


def test_gradients_on_a_device_are_those_of_the_cpu(gpus) -> None:
    x, start = numbers(5, 4), numbers(4, 3)

    def found():
        w = fastnn.Variable(start)
        for _ in range(3):
            with fastnn.GradientTape() as tape:
                y = ops.tanh(ops.matmul(fastnn.convert_to_tensor(x), w))
                loss = ops.mean(ops.square(y))
            dw = tape.gradient(loss, w)
            w.assign_sub(dw * 0.5)
        return loss, dw, w

    expected = found()
    with fastnn.device("gpu:0"):
        loss, dw, w = found()
        assert gpus[0].uploads.count(start.nbytes) == 1, "the variable stays there"
        assert gpus[0].downloads == []
    assert (loss.device, dw.device) == ("gpu:0", "gpu:0")
    for a, e in zip((loss, dw, w), expected, strict=True):
        np.testing.assert_allclose(a.numpy(), e.numpy(), rtol=1e-5, atol=1e-7)


def test_what_a_tape_saw_of_a_variable_stays_when_it_is_assigned(gpus) -> None:
    with fastnn.device("gpu:0"):
        w = fastnn.Variable([3.0])
        with fastnn.GradientTape() as tape:
            y = w * w
            w.assign([100.0])
        (dw,) = tape.gradient(y, [w])
    np.testing.assert_array_equal(dw.numpy(), [6.0])


@pytest.mark.parametrize("name", CASES)
def test_fit_in_the_context_equals_fit_on_the_cpu(name, gpus) -> None:
    expected = train(name)
    with fastnn.device("gpu:0"):
        found = train(name)
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
    np.testing.assert_allclose(found[2], expected[2], rtol=2e-4, atol=2e-5)


def model_of_one_layer():
    fastnn.utils.set_random_seed(3)
    model = fastnn.Sequential([fastnn.Input((7,)), fastnn.layers.Dense(11)])
    model.compile("sgd", "mse")
    return model


KERNEL = 7 * 11 * 4  # bytes of the layer's kernel


def test_weights_stay_on_the_device_between_calls(gpus) -> None:
    x, y = numbers(32, 7), numbers(32, 11)
    with fastnn.device("gpu:0"):
        model = model_of_one_layer()
        gpus[0].uploads.clear()
        gpus[0].downloads.clear()  # the initializer ran on the device
        model.fit(x, y, batch_size=8, epochs=3, verbose=0)
        model.evaluate(x, y, batch_size=8, verbose=0)
        model.predict(x, verbose=0)
        model.train_on_batch(x[:8], y[:8])
        assert gpus[0].uploads.count(KERNEL) == 1
        assert gpus[0].downloads.count(KERNEL) == 0
        first = model.get_weights()[0]
        assert gpus[0].downloads.count(KERNEL) == 1
        model.get_weights()
        assert gpus[0].downloads.count(KERNEL) == 1, "fetched once after each change"
        model.fit(x, y, batch_size=8, verbose=0)
        assert gpus[0].uploads.count(KERNEL) == 1
    assert not np.array_equal(model.get_weights()[0], first)


def test_batches_that_ran_on_the_cpu_run_on_the_device_in_its_context(gpus) -> None:
    x, y = numbers(8, 7), numbers(8, 11)
    model = model_of_one_layer()
    uses = [
        lambda: model.train_on_batch(x, y),
        lambda: model.test_on_batch(x, y),
        lambda: model.predict_on_batch(x),
        lambda: model.predict(x, verbose=0),
        lambda: model(x),
    ]
    for use in uses:
        for _ in range(3):
            use()
    for use in uses:
        gpus[0].uploads.clear()
        with fastnn.device("gpu:0"):
            use()
        assert x.nbytes in gpus[0].uploads


def test_what_the_host_assigns_is_what_the_device_trains_on(gpus) -> None:
    x, y = numbers(32, 7), numbers(32, 11)

    def trained():
        model = model_of_one_layer()
        model.fit(x, y, batch_size=8, verbose=0)
        model.set_weights([w * 0 + 0.25 for w in model.get_weights()])
        model.fit(x, y, batch_size=8, verbose=0)
        return model.get_weights()

    expected = trained()
    with fastnn.device("gpu:0"):
        found = trained()
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)


def test_training_moves_between_devices_and_the_cpu(gpus) -> None:
    x, y = numbers(32, 7), numbers(32, 11)

    def trained(places):
        model = model_of_one_layer()
        for place in places:
            with fastnn.device(place):
                model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        return model.get_weights()

    expected = trained(["cpu"] * 5)
    found = trained(["gpu:0", "cpu", "gpu:1", "gpu:0", "cpu"])
    assert all(gpu.uploads for gpu in gpus), "each was used"
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)


def test_an_index_out_of_range_is_an_error_in_eager_ops_too(gpus) -> None:
    x, bad = numbers(4, 2), np.array([[1, -7], [7, 9]])

    def taken():
        raw.take(fastnn.convert_to_tensor(x), fastnn.convert_to_tensor(bad))

    with pytest.raises(ValueError, match="index -7 at position") as of_cpu:
        taken()
    with fastnn.device("gpu:0"):
        with pytest.raises(ValueError, match="index -7 at position") as of_device:
            taken()
        assert gpus[0].downloads == [8], "the kernel's word and nothing else"
        with pytest.raises(IndexError, match="index -7 at position"):
            ops.take(x, bad, 0)
    assert str(of_device.value) == str(of_cpu.value)


class Foreign:
    """An array of another library in the memory of gpu:0."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        raise AssertionError("the device takes it")

    def __dlpack_device__(self):
        return 2, 0


class Taken:
    """What the emulated device hands out is memory of the host."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__()

    def __dlpack_device__(self):
        return 1, 0


def test_memory_is_shared_with_other_libraries(gpus) -> None:
    x = numbers(3, 4)
    there = fastnn.from_dlpack(Foreign(x))
    assert there.device == "gpu:0"
    assert there.__dlpack_device__() == (2, 0)
    assert there.__cuda_array_interface__["data"][0] == x.ctypes.data
    x[1, 2] = 77
    assert there.numpy()[1, 2] == 77
    assert gpus[0].uploads == []
    assert np.shares_memory(np.from_dlpack(Taken(there)), x)


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]"])
def test_memory_of_dtypes_that_fastnn_lacks_is_refused(dtype, gpus) -> None:
    with pytest.raises(BufferError, match=f"dtype {re.escape(dtype)}; supported"):
        fastnn.from_dlpack(Foreign(np.zeros(3, dtype)))


def test_what_runs_backwards_is_dense_for_other_libraries(gpus) -> None:
    x = numbers(3, 4)
    turned = fastnn.convert_to_tensor(x).to_device("gpu:0")[::-1]
    said = turned.__cuda_array_interface__
    assert said["strides"] is None, "dense"
    shared = np.from_dlpack(Taken(turned))
    np.testing.assert_array_equal(shared, x[::-1])
    assert said["data"][0] == shared.ctypes.data, "the tensor holds it"


def test_tensors_of_the_host_have_no_cuda_interface() -> None:
    assert not hasattr(fastnn.convert_to_tensor([1.0]), "__cuda_array_interface__")


def test_clear_session_gives_memory_back(gpus) -> None:
    with fastnn.device("gpu:0"):
        fastnn.convert_to_tensor(numbers(3)) + 1.0
    fastnn.utils.clear_session()
    assert [d.released for d in gpus] == [1, 1]


@pytest.mark.parametrize("name", ["tpu", "gpu:x", "cpu:1", ""])
def test_names_that_are_no_device(name) -> None:
    with pytest.raises(ValueError, match="cpu:0"), fastnn.device(name):
        pass


@pytest.fixture
def unopened(monkeypatch):
    monkeypatch.setattr(devices, "_devices", {})


def test_a_missing_cupy_is_an_error_with_the_remedy(monkeypatch, unopened) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    remedy = r"pip install 'fastnn\[cuda13\]'"
    with pytest.raises(BackendError, match=remedy), fastnn.device("gpu:0"):
        pass
    assert fastnn.config.backend() == "cpu", "the context was not entered"


def test_fit_on_a_backend_that_is_missing_is_an_error(monkeypatch, unopened) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    x, y = numbers(32, 7), numbers(32, 11)
    model = model_of_one_layer()
    fastnn.config.set_backend("cuda")
    try:
        with pytest.raises(BackendError, match="CuPy cannot be imported"):
            model.fit(x, y, verbose=0)
    finally:
        fastnn.config.set_backend("cpu")


def test_a_device_is_one_object_however_it_is_asked_for(monkeypatch, unopened) -> None:
    monkeypatch.setattr(devices, "CudaDevice", EmulatedDevice)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: devices.device(*i), [(), (0,)] * 8))
    assert len(set(map(id, found))) == 1
    assert devices.opened() == found[:1]
    assert devices.device(1) is not found[0]
