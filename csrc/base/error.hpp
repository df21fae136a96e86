// SPDX-License-Identifier: Apache-2.0
// Errors begin with the op or part that failed: "[matmul] ...". The throwing
// function is out of line so that kernel families instantiate no std code.
#pragma once

#include "base/export.hpp"

namespace fastnn {

// Throws fastnn::Error (derived from std::invalid_argument) with a printf message.
[[noreturn]] FASTNN_API __attribute__((format(printf, 1, 2)))  //
void fail(const char* format, ...);

}  // namespace fastnn

#define FASTNN_CHECK(condition, ...) \
  do {                               \
    if (!(condition)) [[unlikely]]   \
      ::fastnn::fail(__VA_ARGS__);   \
  } while (0)
