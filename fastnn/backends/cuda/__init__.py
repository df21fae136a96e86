# SPDX-License-Identifier: Apache-2.0
"""The GPU: the same records, graphs and passes, with kernels of `csrc/cuda`.

* `rules` say with which launches an op is computed: pure Python, no device needed.
* `source` writes the text of a module with the kernels that some launches ask for.
* `graph/device_plan.py` runs a graph as a list of launches over one arena.

Tests run the same launches on the CPU (`tests/cuda`), where no GPU is at hand.
"""
