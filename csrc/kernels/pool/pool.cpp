// SPDX-License-Identifier: Apache-2.0
// Max and average pooling, 1-D to 3-D, and their gradients. Vectors run over channels.
//
// The gradients are gathers: every input pixel adds up the windows that cover it, in
// order, so nothing is zeroed first, nothing is written twice and parts cannot race.
// Max pooling that will be differentiated also stores the number of the winner in its
// window, one byte where that is enough: the gradient then moves 1.3 times the bytes of
// x instead of the 2.5 times that finding the winner again would cost.
#include "kernels/pool/windows.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/prefetch.hpp"
#include "kernels/simd/widen.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace pool {
namespace {

template <class T>
using Index = typename Traits<Vec<T>>::UInt;
template <class T>
using IndexElem = typename Traits<Index<T>>::Elem;

// Numbers of winners in memory are bytes or int32.
template <class T, class S>
FASTNN_INLINE Index<T> load_index(const S* p, int n) {
  using U = IndexElem<T>;
  S buffer[lanes<T>] = {};
  const unsigned count = static_cast<unsigned>(n);
  if (count < lanes<T>) {
    __builtin_memcpy(buffer, p, count * sizeof(S));
    p = buffer;
  }
  if constexpr (sizeof(S) == sizeof(U)) {
    return load(reinterpret_cast<const U*>(p));
  } else if constexpr (sizeof(S) == 1) {
    return load_widened<U, S>(p);
  } else {
    Index<T> v;
    for (int i = 0; i < lanes<T>; ++i)
      v[i] = p[i];
    return v;
  }
}
template <class T, class S>
FASTNN_INLINE void store_index(S* p, Index<T> v, int n) {
  if constexpr (sizeof(S) == 1) {
    store_bytes(p, v, n);
  } else {
    for (int i = 0; i < n; ++i)
      p[i] = static_cast<S>(v[i]);
  }
}

template <class T>
FASTNN_INLINE int64_t ahead_of(const TensorView& y) {
  return write_ahead(y.numel() * static_cast<int64_t>(sizeof(T)));
}

// The largest of the taps, NaN above all; ties go to the first. `index` may be null.
template <class T, class S, int vectors>
FASTNN_INLINE void max_of(const T* x, const Tap* taps, int64_t count, int n, T* y,
                          S* index, int64_t ahead) {
  using V = Vec<T>;
  V best[vectors];
  Index<T> winner[vectors];
  for (int j = 0; j < vectors; ++j) {
    best[j] = load_part(x + taps[0].offset + j * lanes<T>, n);
    winner[j] = splat<Index<T>>(static_cast<IndexElem<T>>(taps[0].number));
  }
  for (int64_t t = 1; t < count; ++t) {
    const T* p = x + taps[t].offset;
    const Index<T> number = splat<Index<T>>(static_cast<IndexElem<T>>(taps[t].number));
    for (int j = 0; j < vectors; ++j) {
      const V v = load_part(p + j * lanes<T>, n);
      const auto better = ~(v <= best[j]) & (best[j] == best[j]);
      best[j] = better ? v : best[j];
      if (index) winner[j] = better ? number : winner[j];
    }
  }
  for (int j = 0; j < vectors; ++j) {
    store_ahead(y + j * lanes<T>, best[j], n, ahead);
    if (index) store_index<T>(index + j * lanes<T>, winner[j], n);
  }
}

template <class T, int vectors>
FASTNN_INLINE void mean_of(const T* x, const Tap* taps, int64_t count, int n, T* y,
                           int64_t ahead) {
  Vec<T> sum[vectors] = {};
  for (int64_t t = 0; t < count; ++t) {
    for (int j = 0; j < vectors; ++j)
      sum[j] = sum[j] + load_part(x + taps[t].offset + j * lanes<T>, n);
  }
  const Vec<T> scale = splat<Vec<T>>(T(1) / static_cast<T>(count));
  for (int j = 0; j < vectors; ++j)
    store_ahead(y + j * lanes<T>, sum[j] * scale, n, ahead);
}

// Everything about one call of a forward kernel: x to y.
template <class T, class Pixel>
FASTNN_INLINE void forward(const KernelArgs& args, Pixel pixel) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Windows w = windows_of(x, y, args.attrs);
  const Range lines = line_range(w.out, args.part);
  if (lines.begin >= lines.end || y.numel() == 0) return;
  Pieces pieces(scratch_bytes<Span>(w.out.size[2]) + scratch_bytes<Tap>(w.taps()) +
                Images<T>::bytes(x));
  Span* columns = pieces.take<Span>(w.out.size[2]);
  for (int64_t o = 0; o < w.out.size[2]; ++o)
    columns[o] = w.axis[2].span(o);
  Tap* taps = pieces.take<Tap>(w.taps());
  Images<T> images(x, pieces);
  for_windows(w, lines, columns, taps,
              [&](int64_t n, int64_t from, const Tap* t, int64_t count, int64_t to)
                  FASTNN_LAMBDA_INLINE {
                    pixel(images[n] + from, w.in.channels, t, count, to);
                  });
}

template <class T, class S, bool with_index>
void max_forward(const KernelArgs& args) {
  T* y = args.out[0].ptr<T>();
  S* index = with_index ? args.out[with_index].ptr<S>() : nullptr;
  const int64_t ahead = ahead_of<T>(args.out[0]);
  forward<T>(args, [&](const T* x, int64_t channels, const Tap* taps, int64_t count,
                       int64_t to) FASTNN_LAMBDA_INLINE {
    for_channels<T>(channels, [&]<int vectors>(int64_t at, int n) FASTNN_LAMBDA_INLINE {
      max_of<T, S, vectors>(x + at, taps, count, n, y + to + at,
                            with_index ? index + to + at : nullptr, ahead);
    });
  });
}

void max_pool(const KernelArgs& args) {
  dispatch("max_pool", args.in[0].dtype, Floats{}, [&](auto tag) {
    max_forward<typename decltype(tag)::type, uint8_t, false>(args);
  });
}

using Indices32 = Types<uint8_t, int32_t>;

void max_pool_with_index(const KernelArgs& args) {
  const char* name = "max_pool_with_index";
  dispatch(name, args.in[0].dtype, Floats{}, [&](auto t) {
    dispatch(name, args.out[1].dtype, Indices32{}, [&](auto s) {
      max_forward<typename decltype(t)::type, typename decltype(s)::type, true>(args);
    });
  });
}

void average_pool(const KernelArgs& args) {
  dispatch("average_pool", args.in[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* y = args.out[0].ptr<T>();
    const int64_t ahead = ahead_of<T>(args.out[0]);
    forward<T>(args, [&](const T* x, int64_t channels, const Tap* taps, int64_t count,
                         int64_t to) FASTNN_LAMBDA_INLINE {
      for_channels<T>(channels,
                      [&]<int vectors>(int64_t at, int n) FASTNN_LAMBDA_INLINE {
                        mean_of<T, vectors>(x + at, taps, count, n, y + to + at, ahead);
                      });
    });
  });
}

// Everything about one call of a gradient: dy to dx. `spare` bytes of scratch are for
// what else the caller reads; open(pieces) prepares that and gives the pixel function.
template <class T, class Open>
FASTNN_INLINE void backward(const KernelArgs& args, int64_t spare, Open open) {
  const TensorView &dy = args.in[0], &dx = args.out[0];
  const Windows w = windows_of(dx, dy, args.attrs);
  const Range lines = line_range(w.in, args.part);
  if (lines.begin >= lines.end || dx.numel() == 0) return;
  const int64_t width = w.in.size[2], channels = w.in.channels;
  const int64_t across = width * w.axis[2].most_covers();
  const int64_t most_rows = w.axis[0].most_covers() * w.axis[1].most_covers();
  Pieces pieces(scratch_bytes<Covers>(width) + scratch_bytes<Cover>(across) +
                scratch_bytes<Cover>(most_rows) + Images<T>::bytes(dy) + spare);
  Covers* columns = pieces.take<Covers>(width);
  list_covers(w.axis[2], channels, columns, pieces.take<Cover>(across));
  Cover* space = pieces.take<Cover>(most_rows);
  Images<T> images(dy, pieces);
  auto pixel = open(pieces);
  for (int64_t line = lines.begin; line < lines.end; ++line) {
    const Place place = place_of(w.in, line);
    const Covers rows = covers_of_line(w, place, space);
    const T* image = images[place.image];
    for (int64_t k = 0; k < width; ++k) {
      const int64_t to = (line * width + k) * channels;
      const Covers& across_rows = columns[k];
      for_channels<T>(channels,
                      [&]<int vectors>(int64_t at, int n) FASTNN_LAMBDA_INLINE {
                        pixel.template operator()<vectors>(
                            place.image, image + at, at, rows, across_rows, n, to + at);
                      });
    }
  }
}

// Calls f(cover) for all windows over a pixel.
template <class F>
FASTNN_INLINE void for_covers(const Covers& rows, const Covers& columns, F f) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const Cover& row = rows.cover[r];
    for (int64_t c = 0; c < columns.count; ++c) {
      const Cover& column = columns.cover[c];
      f(Cover{row.offset + column.offset, row.number + column.number,
              row.size * column.size});
    }
  }
}

template <class T, class S>
void max_backward(const KernelArgs& args) {
  const TensorView& index = args.in[1];
  T* dx = args.out[0].ptr<T>();
  const int64_t ahead = ahead_of<T>(args.out[0]);
  backward<T>(args, Images<S>::bytes(index), [&](Pieces& pieces) {
    return [numbers = Images<S>(index, pieces), dx, ahead]<int vectors>(
               int64_t image, const T* dy, int64_t at, const Covers& rows,
               const Covers& columns, int n, int64_t to) mutable FASTNN_LAMBDA_INLINE {
      const S* winners = numbers[image] + at;
      Vec<T> sum[vectors] = {};
      for_covers(rows, columns, [&](const Cover& c) FASTNN_LAMBDA_INLINE {
        const auto number = splat<Index<T>>(static_cast<IndexElem<T>>(c.number));
        for (int j = 0; j < vectors; ++j) {
          const int64_t from = c.offset + j * lanes<T>;
          const auto won = load_index<T>(winners + from, n) == number;
          sum[j] = sum[j] + (won ? load_part(dy + from, n) : Vec<T>{});
        }
      });
      for (int j = 0; j < vectors; ++j)
        store_ahead(dx + to + j * lanes<T>, sum[j], n, ahead);
    };
  });
}

void max_pool_grad(const KernelArgs& args) {
  const char* name = "max_pool_grad";
  dispatch(name, args.in[0].dtype, Floats{}, [&](auto t) {
    dispatch(name, args.in[1].dtype, Indices32{}, [&](auto s) {
      max_backward<typename decltype(t)::type, typename decltype(s)::type>(args);
    });
  });
}

void average_pool_grad(const KernelArgs& args) {
  dispatch("average_pool_grad", args.in[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* dx = args.out[0].ptr<T>();
    const int64_t ahead = ahead_of<T>(args.out[0]);
    backward<T>(args, 0, [&](Pieces&) {
      return
          [dx, ahead, size = int64_t{0}, scale = T(0)]<int vectors>(
              int64_t, const T* dy, int64_t, const Covers& rows, const Covers& columns,
              int n, int64_t to) mutable FASTNN_LAMBDA_INLINE {
            Vec<T> sum[vectors] = {};
            for_covers(rows, columns, [&](const Cover& c) FASTNN_LAMBDA_INLINE {
              if (c.size != size) {  // seldom: windows at borders have other sizes
                size = c.size;
                scale = T(1) / static_cast<T>(size);
              }
              for (int j = 0; j < vectors; ++j) {
                const Vec<T> v = load_part(dy + c.offset + j * lanes<T>, n);
                sum[j] = sum[j] + v * splat<Vec<T>>(scale);
              }
            });
            for (int j = 0; j < vectors; ++j)
              store_ahead(dx + to + j * lanes<T>, sum[j], n, ahead);
          };
    });
  });
}

// y = x at the winners. The gradient of max_pool_grad: needed for second order only,
// hence one element at a time.
template <class T, class S>
void take_winners(const KernelArgs& args) {
  const TensorView &x = args.in[0], &index = args.in[1], &y = args.out[0];
  const Windows w = windows_of(x, y, args.attrs);
  const Range lines = line_range(w.out, args.part);
  if (lines.begin >= lines.end || y.numel() == 0) return;
  Pieces pieces(Images<T>::bytes(x) + Images<S>::bytes(index));
  Images<T> images(x, pieces);
  Images<S> winners(index, pieces);
  const Axis *d = &w.axis[0], *h = &w.axis[1], *v = &w.axis[2];
  const int64_t line_size = w.out.line_size(), channels = w.in.channels;
  for (int64_t line = lines.begin; line < lines.end; ++line) {
    const int64_t n = line / w.out.lines(), at = line % w.out.lines();
    const int64_t depth = d->start(at / h->out), height = h->start(at % h->out);
    const T* image = images[n];
    const S* numbers = winners[n] + at * line_size;
    for (int64_t k = 0; k < line_size; ++k) {
      const int64_t row = numbers[k] / v->window;
      const int64_t i = depth + row / h->window, j = height + row % h->window;
      const int64_t column = v->start(k / channels) + numbers[k] % v->window;
      y.ptr<T>()[line * line_size + k] =
          image[((i * h->in + j) * v->in + column) * channels + k % channels];
    }
  }
}

void max_pool_take(const KernelArgs& args) {
  const char* name = "max_pool_take";
  dispatch(name, args.in[0].dtype, Floats{}, [&](auto t) {
    dispatch(name, args.in[1].dtype, Indices32{}, [&](auto s) {
      take_winners<typename decltype(t)::type, typename decltype(s)::type>(args);
    });
  });
}

constexpr const char* kAttrs = "window strides low";
constexpr KernelEntry kEntries[] = {
    {"max_pool", max_pool, Split::kRows, "r", 1, kAttrs, 1},
    {"max_pool_with_index", max_pool_with_index, Split::kRows, "r", 2, kAttrs, 1},
    {"max_pool_grad", max_pool_grad, Split::kRows, "rr", 1, kAttrs, 1},
    {"max_pool_take", max_pool_take, Split::kRows, "rr", 1, kAttrs, 1},
    {"average_pool", average_pool, Split::kRows, "r", 1, kAttrs, 1},
    {"average_pool_grad", average_pool_grad, Split::kRows, "r", 1, kAttrs, 1},
};

}  // namespace
}  // namespace pool

extern const KernelFamily kFamily_pool;
const KernelFamily kFamily_pool = {"pool", pool::kEntries,
                                   sizeof(pool::kEntries) / sizeof(pool::kEntries[0])};
FASTNN_END_NAMESPACE
