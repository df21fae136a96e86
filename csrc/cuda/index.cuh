// SPDX-License-Identifier: Apache-2.0
// Gathers and scatters. An index that is out of range reads or writes nothing; the
// fault word, the last output of each kernel, keeps the first of them, which the host
// asks for after a run.
//
// Scatters look from the output's side: a block per row asks which updates are meant
// for it, 256 indices at a time, and takes them in their order. No atomics, so the same
// bits every time.
#pragma once

#include "cuda/copy.cuh"

namespace fastnn::device {

template <class I>
FASTNN_DEVICE int64_t raw_index(const View& x, int64_t i) {
  return static_cast<int64_t>(x.ptr<I>()[offset_of(x, i)]);
}
// Index i of an operand of any strides; negative ones count from the end. -1: none.
template <class I>
FASTNN_DEVICE int64_t index_at(const View& x, int64_t i, int64_t size) {
  const int64_t k = raw_index<I>(x, i);
  const int64_t row = k < 0 ? k + size : k;
  return row >= 0 && row < size ? row : -1;
}

// The first position that is wrong and what lies there (in 32 bits, what does not fit
// as the nearest number), in one word: the smallest of all threads is the same every
// time.
FASTNN_DEVICE void raise_fault(const View& fault, int64_t position, int64_t index) {
  const int64_t most = 0x7fffffff, least = -most - 1;
  const int64_t known = index > most ? most : index < least ? least : index;
  const unsigned long long place = position < 0xffffffffll ? position : 0xffffffffll;
  atomicMin(reinterpret_cast<unsigned long long*>(fault.data),
            place << 32 | static_cast<uint32_t>(known));
}
constexpr int64_t kNoPosition = 0xfffffffe;  // the index is where all begin

// y[i...] = x[index[i]]; x (rows, inner...), numbers {elements of a row of x}.
template <class S, class I>
FASTNN_DEVICE void take(const Args<2, 2, 1>& a) {
  const View &x = a.in[0], &y = a.out[0];
  const int64_t n = a.number[0].i;
  for_elements(y.numel(), [&](int64_t at) {
    const int64_t row = index_at<I>(a.in[1], at / n, x.shape[0]);
    if (row < 0) return raise_fault(a.out[1], at / n, raw_index<I>(a.in[1], at / n));
    y.template ptr<S>()[at] =
        x.template ptr<S>()[row * x.stride[0] + offset_behind(x, at % n, 1)];
  });
}

// y[o, i] = x[o, index[o, i]]; numbers {elements behind the second axis}.
template <class S, class I>
FASTNN_DEVICE void batch_take(const Args<2, 2, 1>& a) {
  const View &x = a.in[0], &y = a.out[0];
  const int64_t n = a.number[0].i, count = a.in[1].shape[1];
  for_elements(y.numel(), [&](int64_t at) {
    const int64_t row = index_at<I>(a.in[1], at / n, x.shape[1]);
    if (row < 0) return raise_fault(a.out[1], at / n, raw_index<I>(a.in[1], at / n));
    const int64_t from = at / (n * count) * x.stride[0] + row * x.stride[1];
    y.template ptr<S>()[at] = x.template ptr<S>()[from + offset_behind(x, at % n, 2)];
  });
}

// Batch rows data[perm[cursor + i]], converted; numbers {elements of a row}.
template <class From, class To, class I, class C>
FASTNN_DEVICE void gather_rows(const Args<3, 2, 1>& a) {
  using Stored = typename Source<From, To>::type;
  const View &data = a.in[0], &perm = a.in[1], &y = a.out[0];
  const int64_t n = a.number[0].i;
  const int64_t first = static_cast<int64_t>(a.in[2].template ptr<C>()[0]);
  for_elements(y.numel(), [&](int64_t at) {
    const int64_t i = first + at / n;
    if (i < 0 || i >= perm.shape[0]) return raise_fault(a.out[1], kNoPosition, first);
    const int64_t row = perm.template ptr<I>()[i * perm.stride[0]];
    if (row < 0 || row >= data.shape[0]) return raise_fault(a.out[1], at / n, row);
    const int64_t from = row * data.stride[0] + offset_behind(data, at % n, 1);
    y.template ptr<To>()[at] = Cast<From, To>::of(data.template ptr<Stored>()[from]);
  });
}

template <class I>
FASTNN_DEVICE int64_t start_of(const View& starts, int axis) {
  return static_cast<int64_t>(starts.ptr<I>()[axis * starts.stride[0]]);
}

// The block of x that begins at starts.
template <class S, class I>
FASTNN_DEVICE void dynamic_slice(const Args<2, 2, 0>& a) {
  const View &x = a.in[0], &y = a.out[0];
  for_elements(y.numel(), [&](int64_t at) {
    int64_t rest = at, from = 0;
    for (int d = y.ndim - 1; d >= 0; --d) {
      const int64_t next = rest / y.shape[d], start = start_of<I>(a.in[1], d);
      if (start < 0 || start > x.shape[d] - y.shape[d])
        return raise_fault(a.out[1], d, start);
      from += (rest - next * y.shape[d] + start) * x.stride[d];
      rest = next;
    }
    y.template ptr<S>()[at] = x.template ptr<S>()[from];
  });
}

// x with updates in place of the block that begins at starts.
template <class S, class I>
FASTNN_DEVICE void update_slice(const Args<3, 2, 0>& a) {
  const View &x = a.in[0], &u = a.in[2], &y = a.out[0];
  for_elements(y.numel(), [&](int64_t at) {
    int64_t rest = at, from = 0, of_update = 0;
    bool inside = true;
    for (int d = y.ndim - 1; d >= 0; --d) {
      const int64_t next = rest / y.shape[d], i = rest - next * y.shape[d];
      const int64_t start = start_of<I>(a.in[1], d);
      if (start < 0 || start > y.shape[d] - u.shape[d])
        return raise_fault(a.out[1], d, start);
      inside = inside && i >= start && i < start + u.shape[d];
      from += i * x.stride[d];
      of_update += (i - start) * u.stride[d];
      rest = next;
    }
    y.template ptr<S>()[at] =
        inside ? u.template ptr<S>()[of_update] : x.template ptr<S>()[from];
  });
}

// 1 at the index, 0 elsewhere; numbers {classes}.
template <class S, class I>
FASTNN_DEVICE void one_hot(const Args<1, 1, 1>& a) {
  const int64_t classes = a.number[0].i;
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const View& x = a.in[0];
    const int64_t k =
        static_cast<int64_t>(x.template ptr<I>()[offset_of(x, at / classes)]);
    store(a.out[0].template ptr<S>(), at, Computed<S>(k == at % classes ? 1 : 0));
  });
}

struct ReplaceOp {
  template <class T>
  FASTNN_DEVICE T operator()(T, T b) const {
    return b;
  }
};

// Row blockIdx of the output: what it begins with, then the updates meant for it, in
// their order. `begin(k)` and `update(i, k)` are elements k of a row.
template <class Op, class S, class I, class Begin, class Update>
FASTNN_DEVICE void merge_row(const View& indices, int64_t first, int64_t count,
                             int64_t row, int64_t rows, int64_t n, S* out,
                             const View& fault, Begin begin, Update update) {
  using T = Computed<S>;
  __shared__ uint8_t mine[1024];
  for (int64_t k = threadIdx.x; k < n; k += blockDim.x)
    store(out, k, begin(k));
  const int64_t chunk = blockDim.x;
  for (int64_t at = 0; at < count; at += chunk) {
    const int64_t i = at + threadIdx.x;
    bool match = false;
    if (i < count) {
      const int64_t index = index_at<I>(indices, first + i, rows);
      match = index == row;
      if (index < 0) raise_fault(fault, first + i, raw_index<I>(indices, first + i));
    }
    mine[threadIdx.x] = match;
    if (!__syncthreads_or(match)) continue;
    const int64_t end = at + chunk < count ? at + chunk : count;
    for (int64_t j = at; j < end; ++j) {
      if (!mine[j - at]) continue;
      for (int64_t k = threadIdx.x; k < n; k += blockDim.x)
        store(out, k, Op{}(T(load(out, k)), T(update(j, k))));
    }
    __syncthreads();
  }
}

// numbers {elements of a row}: zeros with dy added at indices.
template <class S, class I>
FASTNN_DEVICE void take_grad(const Args<2, 2, 1>& a) {
  const View &dy = a.in[0], &dx = a.out[0];
  const int64_t n = a.number[0].i, count = a.in[1].numel(), rows = dx.shape[0];
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    merge_row<SumOp, S, I>(
        a.in[1], 0, count, r, rows, n, dx.template ptr<S>() + r * n, a.out[1],
        [](int64_t) { return Computed<S>(0); },
        [&](int64_t i, int64_t k) {
          return load(dy.template ptr<S>(), offset_of(dy, i * n + k));
        });
  }
}

// The same for every leading index.
template <class S, class I>
FASTNN_DEVICE void batch_take_grad(const Args<2, 2, 1>& a) {
  const View &dy = a.in[0], &dx = a.out[0];
  const int64_t n = a.number[0].i, count = a.in[1].shape[1], rows = dx.shape[1];
  for (int64_t job = blockIdx.x; job < dx.shape[0] * rows; job += gridDim.x) {
    const int64_t o = job / rows;
    merge_row<SumOp, S, I>(
        a.in[1], o * count, count, job % rows, rows, n, dx.template ptr<S>() + job * n,
        a.out[1], [](int64_t) { return Computed<S>(0); },
        [&](int64_t i, int64_t k) {
          return load(dy.template ptr<S>(), offset_of(dy, (o * count + i) * n + k));
        });
  }
}

// x with updates merged into rows.
template <class Op, class S, class I>
FASTNN_DEVICE void scatter_rows(const Args<3, 2, 1>& a) {
  const View &x = a.in[0], &u = a.in[2], &y = a.out[0];
  const int64_t n = a.number[0].i, count = a.in[1].numel(), rows = y.shape[0];
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    merge_row<Op, S, I>(
        a.in[1], 0, count, r, rows, n, y.template ptr<S>() + r * n, a.out[1],
        [&](int64_t k) {
          return load(x.template ptr<S>(), r * x.stride[0] + offset_behind(x, k, 1));
        },
        [&](int64_t i, int64_t k) {
          return load(u.template ptr<S>(), offset_of(u, i * n + k));
        });
  }
}

}  // namespace fastnn::device
