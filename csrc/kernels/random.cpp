// SPDX-License-Identifier: Apache-2.0
// Random tensors: the streams are defined in shared/philox.h. A chunk is what one
// vector of Philox blocks gives; parts that begin or end inside a chunk compute all of
// it and keep their share, so results do not depend on the partition.
#include "shared/philox.h"

#include "kernels/random_stream.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/strided.hpp"
#include "kernels/simd/widen.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

struct Uniform {
  template <class T>
  static FASTNN_INLINE void fill(T* to, Words (&w)[4], double low, double high) {
    using V = Vec<T>;
    transpose_4x4(w);
    // The result may round up to `high`, which is not in the interval.
    const T lo = static_cast<T>(low), span = static_cast<T>(high) - lo;
    const T top = span > 0 ? below(static_cast<T>(high)) : lo;
    for (int j = 0; j < 4; ++j) {
      V u = unit_of<V>(bits_as<UIntOf<V>>(w[j]));
      u = fma(u, splat<V>(span), splat<V>(lo));
      store(to + j * lanes<T>, select(u > splat<V>(top), splat<V>(top), u));
    }
  }
  static FASTNN_INLINE float below(float x) { return ::nextafterf(x, -INFINITY); }
  static FASTNN_INLINE double below(double x) { return ::nextafter(x, -INFINITY); }
};

struct Normal {
  static FASTNN_INLINE void fill(float* to, Words (&w)[4], double mean, double stddev) {
    using V = Vec<float>;
    for (int j = 0; j < 4; j += 2) {
      const NormalPair<V> pair = normal_pair(unit_of<V>(w[j]), unit_of<V>(w[j + 1]));
      w[j] = bits_as<Words>(pair.first);
      w[j + 1] = bits_as<Words>(pair.second);
    }
    transpose_4x4(w);
    for (int j = 0; j < 4; ++j) {
      const V z = bits_as<V>(w[j]);
      store(to + j * lanes<float>, fma(z, constant<V>(stddev), constant<V>(mean)));
    }
  }
  static FASTNN_INLINE void fill(double* to, Words (&w)[4], double mean,
                                 double stddev) {
    using V = Vec<double>;
    using U = Vec<uint64_t>;
    constexpr int n = lanes<double>;
    transpose_4x4(w);
    uint64_t bits[2 * kBlocks], split[2][kBlocks];
    __builtin_memcpy(bits, w, sizeof bits);
    for (int i = 0; i < kBlocks; ++i)
      split[0][i] = bits[2 * i], split[1][i] = bits[2 * i + 1];
    double z[2][kBlocks];
    for (int i = 0; i < kBlocks; i += n) {
      const NormalPair<V> pair = normal_pair(unit_of<V>((U)load(split[0] + i)),
                                             unit_of<V>((U)load(split[1] + i)));
      store(z[0] + i, fma(pair.first, constant<V>(stddev), constant<V>(mean)));
      store(z[1] + i, fma(pair.second, constant<V>(stddev), constant<V>(mean)));
    }
    for (int i = 0; i < kBlocks; ++i)
      to[2 * i] = z[0][i], to[2 * i + 1] = z[1][i];
  }
};

struct TruncatedNormal {
  template <class T>
  static FASTNN_INLINE void fill(T* to, Words (&w)[4], double mean, double stddev) {
    using V = Vec<T>;
    transpose_4x4(w);
    for (int j = 0; j < 4; ++j) {
      V v;  // odd multiples of 2^-24 or 2^-53 in (-1, 1): exact
      if constexpr (sizeof(T) == 4) {
        v = upper_24_bits<V>(w[j]) * constant<V>(0x1p-23);
        v = v - constant<V>(1 - 0x1p-24);
      } else {
        v = convert<V>(bits_as<Vec<uint64_t>>(w[j]) >> 11) * constant<V>(0x1p-52);
        v = v - constant<V>(1 - 0x1p-53);
      }
      const V z = truncated_normal_of(v);
      store(to + j * lanes<T>, fma(z, constant<V>(stddev), constant<V>(mean)));
    }
  }
};

template <class Distribution>
FASTNN_INLINE void generate(const char* name, const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const Stream stream = read_stream(args.in[0]);
  const double a = args.attrs[0].f, b = args.attrs[1].f;
  dispatch(name, y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int chunk_size = kBlocks * 16 / static_cast<int>(sizeof(T));
    for_chunks<T, chunk_size>(y.ptr<T>(), element_range(y, args.part),
                              [&](int64_t chunk, T* to) FASTNN_LAMBDA_INLINE {
                                Words w[4];
                                chunk_blocks(chunk, stream, w);
                                Distribution::fill(to, w, a, b);
                              });
  });
}

void random_uniform(const KernelArgs& args) {
  generate<Uniform>("random_uniform", args);
}
void random_normal(const KernelArgs& args) { generate<Normal>("random_normal", args); }
void truncated_normal(const KernelArgs& args) {
  generate<TruncatedNormal>("truncated_normal", args);
}

// One chunk of dropout: 8 draws of 16 bits per block.
template <class T>
FASTNN_INLINE void dropout_chunk(T* to, const T* from, Words (&w)[4],
                                 DropoutRate rate) {
  using V = Vec<T>;
  using U = UIntOf<V>;
  transpose_4x4(w);
  uint16_t draws[8 * kBlocks];
  __builtin_memcpy(draws, w, sizeof draws);
  const V scale = constant<V>(rate.scale);
  const U threshold = splat<U>(rate.threshold);
  for (int i = 0; i < 8 * kBlocks; i += lanes<T>) {
    const auto keep = load_widened<ElemOf<U>, uint16_t>(draws + i) >= threshold;
    store(to + i, select(keep, load(from + i) * scale, constant<V>(0)));
  }
}

void dropout(const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const Stream stream = read_stream(args.in[1]);
  const DropoutRate rate = dropout_rate(args.attrs[0].f);
  const Range range = element_range(y, args.part);
  if (range.begin >= range.end) return;
  const TensorView* view = &args.in[0];
  const Walk walk = make_walk(&view, 1, {0, y.rows()});
  dispatch("dropout", y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int chunk_size = 8 * kBlocks;
    const bool contiguous = args.in[0].contiguous();
    for_chunks<T, chunk_size>(
        y.ptr<T>(), range, [&](int64_t chunk, T* to) FASTNN_LAMBDA_INLINE {
          // Only elements of this part are read: the rest may be in use.
          const int64_t start = chunk * chunk_size, stop = start + chunk_size;
          const int64_t first = start > range.begin ? start : range.begin;
          const int64_t last = stop < range.end ? stop : range.end;
          const T* from = args.in[0].ptr<T>() + start;
          alignas(64) T gathered[chunk_size];
          if (!contiguous || last - first < chunk_size) {
            __builtin_memset(gathered, 0, sizeof gathered);
            gather((char*)(gathered + (first - start)), walk, 0, first, last - first,
                   sizeof(T));
            from = gathered;
          }
          Words w[4];
          chunk_blocks(chunk, stream, w);
          dropout_chunk(to, from, w, rate);
        });
  });
}

constexpr KernelEntry kEntries[] = {
    {"random_uniform", random_uniform, Split::kRows, "a", 1, "low high"},
    {"random_normal", random_normal, Split::kRows, "a", 1, "mean stddev"},
    {"truncated_normal", truncated_normal, Split::kRows, "a", 1, "mean stddev"},
    {"dropout", dropout, Split::kRows, "ra", 1, "rate"},
};

}  // namespace

extern const KernelFamily kFamily_random;
const KernelFamily kFamily_random = {"random", kEntries,
                                     sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
