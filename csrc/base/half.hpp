// SPDX-License-Identifier: Apache-2.0
// 16-bit floating-point numbers: storage, and conversion to and from float32. Rounding
// is to nearest even; NaN stays NaN (quiet). No branches on values, so that loops of
// conversions become vector code.
#pragma once

#include <cstdint>

namespace fastnn {

#define FASTNN_HALF_INLINE inline __attribute__((always_inline))

FASTNN_HALF_INLINE uint32_t float_bits(float x) {
  return __builtin_bit_cast(uint32_t, x);
}
FASTNN_HALF_INLINE float float_of_bits(uint32_t x) {
  return __builtin_bit_cast(float, x);
}

// float32 without the lower half of its significand.
struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  FASTNN_HALF_INLINE explicit BFloat16(float x) {
    const uint32_t u = float_bits(x);
    const uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
    const uint32_t quiet = u >> 16 | 0x40;
    bits = static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
  FASTNN_HALF_INLINE operator float() const {
    return float_of_bits(static_cast<uint32_t>(bits) << 16);
  }
};

// IEEE 754 binary16: 5 bits of exponent, 10 of significand.
struct Float16 {
  uint16_t bits;

  Float16() = default;
  FASTNN_HALF_INLINE explicit Float16(float x) {
    const uint32_t u = float_bits(x), sign = u >> 16 & 0x8000u, size = u & 0x7fffffffu;
    // Denormal results: adding 0.5 leaves the rounded multiple of 2^-24 in the low
    // bits.
    const uint32_t tiny = float_bits(float_of_bits(size) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (size - 0x38000000u + 0xfffu + (size >> 13 & 1)) >> 13;
    const uint32_t large =
        size > 0x7f800000u ? 0x7e00u | (size >> 13 & 0x3ffu) : 0x7c00u;
    const uint32_t finite = size < 0x38800000u ? tiny : normal;
    bits = static_cast<uint16_t>(sign | (size >= 0x477ff000u ? large : finite));
  }
  FASTNN_HALF_INLINE operator float() const {
    const uint32_t u = bits, sign = (u & 0x8000u) << 16, size = (u & 0x7fffu) << 13;
    // Scaling by 2^112 rebuilds the exponent, of denormals too.
    const float scaled = float_of_bits(size) * 0x1p112f;
    const uint32_t special = size | 0x7f800000u;
    return float_of_bits(sign | (size >= 0x0f800000u ? special : float_bits(scaled)));
  }
};

#undef FASTNN_HALF_INLINE

}  // namespace fastnn
