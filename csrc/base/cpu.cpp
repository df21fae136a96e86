// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace fastnn {
namespace {

#if defined(__linux__)
int affinity_cpus() {
  // The mask may be larger than cpu_set_t on machines with over 1024 processors.
  for (int bits = 1024; bits <= 1 << 18; bits *= 2) {
    cpu_set_t* set = CPU_ALLOC(bits);
    const size_t bytes = CPU_ALLOC_SIZE(bits);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (ok) return count;
  }
  return 0;
}
#endif

// Processors' worth of time per period, 0 when there is no limit.
double quota_of(const std::string& folder) {
  double quota = 0, period = 0;
  if (FILE* file = std::fopen((folder + "/cpu.max").c_str(), "r")) {
    if (std::fscanf(file, "%lf %lf", &quota, &period) != 2) quota = 0;  // "max"
    std::fclose(file);
  } else if (FILE* v1 = std::fopen((folder + "/cpu.cfs_quota_us").c_str(), "r")) {
    if (std::fscanf(v1, "%lf", &quota) != 1) quota = 0;
    std::fclose(v1);
    if (FILE* p = std::fopen((folder + "/cpu.cfs_period_us").c_str(), "r")) {
      if (std::fscanf(p, "%lf", &period) != 1) period = 0;
      std::fclose(p);
    }
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

// The strictest quota on the way from this process's group up to the root. Inside a
// container the group path is often not visible; then the mounted root is the group.
double cgroup_quota(const std::string& groups, const std::string& mount) {
  double strictest = 0;
  const auto visit = [&](const std::string& root, std::string path) {
    for (;;) {
      const double quota = quota_of(root + path);
      if (quota > 0 && (strictest == 0 || quota < strictest)) strictest = quota;
      if (path.empty()) return;
      const size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  };
  FILE* file = std::fopen(groups.c_str(), "r");
  if (!file) return 0;
  char line[4096];
  while (std::fgets(line, sizeof line, file)) {
    const std::string text(line, std::string_view(line).find_last_not_of('\n') + 1);
    const size_t first = text.find(':');
    const size_t second = text.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = text.substr(first + 1, second - first - 1);
    std::string path = text.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) visit(mount, path);
    if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      visit(mount + "/cpu", path);
    }
  }
  std::fclose(file);
  return strictest;
}

bool cpu_supports(std::string_view isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") &&
                  __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (isa == "sse42") return v2;
  // Every CPU with FMA3 and AVX2 also has F16C.
  if (isa == "avx2") return v3;
  const bool v4 =
      v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (isa == "avx512") return v4;
  if (isa == "pclmul") return v2 && __builtin_cpu_supports("pclmul");
  if (isa == "avx512bf16") return v4 && __builtin_cpu_supports("avx512bf16");
  return false;
#else
  return isa == "neon";
#endif
}

int available_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  if (const int allowed = affinity_cpus()) cpus = allowed;
  if (const double quota = cgroup_quota(); quota > 0) {
    cpus = std::min(cpus, static_cast<int>(std::ceil(quota)));
  }
#endif
  return std::max(cpus, 1);
}

}  // namespace fastnn
