// SPDX-License-Identifier: Apache-2.0
// The convolution itself, forward or as the gradient of its input: products of rows of
// pixels with the kernel, summed in registers over the kernel's rows (segments).
//
// For one row of the kernel, the KW * C inputs of an output pixel are contiguous, the
// next pixel begins stride * C further, and HWIO is the right-hand side as it stands.
// So nothing is unfolded; only a zero border is added, in scratch, to a window of the
// input that fits into L2 (kernels/conv/halo.hpp).
#pragma once

#include "kernels/conv/halo.hpp"
#include "kernels/conv/weights.hpp"

FASTNN_BEGIN_NAMESPACE

// About a third of L2, beside a panel of weights and the outputs.
inline constexpr int64_t kWindowBytes = 384 * 1024;
// Segments longer than this are cut, so that a block of k leaves room in L1 and L2.
inline constexpr int64_t kLongSegment = 1536;
// With fewer output pixels, weights are read in place instead of packed.
inline constexpr int64_t kPackPixels = 128;

template <class T>
struct Correlation {
  Geometry g;
  bool gradient;  // a is dy and the result dx
  Field<const T> a;
  Field<const T> w;  // of one kernel: first = inputs, last = outputs
  Field<T> c;        // dense
  Epilogue<T> epilogue;
  int64_t bias_stride;
  Field<const T> y;                // for the activation gradient
  int64_t a_channels, c_channels;  // within one group

  const int64_t* a_size() const { return gradient ? g.out : g.in; }
  const int64_t* c_size() const { return gradient ? g.in : g.out; }
  Range hull(int i, Range r) const {
    return gradient ? gradient_hull(g, i, r) : forward_hull(g, i, r);
  }
  Weights<T> weights(int64_t group) const {
    Weights<T> r = {w.data + group * g.oc * w.last,
                    {w.axis[0], w.axis[1], w.axis[2]},
                    w.first,
                    w.last,
                    g.c,
                    g.oc};
    if (gradient) r.row = w.last, r.col = w.first, r.rows = g.oc, r.cols = g.c;
    return r;
  }
  int64_t passes() const {
    return gradient ? g.stride[0] * g.stride[1] * g.stride[2] : 1;
  }
  // Pass `index`: one residue per axis of the gradient, else everything.
  void axes(int64_t index, const Window& window, Axis* axis) const {
    for (int i = kAxes - 1; i >= 0; --i) {
      const int64_t residue = index % g.stride[i];
      axis[i] = gradient ? gradient_axis(g, i, window.axis[i], residue)
                         : forward_axis(g, i, window.axis[i]);
      index /= g.stride[i];
    }
  }
};

// A window of the input: where it begins and how far apart its elements are.
template <class T>
struct Input {
  const T* data;
  int64_t image, axis[kAxes];
};

// One pass over a window. `k` blocks: segments of `length`, `jumps` apart.
template <class T>
struct Pass {
  Axis axis[kAxes];
  const T* a;
  int64_t a_image, a_step[kAxes];  // from one output to the next
  T* c;
  int64_t c_image, c_step[kAxes];
  const T* y;  // nullptr: no activation gradient
  int64_t y_image, y_step[kAxes], y_channel;
  int64_t images;
  int64_t length, segments;
  const int64_t* jumps;
};

// A panel of columns and a block of k of one pass.
template <class T>
struct Panel {
  Tile<T> tile;  // all but what depends on the row
  Source source;
  int64_t col, cols, width;
  bool last;
  Epilogue<T> epilogue;
};

// Tiles of one row of outputs.
template <class T>
FASTNN_INLINE void run_row(const Pass<T>& s, const Panel<T>& panel, const T* a, T* c,
                           const T* y) {
  Tile<T> t = panel.tile;
  const int64_t count = s.axis[2].count;
  const int64_t blocks = ceil_div(count, kTileRows[panel.width]);
  const int64_t height = divide(count, blocks), taller = count - height * blocks;
  const bool second_pass = panel.last && panel.epilogue.second_pass();
  for (int64_t i = 0, begin = 0; i < blocks; ++i) {
    const int64_t rows = height + (i < taller);
    t.a = a + begin * t.rsa;
    t.c = c + begin * t.ldc;
    if (y && panel.last && !second_pass) t.y = y + begin * t.ldy;
    kTileTable<T>.fn[panel.source][panel.width][rows](t);
    if (second_pass) {
      Epilogue<T> e = panel.epilogue;
      if (y) e.y = y + begin * s.y_step[2];
      finish<T>({t.c, t.ldc, 0, 0, rows, panel.cols}, e, false);
    }
    begin += rows;
  }
}

template <class T>
void run_rows_of(const Pass<T>& s, const Panel<T>& panel) {
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t d = 0; d < s.axis[0].count; ++d) {
      for (int64_t h = 0; h < s.axis[1].count; ++h) {
        const T* y = nullptr;
        if (s.y) {
          y = s.y + n * s.y_image + d * s.y_step[0] + h * s.y_step[1] +
              panel.col * s.y_channel;
        }
        run_row(s, panel, s.a + n * s.a_image + d * s.a_step[0] + h * s.a_step[1],
                s.c + n * s.c_image + d * s.c_step[0] + h * s.c_step[1] + panel.col, y);
      }
    }
  }
}

// The right-hand side of a pass: packed panels, or the kernel itself (ld != 0).
template <class T>
struct Panels {
  const T* b;
  int64_t ld;
  int width;
};

template <class T>
void run_pass(const Pass<T>& s, const Panels<T>& b, const Epilogue<T>& e, Range cols,
              int64_t ldc) {
  const int64_t k = s.length * s.segments, step = int64_t{b.width} * lanes<T>;
  const int64_t per_block =
      k ? max_of(1, ceil_div(s.segments, ceil_div(k, kBlockK))) : 1;
  int64_t first = 0;
  do {
    const int64_t segments = min_of(per_block, s.segments - first);
    const T* packed = b.b;
    for (int64_t j = cols.begin; j < cols.end; j += step) {
      Panel<T> p = {};
      p.col = j, p.cols = min_of(step, cols.end - j);
      p.width = ceil_div(p.cols, lanes<T>);
      const int64_t ld = p.width * lanes<T>;
      p.last = first + segments >= s.segments;
      p.epilogue = e;
      p.epilogue.rsy = s.y_step[2], p.epilogue.csy = s.y_channel;
      Tile<T>& t = p.tile;
      t.k = s.length, t.segments = segments, t.jump = s.jumps + first;
      t.rsa = s.a_step[2], t.csa = 1;
      t.ldc = ldc, t.ldy = s.y_step[2];
      t.tail = static_cast<int>(p.cols - (p.width - 1) * lanes<T>);
      t.accumulate = first > 0;
      if (p.last && !s.y) {
        t.bias = e.bias ? e.bias + j : nullptr;
        t.relu = e.activation == kRelu;
      }
      p.source = b.ld ? kInPlace : kPanel;
      t.ldb = b.ld;
      t.b = b.ld ? b.b + first * s.length * b.ld + j : packed + first * s.length * ld;
      t.ahead = t.b + kAheadRows * ld, t.ahead_step = ld;
      run_rows_of(s, p);
      packed += k * ld;
    }
    first += segments;
  } while (first < s.segments);
}

// Cuts a pass over `input` into segments: rows of taps where these are contiguous,
// else single taps.
template <class T>
void cut_segments(Pass<T>& s, const Input<T>& input, int64_t channels, int64_t* jumps) {
  const Axis &d = s.axis[0], &h = s.axis[1], &w = s.axis[2];
  const bool joined = (w.taps <= 1 || w.tap_step * input.axis[2] == channels) &&
                      w.taps * channels <= kLongSegment;
  const int64_t per_row = joined ? min_of(w.taps, 1) : w.taps;
  s.length = joined ? w.taps * channels : channels;
  s.segments = 0;
  s.jumps = jumps;
  for (int64_t i = 0; i < d.taps; ++i) {
    for (int64_t j = 0; j < h.taps; ++j) {
      for (int64_t q = 0; q < per_row; ++q) {
        jumps[s.segments++] = i * d.tap_step * input.axis[0] +
                              j * h.tap_step * input.axis[1] +
                              q * w.tap_step * input.axis[2];
      }
    }
  }
}

// How the whole call is carried out, decided by shape and strides alone.
template <class T>
struct Scheme {
  bool copy;      // the input goes through scratch
  bool in_place;  // the weights do not
  int64_t pitch;  // elements between pixels of the copy
  int width;
  int64_t packed;  // elements of the packed weights of all groups
  int64_t window;  // elements of the largest window
  int64_t jumps;
};

template <class T>
int64_t window_elements(const Correlation<T>& op, const Window& w, int64_t pitch) {
  int64_t elements = (w.images.end - w.images.begin) * pitch;
  for (int i = 0; i < kAxes; ++i) {
    const Range r = op.hull(i, w.axis[i]);
    elements *= max_of(0, r.end - r.begin);
  }
  return elements;
}

template <class T>
bool fits_window(const Correlation<T>& op, const Window& w, int64_t pitch) {
  return window_elements(op, w, pitch) * int64_t{sizeof(T)} <= kWindowBytes;
}

// In place: no pixel outside of the input is read, channels are contiguous, and rows
// of pixels do not meet in a few sets of L1.
template <class T>
bool needs_copy(const Correlation<T>& op) {
  const int64_t* size = op.a_size();
  for (int i = 0; i < kAxes; ++i) {
    const Range r = op.hull(i, {0, op.c_size()[i]});
    if (r.begin < 0 || r.end > size[i]) return true;
  }
  if (op.a.last != 1 && op.a_channels != 1) return true;
  const int64_t pixel = op.a.axis[2], bytes = pixel * int64_t{sizeof(T)};
  if (size[2] > 1 && pixel != op.a_channels && op.a_channels < 32) return true;
  return bytes % kAliasBytes == 0;
}

template <class T>
Scheme<T> scheme_of(const Correlation<T>& op, const Share& share) {
  const Geometry& g = op.g;
  Scheme<T> s = {};
  s.copy = needs_copy(op);
  s.pitch = op.a_channels;
  if (s.pitch * int64_t{sizeof(T)} % kAliasBytes == 0) s.pitch += kPackedGap;
  const int64_t* size = op.c_size();
  const int64_t stride = op.gradient ? g.stride[2] : 1;
  s.width = best_width<T>(ceil_div(size[2], stride), op.c_channels);
  const Weights<T> w = op.weights(0);
  const int64_t pixels = g.images * size[0] * size[1] * size[2];
  const bool whole = kMaskedLoads || op.c_channels % lanes<T> == 0;
  s.in_place = !op.gradient && pixels < kPackPixels && whole && is_matrix(w, g.kernel);
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2];
  if (!s.in_place) {
    s.packed =
        g.groups * taps * w.rows * padded_columns<T>(share.cols.end - share.cols.begin);
  }
  s.jumps = taps;
  if (s.copy) {
    Windows all(size, share.rows);
    const auto fits = [&](const Window& x) { return fits_window(op, x, s.pitch); };
    for (Window x; all.next(x, fits);)
      s.window = max_of(s.window, window_elements(op, x, s.pitch));
  }
  return s;
}

// Where the window of the input begins: in place, or copied to `buffer`.
template <class T>
Input<T> input_of(const Correlation<T>& op, const Scheme<T>& scheme, const Window& w,
                  int64_t group, T* buffer) {
  const T* first =
      op.a.data + group * op.a_channels * op.a.last + w.images.begin * op.a.first;
  Range hull[kAxes];
  for (int i = 0; i < kAxes; ++i)
    hull[i] = op.hull(i, w.axis[i]);
  if (!scheme.copy) {
    for (int i = 0; i < kAxes; ++i)
      first += hull[i].begin * op.a.axis[i];
    return {first, op.a.first, {op.a.axis[0], op.a.axis[1], op.a.axis[2]}};
  }
  Input<T> r = {buffer, scheme.pitch, {}};
  for (int i = kAxes - 1; i >= 0; --i) {
    r.axis[i] = r.image;
    r.image *= max_of(0, hull[i].end - hull[i].begin);
  }
  for (int64_t n = 0; n < w.images.end - w.images.begin; ++n) {
    copy_halo(first + n * op.a.first, op.a, op.a_size(), hull, op.a_channels,
              buffer + n * r.image, scheme.pitch);
  }
  return r;
}

// Everything of pass `s` but its segments; s.axis is set.
template <class T>
void place(const Correlation<T>& op, const Window& w, const Input<T>& input,
           int64_t group, Pass<T>& s) {
  s.images = w.images.end - w.images.begin;
  s.a = input.data, s.a_image = input.image;
  s.c = op.c.data + w.images.begin * op.c.first + group * op.c_channels;
  s.c_image = op.c.first;
  s.y = op.y.data;
  if (s.y) s.y += w.images.begin * op.y.first + group * op.c_channels * op.y.last;
  s.y_image = op.y.first, s.y_channel = op.c_channels == 1 ? 1 : op.y.last;
  for (int i = 0; i < kAxes; ++i) {
    const Axis& axis = s.axis[i];
    s.a += (axis.begin - op.hull(i, w.axis[i]).begin) * input.axis[i];
    s.a_step[i] = axis.step * input.axis[i];
    s.c += axis.first * op.c.axis[i];
    s.c_step[i] = axis.out_step * op.c.axis[i];
    if (s.y) s.y += axis.first * op.y.axis[i];
    s.y_step[i] = axis.out_step * op.y.axis[i];
  }
}

// The weights of every group and pass, in the order in which run_window reads them.
template <class T>
void pack_all(const Correlation<T>& op, Range cols, int width, T* dst) {
  Window whole = {{0, 1},
                  {{0, op.c_size()[0]}, {0, op.c_size()[1]}, {0, op.c_size()[2]}}};
  for (int64_t group = 0; group < op.g.groups; ++group) {
    for (int64_t i = 0; i < op.passes(); ++i) {
      Axis axis[kAxes];
      op.axes(i, whole, axis);
      dst = pack_weights(op.weights(group), axis, cols, width, dst);
    }
  }
}

template <class T>
void run_window(const Correlation<T>& op, const Scheme<T>& scheme, const Window& w,
                const Share& share, const T* packed, T* buffer, int64_t* jumps) {
  const int64_t cols = padded_columns<T>(share.cols.end - share.cols.begin);
  for (int64_t group = 0; group < op.g.groups; ++group) {
    const Input<T> input = input_of(op, scheme, w, group, buffer);
    const Weights<T> weights = op.weights(group);
    Epilogue<T> epilogue = op.epilogue;
    if (epilogue.bias) epilogue.bias += group * op.c_channels;
    for (int64_t i = 0; i < op.passes(); ++i) {
      Pass<T> s = {};
      op.axes(i, w, s.axis);
      place(op, w, input, group, s);
      cut_segments(s, input, op.a_channels, jumps);
      Panels<T> panels = {packed, 0, scheme.width};
      if (scheme.in_place) panels = {weights.data, weights.row, scheme.width};
      if (s.axis[2].count) {
        run_pass(s, panels, epilogue, share.cols, s.c_step[2]);
      }
      packed += taps_of(s.axis) * weights.rows * cols;
    }
  }
}

// Elements of a copy of the bias, 0 where it can be read in place.
template <class T>
int64_t bias_elements(const Correlation<T>& op) {
  const int64_t channels = op.g.groups * op.c_channels;
  return op.epilogue.bias && op.bias_stride != 1 ? channels : 0;
}

template <class T>
void copy_bias(Correlation<T>& op, T* dst) {
  const int64_t elements = bias_elements(op);
  for (int64_t i = 0; i < elements; ++i)
    dst[i] = op.epilogue.bias[i * op.bias_stride];
  if (elements) op.epilogue.bias = dst, op.bias_stride = 1;
}

template <class T>
void correlate(Correlation<T> op, const Share& share) {
  if (share.rows.begin >= share.rows.end || share.cols.begin >= share.cols.end) return;
  if (op.c_size()[2] == 0) return;
  const Scheme<T> scheme = scheme_of(op, share);
  const int64_t elements = scheme.packed + scheme.window + bias_elements(op);
  const int64_t bytes = elements * int64_t{sizeof(T)};
  char* const memory =
      static_cast<char*>(scratch(bytes + scheme.jumps * int64_t{sizeof(int64_t)} + 64));
  T* const packed = reinterpret_cast<T*>(memory);
  T* const buffer = packed + scheme.packed;
  int64_t* const jumps = reinterpret_cast<int64_t*>(memory + (bytes + 7) / 8 * 8);
  copy_bias(op, buffer + scheme.window);
  if (!scheme.in_place) pack_all(op, share.cols, scheme.width, packed);
  Windows windows(op.c_size(), share.rows);
  const auto fits = [&](const Window& w) { return fits_window(op, w, scheme.pitch); };
  for (Window w; windows.next(w, fits);)
    run_window(op, scheme, w, share, packed, buffer, jumps);
}

FASTNN_END_NAMESPACE
