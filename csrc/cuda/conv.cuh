// SPDX-License-Identifier: Apache-2.0
// Convolution and its gradients as one implicit matrix product (Chetlur et al. 2014): a
// problem says where element (row, k) of the left and (k, column) of the right factor
// lie; tiles of both go through shared memory.
//
//   forward           rows pixels of y, k taps x inputs,      columns outputs
//   input gradient    rows pixels of x, k taps x outputs,     columns inputs
//   filter gradient   rows taps x inputs, k pixels of y,      columns outputs
#pragma once

#include "cuda/geometry.cuh"

namespace fastnn::device {

// What all three problems know. Numbers: geometry (18), groups, inputs and outputs of a
// group, chunks of k.
constexpr int kConvNumbers = 22;
template <int n>
struct ConvShape : Geometry {
  int groups, inputs, outputs, chunks;
  explicit FASTNN_DEVICE ConvShape(const Number (&number)[n])
      : Geometry(number, 0),
        groups(static_cast<int>(number[18].i)),
        inputs(static_cast<int>(number[19].i)),
        outputs(static_cast<int>(number[20].i)),
        chunks(static_cast<int>(number[21].i)) {}
};

struct RowPlace {
  int64_t image;
  Place at;
  int channel;
};

// in: x, w.
template <class S, int n>
struct Forward : ConvShape<n> {
  const View &x, &w;
  int group;
  FASTNN_DEVICE Forward(const View* in, const Number (&number)[n], int g)
      : ConvShape<n>(number), x(in[0]), w(in[1]), group(g) {}

  FASTNN_DEVICE int64_t rows() const { return x.shape[0] * this->count(this->out); }
  FASTNN_DEVICE int64_t columns() const { return this->outputs; }
  FASTNN_DEVICE int64_t depth() const {
    return this->count(this->window) * this->inputs;
  }
  FASTNN_DEVICE RowPlace row(int64_t i) const {
    const int64_t pixels = this->count(this->out);
    return {i / pixels, place_of(i % pixels, this->out), 0};
  }
  FASTNN_DEVICE RowPlace line(int64_t k) const {
    return {0, place_of(k / this->inputs, this->window),
            static_cast<int>(k % this->inputs)};
  }
  FASTNN_DEVICE Computed<S> left(const RowPlace& r, const RowPlace& k) const {
    Place i;
    if (!this->input(r.at, k.at, i)) return Computed<S>(0);
    const int64_t channel = group * this->inputs + k.channel;
    return load(x.ptr<S>(), pixel_offset(x, r.image, i) + channel * x.stride[4]);
  }
  FASTNN_DEVICE Computed<S> right(const RowPlace& k, int64_t column) const {
    const int64_t output = group * this->outputs + column;
    return load(w.ptr<S>(),
                tap_offset(w, k.at) + k.channel * w.stride[3] + output * w.stride[4]);
  }
  // Where element (row, column) of the dense result lies.
  FASTNN_DEVICE int64_t place(int64_t row, int64_t column) const {
    return row * this->groups * this->outputs + group * this->outputs + column;
  }
};

// in: dy, w.
template <class S, int n>
struct InputGradient : ConvShape<n> {
  const View &dy, &w;
  int group;
  FASTNN_DEVICE InputGradient(const View* in, const Number (&number)[n], int g)
      : ConvShape<n>(number), dy(in[0]), w(in[1]), group(g) {}

  FASTNN_DEVICE int64_t rows() const { return dy.shape[0] * this->count(this->in); }
  FASTNN_DEVICE int64_t columns() const { return this->inputs; }
  FASTNN_DEVICE int64_t depth() const {
    return this->count(this->window) * this->outputs;
  }
  FASTNN_DEVICE RowPlace row(int64_t i) const {
    const int64_t pixels = this->count(this->in);
    return {i / pixels, place_of(i % pixels, this->in), 0};
  }
  FASTNN_DEVICE RowPlace line(int64_t k) const {
    return {0, place_of(k / this->outputs, this->window),
            static_cast<int>(k % this->outputs)};
  }
  FASTNN_DEVICE Computed<S> left(const RowPlace& r, const RowPlace& k) const {
    Place o;
    if (!this->output(r.at, k.at, o)) return Computed<S>(0);
    const int64_t channel = group * this->outputs + k.channel;
    return load(dy.ptr<S>(), pixel_offset(dy, r.image, o) + channel * dy.stride[4]);
  }
  FASTNN_DEVICE Computed<S> right(const RowPlace& k, int64_t column) const {
    const int64_t output = group * this->outputs + k.channel;
    return load(w.ptr<S>(),
                tap_offset(w, k.at) + column * w.stride[3] + output * w.stride[4]);
  }
  FASTNN_DEVICE int64_t place(int64_t row, int64_t column) const {
    return row * this->groups * this->inputs + group * this->inputs + column;
  }
};

// in: x, dy.
template <class S, int n>
struct FilterGradient : ConvShape<n> {
  const View &x, &dy;
  int group;
  FASTNN_DEVICE FilterGradient(const View* in, const Number (&number)[n], int g)
      : ConvShape<n>(number), x(in[0]), dy(in[1]), group(g) {}

  FASTNN_DEVICE int64_t rows() const {
    return this->count(this->window) * this->inputs;
  }
  FASTNN_DEVICE int64_t columns() const { return this->outputs; }
  FASTNN_DEVICE int64_t depth() const { return dy.shape[0] * this->count(this->out); }
  FASTNN_DEVICE RowPlace row(int64_t i) const {
    return {0, place_of(i / this->inputs, this->window),
            static_cast<int>(i % this->inputs)};
  }
  FASTNN_DEVICE RowPlace line(int64_t k) const {
    const int64_t pixels = this->count(this->out);
    return {k / pixels, place_of(k % pixels, this->out), 0};
  }
  FASTNN_DEVICE Computed<S> left(const RowPlace& r, const RowPlace& k) const {
    Place i;
    if (!this->input(k.at, r.at, i)) return Computed<S>(0);
    const int64_t channel = group * this->inputs + r.channel;
    return load(x.ptr<S>(), pixel_offset(x, k.image, i) + channel * x.stride[4]);
  }
  FASTNN_DEVICE Computed<S> right(const RowPlace& k, int64_t column) const {
    const int64_t output = group * this->outputs + column;
    return load(dy.ptr<S>(), pixel_offset(dy, k.image, k.at) + output * dy.stride[4]);
  }
  FASTNN_DEVICE int64_t place(int64_t row, int64_t column) const {
    return row * this->groups * this->outputs + group * this->outputs + column;
  }
};

// The left factor of a problem without groups, (rows, depth), as a dense matrix.
template <template <class, int> class Problem, class S>
FASTNN_DEVICE void unfold(const Args<2, 1, kConvNumbers>& a) {
  const Problem<S, kConvNumbers> p(a.in, a.number, 0);
  const int64_t depth = p.depth();
  for_elements(p.rows() * depth, [&](int64_t at) {
    const int64_t row = at / depth;
    store(a.out[0].template ptr<S>(), at, p.left(p.row(row), p.line(at - row * depth)));
  });
}

constexpr int kConvTile = 64, kConvDepth = 8, kConvThreads = 256, kConvStep = 4;

// Each thread has 4 x 4 elements of a tile of 64 x 64. What is left of `finish` is
// stored: f(value, place, column of all groups). 16 rows apart, so that a warp's reads
// of shared memory fall on different banks.
template <class Problem, class S, class Store>
FASTNN_DEVICE void multiply_tile(const Problem& p, int64_t first_row,
                                 int64_t first_column, int64_t k_begin, int64_t k_end,
                                 Store finish) {
  using T = Computed<S>;
  __shared__ T left[kConvDepth][kConvTile + 1], right[kConvDepth][kConvTile + 1];
  const int thread = threadIdx.x, x = thread % 16, y = thread / 16;
  const int64_t rows = p.rows(), columns = p.columns();
  // This thread loads column `slot` of both tiles for two lines of k.
  const int slot = thread % kConvTile, first_line = thread / kConvTile;
  const bool has_row = first_row + slot < rows;
  const RowPlace row = p.row(has_row ? first_row + slot : 0);
  const int64_t column = first_column + slot;
  T sum[kConvStep][kConvStep];
  for (int i = 0; i < kConvStep; ++i)
    for (int j = 0; j < kConvStep; ++j)
      sum[i][j] = T(0);
  for (int64_t k = k_begin; k < k_end; k += kConvDepth) {
    for (int line = first_line; line < kConvDepth; line += kConvThreads / kConvTile) {
      const bool inside = k + line < k_end;
      const RowPlace at = p.line(inside ? k + line : k_begin);
      left[line][slot] = inside && has_row ? p.left(row, at) : T(0);
      right[line][slot] = inside && column < columns ? p.right(at, column) : T(0);
    }
    __syncthreads();
    for (int line = 0; line < kConvDepth; ++line) {
      T a[kConvStep], b[kConvStep];
      for (int i = 0; i < kConvStep; ++i)
        a[i] = left[line][y + 16 * i], b[i] = right[line][x + 16 * i];
      for (int i = 0; i < kConvStep; ++i)
        for (int j = 0; j < kConvStep; ++j)
          sum[i][j] = Traits<T>::fused(a[i], b[j], sum[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < kConvStep; ++i)
    for (int j = 0; j < kConvStep; ++j) {
      const int64_t r = first_row + y + 16 * i, c = first_column + x + 16 * j;
      if (r < rows && c < columns) finish(sum[i][j], p.place(r, c), c);
    }
}

// Runs the tiles of all groups and chunks of k on the blocks of the grid.
template <template <class, int> class Problem, class S, int n, class Store>
FASTNN_DEVICE void multiply(const View* in, const Number (&number)[n], Store finish) {
  const ConvShape<n> shape(number);
  const Problem<S, n> first(in, number, 0);
  const int64_t down = (first.rows() + kConvTile - 1) / kConvTile;
  const int64_t across = (first.columns() + kConvTile - 1) / kConvTile;
  const int64_t tiles = down * across, jobs = tiles * shape.groups * shape.chunks;
  const int64_t step = (first.depth() + shape.chunks - 1) / shape.chunks;
  for (int64_t job = blockIdx.x; job < jobs; job += gridDim.x) {
    const int chunk = static_cast<int>(job / tiles % shape.chunks);
    const int group = static_cast<int>(job / tiles / shape.chunks);
    const Problem<S, n> p(in, number, group);
    const int64_t begin = chunk * step, end = begin + step;
    multiply_tile<Problem<S, n>, S>(
        p, job % tiles / across * kConvTile, job % across * kConvTile, begin,
        end < p.depth() ? end : p.depth(),
        [&](Computed<S> sum, int64_t place, int64_t column) {
          finish(sum, place, chunk, group, column);
        });
  }
}

// The functor's attributes lie behind the numbers of the convolution.
template <class F, int n>
FASTNN_DEVICE F functor_behind(const Number (&number)[n], int first) {
  F f{};
  if constexpr (!__is_empty(F)) memcpy(&f, number + first, sizeof f);
  return f;
}

// f(sum + bias): inputs x (or dy of a transposed one), w, bias; a bias of size 0 is
// none.
template <template <class, int> class Problem, class Act, class S, int n>
FASTNN_DEVICE void conv_bias(const Args<3, 1, n>& a) {
  using F = typename Act::F;
  const F f = functor_behind<F>(a.number, kConvNumbers);
  const View& bias = a.in[2];
  const ConvShape<n> shape(a.number);
  const int64_t columns = Problem<S, n>(a.in, a.number, 0).columns();
  multiply<Problem, S>(
      a.in, a.number, [&](Computed<S> sum, int64_t at, int, int group, int64_t c) {
        const int64_t channel = group * columns + c;
        if (bias.shape[0])
          sum = sum + load(bias.template ptr<S>(), channel * bias.stride[0]);
        store(a.out[0].template ptr<S>(), at, f(sum));
      });
}

// dx act'(y): inputs dy, w, y.
template <class Act, class S, int n>
FASTNN_DEVICE void conv_input_gradient(const Args<3, 1, n>& a) {
  using F = typename Act::F;
  const F f = functor_behind<F>(a.number, kConvNumbers);
  const View& y = a.in[2];
  multiply<InputGradient, S>(
      a.in, a.number, [&](Computed<S> sum, int64_t at, int, int, int64_t) {
        const Computed<S> v = load(y.template ptr<S>(), offset_of(y, at));
        store(a.out[0].template ptr<S>(), at, f(sum, v));
      });
}

// Inputs x, dy; with several chunks partial sums (chunks, filter) of type W.
template <class S, class W>
FASTNN_DEVICE void conv_filter_gradient(const Args<2, 1, kConvNumbers>& a) {
  const int64_t size = a.number[18].i * a.number[20].i *
                       FilterGradient<S, kConvNumbers>(a.in, a.number, 0).rows();
  multiply<FilterGradient, S>(
      a.in, a.number, [&](Computed<S> sum, int64_t at, int chunk, int, int64_t) {
        store(a.out[0].template ptr<W>(), chunk * size + at, sum);
      });
}

}  // namespace fastnn::device
