// SPDX-License-Identifier: Apache-2.0
// The checksum of zip archives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/export.hpp"

namespace fastnn {

// CRC-32 (ISO 3309, polynomial 0xEDB88320 reflected) of bytes that follow those whose
// checksum is `before`, as zlib's crc32. Needs cpu_supports("pclmul").
FASTNN_API uint32_t crc32(uint32_t before, const unsigned char* data, size_t size);

}  // namespace fastnn
