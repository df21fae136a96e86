// SPDX-License-Identifier: Apache-2.0
// Group normalization of (images, ..., channels): statistics over the pixels and the
// channels of a group. Channels are taken as columns, as in batch normalization, and
// the moments of a group's channels merged, so no pixel is walked in short runs.
#include "base/scratch.hpp"
#include "kernels/norm/columns.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/simd/dtypes.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

struct Groups {
  int64_t pixels, channels, groups, per_group;
};
FASTNN_INLINE Groups groups_of(const TensorView& x, int64_t groups) {
  const int64_t channels = x.shape[x.ndim - 1];
  const int64_t pixels = channels ? x.row_size() / channels : 0;
  return {pixels, channels, groups, channels / groups};
}

template <class T>
void normalize_groups(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Groups s = groups_of(y, args.attrs[0].i);
  const double epsilon = args.attrs[1].f;
  const Range rows = row_range(y.rows(), args.part);
  const int64_t n = s.channels, size = s.pixels * n;
  if (rows.begin >= rows.end) return;
  const int64_t gathered = x.contiguous() ? 0 : size;
  T* space = static_cast<T*>(scratch((7 * n + gathered) * sizeof(T)));
  T *mean = space, *a = mean + n, *shift = a + n, *chunk = shift + n;
  const T* gamma = RowReader<T>(args.in[1], chunk + 2 * n, n)[0];
  const T* beta = RowReader<T>(args.in[2], chunk + 3 * n, n)[0];
  const RowReader<T> xs(x, chunk + 4 * n, size);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    T* means = args.out[1].ptr<T>() + r * s.groups;
    T* deviations = args.out[2].ptr<T>() + r * s.groups;
    const T* p = size ? xs[r] : nullptr;
    if (size) {
      for (int64_t c = 0; c < n; ++c)  // one for a group, so that its means can merge
        shift[c] = p[c / s.per_group * s.per_group];
      ColumnMoments<T> all(mean, a, n, shift, chunk);
      all.add(p, s.pixels, n);
      all.finish();
    }
    for (int64_t g = 0; g < s.groups; ++g) {
      const int64_t first = g * s.per_group;
      Moments<T> m = {0, T(0) / static_cast<T>(size)};
      for (int64_t c = 0; size && c < s.per_group; ++c) {
        // `a` holds variances: every channel counts as one value.
        merge(m, c, {mean[first + c], a[first + c]}, 1);
      }
      if (size) m.mean += shift_of(shift[first]);
      m.m2 /= static_cast<T>(s.per_group);
      const T deviation = T(1) / Traits<T>::sqrt(m.m2 + static_cast<T>(epsilon));
      means[g] = m.mean;
      deviations[g] = deviation;
      for (int64_t c = first; c < first + s.per_group; ++c) {
        mean[c] = m.mean;
        a[c] = deviation * gamma[c];
      }
    }
    affine_columns(p, y.ptr<T>() + r * size, s.pixels, n, n, mean, a, beta);
  }
}

template <class T>
void gradient_groups(const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const Groups s = groups_of(y, args.attrs[0].i);
  const Range rows = row_range(y.rows(), args.part);
  const int64_t n = s.channels, size = s.pixels * n;
  if (rows.begin >= rows.end) return;
  const int64_t gathered =
      (args.in[0].contiguous() && args.in[1].contiguous()) ? 0 : 2 * size;
  T* space = static_cast<T*>(scratch((7 * n + 2 * s.groups + gathered) * sizeof(T)));
  T *mean = space, *chunk = mean + 4 * n;
  const InputGradient<T> g = {mean + n, mean + 2 * n, mean + 3 * n};
  const T* gamma = RowReader<T>(args.in[2], chunk + 2 * n, n)[0];
  T* more = chunk + 3 * n;
  const RowReader<T> means(args.in[3], more, s.groups);
  const RowReader<T> deviations(args.in[4], more + s.groups, s.groups);
  more += 2 * s.groups;
  const RowReader<T> dys(args.in[0], more, size), xs(args.in[1], more + size, size);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const T *middle = means[r], *deviation = deviations[r];
    const T *dy = dys[r], *x = xs[r];
    T *dgamma = args.out[1].ptr<T>() + r * n, *dbeta = args.out[2].ptr<T>() + r * n;
    for (int64_t c = 0; c < n; ++c)
      mean[c] = middle[c / s.per_group];
    ColumnSums<T> sums(dbeta, dgamma, mean, n, chunk);
    sums.add(dy, x, s.pixels, n);
    sums.finish();
    const T scale = T(-1) / static_cast<T>(s.pixels * s.per_group);
    for (int64_t k = 0; k < s.groups; ++k) {
      const int64_t first = k * s.per_group, end = first + s.per_group;
      const T rk = deviation[k];
      T sum = 0, sum_xhat = 0;
      for (int64_t c = first; c < end; ++c) {
        dgamma[c] *= rk;
        sum += gamma[c] * dbeta[c];
        sum_xhat += gamma[c] * dgamma[c];
      }
      for (int64_t c = first; c < end; ++c) {
        g.a[c] = gamma[c] * rk;
        g.b[c] = rk * rk * sum_xhat * scale;
        g.c[c] = rk * sum * scale;
      }
    }
    gradient_columns(dy, x, y.ptr<T>() + r * size, s.pixels, n, n, mean, g);
  }
}

}  // namespace

void group_norm(const KernelArgs& args) {
  dispatch("group_norm", args.out[0].dtype, Floats{},
           [&](auto tag) { normalize_groups<typename decltype(tag)::type>(args); });
}
void group_norm_grad(const KernelArgs& args) {
  dispatch("group_norm_grad", args.out[0].dtype, Floats{},
           [&](auto tag) { gradient_groups<typename decltype(tag)::type>(args); });
}

FASTNN_END_NAMESPACE
