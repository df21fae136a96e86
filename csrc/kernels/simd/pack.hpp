// SPDX-License-Identifier: Apache-2.0
// Several vectors that go through a function in step, for functions that are one long
// chain: a core holds about a hundred waiting instructions, three vectors of tanh in a
// row. Four in step give it independent work (Cascade Lake, ns per vector of 16 floats:
// tanh 10.9 -> 7.5, sigmoid 7.1 -> 5.7, log 8.5 -> 6.8, softplus 17 -> 10.2, expm1 9.2
// -> 5.5, exp 4.5 -> 3.5). Eight run out of registers.
#pragma once

#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

// Vectors in a pack: 16 registers hold the constants and one chain. Under sanitizers,
// where they take minutes to compile, there are none.
#if FASTNN_VECTOR_BYTES == 64 && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
inline constexpr int kPackSize = 4;
#else
inline constexpr int kPackSize = 1;
#endif

template <class V>
struct Pack {
  V v[kPackSize];
};

// r.v[i] = expression for all i.
#define FASTNN_IN_STEP(expression) \
  _Pragma("GCC unroll 8") for (int i = 0; i < kPackSize; ++i) r.v[i] = expression;
#define FASTNN_PACK_OPERATOR(op)                                          \
  template <class V>                                                      \
  FASTNN_INLINE Pack<V> operator op(const Pack<V>& a, const Pack<V>& b) { \
    Pack<V> r;                                                            \
    FASTNN_IN_STEP(a.v[i] op b.v[i])                                      \
    return r;                                                             \
  }
#define FASTNN_PACK_COMPARISON(op)                                     \
  template <class V>                                                   \
  FASTNN_INLINE auto operator op(const Pack<V>& a, const Pack<V>& b) { \
    Pack<__typeof__(a.v[0] op b.v[0])> r;                              \
    FASTNN_IN_STEP(a.v[i] op b.v[i])                                   \
    return r;                                                          \
  }
#define FASTNN_PACK_NUMBER(op)                                 \
  template <class V>                                           \
  FASTNN_INLINE Pack<V> operator op(const Pack<V>& a, int b) { \
    Pack<V> r;                                                 \
    FASTNN_IN_STEP(a.v[i] op b)                                \
    return r;                                                  \
  }
#define FASTNN_PACK_UNARY(op)                           \
  template <class V>                                    \
  FASTNN_INLINE Pack<V> operator op(const Pack<V>& a) { \
    Pack<V> r;                                          \
    FASTNN_IN_STEP(op a.v[i])                           \
    return r;                                           \
  }
FASTNN_PACK_OPERATOR(+)
FASTNN_PACK_OPERATOR(-)
FASTNN_PACK_OPERATOR(*)
FASTNN_PACK_OPERATOR(/)
FASTNN_PACK_OPERATOR(&)
FASTNN_PACK_OPERATOR(|)
FASTNN_PACK_OPERATOR(^)
FASTNN_PACK_COMPARISON(<)
FASTNN_PACK_COMPARISON(>)
FASTNN_PACK_COMPARISON(<=)
FASTNN_PACK_COMPARISON(>=)
FASTNN_PACK_COMPARISON(==)
FASTNN_PACK_COMPARISON(!=)
FASTNN_PACK_NUMBER(<<)
FASTNN_PACK_NUMBER(>>)
FASTNN_PACK_NUMBER(+)
FASTNN_PACK_NUMBER(-)
FASTNN_PACK_UNARY(-)
FASTNN_PACK_UNARY(~)
static_assert(kPackSize >= 1);
#undef FASTNN_PACK_OPERATOR
#undef FASTNN_PACK_COMPARISON
#undef FASTNN_PACK_NUMBER
#undef FASTNN_PACK_UNARY

template <class W>
struct Traits<Pack<W>> : Traits<W> {
  using Of = Traits<W>;
  using V = Pack<W>;
  using Elem = typename Of::Elem;
  using Int = Pack<typename Of::Int>;
  using UInt = Pack<typename Of::UInt>;

  static FASTNN_INLINE V splat(Elem x) {
    V r;
    FASTNN_IN_STEP(Of::splat(x))
    return r;
  }
  template <class M>
  static FASTNN_INLINE V select(const Pack<M>& m, const V& a, const V& b) {
    V r;
    FASTNN_IN_STEP(Of::select(m.v[i], a.v[i], b.v[i]))
    return r;
  }
  template <class R>
  static FASTNN_INLINE R bits(const V& x) {
    R r;
    FASTNN_IN_STEP(Of::template bits<__typeof__(r.v[0])>(x.v[i]))
    return r;
  }
  template <class R>
  static FASTNN_INLINE R convert(const V& x) {
    R r;
    FASTNN_IN_STEP(Of::template convert<__typeof__(r.v[0])>(x.v[i]))
    return r;
  }
  template <class F, class... X>
  static FASTNN_INLINE V map(F f, const X&... x) {
    V r;
    FASTNN_IN_STEP(Of::map(f, x.v[i]...))
    return r;
  }
  template <class F, class... X>
  static FASTNN_INLINE V map_wide(F f, const X&... x) {
    V r;
    FASTNN_IN_STEP(Of::map_wide(f, x.v[i]...))
    return r;
  }
  static FASTNN_INLINE V pick_from(const Elem (&table)[16], const UInt& at) {
    V r;
    FASTNN_IN_STEP(Of::pick_from(table, at.v[i]))
    return r;
  }
  template <class M>
  static FASTNN_INLINE bool any(const Pack<M>& m) {
    M all = m.v[0];
    for (int i = 1; i < kPackSize; ++i)
      all |= m.v[i];
    return Of::any(all);
  }
#define FASTNN_PACK_FUNCTION(name)             \
  template <class... X>                        \
  static FASTNN_INLINE V name(const X&... x) { \
    V r;                                       \
    FASTNN_IN_STEP(Of::name(x.v[i]...))        \
    return r;                                  \
  }
  FASTNN_PACK_FUNCTION(sqrt)
  FASTNN_PACK_FUNCTION(floor)
  FASTNN_PACK_FUNCTION(ceil)
  FASTNN_PACK_FUNCTION(rint)
  FASTNN_PACK_FUNCTION(at_least)
  FASTNN_PACK_FUNCTION(at_most)
  FASTNN_PACK_FUNCTION(fused)
  FASTNN_PACK_FUNCTION(scale_exponent)
  FASTNN_PACK_FUNCTION(put_log_limits)
#undef FASTNN_PACK_FUNCTION
};
#undef FASTNN_IN_STEP

FASTNN_END_NAMESPACE
