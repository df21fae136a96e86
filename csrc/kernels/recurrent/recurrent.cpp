// SPDX-License-Identifier: Apache-2.0
// Whole sequences of recurrent cells and their gradients: the table of the family.
#include "kernels/recurrent/sequence.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

using TanhCell = SimpleCell<Tanh, TanhGrad>;
using ReluCell = SimpleCell<Relu, ReluGrad>;

void check_units(const char* op, const TensorView& u, int64_t units, int gates) {
  FASTNN_CHECK(u.ndim == 2 && u.shape[0] == units && u.shape[1] == gates * units,
               "[%s] the recurrent kernel must be (%lld, %lld)", op,
               static_cast<long long>(units), static_cast<long long>(gates * units));
}

// z, the states before the first step, u, mask -> h and what the way back needs.
template <class Cell, class F>
void forward(const char* op, const KernelArgs& args, int at_u, int at_mask, bool masked,
             bool reverse, F others) {
  const TensorView &z = args.in[0], &h = args.out[0];
  const int64_t units = h.shape[2];
  check_units(op, args.in[at_u], units, Cell::kGates);
  const Range rows = row_range(h.rows(), args.part);
  if (rows.begin >= rows.end || units == 0) return;
  for_float(op, h.dtype, [&]<class T>() {
    ForwardWalk<T, Cell> walk = {};
    walk.f.z = steps_of<T>(z);
    walk.f.h0 = steps_of<T>(args.in[1]);
    walk.f.h = h.ptr<T>();
    walk.f.units = units, walk.f.time = h.shape[1];
    walk.mask = mask_of(args.in[at_mask], masked);
    walk.order = {h.shape[1], reverse};
    others.template operator()<T>(walk.f);
    walk.run(args.in[at_u], rows);
  });
}

template <class Cell, class F>
void backward(const char* op, const KernelArgs& args, int at_u, int at_mask,
              bool masked, bool reverse, F others) {
  const TensorView &dh = args.in[0], &dz = args.out[0], &dh0 = args.out[1];
  const int64_t units = dh.shape[2];
  check_units(op, args.in[at_u], units, Cell::kGates);
  const Range rows = row_range(dz.rows(), args.part);
  if (rows.begin >= rows.end || units == 0) return;
  for_float(op, dz.dtype, [&]<class T>() {
    BackwardWalk<T, Cell> walk = {};
    walk.b.dh = steps_of<T>(dh);
    walk.b.dz = dz.ptr<T>();
    walk.b.units = units, walk.b.time = dh.shape[1];
    walk.mask = mask_of(args.in[at_mask], masked);
    walk.order = {dh.shape[1], reverse};
    others.template operator()<T>(walk.b);
    walk.run(args.in[at_u], rows, dh0.ptr<T>(),
             Cell::kCarry ? args.out[2].ptr<T>() : nullptr);
  });
}

void lstm(const KernelArgs& args) {
  forward<LstmCell>("lstm", args, 3, 4, args.attrs[0].i, args.attrs[1].i,
                    [&]<class T>(Forward<T>& f) {
                      f.c0 = steps_of<T>(args.in[2]);
                      f.c = args.out[1].ptr<T>(), f.gates = args.out[2].ptr<T>();
                    });
}

void lstm_grad(const KernelArgs& args) {
  backward<LstmCell>("lstm_grad", args, 5, 6, args.attrs[0].i, args.attrs[1].i,
                     [&]<class T>(Backward<T>& b) {
                       if (args.in[1].numel()) b.dc = steps_of<T>(args.in[1]);
                       b.gates = steps_of<T>(args.in[2]);
                       b.c = steps_of<T>(args.in[3]), b.c0 = steps_of<T>(args.in[4]);
                     });
}

template <class T>
Steps<T> bias_of(const TensorView& bias) {
  return {bias.ptr<const T>(), 0, 0, bias.stride[0]};
}

void gru(const KernelArgs& args) {
  forward<GruCell>("gru", args, 2, 4, args.attrs[0].i, args.attrs[1].i,
                   [&]<class T>(Forward<T>& f) {
                     f.bias = bias_of<T>(args.in[3]);
                     f.gates = args.out[1].ptr<T>();
                   });
}

// The outputs only: nobody goes back.
void lstm_outputs(const KernelArgs& args) {
  forward<LstmCell>("lstm_outputs", args, 3, 4, args.attrs[0].i, args.attrs[1].i,
                    [&]<class T>(Forward<T>& f) { f.c0 = steps_of<T>(args.in[2]); });
}

void gru_outputs(const KernelArgs& args) {
  forward<GruCell>("gru_outputs", args, 2, 4, args.attrs[0].i, args.attrs[1].i,
                   [&]<class T>(Forward<T>& f) { f.bias = bias_of<T>(args.in[3]); });
}

void gru_grad(const KernelArgs& args) {
  backward<GruCell>("gru_grad", args, 4, 5, args.attrs[0].i, args.attrs[1].i,
                    [&]<class T>(Backward<T>& b) {
                      b.gates = steps_of<T>(args.in[1]);
                      b.h = steps_of<T>(args.in[2]), b.h0 = steps_of<T>(args.in[3]);
                    });
}

void simple_rnn(const KernelArgs& args) {
  const auto nothing = [&]<class T>(Forward<T>&) {};
  const bool masked = args.attrs[1].i, reverse = args.attrs[2].i;
  if (args.attrs[0].i) {
    return forward<ReluCell>("simple_rnn", args, 2, 3, masked, reverse, nothing);
  }
  forward<TanhCell>("simple_rnn", args, 2, 3, masked, reverse, nothing);
}

void simple_rnn_grad(const KernelArgs& args) {
  const auto states = [&]<class T>(Backward<T>& b) { b.h = steps_of<T>(args.in[1]); };
  const bool masked = args.attrs[1].i, reverse = args.attrs[2].i;
  if (args.attrs[0].i) {
    return backward<ReluCell>("simple_rnn_grad", args, 2, 3, masked, reverse, states);
  }
  backward<TanhCell>("simple_rnn_grad", args, 2, 3, masked, reverse, states);
}

constexpr KernelEntry kEntries[] = {
    {"lstm", lstm, Split::kRows, "rrrar", 3, "masked reverse"},
    {"lstm_outputs", lstm_outputs, Split::kRows, "rrrar", 1, "masked reverse"},
    {"gru_outputs", gru_outputs, Split::kRows, "rraar", 1, "masked reverse"},
    {"lstm_grad", lstm_grad, Split::kRows, "rrrrrar", 3, "masked reverse"},
    {"gru", gru, Split::kRows, "rraar", 2, "masked reverse"},
    {"gru_grad", gru_grad, Split::kRows, "rrrrar", 2, "masked reverse"},
    {"simple_rnn", simple_rnn, Split::kRows, "rrar", 1, "activation masked reverse"},
    {"simple_rnn_grad", simple_rnn_grad, Split::kRows, "rrar", 2,
     "activation masked reverse"},
};

}  // namespace

extern const KernelFamily kFamily_recurrent;
const KernelFamily kFamily_recurrent = {"recurrent", kEntries,
                                        sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
