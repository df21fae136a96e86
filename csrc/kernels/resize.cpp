// SPDX-License-Identifier: Apache-2.0
// Resizing images (batch, height, width, channels), and its gradient. Both are the same
// separable sum over sparse weights: rows are combined first, whole lines at a time,
// then columns. The gradient takes the transposed weights, so it gathers as well: no
// races, one order.
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/images.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

enum Interpolation { kNearest, kBilinear, kBicubic, kLanczos3, kLanczos5 };

FASTNN_OUTLINE double sinc(double x) {
  constexpr double kPi = 3.14159265358979323846;
  return x == 0 ? 1 : __builtin_sin(kPi * x) / (kPi * x);
}

// The weight of an input at distance x (in units of the kernel's scale).
FASTNN_OUTLINE double weight_at(int64_t method, double x) {
  x = x < 0 ? -x : x;
  if (method == kBilinear) return x < 1 ? 1 - x : 0;
  if (method == kBicubic) {  // Keys 1981, a = -1/2
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  }
  const double radius = method == kLanczos3 ? 3 : 5;
  return x < radius ? sinc(x) * sinc(x / radius) : 0;
}

struct Weight {
  int64_t index;
  double value;
};

// Per output of an axis the inputs it reads, or transposed; the weights of i are
// [begin[i], begin[i + 1]).
struct Weights {
  int64_t* begin;
  Weight* at;
};

// The axis of the forward direction: `in` inputs to `out` outputs.
struct Axis {
  int64_t in, out, method;
  bool antialias;

  FASTNN_INLINE double scale() const {
    return static_cast<double>(in) / static_cast<double>(out);
  }
  FASTNN_INLINE double kernel_scale() const {
    return antialias && scale() > 1 ? scale() : 1;
  }
  FASTNN_INLINE double radius() const {
    constexpr double kRadius[] = {0, 1, 2, 3, 5};
    return kRadius[method] * kernel_scale();
  }
  // At most so many weights per output.
  FASTNN_INLINE int64_t width() const { return static_cast<int64_t>(2 * radius()) + 2; }
};

// The weights of output o; returns how many. Half-pixel centres; outside of the image
// there is nothing, and what is left is scaled to a sum of 1 (TensorFlow, JAX).
FASTNN_OUTLINE int64_t weights_of(const Axis& a, int64_t o, Weight* to) {
  const double middle = (static_cast<double>(o) + 0.5) * a.scale();
  if (a.method == kNearest) {
    const int64_t i = static_cast<int64_t>(middle);
    *to = {i < a.in ? i : a.in - 1, 1};
    return 1;
  }
  const double sample = middle - 0.5;
  const int64_t first = static_cast<int64_t>(__builtin_ceil(sample - a.radius()));
  const int64_t last = static_cast<int64_t>(__builtin_floor(sample + a.radius()));
  double total = 0;
  int64_t count = 0;
  for (int64_t i = first < 0 ? 0 : first; i <= last && i < a.in; ++i) {
    const double distance = (static_cast<double>(i) - sample) / a.kernel_scale();
    const double w = weight_at(a.method, distance);
    total += w;
    if (w != 0) to[count++] = {i, w};
  }
  for (int64_t k = 0; k < count; ++k)
    to[k].value /= total;
  return count;
}

FASTNN_INLINE int64_t weights_bytes(const Axis& a) {
  return scratch_bytes<int64_t>((a.in > a.out ? a.in : a.out) + 2) +
         scratch_bytes<Weight>(a.out * a.width()) + scratch_bytes<Weight>(a.width());
}

FASTNN_OUTLINE Weights make_weights(const Axis& a, bool transposed, Pieces& pieces) {
  int64_t* begin = pieces.take<int64_t>((a.in > a.out ? a.in : a.out) + 2);
  Weight* at = pieces.take<Weight>(a.out * a.width());
  Weight* one = pieces.take<Weight>(a.width());
  if (!transposed) {
    begin[0] = 0;
    for (int64_t o = 0; o < a.out; ++o)
      begin[o + 1] = begin[o] + weights_of(a, o, at + begin[o]);
    return {begin, at};
  }
  // Counts, then places: begin[i + 2] counts i, and ends as the start of i + 1.
  __builtin_memset(begin, 0, (a.in + 2) * sizeof(int64_t));
  for (int64_t o = 0; o < a.out; ++o)
    for (int64_t k = weights_of(a, o, one); k-- > 0;)
      ++begin[one[k].index + 2];
  for (int64_t i = 1; i < a.in; ++i)
    begin[i + 1] += begin[i];
  for (int64_t o = 0; o < a.out; ++o) {
    const int64_t count = weights_of(a, o, one);
    for (int64_t k = 0; k < count; ++k)
      at[begin[one[k].index + 1]++] = {o, one[k].value};
  }
  return {begin, at};
}

// One line of the result from the lines `w` names of an image.
template <class T>
FASTNN_INLINE const T* combine_rows(const T* image, int64_t line_size, const Weight* w,
                                    int64_t count, T* buffer) {
  if (count == 1 && w->value == 1) return image + w->index * line_size;
  map_row(buffer, line_size, [&](int64_t i, int n) FASTNN_LAMBDA_INLINE {
    Vec<T> sum = {};
    for (int64_t k = 0; k < count; ++k) {
      const Vec<T> v = load_part(image + w[k].index * line_size + i, n);
      sum = sum + v * splat<Vec<T>>(static_cast<T>(w[k].value));
    }
    return sum;
  });
  return buffer;
}

template <class T>
FASTNN_INLINE void combine_columns(const T* line, int64_t channels, const Weights& w,
                                   int64_t columns, T* y) {
  for (int64_t o = 0; o < columns; ++o) {
    const Weight* at = w.at + w.begin[o];
    const int64_t count = w.begin[o + 1] - w.begin[o];
    T* to = y + o * channels;
    for_channels<T>(channels, [&]<int vectors>(int64_t c, int n) FASTNN_LAMBDA_INLINE {
      Vec<T> sum[vectors] = {};
      for (int64_t k = 0; k < count; ++k) {
        const Vec<T> scale = splat<Vec<T>>(static_cast<T>(at[k].value));
        const T* from = line + at[k].index * channels + c;
        for (int j = 0; j < vectors; ++j)
          sum[j] = sum[j] + scale * load_part(from + j * lanes<T>, n);
      }
      for (int j = 0; j < vectors; ++j)
        store_part(to + c + j * lanes<T>, sum[j], n);
    });
  }
}

// Attributes: interpolation, antialias.
template <bool transposed>
FASTNN_INLINE void resample(const char* name, const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Grid from = grid_of(x), to = grid_of(y);
  const Range lines = line_range(to, args.part);
  if (lines.begin >= lines.end || y.numel() == 0) return;
  const Grid &in = transposed ? to : from, &out = transposed ? from : to;
  const int64_t method = args.attrs[0].i;
  const bool antialias = args.attrs[1].i != 0;
  const Axis height = {in.size[1], out.size[1], method, antialias};
  const Axis width = {in.size[2], out.size[2], method, antialias};
  dispatch(name, y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Pieces pieces(weights_bytes(height) + weights_bytes(width) +
                  scratch_bytes<T>(from.line_size()) + Images<T>::bytes(x));
    const Weights rows = make_weights(height, transposed, pieces);
    const Weights columns = make_weights(width, transposed, pieces);
    T* buffer = pieces.take<T>(from.line_size());
    Images<T> images(x, pieces);
    for (int64_t at = lines.begin; at < lines.end; ++at) {
      const int64_t line = at % to.size[1];
      const T* combined = combine_rows(images[at / to.size[1]], from.line_size(),
                                       rows.at + rows.begin[line],
                                       rows.begin[line + 1] - rows.begin[line], buffer);
      combine_columns(combined, to.channels, columns, to.size[2],
                      y.ptr<T>() + at * to.line_size());
    }
  });
}

void resize(const KernelArgs& args) { resample<false>("resize", args); }
void resize_grad(const KernelArgs& args) { resample<true>("resize_grad", args); }

constexpr const char* kAttrs = "interpolation antialias";
constexpr KernelEntry kEntries[] = {
    {"resize", resize, Split::kRows, "r", 1, kAttrs, 1},
    {"resize_grad", resize_grad, Split::kRows, "r", 1, kAttrs, 1},
};

}  // namespace

extern const KernelFamily kFamily_resize;
const KernelFamily kFamily_resize = {"resize", kEntries,
                                     sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
