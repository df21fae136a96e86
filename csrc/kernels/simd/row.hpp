// SPDX-License-Identifier: Apache-2.0
// Reducing a contiguous row: blocks of fixed size in vector lanes, block results in a
// binary tree (pairwise summation). Also used by softmax and the losses.
#pragma once

#include "kernels/simd/strided.hpp"
#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

// Elements per block: a constant of all instruction sets.
inline constexpr int64_t kRowBlock = 512;

// Operations on scalars and on vectors of any width; `start` is the neutral element.
struct SumOp {
  template <class T>
  static constexpr T start() {
    return 0;
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a + b;
  }
};
struct ProdOp {
  template <class T>
  static constexpr T start() {
    return 1;
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a * b;
  }
};
// -infinity, or the most negative integer.
template <class T>
constexpr T lowest() {
  if constexpr (kIsFloat<T>) {
    return -__builtin_inf();
  } else {
    return static_cast<T>(UIntOf<T>{1} << (8 * sizeof(T) - 1));
  }
}
struct MaxOp {
  template <class T>
  static constexpr T start() {
    return lowest<T>();
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return ((a > b) | (a != a)) ? a : b;  // NaN wins
  }
};
struct MinOp {
  template <class T>
  static constexpr T start() {
    if constexpr (kIsFloat<T>) {
      return __builtin_inf();
    } else {
      return ~lowest<T>();
    }
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return ((a < b) | (a != a)) ? a : b;
  }
};
// On bytes 0 and 1.
struct AnyOp {
  template <class T>
  static constexpr T start() {
    return 0;
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a | b;
  }
};
struct AllOp {
  template <class T>
  static constexpr T start() {
    return 1;
  }
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a & b;
  }
};

// The first n lanes of v, `fill` in the others.
template <class T>
FASTNN_INLINE Vec<T> keep_lanes(Vec<T> v, int n, T fill) {
  using I = IntOf<Vec<T>>;
  return select(bits_as<I>(iota<ElemOf<I>>()) < static_cast<ElemOf<I>>(n), v,
                splat<Vec<T>>(fill));
}

// n <= kRowBlock contiguous elements to one vector of partial results.
template <class Op, class T>
FASTNN_OUTLINE Vec<T> reduce_block(const T* p, int64_t n) {
  using V = Vec<T>;
  constexpr int L = lanes<T>;
  const Op op{};
  const V start = splat<V>(Op::template start<T>());
  V acc[4] = {start, start, start, start};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    for (int j = 0; j < 4; ++j)
      acc[j] = op(acc[j], load(p + i + j * L));
  }
  for (; i + L <= n; i += L)
    acc[0] = op(acc[0], load(p + i));
  const int rest = static_cast<int>(n - i);
  if (rest) {
    const T fill = Op::template start<T>();
    acc[1] = op(acc[1], keep_lanes<T>(load_n(p + i, rest), rest, fill));
  }
  return op(op(acc[0], acc[1]), op(acc[2], acc[3]));
}

// Lane r is fold_lanes of v[r], with the same operations in the same order: each step
// folds the upper halves of two vectors' groups onto the lower ones, side by side in
// one vector, so sixteen rows cost two shuffles each instead of eight.
template <int rows, class V, int... i>
FASTNN_INLINE V halves(V a, V b, int upper, Indices<i...>) {
  constexpr int n = sizeof...(i), group = n / rows, half = group / 2;
  const V low = __builtin_shufflevector(
      a, b, (i / half % rows * group + i % half + (i / half < rows ? 0 : n))...);
  const V high = __builtin_shufflevector(
      a, b, (i / half % rows * group + i % half + half + (i / half < rows ? 0 : n))...);
  return upper ? high : low;
}
template <int rows, class Op, class V>
FASTNN_INLINE V fold_rows(const V* v, Op op) {
  using T = ElemOf<V>;
  if constexpr (rows == 1) {
    return v[0];
  } else {
    const typename CountTo<lanes<T>>::type all;
    const V a = fold_rows<rows / 2>(v, op), b = fold_rows<rows / 2>(v + rows / 2, op);
    return op(halves<rows / 2>(a, b, 0, all), halves<rows / 2>(a, b, 1, all));
  }
}

// Combines block results in a binary tree: level k holds the result of 2^k blocks.
template <class Op, class T, int vectors>
class Cascade {
 public:
  FASTNN_INLINE void push(const Vec<T> (&block)[vectors]) {
    Vec<T> v[vectors];
    for (int j = 0; j < vectors; ++j)
      v[j] = block[j];
    int k = 0;
    for (; blocks_ >> k & 1; ++k) {
      for (int j = 0; j < vectors; ++j)
        v[j] = Op{}(level_[k][j], v[j]);
    }
    for (int j = 0; j < vectors; ++j)
      level_[k][j] = v[j];
    ++blocks_;
  }
  FASTNN_INLINE void finish(Vec<T> (&out)[vectors]) const {
    for (int j = 0; j < vectors; ++j)
      out[j] = splat<Vec<T>>(Op::template start<T>());
    for (int k = 0; blocks_ >> k; ++k) {
      if (!(blocks_ >> k & 1)) continue;
      for (int j = 0; j < vectors; ++j)
        out[j] = Op{}(level_[k][j], out[j]);
    }
  }

 private:
  Vec<T> level_[48][vectors];  // only the levels in use are written or read
  uint64_t blocks_ = 0;
};

// All of a contiguous row.
template <class Op, class T>
FASTNN_INLINE T reduce_contiguous(const T* p, int64_t n) {
  if (n <= kRowBlock) return fold_lanes<T>(reduce_block<Op>(p, n), Op{});
  Cascade<Op, T, 1> all;
  for (int64_t at = 0; at < n; at += kRowBlock) {
    const Vec<T> block[1] = {
        reduce_block<Op>(p + at, n - at < kRowBlock ? n - at : kRowBlock)};
    all.push(block);
  }
  Vec<T> result[1];
  all.finish(result);
  return fold_lanes<T>(result[0], Op{});
}

// A whole vector, or its first `count` elements.
template <class T>
FASTNN_INLINE Vec<T> load_part(const T* p, int count) {
  return count == lanes<T> ? load(p) : load_n(p, count);
}
template <class T>
FASTNN_INLINE void store_part(T* p, Vec<T> v, int count) {
  if (count == lanes<T>) {
    store(p, v);
  } else {
    store_n(p, v, count);
  }
}

// Sums over a row: term(i, count, v) sets v[k] to what the elements i .. i + count - 1
// add to out[k]. Several accumulators, because an addition takes four cycles.
template <class T, int sums, class F>
FASTNN_INLINE void sum_row(int64_t n, F term, T (&out)[sums]) {
  using V = Vec<T>;
  constexpr int kUnroll = sums == 1 ? 4 : 2;
  constexpr int L = lanes<T>;
  Cascade<SumOp, T, sums> all;
  V block[sums];
  for (int64_t start = 0; start < n || start == 0; start += kRowBlock) {
    const int64_t end = n - start < kRowBlock ? n : start + kRowBlock;
    V acc[kUnroll][sums] = {}, v[sums];
    int64_t i = start;
    for (; i + kUnroll * L <= end; i += kUnroll * L) {
      for (int u = 0; u < kUnroll; ++u) {
        term(i + u * L, L, v);
        for (int k = 0; k < sums; ++k)
          acc[u][k] = acc[u][k] + v[k];
      }
    }
    for (; i + L <= end; i += L) {
      term(i, L, v);
      for (int k = 0; k < sums; ++k)
        acc[0][k] = acc[0][k] + v[k];
    }
    const int rest = static_cast<int>(end - i);
    if (rest) {
      term(i, rest, v);
      for (int k = 0; k < sums; ++k)
        acc[1][k] = acc[1][k] + keep_lanes<T>(v[k], rest, T(0));
    }
    for (int k = 0; k < sums; ++k) {
      block[k] = acc[0][k] + acc[1][k];
      if constexpr (kUnroll == 4) block[k] = block[k] + (acc[2][k] + acc[3][k]);
    }
    if (n > kRowBlock) all.push(block);
  }
  if (n > kRowBlock) all.finish(block);
  for (int k = 0; k < sums; ++k)
    out[k] = fold_lanes<T>(block[k], SumOp{});
}

// One sum: of term(i, count), the vector of elements i .. i + count - 1.
template <class T, class F>
FASTNN_INLINE T sum_row(int64_t n, F term) {
  T out[1];
  sum_row(
      n,
      [&](int64_t i, int count, Vec<T>(&v)[1])
          FASTNN_LAMBDA_INLINE { v[0] = term(i, count); },
      out);
  return out[0];
}

// out[i] = value(i, count), vector by vector.
template <class T, class F>
FASTNN_INLINE void map_row(T* out, int64_t n, F value) {
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>)
    store(out + i, value(i, lanes<T>));
  const int rest = static_cast<int>(n - i);
  if (rest) store_n(out + i, value(i, rest), rest);
}

// Calls f(j, count) for the vectors of columns [0, n); count < lanes at the end only.
template <class T, class F>
FASTNN_INLINE void for_columns(int64_t n, F f) {
  int64_t j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>)
    f(j, lanes<T>);
  if (j < n) f(j, static_cast<int>(n - j));
}

// Runs of an input of any strides by flat index: in place when contiguous, else copied
// to `buffer`, which holds the longest of them.
template <class T>
class FlatReader {
 public:
  FASTNN_INLINE FlatReader(const TensorView& x, T* buffer)
      : base_(x.ptr<const T>()), buffer_(buffer), contiguous_(x.contiguous()) {
    const TensorView* view = &x;
    if (!contiguous_) walk_ = make_walk(&view, 1, {0, x.rows()});
  }
  FASTNN_INLINE const T* read(int64_t start, int64_t n) const {
    if (contiguous_) return base_ + start;
    gather((char*)buffer_, walk_, 0, start, n, sizeof(T));
    return buffer_;
  }

 private:
  Walk walk_;
  const T* base_;
  T* buffer_;
  bool contiguous_;
};

// The same by rows of `n` elements, by default the last axis.
template <class T>
class RowReader {
 public:
  FASTNN_INLINE RowReader(const TensorView& x, T* buffer)
      : RowReader(x, buffer, x.ndim ? x.shape[x.ndim - 1] : 1) {}
  FASTNN_INLINE RowReader(const TensorView& x, T* buffer, int64_t n)
      : flat_(x, buffer), n_(n) {}
  FASTNN_INLINE const T* operator[](int64_t row) const { return rows(row, 1); }
  FASTNN_INLINE const T* rows(int64_t row, int64_t count) const {
    return flat_.read(row * n_, count * n_);
  }

 private:
  FlatReader<T> flat_;
  int64_t n_;
};

FASTNN_END_NAMESPACE
