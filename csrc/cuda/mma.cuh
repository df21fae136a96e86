// SPDX-License-Identifier: Apache-2.0
// What sm_80 and later can do below CUDA C++: copies into shared memory behind a
// thread's back, matrices of a warp, their products on tensor cores.
//
// The emulator does the same with the same fragments (emulator.hpp): lane = 4 g + t,
//
//   d, 16 x 8:           d[0], d[1] row g, columns 2t, 2t + 1;  d[2], d[3] row g + 8
//   a, 16 x k, 32 bits:  a[0] row g, slot t;      a[1] row g + 8, slot t;
//                        a[2] row g, slot t + 4;  a[3] row g + 8, slot t + 4
//   b, k x 8, 32 bits:   b[0] slot t, column g;   b[1] slot t + 4, column g
//
// where a slot is one float of 8, or two neighbouring 16-bit floats of 16 (PTX ISA,
// "Matrix fragments for mma.m16n8k8, mma.m16n8k16").
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

#if defined(FASTNN_EMULATED)

FASTNN_DEVICE void copy_async(void* to, const void* from, bool there) {
  emulator::copy_async(to, from, there);
}
FASTNN_DEVICE void commit_copies() { emulator::commit_copies(); }
template <int n>
FASTNN_DEVICE void wait_copies() {
  emulator::wait_copies(n);
}
FASTNN_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  emulator::load_matrices(r, row, false);
}
FASTNN_DEVICE void load_transposed(uint32_t (&r)[4], const void* row) {
  emulator::load_matrices(r, row, true);
}
FASTNN_DEVICE uint32_t to_tf32(uint32_t x) {
  return (x & 0x7f800000u) == 0x7f800000u ? x : (x + 0x1000u) & ~0x1fffu;
}
template <class S>
FASTNN_DEVICE void multiply_add(float (&d)[4], const uint32_t (&a)[4],
                                const uint32_t (&b)[2]) {
  constexpr int kOfSlot = 4 / sizeof(S);
  emulator::multiply_add<8 * kOfSlot>(d, a, b, [](uint32_t slot, int i) {
    if constexpr (kOfSlot == 1) {
      return bits_as<float>(slot & ~0x1fffu);
    } else {
      return value_of(S{static_cast<uint16_t>(slot >> (16 * i))});
    }
  });
}

#else

// 16 bytes from global to shared memory, or zeros where there are none: `from` is an
// address all the same.
FASTNN_DEVICE void copy_async(void* to, const void* from, bool there) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from),
               "r"(there ? 16 : 0)
               : "memory");
}
FASTNN_DEVICE void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until all copies of this thread have arrived but those of the last n commits.
template <int n>
FASTNN_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}
// Four matrices of 8 rows of 16 bytes in shared memory: lanes 8i to 8i + 7 know the
// rows of the i-th; r[i] are bytes 4t to 4t + 3 of its row g.
FASTNN_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
// The same of the matrices of 16-bit elements transposed.
FASTNN_DEVICE void load_transposed(uint32_t (&r)[4], const void* row) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
// The bits of a float rounded to 10 bits behind the point.
FASTNN_DEVICE uint32_t to_tf32(uint32_t x) {
  uint32_t y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(bits_as<float>(x)));
  return y;
}
#define FASTNN_MMA(shape, type)                                                       \
  asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type                \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
// d += a b, all lanes of a warp together; floats are rounded before, by to_tf32.
template <class S>
FASTNN_DEVICE void multiply_add(float (&d)[4], const uint32_t (&a)[4],
                                const uint32_t (&b)[2]) {
  if constexpr (kSame<S, BFloat16>) {
    FASTNN_MMA("m16n8k16", "bf16");
  } else if constexpr (kSame<S, Float16>) {
    FASTNN_MMA("m16n8k16", "f16");
  } else {
    FASTNN_MMA("m16n8k8", "tf32");
  }
}
#undef FASTNN_MMA

#endif

}  // namespace fastnn::device
