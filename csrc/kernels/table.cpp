// SPDX-License-Identifier: Apache-2.0
#include "kernels/table.hpp"

#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cpu.hpp"
#include "base/error.hpp"
#include "kernels/isas.hpp"  // FASTNN_ISAS(X), best first: cmake/kernel_family.cmake

namespace fastnn {

using Families = std::vector<const KernelFamily*>;

#define DECLARE(family) extern const KernelFamily kFamily_##family;
#define ADDRESS(family) &kFamily_##family,
#define X(isa)                                                      \
  namespace isa {                                                   \
  FASTNN_FAMILIES(DECLARE)                                          \
  static Families families() { return {FASTNN_FAMILIES(ADDRESS)}; } \
  }
FASTNN_ISAS(X)
#undef X

namespace {

struct IsaFamilies {
  const char* isa;
  Families families;
};

std::vector<IsaFamilies> compiled_isas() {
#define X(isa) {#isa, isa::families()},
  return {FASTNN_ISAS(X)};
#undef X
}

class Table {
 public:
  static const Table& instance() {
    static const Table table;
    return table;
  }

  const char* isa() const { return isa_; }
  std::span<const KernelFamily* const> families() const { return families_; }
  std::span<const char* const> available() const { return available_; }
  const KernelEntry* find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

 private:
  Table() {
    const char* forced = std::getenv("FASTNN_ISA");
    if (forced && !*forced) forced = nullptr;
    std::string built;
    bool known = false;
    for (const IsaFamilies& candidate : compiled_isas()) {
      built += built.empty() ? "" : ", ";
      built += candidate.isa;
      const bool named = forced && std::string_view(forced) == candidate.isa;
      known = known || named;
      if (!cpu_supports(candidate.isa)) continue;
      available_.push_back(candidate.isa);
      if (isa_ || (forced && !named)) continue;
      isa_ = candidate.isa;
      families_ = candidate.families;
    }
    FASTNN_CHECK(!forced || known,
                 "[FASTNN_ISA] '%s' is not an instruction set of this build (%s)",
                 forced, built.c_str());
    FASTNN_CHECK(!forced || isa_,
                 "[FASTNN_ISA] this CPU cannot run '%s'; unset FASTNN_ISA or choose a "
                 "lower one of %s",
                 forced, built.c_str());
    FASTNN_CHECK(isa_, "[fastnn] this CPU has none of the instruction sets %s",
                 built.c_str());
    for (const KernelFamily* family : families_) {
      for (int i = 0; i < family->count; ++i) {
        const KernelEntry& entry = family->entries[i];
        FASTNN_CHECK(by_name_.emplace(entry.name, &entry).second,
                     "[%s] two kernels have this name", entry.name);
      }
    }
  }

  const char* isa_ = nullptr;
  Families families_;
  std::vector<const char*> available_;
  std::unordered_map<std::string_view, const KernelEntry*> by_name_;
};

}  // namespace

const KernelEntry* find_kernel(std::string_view name) {
  return Table::instance().find(name);
}

std::span<const KernelFamily* const> kernel_families() {
  return Table::instance().families();
}

const char* active_isa() { return Table::instance().isa(); }

std::span<const char* const> available_isas() { return Table::instance().available(); }

}  // namespace fastnn
