// SPDX-License-Identifier: Apache-2.0
// Sorting along the last axis and searching in what is sorted. Values become signed
// integer keys of the same order, with every NaN last as in NumPy. Short rows go
// through a bitonic network of whole vectors, long ones through a quicksort down to
// networks; 64-bit keys with their positions through a radix sort. Positions of 32-bit
// keys are the low half of a 64-bit item, which makes the order stable.
#include "base/scratch.hpp"
#include "kernels/simd/compress.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/network.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// ---- keys
// -----------------------------------------------------------------------------

// Bits of a float to an integer of the same order, and back.
template <class I>
FASTNN_INLINE I flip_negative(I bits) {
  const I negative = bits >> (8 * static_cast<int>(sizeof(ElemOf<I>)) - 1);
  return bits ^ (negative & splat<I>(~lowest<ElemOf<I>>()));
}
// Integers in the order of x, a scalar or a vector; -0 before +0, NaN is the largest.
template <class V>
FASTNN_INLINE IntOf<V> key_of(V x) {
  using I = IntOf<V>;
  if constexpr (kIsFloat<V>) {
    const I largest = splat<I>(~lowest<ElemOf<I>>());
    return select(x != x, largest, flip_negative(bits_as<I>(x)));
  } else {
    return bits_as<I>(x);
  }
}
template <class V>
FASTNN_INLINE V value_of(IntOf<V> key) {
  if constexpr (kIsFloat<V>) {
    return bits_as<V>(flip_negative(key));
  } else {
    return bits_as<V>(key);
  }
}
// The same for ranking: -0 and +0 are equal.
template <class V>
FASTNN_INLINE IntOf<V> rank_of(V x) {
  const IntOf<V> key = key_of(x);
  if constexpr (kIsFloat<V>) return select(x == splat<V>(0), splat<IntOf<V>>(0), key);
  return key;
}

// A key with the position it came from, ordered by both.
struct Pair {
  int64_t key, index;
};
FASTNN_INLINE int64_t make_item(int32_t key, int64_t i) {
  return static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(key)) << 32 |
                              static_cast<uint32_t>(i));
}
FASTNN_INLINE Pair make_item(int64_t key, int64_t i) { return {key, i}; }
FASTNN_INLINE int64_t index_of(int64_t item) { return static_cast<uint32_t>(item); }
FASTNN_INLINE int64_t index_of(Pair item) { return item.index; }
FASTNN_INLINE uint32_t digits_of(int32_t item) {
  return static_cast<uint32_t>(item) ^ 0x80000000u;
}
FASTNN_INLINE uint64_t digits_of(int64_t item) {
  return static_cast<uint64_t>(item) ^ (uint64_t{1} << 63);
}
FASTNN_INLINE uint64_t digits_of(Pair item) { return digits_of(item.key); }

template <class T>
using Item = decltype(make_item(IntOf<T>{}, 0));

// Rows up to this length are sorted at once: by a network, pairs by insertion.
template <class T>
constexpr int64_t kAtOnce = kNetwork<T>;
template <>
constexpr int64_t kAtOnce<Pair> = 32;

// ---- radix
// ----------------------------------------------------------------------------

// Items by their bytes from `first` on, least significant first; bytes in which all
// agree cost nothing. Returns where the result is, a or b.
template <class T>
FASTNN_OUTLINE T* radix_sort(T* a, T* b, int64_t n, int first) {
  using U = decltype(digits_of(T{}));
  constexpr int kDigits = sizeof(U);
  uint32_t count[kDigits][256];
  __builtin_memset(count, 0, sizeof count);
  for (int64_t i = 0; i < n; ++i) {
    const U u = digits_of(a[i]);
    for (int d = 0; d < kDigits; ++d)
      ++count[d][u >> (8 * d) & 255];
  }
  for (int d = first; d < kDigits; ++d) {
    uint32_t* start = count[d];
    if (start[digits_of(a[0]) >> (8 * d) & 255] == n) continue;
    uint32_t sum = 0;
    for (int v = 0; v < 256; ++v) {
      const uint32_t here = start[v];
      start[v] = sum;
      sum += here;
    }
    for (int64_t i = 0; i < n; ++i) {
      const T item = a[i];
      b[start[digits_of(item) >> (8 * d) & 255]++] = item;
    }
    T* done = b;
    b = a;
    a = done;
  }
  return a;
}

// ---- partition
// ------------------------------------------------------------------------

#if defined(FASTNN_HAS_COMPRESS)
// What does not exceed the pivot to the front of a, the rest behind it; returns how
// many stay in front. In place: four vectors at either end are held in registers, so
// that there is always room at both for the next four, read where less room is left.
template <class T>
FASTNN_OUTLINE int64_t partition(T* a, T* b, int64_t n, T pivot) {
  constexpr int L = lanes<T>, kBlock = 4;
  const Vec<T> bound = splat<Vec<T>>(pivot);
  Vec<T> first[kBlock], last[kBlock], v[kBlock];
  T *front = a, *back = a + n;
  const T *left = a + kBlock * L, *right = back - kBlock * L;
#pragma GCC unroll 4
  for (int i = 0; i < kBlock; ++i)
    first[i] = load(a + i * L), last[i] = load(right + i * L);
  while (right - left >= kBlock * L) {
    const bool from_left = left - front < back - right;
    right -= from_left ? 0 : kBlock * L;
    const T* from = from_left ? left : right;
    left += from_left ? kBlock * L : 0;
#pragma GCC unroll 4
    for (int i = 0; i < kBlock; ++i)
      v[i] = load(from + i * L);
#pragma GCC unroll 4
    for (int i = 0; i < kBlock; ++i)
      split_to(v[i], bound, front, back);
  }
  const int64_t rest = right - left;
  __builtin_memcpy(b, left, rest * sizeof(T));
#pragma GCC unroll 4
  for (int i = 0; i < kBlock; ++i) {
    split_to(first[i], bound, front, back);
    split_to(last[i], bound, front, back);
  }
  int64_t i = 0;
  for (; i + L <= rest; i += L)
    split_to(load(b + i), bound, front, back);
  for (; i < rest; ++i) {
    if (b[i] <= pivot) {
      *front++ = b[i];
    } else {
      *--back = b[i];
    }
  }
  return front - a;
}
#else
// The same through b.
template <class T>
FASTNN_OUTLINE int64_t partition(T* a, T* b, int64_t n, T pivot) {
  int64_t left = 0, right = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T x = a[i];
    a[left] = x;
    b[right] = x;
    left += x <= pivot;
    right += x > pivot;
  }
  __builtin_memcpy(a + left, b, right * sizeof(T));
  return left;
}
#endif

// About the median: that of sixteen elements, or eight, spread over the range.
template <class T>
FASTNN_INLINE T choose_pivot(const T* a, int64_t n) {
  constexpr int L = lanes<T>, kSample = L < 8 ? 8 : L;
  alignas(64) T x[kSample];
  for (int i = 0; i < kSample; ++i)
    x[i] = a[n / kSample * i + n / (2 * kSample)];
  sort_network<kSample / L>(x);
  return x[kSample / 2];
}

// Quicksort; `patience` levels of it, then the radix sort, which no order slows down.
template <class T>
FASTNN_OUTLINE void quick_sort(T* a, T* b, int64_t n, int patience) {
  while (n > kNetwork<T>) {
    if (patience-- == 0) {
      const T* sorted = radix_sort(a, b, n, 0);
      if (sorted != a) __builtin_memcpy(a, sorted, n * sizeof(T));
      return;
    }
    const T pivot = choose_pivot(a, n);
    int64_t left = partition(a, b, n, pivot);
    if (left == n) {  // the pivot is the largest: take all that equal it out
      if (pivot == lowest<T>()) return;
      n = partition(a, b, n, static_cast<T>(pivot - 1));
      continue;
    }
    if (left < n - left) {
      quick_sort(a, b, left, patience);
      a += left;
      n -= left;
    } else {
      quick_sort(a + left, b, n - left, patience);
      n = left;
    }
  }
  if (n < 2) return;
  int64_t size = lanes<T>;
  while (size < n)
    size *= 2;
  __builtin_memcpy(b, a, n * sizeof(T));
  for (int64_t i = n; i < size; ++i)
    b[i] = ~lowest<T>();
  sort_network(b, size / lanes<T>);
  __builtin_memcpy(a, b, n * sizeof(T));
}

// n items in order, in a or in b, which have room for `room(n)` items each.
template <class T>
FASTNN_INLINE int64_t room(int64_t n) {
  return (n < kAtOnce<T> ? kAtOnce<T> : n) + 64;
}
template <class T>
FASTNN_INLINE T* sort_items(T* a, T* b, int64_t n, int) {
  int patience = 8;
  for (int64_t left = n; left > 1; left /= 2)
    patience += 2;
  quick_sort(a, b, n, patience);
  return a;
}
FASTNN_INLINE Pair* sort_items(Pair* a, Pair* b, int64_t n, int first) {
  if (n > kAtOnce<Pair>) return radix_sort(a, b, n, first);
  for (int64_t i = 1; i < n; ++i) {
    const Pair item = a[i];
    int64_t at = i;
    for (; at > 0 && a[at - 1].key > item.key; --at)
      a[at] = a[at - 1];
    a[at] = item;
  }
  return a;
}
// The first byte of an item that ranks: positions are in order from the start.
template <class T>
constexpr int kFirst = sizeof(T) == 4 ? 4 : 0;

constexpr int64_t kWhole = ~lowest<int64_t>();  // as many items as a row has

// ---- rows
// -----------------------------------------------------------------------------

// The rows of this part. A rank-1 array is one row, which part 0 has.
FASTNN_INLINE Range own_rows(const TensorView& x, const TensorView& y, Part part) {
  const int64_t n = x.shape[x.ndim - 1], m = y.shape[y.ndim - 1];
  if (n == 0 || m == 0) return {0, 0};
  if (y.ndim < 2) return {0, part.index == 0 ? 1 : 0};
  const Range rows = row_range(y.rows(), part);
  const int64_t each = y.row_size() / m;
  return {rows.begin * each, rows.end * each};
}

// Calls f(tag, rows, row length, reader, two arrays of `items`) for the dtype of in[0].
template <template <class> class Items, class F>
FASTNN_INLINE void for_rows(const char* name, const KernelArgs& args, int64_t items,
                            F f) {
  const TensorView& x = args.in[0];
  const Range rows = own_rows(x, args.out[0], args.part);
  if (rows.begin >= rows.end) return;
  const int64_t n = x.shape[x.ndim - 1];
  dispatch(name, x.dtype, Numbers{}, [&](auto tag) FASTNN_LAMBDA_INLINE {
    using T = typename decltype(tag)::type;
    using I = Items<T>;
    const int64_t size = room<I>(items < n ? items : n);
    const int64_t row_bytes = (n * sizeof(T) + 63) / 64 * 64;
    char* memory = static_cast<char*>(scratch(row_bytes + 2 * size * sizeof(I)));
    const RowReader<T> reader(x, reinterpret_cast<T*>(memory));
    I* a = reinterpret_cast<I*>(memory + row_bytes);
    f(tag, rows, n, reader, a, a + size);
  });
}

void sort(const KernelArgs& args) {
  for_rows<IntOf>("sort", args, kWhole,
                  [&](auto tag, Range rows, int64_t n, const auto& reader, auto* a,
                      auto* b) FASTNN_LAMBDA_INLINE {
                    using T = typename decltype(tag)::type;
                    for (int64_t r = rows.begin; r < rows.end; ++r) {
                      const T* x = reader[r];
                      map_row(a, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                        return key_of(load_part(x + i, count));
                      });
                      const IntOf<T>* sorted = sort_items(a, b, n, 0);
                      map_row(args.out[0].ptr<T>() + r * n, n,
                              [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                                return value_of<Vec<T>>(load_part(sorted + i, count));
                              });
                    }
                  });
}

void argsort(const KernelArgs& args) {
  for_rows<Item>("argsort", args, kWhole,
                 [&](auto tag, Range rows, int64_t n, const auto& reader, auto* a,
                     auto* b) FASTNN_LAMBDA_INLINE {
                   using T = typename decltype(tag)::type;
                   for (int64_t r = rows.begin; r < rows.end; ++r) {
                     const T* x = reader[r];
                     for (int64_t i = 0; i < n; ++i)
                       a[i] = make_item(rank_of(x[i]), i);
                     const auto* sorted = sort_items(a, b, n, kFirst<T>);
                     int32_t* y = args.out[0].ptr<int32_t>() + r * n;
                     for (int64_t i = 0; i < n; ++i)
                       y[i] = static_cast<int32_t>(index_of(sorted[i]));
                   }
                 });
}

// The best k of a row so far and candidates that may replace them: `size` items. Keys
// are inverted, so that the largest value comes first and of equal ones the earliest.
template <class T>
struct Best {
  Item<T>*a, *b;
  int64_t k, size, have;
  IntOf<T> bound;  // what does not exceed it is not among the best k

  FASTNN_INLINE void push(const T* x, int64_t i) {
    a[have++] = make_item(~rank_of(x[i]), i);
    if (have == size) shrink(x);
  }
  FASTNN_INLINE void shrink(const T* x) {
    const Item<T>* sorted = sort_items(a, b, have, kFirst<T>);
    have = have < k ? have : k;
    if (sorted != a) __builtin_memcpy(a, sorted, have * sizeof(Item<T>));
    bound = rank_of(x[index_of(a[have - 1])]);
  }
};

template <class T>
FASTNN_OUTLINE void find_best(Best<T>& best, const T* x, int64_t n) {
  constexpr int kStep = 4 * lanes<T>;
  best.have = 0;
  int64_t i = 0;
  while (i < n && i < best.size)
    best.push(x, i++);
  if (i == n) return best.shrink(x);
  for (; i + kStep <= n; i += kStep) {
    const auto bound = splat<IntOf<Vec<T>>>(best.bound);
    auto any = rank_of(load(x + i)) > bound;
    for (int j = 1; j < 4; ++j)
      any = any | (rank_of(load(x + i + j * lanes<T>)) > bound);
    if (!fold_lanes<IntOf<T>>(any, AnyOp{})) continue;
    for (int64_t j = i; j < i + kStep; ++j)
      if (rank_of(x[j]) > best.bound) best.push(x, j);
  }
  for (; i < n; ++i)
    if (rank_of(x[i]) > best.bound) best.push(x, i);
  best.shrink(x);
}

void top_k(const KernelArgs& args) {
  const TensorView& values = args.out[0];
  const int64_t k = values.shape[values.ndim - 1];
  const int64_t size = 2 * k < 64 ? 64 : 2 * k;
  for_rows<Item>("top_k", args, size,
                 [&](auto tag, Range rows, int64_t n, const auto& reader, auto* a,
                     auto* b) FASTNN_LAMBDA_INLINE {
                   using T = typename decltype(tag)::type;
                   Best<T> best{a, b, k, size < n ? size : n, 0, 0};
                   for (int64_t r = rows.begin; r < rows.end; ++r) {
                     const T* x = reader[r];
                     find_best(best, x, n);
                     T* value = values.ptr<T>() + r * k;
                     int32_t* index = args.out[1].ptr<int32_t>() + r * k;
                     for (int64_t i = 0; i < k; ++i) {
                       index[i] = static_cast<int32_t>(index_of(a[i]));
                       value[i] = x[index[i]];
                     }
                   }
                 });
}

// ---- searching
// ------------------------------------------------------------------------

// How many of the n sorted elements come before x: less than x, or (right) not greater.
template <class T>
FASTNN_INLINE int64_t count_before(const T* sorted, int64_t n, T x, bool right) {
  const auto key = rank_of(x);
  const auto before = [&](T y) FASTNN_LAMBDA_INLINE {
    const auto other = rank_of(y);
    return right ? other <= key : other < key;
  };
  const T* p = sorted;
  while (n > 1) {  // without branches: a comparison of random numbers is unpredictable
    const int64_t half = n / 2;
    p += before(p[half - 1]) ? half : 0;
    n -= half;
  }
  return p - sorted + (n == 1 && before(*p));
}

void searchsorted(const KernelArgs& args) {
  const TensorView &sorted = args.in[0], &x = args.in[1], &y = args.out[0];
  const Range rows = row_range(y.rows(), args.part);
  const int64_t begin = rows.begin * y.row_size(), end = rows.end * y.row_size();
  if (begin >= end) return;
  const bool right = args.attrs[0].i;
  const int64_t n = sorted.shape[0];
  FASTNN_CHECK(sorted.dtype == x.dtype, "[searchsorted] dtypes %s and %s differ",
               dtype_name(sorted.dtype), dtype_name(x.dtype));
  dispatch("searchsorted", x.dtype, Numbers{}, [&](auto tag) FASTNN_LAMBDA_INLINE {
    using T = typename decltype(tag)::type;
    T* buffer = static_cast<T*>(scratch((n + kRowBlock) * sizeof(T)));
    const FlatReader<T> reader(x, buffer), all(sorted, buffer + kRowBlock);
    const T* a = n ? all.read(0, n) : nullptr;
    int32_t* out = y.ptr<int32_t>();
    for (int64_t at = begin; at < end; at += kRowBlock) {
      const int64_t count = end - at < kRowBlock ? end - at : kRowBlock;
      const T* value = reader.read(at, count);
      for (int64_t i = 0; i < count; ++i)
        out[at + i] = static_cast<int32_t>(count_before(a, n, value[i], right));
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"sort", sort, Split::kRows, "r", 1, ""},
    {"argsort", argsort, Split::kRows, "r", 1, ""},
    {"top_k", top_k, Split::kRows, "r", 2, ""},
    {"searchsorted", searchsorted, Split::kRows, "ar", 1, "right"},
};

}  // namespace

extern const KernelFamily kFamily_sort;
const KernelFamily kFamily_sort = {"sort", kEntries,
                                   sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
