// SPDX-License-Identifier: Apache-2.0
// Normalization over all axes but one (batch norm, moments of any axes): sums of two
// values per output in one pass over memory, then an element each.
//
// Numbers begin with {kept axes, outputs, elements per output, chunks}, operands have
// their kept axes first (rules/norm.py). Partial sums lie as (outputs, chunks, 2).
#pragma once

#include "cuda/reduce.cuh"
#include "shared/math.h"

namespace fastnn::device {

template <class T>
struct Pair {
  T first, second;
};

// x - s and its square; s is the output's first element, so that a mean far from zero
// costs no digits (Chan et al. 1983, shifted data).
template <class S, int n_in, int n_numbers>
struct Moments {
  using T = Computed<S>;
  const Args<n_in, 1, n_numbers>& a;
  const S* x;
  T shift;

  FASTNN_DEVICE Moments(const Args<n_in, 1, n_numbers>& args, int64_t output, int kept)
      : a(args), x(args.in[0].template ptr<S>() + offset_of(args.in[0], output, kept)) {
    shift = load(x, 0);
  }
  FASTNN_DEVICE Pair<T> operator()(int64_t i, int kept) const {
    const T d = load(x, offset_behind(a.in[0], i, kept)) - shift;
    return {d, d * d};
  }
};

// dy xhat and dy; inputs dy, x, mean, variance, and epsilon as number 4.
template <class S, int n_in, int n_numbers>
struct BatchGradients {
  using T = Computed<S>;
  const Args<n_in, 1, n_numbers>& a;
  const S *dy, *x;
  T mean, r;

  FASTNN_DEVICE BatchGradients(const Args<n_in, 1, n_numbers>& args, int64_t output,
                               int kept)
      : a(args),
        dy(args.in[0].template ptr<S>() + offset_of(args.in[0], output, kept)),
        x(args.in[1].template ptr<S>() + offset_of(args.in[1], output, kept)),
        mean(load(args.in[2].template ptr<S>(), output * args.in[2].stride[0])) {
    const T v = load(args.in[3].template ptr<S>(), output * args.in[3].stride[0]);
    r = T(1) / sqrt(v + static_cast<T>(args.number[4].f));
  }
  FASTNN_DEVICE Pair<T> operator()(int64_t i, int kept) const {
    const T g = load(dy, offset_behind(a.in[0], i, kept));
    return {g * ((load(x, offset_behind(a.in[1], i, kept)) - mean) * r), g};
  }
};

// A block per output and chunk.
template <template <class, int, int> class F, class S, int n_in, int n_numbers>
FASTNN_DEVICE void pair_rows(const Args<n_in, 1, n_numbers>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  for (int64_t job = blockIdx.x; job < r.outputs * r.chunks; job += gridDim.x) {
    const int64_t c = job % r.chunks, end = r.begin(c + 1);
    const F<S, n_in, n_numbers> f(a, job / r.chunks, r.kept);
    Pair<T> sum = {T(0), T(0)};
    for (int64_t i = r.begin(c) + threadIdx.x; i < end; i += blockDim.x) {
      const Pair<T> v = f(i, r.kept);
      sum.first = sum.first + v.first, sum.second = sum.second + v.second;
    }
    sum.first = block_reduce<SumOp>(sum.first);
    sum.second = block_reduce<SumOp>(sum.second);
    if (threadIdx.x == 0) a.out[0].template ptr<Pair<T>>()[job] = sum;
  }
}

// For outputs that are neighbours in memory: 32 of them by 8 elements in a block, so
// that a warp reads whole lines.
template <template <class, int, int> class F, class S, int n_in, int n_numbers>
FASTNN_DEVICE void pair_columns(const Args<n_in, 1, n_numbers>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  const int64_t groups = (r.outputs + kWarp - 1) / kWarp;
  const int lane = threadIdx.x % kWarp, line = threadIdx.x / kWarp;
  const int lines = blockDim.x / kWarp;
  __shared__ Pair<T> of_line[1024 / kWarp][kWarp];
  for (int64_t job = blockIdx.x; job < groups * r.chunks; job += gridDim.x) {
    const int64_t c = job % r.chunks, output = job / r.chunks * kWarp + lane;
    Pair<T> sum = {T(0), T(0)};
    if (output < r.outputs) {
      const F<S, n_in, n_numbers> f(a, output, r.kept);
      const int64_t end = r.begin(c + 1);
      for (int64_t i = r.begin(c) + line; i < end; i += lines) {
        const Pair<T> v = f(i, r.kept);
        sum.first = sum.first + v.first, sum.second = sum.second + v.second;
      }
    }
    of_line[line][lane] = sum;
    __syncthreads();
    if (line == 0 && output < r.outputs) {
      for (int k = 1; k < lines; ++k) {
        sum.first = sum.first + of_line[k][lane].first;
        sum.second = sum.second + of_line[k][lane].second;
      }
      a.out[0].template ptr<Pair<T>>()[output * r.chunks + c] = sum;
    }
    __syncthreads();
  }
}

template <class T>
FASTNN_DEVICE Pair<T> total_of(const View& partial, int64_t output, int64_t chunks) {
  const Pair<T>* p = partial.ptr<Pair<T>>() + output * chunks;
  Pair<T> sum = p[0];
  for (int64_t c = 1; c < chunks; ++c)
    sum.first = sum.first + p[c].first, sum.second = sum.second + p[c].second;
  return sum;
}

// Mean and biased variance; inputs partial sums, x.
template <class S>
FASTNN_DEVICE void finish_moments(const Args<2, 2, 4>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  for_elements(r.outputs, [&](int64_t output) {
    const View& x = a.in[1];
    const Pair<T> sum = total_of<T>(a.in[0], output, r.chunks);
    const T n = static_cast<T>(r.count), mean = sum.first / n;
    const T shift = load(x.template ptr<S>(), offset_of(x, output, r.kept));
    const T variance = sum.second / n - mean * mean;
    store(a.out[0].template ptr<S>(), output, shift + mean);
    store(a.out[1].template ptr<S>(), output, maximum(variance, T(0)));
  });
}

// The sums as they are.
template <class S>
FASTNN_DEVICE void finish_sums(const Args<1, 2, 4>& a) {
  using T = Computed<S>;
  const Reduction r(a.number);
  for_elements(r.outputs, [&](int64_t output) {
    const Pair<T> sum = total_of<T>(a.in[0], output, r.chunks);
    store(a.out[0].template ptr<S>(), output, sum.first);
    store(a.out[1].template ptr<S>(), output, sum.second);
  });
}

// The channel of element `at`: numbers {channels, elements behind the channel axis}.
struct Channels {
  int64_t count, inner;
  FASTNN_DEVICE int64_t of(int64_t at) const { return at / inner % count; }
};
template <class S>
FASTNN_DEVICE Computed<S> channel_value(const View& v, int64_t channel) {
  return load(v.ptr<S>(), channel * v.stride[0]);
}

// (x - mean) / sqrt(variance + epsilon) gamma + beta; number 2 is epsilon.
template <class S>
FASTNN_DEVICE void batch_norm_apply(const Args<5, 1, 3>& a) {
  using T = Computed<S>;
  const Channels channels = {a.number[0].i, a.number[1].i};
  const T epsilon = static_cast<T>(a.number[2].f);
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t c = channels.of(at);
    const T r = T(1) / sqrt(channel_value<S>(a.in[2], c) + epsilon);
    const T scale = channel_value<S>(a.in[3], c) * r;
    const T x = load(a.in[0].template ptr<S>(), offset_of(a.in[0], at));
    store(a.out[0].template ptr<S>(), at,
          (x - channel_value<S>(a.in[1], c)) * scale + channel_value<S>(a.in[4], c));
  });
}

// dx = gamma r (dy - mean(dy) - xhat mean(dy xhat)); inputs dy, x, gamma, mean,
// variance, dgamma, dbeta; number 3 is how many elements a channel has.
template <class S>
FASTNN_DEVICE void batch_norm_dx(const Args<7, 1, 4>& a) {
  using T = Computed<S>;
  const Channels channels = {a.number[0].i, a.number[1].i};
  const T epsilon = static_cast<T>(a.number[2].f);
  const T n = static_cast<T>(a.number[3].i);
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t c = channels.of(at);
    const T r = T(1) / sqrt(channel_value<S>(a.in[4], c) + epsilon);
    const T dy = load(a.in[0].template ptr<S>(), offset_of(a.in[0], at));
    const T x = load(a.in[1].template ptr<S>(), offset_of(a.in[1], at));
    const T xhat = (x - channel_value<S>(a.in[3], c)) * r;
    const T of_gamma = channel_value<S>(a.in[5], c) / n;
    const T of_beta = channel_value<S>(a.in[6], c) / n;
    store(a.out[0].template ptr<S>(), at,
          channel_value<S>(a.in[2], c) * r * (dy - of_beta - xhat * of_gamma));
  });
}

}  // namespace fastnn::device
