// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastnn {

// While it lives, this thread takes numbers below 1.2e-38 (float) as zero and makes
// none. A weight that is no longer trained leaves them in its running averages, and
// every operation on one costs about 150 cycles: RMSprop over 784 x 784 such velocities
// took 6.0 instead of 2.9 ms. TensorFlow and XLA do the same.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush); }
  ~FlushDenormals() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    set(before_ | kFlush);
  }
  ~FlushDenormals() { set(before_); }
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr unsigned kFlush = 0x8040;  // results, operands
  unsigned before_;
#elif defined(__aarch64__)
  static void set(uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
  static constexpr uint64_t kFlush = uint64_t{1} << 24;
  uint64_t before_;
#endif
};

}  // namespace fastnn
