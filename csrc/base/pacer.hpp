// SPDX-License-Identifier: Apache-2.0
// Decides, from what was measured, whether repeated work runs on a team or on the
// calling thread alone.
//
// On a machine whose processors are busy elsewhere a team waits at every barrier for
// the member that the system has put aside: a step of 0.1 ms then takes several. With
// a team of n, one thread alone would need n times what a member computes, so the team
// is suspect when its first thread waits more than n - 1 times what it computes. Then
// the same work is timed alone, and the faster way is kept for a while, longer each
// time it proves right. The bits of a result do not depend on the number of threads,
// so the way may change between any two steps.
#pragma once

#include <cstdint>

#include "base/export.hpp"

namespace fastnn {

class FASTNN_API Pacer {
 public:
  // Whether the next step should run on the calling thread alone.
  bool alone(int64_t now);

  // A team of `threads` did `work` (steps, or any other unit) in `elapsed` ns, of which
  // its first thread waited `waited`.
  void team_ran(int threads, double work, int64_t elapsed, int64_t waited, int64_t now);

  // The calling thread did `work` alone, because `alone` said so.
  void alone_ran(double work, int64_t elapsed, int64_t now);

 private:
  enum class Mode : uint8_t { kTeam, kProbe, kAlone };
  struct Tally {
    double work = 0;
    int64_t calls = 0, elapsed = 0, waited = 0;
  };

  Mode mode_ = Mode::kTeam;
  Tally tally_;
  double team_cost_ = 0;  // ns per unit of work when the team became suspect
  int64_t patience_ = 0;  // how long the last verdict was to hold
  int64_t until_ = 0;     // end of kAlone; in kTeam, waits are forgiven until then
};

// Pacing is on unless a benchmark that compares fixed thread counts turns it off.
FASTNN_API bool pacing();
FASTNN_API void set_pacing(bool on);

}  // namespace fastnn
