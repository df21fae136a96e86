// SPDX-License-Identifier: Apache-2.0
#include "kernels/random_permutation.hpp"

#include "base/error.hpp"
#include "shared/philox.h"

namespace fastnn {
namespace {

class Words {
 public:
  Words(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  uint32_t next() {
    if (used_ == 4) {
      block_ = portable::philox<uint32_t>(static_cast<uint32_t>(counter_),
                                          static_cast<uint32_t>(counter_ >> 32),
                                          stream_, seed_);
      ++counter_;
      used_ = 0;
    }
    return block_.w[used_++];
  }

  // Uniform in [0, bound) without bias (Lemire 2019, "Fast random integer generation in
  // an interval").
  uint32_t below(uint32_t bound) {
    uint64_t product = uint64_t{next()} * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t reject = -bound % bound;
      while (static_cast<uint32_t>(product) < reject)
        product = uint64_t{next()} * bound;
    }
    return static_cast<uint32_t>(product >> 32);
  }

 private:
  uint64_t seed_, stream_, counter_ = 0;
  portable::PhiloxBlock<uint32_t> block_;
  int used_ = 4;
};

}  // namespace

void random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t* out) {
  FASTNN_CHECK(n >= 0 && n < int64_t{1} << 32,
               "[random_permutation] n must be below 2^32, received %lld",
               static_cast<long long>(n));
  for (int64_t i = 0; i < n; ++i)
    out[i] = i;
  Words words(seed, stream);
  for (int64_t i = n - 1; i > 0; --i) {
    const int64_t j = words.below(static_cast<uint32_t>(i + 1));
    const int64_t x = out[i];
    out[i] = out[j];
    out[j] = x;
  }
}

}  // namespace fastnn
