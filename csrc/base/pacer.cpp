// SPDX-License-Identifier: Apache-2.0
#include "base/pacer.hpp"

#include <algorithm>
#include <atomic>

namespace fastnn {
namespace {

constexpr int64_t kMs = 1'000'000;
// A verdict about a team needs this many calls, or this much waiting, which no quiet
// machine shows (one interruption by the system lasts 1-4 ms).
constexpr int64_t kWindow = 100;
constexpr int64_t kTooLong = 10 * kMs;
// One thread is timed over several time slices of the system.
constexpr int64_t kProbe = 20 * kMs;
constexpr int64_t kFirstPatience = 100 * kMs;
constexpr int64_t kMostPatience = 1600 * kMs;

std::atomic<bool> pacing_on{true};

}  // namespace

bool Pacer::alone(int64_t now) {
  if (mode_ == Mode::kAlone && now >= until_) {
    mode_ = Mode::kTeam;
    tally_ = {};
  }
  return mode_ != Mode::kTeam;
}

void Pacer::team_ran(int threads, double work, int64_t elapsed, int64_t waited,
                     int64_t now) {
  tally_.work += work;
  tally_.elapsed += elapsed;
  tally_.waited += waited;
  ++tally_.calls;
  if (tally_.calls < kWindow && tally_.waited < kTooLong) return;
  const Tally seen = tally_;
  tally_ = {};
  if (seen.waited <= (threads - 1) * (seen.elapsed - seen.waited)) {
    if (now >= until_) patience_ = 0;
    return;
  }
  if (now < until_ || seen.work <= 0) return;
  team_cost_ = static_cast<double>(seen.elapsed) / seen.work;
  mode_ = Mode::kProbe;
}

void Pacer::alone_ran(double work, int64_t elapsed, int64_t now) {
  if (mode_ != Mode::kProbe) return;
  tally_.work += work;
  tally_.elapsed += elapsed;
  if (tally_.elapsed < kProbe || tally_.work <= 0) return;
  const double cost = static_cast<double>(tally_.elapsed) / tally_.work;
  mode_ = cost <= team_cost_ ? Mode::kAlone : Mode::kTeam;
  patience_ = std::clamp(2 * patience_, kFirstPatience, kMostPatience);
  until_ = now + patience_;
  tally_ = {};
}

bool pacing() { return pacing_on.load(std::memory_order_relaxed); }
void set_pacing(bool on) { pacing_on.store(on, std::memory_order_relaxed); }

}  // namespace fastnn
