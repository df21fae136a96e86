// SPDX-License-Identifier: Apache-2.0
// Emits the pointwise kernels of one group from its list in shared/pointwise/.
#pragma once

#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/pack.hpp"
#include "kernels/simd/tiles.hpp"
#include "kernels/simd/widen.hpp"
#include "kernels/table.hpp"
#include "shared/pointwise/functor.h"

FASTNN_BEGIN_NAMESPACE
namespace {

using Integers = Types<int32_t, int64_t, uint64_t>;
using Numeric = Types<float, double, int32_t, int64_t, uint64_t>;
using Selectable = Types<float, double, int32_t, int64_t, uint64_t, bool>;
using Comparable = Types<float, double, int32_t, int64_t, uint64_t, bool, uint8_t>;
using Bools = Types<bool>;

template <class F>
FASTNN_INLINE F load_functor(const void* state) {
  F f{};
  if constexpr (!__is_empty(F)) __builtin_memcpy(&f, state, sizeof f);
  return f;
}

// Condition bytes as a mask for vectors of T.
template <class T>
FASTNN_INLINE auto load_condition(const char* p) {
  if constexpr (sizeof(T) == 1) {
    return load(reinterpret_cast<const uint8_t*>(p)) != 0;
  } else {
    return load_widened<ElemOf<UIntOf<Vec<T>>>, uint8_t>(p) != 0;
  }
}

template <Form form, class V>
FASTNN_INLINE void store_result(char* to, V v) {
  if constexpr (form == Form::kTest) {
    using Bytes = typename NarrowVec<uint8_t, sizeof(V) / sizeof(v[0])>::type;
    const Bytes bytes = __builtin_convertvector(v, Bytes) & 1;
    __builtin_memcpy(to, &bytes, sizeof bytes);
  } else {
    __builtin_memcpy(to, &v, sizeof v);
  }
}

// A chain of several vectors at once (pack.hpp), as long as there are so many; returns
// how many vectors are done. For functors that are deep (shared/pointwise/functor.h).
template <class F, int n_in, class T>
FASTNN_INLINE int64_t packed_tile(const TileArgs& args, int64_t vectors, const F& f) {
  using V = Vec<T>;
  const int64_t packs = vectors / kPackSize;
  const char* in[3] = {args.in[0], args.in[1], args.in[2]};
  char* out = args.out[0];
  for (int64_t p = 0; p < packs; ++p, out += kPackSize * sizeof(V)) {
    Pack<V> x[n_in];
#pragma GCC unroll 8
    for (int k = 0; k < n_in; ++k) {
#pragma GCC unroll 8
      for (int i = 0; i < kPackSize; ++i) {
        x[k].v[i] = load((const T*)(in[k] + i * args.step[k]));
      }
      in[k] += kPackSize * args.step[k];
    }
    Pack<V> y;
    if constexpr (n_in == 1) y = f(x[0]);
    if constexpr (n_in == 2) y = f(x[0], x[1]);
    if constexpr (n_in == 3) y = f(x[0], x[1], x[2]);
    __builtin_memcpy(out, &y, sizeof y);
  }
  return packs * kPackSize;
}

template <class F, int n_in, Form form, class T>
void tile(const TileArgs& args, int64_t vectors, const void* state) {
  using V = Vec<T>;
  const F f = load_functor<F>(state);
  const char *a = args.in[0], *b = args.in[1], *c = args.in[2];
  const int64_t step_a = args.step[0], step_b = args.step[1], step_c = args.step[2];
  char* out = args.out[0];
  constexpr int out_step = form == Form::kTest ? Traits<V>::kLanes : sizeof(V);
  int64_t done = 0;
  if constexpr (kPackSize > 1 && kIsDeep<F, n_in> && form == Form::kValue &&
                kIsFloat<T>) {
    done = packed_tile<F, n_in, T>(args, vectors, f);
    a += done * step_a, b += done * step_b, c += done * step_c, out += done * out_step;
  }
  for (int64_t i = done; i < vectors; ++i, out += out_step) {
    prefetch_to_write(out + args.ahead);
    if constexpr (form == Form::kSelect) {
      store_result<form>(out,
                         f(load_condition<T>(a), load((const T*)b), load((const T*)c)));
    } else if constexpr (n_in == 1) {
      store_result<form>(out, f(load((const T*)a)));
    } else if constexpr (n_in == 2) {
      store_result<form>(out, f(load((const T*)a), load((const T*)b)));
    } else {
      store_result<form>(out,
                         f(load((const T*)a), load((const T*)b), load((const T*)c)));
    }
    a += step_a;
    if constexpr (n_in > 1) b += step_b;
    if constexpr (n_in > 2) c += step_c;
  }
}

template <class F, int n_in, Form form, class Elements>
FASTNN_INLINE void run_pointwise(const char* name, const KernelArgs& args, Elements) {
  const int value = form == Form::kSelect ? 1 : 0;  // an input of the element type
  const DType dtype = args.in[value].dtype;
  TileOp op;
  dispatch(name, dtype, Elements{}, [&](auto tag) {
    op.tile = tile<F, n_in, form, Stored<typename decltype(tag)::type>>;
  });
  const int size = dtype_size(dtype);
  op.state = args.attrs;
  op.lanes = FASTNN_VECTOR_BYTES / size;
  op.n_in = n_in;
  op.n_out = 1;
  for (int k = 0; k < n_in; ++k)
    op.in_size[k] = k < value ? 1 : size;
  op.out_size[0] = form == Form::kTest ? 1 : size;
  run_tiles(args, op);
}

constexpr const char* kReads[] = {"", "r", "rr", "rrr"};

}  // namespace
FASTNN_END_NAMESPACE

#define FASTNN_POINTWISE_KERNEL(name, Functor, n_in, form, types, attrs) \
  void name##_kernel(const KernelArgs& args) {                           \
    run_pointwise<Functor, n_in, Form::form>(#name, args, types{});      \
  }
#define FASTNN_POINTWISE_ENTRY(name, Functor, n_in, form, types, attrs) \
  {#name, name##_kernel, Split::kRows, kReads[n_in], 1, attrs},

// The kernel family of a group.
#define FASTNN_POINTWISE_FAMILY(family, LIST)                                     \
  FASTNN_BEGIN_NAMESPACE                                                          \
  namespace {                                                                     \
  LIST(FASTNN_POINTWISE_KERNEL)                                                   \
  constexpr KernelEntry kEntries[] = {LIST(FASTNN_POINTWISE_ENTRY)};              \
  }                                                                               \
  extern const KernelFamily kFamily_##family;                                     \
  const KernelFamily kFamily_##family = {#family, kEntries,                       \
                                         sizeof(kEntries) / sizeof(kEntries[0])}; \
  FASTNN_END_NAMESPACE
