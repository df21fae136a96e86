// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "bindings/ndarray.hpp"
#include "kernels/table.hpp"
#include "runtime/launch.hpp"

namespace py = pybind11;

namespace fastnn {
namespace {

const char* split_name(Split split) {
  switch (split) {
    case Split::kRows:
      return "rows";
    case Split::kAny:
      return "any";
    case Split::kSerial:
      return "serial";
  }
  return "";
}

py::list kernel_list() {
  py::list list;
  for (const KernelFamily* family : kernel_families()) {
    for (int i = 0; i < family->count; ++i) {
      const KernelEntry& entry = family->entries[i];
      py::dict row;
      row["name"] = entry.name;
      row["split"] = split_name(entry.split);
      row["reads"] = entry.reads;
      row["n_out"] = entry.n_out;
      row["attrs"] = entry.attrs;
      row["min_rows"] = entry.min_rows;
      row["groups"] = entry.groups;
      row["family"] = family->name;
      list.append(row);
    }
  }
  return list;
}

std::vector<TensorView> views_of(const py::sequence& arrays, const char* op,
                                 bool output) {
  std::vector<TensorView> views;
  for (const py::handle array : arrays) {
    const char* role = output ? "output" : "input";
    views.push_back(view_of(array, op, role, views.size(), output));
  }
  return views;
}

void launch_by_name(const std::string& name, const py::sequence& inputs,
                    const py::sequence& outputs, const py::sequence& attributes,
                    double cost, const std::optional<std::pair<int, int>>& part) {
  const KernelEntry& kernel = require_kernel(name);
  const std::vector<TensorView> in = views_of(inputs, kernel.name, false);
  const std::vector<TensorView> out = views_of(outputs, kernel.name, true);
  const std::vector<AttrValue> attrs = attrs_from(attributes, kernel.name);
  check_arity(kernel, in.size(), out.size(), attrs.size());
  const py::gil_scoped_release release;
  if (part) {
    launch_part(&kernel, in.data(), out.data(), attrs.data(),
                {part->first, part->second});
  } else {
    launch(&kernel, in.data(), out.data(), attrs.data(), cost);
  }
}

}  // namespace

void bind_kernels(py::module_& m) {
  m.def("kernels", &kernel_list,
        "The kernel table: dicts of name, split, reads, n_out, attrs, "
        "min_rows, groups, family.");
  m.def("launch", &launch_by_name, py::arg("name"), py::arg("inputs"),
        py::arg("outputs"), py::arg("attrs") = py::tuple(), py::arg("cost") = 0.0,
        py::arg("part") = py::none(),
        "Run one kernel; `cost` is its single-thread work in nanoseconds. With part = "
        "(index, count) only that share of it, on this thread.");
  m.def("dtype_codes", [] {
    py::dict codes;
    for (int code = 0; code < kNumDTypes; ++code)
      codes[kDTypeNames[code]] = code;
    return codes;
  });
}

}  // namespace fastnn
