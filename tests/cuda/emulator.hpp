// SPDX-License-Identifier: Apache-2.0
// Runs CUDA kernels on the CPU: blocks one after the other, the threads of a block as
// fibers that take turns at every __syncthreads and shuffle. Slow, and exact in what it
// is for: that kernels compute what they should, on any machine. It fails where a real
// device would hang: when some threads of a block wait and others have returned or wait
// elsewhere, and at races (races.cpp), for which kernels are compiled with
// -fsanitize=thread.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#include "races.hpp"

#define FASTNN_EMULATED 1
#define __shared__ static
#define __restrict__ __restrict

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr size_t kStack = 64 << 10;

enum class State { kReady, kAtWarp, kAtBlock, kDone };

// A fiber begins by its context and goes on by its jump: swapcontext would ask the
// kernel for signals at every turn, two thirds of the time.
struct Fiber {
  ucontext_t context;
  jmp_buf jump;
  bool has_begun = false;
  std::unique_ptr<char[]> stack{new char[kStack]};
  State state = State::kReady;
  uint32_t syncs = 0;  // __syncwarp so far
};

inline std::vector<Fiber> fibers;
inline jmp_buf scheduler;
inline unsigned current;
inline const std::function<void()>* body;
inline char shuffled[1024][16];
inline uint32_t runs, eras;  // blocks and barriers of blocks so far

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "emulator: %s\n", what);
  std::abort();
}

// This thread's code is looked at from here on.
inline void turn() {
  const Fiber& f = fibers[current];
  races::turn({runs, eras, f.syncs, current}, f.stack.get(), kStack);
  races::looking(true);
}

inline void enter() {
  turn();
  (*body)();
  races::looking(false);
  fibers[current].state = State::kDone;
  _longjmp(scheduler, 1);
}

inline void wait(State at) {
  races::looking(false);
  fibers[current].state = at;
  if (!_setjmp(fibers[current].jump)) _longjmp(scheduler, 1);
  turn();
}

// Lets the threads [begin, end) go on if all of them wait at `at`.
inline bool release(unsigned begin, unsigned end, State at) {
  for (unsigned t = begin; t < end; ++t)
    if (fibers[t].state != at) return false;
  for (unsigned t = begin; t < end; ++t)
    fibers[t].state = State::kReady;
  return true;
}

// Runs the current thread until it waits or ends.
__attribute__((noinline)) inline void go_on(Fiber& f) {
  if (_setjmp(scheduler)) return;
  if (f.has_begun) _longjmp(f.jump, 1);
  f.has_begun = true;
  setcontext(&f.context);
}

// Every thread runs to its next barrier or its end; whether any can go on.
inline bool round(unsigned threads) {
  unsigned done = 0;
  for (current = 0; current < threads; ++current) {
    threadIdx = {current % blockDim.x, current / blockDim.x % blockDim.y,
                 current / (blockDim.x * blockDim.y)};
    Fiber& f = fibers[current];
    if (f.state == State::kReady) go_on(f);
    done += f.state == State::kDone;
  }
  if (done == threads) return false;
  bool any = release(0, threads, State::kAtBlock);
  eras += any;
  for (unsigned w = 0; w < threads; w += 32)
    any |= release(w, w + 32 < threads ? w + 32 : threads, State::kAtWarp);
  if (!any) fail("threads wait for others that have returned or wait elsewhere");
  return true;
}

inline void run(dim3 grid, dim3 block, const std::function<void()>& kernel) {
  gridDim = grid;
  blockDim = block;
  body = &kernel;
  races::launched();
  const unsigned threads = block.x * block.y * block.z;
  if (fibers.size() < threads) fibers = std::vector<Fiber>(threads);
  for (unsigned b = 0; b < grid.x * grid.y * grid.z; ++b) {
    blockIdx = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
    for (unsigned t = 0; t < threads; ++t) {
      Fiber& f = fibers[t];
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack.get();
      f.context.uc_stack.ss_size = kStack;
      f.context.uc_link = nullptr;
      f.state = State::kReady;
      f.has_begun = false;
      makecontext(&f.context, enter, 0);
    }
    ++runs;
    while (round(threads)) {
    }
  }
}

// Small integers come back as int, as from CUDA's overloads.
template <class T>
auto exchange(T x, unsigned from) {
  static_assert(std::is_arithmetic_v<T>);
  races::looking(false);
  std::memcpy(shuffled[current], &x, sizeof x);
  wait(State::kAtWarp);
  races::looking(false);
  T y;
  std::memcpy(&y, shuffled[from], sizeof y);
  wait(State::kAtWarp);
  return +y;
}

// What the 32 lanes of the warp have.
template <class T>
void lanes(const T& mine, T (&all)[32]) {
  static char of_thread[1024][64];
  static_assert(sizeof(T) <= 64);
  races::looking(false);
  std::memcpy(of_thread[current], &mine, sizeof mine);
  wait(State::kAtWarp);
  races::looking(false);
  for (unsigned lane = 0; lane < 32; ++lane)
    std::memcpy(&all[lane], of_thread[current / 32 * 32 + lane], sizeof mine);
  wait(State::kAtWarp);
}

// -- csrc/cuda/mma.cuh ---------------------------------------------------------------

// A copy may arrive at any time until it is waited for: its place is spoilt when it is
// asked for, and written as late as may be.
struct Copy {
  uint32_t* to;
  const uint32_t* from;
  bool there;
  unsigned commit;
};

struct Copies {
  std::vector<Copy> under_way;
  unsigned commits = 0;
};

inline std::vector<Copies> copies(1024);

inline void copy_async(void* to, const void* from, bool there) {
  if (reinterpret_cast<uintptr_t>(to) % 16 || reinterpret_cast<uintptr_t>(from) % 16)
    fail("an asynchronous copy of 16 bytes is not aligned");
  uint32_t* const place = static_cast<uint32_t*>(to);
  for (int i = 0; i < 4; ++i)
    place[i] = 0x7fc5a5a5u;
  races::looking(false);
  Copies& mine = copies[current];
  mine.under_way.push_back(
      {place, static_cast<const uint32_t*>(from), there, mine.commits});
  races::looking(true);
}

inline void commit_copies() {
  races::looking(false);
  ++copies[current].commits;
  races::looking(true);
}

inline void wait_copies(unsigned but_last) {
  races::looking(false);
  Copies& mine = copies[current];
  auto& waiting = mine.under_way;
  size_t arrived = 0;
  while (arrived < waiting.size() &&
         waiting[arrived].commit + but_last < mine.commits) {
    const Copy copy = waiting[arrived++];
    races::looking(true);
    for (int i = 0; i < 4; ++i)
      copy.to[i] = copy.there ? copy.from[i] : 0;
    races::looking(false);
  }
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<long>(arrived));
  races::looking(true);
}

inline void load_matrices(uint32_t (&r)[4], const void* row, bool transposed) {
  const void* rows[32];
  lanes(row, rows);
  const unsigned lane = current % 32, g = lane / 4, t = lane % 4;
  for (unsigned i = 0; i < 4; ++i)
    if (transposed) {
      const auto half = [&](unsigned line) -> uint32_t {
        return static_cast<const uint16_t*>(rows[8 * i + line])[g];
      };
      r[i] = half(2 * t) | half(2 * t + 1) << 16;
    } else {
      r[i] = static_cast<const uint32_t*>(rows[8 * i + g])[t];
    }
  __asm__ volatile("" ::: "memory");
}

// value(slot, i): the i-th element of 32 bits.
template <int kDepth, class Value>
void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                  Value value) {
  struct Factors {
    uint32_t a[4], b[2];
  };
  const Factors mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  Factors all[32];
  lanes(mine, all);
  constexpr int kOfSlot = kDepth / 8;
  const unsigned g = current % 32 / 4, t = current % 4;
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned slot = 0; slot < 8; ++slot)
      for (int j = 0; j < kOfSlot; ++j) {
        const uint32_t left = all[4 * g + slot % 4].a[i / 2 + slot / 4 * 2];
        const uint32_t right = all[4 * (2 * t + i % 2) + slot % 4].b[slot / 4];
        d[i] += value(left, j) * value(right, j);
      }
}

}  // namespace emulator

inline void __syncthreads() { emulator::wait(emulator::State::kAtBlock); }
inline int __syncthreads_or(int x) {
  static int any;
  __syncthreads();  // the last result has been read
  races::looking(false);
  any = 0;
  __syncthreads();
  races::looking(false);
  any |= x;
  __syncthreads();
  races::looking(false);
  const int result = any;
  races::looking(true);
  return result;
}
inline unsigned long long atomicMin(unsigned long long* at, unsigned long long x) {
  races::looking(false);
  const unsigned long long before = *at;
  if (x < before) *at = x;
  races::looking(true);
  return before;
}
inline void __syncwarp(unsigned = 0xffffffffu) {
  ++emulator::fibers[emulator::current].syncs;
  emulator::wait(emulator::State::kAtWarp);
}
template <class T>
auto __shfl_xor_sync(unsigned, T x, int mask) {
  return emulator::exchange(x, emulator::current ^ static_cast<unsigned>(mask));
}
template <class T>
auto __shfl_down_sync(unsigned, T x, int step) {
  const unsigned lane = emulator::current % 32, to = lane + static_cast<unsigned>(step);
  return emulator::exchange(x, to < 32 ? emulator::current + step : emulator::current);
}
template <class T>
auto __shfl_up_sync(unsigned, T x, int step) {
  const unsigned lane = emulator::current % 32, by = static_cast<unsigned>(step);
  return emulator::exchange(x, lane >= by ? emulator::current - by : emulator::current);
}
template <class T>
auto __shfl_sync(unsigned, T x, int lane) {
  return emulator::exchange(x, emulator::current / 32 * 32 + lane % 32);
}

#define FASTNN_GLOBAL(symbol, n_in, n_out, n_numbers, threads, body)                  \
  extern "C" __attribute__((visibility("default"))) void symbol(                      \
      const fastnn::device::Args<n_in, n_out, n_numbers>* a, dim3 grid, dim3 block) { \
    using namespace fastnn::device;                                                   \
    emulator::run(grid, block, [a] { body(*a); });                                    \
  }
#define FASTNN_BESIDE(symbol, parts, n_in, n_out, n_numbers, threads, body)            \
  extern "C" __attribute__((visibility("default"))) void symbol(                       \
      const fastnn::device::Several<n_in, n_out, n_numbers, parts>* a, dim3 grid,      \
      dim3 block) {                                                                    \
    using namespace fastnn::device;                                                    \
    emulator::run(grid, block, [a] { body(a->part[blockIdx.y]); });                    \
  }
