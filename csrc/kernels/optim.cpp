// SPDX-License-Identifier: Apache-2.0
// Optimizer steps: one pass over (w, g, slots...), outputs (w, slots...) which may be
// the same memory. The maths of an element is shared/optim.h.
#include "shared/optim.h"

#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/tiles.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

template <class F, int slots, class T>
void tile(const TileArgs& tile_args, int64_t vectors, const void* state) {
  const TileArgs args = tile_args;  // a copy: stores through out could change it
  F update;
  __builtin_memcpy(&update, state, sizeof update);
  const auto in = [&](int k, int64_t i) {
    return load((const T*)(args.in[k] + i * args.step[k]));
  };
  const auto out = [&](int k, int64_t i, Vec<T> v) {
    store((T*)args.out[k] + i * lanes<T>, v);
  };
  for (int64_t i = 0; i < vectors; ++i) {
    Vec<T> w = in(0, i), g = in(1, i);
    if constexpr (slots == 0) {
      update(w, g);
    } else if constexpr (slots == 1) {
      Vec<T> a = in(2, i);
      update(w, g, a);
      out(1, i, a);
    } else {
      Vec<T> a = in(2, i), b = in(3, i);
      update(w, g, a, b);
      out(1, i, a);
      out(2, i, b);
    }
    out(0, i, w);
  }
}

// Input k, a rank-0 tensor of the parameter's dtype.
FASTNN_INLINE double scalar_input(const KernelArgs& args, int k) {
  const TensorView& x = args.in[k];
  return x.dtype == DType::kFloat32 ? double{*x.ptr<float>()} : *x.ptr<double>();
}

template <int slots, class F>
FASTNN_INLINE void run_update(const char* name, const KernelArgs& args, const F& f) {
  const DType dtype = args.in[0].dtype;
  const int size = dtype_size(dtype);
  TileOp op;
  dispatch(name, dtype, Floats{},
           [&](auto tag) { op.tile = tile<F, slots, typename decltype(tag)::type>; });
  op.state = &f;
  op.lanes = FASTNN_VECTOR_BYTES / size;
  op.n_in = 2 + slots;
  op.n_out = 1 + slots;
  for (int k = 0; k < op.n_in; ++k)
    op.in_size[k] = size;
  for (int k = 0; k < op.n_out; ++k)
    op.out_size[k] = size;
  run_tiles(args, op);
}

void sgd(const KernelArgs& args) {
  run_update<0>("sgd", args, Sgd{scalar_input(args, 2)});
}

void sgd_momentum(const KernelArgs& args) {
  const bool nesterov = args.attrs[1].i != 0;
  run_update<1>("sgd_momentum", args,
                SgdMomentum{scalar_input(args, 3), args.attrs[0].f, nesterov});
}

void rmsprop(const KernelArgs& args) {
  run_update<1>("rmsprop", args,
                RmsProp{scalar_input(args, 3), args.attrs[0].f, args.attrs[1].f});
}

void adam(const KernelArgs& args) {
  run_update<2>("adam", args,
                Adam::at_step(scalar_input(args, 4), *args.in[5].ptr<int64_t>(),
                              args.attrs[0].f, args.attrs[1].f, args.attrs[2].f));
}

constexpr KernelEntry kEntries[] = {
    {"sgd", sgd, Split::kRows, "rra", 1, ""},
    {"sgd_momentum", sgd_momentum, Split::kRows, "rrra", 2, "momentum nesterov"},
    {"rmsprop", rmsprop, Split::kRows, "rrra", 2, "rho epsilon"},
    {"adam", adam, Split::kRows, "rrrraa", 3, "beta_1 beta_2 epsilon"},
};

}  // namespace

extern const KernelFamily kFamily_optim;
const KernelFamily kFamily_optim = {"optim", kEntries,
                                    sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
