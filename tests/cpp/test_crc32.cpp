// SPDX-License-Identifier: Apache-2.0
// CRC-32 beside its definition, bit by bit, and the values of ISO 3309 and zlib.
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "base/cpu.hpp"
#include "base/crc32.hpp"
#include "check.hpp"

namespace {

uint32_t defined(uint32_t before, const unsigned char* data, size_t size) {
  uint32_t crc = ~before;
  for (size_t i = 0; i < 8 * size; ++i) {
    const uint32_t bit = (crc ^ data[i / 8] >> i % 8) & 1;
    crc = crc >> 1 ^ (bit ? 0xEDB88320 : 0);
  }
  return ~crc;
}

}  // namespace

TEST("the check value") {
  if (!fastnn::cpu_supports("pclmul")) return;
  const char* text = "123456789";
  const auto* data = reinterpret_cast<const unsigned char*>(text);
  REQUIRE(fastnn::crc32(0, data, std::strlen(text)) == 0xCBF43926);
  REQUIRE(fastnn::crc32(7, data, 0) == 7);
}

TEST("every length and alignment, after other bytes") {
  if (!fastnn::cpu_supports("pclmul")) return;
  std::mt19937 random(1);
  std::vector<unsigned char> bytes(1 << 12);
  for (unsigned char& byte : bytes)
    byte = static_cast<unsigned char>(random());
  for (size_t size = 0; size < 700; ++size) {
    const size_t begin = random() % 64;
    const auto before = static_cast<uint32_t>(random());
    REQUIRE(fastnn::crc32(before, &bytes[begin], size) ==
            defined(before, &bytes[begin], size));
  }
}
