// SPDX-License-Identifier: Apache-2.0
// Every pointwise op, written once: a functor on the value type V (a SIMD vector on the
// CPU, a scalar in CUDA), each gradient beside its forward, and after the functors of a
// group the list from which the backends emit their kernel tables.
//
// To add an op: a functor and one row of the list in shared/pointwise/<group>.h, and
// its record in fastnn/opset. A group is a kernel family of its own, for the sake of
// compile times.
//
// X(kernel name, functor, number of inputs, form, element types T, attribute names)
// Element types (defined by each backend): Floats float32/64; Numeric also int32/64 and
// uint64; Integers those three; Selectable also bool; Comparable also uint8; Bools only
// bool, a byte 0 or 1.
#pragma once

#include "shared/pointwise/activation.h"
#include "shared/pointwise/arithmetic.h"
#include "shared/pointwise/elementary.h"

#define FASTNN_POINTWISE(X) \
  FASTNN_ARITHMETIC(X) FASTNN_ELEMENTARY(X) FASTNN_ACTIVATION(X)
