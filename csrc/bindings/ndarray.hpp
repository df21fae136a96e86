// SPDX-License-Identifier: Apache-2.0
// NumPy arrays as TensorViews, without copies.
#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include "base/tensor_view.hpp"
#include "kernels/kernel.hpp"

namespace fastnn {

// `role` ("input 0") and `op` name the array in errors. Outputs must be writable and
// row-major.
TensorView view_of(const pybind11::handle& array, const char* op, const char* role,
                   size_t index, bool output);

// Throws for a code that is not in FASTNN_DTYPES.
DType dtype_from_code(int code);

pybind11::dtype numpy_dtype(DType dtype);

// int, bool -> i; float -> f.
std::vector<AttrValue> attrs_from(const pybind11::sequence& values, const char* op);

const KernelEntry& require_kernel(const std::string& name);

void bind_kernels(pybind11::module_& m);
void bind_plan(pybind11::module_& m);
void bind_runtime(pybind11::module_& m);

}  // namespace fastnn
