# SPDX-License-Identifier: Apache-2.0
"""Callbacks that tell others how training goes: a server, tqdm."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

from fastnn import Input, Sequential, layers
from fastnn.callbacks import CallbackList, RemoteMonitor, TqdmCallback

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X[:, :1]


def model():
    made = Sequential([Input((4,)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.fixture
def server():
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers, body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):
            """Quiet."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}", got
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_server_gets_the_logs(server, as_json) -> None:
    root, got = server
    monitor = RemoteMonitor(root, "/at/", "field", {"X-Key": "k"}, send_as_json=as_json)
    history = model().fit(
        X, Y, epochs=2, verbose=0, validation_split=0.5, callbacks=[monitor]
    )
    sent = []
    for path, headers, body in got:
        assert path == "/at/" and headers["X-Key"] == "k"
        kind = "json" if as_json else "x-www-form-urlencoded"
        assert headers["Content-Type"] == f"application/{kind}"
        text = body if as_json else urllib.parse.parse_qs(body)["field"][0]
        sent.append(json.loads(text))
    curves = history.history
    assert sent == [
        {"epoch": k, **{name: values[k] for name, values in curves.items()}}
        for k in range(2)
    ]


def test_no_server_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="could not reach http://127.0.0.1:9"):
        model().fit(X, Y, verbose=0, callbacks=[RemoteMonitor("http://127.0.0.1:9")])


def test_the_address_is_checked() -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        RemoteMonitor("localhost:9000")


class Bar:
    """What the callback uses of tqdm."""

    made: list[Bar]

    def __init__(self, total=None, desc="", leave=True, **kwargs):
        self.total, self.desc, self.kwargs, self.n = total, desc, kwargs, 0
        self.shown, self.closed = {}, False
        type(self).made.append(self)

    def set_postfix(self, values, refresh=True):
        self.shown = dict(values)

    def update(self, n):
        self.n += n

    def close(self):
        self.closed = True


@pytest.fixture
def bars():
    Bar.made = []
    return Bar.made


def test_bars_of_epochs_and_batches(bars) -> None:
    told = TqdmCallback(tqdm_class=Bar, ncols=70)
    assert not CallbackList([told]).has_batch_hooks  # training keeps its speed
    history = model().fit(
        X, Y, 10, 3, verbose=0, validation_split=0.5, callbacks=[told]
    )
    assert [bar.desc for bar in bars] == ["training", "epoch 1", "epoch 2", "epoch 3"]
    assert [(bar.n, bar.total) for bar in bars] == [(3, 3), (2, 2), (2, 2), (2, 2)]
    assert all(bar.closed and bar.kwargs == {"ncols": 70} for bar in bars)
    last = {name: values[-1] for name, values in history.history.items()}
    assert bars[0].shown == last


def test_bars_of_evaluate_and_predict(bars) -> None:
    told = TqdmCallback(tqdm_class=Bar)
    made = model()
    made.evaluate(X, Y, 10, verbose=0, callbacks=[told])
    made.predict(X, 10, verbose=0, callbacks=[told])
    assert [bar.desc for bar in bars] == ["evaluation", "prediction"]
    assert [(bar.n, bar.total, bar.closed) for bar in bars] == [(4, 4, True)] * 2


def test_only_the_epochs(bars) -> None:
    told = TqdmCallback(batches=False, tqdm_class=Bar)
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[told])
    assert [bar.desc for bar in bars] == ["training"]


def test_the_real_tqdm(capsys) -> None:
    pytest.importorskip("tqdm")
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[TqdmCallback()])
    assert "training: 100%" in capsys.readouterr().err
