// SPDX-License-Identifier: Apache-2.0
// Max and average pooling, 1-D to 3-D, and their gradients. Vectors run over channels.
//
// The gradients are gathers: every input pixel adds up the windows that cover it, in
// order, so nothing is zeroed first, nothing is written twice and parts cannot race.
// Max pooling that will be differentiated also stores the number of the winner in its
// window, one byte where that is enough: the gradient then moves 1.3 times the bytes of
// x instead of the 2.5 times that finding the winner again would cost.
#include "kernels/pool/gradients.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace pool {
namespace {

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

template <class T, class S>
void max_backward(const KernelArgs& args) {
  const TensorView& index = args.in[1];
  const Written<T> to = {args.out[0].ptr<T>(), ahead_of<T>(args.out[0])};
  backward<T>(args, Images<S>::bytes(index), [&](Pieces& pieces) {
    return MaxGradient<T, S>{to, Images<S>(index, pieces)};
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
    const Written<T> to = {args.out[0].ptr<T>(), ahead_of<T>(args.out[0])};
    backward<T>(args, 0, [&](Pieces&) { return AverageGradient<T>{to}; });
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
