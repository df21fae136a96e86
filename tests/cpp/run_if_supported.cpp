// SPDX-License-Identifier: Apache-2.0
// run_if_supported <isa> <program>: a test built for an instruction set may crash
// before its main() on a CPU without it, so the question is asked here.
#include <unistd.h>

#include <cstdio>

#include "base/cpu.hpp"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (!fastnn::cpu_supports(argv[1])) return 77;  // "skipped" for CTest
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 2;
}
