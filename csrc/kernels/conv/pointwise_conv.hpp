// SPDX-License-Identifier: Apache-2.0
// Kernels of one element with stride 1: a matrix product of pixels and channels.
#pragma once

#include "kernels/conv/correlate.hpp"
#include "kernels/gemm/product.hpp"

FASTNN_BEGIN_NAMESPACE

// The pixels of an image stand at equal distances.
template <class T>
bool is_run(const Field<const T>& f, const int64_t* size) {
  if (size[1] > 1 && f.axis[1] != size[2] * f.axis[2]) return false;
  return size[0] <= 1 || f.axis[0] == size[1] * size[2] * f.axis[2];
}

template <class T>
bool is_pointwise(const Correlation<T>& op) {
  const Geometry& g = op.g;
  if (g.groups != 1) return false;
  for (int i = 0; i < kAxes; ++i) {
    if (g.kernel[i] != 1 || g.stride[i] != 1 || g.pad[i] != 0) return false;
    if (g.in[i] != g.out[i]) return false;
  }
  // With one pixel per row the distance of rows is that of pixels.
  return g.in[2] > 1 && is_run(op.a, g.in) && (!op.y.data || is_run(op.y, g.in));
}

// The pixels begin .. end of image n: all of them in one product where images follow
// one another.
template <class T>
void pointwise_conv(Correlation<T> op, const Share& share) {
  const int64_t* size = op.c_size();
  const int64_t pixels = size[0] * size[1] * size[2];
  const Weights<T> w = op.weights(0);
  Product<T> p = {};
  p.m = op.g.images * pixels, p.n = op.c_channels, p.k = op.a_channels;
  p.a = op.a.data, p.rsa = op.a.axis[2], p.csa = op.a.last;
  p.b = w.data, p.rsb = w.row, p.csb = w.col;
  p.c = op.c.data, p.ldc = op.c_channels;
  p.epilogue = op.epilogue;
  p.epilogue.rsy = op.y.axis[2], p.epilogue.csy = p.n == 1 ? 1 : op.y.last;
  const bool joined = op.a.first == pixels * op.a.axis[2] &&
                      (!op.y.data || op.y.first == pixels * op.y.axis[2]);
  if (!joined) p.m = pixels;
  normalise(p);
  const bool transposed = prefers_transposed(p);
  const int64_t elements = scratch_elements(p, transposed);
  T* const buffer =
      static_cast<T*>(scratch((elements + bias_elements(op)) * sizeof(T)));
  copy_bias(op, buffer + elements);
  p.epilogue.bias = op.epilogue.bias;
  const int64_t begin = share.rows.begin * size[2], end = share.rows.end * size[2];
  for (int64_t at = begin; at < end;) {
    const int64_t n = joined ? 0 : at / pixels, first = at - n * pixels;
    const int64_t stop = joined ? end : min_of(end, (n + 1) * pixels);
    Product<T> q = p;
    q.m = stop - at, q.n = share.cols.end - share.cols.begin;
    q.a += n * op.a.first + first * p.rsa;
    q.b += share.cols.begin * p.csb;
    q.c += at * p.ldc + share.cols.begin;
    q.row = first, q.col = share.cols.begin;
    if (op.y.data) q.epilogue.y += n * op.y.first;
    if (transposed) transpose_operands(q);
    run_product(q, transposed, buffer);
    at = stop;
  }
}

FASTNN_END_NAMESPACE
