// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernel_test.hpp"
#include "kernels/random_permutation.hpp"
#include "shared/philox.h"

using namespace kernel_test;

namespace {

using fastnn::portable::philox;

struct Moments {
  double mean, variance, low, high;
};
template <class T>
Moments moments(const Array<T>& x) {
  double sum = 0, squares = 0, low = HUGE_VAL, high = -HUGE_VAL;
  for (const T v : x.data) {
    sum += double(v), squares += double(v) * double(v);
    low = std::fmin(low, double(v)), high = std::fmax(high, double(v));
  }
  const double mean = sum / double(x.size());
  return {mean, squares / double(x.size()) - mean * mean, low, high};
}

const Array<int64_t> kState({2}, {0x1234567890abcdef, 77});

// Element e of a long array equals element e of a short one, for each part of it.
template <class T>
void check_prefix(const std::string& name, const Attrs& attrs) {
  Array<T> all({1000}), first({77}), matrix({77, 13});
  run(name, {kState.view}, {all.view}, attrs);
  run(name, {kState.view}, {first.view}, attrs);
  run(name, {kState.view}, {matrix.view}, attrs, 5);
  for (int64_t i = 0; i < 77; ++i)
    REQUIRE(first[i] == all[i]);
  for (int64_t i = 0; i < 1000; ++i)
    REQUIRE(matrix[i] == all[i]);
  require_same_for_all_parts(name, {kState.view}, {matrix.view}, attrs);
}

// Kolmogorov's statistic against a cumulative distribution, times sqrt(n).
template <class T, class F>
double kolmogorov(Array<T> x, F cdf) {
  std::sort(x.data.begin(), x.data.end());
  double worst = 0;
  const double n = double(x.size());
  for (int64_t i = 0; i < x.size(); ++i) {
    worst = std::fmax(worst, std::fabs(cdf(double(x[i])) - (double(i) + 0.5) / n));
  }
  return worst * std::sqrt(n);
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

template <class T>
void check_distributions() {
  const int64_t n = 400003;
  Array<T> x({n});
  run("random_uniform", {kState.view}, {x.view}, {attr(-1.0), attr(3.0)});
  Moments m = moments(x);
  REQUIRE(m.low >= -1 && m.high < 3 && m.low < -0.9999 && m.high > 2.9999);
  const double uniform_distance = kolmogorov(x, [](double v) { return (v + 1) / 4; });
  REQUIRE_MSG(uniform_distance < 1.6, std::to_string(uniform_distance));

  run("random_normal", {kState.view}, {x.view}, {attr(0.0), attr(1.0)});
  const double normal_distance = kolmogorov(x, normal_cdf);
  REQUIRE_MSG(normal_distance < 1.6, std::to_string(normal_distance));
  double pairs = 0;
  for (int64_t i = 0; i + 1 < n; i += 2)
    pairs += double(x[i]) * double(x[i + 1]);
  REQUIRE(std::fabs(pairs / (double(n) / 2)) < 0.01);
  run("random_normal", {kState.view}, {x.view}, {attr(5.0), attr(0.5)});
  m = moments(x);
  REQUIRE(std::fabs(m.mean - 5) < 0.005 && std::fabs(m.variance - 0.25) < 0.005);

  run("truncated_normal", {kState.view}, {x.view}, {attr(0.0), attr(1.0)});
  m = moments(x);
  REQUIRE(m.low >= -2 && m.high <= 2 && m.low < -1.999 && m.high > 1.999);
  const double inside = normal_cdf(2) - normal_cdf(-2);
  const double truncated_distance = kolmogorov(
      x, [&](double v) { return (normal_cdf(v) - normal_cdf(-2)) / inside; });
  REQUIRE_MSG(truncated_distance < 1.6, std::to_string(truncated_distance));
}

template <class T>
void check_dropout() {
  const int64_t n = 100000;
  const Array<T> x = uniform<T>({n}, 1, 2);
  Array<T> y({n}), in_place({n}), shifted({n - 8});
  for (const double rate : {0.0, 0.2, 0.5, 1.0}) {
    run("dropout", {x.view, kState.view}, {y.view}, {attr(rate)});
    const double keep = 1 - std::rint(rate * 65536) / 65536;
    const T scale = static_cast<T>(keep > 0 ? 1 / keep : 0);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      kept += y[i] != 0;
      REQUIRE(y[i] == 0 || y[i] == x[i] * scale);
    }
    REQUIRE(std::fabs(double(kept) / double(n) - keep) < 0.006);
    require_same_for_all_parts("dropout", {x.view, kState.view}, {y.view},
                               {attr(rate)});
    in_place.data = x.data;
    in_place.rewind();
    run("dropout", {in_place.view, kState.view}, {in_place.view}, {attr(rate)}, 3);
    REQUIRE(in_place.data == y.data);
  }
  // The draws stand in the words of the stream as philox.h says.
  run("dropout", {x.view, kState.view}, {y.view}, {attr(0.5)});
  for (int64_t e = 0; e < 999; ++e) {
    const auto block = philox<uint32_t>(static_cast<uint32_t>(e / 8), 0,
                                        static_cast<uint64_t>(kState[1]),
                                        static_cast<uint64_t>(kState[0]));
    const uint32_t half = block.w[e % 8 / 2] >> (e % 2 * 16) & 0xffff;
    REQUIRE((y[e] != 0) == (half >= 32768));
  }
}

}  // namespace

TEST("random: Philox4x32-10 known answers") {
  // Random123's kat_vectors: zeros, ones, digits of pi.
  struct Case {
    uint64_t block, step, key;
    uint32_t want[4];
  };
  const Case cases[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x85a308d3243f6a88,
       0x0370734413198a2e,
       0x299f31d0a4093822,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Case& c : cases) {
    const auto got =
        philox<uint32_t>(static_cast<uint32_t>(c.block),
                         static_cast<uint32_t>(c.block >> 32), c.step, c.key);
    for (int i = 0; i < 4; ++i)
      REQUIRE(got.w[i] == c.want[i]);
  }
}

TEST("random: the kernels read the stream as defined") {
  Array<float> f({500});
  Array<double> d({500});
  run("random_uniform", {kState.view}, {f.view}, {attr(0.0), attr(1.0)});
  run("random_uniform", {kState.view}, {d.view}, {attr(0.0), attr(1.0)});
  const uint64_t seed = static_cast<uint64_t>(kState[0]), step = 77;
  for (int64_t e = 0; e < 500; ++e) {
    const auto a = philox<uint32_t>(static_cast<uint32_t>(e / 4), 0, step, seed);
    REQUIRE(f[e] == static_cast<float>(a.w[e % 4] >> 8) * 0x1p-24f);
    const auto b = philox<uint32_t>(static_cast<uint32_t>(e / 2), 0, step, seed);
    const uint64_t low = b.w[2 * (e % 2)], high = b.w[2 * (e % 2) + 1];
    REQUIRE(d[e] == static_cast<double>((low | high << 32) >> 11) * 0x1p-53);
  }
}

TEST("random: elements do not depend on shape or number of parts") {
  for (const char* name : {"random_uniform", "random_normal", "truncated_normal"}) {
    check_prefix<float>(name, {attr(0.25), attr(2.0)});
    check_prefix<double>(name, {attr(0.25), attr(2.0)});
  }
}

TEST("random: distributions, float32") { check_distributions<float>(); }
TEST("random: distributions, float64") { check_distributions<double>(); }
TEST("random: dropout, float32") { check_dropout<float>(); }
TEST("random: dropout, float64") { check_dropout<double>(); }

TEST("random: dropout of strided input, a dropped NaN is 0") {
  const Array<float> x = uniform<float>({37, 70}, 1, 2);
  Array<float> turned({70, 37}), y({37, 70}), z({37, 70}), nan({64}, NAN), w({64});
  for (int64_t i = 0; i < x.size(); ++i)
    turned[i % 70 * 37 + i / 70] = x[i];
  run("dropout", {x.view, kState.view}, {y.view}, {attr(0.3)});
  run("dropout", {transposed(turned.view), kState.view}, {z.view}, {attr(0.3)}, 3);
  REQUIRE(y.data == z.data);
  run("dropout", {nan.view, kState.view}, {w.view}, {attr(1.0)});
  for (const float v : w.data)
    REQUIRE(v == 0);
}

TEST("random: permutations are permutations, and differ") {
  std::vector<int64_t> a(1000), b(1000), c(1000), sorted;
  fastnn::random_permutation(5, 1, 1000, a.data());
  fastnn::random_permutation(5, 1, 1000, b.data());
  fastnn::random_permutation(5, 2, 1000, c.data());
  REQUIRE(a == b);
  REQUIRE(a != c);
  sorted = a;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 1000; ++i)
    REQUIRE(sorted[size_t(i)] == i);
  fastnn::random_permutation(5, 1, 0, nullptr);
  // All 6 orders of 3 are about equally frequent.
  int counts[9] = {};
  for (uint64_t stream = 0; stream < 6000; ++stream) {
    int64_t p[3];
    fastnn::random_permutation(1, stream, 3, p);
    ++counts[p[0] * 3 + p[1]];
  }
  for (const int i : {1, 2, 3, 5, 6, 7})
    REQUIRE(counts[i] > 850 && counts[i] < 1150);
}
