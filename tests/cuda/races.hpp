// SPDX-License-Identifier: Apache-2.0
// What the emulator tells the race check of (races.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace races {

struct Moment {
  uint32_t run = 0;    // which block of which launch, counted from 1
  uint32_t era = 0;    // barriers of blocks so far
  uint32_t syncs = 0;  // __syncwarp of the thread so far
  uint32_t thread = 0;
};

// Whether accesses are looked at: those of kernels, not of the emulator.
void looking(bool on);
// What runs from now on is another launch.
void launched();
// A thread goes on, at that moment, on its own stack.
void turn(const Moment& moment, const char* stack, size_t size);

}  // namespace races
