// SPDX-License-Identifier: Apache-2.0
// Kernels that work on rows of the trailing axes, whatever axes stand before.
#pragma once

#include "kernels/kernel.hpp"

FASTNN_BEGIN_NAMESPACE

// The part's share of the rows that the axes before `axis` count. It follows the
// ownership of the leading axis while every part owns `min_rows` of it (the number in
// the kernel table), else groups of `together` rows are shared out. A tensor whose axes
// are all normalized is one row, and part 0 has it. With `pieces` a row counts as so
// many.
FASTNN_INLINE Range flat_rows(const TensorView& y, int64_t axis, Part part,
                              int min_rows, int64_t together, int64_t pieces = 1) {
  if (axis == 0) return {0, part.index == 0 ? 1 : 0};
  int64_t each = pieces;
  for (int d = 1; d < axis; ++d)
    each *= y.shape[d];
  if (owns_rows(y.rows(), part, min_rows)) {
    const Range rows = row_range(y.rows(), part);
    return {rows.begin * each, rows.end * each};
  }
  const int64_t total = y.rows() * each;
  const int64_t groups = (total + together - 1) / together;
  const int64_t begin = groups * part.index / part.count * together;
  const int64_t end = groups * (part.index + 1) / part.count * together;
  return {begin < total ? begin : total, end < total ? end : total};
}

FASTNN_END_NAMESPACE
