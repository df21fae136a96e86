// SPDX-License-Identifier: Apache-2.0
// Local response normalization over the last axis (AlexNet; section 3.3 of Krizhevsky
// et al. 2012 with the window counted as TensorFlow does): y = x (bias + alpha
// s)^-beta, s the sum of squares of the elements at most `radius` away. Squares go to a
// line with zeros at both ends, so the window slides by unaligned loads.
#include "shared/math.h"

#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/images.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// A line of n elements with `radius` zeros on both sides, and room for whole vectors.
template <class T>
struct HaloLine {
  T* data;
  int64_t radius;

  static FASTNN_INLINE int64_t length(int64_t n, int64_t radius) {
    return n + 2 * radius + lanes<T>;
  }
  FASTNN_INLINE HaloLine(int64_t n, int64_t r, Pieces& pieces)
      : data(pieces.take<T>(length(n, r))), radius(r) {
    __builtin_memset(data, 0, length(n, r) * sizeof(T));
  }
  FASTNN_INLINE T* inner() const { return data + radius; }
  // Sums of the windows around elements i, i + 1, ...
  FASTNN_INLINE Vec<T> window(int64_t i) const {
    Vec<T> sum = load(data + i);
    for (int64_t k = 1; k <= 2 * radius; ++k)
      sum = sum + load(data + i + k);
    return sum;
  }
};

// u^-beta. The exponents people use are square roots; others go element by element.
template <class T>
FASTNN_INLINE Vec<T> inverse_power(Vec<T> u, double beta) {
  using Tr = Traits<Vec<T>>;
  const Vec<T> one = splat<Vec<T>>(T(1));
  if (beta == 0.5) return one / Tr::sqrt(u);
  if (beta == 0.75) return one / (Tr::sqrt(u) * Tr::sqrt(Tr::sqrt(u)));
  if (beta == 1) return one / u;
  for (int i = 0; i < lanes<T>; ++i)
    u[i] = static_cast<T>(__builtin_pow(static_cast<double>(u[i]), -beta));
  return u;
}

// Calls f(n, input rows..., output row, line[, another]) for the rows of this part.
template <int n_in, class Row>
FASTNN_INLINE void for_rows(const char* name, const KernelArgs& args, Row f) {
  const TensorView& y = args.out[0];
  const Range rows = row_range(y.rows(), args.part);
  const int64_t n = y.ndim > 1 ? y.shape[y.ndim - 1] : 0;
  if (rows.begin >= rows.end || y.numel() == 0) return;
  const int64_t each = y.row_size() / n, radius = args.attrs[0].i;
  dispatch(name, y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Pieces pieces(2 * scratch_bytes<T>(HaloLine<T>::length(n, radius)) +
                  2 * scratch_bytes<T>(n));
    const HaloLine<T> line(n, radius, pieces), second(n, radius, pieces);
    const RowReader<T> a(args.in[0], pieces.take<T>(n));
    const RowReader<T> b(args.in[n_in - 1], pieces.take<T>(n));
    for (int64_t r = rows.begin * each; r < rows.end * each; ++r) {
      if constexpr (n_in == 1) {
        f(n, a[r], y.ptr<T>() + r * n, line);
      } else {
        f(n, a[r], b[r], y.ptr<T>() + r * n, line, second);
      }
    }
  });
}

template <class T>
FASTNN_INLINE void store_squares(const HaloLine<T>& line, const T* x, int64_t n) {
  map_row(line.inner(), n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    const Vec<T> v = load_part(x + i, count);
    return v * v;
  });
}

void window_sum(const KernelArgs& args) {
  for_rows<1>(
      "window_sum", args,
      [&](int64_t n, const auto* x, auto* y, const auto& line) FASTNN_LAMBDA_INLINE {
        map_row(line.inner(), n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
          return load_part(x + i, count);
        });
        map_row(y, n,
                [&](int64_t i, int) FASTNN_LAMBDA_INLINE { return line.window(i); });
      });
}

void lrn(const KernelArgs& args) {
  const double bias = args.attrs[1].f, alpha = args.attrs[2].f, beta = args.attrs[3].f;
  for_rows<1>("lrn", args,
              [&]<class T>(int64_t n, const T* x, T* y,
                           const HaloLine<T>& line) FASTNN_LAMBDA_INLINE {
                const T offset = static_cast<T>(bias), scale = static_cast<T>(alpha);
                store_squares(line, x, n);
                map_row(y, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                  const Vec<T> u = line.window(i) * scale + offset;
                  return load_part(x + i, count) * inverse_power<T>(u, beta);
                });
              });
}

// dx = dy u^-beta - 2 alpha beta x S(dy x u^-(beta + 1)), S the sum over windows.
void lrn_grad(const KernelArgs& args) {
  const double bias = args.attrs[1].f, alpha = args.attrs[2].f, beta = args.attrs[3].f;
  for_rows<2>(
      "lrn_grad", args,
      [&]<class T>(int64_t n, const T* dy, const T* x, T* dx, const HaloLine<T>& line,
                   const HaloLine<T>& terms) FASTNN_LAMBDA_INLINE {
        const T offset = static_cast<T>(bias), scale = static_cast<T>(alpha);
        const T factor = static_cast<T>(2 * alpha * beta);
        store_squares(line, x, n);
        map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
          const Vec<T> u = line.window(i) * scale + offset;
          const Vec<T> g = load_part(dy + i, count) * inverse_power<T>(u, beta);
          store_part(terms.inner() + i, g * load_part(x + i, count) / u, count);
          return g;
        });
        map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
          const Vec<T> around = load_part(x + i, count) * terms.window(i);
          return load_part(dx + i, count) - around * factor;
        });
      });
}

constexpr KernelEntry kEntries[] = {
    {"window_sum", window_sum, Split::kRows, "r", 1, "radius"},
    {"lrn", lrn, Split::kRows, "r", 1, "radius bias alpha beta"},
    {"lrn_grad", lrn_grad, Split::kRows, "rr", 1, "radius bias alpha beta"},
};

}  // namespace

extern const KernelFamily kFamily_lrn;
const KernelFamily kFamily_lrn = {"lrn", kEntries,
                                  sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
