// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <exception>

#include "check.hpp"

int main(int argc, char** argv) {
  int failed = 0, run = 0;
  for (const check::Test& test : check::tests()) {
    if (argc > 1 && !std::strstr(test.name, argv[1])) continue;
    ++run;
    try {
      test.fn();
    } catch (const std::exception& e) {
      ++failed;
      std::printf("FAILED %s\n  %s\n", test.name, e.what());
    }
  }
  std::printf("%d tests, %d failed\n", run, failed);
  return failed || run == 0;
}
