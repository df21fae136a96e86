// SPDX-License-Identifier: Apache-2.0
// Arrays with strides and calls of kernels by name, as a plan makes them.
#pragma once

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "kernels/table.hpp"

namespace kernel_test {

using fastnn::DType;
using fastnn::TensorView;

inline fastnn::AttrValue attr(double f) {
  fastnn::AttrValue a;
  a.f = f;
  return a;
}
inline fastnn::AttrValue attr(int i) {
  fastnn::AttrValue a;
  a.i = i;
  return a;
}

// Owns its memory; the view may be changed to any strides inside it.
template <class T>
struct Array {
  std::vector<int64_t> shape;
  std::vector<T> data;
  TensorView view;

  Array(std::vector<int64_t> s, T fill = T()) : shape(s) {
    int64_t n = 1;
    for (const int64_t d : shape)
      n *= d;
    data.assign(static_cast<size_t>(n), fill);
    rewind();
  }
  Array(std::vector<int64_t> s, std::vector<T> values) : Array(s) {
    data = values, rewind();
  }
  Array(const Array& other) : shape(other.shape), data(other.data) { rewind(); }
  Array& operator=(const Array&) = delete;

  void rewind() {  // row-major again
    view.dtype = fastnn::dtype_of<T>();
    view.ndim = static_cast<int32_t>(shape.size());
    view.data = data.data();
    int64_t stride = 1;
    for (int d = view.ndim - 1; d >= 0; --d) {
      view.shape[d] = shape[d];
      view.stride[d] = stride;
      stride *= shape[d];
    }
  }
  T& operator[](int64_t i) { return data[static_cast<size_t>(i)]; }
  const T& operator[](int64_t i) const { return data[static_cast<size_t>(i)]; }
  int64_t size() const { return static_cast<int64_t>(data.size()); }
};

template <class T>
Array<T> uniform(std::vector<int64_t> shape, double low, double high,
                 unsigned seed = 1) {
  Array<T> a(shape);
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> draw(low, high);
  for (T& x : a.data)
    x = static_cast<T>(draw(rng));
  return a;
}

// A view with the last two dimensions exchanged.
inline TensorView transposed(TensorView v) {
  std::swap(v.shape[v.ndim - 1], v.shape[v.ndim - 2]);
  std::swap(v.stride[v.ndim - 1], v.stride[v.ndim - 2]);
  return v;
}
// Every second element of the last dimension, backwards.
inline TensorView backwards_by_two(TensorView v) {
  const int d = v.ndim - 1;
  const int64_t n = v.shape[d];
  v.data = static_cast<char*>(v.data) + (n - 1) * v.stride[d] * dtype_size(v.dtype);
  v.shape[d] = (n + 1) / 2;
  v.stride[d] *= -2;
  return v;
}
inline TensorView broadcast(TensorView v, std::vector<int64_t> shape) {
  TensorView r = v;
  r.ndim = static_cast<int32_t>(shape.size());
  const int shift = r.ndim - v.ndim;
  for (int d = 0; d < r.ndim; ++d) {
    const bool repeat = d < shift || v.shape[d - shift] != shape[d];
    r.stride[d] = repeat ? 0 : v.stride[d - shift];
    r.shape[d] = shape[d];
  }
  return r;
}

using Views = std::vector<TensorView>;
using Attrs = std::vector<fastnn::AttrValue>;

// Runs all parts one after the other.
inline void run(const std::string& name, const Views& in, const Views& out,
                const Attrs& attrs = {}, int parts = 1) {
  const fastnn::KernelEntry* entry = fastnn::find_kernel(name);
  REQUIRE_MSG(entry != nullptr, name);
  REQUIRE_MSG(std::strlen(entry->reads) == in.size(), name);
  REQUIRE_MSG(entry->n_out == static_cast<int>(out.size()), name);
  for (int i = 0; i < parts; ++i) {
    entry->fn({in.data(), out.data(), attrs.data(), {i, parts}});
  }
}

// Runs with 1 and 3 parts (and 7) into fresh memory and requires equal bytes.
inline void require_same_for_all_parts(const std::string& name, const Views& in,
                                       const Views& like, const Attrs& attrs = {}) {
  std::vector<std::vector<std::vector<char>>> results;
  for (const int parts : {1, 3, 7}) {
    std::vector<std::vector<char>> memory;
    Views out = like;
    for (TensorView& v : out) {
      memory.emplace_back(v.numel() * dtype_size(v.dtype), char(0x5a));
    }
    for (size_t k = 0; k < out.size(); ++k)
      out[k].data = memory[k].data();
    run(name, in, out, attrs, parts);
    results.push_back(memory);
  }
  REQUIRE_MSG(results[0] == results[1], name + " differs between 1 and 3 parts");
  REQUIRE_MSG(results[0] == results[2], name + " differs between 1 and 7 parts");
}

inline std::string show(double got, double want) {
  char text[80];
  std::snprintf(text, sizeof text, "got %.9g, expected %.9g", got, want);
  return text;
}

template <class T>
bool close(T got, double want, double rtol, double atol = 0) {
  if (std::isnan(want)) return std::isnan(static_cast<double>(got));
  if (static_cast<double>(got) == want) return true;
  return std::fabs(static_cast<double>(got) - want) <= atol + rtol * std::fabs(want);
}

}  // namespace kernel_test
