// SPDX-License-Identifier: Apache-2.0
// Integers, permutations and distributions by rejection: streams and formulas of
// shared/philox.h and shared/sampling.h, a thread per element.
#pragma once

#include "cuda/random.cuh"

namespace fastnn::device {

constexpr int kAttemptShift = 48;  // of the block number

// Element e below span, 0 for 2^64 (Lemire 2019).
FASTNN_DEVICE uint64_t integer_below(const Stream& s, uint64_t e, uint64_t span) {
  if (span != 0 && span <= uint64_t{1} << 32) {
    const uint64_t all = uint64_t{1} << 32;
    const uint32_t reject = static_cast<uint32_t>((all - span) % span);
    for (uint64_t k = 0;; ++k) {
      const uint64_t word = s.block(e / 4 + (k << kAttemptShift)).w[e % 4];
      const uint64_t product = word * span;
      if (static_cast<uint32_t>(product) >= reject) return product >> 32;
    }
  }
  const uint64_t reject = span ? (0 - span) % span : 0;
  for (uint64_t k = 0;; ++k) {
    const PhiloxBlock<uint32_t> b = s.block(e / 2 + (k << kAttemptShift));
    const uint64_t lo = b.w[e % 2 * 2], hi = b.w[e % 2 * 2 + 1], x = lo | hi << 32;
    if (!span) return x;
    if (x * span < reject) continue;
    // The upper half of the 128-bit product, from 32-bit parts.
    const uint64_t x0 = x & 0xffffffffu, x1 = x >> 32;
    const uint64_t y0 = span & 0xffffffffu, y1 = span >> 32;
    const uint64_t low = x0 * y0, a = x1 * y0 + (low >> 32);
    const uint64_t c = x0 * y1 + (a & 0xffffffffu);
    return x1 * y1 + (a >> 32) + (c >> 32);
  }
}

// Numbers {low, span}.
template <class I>
FASTNN_DEVICE void random_integers(const Args<1, 1, 2>& a) {
  const Stream stream(a.in[0]);
  const uint64_t low = static_cast<uint64_t>(a.number[0].i);
  const uint64_t span = static_cast<uint64_t>(a.number[1].i);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const uint64_t x = integer_below(stream, static_cast<uint64_t>(e), span);
    a.out[0].template ptr<I>()[e] = static_cast<I>(low + x);
  });
}

// Fisher and Yates: each exchange reads what the one before left, so one thread.
FASTNN_DEVICE void random_permutation(const Args<1, 1, 0>& a) {
  if (global_thread() != 0) return;
  const Stream stream(a.in[0]);
  int64_t* const out = a.out[0].ptr<int64_t>();
  const int64_t n = a.out[0].numel();
  for (int64_t i = 0; i < n; ++i)
    out[i] = i;
  uint64_t used = 0;
  const auto next = [&] {
    const uint64_t at = used++;
    return stream.block(at / 4).w[at % 4];
  };
  for (int64_t i = n - 1; i > 0; --i) {
    const uint32_t bound = static_cast<uint32_t>(i + 1);
    uint64_t product = static_cast<uint64_t>(next()) * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t reject = (0u - bound) % bound;
      while (static_cast<uint32_t>(product) < reject)
        product = static_cast<uint64_t>(next()) * bound;
    }
    const int64_t j = static_cast<int64_t>(product >> 32), x = out[i];
    out[i] = out[j];
    out[j] = x;
  }
}

// Four uniform numbers for element e; float32 takes one block an attempt, float64 two.
template <class T>
FASTNN_DEVICE void element_draws(uint64_t e, uint32_t attempt, const Stream& s,
                                 T (&u)[4]) {
  if constexpr (sizeof(T) == 4) {
    const auto b = s.block(e + (static_cast<uint64_t>(attempt) << kAttemptShift));
    for (int j = 0; j < 4; ++j)
      u[j] = unit_of<T>(b.w[j]);
  } else {
    for (int half = 0; half < 2; ++half) {
      const uint64_t k = 2 * static_cast<uint64_t>(attempt) + half;
      const auto b = s.block(e + (k << kAttemptShift));
      for (int j = 0; j < 2; ++j) {
        const uint64_t lo = b.w[2 * j], hi = b.w[2 * j + 1];
        u[2 * half + j] = unit_of<T>(lo | hi << 32);
      }
    }
  }
}

// Gamma numbers as value exp(log_factor): the factor alone may underflow.
template <class T>
struct GammaDraw {
  T value, log_factor;
};
template <class T>
FASTNN_DEVICE GammaDraw<T> gamma_draw(uint64_t e, T alpha, const Stream& stream,
                                      uint32_t attempt) {
  const T zero = T(0), one = T(1), inf = infinity<T>();
  if (!(alpha > zero && alpha < inf)) {
    const bool point = alpha == zero || alpha == inf;
    return {point ? alpha : not_a_number<T>(), zero};
  }
  const bool boosted = alpha < one;
  const T shape = boosted ? alpha + one : alpha;
  for (;; ++attempt) {
    T u[4];
    element_draws<T>(e, attempt, stream, u);
    const GammaProposal<T> p =
        gamma_proposal(shape, normal_pair(u[0], u[1]).first, u[2]);
    if (!p.accepted) continue;
    return {p.value, boosted ? log(u[3] + unit_step<T>()) / alpha : zero};
  }
}

// Inputs alpha, state.
template <class S>
FASTNN_DEVICE void random_gamma(const Args<2, 1, 0>& a) {
  const Stream stream(a.in[1]);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const Computed<S> alpha = load(a.in[0].template ptr<S>(), offset_of(a.in[0], e));
    const auto g = gamma_draw(static_cast<uint64_t>(e), alpha, stream, 0);
    store(a.out[0].template ptr<S>(), e, g.value * exp(g.log_factor));
  });
}

// x / (x + y) of two gamma numbers, the larger factor taken out of both.
template <class S>
FASTNN_DEVICE void random_beta(const Args<3, 1, 0>& a) {
  using T = Computed<S>;
  constexpr uint32_t second = 1 << 14;  // attempts of y come after all those of x
  const Stream stream(a.in[2]);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const uint64_t at = static_cast<uint64_t>(e);
    const T alpha = load(a.in[0].template ptr<S>(), offset_of(a.in[0], e));
    const T beta = load(a.in[1].template ptr<S>(), offset_of(a.in[1], e));
    const GammaDraw<T> x = gamma_draw(at, alpha, stream, 0);
    const GammaDraw<T> y = gamma_draw(at, beta, stream, second);
    const T top = maximum(x.log_factor, y.log_factor);
    const T p = x.value * exp(x.log_factor - top),
            q = y.value * exp(y.log_factor - top);
    store(a.out[0].template ptr<S>(), e, p / (p + q));
  });
}

FASTNN_DEVICE double unit_53(uint32_t low, uint32_t high) {
  const uint64_t bits = low | static_cast<uint64_t>(high) << 32;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

FASTNN_DEVICE double binomial_draw(uint64_t e, double count, double probability,
                                   const Stream& stream) {
  const double n = ::floor(count);
  if (!(n >= 0 && probability >= 0 && probability <= 1)) return not_a_number<double>();
  const bool flip = probability > 0.5;
  const double p = flip ? 1 - probability : probability;
  if (n == 0 || p == 0) return flip ? n : 0;
  const Binomial setup = Binomial::make(n, p);
  for (uint64_t attempt = 0;; ++attempt) {
    const auto b = stream.block(e + (attempt << kAttemptShift));
    const double u = unit_53(b.w[0], b.w[1]), v = unit_53(b.w[2], b.w[3]);
    const double k = setup.by_inversion() ? setup.invert(u) : setup.propose(u, v);
    if (k >= 0) return flip ? n - k : k;
  }
}

// Inputs counts, probabilities, state.
template <class S>
FASTNN_DEVICE void random_binomial(const Args<3, 1, 0>& a) {
  const Stream stream(a.in[2]);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const auto n = load(a.in[0].template ptr<S>(), offset_of(a.in[0], e));
    const auto p = load(a.in[1].template ptr<S>(), offset_of(a.in[1], e));
    const double k = binomial_draw(static_cast<uint64_t>(e), static_cast<double>(n),
                                   static_cast<double>(p), stream);
    store(a.out[0].template ptr<S>(), e, static_cast<Computed<S>>(k));
  });
}

// Running sums of exp(logits - max) of each row, in double and in order: a thread per
// row. Inputs logits; output (rows, classes).
template <class S>
FASTNN_DEVICE void running_masses(const Args<1, 1, 0>& a) {
  using T = Computed<S>;
  const View& z = a.in[0];
  const int64_t classes = z.shape[1];
  for_elements(z.shape[0], [&](int64_t row) {
    const S* const logits = z.template ptr<S>() + row * z.stride[0];
    double* const sums = a.out[0].template ptr<double>() + row * classes;
    T top = -infinity<T>();
    for (int64_t i = 0; i < classes; ++i) {
      const T x = load(logits, i * z.stride[1]);
      top = x > top ? x : top;
    }
    double sum = 0;
    for (int64_t i = 0; i < classes; ++i) {
      const T x = load(logits, i * z.stride[1]);
      sum += static_cast<double>(x == top ? T(1) : exp(x - top));
      sums[i] = sum;
    }
  });
}

// The first class whose running sum is above u times the total; inputs sums, state.
FASTNN_DEVICE void random_categorical(const Args<2, 1, 0>& a) {
  const Stream stream(a.in[1]);
  const int64_t classes = a.in[0].shape[1], samples = a.out[0].shape[1];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const uint64_t e = static_cast<uint64_t>(at);
    const auto b = stream.block(e / 2);
    const double u = unit_53(b.w[e % 2 * 2], b.w[e % 2 * 2 + 1]);
    const double* const sums = a.in[0].ptr<double>() + at / samples * classes;
    const double target = u * sums[classes - 1];
    int64_t low = 0, high = classes - 1;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (sums[middle] > target) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    a.out[0].ptr<int64_t>()[at] = low;
  });
}

}  // namespace fastnn::device
