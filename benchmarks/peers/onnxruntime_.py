# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the fastest peer for `predict`; it does not train here."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort

from benchmarks.layers import Dense
from benchmarks.peers.base import Peer
from benchmarks.workloads import NotEquivalent


class OnnxPeer(Peer):
    def build(self) -> None:
        from onnx import TensorProto, helper, numpy_helper

        if not all(isinstance(layer, Dense) for layer in self.workload.layers):
            raise NotEquivalent("[onnxruntime] written for Dense layers only.")
        nodes, constants, value = [], [], "x"
        for index, layer in enumerate(self.workload.layers):
            names = (f"w{index}", f"b{index}")
            constants += [
                numpy_helper.from_array(w, name)
                for w, name in zip(self.weights[2 * index :], names, strict=False)
            ]
            nodes.append(helper.make_node("Gemm", [value, *names], [f"z{index}"]))
            value = f"z{index}"
            if layer.activation != "linear":
                kind = {"relu": "Relu", "softmax": "Softmax"}[layer.activation]
                nodes.append(helper.make_node(kind, [value], [f"a{index}"]))
                value = f"a{index}"
        width, out = self.weights[0].shape[0], self.weights[-1].shape[0]
        graph = helper.make_graph(
            nodes,
            "mlp",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", out])],
            constants,
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        self.session = ort.InferenceSession(model.SerializeToString(), options)

    def reset(self) -> None:
        """Nothing trains, so nothing changes."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": x})[0]

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": ort.__version__}


def make(variant: str) -> Peer:
    return OnnxPeer()
