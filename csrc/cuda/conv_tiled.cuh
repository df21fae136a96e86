// SPDX-License-Identifier: Apache-2.0
// Convolution and its gradients (the problems of conv.cuh) in tiles, on tensor cores or
// exactly: for dense images with channels last and filters (..., inputs, outputs), both
// channel counts multiples of 16 bytes, one group.
//
// A chunk of 16 bytes is a few channels at one place. Each thread knows the places of
// its chunks and goes from one step of k to the next without a division.
#pragma once

#include "cuda/conv.cuh"
#include "cuda/tiles.cuh"

namespace fastnn::device {

// Steps of k from `begin` to `end`.
template <class Tile>
FASTNN_DEVICE int steps_of(int64_t begin, int64_t end) {
  constexpr int kDepth = Tile::Left::kDepth;
  return end > begin ? static_cast<int>((end - begin + kDepth - 1) / kDepth) : 0;
}

template <class S>
struct Dense {
  const char* data;
  int channels;
  FASTNN_DEVICE const void* at(int64_t pixel, int channel) const {
    return data + (pixel * channels + channel) * static_cast<int64_t>(sizeof(S));
  }
};

FASTNN_DEVICE int64_t pixel_of(int64_t image, const Place& p,
                               const int (&size)[kSpatial]) {
  return ((image * size[0] + p.at[0]) * size[1] + p.at[1]) * size[2] + p.at[2];
}

// k as (tap, channel), channels fastest.
struct Tap {
  Place at;
  int channel;
  FASTNN_DEVICE Tap(int64_t k, int channels, const int (&window)[kSpatial])
      : at(place_of(k / channels, window)), channel(static_cast<int>(k % channels)) {
    at.at[0] = static_cast<int>(k / channels / (window[1] * window[2]));  // or beyond
  }
  FASTNN_DEVICE bool inside(const int (&window)[kSpatial]) const {
    return at.at[0] < window[0];
  }
  FASTNN_DEVICE void advance(int by, int channels, const int (&window)[kSpatial]) {
    channel += by;
    while (channel >= channels) {
      channel -= channels;
      if (++at.at[2] < window[2]) continue;
      at.at[2] = 0;
      if (++at.at[1] < window[1]) continue;
      at.at[1] = 0;
      ++at.at[0];
    }
  }
};

// Rows are pixels of one image, k the taps and channels of the other, `other` of it:
// x for the outputs of a convolution, dy for its inputs.
template <class S, bool kBackwards>
struct PixelRows {
  using Tile = TileOf<S, kTileRows, false>;
  const Geometry& shape;
  Dense<S> other;
  Tap tap;
  int64_t image[Tile::kCopies];
  Place at[Tile::kCopies];

  FASTNN_DEVICE PixelRows(const Geometry& g, const View& x, int64_t first_row,
                          int64_t rows)
      : shape(g),
        other{x.data, static_cast<int>(x.shape[4])},
        tap(Tile::chunk_of() * Tile::kOfChunk, other.channels, g.window) {
    const int (&size)[kSpatial] = kBackwards ? g.in : g.out;
    const int64_t pixels = Geometry::count(size);
    for (int i = 0; i < Tile::kCopies; ++i) {
      const int64_t row = first_row + Tile::line_of(i);
      image[i] = row < rows ? row / pixels : -1;
      at[i] = place_of(row < rows ? row % pixels : 0, size);
    }
  }
  FASTNN_DEVICE const void* at_chunk(int i) const {
    Place p;
    const bool there =
        kBackwards ? shape.output(at[i], tap.at, p) : shape.input(at[i], tap.at, p);
    if (!there || image[i] < 0 || !tap.inside(shape.window)) return nullptr;
    return other.at(pixel_of(image[i], p, kBackwards ? shape.out : shape.in),
                    tap.channel);
  }
  FASTNN_DEVICE void next() { tap.advance(Tile::kDepth, other.channels, shape.window); }
};

// Lines of a dense matrix (lines, columns), one for each k.
template <class S, int kColumns>
struct MatrixLines {
  using Tile = TileOf<S, kColumns, true>;
  Dense<S> matrix;
  int64_t line, end;
  int column;
  FASTNN_DEVICE MatrixLines(const char* data, int columns, int64_t begin, int64_t last,
                            int first_column)
      : matrix{data, columns},
        line(begin),
        end(last),
        column(first_column + Tile::chunk_of() * Tile::kOfChunk) {}
  FASTNN_DEVICE const void* at_chunk(int i) const {
    const int64_t k = line + Tile::line_of(i);
    return k < end && column < matrix.channels ? matrix.at(k, column) : nullptr;
  }
  FASTNN_DEVICE void next() { line += Tile::kDepth; }
};

// The filters of an input gradient: rows are inputs, k taps and outputs.
template <class S, int kColumns>
struct FilterRows {
  using Tile = TileOf<S, kColumns, false>;
  const Geometry& shape;
  Dense<S> filters;  // (taps x inputs, outputs)
  Tap tap;
  int inputs, first;
  FASTNN_DEVICE FilterRows(const Geometry& g, const View& w, int first_column)
      : shape(g),
        filters{w.data, static_cast<int>(w.shape[4])},
        tap(Tile::chunk_of() * Tile::kOfChunk, filters.channels, g.window),
        inputs(static_cast<int>(w.shape[3])),
        first(first_column) {}
  FASTNN_DEVICE const void* at_chunk(int i) const {
    const int input = first + Tile::line_of(i);
    if (input >= inputs || !tap.inside(shape.window)) return nullptr;
    return filters.at(pixel_of(0, tap.at, shape.window) * inputs + input, tap.channel);
  }
  FASTNN_DEVICE void next() {
    tap.advance(Tile::kDepth, filters.channels, shape.window);
  }
};

// The left factor of a filter gradient: rows are taps and inputs, k pixels of dy.
template <class S>
struct WindowLines {
  using Tile = TileOf<S, kTileRows, true>;
  const Geometry& shape;
  Dense<S> x;
  Tap tap;  // of all chunks of the thread
  int64_t images;
  int64_t image[Tile::kCopies], left[Tile::kCopies];
  Place at[Tile::kCopies];

  FASTNN_DEVICE WindowLines(const Geometry& g, const View& in, int64_t first_row,
                            int64_t begin, int64_t end)
      : shape(g),
        x{in.data, static_cast<int>(in.shape[4])},
        tap(first_row + Tile::chunk_of() * Tile::kOfChunk, x.channels, g.window),
        images(in.shape[0]) {
    const int64_t pixels = Geometry::count(g.out);
    for (int i = 0; i < Tile::kCopies; ++i) {
      const int64_t k = begin + Tile::line_of(i);
      left[i] = end - k;
      image[i] = k / pixels;
      at[i] = place_of(k % pixels, g.out);
    }
  }
  FASTNN_DEVICE const void* at_chunk(int i) const {
    Place p;
    if (left[i] <= 0 || !tap.inside(shape.window) || !shape.input(at[i], tap.at, p))
      return nullptr;
    return x.at(pixel_of(image[i], p, shape.in), tap.channel);
  }
  FASTNN_DEVICE void next() {
    for (int i = 0; i < Tile::kCopies; ++i) {
      left[i] -= Tile::kDepth;
      Place& p = at[i];
      p.at[2] += Tile::kDepth;
      while (p.at[2] >= shape.out[2]) {
        p.at[2] -= shape.out[2];
        if (++p.at[1] < shape.out[1]) continue;
        p.at[1] = 0;
        if (++p.at[0] < shape.out[0]) continue;
        p.at[0] = 0;
        ++image[i];
      }
    }
  }
};

// Which tile computes on S: `TensorCores` (float is rounded to TF32) or `Exactly`.
struct TensorCores {
  template <class S, int kColumns, bool kLeftAcross, bool kRightAcross>
  using Tile = TensorTile<S, kColumns, kLeftAcross, kRightAcross>;
};
struct Exactly {
  template <class S, int kColumns, bool kLeftAcross, bool kRightAcross>
  using Tile = ScalarTile<S, kColumns, kLeftAcross, kRightAcross>;
};

// The three problems: what their factors are, and the sizes of their product.
template <class S, int kColumns>
struct TiledForward {
  static constexpr bool kLeftAcross = false, kRightAcross = true;
  int64_t rows, depth;
  int columns;
  template <int n>
  FASTNN_DEVICE TiledForward(const ConvShape<n>& c, const View* in)
      : rows(in[0].shape[0] * Geometry::count(c.out)),
        depth(Geometry::count(c.window) * c.inputs),
        columns(c.outputs) {}
  template <int n, class Tile>
  FASTNN_DEVICE void run(const ConvShape<n>& c, const View* in, Tile& tile, int64_t row,
                         int column, int64_t begin, int64_t end) const {
    PixelRows<S, false> left(c, in[0], row, rows);
    MatrixLines<S, kColumns> right(in[1].data, columns, begin, end, column);
    run_tile(tile, left, right, steps_of<Tile>(begin, end), in[0].data);
  }
};

template <class S, int kColumns>
struct TiledInputGradient {
  static constexpr bool kLeftAcross = false, kRightAcross = false;
  int64_t rows, depth;
  int columns;
  template <int n>
  FASTNN_DEVICE TiledInputGradient(const ConvShape<n>& c, const View* in)
      : rows(in[0].shape[0] * Geometry::count(c.in)),
        depth(Geometry::count(c.window) * c.outputs),
        columns(c.inputs) {}
  template <int n, class Tile>
  FASTNN_DEVICE void run(const ConvShape<n>& c, const View* in, Tile& tile, int64_t row,
                         int column, int64_t begin, int64_t end) const {
    PixelRows<S, true> left(c, in[0], row, rows);
    FilterRows<S, kColumns> right(c, in[1], column);
    run_tile(tile, left, right, steps_of<Tile>(begin, end), in[0].data);
  }
};

template <class S, int kColumns>
struct TiledFilterGradient {
  static constexpr bool kLeftAcross = true, kRightAcross = true;
  int64_t rows, depth;
  int columns;
  template <int n>
  FASTNN_DEVICE TiledFilterGradient(const ConvShape<n>& c, const View* in)
      : rows(Geometry::count(c.window) * c.inputs),
        depth(in[0].shape[0] * Geometry::count(c.out)),
        columns(c.outputs) {}
  template <int n, class Tile>
  FASTNN_DEVICE void run(const ConvShape<n>& c, const View* in, Tile& tile, int64_t row,
                         int column, int64_t begin, int64_t end) const {
    WindowLines<S> left(c, in[0], row, begin, end);
    MatrixLines<S, kColumns> right(in[1].data, columns, begin, end, column);
    run_tile(tile, left, right, steps_of<Tile>(begin, end), in[0].data);
  }
};

// finish(sum, row, column, chunk) for every element of the product, chunks of k (of
// whole steps) apart.
template <template <class, int> class Problem, class Math, class S, int kColumns, int n,
          class Store>
FASTNN_DEVICE void multiply_tiled(const View* in, const Number (&number)[n],
                                  Store finish) {
  using P = Problem<S, kColumns>;
  using Tile =
      typename Math::template Tile<S, kColumns, P::kLeftAcross, P::kRightAcross>;
  const ConvShape<n> shape(number);
  const P problem(shape, in);
  const int64_t down = (problem.rows + kTileRows - 1) / kTileRows;
  const int64_t across = (problem.columns + kColumns - 1) / kColumns;
  constexpr int kDepth = Tile::Left::kDepth;
  const int64_t all = (problem.depth + kDepth - 1) / kDepth;
  const int64_t of_chunk = (all + shape.chunks - 1) / shape.chunks * kDepth;
  for (int64_t job = blockIdx.x; job < down * across * shape.chunks; job += gridDim.x) {
    const int chunk = static_cast<int>(job / (down * across));
    const int64_t row = job % (down * across) / across * kTileRows;
    const int column = static_cast<int>(job % across * kColumns);
    const int64_t begin = chunk * of_chunk, end = begin + of_chunk;
    Tile tile;
    problem.run(shape, in, tile, row, column, begin,
                end < problem.depth ? end : problem.depth);
    tile.finish([&](float sum, int r, int c) {
      if (row + r < problem.rows && column + c < problem.columns)
        finish(sum, row + r, column + c, chunk);
    });
  }
}

// f(sum + bias), of type To: inputs x (or dy of a transposed one), w, bias; a bias of
// size 0 is none.
template <template <class, int> class Problem, class Math, class S, int kColumns,
          class Act, class To, int n>
FASTNN_DEVICE void conv_tiled(const Args<3, 1, n>& a) {
  const auto f = functor_behind<typename Act::F>(a.number, kConvNumbers);
  const View& bias = a.in[2];
  const int columns = static_cast<int>(a.out[0].shape[a.out[0].ndim - 1]);
  multiply_tiled<Problem, Math, S, kColumns>(
      a.in, a.number, [&](float sum, int64_t row, int column, int) {
        if (bias.shape[0])
          sum = sum + load(bias.template ptr<S>(), column * bias.stride[0]);
        store(a.out[0].template ptr<To>(), row * columns + column, f(sum));
      });
}

// dx act'(y), inputs dy, w, y dense.
template <class Math, class S, int kColumns, class Act, int n>
FASTNN_DEVICE void conv_tiled_back(const Args<3, 1, n>& a) {
  const auto f = functor_behind<typename Act::F>(a.number, kConvNumbers);
  const int columns = static_cast<int>(a.out[0].shape[a.out[0].ndim - 1]);
  multiply_tiled<TiledInputGradient, Math, S, kColumns>(
      a.in, a.number, [&](float sum, int64_t row, int column, int) {
        const int64_t at = row * columns + column;
        store(a.out[0].template ptr<S>(), at,
              f(sum, load(a.in[2].template ptr<S>(), at)));
      });
}

// Inputs x, dy; (chunks, filter) of type To.
template <class Math, class S, int kColumns, class To>
FASTNN_DEVICE void conv_tiled_filter(const Args<2, 1, kConvNumbers>& a) {
  const int64_t columns = a.number[20].i;
  const int64_t size = Geometry::count(ConvShape<kConvNumbers>(a.number).window) *
                       a.number[19].i * columns;
  multiply_tiled<TiledFilterGradient, Math, S, kColumns>(
      a.in, a.number, [&](float sum, int64_t row, int column, int chunk) {
        store(a.out[0].template ptr<To>(), chunk * size + row * columns + column, sum);
      });
}

}  // namespace fastnn::device
