// SPDX-License-Identifier: Apache-2.0
// The GPU's kernels as nvcc compiled them. Data alone: it needs no CUDA to be loaded.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

// A fat binary from its first byte to the one behind its last.
#define FINGERPRINT(text)
#define KERNEL(symbol, group)
#define GROUP(group)                                                                \
  __asm__(".pushsection .rodata\n.balign 64\nfastnn_" #group                        \
          ":\n.incbin \"" FASTNN_FATBINS "/" #group ".fatbin\"\nfastnn_end_" #group \
          ":\n.popsection");                                                        \
  extern "C" const char fastnn_##group[] __attribute__((visibility("hidden")));     \
  extern "C" const char fastnn_end_##group[] __attribute__((visibility("hidden")));
#include "bindings/cuda/table.inc"
#undef FINGERPRINT
#undef KERNEL
#undef GROUP

namespace {

namespace py = pybind11;

using Groups = std::map<std::string, std::string_view, std::less<>>;

const Groups& groups() {
#define FINGERPRINT(text)
#define KERNEL(symbol, group)
#define GROUP(group) \
  {#group, {fastnn_##group, static_cast<size_t>(fastnn_end_##group - fastnn_##group)}},
  static const Groups made{
#include "bindings/cuda/table.inc"
  };
#undef FINGERPRINT
#undef KERNEL
#undef GROUP
  return made;
}

py::bytes fatbin(const std::string& group) {
  const auto found = groups().find(group);
  if (found == groups().end())
    throw py::key_error("[_cuda_kernels] no group '" + group + "'");
  return {found->second.data(), found->second.size()};
}

std::map<std::string, std::string> kernels() {
#define FINGERPRINT(text)
#define KERNEL(symbol, group) {#symbol, #group},
#define GROUP(group)
  return {
#include "bindings/cuda/table.inc"
  };
#undef FINGERPRINT
#undef KERNEL
#undef GROUP
}

}  // namespace

PYBIND11_MODULE(_cuda_kernels, m) {
  m.doc() = "The GPU's kernels as nvcc compiled them.";
#define FINGERPRINT(text) m.attr("fingerprint") = text;
#define KERNEL(symbol, group)
#define GROUP(group)
#include "bindings/cuda/table.inc"
  m.attr("architectures") = FASTNN_CUDA_ARCHITECTURES;
  m.attr("kernels") = kernels();
  m.def("fatbin", &fatbin, py::arg("group"), "A group's binary for all architectures.");
}
