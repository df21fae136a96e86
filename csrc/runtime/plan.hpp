// SPDX-License-Identifier: Apache-2.0
// A compiled program: kernel calls over a static arena, with the barriers between the
// phases that threads may run without meeting.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/arena.hpp"
#include "base/pacer.hpp"
#include "kernels/kernel.hpp"

namespace fastnn {

// An array as an instruction names it. Slot 0 is the arena, the others are bound by
// the owner of the memory.
struct Operand {
  int slot = 0;
  int64_t offset = 0;  // bytes
  TensorView view;     // data is filled in when the slot is bound
  // In a chain: bytes from one row to the next (0: the operand is taken whole), and
  // bytes from one thread's copy to the next (0: shared).
  int64_t row_step = 0;
  int64_t thread_step = 0;
};

// A chain is a run of instructions that own the same rows and that each thread executes
// block by block: what one writes the next finds in the cache. `block_rows` stands at
// its first instruction, `chained` is set for the others.
// A group is a run of instructions that one call of their kernel does
// (KernelEntry::groups): the first has their number, the others are `grouped`.
struct Instruction {
  const KernelEntry* kernel = nullptr;
  int64_t block_rows = 0;
  int group = 1;
  bool chained = false;
  bool grouped = false;
  bool barrier_before = false;
  bool widened = false;  // has 16-bit floats that the kernel does not read
  size_t first_in = 0;   // into Plan's operands; outputs follow the inputs
  size_t first_out = 0;
  size_t end = 0;
  size_t first_attr = 0;
};

// What a timed run saw. For each thread, step and instruction, in nanoseconds of one
// clock: when the thread arrived, when it began (later, where it met the others first)
// and when it was done. The last entry of a step is the barrier to the next step; a
// chain or group is timed at its first instruction, the others have zeros.
struct Timeline {
  int threads = 0;
  int64_t steps = 0;
  int64_t entries = 0;
  int64_t allocations = 0;  // arenas, scratch and results made meanwhile, by anybody
  std::vector<int64_t> moments;  // [thread][step][entry][arrived, began, done]
};

class FASTNN_API Plan {
 public:
  static constexpr int kArenaSlot = 0;

  // `max_threads` bounds run(): chains have that many copies of their blocks.
  explicit Plan(size_t arena_bytes, int max_threads = 1 << 10);

  // Outputs must be contiguous. Without `barrier`, a thread may start this
  // instruction while others are still at the previous ones: right only when each
  // part reads what the same part wrote. `block_rows` > 0 begins a chain.
  void add(const KernelEntry& kernel, const std::vector<Operand>& in,
           const std::vector<Operand>& out, const std::vector<AttrValue>& attrs,
           bool barrier, int64_t block_rows = 0, bool chained = false);

  // The caller keeps the memory alive while the plan may run.
  void bind(int slot, void* data, size_t bytes, bool writable);

  // Forgets the memory of a slot; the plan cannot run until it is bound again.
  void unbind(int slot);

  // Executes the list `steps` times on up to `threads` threads; on one while waiting
  // for the others costs more than they contribute (base/pacer.hpp). Allocates nothing.
  void run(int64_t steps, int threads);

  // As run, never paced, with the clock read around each instruction and barrier.
  Timeline run_timed(int64_t steps, int threads);

  // Whether threads meet between one step and the next (default true).
  void set_step_barrier(bool enabled) { step_barrier_ = enabled; }
  bool step_barrier() const { return step_barrier_; }

  const Arena& arena() const { return arena_; }
  const std::vector<Instruction>& instructions() const { return instructions_; }
  Operand operand(size_t index) const {
    return {slots_of_[index], offsets_[index], views_[index], row_steps_[index],
            thread_steps_[index]};
  }

 private:
  struct Slot {
    char* data = nullptr;
    size_t needed = 0;
    bool bound = false;
    bool written = false;
    std::vector<size_t> users;  // operands
  };
  class Traversal;

  void check_chain(const KernelEntry& kernel, const std::vector<Operand>& in,
                   const std::vector<Operand>& out, int64_t block_rows,
                   bool chained) const;
  int64_t chain_rows(const Instruction& head) const;
  Instruction* group_of(const KernelEntry& kernel, const std::vector<Operand>& in,
                        const std::vector<Operand>& out,
                        const std::vector<AttrValue>& attrs);
  void check_operand(const KernelEntry& kernel, const Operand& operand,
                     bool output) const;
  void add_operand(const Operand& operand, bool output);
  void execute(Traversal& traversal, int threads);
  int64_t execute_paced(int64_t steps, int threads);
  void check_bound() const;
  int check_run(int threads) const;  // the number to use

  Arena arena_;
  const int max_threads_;
  std::vector<Instruction> instructions_;
  std::vector<TensorView> views_;  // operands, in instruction order
  std::vector<int> slots_of_;
  std::vector<int64_t> offsets_;
  std::vector<int64_t> row_steps_;
  std::vector<int64_t> thread_steps_;
  std::vector<AttrValue> attrs_;
  std::vector<Slot> slots_;
  bool step_barrier_ = true;
  Pacer pacer_;
  std::mutex running_;  // run, bind and add exclude each other
};

}  // namespace fastnn
