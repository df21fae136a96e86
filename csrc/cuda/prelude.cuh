// SPDX-License-Identifier: Apache-2.0
// What every CUDA kernel needs: how it is given its operands, its place in the grid,
// and the ways threads of a block combine what they have.
//
// The files of this folder are templates of device functions, one per kernel of the
// CPU's table (csrc/kernels), on the same views and attributes. They include nothing
// but this file and csrc/shared, so the same text is compiled by NVRTC at first use, by
// nvcc, and by the C++ compiler, which runs it thread by thread in tests
// (tests/cuda/emulator.hpp). fastnn/backends/cuda/source.py writes the __global__
// functions: FASTNN_GLOBAL below.
//
// Every result is a function of the operands alone: no atomics on floats, reductions in
// an order that the launch shape does not change.
#pragma once

#include "shared/hd.h"

#if defined(FASTNN_EMULATED)
#define FASTNN_DEVICE inline
#define FASTNN_CALLED inline
#define FASTNN_DYNAMIC_SHARED(name) alignas(128) static char name[232448]
#else
#define FASTNN_DEVICE __device__ __forceinline__
#define FASTNN_CALLED __device__ __noinline__
// Shared memory of the size that the launch says.
#define FASTNN_DYNAMIC_SHARED(name) extern __shared__ __align__(128) char name[]
// One kernel: `body` is a device function of its arguments.
#define FASTNN_GLOBAL(symbol, n_in, n_out, n_numbers, threads, body)                   \
  extern "C" __global__ void __launch_bounds__(threads)                                \
      symbol(const __grid_constant__ fastnn::device::Args<n_in, n_out, n_numbers> a) { \
    using namespace fastnn;                                                            \
    using namespace fastnn::device;                                                    \
    body(a);                                                                           \
  }
// The same for several sets of arguments, each with a row of blocks.
#define FASTNN_BESIDE(symbol, parts, n_in, n_out, n_numbers, threads, body)          \
  extern "C" __global__ void __launch_bounds__(threads) symbol(                      \
      const __grid_constant__ fastnn::device::Several<n_in, n_out, n_numbers, parts> \
          a) {                                                                       \
    using namespace fastnn;                                                          \
    using namespace fastnn::device;                                                  \
    body(a.part[blockIdx.y]);                                                        \
  }
#endif

namespace fastnn::device {

using namespace fastnn::FASTNN_ISA;

constexpr int kMaxRank = 8;
constexpr int kWarp = 32;

// An operand; strides in elements, 0 repeats. Rules hand over as few axes as they can.
struct View {
  char* data;
  int64_t shape[kMaxRank];
  int64_t stride[kMaxRank];
  int32_t ndim;
  int32_t dtype;

  template <class T>
  FASTNN_DEVICE T* ptr() const {
    return reinterpret_cast<T*>(data);
  }
  FASTNN_DEVICE int64_t numel() const {
    int64_t n = 1;
    for (int d = 0; d < ndim; ++d)
      n *= shape[d];
    return n;
  }
};

union Number {
  int64_t i;
  double f;
};

// `number`: attributes of the op in their order, then what the rule adds.
template <int n_in, int n_out, int n_numbers>
struct Args {
  View in[n_in ? n_in : 1];
  View out[n_out];
  Number number[n_numbers ? n_numbers : 1];
};

template <int n_in, int n_out, int n_numbers, int parts>
struct Several {
  Args<n_in, n_out, n_numbers> part[parts];
};

// -- element types
// -----------------------------------------------------------------------

// 16-bit floats are storage: kernels compute on float and round once, as on the CPU
// (csrc/base/half.hpp, the same bits).
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

template <class S>
struct ComputedAs {
  using type = S;
};
template <>
struct ComputedAs<BFloat16> {
  using type = float;
};
template <>
struct ComputedAs<Float16> {
  using type = float;
};
template <class S>
using Computed = typename ComputedAs<S>::type;

template <class S>
FASTNN_DEVICE Computed<S> value_of(S x) {
  return x;
}
FASTNN_DEVICE float value_of(BFloat16 x) {
  return bits_as<float>(static_cast<uint32_t>(x.bits) << 16);
}
FASTNN_DEVICE float value_of(Float16 x) {
  const uint32_t u = x.bits, sign = (u & 0x8000u) << 16, size = (u & 0x7fffu) << 13;
  const float scaled = bits_as<float>(size) * 0x1p112f;  // rebuilds the exponent
  const uint32_t special = size | 0x7f800000u;
  return bits_as<float>(sign |
                        (size >= 0x0f800000u ? special : bits_as<uint32_t>(scaled)));
}

template <class S>
struct Rounded {
  static FASTNN_DEVICE S of(Computed<S> x) { return x; }
};
template <>
struct Rounded<BFloat16> {
  static FASTNN_DEVICE BFloat16 of(float x) {
    const uint32_t u = bits_as<uint32_t>(x);
    const uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
    const uint32_t quiet = u >> 16 | 0x40;
    return {static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
  }
};
template <>
struct Rounded<Float16> {
  static FASTNN_DEVICE Float16 of(float x) {
    const uint32_t u = bits_as<uint32_t>(x), sign = u >> 16 & 0x8000u;
    const uint32_t size = u & 0x7fffffffu;
    const uint32_t tiny = bits_as<uint32_t>(bits_as<float>(size) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (size - 0x38000000u + 0xfffu + (size >> 13 & 1)) >> 13;
    const uint32_t large =
        size > 0x7f800000u ? 0x7e00u | (size >> 13 & 0x3ffu) : 0x7c00u;
    const uint32_t finite = size < 0x38800000u ? tiny : normal;
    return {static_cast<uint16_t>(sign | (size >= 0x477ff000u ? large : finite))};
  }
};

template <class S>
FASTNN_DEVICE Computed<S> load(const S* p, int64_t at) {
  return value_of(p[at]);
}
template <class S>
FASTNN_DEVICE void store(S* p, int64_t at, Computed<S> x) {
  p[at] = Rounded<S>::of(x);
}

// -- places
// ------------------------------------------------------------------------------

FASTNN_DEVICE int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
FASTNN_DEVICE int64_t global_threads() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

// Where element `at` of a view lies, counted row-major over its first `rank` axes.
FASTNN_DEVICE int64_t offset_of(const View& x, int64_t at, int rank) {
  int64_t offset = 0;
  for (int d = rank - 1; d > 0; --d) {
    const int64_t next = at / x.shape[d];
    offset += (at - next * x.shape[d]) * x.stride[d];
    at = next;
  }
  return rank > 0 ? offset + at * x.stride[0] : offset;
}
FASTNN_DEVICE int64_t offset_of(const View& x, int64_t at) {
  return offset_of(x, at, x.ndim);
}
// Of the axes from `first` on.
FASTNN_DEVICE int64_t offset_behind(const View& x, int64_t at, int first) {
  int64_t offset = 0;
  for (int d = x.ndim - 1; d > first; --d) {
    const int64_t next = at / x.shape[d];
    offset += (at - next * x.shape[d]) * x.stride[d];
    at = next;
  }
  return x.ndim > first ? offset + at * x.stride[first] : offset;
}

// f(i) for the elements of the thread, all threads of the grid sharing n of them.
template <class F>
FASTNN_DEVICE void for_elements(int64_t n, F f) {
  for (int64_t i = global_thread(); i < n; i += global_threads())
    f(i);
}

// -- threads together
// --------------------------------------------------------------------

constexpr unsigned kAllLanes = 0xffffffffu;

struct SumOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return T(0);
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct ProdOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return T(1);
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return a * b;
  }
};

template <class T>
FASTNN_DEVICE T lowest() {
  if constexpr (kIsFloat<T>) {
    return -infinity<T>();
  } else if constexpr (static_cast<T>(-1) < static_cast<T>(0)) {
    return static_cast<T>(static_cast<UIntOf<T>>(1) << (8 * sizeof(T) - 1));
  } else {
    return T(0);
  }
}
template <class T>
FASTNN_DEVICE T highest() {
  if constexpr (kIsFloat<T>) {
    return infinity<T>();
  } else if constexpr (static_cast<T>(-1) < static_cast<T>(0)) {
    return static_cast<T>(~lowest<T>());
  } else {
    return static_cast<T>(-1);
  }
}

// NaN wins, as in NumPy.
struct MaxOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return lowest<T>();
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return maximum(a, b);
  }
};
struct MinOp {
  template <class T>
  static FASTNN_DEVICE T start() {
    return highest<T>();
  }
  template <class T>
  FASTNN_DEVICE T operator()(T a, T b) const {
    return minimum(a, b);
  }
};

// All lanes get the same bits: in each step both partners combine the same two values,
// and every Op is commutative.
template <class Op, class T>
FASTNN_DEVICE T warp_reduce(T x, int width = kWarp) {
  for (int step = width / 2; step > 0; step /= 2)
    x = Op{}(x, static_cast<T>(__shfl_xor_sync(kAllLanes, x, step)));
  return x;
}

// Over the block, whose size is a multiple of a warp; all threads call it and get the
// result.
template <class Op, class T>
FASTNN_DEVICE T block_reduce(T x) {
  __shared__ T of_warp[kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int warps = blockDim.x / kWarp;
  x = warp_reduce<Op>(x);
  if (warps == 1) return x;
  __syncthreads();  // what an earlier call left has been read
  if (lane == 0) of_warp[warp] = x;
  __syncthreads();
  x = lane < warps ? of_warp[lane] : Op::template start<T>();
  return warp_reduce<Op>(x);
}

}  // namespace fastnn::device
