// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.hpp"

using namespace kernel_test;
using fastnn::BFloat16;  // the list of dtypes names them bare
using fastnn::Float16;

namespace {

// Calls f(T{}) for every dtype; bool is held as uint8_t and marked by the DType.
template <class F>
void for_dtypes(F f) {
#define X(code, type, name) \
  f(DType::code, std::conditional_t<std::is_same_v<type, bool>, uint8_t, type>{});
  FASTNN_DTYPES(X)
#undef X
}

}  // namespace

TEST("copy: cast between every pair of dtypes, contiguous and strided") {
  for_dtypes([](DType from, auto source) {
    for_dtypes([from](DType to, auto target) {
      using From = decltype(source);
      using To = decltype(target);
      const int64_t rows = 9, n = 13;
      Array<From> x({rows, n});
      Array<To> y({rows, n}), turned({n, rows});
      for (int64_t i = 0; i < x.size(); ++i) {
        x[i] = from == DType::kBool ? From(i % 3 == 0) : static_cast<From>(i * 0.75);
      }
      x.view.dtype = from;
      y.view.dtype = turned.view.dtype = to;
      const Attrs attrs = {attr(static_cast<int>(to))};
      run("cast", {x.view}, {y.view}, attrs, 2);
      run("cast", {transposed(x.view)}, {turned.view}, attrs);
      for (int64_t i = 0; i < x.size(); ++i) {
        const To want = to == DType::kBool ? To(x[i] != 0) : static_cast<To>(x[i]);
        REQUIRE(y[i] == want);
        REQUIRE(turned[i % n * rows + i / n] == want);
      }
      require_same_for_all_parts("cast", {x.view}, {y.view}, attrs);
    });
  });
}

TEST("copy: bytes of a bool that are not 1 are true") {
  Array<uint8_t> x({2}, {0, 200});
  Array<float> y({2});
  x.view.dtype = DType::kBool;
  run("cast", {x.view}, {y.view}, {attr(static_cast<int>(DType::kFloat32))});
  REQUIRE(y[0] == 0 && y[1] == 1);
}

TEST("copy: strided views of every element size") {
  for_dtypes([](DType dtype, auto value) {
    using T = decltype(value);
    for (const int64_t n : {1, 5, 33, 70}) {
      Array<T> x({n, 40}), y({40, n}), z({n, 20});
      for (int64_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<T>(i % 2);
      x.view.dtype = y.view.dtype = z.view.dtype = dtype;
      run("copy", {transposed(x.view)}, {y.view});
      for (int64_t i = 0; i < x.size(); ++i)
        REQUIRE(y[i % 40 * n + i / 40] == x[i]);
      require_same_for_all_parts("copy", {transposed(x.view)}, {y.view});
      run("copy", {backwards_by_two(x.view)}, {z.view});
      for (int64_t i = 0; i < z.size(); ++i) {
        REQUIRE(z[i] == x[i / 20 * 40 + 39 - 2 * (i % 20)]);
      }
    }
  });
}

TEST("copy: so much that it is fetched ahead, with bytes left over") {
  Array<uint8_t> x({(1 << 20) + 77, 2}), y({(1 << 20) + 77, 2});
  for (int64_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<uint8_t>(i * 7 / 3);
  x.view.dtype = y.view.dtype = fastnn::DType::kUInt8;
  for (const int parts : {1, 2, 5}) {
    for (int64_t i = 0; i < y.size(); ++i)
      y[i] = 0;
    run("copy", {x.view}, {y.view}, {}, parts);
    int64_t wrong = 0;
    for (int64_t i = 0; i < x.size(); ++i)
      wrong += y[i] != x[i];
    REQUIRE(wrong == 0);
  }
}

TEST("copy: concatenate on each axis") {
  const std::vector<int64_t> base = {3, 4, 5};
  for (int axis = 0; axis < 3; ++axis) {
    for (const int64_t extra : {0, 1, 6}) {
      std::vector<int64_t> other = base, joined = base;
      other[size_t(axis)] = extra;
      joined[size_t(axis)] += extra;
      const Array<float> a = uniform<float>(base, 0, 1),
                         b = uniform<float>(other, 2, 3);
      Array<float> y(joined);
      const Attrs attrs = {attr(axis)};
      run("concatenate", {a.view, b.view}, {y.view}, attrs);
      int64_t inner = 1;
      for (size_t d = size_t(axis); d < 3; ++d)
        inner *= joined[d];
      const int64_t run_a = inner / joined[size_t(axis)] * base[size_t(axis)];
      int64_t next[2] = {0, 0};
      for (int64_t i = 0; i < y.size(); ++i) {
        const int k = i % inner < run_a ? 0 : 1;
        REQUIRE(y[i] == (k ? b : a)[next[k]++]);
      }
      require_same_for_all_parts("concatenate", {a.view, b.view}, {y.view}, attrs);
    }
  }
}

TEST("index: gather_rows converts, from any row stride") {
  Array<uint8_t> data({9, 70});
  for (int64_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<uint8_t>(i * 7);
  const Array<int64_t> perm({9}, {4, 8, 0, 2, 6, 1, 3, 5, 7}), cursor({1}, {2});
  Array<float> y({6, 70}), z({6, 35}), flat({6});
  run("gather_rows", {data.view, perm.view, cursor.view}, {y.view});
  for (int64_t i = 0; i < y.size(); ++i) {
    REQUIRE(y[i] == data[perm[2 + i / 70] * 70 + i % 70]);
  }
  require_same_for_all_parts("gather_rows", {data.view, perm.view, cursor.view},
                             {y.view});
  run("gather_rows", {backwards_by_two(data.view), perm.view, cursor.view}, {z.view});
  for (int64_t i = 0; i < z.size(); ++i) {
    REQUIRE(z[i] == data[perm[2 + i / 35] * 70 + 69 - 2 * (i % 35)]);
  }
  const Array<double> column = uniform<double>({9}, -1, 1);
  run("gather_rows", {column.view, perm.view, cursor.view}, {flat.view});
  REQUIRE(flat[0] == static_cast<float>(column[0]));
  const Array<int64_t> late({1}, {4});
  REQUIRE_THROWS(run("gather_rows", {data.view, perm.view, late.view}, {y.view}),
                 "[gather_rows] rows 4 to 10 of a permutation of 9");
}

TEST("index: take wraps negative indices and refuses others") {
  const Array<float> x = uniform<float>({4, 2, 3}, -1, 1);
  const Array<int32_t> i({2, 5}, {0, -1, 3, 1, -4, 2, 2, 0, -2, 1});
  Array<float> y({2, 5, 2, 3}), one({2, 3});
  run("take", {x.view, i.view}, {y.view});
  for (int64_t k = 0; k < y.size(); ++k) {
    REQUIRE(y[k] == x[(i[k / 6] + 4) % 4 * 6 + k % 6]);
  }
  require_same_for_all_parts("take", {x.view, i.view}, {y.view});
  const Array<int64_t> last({}, {-1}), out_of_range({1}, {4});
  run("take", {x.view, last.view}, {one.view}, {}, 3);
  for (int64_t k = 0; k < 6; ++k)
    REQUIRE(one[k] == x[18 + k]);
  Array<float> row({1, 2, 3});
  REQUIRE_THROWS(
      run("take", {x.view, out_of_range.view}, {row.view}),
      "[take] index 4 at position (0) is out of range for an axis of size 4");
}

TEST("index: batch_take has indices of its own per batch, from any strides") {
  const int64_t batch = 5, n = 4, m = 7;
  for (const int64_t columns : {1, 3, 40}) {
    const Array<float> x = uniform<float>({batch, n, columns}, -1, 1);
    Array<int64_t> i({batch, m});
    for (int64_t k = 0; k < i.size(); ++k)
      i[k] = k * k % n - (k % 3 ? n : 0);
    Array<float> y({batch, m, columns}, NAN);
    run("batch_take", {x.view, i.view}, {y.view}, {}, 2);
    for (int64_t k = 0; k < y.size(); ++k) {
      const int64_t o = k / (m * columns), row = (i[k / columns] + n) % n;
      REQUIRE(y[k] == x[(o * n + row) * columns + k % columns]);
    }
    require_same_for_all_parts("batch_take", {x.view, i.view}, {y.view});
  }
  const Array<double> x = uniform<double>({3, 6}, -1, 1);
  const Array<int32_t> i({3, 1}, {0, 2, -3});
  Array<double> y({3, 1}, NAN);
  run("batch_take", {backwards_by_two(x.view), i.view}, {y.view});
  REQUIRE(y[0] == x[5] && y[1] == x[6 + 1] && y[2] == x[12 + 5]);
  const Array<int32_t> bad({3, 1}, {0, 2, 6});
  REQUIRE_THROWS(run("batch_take", {x.view, bad.view}, {y.view}),
                 "[batch_take] index 6 at position (2, 0) is out of range");
}

TEST("index: slices at run time, and blocks put back") {
  const Array<float> x = uniform<float>({20, 6, 5}, -1, 1);
  const Array<int32_t> starts({3}, {3, 1, 2}), over({3}, {3, 1, 3});
  Array<float> cut({11, 4, 3}, NAN), y({20, 6, 5}, NAN);
  run("dynamic_slice", {x.view, starts.view}, {cut.view}, {}, 3);
  const auto source = [](int64_t k) {
    return (3 + k / 12) * 30 + (1 + k / 3 % 4) * 5 + 2 + k % 3;
  };
  for (int64_t k = 0; k < cut.size(); ++k)
    REQUIRE(cut[k] == x[source(k)]);
  require_same_for_all_parts("dynamic_slice", {x.view, starts.view}, {cut.view});
  REQUIRE_THROWS(run("dynamic_slice", {x.view, over.view}, {cut.view}),
                 "[dynamic_slice] 3 elements from 3 on do not fit axis 2 of size 5");
  const Array<float> u = uniform<float>({11, 4, 3}, 5, 6);
  run("update_slice", {x.view, starts.view, u.view}, {y.view}, {}, 3);
  Array<float> want(x);
  for (int64_t k = 0; k < u.size(); ++k)
    want[source(k)] = u[k];
  REQUIRE(y.data == want.data);
  require_same_for_all_parts("update_slice", {x.view, starts.view, u.view}, {y.view});
  REQUIRE_THROWS(run("update_slice", {x.view, over.view, u.view}, {y.view}),
                 "[update_slice]");
}

TEST("index: one_hot gives zero rows for indices out of range") {
  const Array<int64_t> i({2, 3}, {0, 4, 5, -1, 2, 1});
  Array<float> y({2, 3, 5}), row({5});
  run("one_hot", {i.view}, {y.view});
  for (int64_t k = 0; k < y.size(); ++k)
    REQUIRE(y[k] == (i[k / 5] == k % 5));
  require_same_for_all_parts("one_hot", {i.view}, {y.view});
  const Array<int32_t> single({}, {3});
  run("one_hot", {single.view}, {row.view}, {}, 3);
  REQUIRE((row.data == std::vector<float>{0, 0, 0, 1, 0}));
}
