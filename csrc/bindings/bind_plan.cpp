// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <optional>
#include <tuple>

#include "base/error.hpp"
#include "base/thread_pool.hpp"
#include "bindings/ndarray.hpp"
#include "kernels/random_permutation.hpp"
#include "runtime/plan.hpp"

namespace py = pybind11;

namespace fastnn {
namespace {

using Shape = std::vector<int64_t>;

struct PyPlan {
  PyPlan(size_t arena_bytes, int max_threads) : plan(arena_bytes, max_threads) {}
  Plan plan;
  py::dict bound;  // slot -> array: the plan reads their memory
};

// (slot, byte offset, dtype code, shape, strides in elements or None), in a chain also
// bytes from row to row and from thread to thread.
Operand operand_from(const py::handle& object) {
  using Place = std::tuple<int, int64_t, int, Shape, std::optional<Shape>>;
  const auto items = object.cast<py::tuple>();
  const bool steps = items.size() == 7;
  const auto [slot, offset, code, shape, strides] =
      py::tuple(steps ? items[py::slice(0, 5, 1)] : items).cast<Place>();
  Operand operand{slot, offset, {}};
  if (steps) {
    operand.row_step = items[5].cast<int64_t>();
    operand.thread_step = items[6].cast<int64_t>();
  }
  TensorView& view = operand.view;
  FASTNN_CHECK(shape.size() <= kMaxRank,
               "[plan] at most %d dimensions are supported, received %zu", kMaxRank,
               shape.size());
  FASTNN_CHECK(!strides || strides->size() == shape.size(),
               "[plan] shape has %zu dimensions, strides %zu", shape.size(),
               strides ? strides->size() : 0);
  view.dtype = dtype_from_code(code);
  view.ndim = static_cast<int32_t>(shape.size());
  int64_t dense = 1;
  for (int i = view.ndim - 1; i >= 0; --i) {
    const size_t axis = static_cast<size_t>(i);
    FASTNN_CHECK(shape[axis] >= 0, "[plan] negative dimension %lld",
                 static_cast<long long>(shape[axis]));
    view.shape[i] = shape[axis];
    view.stride[i] = strides ? (*strides)[axis] : dense;
    dense *= shape[axis];
  }
  return operand;
}

py::tuple operand_to(const Operand& operand) {
  const TensorView& view = operand.view;
  py::tuple shape(view.ndim), strides(view.ndim);
  for (int i = 0; i < view.ndim; ++i) {
    shape[i] = view.shape[i];
    strides[i] = view.stride[i];
  }
  return py::make_tuple(operand.slot, operand.offset, static_cast<int>(view.dtype),
                        shape, strides);
}

void add_instruction(PyPlan& self, const std::string& name, const py::sequence& inputs,
                     const py::sequence& outputs, const py::sequence& attributes,
                     bool barrier, int64_t block_rows, bool chained) {
  const KernelEntry& kernel = require_kernel(name);
  std::vector<Operand> in, out;
  for (const py::handle operand : inputs)
    in.push_back(operand_from(operand));
  for (const py::handle operand : outputs)
    out.push_back(operand_from(operand));
  const std::vector<AttrValue> attrs = attrs_from(attributes, kernel.name);
  const py::gil_scoped_release release;
  self.plan.add(kernel, in, out, attrs, barrier, block_rows, chained);
}

void bind_array(PyPlan& self, int slot, const py::array& array) {
  FASTNN_CHECK(array.flags() & py::array::c_style,
               "[plan] slot %d: the array must be C-contiguous", slot);
  void* data = const_cast<void*>(array.data());
  const auto bytes = static_cast<size_t>(array.nbytes());
  const bool writable = array.writeable();
  {
    const py::gil_scoped_release release;
    self.plan.bind(slot, data, bytes, writable);
  }
  self.bound[py::int_(slot)] = array;
}

void unbind_slot(PyPlan& self, int slot) {
  {
    const py::gil_scoped_release release;
    self.plan.unbind(slot);
  }
  if (self.bound.contains(py::int_(slot))) self.bound.attr("pop")(slot);
}

// One step on these arrays in the slots from `first` on, which are unbound again: what
// `bind`, `run` and `unbind` do, in one call. On `threads`, or on up to `at_hand` of
// them that can begin at once.
void run_on(PyPlan& self, int first, const py::list& arrays, int threads, int at_hand) {
  struct Lent {
    PyPlan& plan;
    int first, next;
    ~Lent() {
      while (next > first)
        plan.plan.unbind(--next);
    }
  } lent{self, first, first};
  for (const py::handle item : arrays) {
    const auto array = py::cast<py::array>(item);
    FASTNN_CHECK(array.flags() & py::array::c_style,
                 "[plan] slot %d: the array must be C-contiguous", lent.next);
    self.plan.bind(lent.next, const_cast<void*>(array.data()),
                   static_cast<size_t>(array.nbytes()), array.writeable());
    ++lent.next;
  }
  const py::gil_scoped_release release;
  if (at_hand > threads) threads = std::max(threads, threads_at_hand(at_hand));
  self.plan.run(1, threads);
}

void run(PyPlan& self, int64_t steps, int threads) {
  const py::gil_scoped_release release;
  self.plan.run(steps, threads);
}

// Memory of a bound array of `size` elements of T.
template <class T>
T* elements(const py::handle& object, py::ssize_t size) {
  const auto array = py::cast<py::array>(object);
  FASTNN_CHECK(py::isinstance<py::array_t<T>>(array) && array.size() == size &&
                   (array.flags() & py::array::c_style) && array.writeable(),
               "[run_epochs] expected a writable dense array of %lld elements",
               static_cast<long long>(size));
  return static_cast<T*>(const_cast<void*>(array.data()));
}

// Epochs that nobody watches: for each seed the rows in a new order (without `shuffle`
// as they are), the position and the sums of metrics from zero, then all parts: plans,
// their steps and threads. `found`, (epochs, states), takes the sums at the end of
// each.
void run_epochs(const py::list& parts, const std::vector<uint64_t>& seeds, bool shuffle,
                const py::array& order, const py::array& cursor, const py::list& states,
                const py::array& found) {
  struct Share {
    Plan* plan;
    int64_t steps;
    int threads;
  };
  std::vector<Share> shares;
  for (const py::handle item : parts) {
    const auto [plan, steps, threads] = item.cast<std::tuple<PyPlan*, int64_t, int>>();
    shares.push_back({&plan->plan, steps, threads});
  }
  int64_t* const rows = elements<int64_t>(order, order.size());
  int64_t* const position = elements<int64_t>(cursor, 1);
  std::vector<double*> sums;
  for (const py::handle state : states)
    sums.push_back(elements<double>(state, 1));
  double* to = elements<double>(found, seeds.size() * sums.size());
  const int64_t count = order.size();
  const py::gil_scoped_release release;
  for (const uint64_t seed : seeds) {
    if (shuffle) random_permutation(seed, 0, count, rows);
    *position = 0;
    for (double* sum : sums)
      *sum = 0;
    for (const Share& share : shares)
      share.plan->run(share.steps, share.threads);
    for (const double* sum : sums)
      *to++ = *sum;
  }
}

py::tuple run_timed(PyPlan& self, int64_t steps, int threads) {
  Timeline seen;
  {
    const py::gil_scoped_release release;
    seen = self.plan.run_timed(steps, threads);
  }
  const std::vector<py::ssize_t> shape{seen.threads, seen.steps, seen.entries, 3};
  return py::make_tuple(py::array_t<int64_t>(shape, seen.moments.data()),
                        seen.allocations);
}

py::array arena_view(const py::object& self, int64_t offset, int dtype_code,
                     const Shape& shape) {
  const Arena& arena = self.cast<PyPlan&>().plan.arena();
  const DType dtype = dtype_from_code(dtype_code);
  const int64_t size = dtype_size(dtype);
  int64_t bytes = size;
  for (const int64_t dim : shape) {
    FASTNN_CHECK(dim >= 0 && !__builtin_mul_overflow(bytes, dim, &bytes),
                 "[plan] arena_view: bad dimension %lld", static_cast<long long>(dim));
  }
  const auto arena_size = static_cast<int64_t>(arena.size());
  FASTNN_CHECK(offset >= 0 && bytes <= arena_size && offset <= arena_size - bytes,
               "[plan] arena_view: %lld bytes at %lld are outside the arena of %lld",
               static_cast<long long>(bytes), static_cast<long long>(offset),
               static_cast<long long>(arena_size));
  FASTNN_CHECK(offset % size == 0,
               "[plan] arena_view: offset %lld is not aligned to %s",
               static_cast<long long>(offset), dtype_name(dtype));
  return py::array(numpy_dtype(dtype), shape, arena.data() + offset, self);
}

py::list instruction_list(const PyPlan& self) {
  const Plan& plan = self.plan;
  py::list list;
  for (const Instruction& instruction : plan.instructions()) {
    py::list in, out;
    for (size_t i = instruction.first_in; i < instruction.first_out; ++i) {
      in.append(operand_to(plan.operand(i)));
    }
    for (size_t i = instruction.first_out; i < instruction.end; ++i) {
      out.append(operand_to(plan.operand(i)));
    }
    py::dict row;
    row["kernel"] = instruction.kernel->name;
    row["inputs"] = in;
    row["outputs"] = out;
    row["barrier"] = instruction.barrier_before;
    row["group"] = instruction.grouped ? 0 : instruction.group;
    list.append(row);
  }
  return list;
}

}  // namespace

void bind_plan(py::module_& m) {
  py::class_<PyPlan>(m, "Plan", "A schedule of kernel calls over a static arena.")
      .def(py::init<size_t, int>(), py::arg("arena_bytes"),
           py::arg("max_threads") = 1 << 10)
      .def(
          "add_instruction", &add_instruction, py::arg("kernel_name"),
          py::arg("inputs"), py::arg("outputs"), py::arg("attrs") = py::tuple(),
          py::arg("barrier") = true, py::arg("block_rows") = 0,
          py::arg("chained") = false,
          "Operands: (slot, byte offset, dtype code, shape, strides or None) and, in a "
          "chain, (..., bytes per row, bytes per thread).")
      .def("bind", &bind_array, py::arg("slot"), py::arg("array"))
      .def("unbind", &unbind_slot, py::arg("slot"))
      .def("run", &run, py::arg("steps") = 1, py::arg("threads") = 1)
      .def(
          "run_on", &run_on, py::arg("first_slot"), py::arg("arrays"),
          py::arg("threads") = 1, py::arg("at_hand") = 1,
          "One step on these arrays in the slots from there on; on `threads`, or on up "
          "to `at_hand` of those that can begin at once.")
      .def("run_timed", &run_timed, py::arg("steps") = 1, py::arg("threads") = 1,
           "(times, allocations): nanoseconds (thread, step, instruction, [arrived, "
           "began, done]), the barrier between steps last; allocations meanwhile.")
      .def("arena_view", &arena_view, py::arg("offset"), py::arg("dtype_code"),
           py::arg("shape"))
      .def("instructions", &instruction_list)
      .def_property(
          "step_barrier", [](const PyPlan& self) { return self.plan.step_barrier(); },
          [](PyPlan& self, bool on) { self.plan.set_step_barrier(on); })
      .def_property_readonly(
          "arena_bytes", [](const PyPlan& self) { return self.plan.arena().size(); });
  m.def("run_epochs", &run_epochs, py::arg("parts"), py::arg("seeds"),
        py::arg("shuffle"), py::arg("order"), py::arg("cursor"), py::arg("states"),
        py::arg("found"),
        "Run [(plan, steps, threads)] once per seed, in orders drawn from the seeds; "
        "the float64 states at the end of each epoch go to `found`.");
}

}  // namespace fastnn
