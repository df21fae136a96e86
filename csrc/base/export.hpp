// SPDX-License-Identifier: Apache-2.0
// libfastnn is built with hidden visibility; FASTNN_API marks what the extension
// modules and the C++ tests may call.
#pragma once

#define FASTNN_API __attribute__((visibility("default")))
