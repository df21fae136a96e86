// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/cpu.hpp"
#include "base/error.hpp"

namespace fastnn {
namespace {

// Sleeping and waking costs ~5-50 us, a barrier inside a training step well under one:
// spinning this long covers the gaps between phases without burning a shared core.
constexpr int64_t kSpinNs = 20'000;
// Between pieces of work: Python takes 10 to 30 us from one `predict` to the next.
constexpr int64_t kLingerNs = 60'000;
// Short runs that begin within this time of each other are a row of them.
constexpr int64_t kRowNs = 300'000;
constexpr int kMaxThreads = 1024;

std::atomic<int> known_cpus{0};  // 0: not asked yet

int cpus() {
  int count = known_cpus.load(std::memory_order_relaxed);
  if (count == 0) {
    count = available_cpus();
    known_cpus.store(count, std::memory_order_relaxed);
  }
  return count;
}

// FASTNN_NUM_THREADS, 0 when it is not set.
int threads_from_environment() {
  const char* text = std::getenv("FASTNN_NUM_THREADS");
  if (!text || !*text) return 0;
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  FASTNN_CHECK(*end == 0 && count >= 1 && count <= kMaxThreads,
               "[FASTNN_NUM_THREADS] expected 1 to %d, received '%s'", kMaxThreads,
               text);
  return static_cast<int>(count);
}

std::atomic<int> wanted_threads{0};  // 0: not set
thread_local bool inside_team = false;
thread_local int64_t waited = 0;

struct alignas(64) Worker {
  // One word per worker: a job wakes only its members, and a worker that sits out
  // never reads the job of others. A job adds 2; the lowest bit changes when the worker
  // shall only wake up.
  std::atomic<uint32_t> ticket{0};
  std::atomic<bool> asleep{true};
  bool stop = false;
  std::exception_ptr error;
  std::thread thread;
};

// False when the word did not change within `spin_ns`.
bool spin_while_equal(const std::atomic<uint32_t>& word, uint32_t old,
                      int64_t spin_ns) {
  if (word.load(std::memory_order_acquire) != old) return true;
  const int64_t begin = now_ns();
  for (int64_t now = begin; now - begin < spin_ns; now = now_ns()) {
    for (int i = 0; i < 16; ++i) {
      if (word.load(std::memory_order_acquire) != old) {
        waited += now - begin;  // up to 16 pauses too few: not worth another call
        return true;
      }
      cpu_relax();
    }
  }
  waited += spin_ns;
  return false;
}

class Pool {
 public:
  // nullptr when the pool is in use.
  static Pool* try_acquire() {
    Pool* pool = current().load(std::memory_order_acquire);
    return pool->busy_.try_lock() ? pool : nullptr;
  }
  static void make() { current(); }
  void release() { busy_.unlock(); }

  int grow(int threads) {
    try {
      while (static_cast<int>(workers_.size()) + 1 < threads)
        start_worker();
    } catch (const std::system_error&) {
      // The system refuses more threads: work with those that exist.
    }
    return std::min(threads, static_cast<int>(workers_.size()) + 1);
  }

  int at_hand(int wanted) {
    const int64_t now = now_ns();
    const bool close = now - last_short_ < kRowNs;
    last_short_ = now;
    int ready = 1;
    const int there = std::min(wanted, static_cast<int>(workers_.size()) + 1);
    for (int i = 1; i < there; ++i) {
      Worker& worker = *workers_[i - 1];
      if (!worker.asleep.load(std::memory_order_relaxed)) {
        ready += ready == i;
      } else if (close) {
        worker.ticket.fetch_xor(1, std::memory_order_relaxed);
        worker.ticket.notify_one();
      }
    }
    return ready;
  }

  void shrink(int threads) {
    while (static_cast<int>(workers_.size()) + 1 > threads) {
      Worker& last = *workers_.back();
      last.stop = true;
      wake(last);
      last.thread.join();
      workers_.pop_back();
    }
  }

  void run(int count, TeamFunction fn, void* context) {
    fn_ = fn;
    context_ = context;
    count_ = count;
    pending_.store(static_cast<uint32_t>(count - 1), std::memory_order_relaxed);
    for (int i = 1; i < count; ++i)
      wake(*workers_[i - 1]);

    std::exception_ptr error;
    try {
      fn(context, 0, count);
    } catch (...) {
      error = std::current_exception();
    }
    const int64_t spin = spin_budget_ns(count);
    for (uint32_t left; (left = pending_.load(std::memory_order_acquire)) != 0;) {
      wait_while_equal(pending_, left, spin);
    }
    for (int i = 1; i < count; ++i) {
      std::exception_ptr theirs = std::exchange(workers_[i - 1]->error, nullptr);
      if (!error) error = theirs;
    }
    if (error) std::rethrow_exception(error);
  }

 private:
  static std::atomic<Pool*>& current() {
    static std::atomic<Pool*> pool = make_first();
    return pool;
  }

  static Pool* make_first() {
    // The child of a fork has none of the workers and possibly a locked mutex:
    // abandon that pool (its memory is the parent's picture) and begin anew.
    pthread_atfork(nullptr, nullptr, [] {
      inside_team = false;
      known_cpus = 0;  // a pool of processes may pin each to its own
      current().store(new Pool, std::memory_order_release);
    });
    // A pool in use at exit (a daemon thread in a long run) is left to the system.
    std::atexit([] {
      if (Pool* pool = try_acquire()) {
        pool->shrink(1);
        pool->release();
      }
    });
    return new Pool;
  }

  static void wake(Worker& worker) {
    worker.ticket.fetch_add(2, std::memory_order_release);
    worker.ticket.notify_one();
  }

  void start_worker() {
    auto worker = std::make_unique<Worker>();
    Worker* self = worker.get();
    const int index = static_cast<int>(workers_.size()) + 1;
    workers_.reserve(workers_.size() + 1);
    worker->thread = std::thread([this, self, index] { serve(*self, index); });
    workers_.push_back(std::move(worker));
  }

  // The next ticket after `done`.
  static uint32_t await(Worker& self, uint32_t done, int64_t spin) {
    if (!spin_while_equal(self.ticket, done, spin)) {
      self.asleep.store(true, std::memory_order_relaxed);
      self.ticket.wait(done, std::memory_order_acquire);
    }
    self.asleep.store(false, std::memory_order_relaxed);
    return self.ticket.load(std::memory_order_acquire);
  }

  void serve(Worker& self, int index) {
    inside_team = true;
    uint32_t done = 0;  // the ticket of the last job
    for (int64_t spin = kLingerNs;;) {
      const uint32_t next = await(self, done, spin);
      if (next >> 1 == done >> 1) {
        done = next;
        spin = kRowNs;  // until the next run of the row, if it comes
        continue;
      }
      done = next;
      if (self.stop) return;
      spin = spin_budget_ns(count_) ? kLingerNs : 0;
      try {
        fn_(context_, index, count_);
      } catch (...) {
        self.error = std::current_exception();
      }
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
    }
  }

  std::mutex busy_;
  std::vector<std::unique_ptr<Worker>> workers_;
  TeamFunction fn_ = nullptr;
  void* context_ = nullptr;
  int count_ = 0;
  int64_t last_short_ = 0;
  alignas(64) std::atomic<uint32_t> pending_{0};
};

// While the library loads: a fork in the middle of another thread's first use of the
// pool would miss the handler, and the child wait for workers it does not have.
[[maybe_unused]] const bool made = (Pool::make(), true);

}  // namespace

int num_threads() {
  const int wanted = wanted_threads.load(std::memory_order_relaxed);
  if (wanted) return wanted;
  static const int count = threads_from_environment();
  return count ? count : cpus();
}

void set_num_threads(int count) {
  FASTNN_CHECK(count >= 1 && count <= kMaxThreads,
               "[set_num_threads] expected 1 to %d threads, received %d", kMaxThreads,
               count);
  wanted_threads.store(count, std::memory_order_relaxed);
}

int64_t spin_budget_ns(int threads) { return threads > cpus() ? 0 : kSpinNs; }

void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t old,
                      int64_t spin_ns) {
  if (spin_while_equal(word, old, spin_ns)) return;
  const int64_t begin = now_ns();
  word.wait(old, std::memory_order_acquire);
  waited += now_ns() - begin;
}

int64_t waited_ns() { return waited; }

void run_team(int wanted, TeamFunction fn, void* context) {
  int count = std::min(wanted, num_threads());
  Pool* pool = count > 1 && !inside_team ? Pool::try_acquire() : nullptr;
  if (!pool) {
    fn(context, 0, 1);
    return;
  }
  struct Guard {
    Pool* pool;
    ~Guard() {
      inside_team = false;
      pool->release();
    }
  } guard{pool};
  inside_team = true;
  pool->shrink(num_threads());
  count = pool->grow(count);
  if (count > 1) {
    pool->run(count, fn, context);
  } else {
    fn(context, 0, 1);
  }
}

int threads_at_hand(int wanted) {
  wanted = std::min(wanted, num_threads());
  Pool* pool = wanted > 1 && !inside_team ? Pool::try_acquire() : nullptr;
  if (!pool) return 1;
  const int ready = pool->at_hand(wanted);
  pool->release();
  return ready;
}

void prepare_threads(int threads) {
  // The first meetings are slow while both threads still share a processor: with one
  // sleeping in between, the system has a reason to move the other.
  for (int round = 0; round < 3; ++round)
    run_team(threads, [](int, int) { std::this_thread::yield(); });
}

}  // namespace fastnn
