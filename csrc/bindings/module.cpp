// SPDX-License-Identifier: Apache-2.0
#include "bindings/ndarray.hpp"
#include "kernels/table.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels, plans and threads of fastnn.";
  // Chooses the instruction set now, so that a bad FASTNN_ISA fails at import.
  fastnn::active_isa();
  fastnn::bind_kernels(m);
  fastnn::bind_plan(m);
  fastnn::bind_runtime(m);
}
