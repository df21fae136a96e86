// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

// Registers a benchmark for each row of the table that names a kernel of the library.
void register_kernel_rows(const std::string& table);
