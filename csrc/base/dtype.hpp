// SPDX-License-Identifier: Apache-2.0
// Element types. The numeric codes are part of the kernel ABI and are mirrored
// by fastnn/opset/_dtypes.py through `_core.dtype_codes()`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/half.hpp"

namespace fastnn {

// clang-format off
// X(enumerator, C++ type, NumPy name)
#define FASTNN_DTYPES(X)            \
  X(kBool,     bool,     "bool")    \
  X(kUInt8,    uint8_t,  "uint8")   \
  X(kInt8,     int8_t,   "int8")    \
  X(kUInt16,   uint16_t, "uint16")  \
  X(kInt16,    int16_t,  "int16")   \
  X(kUInt32,   uint32_t, "uint32")  \
  X(kInt32,    int32_t,  "int32")   \
  X(kUInt64,   uint64_t, "uint64")  \
  X(kInt64,    int64_t,  "int64")   \
  X(kFloat32,  float,    "float32") \
  X(kFloat64,  double,   "float64") \
  X(kBFloat16, BFloat16, "bfloat16") \
  X(kFloat16,  Float16,  "float16")
// clang-format on

enum class DType : uint8_t {
#define X(code, type, name) code,
  FASTNN_DTYPES(X)
#undef X
};

#define X(code, type, name) +1
inline constexpr int kNumDTypes = 0 FASTNN_DTYPES(X);
#undef X

inline constexpr int kDTypeSizes[] = {
#define X(code, type, name) static_cast<int>(sizeof(type)),
    FASTNN_DTYPES(X)
#undef X
};

inline constexpr const char* kDTypeNames[] = {
#define X(code, type, name) name,
    FASTNN_DTYPES(X)
#undef X
};

constexpr int dtype_size(DType t) { return kDTypeSizes[static_cast<int>(t)]; }
constexpr const char* dtype_name(DType t) { return kDTypeNames[static_cast<int>(t)]; }

// 16-bit floats are for storage: kernels compute on them as float32.
constexpr bool dtype_is_half(DType t) {
  return t == DType::kBFloat16 || t == DType::kFloat16;
}

template <class T>
constexpr DType dtype_of();
#define X(code, type, name)          \
  template <>                        \
  constexpr DType dtype_of<type>() { \
    return DType::code;              \
  }
FASTNN_DTYPES(X)
#undef X

}  // namespace fastnn
