# SPDX-License-Identifier: Apache-2.0
"""Saving and loading a model of 25 million parameters beside Keras.

    python -m benchmarks.saving --folder /dev/shm --keras .venv-bench/bin/python

Every number comes from a fresh process: one saves and loads each format a few times and
tells the shortest, others load once and tell how far their memory rose. Processes of
fastnn and Keras take turns; ratios are those of one round, and the median of the rounds
is shown. fastnn brings each file to the disk (fsync) before it counts as saved, Keras
does not, so a folder in memory compares the work itself, one on a disk what users see.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FORMATS = ("keras", "weights.h5", "h5")
OURS = (*FORMATS, "safetensors", "npz")
WIDTH, DEPTH = 1250, 16  # 25 million: 100 MB
TURNS = 5
MIB = 1 << 20


def library(name: str) -> Any:
    if name == "fastnn":
        from fastnn import keras
    else:
        os.environ["KERAS_BACKEND"] = name
        import keras
    return keras


def make(keras: Any, width: int = WIDTH, depth: int = DEPTH) -> Any:
    layers = [keras.layers.Dense(width, activation="relu") for _ in range(depth)]
    return keras.Sequential([keras.Input((width,)), *layers])


def calls(keras: Any, path: str, model: Any) -> tuple[Callable, Callable]:
    """(save, load) of the format that a path names."""
    if path.endswith((".weights.h5", ".safetensors", ".npz")):
        return lambda: model.save_weights(path), lambda: model.load_weights(path)
    load = keras.models.load_model
    return lambda: model.save(path), lambda: load(path, compile=False)


def shortest(call: Callable) -> float:
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def times(name: str, folder: str) -> dict[str, Any]:
    keras = library(name)
    model = make(keras)
    found = {}
    for ending in OURS if name == "fastnn" else FORMATS:
        path = os.path.join(folder, f"{name}.{ending}")
        save, load = calls(keras, path, model)
        found[ending] = {"save": shortest(save), "load": shortest(load)}
        os.remove(path)
    return found


def memory(name: str, folder: str, ending: str) -> dict[str, Any]:
    """How far a save and a load raise the highest resident size, over the file's."""
    from benchmarks.memory import Peak

    keras = library(name)
    small = os.path.join(folder, f"small.{name}.{ending}")
    model = make(keras, 8, 2)
    for call in calls(keras, small, model):  # modules are imported
        call()
    os.remove(small)
    path = os.path.join(folder, f"peak.{name}.{ending}")
    model = make(keras)
    save, load = calls(keras, path, model)
    peak = Peak()
    save()
    raised = peak.above()
    file = os.path.getsize(path)
    if not path.endswith((".weights.h5", ".safetensors", ".npz")):
        del model, save  # a load makes a model of its own
    import gc

    gc.collect()
    peak = Peak()
    kept = load()
    found = {"file": file, "save": raised, "load": peak.above()}
    del kept
    os.remove(path)
    return found


def child(python: str, task: str, name: str, *arguments: str) -> Any:
    command = [python, "-m", "benchmarks.saving", "--child", task, name, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def render(document: dict[str, Any]) -> str:
    """Markdown of results/saving.json."""
    rounds, memory = document["turns"], document["memory"]
    (peer,) = set(memory) - {"fastnn"}
    title = (
        f"### Files of a model of 25 million parameters in {document['folder']}: "
        f"shortest of {TURNS} in each of {len(rounds)} rounds"
    )
    note = (
        "MiB are what the highest resident size rises by; of saving, beside the model."
    )
    parts = [title, "\n".join(table(rounds, peer)), note]
    return "\n\n".join([*parts, "\n".join(memory_table(memory, peer))])


def table(rounds: list[dict[str, Any]], peer: str) -> list[str]:
    from benchmarks.harness import bootstrap_median

    lines = ["| format | save ms | load ms | Keras save | Keras load |"]
    lines += ["|---|---|---|---|---|"]
    for ending in OURS:
        cells = []
        for what in ("save", "load"):
            own = statistics.median(r["fastnn"][ending][what] for r in rounds)
            cells.append(f"{own * 1e3:.1f}")
        for what in ("save", "load"):
            if ending not in FORMATS:
                cells.append("")
                continue
            ratio = [r[peer][ending][what] / r["fastnn"][ending][what] for r in rounds]
            low, high = bootstrap_median(ratio)
            cells.append(f"x{statistics.median(ratio):.2f} [{low:.1f}, {high:.1f}]")
        lines.append(f"| .{ending} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs="+")
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--keras", help="a Python that has Keras", default=None)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="results/saving.json")
    given = parser.parse_args()
    if given.child:
        task, *arguments = given.child
        print(json.dumps({"times": times, "memory": memory}[task](*arguments)))
        return
    from benchmarks.machine import machine_sheet

    python = given.keras or sys.executable
    pairs = [("fastnn", sys.executable), (given.backend, python)]
    sheet, load_before = machine_sheet(os.cpu_count() or 1), os.getloadavg()[0]
    rounds = [
        {name: child(path, "times", name, given.folder) for name, path in pairs}
        for _ in range(given.rounds)
    ]
    grown = {
        name: {
            ending: child(path, "memory", name, given.folder, ending)
            for ending in (OURS if name == "fastnn" else FORMATS)
        }
        for name, path in pairs
    }
    document = {
        "kind": "saving",
        "machine": sheet,
        "load_before": load_before,
        "versions": {name: versions(path, name) for name, path in pairs},
        "folder": given.folder,
        "quick": given.rounds < 3,
        "rounds": given.rounds,
        "turns": rounds,
        "memory": grown,
    }
    print(render(document))
    if given.output:
        given.output.write_text(json.dumps(document, indent=1) + "\n")


def versions(python: str, name: str) -> dict[str, str]:
    modules = ["fastnn"] if name == "fastnn" else ["keras", name]
    script = f"import {', '.join(modules)}, json; print(json.dumps(dict([" + ", ".join(
        f"({one!r}, {one}.__version__)" for one in modules
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"}
    command = [python, "-c", f"{script}])))"]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def memory_table(grown: dict[str, Any], peer: str) -> list[str]:
    lines = ["| format | file MiB | save + MiB | load + MiB | Keras save | load |"]
    lines += ["|---|---|---|---|---|---|"]
    for ending in OURS:
        cells = [grown["fastnn"][ending][key] for key in ("file", "save", "load")]
        if ending in FORMATS:
            cells += [grown[peer][ending][key] for key in ("save", "load")]
        lines.append(f"| .{ending} | {' | '.join(f'{n / MIB:.0f}' for n in cells)} |")
    return lines


if __name__ == "__main__":
    main()
