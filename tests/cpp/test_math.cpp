// SPDX-License-Identifier: Apache-2.0
// The error bounds written in csrc/shared/math.h, against long double libm.
#include <cstdlib>
#include <limits>

#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

using Exact = long double (*)(long double);

// Error in units of the last place of the float nearest to the exact value.
double ulp_error(float got, long double exact) {
  const float nearest = static_cast<float>(exact);
  if (std::isnan(nearest)) return std::isnan(got) ? 0 : HUGE_VAL;
  if (got == nearest) return 0;
  if (std::isinf(nearest) || std::isinf(got)) {
    // One step across the largest finite float is allowed, as for any neighbour.
    return std::nextafterf(got, nearest) == nearest ? 1 : HUGE_VAL;
  }
  const float magnitude = std::fabs(nearest);
  const float ulp = std::nextafterf(magnitude, HUGE_VALF) - magnitude;
  return static_cast<double>(fabsl(static_cast<long double>(got) - exact) / ulp);
}

float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// A million floats spread over all bit patterns (denormals, infinities and NaN among
// them), half a million in the given range, and the special values.
std::vector<float> sample(float low, float high) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4001) {
    x.push_back(from_bits(static_cast<uint32_t>(bits)));
  }
  const int dense = 500000;
  for (int i = 0; i <= dense; ++i)
    x.push_back(low + (high - low) * (float(i) / dense));
  for (const float special : {0.0f, -0.0f, 1.0f, -1.0f, HUGE_VALF, -HUGE_VALF, NAN,
                              from_bits(1), -from_bits(1), from_bits(0x7fffff),
                              1.17549435e-38f, 3.40282347e38f, -3.40282347e38f}) {
    x.push_back(special);
  }
  return x;
}

void check_ulp(const char* name, Exact exact, double bound, float low, float high) {
  const std::vector<float> x = sample(low, high);
  const int64_t n = static_cast<int64_t>(x.size());
  REQUIRE(n > 1000000);
  Array<float> in({n}, x), out({n});
  run(name, {in.view}, {out.view}, {attr(0)});
  double worst = 0;
  float where = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double error = ulp_error(out[i], exact(x[static_cast<size_t>(i)]));
    if (error > worst) worst = error, where = x[static_cast<size_t>(i)];
  }
  char text[120];
  std::snprintf(text, sizeof text, "%s: %.3f ULP at %.9g", name, worst, where);
  if (std::getenv("SHOW_ULP")) std::printf("%s %s\n", fastnn::active_isa(), text);
  REQUIRE_MSG(worst <= bound, text);
}

long double exact_sigmoid(long double x) {
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}
long double exact_softplus(long double x) {
  return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}
long double exact_rsqrt(long double x) { return 1 / sqrtl(x); }
long double exact_rint(long double x) { return rintl(x); }

}  // namespace

TEST("exp within 2 ULP") { check_ulp("exp", expl, 2, -104, 89); }
TEST("expm1 within 2 ULP") { check_ulp("expm1", expm1l, 2, -2, 2); }
TEST("log within 2 ULP") { check_ulp("log", logl, 2, 0, 4); }
TEST("log1p within 2 ULP") { check_ulp("log1p", log1pl, 2, -1, 3); }
TEST("tanh within 3 ULP") { check_ulp("tanh", tanhl, 3, -10, 10); }
TEST("sigmoid within 3 ULP") { check_ulp("sigmoid", exact_sigmoid, 3, -104, 20); }
TEST("softplus within 2 ULP") { check_ulp("softplus", exact_softplus, 2, -104, 20); }
TEST("erf within 2 ULP") { check_ulp("erf", erfl, 2, -4, 4); }
TEST("sqrt is correctly rounded") { check_ulp("sqrt", sqrtl, 0.5001, 0, 4); }
TEST("rsqrt within 2 ULP") { check_ulp("rsqrt", exact_rsqrt, 2, 0, 4); }
TEST("floor is exact") { check_ulp("floor", floorl, 0, -9, 9); }
TEST("ceil is exact") { check_ulp("ceil", ceill, 0, -9, 9); }
TEST("round is exact, halves to even") { check_ulp("round", exact_rint, 0, -9, 9); }

TEST("float64 functions are libm's") {
  const Array<double> x = uniform<double>({1003}, -3, 3);
  Array<double> y({1003});
  const std::pair<const char*, double (*)(double)> functions[] = {
      {"exp", std::exp},    {"expm1", std::expm1}, {"tanh", std::tanh},
      {"erf", std::erf},    {"log1p", std::log1p}, {"log", std::log},
      {"sin", std::sin},    {"cos", std::cos},     {"sqrt", std::sqrt},
      {"floor", std::floor}};
  for (const auto& [name, exact] : functions) {
    run(name, {x.view}, {y.view});
    for (int64_t i = 0; i < x.size(); ++i) {
      REQUIRE_MSG(close(y[i], exact(x[i]), 0),
                  std::string(name) + show(y[i], exact(x[i])));
    }
  }
}
