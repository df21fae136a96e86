// SPDX-License-Identifier: Apache-2.0
// The error of every unary float32 kernel over all 2^32 floats, in ULP.
//
//   exhaustive_math [--step N] [--threads N] [--table FILE] [name...]
//
// Prints one row per function and exits with 1 when a bound of math_bounds.hpp is
// broken. --step N tests every N-th float only. --table writes or updates this
// instruction set's column in docs/accuracy.md. `make test-exhaustive` runs it for
// every instruction set; it takes minutes per function and core.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "kernel_test.hpp"
#include "math_bounds.hpp"

using namespace kernel_test;

namespace {

struct Worst {
  double ulp = 0.5;
  float at = 0;
};

struct Options {
  uint64_t step = 1;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::string table;
  std::vector<std::string> names;
};

// Whether a block of neighbours is right without a look at each: where a monotone
// function rounds to the same float at both ends it does so in between. Half of all
// floats lie where a function has reached a limit, and libm is slow there.
bool constant_block(const MathBound& f, const float* x, const float* y, size_t n) {
  const float ends[2] = {x[0], x[n - 1]};
  if (!f.monotone || std::signbit(ends[0]) != std::signbit(ends[1])) return false;
  double at_ends[2];
  f.exact(ends, at_ends, 2);
  const float value = static_cast<float>(at_ends[0]);
  if (ends[1] != ends[1] || value != value) {
    // NaN ends the floats of a sign, and where a function begins to be NaN it stays so.
    if (ends[0] == ends[0] && (value == value || at_ends[1] == at_ends[1]))
      return false;
    return std::all_of(y, y + n, [](float v) { return v != v; });
  }
  const uint32_t bits = to_bits(value);
  if (bits != to_bits(static_cast<float>(at_ends[1]))) return false;
  return std::all_of(y, y + n, [bits](float v) { return to_bits(v) == bits; });
}

// Bit patterns in blocks that threads take in turn, small enough for L2.
Worst measure(const MathBound& f, const Options& options) {
  constexpr uint64_t kBlock = uint64_t{1} << 13, kAll = uint64_t{1} << 32;
  std::atomic<uint64_t> next = 0;
  std::mutex mutex;
  Worst worst;
  const auto work = [&] {
    std::vector<float> x(kBlock), y(kBlock);
    std::vector<double> exact(kBlock);
    Worst mine;
    for (;;) {
      const uint64_t block = next.fetch_add(1);
      const uint64_t first = block * kBlock * options.step;
      if (first >= kAll) break;
      size_t n = 0;
      for (uint64_t bits = first; n < kBlock && bits < kAll; bits += options.step)
        x[n++] = from_bits(static_cast<uint32_t>(bits));
      run_unary(f, x.data(), y.data(), n);
      if (constant_block(f, x.data(), y.data(), n)) continue;
      f.exact(x.data(), exact.data(), n);
      for (size_t i = 0; i < n; ++i) {
        // Correctly rounded: at most half an ULP.
        if (to_bits(y[i]) == to_bits(static_cast<float>(exact[i]))) continue;
        const double ulp = ulp_error(y[i], exact[i]);
        if (ulp > mine.ulp) mine = {ulp, x[i]};
      }
    }
    const std::lock_guard lock(mutex);
    if (mine.ulp > worst.ulp || (mine.ulp == worst.ulp && mine.at < worst.at))
      worst = mine;
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < options.threads; ++i)
    threads.emplace_back(work);
  for (std::thread& t : threads)
    t.join();
  return worst;
}

constexpr const char* kIntroduction =
    "# Accuracy\n\n"
    "Largest error of the float32 functions over all 2^32 inputs, in units of the\n"
    "last place of the exact result, per instruction set; the bound is what the\n"
    "comments in `csrc/shared/math/` promise and what the tests enforce. Denormal\n"
    "results count like all others; NaN, infinities and signed zeros must be those of\n"
    "C99. Written by `make test-exhaustive` (tests/cpp/exhaustive_math.cpp);\n"
    "an empty field was not run yet.\n\n";

std::string cell(double value) {
  char text[24];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

// Reads the table, replaces the measured cells, writes it again.
void write_table(const std::string& path, const std::map<std::string, Worst>& found) {
  const std::vector<std::string> isas = {"avx512", "avx2", "sse42", "neon"};
  std::map<std::string, std::map<std::string, std::string>> cells;
  std::ifstream old(path);
  std::vector<std::string> columns;
  for (std::string line; std::getline(old, line);) {
    if (line.rfind("| ", 0) != 0) continue;
    std::vector<std::string> row;
    std::istringstream parts(line.substr(2));
    for (std::string part; std::getline(parts, part, '|');) {
      const size_t from = part.find_first_not_of(' '), to = part.find_last_not_of(' ');
      row.push_back(from == std::string::npos ? "" : part.substr(from, to - from + 1));
    }
    if (columns.empty()) {
      columns = row;
      continue;
    }
    for (size_t i = 2; i < row.size() && i < columns.size(); ++i)
      cells[row[0]][columns[i]] = row[i];
  }
  for (const auto& [name, worst] : found)
    cells["`" + name + "`"][fastnn::active_isa()] = cell(worst.ulp);
  std::ofstream out(path);
  out << kIntroduction << "| function | bound |";
  for (const std::string& isa : isas)
    out << " " << isa << " |";
  out << "\n|---|---|---|---|---|---|\n";
  for (const MathBound& f : kMathBounds) {
    const std::string key = std::string("`") + f.name + "`";
    out << "| " << key << " | " << f.bound << " |";
    for (const std::string& isa : isas)
      out << " " << cells[key][isa] << " |";
    out << "\n";
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool more = i + 1 < argc;
    if (arg == "--step" && more) {
      options.step = std::max(1ull, std::strtoull(argv[++i], nullptr, 10));
    } else if (arg == "--threads" && more) {
      options.threads = static_cast<unsigned>(std::max(1, std::atoi(argv[++i])));
    } else if (arg == "--table" && more) {
      options.table = argv[++i];
    } else {
      options.names.push_back(arg);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::map<std::string, Worst> found;
  bool good = true;
  for (const MathBound& f : kMathBounds) {
    const auto& names = options.names;
    if (!names.empty() && std::find(names.begin(), names.end(), f.name) == names.end())
      continue;
    const auto start = std::chrono::steady_clock::now();
    const Worst worst = measure(f, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const bool held = worst.ulp <= f.bound;
    std::printf("%-8s %-10s %8.3f ULP at %-15.9g bound %g  %.0f s%s\n",
                fastnn::active_isa(), f.name, worst.ulp, double(worst.at), f.bound,
                took.count(), held ? "" : "  BROKEN");
    std::fflush(stdout);
    good = good && held;
    found[f.name] = worst;
    if (!options.table.empty()) write_table(options.table, {{f.name, worst}});
  }
  return good && !found.empty() ? 0 : 1;
}
