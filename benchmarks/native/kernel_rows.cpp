// SPDX-License-Identifier: Apache-2.0
// The rows of kernels.txt as benchmarks of one thread.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "base/error.hpp"
#include "bench.hpp"
#include "kernels/table.hpp"
#include "runtime/launch.hpp"

namespace {

using namespace fastnn;

struct FreeDeleter {
  void operator()(void* data) const { std::free(data); }
};

// One call of a kernel with memory of its own.
struct Call {
  const KernelEntry* kernel = nullptr;
  std::vector<TensorView> in, out;
  std::vector<AttrValue> attrs;
  std::vector<std::unique_ptr<int64_t[]>> tuples;
  std::vector<std::unique_ptr<void, FreeDeleter>> memory;
  int64_t bytes = 0;

  void run() const { kernel->fn({in.data(), out.data(), attrs.data(), Part{}}); }
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    const size_t first = part.find_first_not_of(" \t");
    if (first == std::string::npos) {
      if (separator != ' ') parts.emplace_back();
      continue;
    }
    parts.push_back(part.substr(first, part.find_last_not_of(" \t") - first + 1));
  }
  return parts;
}

// Floats in [0.1, 1), integers 0 to 9: inside the domain of every kernel.
void fill(const TensorView& view, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t mixed = i * 2654435761 % 1000003;
    switch (view.dtype) {
      case DType::kFloat32:
        view.ptr<float>()[i] = 0.1f + 0.9f * static_cast<float>(mixed) / 1000003;
        break;
      case DType::kInt32:
        view.ptr<int32_t>()[i] = static_cast<int32_t>(mixed % 10);
        break;
      default:
        view.ptr<int64_t>()[i] = mixed % 10;
    }
  }
}

TensorView operand(Call& call, std::string text) {
  TensorView view;
  if (text.rfind("i32:", 0) == 0) view.dtype = DType::kInt32;
  if (text.rfind("i64:", 0) == 0) view.dtype = DType::kInt64;
  if (view.dtype != DType::kFloat32) text.erase(0, 4);
  const bool transposed = text.back() == '\'';
  if (transposed) text.pop_back();
  if (text != "()") {
    for (const std::string& size : split(text, 'x'))
      view.shape[view.ndim++] = std::stoll(size);
  }
  int64_t stride = 1;
  for (int i = view.ndim - 1; i >= 0; --i) {
    view.stride[i] = stride;
    stride *= view.shape[i];
  }
  if (transposed) {
    const int last = view.ndim - 1;
    view.stride[last] = view.shape[last - 1];
    view.stride[last - 1] = 1;
  }
  const int64_t bytes = stride * dtype_size(view.dtype);
  view.data = std::aligned_alloc(64, static_cast<size_t>((bytes + 127) / 64 * 64));
  call.memory.emplace_back(view.data);
  call.bytes += bytes;
  fill(view, stride);
  return view;
}

AttrValue attribute(Call& call, const std::string& text) {
  AttrValue value{};
  if (text[0] == '[') {
    const std::vector<std::string> items = split(text.substr(1, text.size() - 2), ',');
    auto array = std::make_unique<int64_t[]>(items.size() + 1);
    for (size_t i = 0; i < items.size(); ++i)
      array[i] = std::stoll(items[i]);
    value.ints = array.get();
    call.tuples.push_back(std::move(array));
  } else if (text.find('.') != std::string::npos) {
    value.f = std::stod(text);
  } else {
    value.i = std::stoll(text);
  }
  return value;
}

double operations(const std::string& text) {
  if (text == "-") return 0;
  double product = 1;
  for (const std::string& factor : split(text, '*'))
    product *= std::stod(factor);
  return product;
}

void measure(benchmark::State& state, const std::vector<std::string>& columns) {
  Call call;
  call.kernel = find_kernel(columns[0]);
  try {
    for (const std::string& text : split(columns[1], ' '))
      call.in.push_back(operand(call, text));
    for (const std::string& text : split(columns[2], ' '))
      call.out.push_back(operand(call, text));
    for (const std::string& text : split(columns[3], ' '))
      call.attrs.push_back(attribute(call, text));
    check_arity(*call.kernel, call.in.size(), call.out.size(), call.attrs.size());
    call.run();
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
    return;
  }
  for (auto _ : state) {
    call.run();
    benchmark::ClobberMemory();
  }
  const double flops = operations(columns[4]);
  using benchmark::Counter;
  const auto rate = Counter::kIsIterationInvariantRate;
  if (flops > 0) {
    state.counters["FLOP/s"] = Counter(flops, rate);
  } else {
    state.counters["B/s"] = Counter(static_cast<double>(call.bytes), rate);
  }
}

}  // namespace

void register_kernel_rows(const std::string& table) {
  std::ifstream file(table);
  FASTNN_CHECK(file.good(), "[bench] cannot read %s", table.c_str());
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> columns = split(line, '|');
    FASTNN_CHECK(columns.size() == 5, "[bench] %s:%d: expected 5 columns, found %zu",
                 table.c_str(), number, columns.size());
    if (!find_kernel(columns[0])) {
      std::fprintf(stderr, "%s: not in this library\n", columns[0].c_str());
      continue;
    }
    const std::string name =
        columns[0] + "/" + columns[1] + (columns[3].empty() ? "" : " " + columns[3]);
    benchmark::RegisterBenchmark(
        name.c_str(), [columns](benchmark::State& state) { measure(state, columns); });
  }
}
