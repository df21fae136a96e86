// SPDX-License-Identifier: Apache-2.0
// Batch normalization. Training kernels give each part some of the channels, so a part
// has all it needs for its channels' statistics and no barrier stands between the two
// passes over memory.
#include "base/scratch.hpp"
#include "kernels/norm/columns.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/simd/dtypes.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// x as (outer, channels, inner): inner is 1 where the channels come last.
struct Layout {
  int64_t outer = 1, channels = 1, inner = 1;
};
FASTNN_INLINE Layout layout_of(const TensorView& x, int64_t axis) {
  Layout s;
  for (int d = 0; d < x.ndim; ++d)
    (d < axis ? s.outer : d == axis ? s.channels : s.inner) *= x.shape[d];
  return s;
}

// Channels of a part: whole cache lines of floats where they lie side by side.
FASTNN_INLINE Range channel_range(const Layout& s, Part part) {
  const int64_t block = s.inner == 1 ? 16 : 1;
  const int64_t blocks = (s.channels + block - 1) / block;
  const int64_t begin = blocks * part.index / part.count * block;
  const int64_t end = blocks * (part.index + 1) / part.count * block;
  return {begin < s.channels ? begin : s.channels, end < s.channels ? end : s.channels};
}

// to[j] = 1 / sqrt(variance[j] + epsilon)
template <class T>
FASTNN_INLINE void reciprocal_deviation(T* to, const T* variance, int64_t n,
                                        double epsilon) {
  using V = Vec<T>;
  for_columns<T>(n, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
    const V v = load_part(variance + j, count) + constant<V>(epsilon);
    store_part(to + j, constant<V>(1) / sqrt(v), count);
  });
}

// Elements [begin, end) of a rank-1 operand.
template <class T>
FASTNN_INLINE void copy_vector(T* to, const TensorView& x, Range r) {
  copy_run((char*)to, (const char*)(x.ptr<const T>() + r.begin * x.stride[0]),
           x.stride[0] * sizeof(T), r.end - r.begin, sizeof(T));
}

template <class T>
FASTNN_INLINE void multiply_vectors(T* a, const T* b, int64_t n) {
  for_columns<T>(n, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
    store_part(a + j, load_part(a + j, count) * load_part(b + j, count), count);
  });
}

template <class T>
FASTNN_INLINE T* take(T*& space, int64_t n) {
  T* p = space;
  space += n;
  return p;
}

template <class T>
FASTNN_INLINE void statistics(const T* x, const Layout& s, Range channels, T* mean,
                              T* variance, T* space) {
  const int64_t n = channels.end - channels.begin;
  if (s.inner == 1) {
    const T* first = x + channels.begin;
    ColumnMoments<T> all(mean, variance, n, first, space);
    all.add(first, s.outer, s.channels);
    return all.finish_absolute();
  }
  for (int64_t c = 0; c < n; ++c) {
    Moments<T> all = {};
    const T shift = shift_of(x[(channels.begin + c) * s.inner]);
    for (int64_t o = 0; o < s.outer; ++o) {
      const T* run = x + (o * s.channels + channels.begin + c) * s.inner;
      add_row_moments(all, o * s.inner, run, s.inner, shift);
    }
    mean[c] = shift + all.mean;
    variance[c] = all.m2 / static_cast<T>(s.outer * s.inner);
  }
}

// y = (x - mean) a + b of the n channels and `images` images that begin at x and y.
template <class T>
FASTNN_INLINE void apply_affine(const T* x, T* y, const Layout& s, int64_t images,
                                int64_t n, const T* mean, const T* a, const T* b) {
  if (s.inner == 1) {
    return affine_columns(x, y, images, s.channels, n, mean, a, b);
  }
  for (int64_t o = 0; o < images; ++o) {
    for (int64_t c = 0; c < n; ++c) {
      const int64_t at = (o * s.channels + c) * s.inner;
      affine_run(x + at, y + at, s.inner, mean[c], a[c], b[c]);
    }
  }
}

template <class T>
void train(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Layout s = layout_of(y, args.attrs[0].i);
  const Range channels = channel_range(s, args.part);
  const int64_t n = channels.end - channels.begin, count = y.numel();
  if (n <= 0) return;
  T* mean = args.out[1].ptr<T>() + channels.begin;
  T* variance = args.out[2].ptr<T>() + channels.begin;
  if (count == 0) {
    for (int64_t c = 0; c < n; ++c)
      mean[c] = variance[c] = static_cast<T>(__builtin_nan(""));
    return;
  }
  const int64_t gathered = x.contiguous() ? 0 : count;
  T* space = static_cast<T*>(scratch((5 * n + gathered) * sizeof(T)));
  T *a = take(space, n), *b = take(space, n), *gamma = take(space, n);
  T* chunk = take(space, 2 * n);
  const T* from = dense(x, space);
  statistics(from, s, channels, mean, variance, chunk);
  reciprocal_deviation(a, variance, n, args.attrs[1].f);
  copy_vector(gamma, args.in[1], channels);
  multiply_vectors(a, gamma, n);
  copy_vector(b, args.in[2], channels);
  const int64_t at = channels.begin * s.inner;
  apply_affine(from + at, y.ptr<T>() + at, s, s.outer, n, mean, a, b);
}

template <class T>
FASTNN_INLINE void gradient_sums(const T* dy, const T* x, const Layout& s,
                                 Range channels, const T* mean, T* sum_dy, T* sum_dyx,
                                 T* space) {
  const int64_t n = channels.end - channels.begin;
  if (s.inner == 1) {
    ColumnSums<T> sums(sum_dy, sum_dyx, mean, n, space);
    sums.add(dy + channels.begin, x + channels.begin, s.outer, s.channels);
    return sums.finish();
  }
  for (int64_t c = 0; c < n; ++c) {
    T total = 0, total_x = 0;
    const Vec<T> m = splat<Vec<T>>(mean[c]);
    for (int64_t o = 0; o < s.outer; ++o) {
      const int64_t start = (o * s.channels + channels.begin + c) * s.inner;
      const T *g = dy + start, *v = x + start;
      total += reduce_contiguous<SumOp>(g, s.inner);
      total_x += sum_row<T>(s.inner, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
        return load_part(g + i, count) * (load_part(v + i, count) - m);
      });
    }
    sum_dy[c] = total;
    sum_dyx[c] = total_x;
  }
}

// dx = gamma r (dy - mean(dy) - xhat mean(dy xhat)), r the reciprocal deviation and
// xhat = (x - mean) r, as dy a + (x - mean) b + c. Turns sum(dy (x - mean)) into
// dgamma = sum(dy xhat).
template <class T>
FASTNN_INLINE void input_gradient(const InputGradient<T>& g, const T* gamma, const T* r,
                                  const T* dbeta, T* dgamma, int64_t n, int64_t size) {
  using V = Vec<T>;
  const V scale = splat<V>(T(-1) / static_cast<T>(size));
  for_columns<T>(n, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
    const V rj = load_part(r + j, count), a = load_part(gamma + j, count) * rj;
    const V sum_xhat = load_part(dgamma + j, count) * rj;
    store_part(dgamma + j, sum_xhat, count);
    store_part(g.a + j, a, count);
    store_part(g.b + j, a * rj * sum_xhat * scale, count);
    store_part(g.c + j, a * load_part(dbeta + j, count) * scale, count);
  });
}

template <class T>
void train_gradient(const KernelArgs& args) {
  const TensorView& dx = args.out[0];
  const Layout s = layout_of(dx, args.attrs[0].i);
  const Range channels = channel_range(s, args.part);
  const int64_t n = channels.end - channels.begin, count = dx.numel();
  if (n <= 0) return;
  T* dgamma = args.out[1].ptr<T>() + channels.begin;
  T* dbeta = args.out[2].ptr<T>() + channels.begin;
  const int64_t gathered =
      (args.in[0].contiguous() ? 0 : count) + (args.in[1].contiguous() ? 0 : count);
  T* space = static_cast<T*>(scratch((8 * n + gathered) * sizeof(T)));
  T *mean = take(space, n), *r = take(space, n), *gamma = take(space, n);
  const InputGradient<T> g = {take(space, n), take(space, n), take(space, n)};
  T* chunk = take(space, 2 * n);
  const T* x = dense(args.in[1], space);
  const T* dy = dense(args.in[0], args.in[1].contiguous() ? space : space + count);
  copy_vector(gamma, args.in[2], channels);
  copy_vector(mean, args.in[3], channels);
  copy_vector(r, args.in[4], channels);
  reciprocal_deviation(r, r, n, args.attrs[1].f);
  gradient_sums(dy, x, s, channels, mean, dbeta, dgamma, chunk);
  input_gradient(g, gamma, r, dbeta, dgamma, n, s.outer * s.inner);
  T* to = dx.ptr<T>();
  if (s.inner == 1) {
    const int64_t at = channels.begin;
    gradient_columns(dy + at, x + at, to + at, s.outer, s.channels, n, mean, g);
    return;
  }
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t c = 0; c < n; ++c) {
      const int64_t at = (o * s.channels + channels.begin + c) * s.inner;
      gradient_run(dy + at, x + at, to + at, s.inner, mean[c], g.a[c], g.b[c], g.c[c]);
    }
  }
}

template <class T>
void apply(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const int64_t axis = args.attrs[0].i;
  const Layout s = layout_of(y, axis);
  const Range rows = row_range(y.rows(), args.part);
  if (rows.begin >= rows.end || y.numel() == 0) return;
  Range channels = {0, s.channels};
  int64_t images = 1;
  if (axis == 0) {
    channels = rows;
  } else {
    images = (rows.end - rows.begin) * (s.outer / y.rows());
  }
  const int64_t n = channels.end - channels.begin;
  const int64_t size = (rows.end - rows.begin) * y.row_size();
  const int64_t gathered = x.contiguous() ? 0 : size;
  T* space = static_cast<T*>(scratch((4 * n + gathered) * sizeof(T)));
  T *mean = take(space, n), *a = take(space, n), *b = take(space, n);
  T* gamma = take(space, n);
  copy_vector(mean, args.in[1], channels);
  copy_vector(a, args.in[2], channels);
  reciprocal_deviation(a, a, n, args.attrs[1].f);
  copy_vector(gamma, args.in[3], channels);
  multiply_vectors(a, gamma, n);
  copy_vector(b, args.in[4], channels);
  const int64_t start = rows.begin * y.row_size();
  const T* from = x.ptr<const T>() + start;
  if (gathered) {
    const TensorView* view = &x;
    gather((char*)space, make_walk(&view, 1, rows), 0, 0, size, sizeof(T));
    from = space;
  }
  apply_affine(from, y.ptr<T>() + start, s, images, n, mean, a, b);
}

}  // namespace

void batch_norm(const KernelArgs& args) {
  dispatch("batch_norm", args.out[0].dtype, Floats{},
           [&](auto tag) { train<typename decltype(tag)::type>(args); });
}
void batch_norm_grad(const KernelArgs& args) {
  dispatch("batch_norm_grad", args.out[0].dtype, Floats{},
           [&](auto tag) { train_gradient<typename decltype(tag)::type>(args); });
}
void batch_norm_apply(const KernelArgs& args) {
  dispatch("batch_norm_apply", args.out[0].dtype, Floats{},
           [&](auto tag) { apply<typename decltype(tag)::type>(args); });
}

FASTNN_END_NAMESPACE
