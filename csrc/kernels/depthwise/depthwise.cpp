// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution, 1-D to 3-D: forward and the gradients of input and filter.
// Filters are (spatial sizes, channels, multiplier), as Keras stores them; output
// channel c * multiplier + m belongs to input channel c. A multiplier above 1 works on
// images whose channels are repeated.
#include "kernels/depthwise/doubled.hpp"
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

  FASTNN_INLINE int64_t taps() const { return rows() * axis[2].window; }
  FASTNN_INLINE int64_t rows() const { return axis[0].window * axis[1].window; }
  // Rows that an output line reads and the line before does not, of neighbouring rows.
  FASTNN_INLINE int64_t new_rows() const {
    return axis[1].stride < axis[1].window ? axis[1].stride : axis[1].window;
  }
  FASTNN_INLINE int64_t segments() const {
    return Columns::most_segments(axis[2].window, axis[2].out);
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

// What output o reads through tap k, or -1.
FASTNN_INLINE int64_t input_of(const Axis& a, int64_t o, int64_t k) {
  const int64_t i = o * a.stride - a.low + k * a.dilation;
  return i < a.in ? i : -1;
}
// The output that tap k of input i is part of, or -1.
FASTNN_INLINE int64_t output_of(const Axis& a, int64_t i, int64_t k) {
  const int64_t from = i + a.low - k * a.dilation;
  if (from < 0) return -1;
  const int64_t o = a.stride == 1 ? from : quotient(from, a.stride);
  return o * a.stride == from && o < a.out ? o : -1;
}

// The rows that line `at` of one side of a convolution reads of the other, `from`, with
// its taps: reached(axis, line, tap).
template <class F>
FASTNN_INLINE Rows rows_of_line(const Geometry& g, const Grid& from, const Place& at,
                                Row* space, F reached) {
  int64_t count = 0;
  for (int64_t kd = 0; kd < g.axis[0].window; ++kd) {
    const int64_t i = reached(g.axis[0], at.depth, kd);
    for (int64_t kh = 0; kh < g.axis[1].window && i >= 0; ++kh) {
      const int64_t j = reached(g.axis[1], at.height, kh);
      if (j < 0) continue;
      space[count++] = {
          (i * from.size[1] + j) * from.size[2] * g.out.channels,
          (kd * g.axis[1].window + kh) * g.axis[2].window * g.out.channels};
    }
  }
  return {space, count};
}
FASTNN_OUTLINE Rows rows_of_output(const Geometry& g, const Place& at, Row* space) {
  return rows_of_line(g, g.in, at, space, input_of);
}
FASTNN_OUTLINE Rows rows_of_input(const Geometry& g, const Place& at, Row* space) {
  return rows_of_line(g, g.out, at, space, output_of);
}

FASTNN_OUTLINE Columns columns_of_outputs(const Geometry& g, Segment* space) {
  const Axis& a = g.axis[2];
  Columns c = {-a.low, a.dilation, 0, g.out.channels, a.window, a.stride,
               a.out,  nullptr,    0};
  c.cut(a.in, space);
  return c;
}

// For the inputs r, r + stride, ... of a line: these read neighbouring outputs. Through
// the last tap first: columns rise.
FASTNN_OUTLINE Columns columns_of_phase(const Geometry& g, int64_t r, Segment* space) {
  const Axis& a = g.axis[2];
  const int64_t outputs = (a.in - r + a.stride - 1) / a.stride;
  Columns c = {0, 1, 0, 0, 0, 1, outputs, nullptr, 0};
  for (int64_t k = a.window - 1; k >= 0; --k) {
    const int64_t from = r + a.low - k * a.dilation;
    if (from % a.stride) continue;
    if (c.count == 0) {
      c.first = from / a.stride;
      c.w = k * g.out.channels;
    } else if (c.count == 1) {
      c.apart = from / a.stride - c.first;
      c.w_apart = k * g.out.channels - c.w;
    }
    ++c.count;
  }
  c.cut(a.out, space);
  return c;
}

// Filters that three.hpp knows.
FASTNN_INLINE bool is_three(const Geometry& g) {
  const Axis &h = g.axis[1], &w = g.axis[2];
  const bool square = h.window == 3 && w.window == 3 && h.stride == w.stride;
  return g.axis[0].window == 1 && square && h.dilation == 1 && w.dilation == 1 &&
         h.stride <= 2;
}
// How many lines of outputs from a height on read all rows of the filter; so does the
// first.
FASTNN_INLINE int64_t lines_inside(const Geometry& g, int64_t height) {
  const Axis& a = g.axis[1];
  const int64_t fit = quotient(a.in + a.low - 3, a.stride) + 1;
  return (fit < a.out ? fit : a.out) - height;
}

// Lines of outputs from `line` on, at most `most`: how many were done.
template <class Op, class T>
FASTNN_INLINE int64_t run_outputs(const Geometry& g, const Line<T>& line,
                                  const Columns& c, const Place& at, int64_t most,
                                  Row* space) {
  const Rows rows = rows_of_output(g, at, space);
  if (!is_three(g) || rows.count < 3) return run_line<Op>(line, c, rows), 1;
  const int64_t inside = lines_inside(g, at.height);
  const Pitch pitch = {line.row_size, g.out.line_size()};
  most = most < inside ? most : inside;
  if (g.axis[1].stride == 1)
    return run_some<Op, 1>(line, c, rows, pitch, most, space + 3);
  return run_some<Op, 2>(line, c, rows, pitch, most, space + 3);
}

// From what a line writes to what the next one does, for fetching it.
template <class T>
FASTNN_INLINE int64_t next_line(const Grid& g) {
  const int64_t bytes = g.batch * g.image_size() * static_cast<int64_t>(sizeof(T));
  return streams(bytes) ? g.line_size() : 0;
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
  Pieces pieces(scratch_bytes<Row>(g.rows() + 3) +
                scratch_bytes<Segment>(g.segments()) + scratch_bytes<T>(w.numel()) +
                scratch_bytes<T>(args.in[2].numel()) +
                Repeated<T>::bytes(x, g.multiplier));
  Row* space = pieces.take<Row>(g.rows() + 3);
  const Columns columns = columns_of_outputs(g, pieces.take<Segment>(g.segments()));
  const T* weights = weights_of<T>(w, pieces);
  const Epilogue<T> epilogue = epilogue_of<T>(args, pieces);
  Repeated<T> images(x, g.multiplier, pieces);
  const int64_t channels = g.out.channels;
  const int64_t row_size = g.in.line_size() * g.multiplier;
  for (int64_t at = lines.begin; at < lines.end;) {
    T* to = y.ptr<T>() + at * g.out.line_size();
    const Place place = place_of(g.out, at);
    const Line<T> line = {images[place.image],
                          weights,
                          to,
                          channels,
                          channels,
                          g.new_rows(),
                          row_size,
                          next_line<T>(g.out),
                          {0, channels}};
    const int64_t done =
        run_outputs<Convolve>(g, line, columns, place, lines.end - at, space);
    finish<T>({to, channels, 0, 0, done * g.out.size[2], channels}, epilogue, true);
    at += done;
  }
}

// Two lines of inputs and the two rows of outputs that both belong to (doubled.hpp).
struct Pair {
  int64_t row, columns;  // of outputs: the later row; columns with one before them
};
FASTNN_INLINE Pair pair_of(const Geometry& g, const Place& at) {
  const Axis &h = g.axis[1], &w = g.axis[2];
  const bool known = is_three(g) && h.stride == 2 && w.low <= 1 && g.multiplier == 1;
  if (!known || (at.height + h.low) % 2 || at.height + 1 >= h.in) return {};
  const int64_t row = (at.height + h.low) / 2, fit = (w.in + w.low) / 2;
  if (row < 1 || row >= h.out) return {};
  return {row, (fit < w.out ? fit : w.out) - 1};
}

// Two lines, from `line` on.
template <class T>
FASTNN_INLINE void run_pair(const Geometry& g, const Pair& pair, Line<T> line,
                            const Columns* columns, const Place& at, Row* space) {
  const int64_t channels = g.out.channels, low = g.axis[2].low;
  const int64_t first = 2 - low, end = first + 2 * pair.columns;
  run_doubled<T>({line.x + pair.row * g.out.line_size(), line.w,
                  line.y + first * channels, g.out.line_size(), g.in.line_size(),
                  channels, pair.columns, 2 * line.y_ahead});
  T* const y = line.y;
  for (int64_t r = 0; r < 2; ++r) {
    const Rows rows = rows_of_input(g, {at.image, at.depth, at.height + r}, space);
    for (line.phase = 0; line.phase < 2; ++line.phase) {
      line.y = y + r * g.in.line_size() + line.phase * channels;
      run_outside(line, columns[line.phase], rows, first, end);
    }
  }
}

// Lines of inputs from `line` on, at most `most`: how many were done. `line` is that of
// the first phase.
template <class T>
FASTNN_INLINE int64_t run_inputs(const Geometry& g, const Line<T>& line,
                                 const Columns* columns, int64_t phases,
                                 const Place& at, int64_t most, Row* space) {
  const Rows rows = rows_of_input(g, at, space);
  const Axis& h = g.axis[1];
  if (g.multiplier == 1 && h.stride == 1 && is_three(g) && rows.count == 3) {
    const int64_t inside = h.out - h.low - at.height;
    return run_some<Convolve, 1>(line, columns[0], rows,
                                 {g.out.line_size(), g.in.line_size()},
                                 most < inside ? most : inside, space + 3);
  }
  const Pair pair = most > 1 ? pair_of(g, at) : Pair{};
  if (pair.columns > 0) return run_pair(g, pair, line, columns, at, space), 2;
  for (int64_t r = 0; r < phases; ++r) {
    Line<T> of_phase = line;
    of_phase.y += r * line.channels, of_phase.phase = r;
    run_line<Convolve>(of_phase, columns[r], rows);
  }
  return 1;
}

template <class T>
void grad_input(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &w = args.in[1], &dx = args.out[0];
  const Geometry g = geometry_of(dx, w, dy, args.attrs);
  const Range lines = line_range(g.in, args.part);
  if (lines.begin >= lines.end || dx.numel() == 0) return;
  const int64_t channels = g.out.channels, stride = g.axis[2].stride;
  const int64_t phases = stride < g.in.size[2] ? stride : g.in.size[2];
  const bool repeated = g.multiplier > 1;
  const int64_t line_size = g.in.size[2] * channels;
  const int64_t segments = 2 * g.axis[2].window + phases;  // a tap belongs to one phase
  Pieces pieces(scratch_bytes<Row>(g.rows() + 3) + scratch_bytes<Columns>(phases) +
                scratch_bytes<Segment>(segments) + scratch_bytes<T>(w.numel()) +
                Images<T>::bytes(dy) + (repeated ? scratch_bytes<T>(line_size) : 0));
  Row* space = pieces.take<Row>(g.rows() + 3);
  Columns* columns = pieces.take<Columns>(phases);
  Segment* free = pieces.take<Segment>(segments);
  for (int64_t r = 0; r < phases; ++r) {
    columns[r] = columns_of_phase(g, r, free);
    free += columns[r].segment_count;
  }
  const T* weights = weights_of<T>(w, pieces);
  Images<T> images(dy, pieces);
  T* wide = repeated ? pieces.take<T>(line_size) : nullptr;
  for (int64_t at = lines.begin; at < lines.end;) {
    const Place place = place_of(g.in, at);
    T* out = dx.ptr<T>() + at * g.in.line_size();
    const Line<T> line = {images[place.image],   weights,
                          repeated ? wide : out, channels,
                          stride * channels,     1,
                          g.out.line_size(),     repeated ? 0 : next_line<T>(g.in),
                          {0, channels}};
    at += run_inputs(g, line, columns, phases, place, lines.end - at, space);
    for (int64_t k = 0; repeated && k < g.in.line_size(); ++k) {
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
  Pieces pieces(scratch_bytes<Row>(g.rows() + 3) +
                scratch_bytes<Segment>(g.segments()) +
                scratch_bytes<T>(taps_all * channels) +
                Repeated<T>::bytes(x, g.multiplier) + Images<T>::bytes(dy));
  Row* space = pieces.take<Row>(g.rows() + 3);
  const Columns columns = columns_of_outputs(g, pieces.take<Segment>(g.segments()));
  T* sums = pieces.take<T>(taps_all * channels);
  Repeated<T> images(x, g.multiplier, pieces);
  Images<T> gradients(dy, pieces);
  T* total = dw.ptr<T>();
  const int64_t row_size = g.in.line_size() * g.multiplier;
  for (int64_t t = 0; t < taps_all; ++t)
    __builtin_memset(total + t * channels + begin, 0, (end - begin) * sizeof(T));
  for (int64_t n = 0; n < g.in.batch; ++n) {
    for (int64_t t = 0; t < taps_all; ++t)
      __builtin_memset(sums + t * channels + begin, 0, (end - begin) * sizeof(T));
    for (int64_t at = 0; at < g.out.lines();) {
      const T* from = gradients[n] + at * g.out.line_size();
      const Line<T> line = {
          images[n], nullptr,           nullptr,      channels, channels, g.new_rows(),
          row_size,  g.out.line_size(), {begin, end}, 0,        from,     sums};
      at += run_outputs<Correlate>(g, line, columns, place_of(g.out, at),
                                   g.out.lines() - at, space);
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
