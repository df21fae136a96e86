// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <numeric>

#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

// Every path: one vector, networks of all sizes, radix.
const int64_t kLengths[] = {1,  2,  3,  7,   8,   15,  16,  17,   31,   33,
                            63, 64, 65, 129, 255, 256, 257, 1024, 1025, 5000};

template <class T>
bool before(T a, T b) {  // NaN last, as NumPy
  return a < b || (b != b && a == a);
}

enum Fill { kRandom, kFew, kRising, kFalling, kSpecial, kFills };

template <class T>
Array<T> filled(int64_t rows, int64_t n, int fill) {
  Array<T> x = uniform<T>({rows, n}, -1e9, 1e9, unsigned(n + fill));
  constexpr bool is_float = std::is_floating_point_v<T>;
  const T special[] = {
      is_float ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max(),
      is_float ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest(),
      is_float ? std::numeric_limits<T>::quiet_NaN() : T(3),
      is_float ? -std::numeric_limits<T>::quiet_NaN() : T(-3),
      T(0),
      static_cast<T>(-0.0),
      T(1)};
  for (int64_t i = 0; i < x.size(); ++i) {
    if (fill == kFew) x[i] = static_cast<T>(i * i % 5 - 2);
    if (fill == kRising) x[i] = static_cast<T>(i % n);
    if (fill == kFalling) x[i] = static_cast<T>(-(i % n));
    if (fill == kSpecial) x[i] = special[i * 31 % 7];
  }
  return x;
}

template <class T>
void check_sorts(int64_t rows, int64_t n, int fill) {
  const Array<T> x = filled<T>(rows, n, fill);
  Array<T> y({rows, n}, T(9));
  Array<int32_t> order({rows, n}, -1);
  run("sort", {x.view}, {y.view}, {}, 2);
  run("argsort", {x.view}, {order.view}, {}, 2);
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x.data.data() + r * n;
    std::vector<T> values(row, row + n);
    std::vector<int32_t> want(size_t(n), 0);
    std::iota(want.begin(), want.end(), 0);
    std::stable_sort(values.begin(), values.end(), before<T>);
    std::stable_sort(want.begin(), want.end(),
                     [&](int32_t a, int32_t b) { return before(row[a], row[b]); });
    for (int64_t i = 0; i < n; ++i) {
      const T a = y[r * n + i], b = values[size_t(i)];
      REQUIRE_MSG(a == b || (a != a && b != b), std::to_string(n));
      REQUIRE_MSG(order[r * n + i] == want[size_t(i)], std::to_string(n));
    }
    std::reverse(want.begin(),
                 want.end());  // descending, of equal ones the first first
    std::stable_sort(want.begin(), want.end(), [&](int32_t a, int32_t b) {
      const bool less = before(row[b], row[a]), more = before(row[a], row[b]);
      return less || (!more && a < b);
    });
    for (const int64_t k : {int64_t{1}, n / 2, n}) {
      if (k == 0 || r > 0) continue;
      Array<T> best({rows, k}, T(9));
      Array<int32_t> at({rows, k}, -1);
      run("top_k", {x.view}, {best.view, at.view}, {}, 2);
      for (int64_t i = 0; i < k; ++i) {
        const T a = best[i], b = row[want[size_t(i)]];
        REQUIRE_MSG(at[i] == want[size_t(i)], std::to_string(n));
        REQUIRE(a == b || (a != a && b != b));
      }
    }
  }
  require_same_for_all_parts("sort", {x.view}, {y.view});
  require_same_for_all_parts("argsort", {x.view}, {order.view});
}

}  // namespace

TEST("sort: every length, dtype and disorder as the standard library") {
  for (const int64_t n : kLengths) {
    for (int fill = 0; fill < kFills; ++fill) {
      const int64_t rows = n < 100 ? 5 : 2;
      check_sorts<float>(rows, n, fill);
      check_sorts<double>(rows, n, fill);
      check_sorts<int32_t>(rows, n, fill);
      check_sorts<int64_t>(rows, n, fill);
    }
  }
}

TEST("sort: rows of any strides") {
  const Array<float> x = uniform<float>({40, 3}, -1, 1);
  Array<float> y({3, 40}, NAN), z({3, 40}, NAN);
  Array<float> plain({3, 40});
  for (int64_t i = 0; i < 120; ++i)
    plain[i] = x[i % 40 * 3 + i / 40];
  run("sort", {transposed(x.view)}, {y.view}, {}, 2);
  run("sort", {plain.view}, {z.view});
  REQUIRE(y.data == z.data);
}

TEST("sort: the place in a sorted sequence") {
  for (const int64_t n : {0, 1, 2, 9, 100}) {
    Array<float> a({n});
    for (int64_t i = 0; i < n; ++i)
      a[i] = static_cast<float>(i / 2);
    if (n > 9) a[n - 1] = NAN;
    Array<float> v({3, 7});
    for (int64_t i = 0; i < v.size(); ++i)
      v[i] = static_cast<float>(i) * 0.5f - 1;
    v[20] = NAN;
    for (const int right : {0, 1}) {
      Array<int32_t> y({3, 7}, -1);
      run("searchsorted", {a.view, v.view}, {y.view}, {attr(right)}, 2);
      for (int64_t i = 0; i < v.size(); ++i) {
        const auto place =
            right ? std::upper_bound(a.data.begin(), a.data.end(), v[i], before<float>)
                  : std::lower_bound(a.data.begin(), a.data.end(), v[i], before<float>);
        REQUIRE(y[i] == place - a.data.begin());
      }
      require_same_for_all_parts("searchsorted", {a.view, v.view}, {y.view},
                                 {attr(right)});
    }
  }
}
