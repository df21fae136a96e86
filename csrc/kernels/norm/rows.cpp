// SPDX-License-Identifier: Apache-2.0
// Layer, RMS and unit normalization: a mean and a scale per row, the product of the
// trailing axes.
#include "base/scratch.hpp"
#include "kernels/norm/moments.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/flat_rows.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

FASTNN_INLINE int64_t trailing_size(const TensorView& x, int64_t axis) {
  int64_t n = 1;
  for (int d = static_cast<int>(axis); d < x.ndim; ++d)
    n *= x.shape[d];
  return n;
}

template <class T>
FASTNN_INLINE T sum_of_squares(const T* x, int64_t n) {
  return sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    const Vec<T> v = load_part(x + i, count);
    return v * v;
  });
}

template <class T>
FASTNN_INLINE T reciprocal_root(T x) {
  return T(1) / Traits<T>::sqrt(x);
}

template <class T>
void normalize_rows(const KernelArgs& args) {
  using V = Vec<T>;
  const TensorView &x = args.in[0], &y = args.out[0];
  const int64_t n = trailing_size(y, args.attrs[0].i);
  const Range rows = flat_rows(y, args.attrs[0].i, args.part, 1, 1);
  if (rows.begin >= rows.end) return;
  const T epsilon = static_cast<T>(args.attrs[1].f);
  const bool centered = args.attrs[2].i;
  T* space = static_cast<T*>(scratch(3 * n * sizeof(T)));
  const RowReader<T> xs(x, space, n);
  const T* gamma = RowReader<T>(args.in[1], space + n, n)[0];
  const T* beta = RowReader<T>(args.in[2], space + 2 * n, n)[0];
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const T* p = xs[r];
    Moments<T> m = {0, 0};
    if (centered) {
      const T shift = n ? shift_of(p[0]) : T(0);
      add_row_moments(m, 0, p, n, shift);
      m.mean += shift;
    } else {
      m.m2 = sum_of_squares(p, n);
    }
    const T deviation = reciprocal_root(m.m2 / static_cast<T>(n) + epsilon);
    args.out[1].ptr<T>()[r] = m.mean;
    args.out[2].ptr<T>()[r] = deviation;
    const V mean = splat<V>(m.mean), scale = splat<V>(deviation);
    map_row(y.ptr<T>() + r * n, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      const V xhat = (load_part(p + i, count) - mean) * scale;
      return xhat * load_part(gamma + i, count) + load_part(beta + i, count);
    });
  }
}

// What makes dx of one row: dx = dy gamma r + (x - mean) b + c.
template <class T>
struct RowGradient {
  T mean, r, b, c;
};

// Some rows together: dx, and what they add to dgamma and dbeta.
template <class T, int rows>
FASTNN_INLINE void gradient_of_rows(const T* dy, const T* x, T* dx, int64_t n,
                                    const T* gamma, const RowGradient<T>* g, T* dgamma,
                                    T* dbeta, bool first) {
  using V = Vec<T>;
  V mean[rows], r[rows], b[rows], c[rows];
  for (int i = 0; i < rows; ++i) {
    mean[i] = splat<V>(g[i].mean);
    r[i] = splat<V>(g[i].r);
    b[i] = splat<V>(g[i].b);
    c[i] = splat<V>(g[i].c);
  }
  for_columns<T>(n, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
    const V scale = load_part(gamma + j, count);
    V sum_xhat = V{}, sum = V{};
    if (!first) {
      sum_xhat = load_part(dgamma + j, count);
      sum = load_part(dbeta + j, count);
    }
    for (int i = 0; i < rows; ++i) {
      const V d = load_part(x + i * n + j, count) - mean[i];
      const V v = load_part(dy + i * n + j, count), vr = v * r[i];
      sum_xhat = sum_xhat + vr * d;
      sum = sum + v;
      store_part(dx + i * n + j, vr * scale + (d * b[i] + c[i]), count);
    }
    store_part(dgamma + j, sum_xhat, count);
    store_part(dbeta + j, sum, count);
  });
}

template <class T>
FASTNN_INLINE RowGradient<T> row_gradient(const T* dy, const T* x, int64_t n,
                                          const T* gamma, T mean, T r, bool centered) {
  using V = Vec<T>;
  const V m = splat<V>(mean);
  T sums[2];
  sum_row(
      n,
      [&](int64_t i, int count, V(&v)[2]) FASTNN_LAMBDA_INLINE {
        v[0] = load_part(dy + i, count) * load_part(gamma + i, count);
        v[1] = v[0] * (load_part(x + i, count) - m);
      },
      sums);
  const T scale = -r / static_cast<T>(n);
  return {mean, r, scale * r * r * sums[1], centered ? scale * sums[0] : T(0)};
}

template <class T>
void gradient_rows(const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const int64_t n = trailing_size(y, args.attrs[0].i);
  const Range rows = flat_rows(y, args.attrs[0].i, args.part, kGradMinRows, kGradRows);
  if (rows.begin >= rows.end) return;
  const bool centered = args.attrs[1].i;
  T* space = static_cast<T*>(scratch((2 * kGradRows + 1) * n * sizeof(T)));
  const RowReader<T> dys(args.in[0], space, n),
      xs(args.in[1], space + kGradRows * n, n);
  const T* gamma = RowReader<T>(args.in[2], space + 2 * kGradRows * n, n)[0];
  T one[2];
  const RowReader<T> means(args.in[3], one, 1), deviations(args.in[4], one + 1, 1);
  for (int64_t at = rows.begin; at < rows.end; at += kGradRows) {
    const int count =
        static_cast<int>(rows.end - at < kGradRows ? rows.end - at : kGradRows);
    const T *dy = dys.rows(at, count), *x = xs.rows(at, count);
    T* dx = y.ptr<T>() + at * n;
    T* dgamma = args.out[1].ptr<T>() + at / kGradRows * n;
    T* dbeta = args.out[2].ptr<T>() + at / kGradRows * n;
    RowGradient<T> g[kGradRows];
    for (int i = 0; i < count; ++i) {
      g[i] = row_gradient(dy + i * n, x + i * n, n, gamma, *means[at + i],
                          *deviations[at + i], centered);
    }
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      const int64_t skip = i * n;
      gradient_of_rows<T, 4>(dy + skip, x + skip, dx + skip, n, gamma, g + i, dgamma,
                             dbeta, i == 0);
    }
    for (; i < count; ++i) {
      const int64_t skip = i * n;
      gradient_of_rows<T, 1>(dy + skip, x + skip, dx + skip, n, gamma, g + i, dgamma,
                             dbeta, i == 0);
    }
  }
}

template <class T>
void unit_rows(const KernelArgs& args) {
  using V = Vec<T>;
  const TensorView& y = args.out[0];
  const int64_t n = y.shape[y.ndim - 1];
  const Range rows = flat_rows(y, y.ndim - 1, args.part, 1, 1);
  if (rows.begin >= rows.end) return;
  const T largest = static_cast<T>(1 / args.attrs[0].f);
  const RowReader<T> xs(args.in[0], static_cast<T*>(scratch(n * sizeof(T))), n);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const T* p = xs[r];
    const T s = reciprocal_root(sum_of_squares(p, n));
    const T scale = s > largest ? largest : s;  // NaN passes
    args.out[1].ptr<T>()[r] = scale;
    map_row(y.ptr<T>() + r * n, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(p + i, count) * splat<V>(scale);
    });
  }
}

// scale (dy - y sum(dy y)); where the scale is limited, scale dy.
template <class T>
void unit_gradient_rows(const KernelArgs& args) {
  using V = Vec<T>;
  const TensorView& dx = args.out[0];
  const int64_t n = dx.shape[dx.ndim - 1];
  const Range rows = flat_rows(dx, dx.ndim - 1, args.part, 1, 1);
  if (rows.begin >= rows.end) return;
  const T largest = static_cast<T>(1 / args.attrs[0].f);
  T* space = static_cast<T*>(scratch(2 * n * sizeof(T)));
  const RowReader<T> dys(args.in[0], space, n), ys(args.in[1], space + n, n);
  T one;
  const RowReader<T> scales(args.in[2], &one, 1);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const T *dy = dys[r], *y = ys[r], scale = *scales[r];
    T dot = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(dy + i, count) * load_part(y + i, count);
    });
    if (scale >= largest) dot = 0;
    const V s = splat<V>(scale), t = splat<V>(dot);
    map_row(dx.ptr<T>() + r * n, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return s * (load_part(dy + i, count) - load_part(y + i, count) * t);
    });
  }
}

}  // namespace

void layer_norm(const KernelArgs& args) {
  dispatch("layer_norm", args.out[0].dtype, Floats{},
           [&](auto tag) { normalize_rows<typename decltype(tag)::type>(args); });
}
void layer_norm_grad(const KernelArgs& args) {
  dispatch("layer_norm_grad", args.out[0].dtype, Floats{},
           [&](auto tag) { gradient_rows<typename decltype(tag)::type>(args); });
}
void unit_norm(const KernelArgs& args) {
  dispatch("unit_norm", args.out[0].dtype, Floats{},
           [&](auto tag) { unit_rows<typename decltype(tag)::type>(args); });
}
void unit_norm_grad(const KernelArgs& args) {
  dispatch("unit_norm_grad", args.out[0].dtype, Floats{},
           [&](auto tag) { unit_gradient_rows<typename decltype(tag)::type>(args); });
}

FASTNN_END_NAMESPACE
