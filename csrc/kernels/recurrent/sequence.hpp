// SPDX-License-Identifier: Apache-2.0
// The walk along a sequence: at each step one product with the recurrent kernel and,
// tile by tile while the sums are in L1, the gates. A part owns rows of the batch and
// walks all steps by itself, so that threads meet only at the end and no bit depends on
// their number.
#pragma once

#include "kernels/recurrent/cells.hpp"

FASTNN_BEGIN_NAMESPACE

// u(p, gate * units + j) in panels that hold the same units of all gates side by side,
// `blocks` vectors of units each.
template <class T, int gates, int blocks, int width>
void pack_gates(const TensorView& u, int64_t units, T* dst) {
  constexpr int n = lanes<T>;
  const int64_t ld = u.stride[0], column = u.stride[1], k = u.shape[0];
  for (int64_t j = 0; j < units; j += blocks * n) {
    for (int first = 0; first < gates * blocks; first += width) {
      for (int64_t p = 0; p < k; ++p) {
        for (int v = first; v < first + width; ++v, dst += n) {
          const int64_t at = j + v / gates * n, left = units - at;
          const T* src = u.ptr<const T>() + p * ld + (v % gates * units + at) * column;
          const int count = left <= 0 ? 0 : clip<T>(left);
          if (column == 1 && count) {
            store(dst, load_up_to(src, count));
          } else {
            for (int i = 0; i < n; ++i)
              dst[i] = i < count ? src[i * column] : T(0);
          }
        }
      }
    }
  }
}

template <class T, class Cell>
struct ForwardWalk {
  static constexpr int n = lanes<T>;
  // Vectors of units per panel: a cell of one gate takes several.
  static constexpr int kBlocks = Cell::kGates == 1 ? 2 : 1;
  static constexpr int kVectors = kBlocks * Cell::kGates;
  static constexpr int kWidth = dividing_width(kVectors);
  static constexpr int64_t kColumns = int64_t{kWidth} * n;

  Forward<T> f;
  Mask mask;
  Order order;

  static int64_t packed_elements(int64_t units) {
    return ceil_div(units, kBlocks * n) * kVectors * n * units;
  }
  static int64_t state_stride(int64_t units) { return round_up(units, n) + kPackedGap; }

  // What is carried from step to step: h before and after it, and c.
  struct State {
    T *old, *now, *carry;
  };

  // Units j .. of rows first .. first + count: gates and states from the sums.
  FASTNN_INLINE void finish(const T* sums, Range rows, int64_t first, int64_t count,
                            int64_t step, int64_t j, const State& state) const {
    const int64_t t = order.at(step), ld = state_stride(f.units);
    const int64_t m = rows.end - rows.begin;
    const bool more = step + 1 < order.count;
    for (int64_t r = first; r < first + count; ++r) {
      const int64_t row = rows.begin + r;
      const bool kept = mask.keeps(row, t);
      for (int b = 0; b < kBlocks && j + b * n < f.units; ++b) {
        const int64_t at_j = j + b * n;
        const UnitsAt at = {row, t, at_j, clip<T>(f.units - at_j)};
        if (more) f.fetch({row, order.at(step + 1), at_j, at.count}, Cell::kGates);
        Vec<T> h = load(state.old + r * ld + at_j), c = {};
        if constexpr (Cell::kCarry) c = load(state.carry + r * ld + at_j);
        if (kept) {
          Vec<T> s[Cell::kGates];
          for (int g = 0; g < Cell::kGates; ++g) {
            const int v = b * Cell::kGates + g;
            s[g] =
                load(sums + v / kWidth * m * kColumns + r * kColumns + v % kWidth * n);
          }
          h = Cell::step(f, at, s, h, c);
        } else if constexpr (Cell::kSaved != 0) {
          f.keep(at, {Vec<T>{}, Vec<T>{}, Vec<T>{}, Vec<T>{}});
        }
        store_part(f.put(f.h, at), h, at.count);
        store(state.now + r * ld + at_j, h);
        if constexpr (Cell::kCarry) {
          if (f.c) store_part(f.put(f.c, at), c, at.count);
          store(state.carry + r * ld + at_j, c);
        }
      }
    }
  }

  void begin(const State& state, Range rows) const {
    const int64_t ld = state_stride(f.units);
    for (int64_t r = 0; r < rows.end - rows.begin; ++r) {
      for (int64_t j = 0; j < f.units; j += n) {
        const UnitsAt at = {rows.begin + r, 0, j, clip<T>(f.units - j)};
        store(state.old + r * ld + j, f.h0.load(at));
        if constexpr (Cell::kCarry) store(state.carry + r * ld + j, f.c0.load(at));
      }
    }
  }

  void run(const TensorView& u, Range rows) const {
    const int64_t m = rows.end - rows.begin, ld = state_stride(f.units);
    const int64_t packed = packed_elements(f.units), states = Cell::kCarry ? 3 : 2;
    constexpr int kParts = kVectors / kWidth;
    const int64_t all = packed + states * m * ld + kParts * m * kColumns;
    T* const panels = static_cast<T*>(scratch(all * sizeof(T)));
    T* const first = panels + packed;
    T* const sums = first + states * m * ld;
    State state = {first, first + m * ld, Cell::kCarry ? first + 2 * m * ld : nullptr};
    pack_gates<T, Cell::kGates, kBlocks, kWidth>(u, f.units, panels);
    begin(state, rows);
    const int64_t count = ceil_div(f.units, kBlocks * n) * kParts;
    const PackedProduct<T> product = {panels, f.units, kWidth, count};
    for (int64_t step = 0; step < order.count; ++step) {
      int64_t index = 0;
      for (int64_t j = 0; j < f.units; j += kBlocks * n, index += kParts) {
        product.run(index, kParts, state.old, ld, m, sums, kColumns, m * kColumns,
                    false, [&](int64_t row, int64_t height) FASTNN_LAMBDA_INLINE {
                      finish(sums, rows, row, height, step, j, state);
                    });
      }
      T* const swap = state.old;
      state.old = state.now, state.now = swap;
    }
  }
};

template <class T, class Cell>
struct BackwardWalk {
  static constexpr int n = lanes<T>;

  Backward<T> b;
  Mask mask;
  Order order;

  static int64_t slopes_stride(int64_t units) {
    return Cell::kGates * units + kPackedGap;
  }

  // Slopes of one row at one step; what flows on directly into `d`, all of c's into
  // `e`.
  FASTNN_INLINE void slopes(int64_t row, int64_t step, T* slopes, T* d, T* e) const {
    const int64_t t = order.at(step), last = step ? order.at(step - 1) : 0;
    const bool kept = mask.keeps(row, t);
    for (int64_t j = 0; j < b.units; j += n) {
      const UnitsAt at = {row, t, j, clip<T>(b.units - j)};
      const UnitsAt before = {row, last, j, at.count};
      Vec<T> dh = load_part(d + j, at.count) + b.dh.load(at), dc = {};
      if constexpr (Cell::kCarry) dc = load_part(e + j, at.count);
      if (Cell::kCarry && b.dc.data) dc = dc + b.dc.load(at);
      if (step) b.fetch({row, last, j, at.count}, Cell::kSaved);
      Vec<T> s[Cell::kGates] = {};
      if (kept) {
        dh = Cell::back(b, at, before, step == 0, dh, dc, s);
      } else {
        for (int g = 0; g < Cell::kSlopes; ++g)
          b.put(at, g, Cell::kSlopes, Vec<T>{});
      }
      for (int g = 0; g < Cell::kGates; ++g)
        store_part(slopes + g * b.units + j, s[g], at.count);
      store_part(d + j, dh, at.count);
      if constexpr (Cell::kCarry) store_part(e + j, dc, at.count);
    }
  }

  void run(const TensorView& u, Range rows, T* dh0, T* dc0) const {
    const int64_t m = rows.end - rows.begin, units = b.units, k = Cell::kGates * units;
    const int vectors = panel_width_for(ceil_div(units, n));
    const int64_t width = vectors * n, panels = ceil_div(units, width);
    const int64_t ld = slopes_stride(units), ldd = panels * width + kPackedGap;
    const int64_t packed = panels * k * width;
    const int64_t all = packed + m * (ld + ldd + (Cell::kCarry ? ldd : 0));
    T* const buffer = static_cast<T*>(scratch(all * sizeof(T)));
    T *const s = buffer + packed, *const d = s + m * ld, *const e = d + m * ldd;
    for (int64_t i = m * ld; i < all - packed; ++i)
      s[i] = 0;
    for (int64_t i = 0; i < panels; ++i) {  // B = u^T
      pack_panel(u.ptr<const T>() + i * width * u.stride[0], u.stride[1], u.stride[0],
                 k, min_of(width, units - i * width), buffer + i * k * width, width);
    }
    const PackedProduct<T> product = {buffer, k, vectors, panels};
    for (int64_t step = order.count - 1; step >= 0; --step) {
      for (int64_t r = 0; r < m; ++r) {
        slopes(rows.begin + r, step, s + r * ld, d + r * ldd,
               Cell::kCarry ? e + r * ldd : nullptr);
      }
      for (int64_t i = 0; i < panels; ++i)
        product.run(i, 1, s, ld, m, d + i * width, ldd, 0, true,
                    [](int64_t, int64_t) FASTNN_LAMBDA_INLINE {});
    }
    for (int64_t r = 0; r < m; ++r) {
      const int64_t to = (rows.begin + r) * units;
      for_columns<T>(units, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
        store_part(dh0 + to + j, load_part(d + r * ldd + j, count), count);
        if constexpr (Cell::kCarry)
          store_part(dc0 + to + j, load_part(e + r * ldd + j, count), count);
      });
    }
  }
};

FASTNN_END_NAMESPACE
