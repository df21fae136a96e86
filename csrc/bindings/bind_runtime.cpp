// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <optional>

#include "base/arena.hpp"
#include "base/buffers.hpp"
#include "base/cpu.hpp"
#include "base/crc32.hpp"
#include "base/error.hpp"
#include "base/pacer.hpp"
#include "base/thread_pool.hpp"
#include "bindings/ndarray.hpp"
#include "kernels/random_permutation.hpp"
#include "kernels/table.hpp"
#include "runtime/peak.hpp"

namespace py = pybind11;

namespace fastnn {
namespace {

py::list isa_list() {
  py::list list;
  for (const char* isa : available_isas())
    list.append(isa);
  return list;
}

py::dict memory_dict() {
  const MemoryStats stats = memory_stats();
  py::dict dict;
  dict["arena_bytes"] = stats.arena_bytes;
  dict["arena_allocations"] = stats.arena_allocations;
  dict["scratch_bytes"] = stats.scratch_bytes;
  dict["scratch_allocations"] = stats.scratch_allocations;
  return dict;
}

py::dict buffer_dict() {
  const BufferStats stats = buffer_stats();
  py::dict dict;
  dict["live_bytes"] = stats.live_bytes;
  dict["kept_bytes"] = stats.kept_bytes;
  dict["allocations"] = stats.allocations;
  dict["reuses"] = stats.reuses;
  return dict;
}

using Int64Array = py::array_t<int64_t, py::array::c_style>;

Int64Array permutation(uint64_t seed, uint64_t stream, int64_t n,
                       const std::optional<py::array>& out) {
  Int64Array result;
  if (out) {
    FASTNN_CHECK(Int64Array::check_(*out) && out->ndim() == 1 && out->size() == n,
                 "[random_permutation] out must be a contiguous int64 array of %lld",
                 static_cast<long long>(n));
    result = py::reinterpret_borrow<Int64Array>(*out);
  } else {
    FASTNN_CHECK(n >= 0, "[random_permutation] expected n >= 0, received %lld",
                 static_cast<long long>(n));
    result = Int64Array(n);
  }
  int64_t* data = result.mutable_data();  // throws when read-only
  const py::gil_scoped_release release;
  random_permutation(seed, stream, n, data);
  return result;
}

uint32_t checksum(const py::buffer& data, uint32_t before) {
  Py_buffer view;
  if (PyObject_GetBuffer(data.ptr(), &view, PyBUF_SIMPLE) != 0) {
    throw py::error_already_set();
  }
  uint32_t found = 0;
  {
    const py::gil_scoped_release release;
    found = crc32(before, static_cast<const unsigned char*>(view.buf),
                  static_cast<size_t>(view.len));
  }
  PyBuffer_Release(&view);
  return found;
}

}  // namespace

void bind_runtime(py::module_& m) {
  m.attr("version") = FASTNN_VERSION;
  m.def("isa", &active_isa, "The instruction set in use.");
  m.def("available_isas", &isa_list, "What FASTNN_ISA may name here, best first.");
  m.def(
      "cpu_supports", &cpu_supports, py::arg("isa"),
      "Whether this CPU can run an instruction set, also \"avx512bf16\", \"pclmul\".");
  m.def("crc32", &checksum, py::arg("data"), py::arg("before") = 0,
        "CRC-32 of bytes, as zlib.crc32; needs cpu_supports(\"pclmul\").");
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("count"));
  m.def("prepare_threads", &prepare_threads, py::arg("threads"),
        py::call_guard<py::gil_scoped_release>(),
        "Start and warm the workers of a team of this size.");
  m.def("set_pacing", &set_pacing, py::arg("on"),
        "Whether a team that waits too much may be replaced by one thread (default).");
  m.def("memory_stats", &memory_dict,
        "Live bytes and allocations since start of arenas and kernel scratch.");
  m.def("buffer_stats", &buffer_dict,
        "Memory of eager results: bytes they hold, bytes kept for the next ones, "
        "blocks taken from the system and blocks used again since start.");
  m.def("buffer_limit", &buffer_limit);
  m.def("set_buffer_limit", &set_buffer_limit, py::arg("bytes"));
  m.def("clear_buffers", &clear_buffers, "Give what is kept back to the system.");
  m.def("random_permutation", &permutation, py::arg("seed"), py::arg("stream"),
        py::arg("n"), py::arg("out") = py::none(),
        "Permutation of 0 .. n-1, int64 (n,): a function of its arguments alone.");
  using Release = py::call_guard<py::gil_scoped_release>;
  m.def("fma_peak_gflops", &fma_peak_gflops, py::arg("threads") = 1,
        py::arg("seconds") = 0.005, Release(),
        "float32 multiply-add ceiling of the instruction set in use.");
  m.def("copy_bandwidth_gbs", &copy_bandwidth_gbs, py::arg("threads") = 1,
        py::arg("seconds") = 0.005, Release(),
        "Bytes read plus written per second, in 1e9, by copies beyond the caches.");
}

}  // namespace fastnn
