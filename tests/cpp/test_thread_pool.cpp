// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu.hpp"
#include "base/thread_pool.hpp"
#include "check.hpp"

namespace {

using fastnn::run_parts;
using fastnn::run_team;
using fastnn::set_num_threads;

bool each_part_runs_once(int parts) {
  std::vector<std::atomic<int>> calls(static_cast<size_t>(parts));
  run_parts(parts, [&](int part) { ++calls[static_cast<size_t>(part)]; });
  return std::all_of(calls.begin(), calls.end(), [](const auto& n) { return n == 1; });
}

// Returns only when all members of the team are inside.
int size_of_meeting(int wanted) {
  std::atomic<int> arrived{0};
  std::atomic<int> size{0};
  run_team(wanted, [&](int index, int count) {
    if (index == 0) size = count;
    ++arrived;
    while (arrived < count)
      std::this_thread::yield();
  });
  return size;
}

}  // namespace

TEST("the default thread count fits the machine") {
  const int cpus = fastnn::available_cpus();
  REQUIRE(cpus >= 1);
  REQUIRE(cpus <= static_cast<int>(std::thread::hardware_concurrency()));
  REQUIRE(fastnn::num_threads() == cpus);
}

TEST("each part runs once, for any number of threads") {
  for (const int threads : {1, 2, 4, 3}) {
    set_num_threads(threads);
    for (const int parts : {1, 2, 7, 100})
      REQUIRE(each_part_runs_once(parts));
  }
}

TEST("a team runs together and is never larger than asked") {
  set_num_threads(4);
  REQUIRE(size_of_meeting(4) == 4);
  REQUIRE(size_of_meeting(2) == 2);
  REQUIRE(size_of_meeting(9) == 4);
  set_num_threads(2);
  REQUIRE(size_of_meeting(4) == 2);
}

TEST("workers wake after they went to sleep") {
  set_num_threads(3);
  for (int round = 0; round < 20; ++round) {
    REQUIRE(size_of_meeting(3) == 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST("workers that were told to be there are at hand") {
  using fastnn::threads_at_hand;
  set_num_threads(1);
  REQUIRE(threads_at_hand(2) == 1);
  set_num_threads(2);
  REQUIRE(size_of_meeting(2) == 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REQUIRE(threads_at_hand(2) == 1);  // it sleeps, and the call before was long ago
  if (fastnn::available_cpus() > 1) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (threads_at_hand(2) == 1)
      REQUIRE(std::chrono::steady_clock::now() < end);
  }
  run_team(2, [&](int, int) { REQUIRE(threads_at_hand(2) == 1); });
}

TEST("a worker that is told to be there does no work twice and misses none") {
  set_num_threads(3);
  for (int round = 0; round < 1000; ++round) {
    fastnn::threads_at_hand(3);
    std::atomic<int> calls{0};
    run_team(3, [&](int, int) { ++calls; });
    REQUIRE(calls == 3);
    if (round % 200 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST("nested calls run inline") {
  set_num_threads(2);
  std::atomic<int> largest{0};
  std::atomic<int> parts{0};
  run_team(2, [&](int, int) {
    run_team(2, [&](int, int count) { largest = std::max<int>(largest, count); });
    run_parts(5, [&](int) { ++parts; });
  });
  REQUIRE(largest == 1);
  REQUIRE(parts == 10);
}

TEST("an exception of any part reaches the caller") {
  set_num_threads(4);
  for (const int thrower : {0, 1, 3}) {
    REQUIRE_THROWS(run_team(4,
                            [&](int index, int) {
                              if (index == thrower) throw std::runtime_error("part");
                            }),
                   "part");
  }
  REQUIRE_THROWS(run_team(4,
                          [](int index, int) {
                            throw std::runtime_error("from " + std::to_string(index));
                          }),
                 "from 0");
  REQUIRE(size_of_meeting(4) == 4);
}

TEST("callers on several threads do not disturb each other") {
  set_num_threads(2);
  std::atomic<int> good{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        good += each_part_runs_once(8);
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  REQUIRE(good == 800);
}

TEST("a bad thread count is refused") {
  REQUIRE_THROWS(set_num_threads(0), "[set_num_threads]");
  REQUIRE_THROWS(set_num_threads(100000), "received 100000");
}

// ThreadSanitizer cannot follow new threads in a forked child.
#if !defined(__SANITIZE_THREAD__)
TEST("a forked child makes its own workers and exits") {
  set_num_threads(3);
  REQUIRE(size_of_meeting(3) == 3);
  std::atomic<bool> stop{false};
  // Forks also while the pool is in use.
  std::thread busy([&] {
    while (!stop)
      each_part_runs_once(3);
  });
  int good = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a hang becomes a failure
      const int code = size_of_meeting(3) == 3 ? 7 : 1;
#if defined(__SANITIZE_ADDRESS__)
      _exit(code);  // the memory of the parent's threads would count as leaked
#else
      std::exit(code);
#endif
    }
    int status = 0;
    waitpid(child, &status, 0);
    good += WIFEXITED(status) && WEXITSTATUS(status) == 7;
  }
  stop = true;
  busy.join();
  REQUIRE_MSG(good == 20, std::to_string(good));
  REQUIRE(size_of_meeting(3) == 3);
}
#endif
