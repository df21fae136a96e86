// SPDX-License-Identifier: Apache-2.0
// The kernel ABI, documented once.
//
// A kernel is a plain function `void(const KernelArgs&)`. It allocates nothing but
// thread-local scratch, and it computes only its *part* of the outputs. The bits of an
// output element must not depend on `part.count`: no split of a reduction between
// parts, kernel variants chosen by shape and never by partition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/scratch.hpp"
#include "base/tensor_view.hpp"

namespace fastnn {

// The share of the work one call must do: part `index` of `count`. `alone`: nothing
// else runs between the same barriers (an eager call), so a kernel with `min_rows` may
// share the elements of its outputs even where the parts could own rows.
struct Part {
  int index = 0;
  int count = 1;
  bool alone = false;
};

// An attribute as the kernel sees it. Python's OpDef.attrs gives the order; booleans,
// enums, dtypes and axis bit masks arrive as `i`, tuples of integers as `ints`: an
// array that outlives every plan (its length follows from the shapes).
union AttrValue {
  int64_t i;
  double f;
  const int64_t* ints;
};

struct KernelArgs {
  const TensorView* in;
  const TensorView* out;
  const AttrValue* attrs;
  Part part;
  int group = 1;  // how many applications of the kernel, see KernelEntry::groups
};

using Kernel = void (*)(const KernelArgs&);

// How a kernel divides its work between parts.
enum class Split : uint8_t {
  kRows,    // part owns rows `row_range(out[0].rows(), part)` of every output (in
            // proportion where one has fewer), unless `min_rows` says: too few
  kAny,     // some other partition of the output elements, each written by one part
  kSerial,  // part 0 does everything
};

// Which 16-bit floats a kernel computes on itself.
enum class Halves : uint8_t {
  kNone,
  kBFloat16,  // when all its 16-bit operands are bfloat16
  kAll,
};

// One row of a family's kernel table. `reads` has one letter per input: 'r' the kernel
// reads only the rows it owns, 'a' it may read anything, 'k' only the rows it owns when
// the leading axis is kept (reductions; the first attribute names the reduced axes).
// For kRows an 'r' input that is broadcast along the rows counts as 'a'. `attrs` names
// the attributes in order, space-separated; a test compares them with the OpDef of the
// same name. A kRows kernel with `min_rows` shares the elements of its outputs, as if
// kAny, when the parts would own fewer rows than that (`owns_rows`): a product of one
// row, a convolution of one image. A kernel that `groups` may be called for several
// applications of equal attributes and equal 'a' inputs at once: the operands of the
// next follow those of the one before, inputs and outputs in turn.
// `halves`: the 16-bit floats that the kernel takes as they are. For the others the
// runtime hands it float32 copies and rounds its results (runtime/half.hpp).
struct KernelEntry {
  const char* name;
  Kernel fn;
  Split split;
  const char* reads;
  int n_out;
  const char* attrs;
  int min_rows = 0;
  bool groups = false;
  Halves halves = Halves::kNone;
};

struct Range {
  int64_t begin;
  int64_t end;
};

// Rows owned by a part: blocks of 8 (the height of a tile of a product) or less, but at
// least four blocks for every part: 24 rows are 12 and 12, not 8 and 16. Every kRows
// kernel uses this function, so a chain of them needs no barrier.
FASTNN_INLINE Range row_range(int64_t rows, Part part) {
  if (part.count == 1) return {0, rows};  // saves three 64-bit divisions
  int64_t block = 8;
  while (block > 1 && rows < 4 * block * part.count)
    block /= 2;
  const int64_t blocks = (rows + block - 1) / block;
  const int64_t begin = blocks * part.index / part.count * block;
  const int64_t end = blocks * (part.index + 1) / part.count * block;
  return {begin < rows ? begin : rows, end < rows ? end : rows};
}

// Whether a kernel with `min_rows` divides its work by rows; if so for `part.count`
// parts, then for any smaller number too (the scheduler relies on it).
FASTNN_INLINE bool owns_rows(int64_t rows, Part part, int min_rows) {
  return part.count == 1 || rows >= int64_t{min_rows} * part.count;
}

}  // namespace fastnn
