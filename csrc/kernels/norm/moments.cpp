// SPDX-License-Identifier: Apache-2.0
// Mean and variance over any axes.
#include "kernels/norm/moments.hpp"

#include "base/scratch.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/walk_reduce.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

template <class T>
void moments_row(const Walk& w, void* const* out) {
  Moments<T> all = {};
  T shift = 0;
  for_blocks<T, kMomentBlock>(
      w, [&](const T* p, int64_t n, int64_t at) FASTNN_LAMBDA_INLINE {
        if (at == 0) shift = p[0];
        merge(all, at, block_moments(p, n, shift), n);
      });
  const T n = static_cast<T>(count_of(w));
  *static_cast<T*>(out[0]) = n > 0 ? shift + all.mean : T(0) / n;  // NaN of nothing
  *static_cast<T*>(out[1]) = all.m2 / n;
}

template <class T>
void moments_columns(const Walk& w, int64_t columns, void* const* out) {
  T *mean = static_cast<T*>(out[0]), *variance = static_cast<T*>(out[1]);
  const int64_t rows = count_of(w), inner = w.shape[w.ndim - 1];
  if (rows == 0) {
    for (int64_t j = 0; j < columns; ++j)
      mean[j] = variance[j] = static_cast<T>(__builtin_nan(""));
    return;
  }
  T* space = static_cast<T*>(scratch(2 * columns * sizeof(T)));
  const T* shift = reinterpret_cast<const T*>(w.base[0]);
  ColumnMoments<T> all(mean, variance, columns, shift, space);
  const int64_t stride = w.stride[0][w.ndim - 1] / static_cast<int64_t>(sizeof(T));
  for (int64_t row = 0; row < rows; row += inner)
    all.add(reinterpret_cast<const T*>(row_pointer(w, row)), inner, stride);
  all.finish_absolute();
}

}  // namespace

void moments(const KernelArgs& args) {
  dispatch("moments", args.in[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    run_reduce(args, args.attrs[0].i, 2, moments_row<T>, moments_columns<T>);
  });
}

FASTNN_END_NAMESPACE
