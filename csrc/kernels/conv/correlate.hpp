// SPDX-License-Identifier: Apache-2.0
// The convolution itself, forward or as the gradient of its input: products of rows of
// pixels with the kernel, summed in registers over the kernel's rows (segments).
//
// For one row of the kernel, the KW * C inputs of an output pixel are contiguous, the
// next pixel begins stride * C further, and HWIO is the right-hand side as it stands.
// So nothing is unfolded; only a zero border is added, in scratch, to a window of the
// input (kernels/conv/halo.hpp). It fits into L2 unless one row of outputs alone reads
// more: windows are never cut along the last axis, so long ones (a second of audio, a
// panorama) go through L3 or memory.
#pragma once

#include "kernels/conv/halo.hpp"
#include "kernels/conv/passes.hpp"

FASTNN_BEGIN_NAMESPACE

// About a third of L2, beside a panel of weights and the outputs; a window of one row
// of outputs may be larger.
inline constexpr int64_t kWindowBytes = 384 * 1024;
// With fewer output pixels, weights are read in place instead of packed.
inline constexpr int64_t kPackPixels = 128;
// More weights than this leave L2 before they are read again: a panel is packed when it
// is needed and serves a larger window (512 -> 512 channels, 7 x 7: the 9 MB of packed
// weights cost a fifth of the time).
inline constexpr int64_t kManyWeightBytes = 1024 * 1024;
inline constexpr int64_t kLargeWindowBytes = 1536 * 1024;

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

// How the whole call is carried out, decided by shape and strides alone.
template <class T>
struct Scheme {
  bool copy;      // the input goes through scratch
  bool in_place;  // the weights do not
  bool late;      // the weights are packed panel by panel
  int64_t pitch;  // elements between pixels of the copy
  int width;
  int64_t packed;  // elements of the packed weights of all groups
  int64_t most;    // bytes of a window
  int64_t window;  // elements of the largest window
  int64_t jumps;
  bool flat;  // all panels have flat tiles
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
bool fits_window(const Correlation<T>& op, const Scheme<T>& s, const Window& w) {
  return window_elements(op, w, s.pitch) * int64_t{sizeof(T)} <= s.most;
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
  const Weights<T> w = op.weights(0);
  const int64_t pixels = g.images * size[0] * size[1] * size[2];
  const bool whole = kMaskedLoads || op.c_channels % lanes<T> == 0;
  const bool matrix = !op.gradient && whole && is_matrix(w, g.kernel);
  s.in_place = matrix && pixels < kPackPixels;
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2];
  const int64_t weights = taps * w.rows * padded_columns<T>(op.c_channels);
  s.late = !s.in_place && weights * int64_t{sizeof(T)} > kManyWeightBytes;
  s.width = best_width<T>(ceil_div(size[2], stride), op.c_channels,
                          !(matrix && (s.in_place || s.late)));
  s.most = s.late ? kLargeWindowBytes : kWindowBytes;
  if (s.late) {
    s.in_place = matrix;
    s.packed = (kPassK + max_of(kLongSegment, w.rows)) * s.width * lanes<T>;
  } else if (!s.in_place) {
    s.packed =
        g.groups * taps * w.rows * padded_columns<T>(share.cols.end - share.cols.begin);
  }
  s.jumps = max_of(taps, kFlatK);
  const int64_t rest = ceil_div(op.c_channels, lanes<T>) % s.width;
  s.flat = s.packed && !s.late && has_flat_tiles(s.width) && rest == 0;
  if (s.copy) {
    Windows all(size, share.rows);
    const auto fits = [&](const Window& x) { return fits_window(op, s, x); };
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
                const Share& share, T* packed, T* buffer, int64_t* jumps) {
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
      cut_segments(s, input, op.a_channels, scheme.flat, jumps);
      Panels<T> panels = {packed, 0, scheme.width, &weights, nullptr};
      if (scheme.in_place) panels.b = weights.data, panels.ld = weights.row;
      if (scheme.late) panels.buffer = packed;
      if (s.axis[2].count) {
        run_pass(s, panels, epilogue, share.cols, s.c_step[2]);
      }
      if (!scheme.late) packed += taps_of(s.axis) * weights.rows * cols;
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
  if (!scheme.in_place && !scheme.late) pack_all(op, share.cols, scheme.width, packed);
  Windows windows(op.c_size(), share.rows);
  const auto fits = [&](const Window& w) { return fits_window(op, scheme, w); };
  for (Window w; windows.next(w, fits);)
    run_window(op, scheme, w, share, packed, buffer, jumps);
}

FASTNN_END_NAMESPACE
