// SPDX-License-Identifier: Apache-2.0
#include "bindings/ndarray.hpp"

#include "base/error.hpp"
#include "kernels/table.hpp"

namespace py = pybind11;

namespace fastnn {
namespace {

constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

bool dtype_matches(const py::dtype& dtype, DType candidate) {
  static const char kinds[] = {'b', 'u', 'i', 'u', 'i', 'u', 'i',
                               'u', 'i', 'f', 'f', 'V', 'f'};
  static_assert(sizeof kinds == kNumDTypes);
  if (candidate == DType::kBFloat16) {  // of ml_dtypes: a kind of its own, `V` to NumPy
    return dtype.itemsize() == 2 && (dtype.kind() == 'V' || dtype.kind() == 'f') &&
           std::string(py::str(dtype)) == "bfloat16";
  }
  return dtype.kind() == kinds[static_cast<int>(candidate)] &&
         dtype.itemsize() == dtype_size(candidate);
}

DType dtype_of_array(const py::array& array, const char* op, const char* role,
                     size_t index) {
  const py::dtype dtype = array.dtype();
  const char order = dtype.byteorder();
  if (order == '=' || order == '|') {
    for (int code = 0; code < kNumDTypes; ++code) {
      if (dtype_matches(dtype, static_cast<DType>(code))) {
        return static_cast<DType>(code);
      }
    }
  }
  fail("[%s] %s %zu: NumPy dtype %s is not supported", op, role, index,
       std::string(py::str(dtype)).c_str());
}

}  // namespace

TensorView view_of(const py::handle& object, const char* op, const char* role,
                   size_t index, bool output) {
  FASTNN_CHECK(py::isinstance<py::array>(object),
               "[%s] %s %zu: expected a NumPy array, received %s", op, role, index,
               Py_TYPE(object.ptr())->tp_name);
  const auto array = py::reinterpret_borrow<py::array>(object);
  FASTNN_CHECK(array.ndim() <= kMaxRank,
               "[%s] %s %zu: at most %d dimensions are supported, received %d", op,
               role, index, kMaxRank, static_cast<int>(array.ndim()));
  FASTNN_CHECK(array.flags() & kAligned, "[%s] %s %zu: the array is not aligned", op,
               role, index);
  TensorView view;
  view.dtype = dtype_of_array(array, op, role, index);
  view.ndim = static_cast<int32_t>(array.ndim());
  view.data = const_cast<void*>(array.data());
  const int64_t size = dtype_size(view.dtype);
  for (int i = 0; i < view.ndim; ++i) {
    view.shape[i] = array.shape(i);
    FASTNN_CHECK(array.strides(i) % size == 0,
                 "[%s] %s %zu: strides must be whole elements; pass a copy", op, role,
                 index);
    view.stride[i] = array.strides(i) / size;
  }
  if (output) {
    FASTNN_CHECK(array.writeable(), "[%s] %s %zu: the array is read-only", op, role,
                 index);
    FASTNN_CHECK(view.numel() == 0 || view.contiguous(),
                 "[%s] %s %zu: the array must be C-contiguous", op, role, index);
  }
  return view;
}

DType dtype_from_code(int code) {
  FASTNN_CHECK(code >= 0 && code < kNumDTypes,
               "[plan] dtype code %d is unknown; see dtype_codes()", code);
  return static_cast<DType>(code);
}

py::dtype numpy_dtype(DType dtype) { return py::dtype(dtype_name(dtype)); }

std::vector<AttrValue> attrs_from(const py::sequence& values, const char* op) {
  std::vector<AttrValue> attrs;
  for (const py::handle value : values) {
    AttrValue attr;
    if (PyFloat_Check(value.ptr())) {
      attr.f = PyFloat_AS_DOUBLE(value.ptr());
    } else {
      FASTNN_CHECK(PyIndex_Check(value.ptr()),
                   "[%s] attribute %zu: expected int, bool or float, received %s", op,
                   attrs.size(), Py_TYPE(value.ptr())->tp_name);
      attr.i = value.cast<int64_t>();
    }
    attrs.push_back(attr);
  }
  return attrs;
}

const KernelEntry& require_kernel(const std::string& name) {
  const KernelEntry* kernel = find_kernel(name);
  FASTNN_CHECK(kernel, "[%s] no kernel of this name on cpu", name.c_str());
  return *kernel;
}

}  // namespace fastnn
