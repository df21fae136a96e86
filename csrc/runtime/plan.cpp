// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan.hpp"

#include <algorithm>
#include <atomic>

#include "base/buffers.hpp"
#include "base/clock.hpp"
#include "base/denormals.hpp"
#include "base/error.hpp"
#include "base/thread_pool.hpp"
#include "runtime/barrier.hpp"
#include "runtime/extent.hpp"
#include "runtime/half.hpp"
#include "runtime/launch.hpp"

namespace fastnn {
namespace {

constexpr int kMaxSlots = 1 << 20;
constexpr size_t kMaxOperands = 16;  // of one instruction in a chain

int64_t allocations() {
  const MemoryStats stats = memory_stats();
  return stats.arena_allocations + stats.scratch_allocations +
         buffer_stats().allocations;
}

// Tells a plan's pacer what its steps cost; used by the first thread only.
class Meter {
 public:
  explicit Meter(Pacer& pacer)
      : pacer_(pacer),
        now_(now_ns()),
        waited_(waited_ns()),
        alone_(pacer.alone(now_)) {}

  bool alone() const { return alone_; }

  // After `steps` steps on `threads` threads. True: go on another way.
  bool record(int threads, double steps) {
    const int64_t before = now_, waited_before = waited_;
    now_ = now_ns();
    waited_ = waited_ns();
    if (alone_) {
      pacer_.alone_ran(steps, now_ - before, now_);
    } else if (threads > 1) {
      pacer_.team_ran(threads, steps, now_ - before, waited_ - waited_before, now_);
    }
    return pacer_.alone(now_) != alone_;
  }

 private:
  Pacer& pacer_;
  int64_t now_, waited_;
  const bool alone_;
};

}  // namespace

// One thread's way through the list. Kept apart from Plan so that the timed and the
// plain run share it.
class Plan::Traversal {
 public:
  Traversal(Plan& plan, int64_t steps) : plan_(plan), steps_(steps), end_(steps) {}

  Timeline* timeline = nullptr;
  Meter* meter = nullptr;  // with it, thread 0 may end the run early: steps_done()

  int64_t steps_done() const { return end_.load(std::memory_order_relaxed); }

  void operator()(int index, int count, Barrier& barrier) {
    const FlushDenormals flush;
    try {
      // Thread 0 moves the end before it meets the others, so all see it in time.
      for (int64_t step = 0; step < end_.load(std::memory_order_relaxed); ++step) {
        int64_t* clock = moments(index, count, step);
        if (!one_step(index, count, barrier, clock)) return;
        if (index == 0 && meter && meter->record(count, 1)) {
          end_.store(step + 1, std::memory_order_relaxed);
        }
        if (clock) clock += 3 * plan_.instructions_.size(), clock[0] = now_ns();
        if (plan_.step_barrier_ && count > 1 && step + 1 < steps_ &&
            !barrier.wait(count)) {
          return;
        }
        if (clock) clock[1] = clock[2] = now_ns();
      }
    } catch (...) {
      barrier.abort();
      throw;
    }
  }

 private:
  // Where a thread notes its times of a step, or nullptr.
  int64_t* moments(int index, int count, int64_t step) const {
    if (!timeline) return nullptr;
    if (index == 0) timeline->threads = count;
    return timeline->moments.data() +
           3 * timeline->entries * (index * timeline->steps + step);
  }

  bool one_step(int index, int count, Barrier& barrier, int64_t* clock) const {
    int64_t before = clock ? now_ns() : 0;
    for (const Instruction& instruction : plan_.instructions_) {
      int64_t* const at = clock;
      if (clock) clock += 3;
      if (instruction.chained || instruction.grouped) continue;
      if (at) at[0] = at[1] = before;
      if (count > 1) {
        if (instruction.barrier_before ? !barrier.wait(count) : barrier.aborted()) {
          return false;
        }
        if (at && instruction.barrier_before) at[1] = now_ns();
      }
      if (instruction.block_rows > 0) {
        run_chain(&instruction, index, count);
      } else if (index == 0 || instruction.kernel->split != Split::kSerial) {
        const bool serial = instruction.kernel->split == Split::kSerial;
        call(instruction, {plan_.views_.data() + instruction.first_in,
                           plan_.views_.data() + instruction.first_out,
                           plan_.attrs_.data() + instruction.first_attr,
                           serial ? Part{} : Part{index, count}, instruction.group});
      }
      if (at) at[2] = before = now_ns();
    }
    return true;
  }

  // The instructions from `head` on, for the rows of this thread, block by block.
  void run_chain(const Instruction* head, int index, int count) const {
    const Instruction* const end =
        plan_.instructions_.data() + plan_.instructions_.size();
    const int64_t rows = plan_.chain_rows(*head);
    const Range own = row_range(rows, {index, count});
    for (int64_t row = own.begin; row < own.end; row += head->block_rows) {
      const int64_t n = std::min(head->block_rows, own.end - row);
      const Instruction* step = head;
      do {
        run_block(*step, row, n, index);
      } while (++step != end && step->chained);
    }
  }

  void run_block(const Instruction& step, int64_t row, int64_t n, int index) const {
    TensorView views[kMaxOperands];
    const size_t count = step.end - step.first_in;
    for (size_t i = 0; i < count; ++i) {
      const size_t operand = step.first_in + i;
      views[i] = plan_.views_[operand];
      const int64_t row_step = plan_.row_steps_[operand];
      const int64_t thread_step = plan_.thread_steps_[operand];
      if (row_step == 0 && thread_step == 0) continue;
      views[i].data =
          static_cast<char*>(views[i].data) + row * row_step + index * thread_step;
      views[i].shape[0] = n;
    }
    call(step, {views, views + (step.first_out - step.first_in),
                plan_.attrs_.data() + step.first_attr, Part{}});
  }

  static void call(const Instruction& step, const KernelArgs& args) {
    if (!step.widened) return step.kernel->fn(args);
    const size_t operands = step.end - step.first_in;
    for (int i = 0; i < args.group; ++i) {
      const auto skip = static_cast<size_t>(i) * operands;
      call_widened(*step.kernel,
                   {args.in + skip, args.out + skip, args.attrs, args.part});
    }
  }

  Plan& plan_;
  const int64_t steps_;
  std::atomic<int64_t> end_;
};

Plan::Plan(size_t arena_bytes, int max_threads)
    : arena_(arena_bytes), max_threads_(max_threads), slots_(1) {
  FASTNN_CHECK(max_threads >= 1, "[plan] max_threads must be at least 1, received %d",
               max_threads);
  slots_[kArenaSlot].data = arena_.data();
  slots_[kArenaSlot].bound = true;
}

void Plan::add(const KernelEntry& kernel, const std::vector<Operand>& in,
               const std::vector<Operand>& out, const std::vector<AttrValue>& attrs,
               bool barrier, int64_t block_rows, bool chained) {
  const std::lock_guard lock(running_);
  check_arity(kernel, in.size(), out.size(), attrs.size());
  if (block_rows > 0 || chained) check_chain(kernel, in, out, block_rows, chained);
  Instruction* const head =
      barrier || block_rows > 0 || chained ? nullptr : group_of(kernel, in, out, attrs);
  if (head) ++head->group;
  Instruction instruction;
  instruction.grouped = head != nullptr;
  instruction.block_rows = block_rows;
  instruction.chained = chained;
  instruction.kernel = &kernel;
  instruction.barrier_before = barrier;
  instruction.first_in = views_.size();
  instruction.first_out = instruction.first_in + in.size();
  instruction.end = instruction.first_out + out.size();
  instruction.first_attr = attrs_.size();
  for (const Operand& operand : in)
    check_operand(kernel, operand, false);
  for (const Operand& operand : out)
    check_operand(kernel, operand, true);
  for (const Operand& operand : in)
    add_operand(operand, false);
  for (const Operand& operand : out)
    add_operand(operand, true);
  instruction.widened =
      needs_widening(kernel, views_.data() + instruction.first_in, in.size(),
                     views_.data() + instruction.first_out);
  attrs_.insert(attrs_.end(), attrs.begin(), attrs.end());
  instructions_.push_back(instruction);
}

void Plan::check_chain(const KernelEntry& kernel, const std::vector<Operand>& in,
                       const std::vector<Operand>& out, int64_t block_rows,
                       bool chained) const {
  FASTNN_CHECK(kernel.split == Split::kRows,
               "[plan] %s does not divide its work by rows and cannot be chained",
               kernel.name);
  FASTNN_CHECK(in.size() + out.size() <= kMaxOperands,
               "[plan] %s has too many operands for a chain", kernel.name);
  const bool in_chain = !instructions_.empty() && (instructions_.back().chained ||
                                                   instructions_.back().block_rows > 0);
  FASTNN_CHECK(!chained || (in_chain && block_rows == 0),
               "[plan] %s continues a chain that was not begun", kernel.name);
}

// The first instruction of the group that the next one may join, or nullptr: that at
// the end of the list, when it is the same update with the same scalars. Its call reads
// the scalars once, so nobody in it may write them.
Instruction* Plan::group_of(const KernelEntry& kernel, const std::vector<Operand>& in,
                            const std::vector<Operand>& out,
                            const std::vector<AttrValue>& attrs) {
  if (!kernel.groups || instructions_.empty()) return nullptr;
  Instruction* head = &instructions_.back();
  if (head->chained || head->block_rows > 0) return nullptr;
  while (head->grouped)
    --head;
  if (head->kernel != &kernel) return nullptr;
  for (size_t i = 0; i < attrs.size(); ++i)
    if (attrs[i].i != attrs_[head->first_attr + i].i) return nullptr;
  if (in[0].view.dtype != views_[head->first_in].dtype) return nullptr;
  for (size_t i = 0; i < in.size(); ++i) {
    if (kernel.reads[i] != 'a') continue;
    if (in[i].slot != slots_of_[head->first_in + i]) return nullptr;
    if (in[i].offset != offsets_[head->first_in + i]) return nullptr;
    for (const Instruction* member = head; member <= &instructions_.back(); ++member)
      for (size_t k = member->first_out; k < member->end; ++k)
        if (slots_of_[k] == in[i].slot && offsets_[k] == in[i].offset) return nullptr;
    for (const Operand& written : out)
      if (written.slot == in[i].slot && written.offset == in[i].offset) return nullptr;
  }
  return head;
}

// The rows of a chain: those of the first operand of its instructions that is sliced.
int64_t Plan::chain_rows(const Instruction& head) const {
  for (size_t i = head.first_in; i < views_.size(); ++i) {
    if (row_steps_[i] != 0) return views_[i].rows();
  }
  return 0;
}

void Plan::check_operand(const KernelEntry& kernel, const Operand& operand,
                         bool output) const {
  const Extent extent = extent_of(operand.view);
  FASTNN_CHECK(operand.slot >= 0 && operand.slot < kMaxSlots,
               "[plan] %s: slot %d is out of range", kernel.name, operand.slot);
  FASTNN_CHECK(operand.offset % dtype_size(operand.view.dtype) == 0,
               "[plan] %s: offset %lld is not aligned to %s", kernel.name,
               static_cast<long long>(operand.offset), dtype_name(operand.view.dtype));
  FASTNN_CHECK(operand.offset - extent.below >= 0,
               "[plan] %s: an operand starts before slot %d", kernel.name,
               operand.slot);
  FASTNN_CHECK(!output || operand.view.contiguous(),
               "[plan] %s: outputs must be contiguous", kernel.name);
  const int64_t end =
      operand.offset + extent.above + (max_threads_ - 1) * operand.thread_step;
  FASTNN_CHECK(operand.slot != kArenaSlot || end <= static_cast<int64_t>(arena_.size()),
               "[plan] %s: an operand ends at byte %lld of an arena of %zu",
               kernel.name, static_cast<long long>(end), arena_.size());
}

void Plan::add_operand(const Operand& operand, bool output) {
  if (static_cast<size_t>(operand.slot) >= slots_.size()) {
    slots_.resize(static_cast<size_t>(operand.slot) + 1);
  }
  Slot& slot = slots_[static_cast<size_t>(operand.slot)];
  const int64_t end = operand.offset + extent_of(operand.view).above;
  slot.needed = std::max(slot.needed, static_cast<size_t>(end));
  slot.written = slot.written || output;
  slot.users.push_back(views_.size());
  if (operand.slot != kArenaSlot) slot.bound = false;  // the array may be too small
  TensorView view = operand.view;
  view.data = slot.bound ? slot.data + operand.offset : nullptr;
  views_.push_back(view);
  slots_of_.push_back(operand.slot);
  offsets_.push_back(operand.offset);
  row_steps_.push_back(operand.row_step);
  thread_steps_.push_back(operand.thread_step);
}

void Plan::bind(int slot, void* data, size_t bytes, bool writable) {
  const std::lock_guard lock(running_);
  FASTNN_CHECK(slot != kArenaSlot, "[plan] slot 0 is the arena and cannot be bound");
  FASTNN_CHECK(slot > 0 && static_cast<size_t>(slot) < slots_.size(),
               "[plan] no instruction uses slot %d", slot);
  Slot& target = slots_[static_cast<size_t>(slot)];
  FASTNN_CHECK(bytes >= target.needed,
               "[plan] slot %d needs %zu bytes, received an array of %zu", slot,
               target.needed, bytes);
  FASTNN_CHECK(writable || !target.written,
               "[plan] slot %d is written by the plan, received a read-only array",
               slot);
  target.data = static_cast<char*>(data);
  target.bound = true;
  for (const size_t user : target.users) {
    views_[user].data = target.data + offsets_[user];
  }
}

void Plan::unbind(int slot) {
  const std::lock_guard lock(running_);
  FASTNN_CHECK(slot > 0 && static_cast<size_t>(slot) < slots_.size(),
               "[plan] no instruction uses slot %d", slot);
  slots_[static_cast<size_t>(slot)].bound = false;
}

int Plan::check_run(int threads) const {
  check_bound();
  FASTNN_CHECK(threads >= 1, "[plan] expected at least 1 thread, received %d", threads);
  return std::min({threads, max_threads_, num_threads()});
}

void Plan::check_bound() const {
  for (size_t slot = 1; slot < slots_.size(); ++slot) {
    FASTNN_CHECK(slots_[slot].bound || slots_[slot].users.empty(),
                 "[plan] slot %zu is not bound; call bind(%zu, array) first", slot,
                 slot);
  }
}

void Plan::execute(Traversal& traversal, int threads) {
  Barrier barrier;
  run_team(threads, [&](int index, int count) { traversal(index, count, barrier); });
}

// Runs until the pacer wants another way; how many steps that were.
int64_t Plan::execute_paced(int64_t steps, int threads) {
  Meter meter(pacer_);
  Traversal traversal(*this, steps);
  traversal.meter = &meter;
  execute(traversal, meter.alone() ? 1 : threads);
  // The wait for the slowest member after the last step.
  if (!meter.alone()) meter.record(threads, 0);
  return traversal.steps_done();
}

void Plan::run(int64_t steps, int threads) {
  const std::lock_guard lock(running_);
  threads = check_run(threads);
  if (debug_poison()) poison(arena_.data(), arena_.size());
  if (threads > 1 && step_barrier_ && pacing()) {
    while (steps > 0)
      steps -= execute_paced(steps, threads);
  } else {
    Traversal traversal(*this, steps);
    execute(traversal, threads);
  }
}

Timeline Plan::run_timed(int64_t steps, int threads) {
  const std::lock_guard lock(running_);
  FASTNN_CHECK(steps >= 1, "[plan] expected at least 1 step, received %lld",
               static_cast<long long>(steps));
  threads = check_run(threads);
  Timeline timeline;
  timeline.steps = steps;
  timeline.entries = static_cast<int64_t>(instructions_.size()) + 1;
  timeline.moments.resize(static_cast<size_t>(3 * threads * steps * timeline.entries));
  Traversal traversal(*this, steps);
  traversal.timeline = &timeline;
  const int64_t before = allocations();
  execute(traversal, threads);
  timeline.allocations = allocations() - before;
  return timeline;
}

}  // namespace fastnn
