# SPDX-License-Identifier: Apache-2.0
"""Sends the logs of each epoch to a server."""

from __future__ import annotations

import json
from typing import Any

from fastnn.callbacks.callback import Callback
from fastnn.errors import warn_user

_TIMEOUT_SECONDS = 10


class RemoteMonitor(Callback):
    """Posts `{"epoch": 3, "loss": 0.1, ...}` to a server after each epoch.

    A server that cannot be reached is a warning: training goes on.

    Args:
        root: address of the server, http or https.
        path: where on it.
        field: name of the form's field that holds the JSON text.
        headers: more headers of the request.
        send_as_json: send the JSON text itself as the body, not a form.

    Raises:
        ValueError: when `root` is no address of http or https.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise ValueError(
                f"[RemoteMonitor] root must begin with http:// or https://, received "
                f"{root!r}."
            )
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        import urllib.error
        import urllib.parse
        import urllib.request

        values = {name: _plain(value) for name, value in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        kind = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode({self.field: text})
        if self.send_as_json:
            kind, body = "application/json", text
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()
        except (urllib.error.URLError, OSError) as error:
            warn_user(
                f"[RemoteMonitor] could not reach {self.root}{self.path}: {error}"
            )


def _plain(value: Any) -> Any:
    """A scalar that JSON can write."""
    return value.item() if hasattr(value, "item") else value


__all__ = ["RemoteMonitor"]
