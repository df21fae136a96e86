# SPDX-License-Identifier: Apache-2.0
"""The four queues, alone and between threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn import keras, tf
from fastnn.errors import CancelledError, DTypeError, OutOfRangeError, ShapeError

WAIT = 20  # seconds that nothing here comes near


def numbers(values):
    return np.asarray(values).tolist()


def waits(future):
    """Whether a call is still waiting after a moment."""
    with pytest.raises(TimeoutError):
        future.result(timeout=0.05)
    return True


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as executor:
        yield executor


def fifo(capacity=10):
    return tf.queue.FIFOQueue(capacity, [tf.int32], shapes=[()])


@pytest.mark.feature("1D-14")
def test_first_in_first_out():
    q = fifo()
    q.enqueue(3)
    q.enqueue([4])
    q.enqueue_many([[5, 6, 7]])
    assert int(q.size()) == 5
    assert [int(q.dequeue()) for _ in range(2)] == [3, 4]
    assert numbers(q.dequeue_many(2)) == [5, 6]
    assert q.dequeue_many(0).shape == (0,)
    assert int(q.dequeue()) == 7 and int(q.size()) == 0


def test_elements_of_several_parts_and_names():
    q = tf.queue.FIFOQueue(10, [tf.int32, tf.string], shapes=[(), (2,)])
    q.enqueue([1, ["a", "b"]])
    q.enqueue_many([[2, 3], [["c", "d"], ["e", "f"]]])
    one, text = q.dequeue()
    assert int(one) == 1 and text.numpy().tolist() == [b"a", b"b"]
    many, texts = q.dequeue_many(2)
    assert numbers(many) == [2, 3] and texts.shape == (2, 2)
    named = tf.queue.FIFOQueue(10, [tf.int32, tf.float32], names=["x", "y"])
    named.enqueue({"x": 1, "y": 2.5})
    found = named.dequeue()
    assert int(found["x"]) == 1 and float(found["y"]) == 2.5
    with pytest.raises(ValueError, match="dict"):
        named.enqueue([1, 2.5])


def test_a_closed_queue_is_emptied_and_then_ends():
    q = fifo()
    q.enqueue_many([[1, 2, 3]])
    assert not bool(q.is_closed())
    q.close()
    assert bool(q.is_closed())
    with pytest.raises(CancelledError, match="closed"):
        q.enqueue(4)
    with pytest.raises(OutOfRangeError, match="requested 4, current size 3"):
        q.dequeue_many(4)
    assert int(q.size()) == 3
    assert numbers(q.dequeue_up_to(2)) == [1, 2]
    assert numbers(q.dequeue_up_to(2)) == [3]
    for take in (q.dequeue, lambda: q.dequeue_many(1), lambda: q.dequeue_up_to(1)):
        with pytest.raises(OutOfRangeError):
            take()


def test_wrong_elements_are_refused():
    q = tf.queue.FIFOQueue(10, [tf.int32], shapes=[(2,)])
    with pytest.raises(ShapeError, match="shape"):
        q.enqueue([[1, 2, 3]])
    with pytest.raises(DTypeError):
        q.enqueue([tf.constant([1.0, 2.0])])
    with pytest.raises(ValueError, match="parts"):
        q.enqueue([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="shapes"):
        tf.queue.FIFOQueue(10, [tf.int32]).dequeue_many(2)
    with pytest.raises(ValueError, match="PaddingFIFOQueue"):
        tf.queue.FIFOQueue(10, [tf.int32], shapes=[(None,)])
    assert int(q.size()) == 0


@pytest.mark.feature("1D-14")
def test_priorities():
    q = tf.queue.PriorityQueue(10, [tf.string], shapes=[()])
    for priority, value in ((3, "c"), (1, "a"), (2, "b"), (1, "A")):
        q.enqueue((priority, value))
    priority, value = q.dequeue()
    assert int(priority) == 1 and value.numpy() == b"a"
    priorities, values = q.dequeue_many(3)
    assert numbers(priorities) == [1, 2, 3]
    assert values.numpy().tolist() == [b"A", b"b", b"c"]
    rng = np.random.default_rng(0)
    keys = rng.integers(-50, 50, 200)
    big = tf.queue.PriorityQueue(-1, tf.int32, shapes=[()])
    big.enqueue_many([keys, np.arange(200, dtype="int32")])
    found, order = big.dequeue_many(200)
    assert numbers(found) == sorted(keys.tolist())
    assert numbers(order) == np.argsort(keys, kind="stable").tolist()
    big.enqueue_many([keys[:3], np.arange(3, dtype="int32")])
    big.close()
    with pytest.raises(OutOfRangeError):
        big.dequeue_many(4)
    assert numbers(big.dequeue_many(3)[0]) == sorted(keys[:3].tolist())


@pytest.mark.feature("1D-14")
def test_padding():
    q = tf.queue.PaddingFIFOQueue(10, [tf.int32, tf.string], shapes=[[None], [2, None]])
    q.enqueue([[1], [["a"], ["b"]]])
    q.enqueue([[2, 3, 4], [["c", "d"], ["e", "f"]]])
    ints, texts = q.dequeue_many(2)
    assert numbers(ints) == [[1, 0, 0], [2, 3, 4]]
    assert texts.numpy().tolist() == [
        [[b"a", b""], [b"b", b""]],
        [[b"c", b"d"], [b"e", b"f"]],
    ]
    with pytest.raises(ShapeError):
        q.enqueue([[1], [["a"]]])


@pytest.mark.feature("1D-14")
def test_random_order_and_the_elements_that_stay(pool):
    def drawn(seed):
        q = tf.queue.RandomShuffleQueue(-1, 0, tf.int32, shapes=[()], seed=seed)
        q.enqueue_many([list(range(50))])
        return numbers(q.dequeue_many(50))

    assert drawn(1) == drawn(1) != drawn(2)
    again = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        again.append([drawn(None), drawn(None)])
    assert again[0] == again[1] and again[0][0] != again[0][1]
    assert sorted(drawn(1)) == list(range(50)) != drawn(1)
    q = tf.queue.RandomShuffleQueue(10, 2, tf.int32, shapes=[()])
    q.enqueue_many([[1, 2, 3]])
    q.dequeue()
    late = pool.submit(q.dequeue)
    assert waits(late)  # two stay
    q.close()
    late.result(WAIT)
    assert int(q.size()) == 1
    with pytest.raises(ValueError, match="min_after_dequeue"):
        tf.queue.RandomShuffleQueue(2, 2, tf.int32)


def test_calls_wait_for_room_and_for_elements(pool):
    q = fifo(2)
    q.enqueue_many([[1, 2]])
    putting = pool.submit(q.enqueue, 3)
    assert waits(putting)
    assert int(q.dequeue()) == 1
    putting.result(WAIT)
    taking = pool.submit(q.dequeue_many, 3)
    assert waits(taking)
    q.enqueue(4)
    assert numbers(taking.result(WAIT)) == [2, 3, 4]
    many = pool.submit(q.enqueue_many, [list(range(7))])  # more than it holds at once
    assert numbers(q.dequeue_many(7)) == list(range(7))
    many.result(WAIT)


def test_close_ends_calls_that_wait(pool):
    q = fifo(1)
    taking = pool.submit(q.dequeue)
    assert waits(taking)
    q.close()
    with pytest.raises(OutOfRangeError):
        taking.result(WAIT)
    q = fifo(1)
    q.enqueue(1)
    putting = pool.submit(q.enqueue, 2)
    assert waits(putting)
    q.close()  # what waits may still come in
    assert [int(q.dequeue()), int(q.dequeue())] == [1, 2]
    putting.result(WAIT)
    q = fifo(1)
    q.enqueue(1)
    putting = pool.submit(q.enqueue, 2)
    assert waits(putting)
    q.close(cancel_pending_enqueues=True)
    with pytest.raises(CancelledError):
        putting.result(WAIT)
    assert int(q.dequeue()) == 1


def test_many_threads_lose_and_double_nothing():
    q = fifo(5)
    taken, lock = [], threading.Lock()

    def put(first):
        for i in range(first, first + 100):
            q.enqueue(i)

    def take():
        while True:
            try:
                values = numbers(q.dequeue_up_to(3))
            except OutOfRangeError:
                return
            with lock:
                taken.extend(values)

    putters = [threading.Thread(target=put, args=(100 * i,)) for i in range(4)]
    takers = [threading.Thread(target=take) for _ in range(4)]
    for thread in (*putters, *takers):
        thread.start()
    for thread in putters:
        thread.join(WAIT)
    q.close()
    for thread in takers:
        thread.join(WAIT)
    assert not any(t.is_alive() for t in (*putters, *takers))
    assert sorted(taken) == list(range(400))


def test_elements_of_one_call_stay_together(pool):
    q = tf.queue.FIFOQueue(3, [tf.int32], shapes=[()])
    calls = [pool.submit(q.enqueue_many, [[i] * 10]) for i in range(4)]
    found = numbers(q.dequeue_many(40))
    for call in calls:
        call.result(WAIT)
    assert all(len(set(found[i : i + 10])) == 1 for i in range(0, 40, 10))


def test_repr():
    q = fifo()
    q.enqueue(1)
    assert repr(q) == (
        "<tf.queue.FIFOQueue 'fifo_queue' size=1, capacity=10, dtypes=['int32']>"
    )
    assert (q.dtypes, q.shapes, q.names, q.name) == (
        ["int32"],
        [()],
        None,
        "fifo_queue",
    )
