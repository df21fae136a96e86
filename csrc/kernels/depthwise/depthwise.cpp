// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution, 1-D to 3-D: forward and the gradients of input and filter.
// Filters are (spatial sizes, channels, multiplier), as Keras stores them; output
// channel c * multiplier + m belongs to input channel c. A multiplier above 1 works on
// images whose channels are repeated.
#include "kernels/depthwise/lines.hpp"
#include "kernels/gemm/epilogue.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace depthwise {
namespace {

struct Axis {
  int64_t in, out, window, stride, dilation, low;
};
// Of the images that the filter slides over, and of the outputs.
struct Geometry {
  Grid in, out;
  Axis axis[3];
  int64_t multiplier;

  FASTNN_INLINE int64_t taps() const {
    return axis[0].window * axis[1].window * axis[2].window;
  }
};

// Attributes: strides, dilation, low (pads in front), one number per spatial axis.
FASTNN_OUTLINE Geometry geometry_of(const TensorView& x, const TensorView& w,
                                    const TensorView& y, const AttrValue* attrs) {
  Geometry g = {grid_of(x), grid_of(y), {}, w.shape[w.ndim - 1]};
  const int missing = 5 - x.ndim;
  for (int a = 0; a < 3; ++a) {
    g.axis[a] = {g.in.size[a], g.out.size[a], 1, 1, 1, 0};
    const int k = a - missing;
    if (k < 0) continue;
    g.axis[a].window = w.shape[k];
    g.axis[a].stride = attrs[0].ints[k];
    g.axis[a].dilation = attrs[1].ints[k];
    g.axis[a].low = attrs[2].ints[k];
  }
  return g;
}

// Images with every channel repeated `multiplier` times.
template <class T>
class Repeated {
 public:
  static FASTNN_INLINE int64_t bytes(const TensorView& x, int64_t multiplier) {
    return Images<T>::bytes(x) +
           (multiplier > 1 ? scratch_bytes<T>(x.row_size() * multiplier) : 0);
  }
  FASTNN_INLINE Repeated(const TensorView& x, int64_t multiplier, Pieces& pieces)
      : images_(x, pieces), size_(x.row_size()), multiplier_(multiplier) {
    if (multiplier > 1) buffer_ = pieces.take<T>(size_ * multiplier);
  }
  FASTNN_INLINE const T* operator[](int64_t n) {
    const T* image = images_[n];
    if (!buffer_) return image;
    if (n != held_) {
      for (int64_t i = 0; i < size_; ++i)
        for (int64_t m = 0; m < multiplier_; ++m)
          buffer_[i * multiplier_ + m] = image[i];
    }
    held_ = n;
    return buffer_;
  }

 private:
  Images<T> images_;
  T* buffer_ = nullptr;
  int64_t size_, multiplier_, held_ = -1;
};

// The filter in contiguous memory.
template <class T>
FASTNN_INLINE const T* weights_of(const TensorView& w, Pieces& pieces) {
  if (w.contiguous()) return w.ptr<const T>();
  T* buffer = pieces.take<T>(w.numel());
  const TensorView* view = &w;
  const Walk walk = make_walk(&view, 1, {0, w.rows()});
  gather(reinterpret_cast<char*>(buffer), walk, 0, 0, w.numel(), sizeof(T));
  return buffer;
}

// The taps of output line (p, q) that lie within the image. All offsets are in elements
// of an image with `channels` channels.
FASTNN_OUTLINE int64_t taps_of_line(const Geometry& g, int64_t channels, int64_t p,
                                    int64_t q, Tap* taps) {
  const Axis &d = g.axis[0], &h = g.axis[1], &v = g.axis[2];
  int64_t count = 0;
  for (int64_t kd = 0; kd < d.window; ++kd) {
    const int64_t i = p * d.stride - d.low + kd * d.dilation;
    if (i < 0 || i >= d.in) continue;
    for (int64_t kh = 0; kh < h.window; ++kh) {
      const int64_t j = q * h.stride - h.low + kh * h.dilation;
      if (j < 0 || j >= h.in) continue;
      for (int64_t kw = 0; kw < v.window; ++kw) {
        const int64_t column = kw * v.dilation - v.low;
        taps[count++] = {column, ((i * h.in + j) * v.in + column) * channels,
                         ((kd * h.window + kh) * v.window + kw) * channels};
      }
    }
  }
  return count;
}

// Bias and activation, applied to every line while it is in L1. A bias of size 0 is
// none.
template <class T>
Epilogue<T> epilogue_of(const KernelArgs& args, Pieces& pieces) {
  const TensorView& bias = args.in[2];
  Epilogue<T> e = {};
  e.activation = activation_of("depthwise_conv", args.attrs[3]);
  e.alpha = args.attrs[4].f;
  if (bias.shape[0]) e.bias = weights_of<T>(bias, pieces);
  return e;
}

template <class T>
void forward(const KernelArgs& args) {
  const TensorView &x = args.in[0], &w = args.in[1], &y = args.out[0];
  const Geometry g = geometry_of(x, w, y, args.attrs);
  const Range lines = line_range(g.out, args.part);
  if (lines.begin >= lines.end || y.numel() == 0) return;
  Pieces pieces(2 * scratch_bytes<Tap>(g.taps()) + scratch_bytes<T>(w.numel()) +
                scratch_bytes<T>(args.in[2].numel()) +
                Repeated<T>::bytes(x, g.multiplier));
  Tap* taps = pieces.take<Tap>(g.taps());
  Tap* some = pieces.take<Tap>(g.taps());
  const T* weights = weights_of<T>(w, pieces);
  const Epilogue<T> epilogue = epilogue_of<T>(args, pieces);
  Repeated<T> images(x, g.multiplier, pieces);
  const int64_t channels = g.out.channels;
  for (int64_t at = lines.begin; at < lines.end; ++at) {
    const int64_t n = at / g.out.lines(), in_image = at % g.out.lines();
    const int64_t count = taps_of_line(g, channels, in_image / g.out.size[1],
                                       in_image % g.out.size[1], taps);
    const Line<T> line = {
        images[n],     weights,          y.ptr<T>() + at * g.out.line_size(),
        g.in.size[2],  g.axis[2].stride, channels,
        g.out.size[2], channels,         {0, channels}};
    run_line<Convolve>(line, taps, count, some);
    finish<T>({line.y, channels, 0, 0, g.out.size[2], channels}, epilogue, true);
  }
}

// The output that tap k of input i is part of, or -1.
FASTNN_INLINE int64_t output_of(const Axis& a, int64_t i, int64_t k) {
  const int64_t from = i + a.low - k * a.dilation;
  if (from < 0 || from % a.stride || from / a.stride >= a.out) return -1;
  return from / a.stride;
}

// The taps of input line (i, j) for the columns r, r + stride, ...: these read
// neighbouring outputs.
FASTNN_OUTLINE int64_t taps_of_phase(const Geometry& g, int64_t channels, int64_t i,
                                     int64_t j, int64_t r, Tap* taps) {
  const Axis &d = g.axis[0], &h = g.axis[1], &v = g.axis[2];
  int64_t count = 0;
  for (int64_t kd = 0; kd < d.window; ++kd) {
    const int64_t p = output_of(d, i, kd);
    for (int64_t kh = 0; kh < h.window && p >= 0; ++kh) {
      const int64_t q = output_of(h, j, kh);
      // From the last on: columns rise, so that runs of taps are found.
      for (int64_t kw = v.window - 1; kw >= 0 && q >= 0; --kw) {
        const int64_t from = r + v.low - kw * v.dilation;
        if (from % v.stride) continue;
        const int64_t column = from / v.stride;
        taps[count++] = {column, ((p * h.out + q) * v.out + column) * channels,
                         ((kd * h.window + kh) * v.window + kw) * channels};
      }
    }
  }
  return count;
}

template <class T>
void grad_input(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &w = args.in[1], &dx = args.out[0];
  const Geometry g = geometry_of(dx, w, dy, args.attrs);
  const Range lines = line_range(g.in, args.part);
  if (lines.begin >= lines.end || dx.numel() == 0) return;
  const int64_t channels = g.out.channels, stride = g.axis[2].stride;
  const bool repeated = g.multiplier > 1;
  const int64_t line_size = g.in.size[2] * channels;
  Pieces pieces(2 * scratch_bytes<Tap>(g.taps()) + scratch_bytes<T>(w.numel()) +
                Images<T>::bytes(dy) + (repeated ? scratch_bytes<T>(line_size) : 0));
  Tap* taps = pieces.take<Tap>(g.taps());
  Tap* some = pieces.take<Tap>(g.taps());
  const T* weights = weights_of<T>(w, pieces);
  Images<T> images(dy, pieces);
  T* wide = repeated ? pieces.take<T>(line_size) : nullptr;
  for (int64_t at = lines.begin; at < lines.end; ++at) {
    const int64_t n = at / g.in.lines(), in_image = at % g.in.lines();
    T* out = dx.ptr<T>() + at * g.in.line_size();
    T* to = repeated ? wide : out;
    for (int64_t r = 0; r < stride && r < g.in.size[2]; ++r) {
      const int64_t count = taps_of_phase(g, channels, in_image / g.in.size[1],
                                          in_image % g.in.size[1], r, taps);
      const int64_t columns = (g.in.size[2] - r + stride - 1) / stride;
      const Line<T> line = {images[n], weights, to + r * channels, g.out.size[2], 1,
                            channels,  columns, stride * channels, {0, channels}};
      run_line<Convolve>(line, taps, count, some);
    }
    if (!repeated) continue;
    for (int64_t k = 0; k < g.in.line_size(); ++k) {
      T sum = 0;
      for (int64_t m = 0; m < g.multiplier; ++m)
        sum += wide[k * g.multiplier + m];
      out[k] = sum;
    }
  }
}

// A part owns channels, in whole vectors: every sum has one owner and one order, lines
// into images, images into the total.
template <class T>
void grad_kernel(const KernelArgs& args) {
  const TensorView &x = args.in[0], &dy = args.in[1], &dw = args.out[0];
  const Geometry g = geometry_of(x, dw, dy, args.attrs);
  const int64_t channels = g.out.channels, taps_all = g.taps();
  const int64_t vectors = (channels + lanes<T> - 1) / lanes<T>;
  const int64_t begin = vectors * args.part.index / args.part.count * lanes<T>;
  const int64_t stop = vectors * (args.part.index + 1) / args.part.count * lanes<T>;
  const int64_t end = stop < channels ? stop : channels;
  if (begin >= end || dw.numel() == 0) return;
  Pieces pieces(2 * scratch_bytes<Tap>(taps_all) +
                scratch_bytes<T>(taps_all * channels) +
                Repeated<T>::bytes(x, g.multiplier) + Images<T>::bytes(dy));
  Tap* taps = pieces.take<Tap>(taps_all);
  Tap* some = pieces.take<Tap>(taps_all);
  T* sums = pieces.take<T>(taps_all * channels);
  Repeated<T> images(x, g.multiplier, pieces);
  Images<T> gradients(dy, pieces);
  T* total = dw.ptr<T>();
  for (int64_t t = 0; t < taps_all; ++t)
    __builtin_memset(total + t * channels + begin, 0, (end - begin) * sizeof(T));
  for (int64_t n = 0; n < g.in.batch; ++n) {
    for (int64_t t = 0; t < taps_all; ++t)
      __builtin_memset(sums + t * channels + begin, 0, (end - begin) * sizeof(T));
    for (int64_t at = 0; at < g.out.lines(); ++at) {
      const int64_t count =
          taps_of_line(g, channels, at / g.out.size[1], at % g.out.size[1], taps);
      Line<T> line = {images[n],     nullptr,          nullptr,
                      g.in.size[2],  g.axis[2].stride, channels,
                      g.out.size[2], channels,         {begin, end}};
      line.dy = gradients[n] + at * g.out.line_size();
      line.sums = sums;
      run_line<Correlate>(line, taps, count, some);
    }
    for (int64_t t = 0; t < taps_all; ++t)
      for (int64_t c = t * channels + begin; c < t * channels + end; ++c)
        total[c] += sums[c];
  }
}

#define FASTNN_DEPTHWISE(name, function)                                       \
  void name(const KernelArgs& args) {                                          \
    dispatch(#name, args.in[0].dtype, Floats{},                                \
             [&](auto tag) { function<typename decltype(tag)::type>(args); }); \
  }
FASTNN_DEPTHWISE(depthwise_conv, forward)
FASTNN_DEPTHWISE(depthwise_conv_grad_input, grad_input)
FASTNN_DEPTHWISE(depthwise_conv_grad_kernel, grad_kernel)
#undef FASTNN_DEPTHWISE

constexpr const char* kAttrs = "strides dilation low";
constexpr KernelEntry kEntries[] = {
    {"depthwise_conv", depthwise_conv, Split::kRows, "raa", 1,
     "strides dilation low activation alpha", 1},
    {"depthwise_conv_grad_input", depthwise_conv_grad_input, Split::kRows, "ra", 1,
     kAttrs, 1},
    {"depthwise_conv_grad_kernel", depthwise_conv_grad_kernel, Split::kAny, "aa", 1,
     kAttrs},
};

}  // namespace
}  // namespace depthwise

extern const KernelFamily kFamily_depthwise;
const KernelFamily kFamily_depthwise = {
    "depthwise", depthwise::kEntries,
    sizeof(depthwise::kEntries) / sizeof(depthwise::kEntries[0])};
FASTNN_END_NAMESPACE
