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
  static constexpr int kBlocks = Cell::kGates == 1 ? kMainWidth : 1;
  static constexpr int kVectors = kBlocks * Cell::kGates;
  static constexpr int kWidth = panel_vectors(kVectors);
  using Product = PackedProduct<T, kWidth>;

  Forward<T> f;
  Mask mask;
  Order order;

  static int64_t packed_elements(int64_t units) {
    return ceil_div(units, kBlocks * n) * kVectors * n * units;
  }
  static int64_t state_stride(int64_t units) { return round_up(units, n) + kPackedGap; }

  // Units j .. of rows first .. first + rows: gates and states from the sums.
  FASTNN_INLINE void finish(const T* sums, Range rows, int64_t first, int64_t count,
                            int64_t step, int64_t j, const T* old, T* now) const {
    const int64_t t = order.at(step), ld = state_stride(f.units);
    const int64_t last = step ? order.at(step - 1) : 0;
    for (int64_t r = first; r < first + count; ++r) {
      const bool kept = mask.keeps(rows.begin + r, t);
      for (int b = 0; b < kBlocks && j + b * n < f.units; ++b) {
        const int64_t at_j = j + b * n;
        const UnitsAt at = {rows.begin + r, t, at_j, clip<T>(f.units - at_j)};
        const UnitsAt before = {at.row, last, at_j, at.count};
        Vec<T> h = load(old + r * ld + at_j);
        if (kept) {
          Vec<T> s[Cell::kGates];
          for (int g = 0; g < Cell::kGates; ++g) {
            const int v = b * Cell::kGates + g;
            s[g] =
                load(sums + (v / kWidth * kTileRows[kWidth] + r - first) * kWidth * n +
                     v % kWidth * n);
          }
          h = Cell::step(f, at, before, step == 0, s, h);
        } else {
          Cell::skip(f, at, before, step == 0);
          for (int g = 0; g < Cell::kSaved; ++g)
            store_part(f.put(f.gates, at, g, Cell::kSaved), Vec<T>{}, at.count);
        }
        store_part(f.put(f.h, at), h, at.count);
        store(now + r * ld + at_j, h);
      }
    }
  }

  void run(const TensorView& u, Range rows) const {
    const int64_t m = rows.end - rows.begin, ld = state_stride(f.units);
    const int64_t packed = packed_elements(f.units);
    T* const panels = static_cast<T*>(scratch((packed + 2 * m * ld) * sizeof(T)));
    T* old = panels + packed;
    T* now = old + m * ld;
    pack_gates<T, Cell::kGates, kBlocks, kWidth>(u, f.units, panels);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t j = 0; j < f.units; j += n) {
        const UnitsAt at = {rows.begin + r, 0, j, clip<T>(f.units - j)};
        store(old + r * ld + j, f.h0.load(at));
      }
    }
    const Product product = {panels, f.units};
    constexpr int64_t kTile = int64_t{kTileRows[kWidth]} * kWidth * n;
    constexpr int kParts = kVectors / kWidth;
    alignas(64) T sums[kParts * kTile];
    for (int64_t step = 0; step < order.count; ++step) {
      int64_t index = 0;
      for (int64_t j = 0; j < f.units; j += kBlocks * n, index += kParts) {
        product.run(index, kParts, old, ld, m, sums, kTile,
                    [&](int64_t first, int64_t count) FASTNN_LAMBDA_INLINE {
                      finish(sums, rows, first, count, step, j, old, now);
                    });
      }
      T* const swap = old;
      old = now, now = swap;
    }
  }
};

template <class T, class Cell>
struct BackwardWalk {
  static constexpr int n = lanes<T>;
  using Product = PackedProduct<T, kMainWidth>;

  Backward<T> b;
  Mask mask;
  Order order;

  static int64_t padded(int64_t units) {
    return round_up(units, kMainWidth * n) + kPackedGap;
  }
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
      if constexpr (Cell::kCarry) dc = load_part(e + j, at.count) + b.dc.load(at);
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
    const int64_t ld = slopes_stride(units), ldd = padded(units);
    const int64_t width = kMainWidth * n, panels = ceil_div(units, width);
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
    const Product product = {buffer, k};
    for (int64_t step = order.count - 1; step >= 0; --step) {
      for (int64_t r = 0; r < m; ++r) {
        slopes(rows.begin + r, step, s + r * ld, d + r * ldd,
               Cell::kCarry ? e + r * ldd : nullptr);
      }
      for (int64_t i = 0; i < panels; ++i)
        product.add(i, s, ld, m, d + i * width, ldd);
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
