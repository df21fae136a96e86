// SPDX-License-Identifier: Apache-2.0
#include "runtime/peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "kernels/isas.hpp"  // FASTNN_ISAS(X): cmake/kernel_family.cmake
#include "kernels/table.hpp"

namespace fastnn {

// Defined once per instruction set in kernels/peak_probe.cpp.
#define X(isa)                          \
  namespace isa {                       \
  double run_fma_probe(int64_t rounds); \
  }
FASTNN_ISAS(X)
#undef X

namespace {

using Clock = std::chrono::steady_clock;

// Runs `chunk` (which returns the work it did) on every thread for about `seconds`. The
// sum over threads of the median rate: a thread that the system interrupts for a while
// still tells what the core can do.
template <class MakeChunk>
double total_rate(int threads, double seconds, MakeChunk make_chunk) {
  FASTNN_CHECK(threads >= 1 && seconds > 0,
               "[peak probe] threads=%d, seconds=%g: both must be positive", threads,
               seconds);
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      auto chunk = make_chunk();
      chunk();  // warm-up: frequency, page faults
      std::vector<double> samples;
      const auto start = Clock::now();
      double elapsed = 0;
      do {
        const double work = chunk();
        const double now = std::chrono::duration<double>(Clock::now() - start).count();
        samples.push_back(work / (now - elapsed));
        elapsed = now;
      } while (elapsed < seconds);
      const auto middle = samples.begin() + static_cast<int64_t>(samples.size() / 2);
      std::nth_element(samples.begin(), middle, samples.end());
      rates[i] = *middle;
    });
  }
  double sum = 0;
  for (int i = 0; i < threads; ++i) {
    workers[i].join();
    sum += rates[i];
  }
  return sum;
}

}  // namespace

double fma_peak_gflops(int threads, double seconds) {
  double (*probe)(int64_t) = nullptr;
#define X(isa) \
  if (std::string_view(active_isa()) == #isa) probe = isa::run_fma_probe;
  FASTNN_ISAS(X)
#undef X
  constexpr int64_t kRounds = 4000;  // about 10 us
  return total_rate(threads, seconds, [&] { return [&] { return probe(kRounds); }; }) *
         1e-9;
}

double copy_bandwidth_gbs(int threads, double seconds) {
  constexpr size_t kBytes = size_t{64} << 20;
  return total_rate(threads, seconds,
                    [] {
                      return [from = std::make_unique<char[]>(kBytes),
                              to = std::make_unique_for_overwrite<char[]>(kBytes)] {
                        std::memcpy(to.get(), from.get(), kBytes);
                        // The compiler may not drop a copy that nobody reads.
                        __asm__ volatile("" : : "r"(to.get()) : "memory");
                        return 2.0 * kBytes;
                      };
                    }) *
         1e-9;
}

}  // namespace fastnn
