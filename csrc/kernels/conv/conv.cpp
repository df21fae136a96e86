// SPDX-License-Identifier: Apache-2.0
// Convolutions of 1 to 3 spatial axes with strides, dilation and groups, and their
// gradients. Layout: (images, spatial..., channels), kernels (spatial..., inputs per
// group, outputs); any strides.
//
// Every output element is one chain of multiply-adds over the kernel's elements, or the
// pixels, in a fixed order (towards few channels: one per tap, then the taps): the bits
// depend on no partition, window or tile.
#include "base/error.hpp"
#include "kernels/conv/correlate.hpp"
#include "kernels/conv/filter.hpp"
#include "kernels/conv/narrow.hpp"
#include "kernels/conv/pointwise_conv.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Images are shared between parts from this many per part on.
constexpr int kMinImages = 8;

// `spatial` axes begin at dimension `first_axis`; they are the last of the three.
template <class T>
Field<T> field_of(const TensorView& v, int first_axis, int spatial, int first,
                  int last) {
  Field<T> f;
  f.data = v.ptr<T>();
  f.first = v.stride[first], f.last = v.stride[last];
  for (int i = 0; i < spatial; ++i)
    f.axis[kAxes - spatial + i] = v.stride[first_axis + i];
  return f;
}
template <class T>
Field<T> image_field(const TensorView& v) {
  return field_of<T>(v, 1, v.ndim - 2, 0, v.ndim - 1);
}
template <class T>
Field<const T> kernel_field(const TensorView& v) {
  return field_of<const T>(v, 0, v.ndim - 2, v.ndim - 2, v.ndim - 1);
}

void require_size(const char* op, const char* what, int64_t got, int64_t expected) {
  FASTNN_CHECK(got == expected, "[%s] %s is %lld, expected %lld", op, what,
               static_cast<long long>(got), static_cast<long long>(expected));
}

// From x (or dx), the kernel (or its gradient), y (or dy) and the attributes strides,
// dilations, pads, groups.
Geometry geometry_of(const char* op, const TensorView& x, const TensorView& w,
                     const TensorView& y, const AttrValue* attrs) {
  const int spatial = x.ndim - 2;
  FASTNN_CHECK(spatial >= 1 && spatial <= kAxes && w.ndim == x.ndim && y.ndim == x.ndim,
               "[%s] ranks %d, %d and %d: expected equal ranks of 3 to 5", op, x.ndim,
               w.ndim, y.ndim);
  FASTNN_CHECK(x.dtype == w.dtype && x.dtype == y.dtype, "[%s] dtypes differ", op);
  Geometry g = {};
  g.images = x.shape[0];
  g.groups = attrs[3].i;
  FASTNN_CHECK(g.groups >= 1, "[%s] groups must be positive", op);
  g.c = w.shape[w.ndim - 2], g.oc = w.shape[w.ndim - 1] / g.groups;
  require_size(op, "the batch of y", y.shape[0], g.images);
  require_size(op, "the channels of x", x.shape[x.ndim - 1], g.c * g.groups);
  require_size(op, "the channels of y", y.shape[y.ndim - 1], g.oc * g.groups);
  for (int i = 0; i < kAxes; ++i) {
    const int at = i - (kAxes - spatial);
    const bool given = at >= 0;
    g.in[i] = given ? x.shape[1 + at] : 1;
    g.out[i] = given ? y.shape[1 + at] : 1;
    g.kernel[i] = given ? w.shape[at] : 1;
    g.stride[i] = given ? attrs[0].ints[at] : 1;
    g.dilation[i] = given ? attrs[1].ints[at] : 1;
    g.pad[i] = given ? attrs[2].ints[at] : 0;
    FASTNN_CHECK(g.stride[i] >= 1 && g.dilation[i] >= 1,
                 "[%s] strides and dilations must be positive", op);
  }
  return g;
}

// Kernels of one element with a stride: all of the pixels that they read, and no
// others.
template <class T>
void drop_strides(Geometry& g, Field<const T>& x) {
  for (int i = 0; i < kAxes; ++i) {
    const bool inside = g.pad[i] == 0 && (g.out[i] - 1) * g.stride[i] < g.in[i];
    if (g.kernel[i] != 1 || g.stride[i] == 1 || !inside) continue;
    x.axis[i] *= g.stride[i];
    g.in[i] = g.out[i], g.stride[i] = 1;
  }
}

template <class T>
Correlation<T> correlation_of(const Geometry& g, bool gradient, const TensorView& a,
                              const TensorView& w, const TensorView& out) {
  Correlation<T> op = {};
  op.g = g;
  op.gradient = gradient;
  op.a = image_field<const T>(a);
  op.w = kernel_field<T>(w);
  op.c = image_field<T>(out);
  op.a_channels = gradient ? g.oc : g.c;
  op.c_channels = gradient ? g.c : g.oc;
  if (!gradient) drop_strides(op.g, op.a);
  return op;
}

template <class T>
void run(Correlation<T>& op, Part part) {
  const bool pointwise = is_pointwise(op), windows = pointwise && prefers_windows(op);
  if (windows) join_rows(op);
  const Share share =
      share_of<T>(op.g.images, op.c_size(), op.c_channels, part, kMinImages);
  if (pointwise && !windows) return pointwise_conv(op, share);
  if (!windows && is_narrow(op)) return narrow_conv(op, share);
  correlate(op, share);
}

// conv and conv_transpose: a, w, bias.
void convolve(const char* name, const KernelArgs& args, bool gradient) {
  const TensorView &a = args.in[0], &w = args.in[1], &b = args.in[2];
  const TensorView& out = args.out[0];
  const Geometry g = gradient ? geometry_of(name, out, w, a, args.attrs)
                              : geometry_of(name, a, w, out, args.attrs);
  const int64_t channels = out.shape[out.ndim - 1];
  FASTNN_CHECK(b.dtype == a.dtype && b.ndim == 1,
               "[%s] the bias must be a vector of %s", name, dtype_name(a.dtype));
  if (b.shape[0] != 0) require_size(name, "the size of the bias", b.shape[0], channels);
  const int64_t activation = activation_of(name, args.attrs[4]);
  for_float(name, a.dtype, [&]<class T>() {
    Correlation<T> op = correlation_of<T>(g, gradient, a, w, out);
    op.epilogue.activation = activation;
    op.epilogue.alpha = args.attrs[5].f;
    if (b.shape[0]) op.epilogue.bias = b.ptr<const T>();
    op.bias_stride = b.stride[0];
    run(op, args.part);
  });
}

void conv(const KernelArgs& args) { convolve("conv", args, false); }
void conv_transpose(const KernelArgs& args) { convolve("conv_transpose", args, true); }

void conv_grad_input(const KernelArgs& args) {
  const char* name = "conv_grad_input";
  const TensorView &dy = args.in[0], &w = args.in[1], &y = args.in[2];
  const TensorView& dx = args.out[0];
  const Geometry g = geometry_of(name, dx, w, dy, args.attrs);
  FASTNN_CHECK(y.ndim == dx.ndim && y.dtype == dx.dtype,
               "[%s] y must have the rank and dtype of the result", name);
  for (int i = 0; i < y.ndim; ++i)
    require_size(name, "a size of y", y.shape[i], dx.shape[i]);
  const int64_t activation = activation_of(name, args.attrs[4], kGradients);
  for_float(name, dy.dtype, [&]<class T>() {
    Correlation<T> op = correlation_of<T>(g, true, dy, w, dx);
    op.epilogue.activation = activation;
    op.epilogue.alpha = args.attrs[5].f;
    if (activation != kLinear) {
      op.y = image_field<const T>(y);
      op.epilogue.y = op.y.data;
    }
    run(op, args.part);
  });
}

void conv_grad_kernel(const KernelArgs& args) {
  const TensorView &x = args.in[0], &dy = args.in[1], &dw = args.out[0];
  const Geometry g = geometry_of("conv_grad_kernel", x, dw, dy, args.attrs);
  for_float("conv_grad_kernel", x.dtype, [&]<class T>() {
    Filter<T> op = {};
    op.g = g;
    op.x = image_field<const T>(x);
    op.dy = image_field<const T>(dy);
    op.dense = dy.contiguous();
    op.dw = dw.ptr<T>();
    drop_strides(op.g, op.x);
    if (is_pointwise(op)) return pointwise_filter(op, args.part);
    filter_gradient(op, args.part);
  });
}

constexpr const char* kAttrs = "strides dilations pads groups activation alpha";
constexpr KernelEntry kEntries[] = {
    {"conv", conv, Split::kRows, "raa", 1, kAttrs, kMinImages},
    {"conv_transpose", conv_transpose, Split::kRows, "raa", 1, kAttrs, kMinImages},
    {"conv_grad_input", conv_grad_input, Split::kRows, "rar", 1, kAttrs, kMinImages},
    {"conv_grad_kernel", conv_grad_kernel, Split::kAny, "aa", 1,
     "strides dilations pads groups"},
};

}  // namespace

extern const KernelFamily kFamily_conv;
const KernelFamily kFamily_conv = {"conv", kEntries, 4};

FASTNN_END_NAMESPACE
