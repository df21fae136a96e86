// SPDX-License-Identifier: Apache-2.0
// Finds races of emulated kernels. The compiler calls __tsan_* before every access
// (-fsanitize=thread, without its library); each byte remembers who wrote it last and
// two threads that have read it.
//
// Two accesses of different threads, one of them a write, are a race unless
//   - they are of different launches, or
//   - a __syncthreads lies between them, in one block, or
//   - a __syncwarp lies between them, in one warp (shuffles order nothing).
// Of more than two readers some are forgotten: races may be missed, none is invented.
// Nothing is looked at while races::looking(false): the emulator's own functions.
#include "races.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unordered_map>

// The uninitialized data of this module: the kernels' shared memory among it.
extern "C" char __bss_start[] __attribute__((visibility("hidden")));
extern "C" char _end[] __attribute__((visibility("hidden")));

namespace races {
namespace {

struct Byte {
  Moment write, reads[2];
};

constexpr size_t kPage = 1024;
std::unordered_map<uintptr_t, std::unique_ptr<Byte[]>> pages;
bool is_looking = false;
Moment now;
uint32_t first_run = 1;  // of this launch
const char *stack_begin = nullptr, *stack_end = nullptr;

bool ordered(const Moment& a, bool is_shared) {
  if (a.run < first_run || (is_shared && a.run != now.run)) return true;
  if (a.run != now.run) return false;
  if (a.thread == now.thread || a.era != now.era) return true;
  return a.thread / 32 == now.thread / 32 && a.syncs != now.syncs;
}

[[noreturn]] void fail(const Moment& a, const char* did, const char* does,
                       bool is_shared) {
  std::fprintf(stderr,
               "emulator: race in %s memory: thread %u of block %u %s what thread %u "
               "of block %u %s, no barrier between\n",
               is_shared ? "shared" : "global", now.thread, now.run - first_run, does,
               a.thread, a.run - first_run, did);
  std::abort();
}

void look(const char* p, size_t size, bool writes) {
  if (!is_looking || (p >= stack_begin && p < stack_end)) return;
  const bool is_shared = p >= __bss_start && p < _end;
  for (const char* const end = p + size; p < end; ++p) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    auto& page = pages[at / kPage];
    if (!page) page = std::make_unique<Byte[]>(kPage);
    Byte& b = page[at % kPage];
    const char* does = writes ? "writes" : "reads";
    if (!ordered(b.write, is_shared)) fail(b.write, "wrote", does, is_shared);
    if (writes) {
      for (const Moment& r : b.reads)
        if (!ordered(r, is_shared)) fail(r, "read", does, is_shared);
      b.write = now;
    } else {
      const bool second = !ordered(b.reads[0], is_shared);
      b.reads[second] = now;
    }
  }
}

}  // namespace

void looking(bool on) { is_looking = on; }

void launched() { first_run = now.run + 1; }

void turn(const Moment& moment, const char* stack, size_t size) {
  now = moment;
  stack_begin = stack;
  stack_end = stack + size;
}

}  // namespace races

#define FASTNN_TSAN(size)                                 \
  extern "C" void __tsan_read##size(void* p) {            \
    races::look(static_cast<char*>(p), size, false);      \
  }                                                       \
  extern "C" void __tsan_write##size(void* p) {           \
    races::look(static_cast<char*>(p), size, true);       \
  }                                                       \
  extern "C" void __tsan_unaligned_read##size(void* p) {  \
    races::look(static_cast<char*>(p), size, false);      \
  }                                                       \
  extern "C" void __tsan_unaligned_write##size(void* p) { \
    races::look(static_cast<char*>(p), size, true);       \
  }
FASTNN_TSAN(1)
FASTNN_TSAN(2)
FASTNN_TSAN(4)
FASTNN_TSAN(8)
FASTNN_TSAN(16)
#undef FASTNN_TSAN
extern "C" {
void __tsan_read_range(void* p, size_t n) {
  races::look(static_cast<char*>(p), n, false);
}
void __tsan_write_range(void* p, size_t n) {
  races::look(static_cast<char*>(p), n, true);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}
}
