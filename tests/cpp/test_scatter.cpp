// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

Array<int64_t> some_indices(int64_t count, int64_t rows) {
  Array<int64_t> i({count});
  for (int64_t k = 0; k < count; ++k)
    i[k] = k * k % rows - (k % 2 ? rows : 0);
  return i;
}

// One row of `columns` per index merged into x in ascending order.
template <class T>
std::vector<T> merged(const Array<T>& x, const Array<int64_t>& i, const Array<T>& u,
                      int reduction) {
  std::vector<T> y = x.data;
  const int64_t columns = u.size() / i.size(), rows = x.size() / columns;
  for (int64_t k = 0; k < u.size(); ++k) {
    T& to = y[size_t((i[k / columns] + rows) % rows * columns + k % columns)];
    const T b = u[k];
    if (reduction == 0) to = b;
    if (reduction == 1) to = static_cast<T>(to + b);
    if (reduction == 2) to = static_cast<T>(to * b);
    if (reduction == 3) to = to > b ? to : b;
    if (reduction == 4) to = to < b ? to : b;
  }
  return y;
}

template <class T>
void check_scatter() {
  for (const int64_t columns : {1, 3, 70, 600}) {
    for (const int64_t rows : {1, 5, 90}) {
      const Array<T> x = uniform<T>({rows, columns}, -3, 3),
                     u = uniform<T>({40, columns}, -3, 3, 2);
      const Array<int64_t> i = some_indices(40, rows);
      const Views in = {x.view, i.view, u.view};
      for (int reduction = 0; reduction < 5; ++reduction) {
        Array<T> y({rows, columns}, T(77));
        run("scatter_rows", in, {y.view}, {attr(reduction)}, 3);
        REQUIRE(y.data == merged(x, i, u, reduction));
        require_same_for_all_parts("scatter_rows", in, {y.view}, {attr(reduction)});
      }
    }
  }
}

}  // namespace

TEST("scatter: take_grad adds rows in index order") {
  const int64_t count = 40, columns = 70, rows = 5;
  const Array<float> dy = uniform<float>({count, columns}, -1, 1);
  Array<int64_t> i({count});
  for (int64_t k = 0; k < count; ++k)
    i[k] = k * k % rows - (k % 2 ? rows : 0);
  Array<float> dx({rows, columns}, NAN), want({rows, columns}),
      turned({columns, count});
  run("take_grad", {dy.view, i.view}, {dx.view}, {}, 3);
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t c = 0; c < columns; ++c) {
      want[(i[k] + rows) % rows * columns + c] += dy[k * columns + c];
      turned[c * count + k] = dy[k * columns + c];
    }
  }
  REQUIRE(dx.data == want.data);
  require_same_for_all_parts("take_grad", {dy.view, i.view}, {dx.view});
  run("take_grad", {transposed(turned.view), i.view}, {dx.view});
  REQUIRE(dx.data == want.data);
}

TEST("scatter: rows merged in order of position, every reduction and dtype") {
  check_scatter<float>();
  check_scatter<double>();
  check_scatter<int32_t>();
  check_scatter<int64_t>();
}

TEST("scatter: no update, strided updates, an index out of range") {
  const Array<float> x = uniform<float>({4, 3}, -1, 1),
                     u = uniform<float>({3, 5}, -1, 1);
  const Array<int64_t> none({0}), i({5}, {3, 0, -1, 1, 3}), bad({5}, {0, 1, 2, -5, 3});
  const Array<float> empty({0, 3});
  Array<float> y({4, 3}, NAN);
  run("scatter_rows", {x.view, none.view, empty.view}, {y.view}, {attr(1)}, 2);
  REQUIRE(y.data == x.data);
  run("scatter_rows", {transposed(transposed(x.view)), i.view, transposed(u.view)},
      {y.view}, {attr(0)}, 2);
  for (int64_t c = 0; c < 3; ++c)
    REQUIRE(y[9 + c] == u[c * 5 + 4] && y[c] == u[c * 5 + 1] && y[6 + c] == x[6 + c]);
  REQUIRE_THROWS(
      run("scatter_rows", {x.view, bad.view, transposed(u.view)}, {y.view}, {attr(0)}),
      "[scatter_rows] index -5 at position (3) is out of range for an axis "
      "of size 4");
}

TEST("scatter: maxima keep NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Array<float> x({2}, {1, 2}), u({3}, {nan, 5, 3});
  const Array<int32_t> i({3}, {0, 0, 1});
  Array<float> y({2}, 7);
  run("scatter_rows", {x.view, i.view, u.view}, {y.view}, {attr(3)});
  REQUIRE(std::isnan(y[0]) && y[1] == 3);
}

TEST("scatter: batch_take_grad adds to the rows of each batch") {
  const int64_t batch = 9, rows = 4, count = 6;
  for (const int64_t columns : {1, 5, 70}) {
    const Array<float> dy = uniform<float>({batch, count, columns}, -1, 1);
    const Array<int64_t> flat = some_indices(batch * count, rows);
    const Array<int64_t> i({batch, count}, flat.data);
    Array<float> dx({batch, rows, columns}, NAN), want({batch, rows, columns});
    run("batch_take_grad", {dy.view, i.view}, {dx.view}, {}, 2);
    for (int64_t k = 0; k < dy.size(); ++k) {
      const int64_t row = k / (count * columns) * rows + (i[k / columns] + rows) % rows;
      want[row * columns + k % columns] += dy[k];
    }
    REQUIRE(dx.data == want.data);
    require_same_for_all_parts("batch_take_grad", {dy.view, i.view}, {dx.view});
  }
}
