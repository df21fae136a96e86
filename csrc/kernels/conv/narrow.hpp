// SPDX-License-Identifier: Apache-2.0
// Convolutions towards fewer channels than half a vector: the gradient of an image, the
// last layer of a decoder. Lanes over channels would stay empty, so they go over
// pixels.
//
// For every input pixel and tap one product over the channels, P^T = W^T a^T, then
// every tap's row of P is added to the row of outputs it belongs to. Every output
// element is a sum in a fixed order: channels within a tap, input rows ascending, taps
// ascending. 64 x 28 x 28 x 32 -> 1 channel, 3x3, against products with one lane in 16
// in use: 0.9 ms instead of 6.2 (Cascade Lake).
#pragma once

#include "kernels/conv/correlate.hpp"

FASTNN_BEGIN_NAMESPACE

// A block of products, and the sums of a window of outputs: each a fraction of L2.
inline constexpr int64_t kNarrowProductBytes = 192 * 1024;
inline constexpr int64_t kNarrowSumBytes = 256 * 1024;

// A forward convolution of stride 1 only: otherwise most products would be unused. With
// few inputs the additions outweigh the products (8 -> 8 channels: 20 GFLOP/s so, 35 as
// rows of channels; 3 -> 3: 12 and 14).
template <class T>
bool is_narrow(const Correlation<T>& op) {
  const int64_t* stride = op.g.stride;
  const bool dense = stride[0] == 1 && stride[1] == 1 && stride[2] == 1;
  const bool few = op.c_channels == 1 || 3 * op.c_channels <= op.a_channels;
  return op.c_channels * 2 <= lanes<T> && few && (op.gradient || dense);
}

// Input i and tap k belong to output i * step + k * tap_step + offset.
struct Reach {
  int64_t step, tap_step, offset;
  int64_t output(int64_t i, int64_t k) const {
    return i * step + k * tap_step + offset;
  }
};

template <class T>
struct Narrow {
  Correlation<T> op;
  Reach reach[kAxes];
  int64_t rows;        // of P^T: taps times channels
  int64_t block_rows;  // input rows per block of products
  int64_t pixels;      // columns of such a block
  int64_t line;        // sums of one phase of one channel of a row of outputs
  int64_t sums;        // of the largest window
  int64_t weight_pitch;
  T *weights, *panel, *products, *acc;

  int64_t phases() const { return reach[2].step; }
  // Sums of a row of outputs, phase by phase: neighbours in a line are `step` apart.
  int64_t row_sums() const { return op.c_channels * phases() * line; }
};

template <class T>
Narrow<T> narrow_of(const Correlation<T>& op) {
  const Geometry& g = op.g;
  Narrow<T> s = {};
  s.op = op;
  for (int i = 0; i < kAxes; ++i) {
    s.reach[i] = op.gradient ? Reach{g.stride[i], g.dilation[i], -g.pad[i]}
                             : Reach{1, -g.dilation[i], g.pad[i]};
  }
  s.rows = g.kernel[0] * g.kernel[1] * g.kernel[2] * op.c_channels;
  const int64_t width = op.a_size()[2], height = op.a_size()[1];
  const bool joined = height <= 1 || op.a.axis[1] == width * op.a.axis[2];
  const int64_t row_bytes = max_of(1, s.rows * width * int64_t{sizeof(T)});
  s.block_rows =
      joined ? max_of(1, min_of(height, kNarrowProductBytes / row_bytes)) : 1;
  s.pixels = padded_columns<T>(s.block_rows * width);
  if (s.pixels * int64_t{sizeof(T)} % kAliasBytes == 0) s.pixels += kPackedGap;
  s.line = padded_columns<T>(ceil_div(op.c_size()[2], s.phases()));
  s.weight_pitch = op.a_channels;
  if (s.weight_pitch * int64_t{sizeof(T)} % kAliasBytes == 0)
    s.weight_pitch += kPackedGap;
  return s;
}

// The weights of a group as rows of P^T: taps, then channels.
template <class T>
void copy_narrow_weights(const Narrow<T>& s, int64_t group) {
  const Weights<T> w = s.op.weights(group);
  const int64_t* size = s.op.g.kernel;
  T* dst = s.weights;
  for (int64_t tap = 0; tap < size[0] * size[1] * size[2]; ++tap) {
    const T* src = w.data + tap / size[2] / size[1] * w.axis[0] +
                   tap / size[2] % size[1] * w.axis[1] + tap % size[2] * w.axis[2];
    for (int64_t j = 0; j < w.cols; ++j, dst += s.weight_pitch) {
      for (int64_t i = 0; i < w.rows; ++i)
        dst[i] = src[i * w.row + j * w.col];
    }
  }
}

// P^T for `pixels` pixels from `a` on.
template <class T>
void multiply_narrow(const Narrow<T>& s, const T* a, int64_t pixels) {
  const Field<const T>& f = s.op.a;
  Tile<T> t = {};
  t.k = s.op.a_channels;
  t.rsa = s.weight_pitch, t.csa = 1;
  t.segments = 1, t.jump = &kNoJump;
  t.b = t.ahead = s.panel;
  t.ldc = s.pixels;
  for (int64_t j = 0; j < pixels;) {
    const int64_t width = panel_width<T>(pixels - j, kMainWidth), ld = width * lanes<T>;
    const int64_t cols = min_of(ld, pixels - j), csb = f.axis[2];
    const int64_t rsb = s.op.a_channels == 1 ? 1 : f.last;
    pack_panel(a + j * csb, rsb, csb, t.k, cols, s.panel, ld);
    t.tail = lanes<T>;
    t.ldb = ld;
    const int64_t tiles = ceil_div(s.rows, kTileRows[width]);
    for (int64_t i = 0, begin = 0; i < tiles; ++i) {
      const int64_t rows = divide(s.rows + i, tiles);
      t.a = s.weights + begin * t.rsa;
      t.c = s.products + begin * t.ldc + j;
      tile_table<T>().fn[kPanel][width][rows](t);
      begin += rows;
    }
    j += cols;
  }
}

// sum[i] += p[i]
template <class T>
FASTNN_INLINE void add_run(T* sum, const T* p, int64_t count) {
  constexpr int n = lanes<T>;
  int64_t i = 0;
  for (; i + n <= count; i += n)
    store(sum + i, load(sum + i) + load(p + i));
  const int tail = static_cast<int>(count - i);
  if (tail) store_n(sum + i, load_n(sum + i, tail) + load_n(p + i, tail), tail);
}

// Adds a row of inputs' products with one row of taps to the row of outputs `acc`.
template <class T>
void add_products(const Narrow<T>& s, const T* p, T* acc) {
  const Reach& r = s.reach[2];
  const int64_t width = s.op.a_size()[2], size = s.op.c_size()[2], step = r.step;
  for (int64_t k = 0; k < s.op.g.kernel[2]; ++k) {
    const int64_t first = floor_div(r.output(0, k), step);
    const int64_t phase = r.output(0, k) - first * step;
    const int64_t count = ceil_div(max_of(0, size - phase), step);  // of this phase
    const int64_t begin = max_of(0, -first), end = min_of(width, count - first);
    for (int64_t c = 0; c < s.op.c_channels; ++c, p += s.pixels) {
      if (begin >= end) continue;
      T* line = acc + (c * step + phase) * s.line;
      add_run(line + first + begin, p + begin, end - begin);
    }
  }
}

// Adds what the products of input row (depth, height) give to the outputs of w.
template <class T>
void add_row(const Narrow<T>& s, const Window& w, int64_t depth, int64_t height,
             const T* products) {
  const int64_t *size = s.op.g.kernel, per_row = size[2] * s.op.c_channels * s.pixels;
  for (int64_t kd = 0; kd < size[0]; ++kd) {
    const int64_t d = s.reach[0].output(depth, kd) - w.axis[0].begin;
    for (int64_t kh = 0; kh < size[1]; ++kh) {
      const int64_t h = s.reach[1].output(height, kh) - w.axis[1].begin;
      const int64_t rows = w.axis[1].end - w.axis[1].begin;
      if (d < 0 || d >= w.axis[0].end - w.axis[0].begin || h < 0 || h >= rows) continue;
      add_products(s, products + (kd * size[1] + kh) * per_row,
                   s.acc + (d * rows + h) * s.row_sums());
    }
  }
}

// sum[i] += value
template <class T>
FASTNN_INLINE void shift_run(T* sum, T value, int64_t count) {
  for (int64_t i = 0; i < count; i += lanes<T>)  // lines are whole vectors
    store(sum + i, load(sum + i) + value);
}

// A row of sums through the epilogue to its place c; y: of the activation gradient. The
// bias comes last, as from an addition of its own.
template <class T>
void store_narrow(const Narrow<T>& s, const T* bias, T* acc, T* c, const T* y) {
  const int64_t step = s.phases(), pixel = s.op.c.axis[2];
  for (int64_t channel = 0; channel < s.op.c_channels; ++channel) {
    for (int64_t phase = 0; phase < step; ++phase, acc += s.line) {
      const int64_t count = ceil_div(max_of(0, s.op.c_size()[2] - phase), step);
      if (bias) shift_run(acc, bias[channel], count);
      Epilogue<T> e = s.op.epilogue;
      if (y) {
        e.y = y + channel * s.op.y.last + phase * s.op.y.axis[2];
        e.csy = step * s.op.y.axis[2];
      }
      finish<T>({acc, s.line, 0, 0, 1, count}, e, false);
      T* to = c + channel + phase * pixel;
      if (step * pixel == 1) {
        copy_run(acc, to, count);
      } else {
        for (int64_t i = 0; i < count; ++i)
          to[i * step * pixel] = acc[i];
      }
    }
  }
}

// Image n of a window.
template <class T>
void narrow_image(const Narrow<T>& s, const Window& w, int64_t n, int64_t group) {
  const Correlation<T>& op = s.op;
  const int64_t* size = op.a_size();
  Range in[kAxes];
  for (int i = 0; i < kAxes; ++i) {
    in[i] = op.hull(i, w.axis[i]);
    in[i] = {max_of(0, in[i].begin), min_of(size[i], in[i].end)};
  }
  const int64_t out_rows =
      (w.axis[0].end - w.axis[0].begin) * (w.axis[1].end - w.axis[1].begin);
  const int64_t per_channel = s.phases() * s.line;
  __builtin_memset(s.acc, 0, out_rows * op.c_channels * per_channel * sizeof(T));
  const T* a = op.a.data + n * op.a.first + group * op.a_channels * op.a.last;
  for (int64_t d = in[0].begin; d < in[0].end; ++d) {
    for (int64_t h = in[1].begin; h < in[1].end; h += s.block_rows) {
      const int64_t rows = min_of(s.block_rows, in[1].end - h);
      multiply_narrow(s, a + d * op.a.axis[0] + h * op.a.axis[1], rows * size[2]);
      for (int64_t i = 0; i < rows; ++i)
        add_row(s, w, d, h + i, s.products + i * size[2]);
    }
  }
  T* acc = s.acc;
  T* c = op.c.data + n * op.c.first + group * op.c_channels;
  const T* bias = op.epilogue.bias ? op.epilogue.bias + group * op.c_channels : nullptr;
  const T* y = op.y.data;
  if (y) y += n * op.y.first + group * op.c_channels * op.y.last;
  for (int64_t d = w.axis[0].begin; d < w.axis[0].end; ++d) {
    for (int64_t h = w.axis[1].begin; h < w.axis[1].end; ++h, acc += s.row_sums()) {
      store_narrow(s, bias, acc, c + d * op.c.axis[0] + h * op.c.axis[1],
                   y ? y + d * op.y.axis[0] + h * op.y.axis[1] : nullptr);
    }
  }
}

template <class T>
void narrow_conv(const Correlation<T>& op, const Share& share) {
  if (share.rows.begin >= share.rows.end || share.cols.begin >= share.cols.end) return;
  if (op.c_size()[2] == 0) return;
  Narrow<T> s = narrow_of(op);
  const auto sums = [&](const Window& w) {
    return (w.axis[0].end - w.axis[0].begin) * (w.axis[1].end - w.axis[1].begin) *
           s.row_sums();
  };
  const auto fits = [&](const Window& w) {
    return sums(w) * int64_t{sizeof(T)} <= kNarrowSumBytes;
  };
  Windows all(op.c_size(), share.rows);
  int64_t most = 0;
  for (Window w; all.next(w, fits);)
    most = max_of(most, sums(w));
  const int64_t weights = padded_columns<T>(s.rows * s.weight_pitch);
  const int64_t panel = panel_elements<T>(op.a_channels);
  const int64_t products = s.rows * s.pixels + kMaxWidth * lanes<T>;
  const int64_t elements = weights + panel + products + most + bias_elements(op);
  s.weights = static_cast<T*>(scratch(elements * sizeof(T)));
  s.panel = s.weights + weights;
  s.products = s.panel + panel;
  s.acc = s.products + products;
  copy_bias(s.op, s.acc + most);
  for (int64_t group = 0; group < op.g.groups; ++group) {
    copy_narrow_weights(s, group);
    Windows windows(op.c_size(), share.rows);
    for (Window w; windows.next(w, fits);) {
      for (int64_t n = w.images.begin; n < w.images.end; ++n)
        narrow_image(s, w, n, group);
    }
  }
}

FASTNN_END_NAMESPACE
