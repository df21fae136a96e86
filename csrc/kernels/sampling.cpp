// SPDX-License-Identifier: Apache-2.0
// Integers, permutations and distributions by rejection: streams and formulas are those
// of shared/philox.h and shared/sampling.h. An element looks at its own blocks only, so
// it is the same whatever vector, part or array it is drawn in.
#include "shared/sampling.h"

#include "kernels/random_permutation.hpp"
#include "kernels/random_stream.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/strided.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

constexpr int kAttemptShift = 48;  // of the block number

// ---- integers
// ------------------------------------------------------------------------

FASTNN_INLINE PhiloxBlock<uint32_t> one_block(uint64_t block, Stream s) {
  return philox<uint32_t>(static_cast<uint32_t>(block),
                          static_cast<uint32_t>(block >> 32), s.step, s.seed);
}

// Element e below span <= 2^32, from its attempt `k` on.
FASTNN_OUTLINE uint32_t integer_32(uint64_t e, uint64_t span, uint32_t reject,
                                   Stream stream, uint64_t k) {
  for (;; ++k) {
    const auto block = one_block(e / 4 + (k << kAttemptShift), stream);
    const uint64_t product = block.w[e % 4] * span;
    if (static_cast<uint32_t>(product) >= reject)
      return static_cast<uint32_t>(product >> 32);
  }
}

// Element e below span, 0 for 2^64.
FASTNN_OUTLINE uint64_t integer_64(uint64_t e, uint64_t span, Stream stream) {
  const uint64_t reject = span ? -span % span : 0;
  for (uint64_t k = 0;; ++k) {
    const auto block = one_block(e / 2 + (k << kAttemptShift), stream);
    const uint64_t lo = block.w[e % 2 * 2], hi = block.w[e % 2 * 2 + 1];
    const uint64_t x = lo | hi << 32;
    if (!span) return x;
    const auto product = static_cast<unsigned __int128>(x) * span;
    if (static_cast<uint64_t>(product) >= reject)
      return static_cast<uint64_t>(product >> 64);
  }
}

constexpr int kIntegerChunk = 4 * kBlocks;

FASTNN_OUTLINE void integer_chunk(uint32_t* to, int64_t chunk, uint64_t span,
                                  Stream stream) {
  Words w[4];
  chunk_blocks(chunk, stream, w);
  transpose_4x4(w);
  if (span >> 32) {  // 2^32: words as they are
    __builtin_memcpy(to, w, sizeof w);
    return;
  }
  const uint32_t s = static_cast<uint32_t>(span), reject = -s % s;
  Words again = {};
  for (int j = 0; j < 4; ++j) {
    Words hi, lo;
    Traits<Words>::multiply_wide(w[j], s, hi, lo);
    store(to + j * lanes<uint32_t>, hi);
    w[j] = (Words)(lo < splat<Words>(reject));
    again |= w[j];
  }
  if (fold_lanes<uint32_t>(again, [](auto a, auto b) { return a | b; }) == 0) return;
  uint32_t rejected[kIntegerChunk];
  __builtin_memcpy(rejected, w, sizeof w);
  for (int i = 0; i < kIntegerChunk; ++i)
    if (rejected[i])
      to[i] = integer_32(static_cast<uint64_t>(chunk) * kIntegerChunk + i, s, reject,
                         stream, 1);
}

using Integers =
    Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;

void random_integers(const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const Stream stream = read_stream(args.in[0]);
  const uint64_t low = static_cast<uint64_t>(args.attrs[0].i);
  const uint64_t span = static_cast<uint64_t>(args.attrs[1].i);
  const Range range = element_range(y, args.part);
  dispatch("random_integers", y.dtype, Integers{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const out = y.ptr<T>();
    if (span == 0 || span > uint64_t{1} << 32) {
      for (int64_t e = range.begin; e < range.end; ++e)
        out[e] = static_cast<T>(low + integer_64(e, span, stream));
      return;
    }
    for_chunks<T, kIntegerChunk>(out, range,
                                 [&](int64_t chunk, T* to) FASTNN_LAMBDA_INLINE {
                                   uint32_t drawn[kIntegerChunk];
                                   integer_chunk(drawn, chunk, span, stream);
                                   for (int i = 0; i < kIntegerChunk; ++i)
                                     to[i] = static_cast<T>(low + drawn[i]);
                                 });
  });
}

void random_permutation(const KernelArgs& args) {
  const Stream stream = read_stream(args.in[0]);
  fastnn::random_permutation(stream.seed, stream.step, args.out[0].numel(),
                             args.out[0].ptr<int64_t>());
}

// ---- gamma and beta
// --------------------------------------------------------------------

// Four uniform numbers for each of the elements first .. first + lanes<T> - 1. float32
// takes one block an attempt, float64 two.
template <class T>
FASTNN_INLINE void element_draws(int64_t first, uint32_t attempt, Stream stream,
                                 Vec<T> (&u)[4]) {
  using V = Vec<T>;
  constexpr uint32_t n = lanes<T>;
  const uint64_t block = static_cast<uint64_t>(first);
  const Words i = iota<uint32_t>(), start = splat<Words>(static_cast<uint32_t>(block));
  const Words lo = start + i % n, carry = (Words)(lo < start) & 1;
  const uint32_t tries = attempt * (kBlocks / n) << (kAttemptShift - 32);
  const Words hi = splat<Words>(static_cast<uint32_t>(block >> 32) + tries) + carry +
                   (i / n << (kAttemptShift - 32));
  const PhiloxBlock<Words> b = philox(lo, hi, stream.step, stream.seed);
  if constexpr (sizeof(T) == 4) {
    for (int j = 0; j < 4; ++j)
      u[j] = unit_of<V>(b.w[j]);
  } else {
    uint32_t w[4][kBlocks];
    __builtin_memcpy(w, b.w, sizeof w);
    uint64_t bits[4][n];
    for (uint32_t k = 0; k < n; ++k)
      for (int j = 0; j < 4; ++j) {
        const uint32_t lane = k + j / 2 * n;
        const uint64_t low = w[j % 2 * 2][lane], high = w[j % 2 * 2 + 1][lane];
        bits[j][k] = low | high << 32;
      }
    for (int j = 0; j < 4; ++j)
      u[j] = unit_of<V>(load(bits[j]));
  }
}

// Gamma numbers as value * exp(log_factor): the factor alone may underflow.
template <class V>
struct GammaDraw {
  V value, log_factor;
};
template <class T>
FASTNN_OUTLINE GammaDraw<Vec<T>> gamma_draw(int64_t first, Vec<T> alpha, Stream stream,
                                            uint32_t attempt) {
  using V = Vec<T>;
  const V zero = constant<V>(0), one = constant<V>(1), inf = infinity<V>();
  const auto regular = (alpha > zero) & (alpha < inf);
  const auto boosted = regular & (alpha < one);
  const V shape = select(regular, select(boosted, alpha + one, alpha), one);
  // 0 is a point mass, infinity its limit, the others have no distribution.
  GammaDraw<V> draw = {
      select((alpha == zero) | (alpha == inf), alpha, not_a_number<V>()), zero};
  auto waiting = regular;
  for (;; ++attempt) {
    V u[4];
    element_draws<T>(first, attempt, stream, u);
    const GammaProposal<V> p =
        gamma_proposal(shape, normal_pair(u[0], u[1]).first, u[2]);
    const auto taken = waiting & p.accepted;
    draw.value = select(taken, p.value, draw.value);
    draw.log_factor =
        select(taken & boosted, log(u[3] + unit_step<V>()) / alpha, draw.log_factor);
    waiting = waiting & ~p.accepted;
    if (fold_lanes<ElemOf<IntOf<V>>>((IntOf<V>)waiting,
                                     [](auto a, auto b) { return a | b; }) == 0)
      return draw;
  }
}

// The distributions of up to two parameters per element. make(first, a, b) gives a
// vector; elements after the last get 1 for parameters.
template <class T, int params, class F>
FASTNN_INLINE void for_vectors(const KernelArgs& args, F make) {
  constexpr int n = lanes<T>;
  const TensorView& y = args.out[0];
  const Range range = element_range(y, args.part);
  if (range.begin >= range.end) return;
  const TensorView* views[params];
  for (int k = 0; k < params; ++k)
    views[k] = &args.in[k];
  const Walk walk = make_walk(views, params, {0, y.rows()});
  for (int64_t at = range.begin; at < range.end; at += n) {
    const int64_t left = range.end - at;
    const int count = left < n ? static_cast<int>(left) : n;
    Vec<T> x[2] = {constant<Vec<T>>(1), constant<Vec<T>>(1)};
    for (int k = 0; k < params; ++k)
      gather((char*)(x + k), walk, k, at, count, sizeof(T));
    store_n(y.ptr<T>() + at, make(at, x[0], x[1]), count);
  }
}

void random_gamma(const KernelArgs& args) {
  const Stream stream = read_stream(args.in[1]);
  dispatch("random_gamma", args.out[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_vectors<T, 1>(
        args, [&](int64_t first, Vec<T> alpha, Vec<T>) FASTNN_LAMBDA_INLINE {
          const GammaDraw<Vec<T>> g = gamma_draw<T>(first, alpha, stream, 0);
          return g.value * exp(g.log_factor);
        });
  });
}

// x / (x + y) of two gamma numbers, the larger factor taken out of both.
void random_beta(const KernelArgs& args) {
  constexpr uint32_t second = 1 << 14;  // attempts of y come after all those of x
  const Stream stream = read_stream(args.in[2]);
  dispatch("random_beta", args.out[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = Vec<T>;
    for_vectors<T, 2>(args, [&](int64_t first, V alpha, V beta) FASTNN_LAMBDA_INLINE {
      const GammaDraw<V> x = gamma_draw<T>(first, alpha, stream, 0);
      const GammaDraw<V> y = gamma_draw<T>(first, beta, stream, second);
      const V top = maximum(x.log_factor, y.log_factor);
      const V a = x.value * exp(x.log_factor - top);
      const V b = y.value * exp(y.log_factor - top);
      return a / (a + b);
    });
  });
}

// ---- binomial
// ----------------------------------------------------------------------------

FASTNN_INLINE double unit_53(uint32_t low, uint32_t high) {
  return static_cast<double>((low | uint64_t{high} << 32) >> 11) * 0x1p-53;
}

// The setup of the last (n, p), a function of them alone.
struct LastBinomial {
  double count = -1, probability = -1;
  Binomial setup;
};

FASTNN_OUTLINE double binomial_draw(uint64_t e, double count, double probability,
                                    Stream stream, LastBinomial& last) {
  const double n = ::floor(count);
  if (!(n >= 0 && probability >= 0 && probability <= 1)) return NAN;
  const bool flip = probability > 0.5;
  const double p = flip ? 1 - probability : probability;
  if (n == 0 || p == 0) return flip ? n : 0;
  if (n != last.count || p != last.probability) last = {n, p, Binomial::make(n, p)};
  double k;
  for (uint64_t attempt = 0;; ++attempt) {
    const auto block = one_block(e + (attempt << kAttemptShift), stream);
    const double u = unit_53(block.w[0], block.w[1]);
    const double v = unit_53(block.w[2], block.w[3]);
    k = last.setup.by_inversion() ? last.setup.invert(u) : last.setup.propose(u, v);
    if (k >= 0) break;
  }
  return flip ? n - k : k;
}

void random_binomial(const KernelArgs& args) {
  const Stream stream = read_stream(args.in[2]);
  dispatch("random_binomial", args.out[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    LastBinomial last;
    for_vectors<T, 2>(args, [&](int64_t first, Vec<T> n, Vec<T> p) {
      for (int i = 0; i < lanes<T>; ++i)
        n[i] = static_cast<T>(binomial_draw(static_cast<uint64_t>(first) + i,
                                            double(n[i]), double(p[i]), stream, last));
      return n;
    });
  });
}

// ---- categorical
// ---------------------------------------------------------------------------

// Running sums of exp(logits - max) of one row, in double and in order.
template <class T>
FASTNN_OUTLINE void running_masses(double* sums, const T* logits, int64_t classes) {
  using V = Vec<T>;
  constexpr int n = lanes<T>;
  T top = -(T)INFINITY;
  for (int64_t i = 0; i < classes; ++i)
    top = logits[i] > top ? logits[i] : top;
  double sum = 0;
  for (int64_t i = 0; i < classes; i += n) {
    const int count = classes - i < n ? static_cast<int>(classes - i) : n;
    const V x = load_n(logits + i, count);
    T mass[n];
    store(mass, select(x == splat<V>(top), constant<V>(1), exp(x - splat<V>(top))));
    for (int j = 0; j < count; ++j)
      sums[i + j] = sum += static_cast<double>(mass[j]);
  }
}

// The first class whose running sum is above u times the total.
FASTNN_INLINE int64_t class_of(const double* sums, int64_t classes, double u) {
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
  return low;
}

void random_categorical(const KernelArgs& args) {
  const TensorView &z = args.in[0], &y = args.out[0];
  const Stream stream = read_stream(args.in[1]);
  const int64_t classes = z.shape[1], samples = y.shape[1];
  const Range rows = row_range(y.rows(), args.part);
  if (samples == 0 || rows.begin >= rows.end) return;
  double* const sums = (double*)scratch(classes * 16);
  const TensorView* view = &z;
  const Walk walk = make_walk(&view, 1, {0, z.rows()});
  dispatch("random_categorical", z.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const logits = (T*)(sums + classes);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      gather((char*)logits, walk, 0, row * classes, classes, sizeof(T));
      running_masses(sums, logits, classes);
      for (int64_t s = 0; s < samples; ++s) {
        const uint64_t e = static_cast<uint64_t>(row * samples + s);
        const auto block = one_block(e / 2, stream);
        const double u = unit_53(block.w[e % 2 * 2], block.w[e % 2 * 2 + 1]);
        y.ptr<int64_t>()[row * samples + s] = class_of(sums, classes, u);
      }
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"random_integers", random_integers, Split::kRows, "a", 1, "low span"},
    {"random_permutation", random_permutation, Split::kSerial, "a", 1, ""},
    {"random_gamma", random_gamma, Split::kRows, "ra", 1, ""},
    {"random_beta", random_beta, Split::kRows, "rra", 1, ""},
    {"random_binomial", random_binomial, Split::kRows, "rra", 1, ""},
    {"random_categorical", random_categorical, Split::kRows, "ra", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_sampling;
const KernelFamily kFamily_sampling = {"sampling", kEntries,
                                       sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
