// SPDX-License-Identifier: Apache-2.0
#include "base/buffers.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "base/arena.hpp"
#include "base/mapping.hpp"

namespace fastnn {

// A kept block is in two lists: of its size class, where the block that was released
// last is taken first (it is in the caches), and of all blocks, where the one that has
// waited longest is given back first.
struct Buffer {
  void* data;
  size_t size;
  int size_class;
  void* mapping;  // nullptr: from the heap
  size_t mapping_size;
  bool zero;               // as it came from the system
  Buffer *below, *above;   // in the class, towards earlier and later releases
  Buffer *before, *after;  // of all
};

namespace {

#if defined(__SANITIZE_ADDRESS__)
#define FASTNN_EXACT_BUFFERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTNN_EXACT_BUFFERS 1
#endif
#endif
#if defined(FASTNN_EXACT_BUFFERS)
// The sanitizer watches the ends of heap blocks and their use after release.
constexpr bool kKeep = false;
#else
constexpr bool kKeep = true;
#endif

constexpr size_t kAlignment = 64;

// Blocks from here on are mappings of their own, in huge pages: 2 MB of small ones take
// 1.7 ms to get (a virtual machine), a huge one 0.3. A last page that would be less
// than half full is made of small ones.
constexpr size_t kMapped = kHugePage / 2;

size_t in_huge_pages(size_t bytes) {
  const size_t tail = bytes % kHugePage;
  return tail < kHugePage / 2 ? bytes - tail : bytes;
}

// Eight sizes per power of two: at most an eighth of a block is unused.
constexpr int kSteps = 8;
constexpr size_t kSmallest = 512;
constexpr int kClasses = 40 * kSteps;

struct SizeClass {
  int index;
  size_t bytes;
};
SizeClass class_of(size_t bytes) {
  bytes = std::max(bytes, kSmallest);
  const int log = std::bit_width(bytes - 1) - 1;  // 2^log < bytes <= 2^(log + 1)
  const size_t step = (size_t{1} << log) / kSteps;
  const size_t size = round_up(bytes, step);
  const int base = (log - std::bit_width(kSmallest) + 2) * kSteps;
  return {base + static_cast<int>((size - (size_t{1} << log)) / step) - 1, size};
}

// Whatever else happens, this much may be kept beside what is live.
constexpr size_t kSlack = size_t{32} << 20;
// A peak is forgotten when this many times as much has been handed out since: some
// training steps.
constexpr size_t kMemory = 32;

size_t default_limit() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page <= 0) return size_t{1} << 30;
  return static_cast<size_t>(pages) * static_cast<size_t>(page) / 8;
}

class Buffers {
 public:
  Buffer* acquire(size_t bytes) {
    const SizeClass wanted = class_of(bytes);
    {
      const std::lock_guard lock(mutex);
      note_acquired(wanted.bytes);
      if (wanted.index < kClasses && top_[wanted.index]) {
        Buffer* buffer = top_[wanted.index];
        take_out(buffer);
        ++reuses_;
        return buffer;
      }
      ++allocations_;
    }
    try {
      return allocate(kKeep ? wanted.bytes : bytes, wanted.index);
    } catch (...) {
      clear();  // what is kept may be what the system lacks
      try {
        return allocate(kKeep ? wanted.bytes : bytes, wanted.index);
      } catch (...) {
        const std::lock_guard lock(mutex);
        live_ -= wanted.bytes;
        throw;
      }
    }
  }

  void release(Buffer* buffer) {
    Buffer* excess = nullptr;
    {
      const std::lock_guard lock(mutex);
      live_ -= class_of(buffer->size).bytes;
      if (kKeep && buffer->size_class < kClasses) {
        put_in(buffer);
        excess = trim(bound());
      } else {
        excess = buffer;
        buffer->after = nullptr;
      }
    }
    free_all(excess);
  }

  size_t clear() {
    Buffer* excess;
    size_t bytes;
    {
      const std::lock_guard lock(mutex);
      bytes = kept_;
      excess = trim(0);
      peak_ = last_peak_ = live_;
    }
    free_all(excess);
    return bytes;
  }

  size_t limit() {
    const std::lock_guard lock(mutex);
    return limit_;
  }
  void set_limit(size_t bytes) {
    Buffer* excess;
    {
      const std::lock_guard lock(mutex);
      limit_ = bytes;
      excess = trim(bound());
    }
    free_all(excess);
  }

  BufferStats stats() {
    const std::lock_guard lock(mutex);
    return {static_cast<int64_t>(live_), static_cast<int64_t>(kept_), allocations_,
            reuses_};
  }

  std::mutex mutex;

 private:
  static Buffer* allocate(size_t bytes, int size_class) {
    auto* buffer =
        new Buffer{nullptr, bytes, size_class, nullptr, 0, false, {}, {}, {}, {}};
    if (bytes >= kMapped && kKeep) {
      try {
        const Mapping fresh(bytes, in_huge_pages(bytes));
        buffer->zero = true;
        buffer->data = fresh.data;
        buffer->mapping = fresh.start, buffer->mapping_size = fresh.size;
      } catch (...) {
        delete buffer;
        throw;
      }
    } else if (posix_memalign(&buffer->data, kAlignment, bytes ? bytes : 1) != 0) {
      delete buffer;
      throw std::bad_alloc();
    }
    return buffer;
  }

  static void free_all(Buffer* list) {
    while (list) {
      Buffer* next = list->after;
      if (list->mapping) {
        munmap(list->mapping, list->mapping_size);
      } else {
        std::free(list->data);
      }
      delete list;
      list = next;
    }
  }

  void note_acquired(size_t bytes) {
    live_ += bytes;
    handed_out_ += bytes;
    peak_ = std::max(peak_, live_);
    if (handed_out_ / kMemory > peak_) {
      last_peak_ = peak_;
      peak_ = live_;
      handed_out_ = 0;
    }
  }

  // How much may be kept now.
  size_t bound() const {
    return std::min(limit_, std::max(peak_, last_peak_) - live_ + kSlack);
  }

  void put_in(Buffer* buffer) {
    Buffer*& top = top_[buffer->size_class];
    buffer->above = nullptr;
    buffer->below = top;
    if (top) top->above = buffer;
    top = buffer;
    buffer->after = nullptr;
    buffer->before = newest_;
    (newest_ ? newest_->after : oldest_) = buffer;
    newest_ = buffer;
    kept_ += buffer->size;
    buffer->zero = false;
  }

  void take_out(Buffer* buffer) {
    (buffer->above ? buffer->above->below : top_[buffer->size_class]) = buffer->below;
    if (buffer->below) buffer->below->above = buffer->above;
    (buffer->before ? buffer->before->after : oldest_) = buffer->after;
    (buffer->after ? buffer->after->before : newest_) = buffer->before;
    kept_ -= buffer->size;
  }

  // Blocks to be freed, linked by `after`, so that no more than `bytes` are kept.
  Buffer* trim(size_t bytes) {
    Buffer* list = nullptr;
    while (kept_ > bytes) {
      Buffer* buffer = oldest_;
      take_out(buffer);
      buffer->after = list;
      list = buffer;
    }
    return list;
  }

  Buffer* top_[kClasses] = {};
  Buffer *oldest_ = nullptr, *newest_ = nullptr;
  size_t live_ = 0, kept_ = 0, limit_ = default_limit();
  size_t peak_ = 0, last_peak_ = 0, handed_out_ = 0;
  int64_t allocations_ = 0, reuses_ = 0;
};

// Never destroyed: arrays may outlive everything else in the process.
Buffers& buffers() {
  static Buffers* const all = [] {
    // A child of a fork has the lists as they are; nobody may be changing them then.
    pthread_atfork([] { buffers().mutex.lock(); }, [] { buffers().mutex.unlock(); },
                   [] { buffers().mutex.unlock(); });
    return new Buffers;
  }();
  return *all;
}

// While the library loads: a fork beside the first use would miss the handlers.
[[maybe_unused]] const bool made = (buffers(), true);

}  // namespace

Buffer* acquire_buffer(size_t bytes) {
  Buffer* buffer = buffers().acquire(bytes);
  if (debug_poison()) poison(buffer->data, buffer->size);
  return buffer;
}
void* buffer_data(const Buffer* buffer) { return buffer->data; }
bool buffer_is_zero(const Buffer* buffer) { return buffer->zero && !debug_poison(); }
void release_buffer(Buffer* buffer) {
  if (debug_poison()) poison(buffer->data, buffer->size);
  buffers().release(buffer);
}
size_t clear_buffers() { return buffers().clear(); }
size_t buffer_limit() { return buffers().limit(); }
void set_buffer_limit(size_t bytes) { buffers().set_limit(bytes); }
BufferStats buffer_stats() { return buffers().stats(); }

}  // namespace fastnn
