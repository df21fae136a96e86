// SPDX-License-Identifier: Apache-2.0
// Usage: fastnn_bench [--table=FILE] [options of Google Benchmark]
#include <benchmark/benchmark.h>

#include <cstring>
#include <exception>

#include "base/cpu.hpp"
#include "bench.hpp"
#include "kernels/table.hpp"
#include "runtime/peak.hpp"

int main(int argc, char** argv) {
  std::string table = FASTNN_BENCH_TABLE;
  if (argc > 1 && std::strncmp(argv[1], "--table=", 8) == 0) {
    table = argv[1] + 8;
    argv[1] = argv[0];
    ++argv, --argc;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  try {
    register_kernel_rows(table);
    benchmark::AddCustomContext("isa", fastnn::active_isa());
    const double flops = fastnn::fma_peak_gflops(1, 0.05);
    const double bytes = fastnn::copy_bandwidth_gbs(1, 0.2);
    benchmark::AddCustomContext("fma_peak_gflops", std::to_string(flops));
    benchmark::AddCustomContext("copy_gbs", std::to_string(bytes));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
