// SPDX-License-Identifier: Apache-2.0
// The pacer on invented machines: no clock, no threads.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/cpu.hpp"
#include "base/pacer.hpp"
#include "check.hpp"

namespace {

using fastnn::Pacer;
constexpr int64_t kMs = 1'000'000;

// What a step costs on a machine, in ns.
struct Machine {
  int64_t team_compute, team_wait, alone;
  int threads = 2;
};

struct Run {
  int64_t time = 0;
  int steps = 0, alone = 0;
};

// Steps through `duration` as a plan does.
Run drive(Pacer& pacer, const Machine& machine, int64_t& now, int64_t duration) {
  Run run;
  while (run.time < duration) {
    int64_t elapsed;
    if (pacer.alone(now)) {
      elapsed = machine.alone;
      now += elapsed;
      pacer.alone_ran(1, elapsed, now);
      ++run.alone;
    } else {
      elapsed = machine.team_compute + machine.team_wait;
      now += elapsed;
      pacer.team_ran(machine.threads, 1, elapsed, machine.team_wait, now);
    }
    run.time += elapsed;
    ++run.steps;
  }
  return run;
}

constexpr Machine kQuiet{50'000, 2'000, 100'000};
constexpr Machine kLoaded{60'000, 2'000'000, 180'000};

}  // namespace

TEST("a team that rarely waits is never questioned") {
  Pacer pacer;
  int64_t now = 0;
  REQUIRE(drive(pacer, kQuiet, now, 1000 * kMs).alone == 0);
  // Waiting as long as computing is what one thread would need with two; not so four.
  REQUIRE(drive(pacer, {50'000, 50'000, 1, 2}, now, 100 * kMs).alone == 0);
  REQUIRE(drive(pacer, {50'000, 120'000, 1, 4}, now, 100 * kMs).alone == 0);
}

TEST("a team that mostly waits is replaced by one thread") {
  Pacer pacer;
  int64_t now = 0;
  const Run run = drive(pacer, kLoaded, now, 10'000 * kMs);
  const double ideal = 10'000.0 * kMs / static_cast<double>(kLoaded.alone);
  REQUIRE_MSG(run.steps > 0.95 * ideal, std::to_string(run.steps / ideal));
  REQUIRE(run.alone < run.steps);  // it looks again from time to time
}

TEST("the team returns when the load is gone") {
  Pacer pacer;
  int64_t now = 0;
  drive(pacer, kLoaded, now, 10'000 * kMs);
  drive(pacer, kQuiet, now, 2000 * kMs);
  REQUIRE(drive(pacer, kQuiet, now, 1000 * kMs).alone == 0);
}

TEST("where one thread is slower yet, the waiting team stays") {
  Pacer pacer;
  int64_t now = 0;
  const Machine machine{40'000, 60'000, 300'000};
  const Run run = drive(pacer, machine, now, 10'000 * kMs);
  REQUIRE_MSG(run.alone * machine.alone < 500 * kMs, std::to_string(run.alone));
}

TEST("a single interruption does not question the team") {
  Pacer pacer;
  int64_t now = 0;
  for (int round = 0; round < 50; ++round) {
    REQUIRE(drive(pacer, kQuiet, now, 10 * kMs).alone == 0);
    REQUIRE(drive(pacer, {50'000, 4 * kMs, 100'000}, now, 1).alone == 0);
  }
}

TEST("quotas of control groups are read, the strictest one counts") {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "fastnn-cgroup-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  const fs::path root = pattern;
  const auto write = [&](const fs::path& path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  const auto quota = [&](const std::string& groups) {
    write("groups", groups);
    return fastnn::cgroup_quota((root / "groups").string(), root.string());
  };
  REQUIRE(quota("0::/\n") == 0);  // nothing mounted
  write("cpu.max", "max 100000\n");
  REQUIRE(quota("0::/\n") == 0);
  write("pod/cpu.max", "300000 100000\n");
  write("pod/box/cpu.max", "max 100000\n");
  REQUIRE(quota("0::/pod/box\n") == 3);
  write("pod/box/cpu.max", "150000 100000\n");
  REQUIRE(quota("0::/pod/box\n") == 1.5);
  REQUIRE(quota("0::/not/visible\n") == 0);
  write("cpu.max", "50000 100000\n");
  REQUIRE(quota("0::/not/visible\n") == 0.5);
  // Version 1: the cpu controller has its own tree, -1 means no limit.
  write("cpu/job/cpu.cfs_quota_us", "250000\n");
  write("cpu/job/cpu.cfs_period_us", "100000\n");
  write("cpu/cpu.cfs_quota_us", "-1\n");
  write("cpu/cpu.cfs_period_us", "100000\n");
  REQUIRE(quota("4:memory:/job\n3:cpu,cpuacct:/job\n") == 2.5);
  REQUIRE(quota("3:cpu,cpuacct:/\n") == 0);
  REQUIRE(fastnn::cgroup_quota((root / "absent").string(), root.string()) == 0);
  fs::remove_all(root);
}
