// SPDX-License-Identifier: Apache-2.0
// Reductions. The rule hands over the input with its kept axes first: numbers are
// {kept axes, outputs, elements per output, chunks}. A long reduction is split into
// chunks, whose results a second launch of the same kernel combines, so that the order
// of additions follows from the shape alone.
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

struct AnyOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return T(0);
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return a | b;
  }
};
struct AllOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return T(1);
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return a & b;
  }
};

struct Reduction {
  int kept;
  int64_t outputs, count, chunks;

  template <int n>
  explicit FASTNN_DEVICE Reduction(const Number (&number)[n])
      : kept(static_cast<int>(number[0].i)),
        outputs(number[1].i),
        count(number[2].i),
        chunks(number[3].i) {}

  // Of chunk c: all but the last have the same number of elements.
  FASTNN_DEVICE int64_t begin(int64_t c) const {
    const int64_t size = (count + chunks - 1) / chunks;
    return c * size < count ? c * size : count;
  }
};

// A block per output and chunk. S: the stored type, W: the one partial results have
// (float for 16-bit floats until the last launch, which has a chunk for all).
template <class Op, class S, class W>
FASTNN_DEVICE void reduce_rows(const Args<1, 1, 4>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  const View& x = a.in[0];
  for (int64_t job = blockIdx.x; job < r.outputs * r.chunks; job += gridDim.x) {
    const int64_t output = job / r.chunks, c = job % r.chunks;
    const S* row = x.template ptr<S>() + offset_of(x, output, r.kept);
    const int64_t end = r.begin(c + 1);
    T sum = Op::template start<T>();
    for (int64_t i = r.begin(c) + threadIdx.x; i < end; i += blockDim.x)
      sum = Op{}(sum, load(row, offset_behind(x, i, r.kept)));
    sum = block_reduce<Op>(sum);
    if (threadIdx.x == 0) store(a.out[0].template ptr<W>(), job, sum);
  }
}

// A thread per output and chunk, for reductions along axes that lie further apart than
// outputs do (neighbouring threads read neighbouring elements) and for short ones.
template <class Op, class S, class W>
FASTNN_DEVICE void reduce_columns(const Args<1, 1, 4>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  const View& x = a.in[0];
  for_elements(r.outputs * r.chunks, [&](int64_t job) {
    const int64_t c = job / r.outputs, output = job % r.outputs;
    const S* column = x.template ptr<S>() + offset_of(x, output, r.kept);
    const int64_t end = r.begin(c + 1);
    T sum = Op::template start<T>();
    for (int64_t i = r.begin(c); i < end; ++i)
      sum = Op{}(sum, load(column, offset_behind(x, i, r.kept)));
    store(a.out[0].template ptr<W>(), output * r.chunks + c, sum);
  });
}

// The index of the first best element of each row; the first NaN wins.
template <class Op, class S>
FASTNN_DEVICE void arg_rows(const Args<1, 1, 4>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  const View& x = a.in[0];
  const auto better = [](T v, int64_t i, T best, int64_t at) {
    if (at < 0) return i >= 0;
    if (i < 0) return false;
    const bool nan = v != v, best_nan = best != best;
    if (nan || best_nan) return nan && (!best_nan || i < at);
    return v == best ? i < at : Op{}(best, v) == v;
  };
  for (int64_t output = blockIdx.x; output < r.outputs; output += gridDim.x) {
    const S* row = x.template ptr<S>() + offset_of(x, output, r.kept);
    T best = T(0);
    int64_t at = -1;
    for (int64_t i = threadIdx.x; i < r.count; i += blockDim.x) {
      const T v = load(row, offset_behind(x, i, r.kept));
      if (better(v, i, best, at)) best = v, at = i;
    }
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const T v = __shfl_xor_sync(kAllLanes, best, step);
      const int64_t i = __shfl_xor_sync(kAllLanes, at, step);
      if (better(v, i, best, at)) best = v, at = i;
    }
    __shared__ T bests[kWarp];
    __shared__ int64_t places[kWarp];
    __syncthreads();
    if (threadIdx.x % kWarp == 0)
      bests[threadIdx.x / kWarp] = best, places[threadIdx.x / kWarp] = at;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int w = 1; w < static_cast<int>(blockDim.x) / kWarp; ++w)
        if (better(bests[w], places[w], best, at)) best = bests[w], at = places[w];
      a.out[0].template ptr<int32_t>()[output] = static_cast<int32_t>(at);
    }
  }
}

}  // namespace fastnn::device
