// SPDX-License-Identifier: Apache-2.0
// How the functors of this folder are written, and what a row of a list says.
//
// The fields of a functor are its attributes in table order, each 8 bytes (double, or
// int64_t for flags): the layout of AttrValue[], so a backend copies them in.
#pragma once

#include "shared/math.h"

#define FASTNN_UNARY(Name, expression)     \
  struct Name {                            \
    template <class V>                     \
    FASTNN_HD auto operator()(V x) const { \
      return expression;                   \
    }                                      \
  };
#define FASTNN_BINARY(Name, expression)         \
  struct Name {                                 \
    template <class V>                          \
    FASTNN_HD auto operator()(V a, V b) const { \
      return expression;                        \
    }                                           \
  };

FASTNN_BEGIN_NAMESPACE

// Whether a functor is one long chain of instructions: kernels then run several vectors
// in step. Functions are, operators and most gradients wait for memory.
template <class F, int n_in>
inline constexpr bool kIsDeep = n_in == 1;

// What a row of the list takes and gives.
enum class Form {
  kValue,   // T... -> T
  kTest,    // T... -> bool
  kSelect,  // bool, T, T -> T
};

FASTNN_END_NAMESPACE
