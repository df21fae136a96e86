// SPDX-License-Identifier: Apache-2.0
// Optimizer steps: one pass over (w, g, slots...), outputs (w, slots...) which may be
// the same memory. The maths of an element is shared/optim.h. Weights decay on the way,
// `w (1 - lr weight_decay)` before the update: a pass of its own would cost AdamW a
// quarter of its memory traffic.
#include "shared/optim.h"

#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/strided.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

template <class F>
struct Update {
  F f;
  double decay;  // lr weight_decay
};

// Elements of contiguous operands. A `direction` has no weights among its inputs and
// replaces the gradient.
template <class F, bool direction, bool decays, class T>
FASTNN_INLINE void update_line(const Update<F>& update, const T* const* in,
                               T* const* out, int64_t n) {
  const auto one = [&](auto read, auto write) FASTNN_LAMBDA_INLINE {
    Vec<T> w = read(0), slots[F::kSlots + 1];
    const Vec<T> g = direction ? w : read(1);
    for (int k = 0; k < F::kSlots; ++k)
      slots[k] = read(k + (direction ? 1 : 2));
    if constexpr (decays) w = w - w * constant<Vec<T>>(update.decay);
    update.f(w, g, slots);
    for (int k = 0; k < F::kSlots; ++k)
      write(1 + k, slots[k]);
    write(0, w);
  };
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>)
    one([&](int k) FASTNN_LAMBDA_INLINE { return load(in[k] + i); },
        [&](int k, Vec<T> v) FASTNN_LAMBDA_INLINE { store(out[k] + i, v); });
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  one([&](int k) FASTNN_LAMBDA_INLINE { return load_n(in[k] + i, rest); },
      [&](int k, Vec<T> v) FASTNN_LAMBDA_INLINE { store_n(out[k] + i, v, rest); });
}

// The part's rows of all updates of a group: the scalars stay in registers. Operands
// that are not contiguous are gathered in blocks first.
template <class F, bool direction, bool decays, class T>
FASTNN_OUTLINE void update_group(const KernelArgs& args, int scalars,
                                 const Update<F>& given) {
  constexpr int n_in = F::kSlots + (direction ? 1 : 2), n_out = 1 + F::kSlots;
  constexpr int block = 256;
  const Update<F> update = given;  // a copy: stores through out could change it
  for (int i = 0; i < args.group; ++i) {
    const TensorView* x = args.in + i * (n_in + scalars + n_out);
    const TensorView* y = args.out + i * (n_in + scalars + n_out);
    const Range rows = row_range(y[0].rows(), args.part);
    const int64_t row_size = y[0].row_size(), start = rows.begin * row_size;
    const int64_t n = (rows.end - rows.begin) * row_size;
    if (n <= 0) continue;
    const T* in[n_in];
    T* out[n_out];
    bool dense = true;
    for (int k = 0; k < n_in; ++k) {
      dense = dense && x[k].contiguous();
      in[k] = x[k].ptr<T>() + start;
    }
    for (int k = 0; k < n_out; ++k)
      out[k] = y[k].ptr<T>() + start;
    if (dense) {
      update_line<F, direction, decays>(update, in, out, n);
      continue;
    }
    const TensorView* views[n_in];
    for (int k = 0; k < n_in; ++k)
      views[k] = x + k;
    const Walk walk = make_walk(views, n_in, rows);
    alignas(64) T buffer[n_in][block];
    for (int64_t at = 0; at < n; at += block) {
      const int64_t count = n - at < block ? n - at : block;
      for (int k = 0; k < n_in; ++k) {
        gather((char*)buffer[k], walk, k, at, count, sizeof(T));
        in[k] = buffer[k];
      }
      update_line<F, direction, decays>(update, in, out, count);
      for (int k = 0; k < n_out; ++k)
        out[k] += block;
    }
  }
}

// Input k, a rank-0 float tensor.
FASTNN_INLINE double scalar_input(const KernelArgs& args, int k) {
  const TensorView& x = args.in[k];
  return x.dtype == DType::kFloat32 ? double{*x.ptr<float>()} : *x.ptr<double>();
}
FASTNN_INLINE int64_t step_input(const KernelArgs& args, int k) {
  return *args.in[k].ptr<int64_t>();
}

// `scalars`: inputs after the slots.
template <bool direction, class F>
FASTNN_INLINE void run_group(const char* name, const KernelArgs& args, int scalars,
                             const F& f, double decay) {
  const Update<F> update = {f, decay};
  dispatch(name, args.in[0].dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!direction)
      if (decay != 0) return update_group<F, direction, true, T>(args, scalars, update);
    update_group<F, direction, false, T>(args, scalars, update);
  });
}

// An update whose last attribute is the weight decay.
template <class F>
FASTNN_INLINE void run_update(const char* name, const KernelArgs& args, int scalars,
                              int attrs, const F& f) {
  const double lr = scalar_input(args, 2 + F::kSlots);
  run_group<false>(name, args, scalars, f, lr * args.attrs[attrs - 1].f);
}

void sgd(const KernelArgs& args) {
  run_update("sgd", args, 1, 1, Sgd{scalar_input(args, 2)});
}

void sgd_momentum(const KernelArgs& args) {
  const double lr = scalar_input(args, 3), momentum = args.attrs[0].f;
  if (args.attrs[1].i) {
    run_update("sgd_momentum", args, 1, 3, SgdMomentum<true>{lr, momentum});
  } else {
    run_update("sgd_momentum", args, 1, 3, SgdMomentum<false>{lr, momentum});
  }
}

template <bool centered>
FASTNN_INLINE void plain_rmsprop(const char* name, const KernelArgs& args) {
  using F = RmsProp<centered, false>;
  const F f = {scalar_input(args, 2 + F::kSlots), args.attrs[0].f, args.attrs[1].f, 0};
  run_update(name, args, 1, 3, f);
}
template <bool centered>
FASTNN_INLINE void heavy_rmsprop(const char* name, const KernelArgs& args) {
  using F = RmsProp<centered, true>;
  run_update(name, args, 1, 4,
             F{scalar_input(args, 2 + F::kSlots), args.attrs[0].f, args.attrs[1].f,
               args.attrs[2].f});
}
void rmsprop(const KernelArgs& args) { plain_rmsprop<false>("rmsprop", args); }
void rmsprop_momentum(const KernelArgs& args) {
  heavy_rmsprop<false>("rmsprop_momentum", args);
}
void rmsprop_centered(const KernelArgs& args) {
  plain_rmsprop<true>("rmsprop_centered", args);
}
void rmsprop_centered_momentum(const KernelArgs& args) {
  heavy_rmsprop<true>("rmsprop_centered_momentum", args);
}

template <bool amsgrad>
FASTNN_INLINE void any_adam(const char* name, const KernelArgs& args) {
  using F = Adam<amsgrad>;
  run_update(
      name, args, 2, 4,
      F::at_step(scalar_input(args, 2 + F::kSlots), step_input(args, 3 + F::kSlots),
                 args.attrs[0].f, args.attrs[1].f, args.attrs[2].f));
}
void adam(const KernelArgs& args) { any_adam<false>("adam", args); }
void adam_amsgrad(const KernelArgs& args) { any_adam<true>("adam_amsgrad", args); }

void adamax(const KernelArgs& args) {
  const double beta_1 = args.attrs[0].f;
  const double alpha =
      scalar_input(args, 4) / bias_correction(beta_1, step_input(args, 5));
  run_update("adamax", args, 2, 4,
             Adamax{alpha, beta_1, args.attrs[1].f, args.attrs[2].f});
}

void nadam(const KernelArgs& args) {
  run_update(
      "nadam", args, 3, 4,
      Nadam::at_step(scalar_input(args, 4), step_input(args, 5), scalar_input(args, 6),
                     args.attrs[0].f, args.attrs[1].f, args.attrs[2].f));
}

void adagrad(const KernelArgs& args) {
  run_update("adagrad", args, 1, 2, Adagrad{scalar_input(args, 3), args.attrs[0].f});
}

void adadelta(const KernelArgs& args) {
  run_update("adadelta", args, 1, 3,
             Adadelta{scalar_input(args, 4), args.attrs[0].f, args.attrs[1].f});
}

void ftrl(const KernelArgs& args) {
  const AttrValue* a = args.attrs;
  const double lr = scalar_input(args, 4);
  const double power = -a[0].f, l2 = a[2].f + a[4].f / (2 * lr);
  if (power == 0.5) {
    run_update("ftrl", args, 1, 6, Ftrl<true>{lr, power, a[1].f, l2, a[3].f});
  } else {
    run_update("ftrl", args, 1, 6, Ftrl<false>{lr, power, a[1].f, l2, a[3].f});
  }
}

void lion(const KernelArgs& args) {
  run_update("lion", args, 1, 3,
             Lion{scalar_input(args, 3), args.attrs[0].f, args.attrs[1].f});
}

void lamb_direction(const KernelArgs& args) {
  run_group<true>("lamb_direction", args, 1,
                  LambDirection::at_step(step_input(args, 3), args.attrs[0].f,
                                         args.attrs[1].f, args.attrs[2].f),
                  0);
}

void moving_average(const KernelArgs& args) {
  run_group<false>("moving_average", args, 0, MovingAverage{args.attrs[0].f}, 0);
}

// The sum of a short vector of `square_sums`, in its order.
FASTNN_INLINE double total(const TensorView& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.rows(); ++i) {
    const int64_t at = i * x.stride[0];
    sum +=
        x.dtype == DType::kFloat32 ? double{x.ptr<float>()[at]} : x.ptr<double>()[at];
  }
  return sum;
}

// w - lr |w| / |u| u, or w - lr u where one of the norms is 0.
void lamb(const KernelArgs& args) {
  const double ww = total(args.in[2]), uu = total(args.in[3]);
  const double ratio = ww > 0 && uu > 0 ? ::sqrt(ww) / ::sqrt(uu) : 1.0;
  run_group<false>("lamb", args, 3, Sgd{ratio * scalar_input(args, 4)}, 0);
}

// Sums of squares of 4096 elements each: few enough for one vector of accumulators,
// and enough of them for all threads. The order of additions is that of the elements.
constexpr int64_t kSquareChunk = 4096;

template <class T>
FASTNN_OUTLINE T square_sum(const T* x, int64_t n) {
  Vec<T> sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>)
    for (int k = 0; k < 4; ++k) {
      const Vec<T> v = load(x + i + k * lanes<T>);
      sum[k] += v * v;
    }
  for (; i < n; i += lanes<T>) {
    const int64_t left = n - i;
    const Vec<T> v = load_n(x + i, left < lanes<T> ? static_cast<int>(left) : lanes<T>);
    sum[0] += v * v;
  }
  return fold_lanes<T>((sum[0] + sum[1]) + (sum[2] + sum[3]),
                       [](auto a, auto b) { return a + b; });
}

void square_sums(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Range rows = row_range(y.rows(), args.part);
  const int64_t numel = x.numel();
  const TensorView* view = &x;
  const bool contiguous = x.contiguous();
  const Walk walk = make_walk(&view, 1, {0, x.rows()});
  dispatch("square_sums", x.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    alignas(64) T gathered[kSquareChunk];
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t start = row * kSquareChunk, left = numel - start;
      const int64_t n = left < kSquareChunk ? left : kSquareChunk;
      const T* from = x.ptr<T>() + start;
      if (!contiguous && n > 0) {
        gather((char*)gathered, walk, 0, start, n, sizeof(T));
        from = gathered;
      }
      y.ptr<T>()[row] = square_sum(from, n);
    }
  });
}

// Updates come in groups; the others are a few per step.
#define FASTNN_UPDATE(name, reads, n_out, attrs) \
  {#name, name, Split::kRows, reads, n_out, attrs, 0, true}
constexpr KernelEntry kEntries[] = {
    FASTNN_UPDATE(sgd, "rra", 1, "weight_decay"),
    FASTNN_UPDATE(sgd_momentum, "rrra", 2, "momentum nesterov weight_decay"),
    FASTNN_UPDATE(rmsprop, "rrra", 2, "rho epsilon weight_decay"),
    FASTNN_UPDATE(rmsprop_momentum, "rrrra", 3, "rho epsilon momentum weight_decay"),
    FASTNN_UPDATE(rmsprop_centered, "rrrra", 3, "rho epsilon weight_decay"),
    FASTNN_UPDATE(rmsprop_centered_momentum, "rrrrra", 4,
                  "rho epsilon momentum weight_decay"),
    FASTNN_UPDATE(adam, "rrrraa", 3, "beta_1 beta_2 epsilon weight_decay"),
    FASTNN_UPDATE(adam_amsgrad, "rrrrraa", 4, "beta_1 beta_2 epsilon weight_decay"),
    FASTNN_UPDATE(adamax, "rrrraa", 3, "beta_1 beta_2 epsilon weight_decay"),
    FASTNN_UPDATE(nadam, "rrrraaa", 3, "beta_1 beta_2 epsilon weight_decay"),
    FASTNN_UPDATE(adagrad, "rrra", 2, "epsilon weight_decay"),
    FASTNN_UPDATE(adadelta, "rrrra", 3, "rho epsilon weight_decay"),
    FASTNN_UPDATE(ftrl, "rrrra", 3,
                  "learning_rate_power l1 l2 l2_shrinkage beta weight_decay"),
    FASTNN_UPDATE(lion, "rrra", 2, "beta_1 beta_2 weight_decay"),
    FASTNN_UPDATE(lamb_direction, "rrra", 3, "beta_1 beta_2 epsilon"),
    FASTNN_UPDATE(moving_average, "rr", 1, "rate"),
    {"lamb", lamb, Split::kRows, "rraaa", 1, ""},
    {"square_sums", square_sums, Split::kRows, "a", 1, ""},
};
#undef FASTNN_UPDATE

}  // namespace

extern const KernelFamily kFamily_optim;
const KernelFamily kFamily_optim = {"optim", kEntries,
                                    sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
