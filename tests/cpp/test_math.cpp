// SPDX-License-Identifier: Apache-2.0
// The error bounds written in csrc/shared/math.h, against long double libm.
#include <cstdlib>
#include <limits>

#include "kernel_test.hpp"
#include "math_bounds.hpp"

using namespace kernel_test;

namespace {

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

void check_ulp(const MathBound& f, float low, float high) {
  const std::vector<float> x = sample(low, high);
  std::vector<float> y(x.size());
  REQUIRE(x.size() > 1000000);
  run_unary(f, x.data(), y.data(), x.size());
  double worst = 0;
  float where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = ulp_error(y[i], f.precise(x[i]));
    if (error > worst) worst = error, where = x[i];
  }
  char text[120];
  std::snprintf(text, sizeof text, "%s: %.3f ULP at %.9g", f.name, worst,
                double(where));
  if (std::getenv("SHOW_ULP")) std::printf("%s %s\n", fastnn::active_isa(), text);
  REQUIRE_MSG(worst <= f.bound, text);
}
void check_exact(const char* name, long double (*precise)(long double)) {
  check_ulp({name, 0, nullptr, precise}, -9, 9);
}

long double exact_rint(long double x) { return rintl(x); }
long double exact_trunc(long double x) { return truncl(x); }

}  // namespace

// The bounds of math_bounds.hpp on a million floats, half of them where it matters.
TEST("unary functions keep their bounds") {
  for (const MathBound& f : kMathBounds)
    check_ulp(f, -4, 4);
}
TEST("exponentials keep their bounds in the tails") {
  for (const MathBound& f : kMathBounds) {
    for (const char* name : {"exp", "sigmoid", "softplus", "silu", "sinh", "cosh"}) {
      if (std::strcmp(f.name, name) == 0) check_ulp(f, -110, 90);
    }
  }
}
TEST("floor is exact") { check_exact("floor", floorl); }
TEST("ceil is exact") { check_exact("ceil", ceill); }
TEST("trunc is exact") { check_exact("trunc", exact_trunc); }
TEST("round is exact, halves to even") { check_exact("round", exact_rint); }

// float64: against long double, over all exponents and a range of interest.
namespace {
struct DoubleBound {
  const char* name;
  long double (*precise)(long double);
  double bound, low, high;
};
const DoubleBound kDouble[] = {
    {"exp", expl, 2, -745, 710},
    {"exp2", exp2l, 2, -1074, 1024},
    {"expm1", expm1l, 2, -4, 4},
    {"log", logl, 2, 0, 4},
    {"log2", log2l, 2, 0, 4},
    {"log10", log10l, 2, 0, 4},
    {"log1p", log1pl, 2, -1, 4},
    {"tanh", tanhl, 3, -4, 4},
    {"sinh", sinhl, 3, -4, 4},
    {"cosh", coshl, 3, -4, 4},
    {"arcsinh", asinhl, 4, -4, 4},
    {"arccosh", acoshl, 4, 1, 4},
    {"arctanh", atanhl, 4, -1, 1},
    {"sin", sinl, 2, -100, 100},
    {"cos", cosl, 2, -100, 100},
    {"tan", tanl, 3, -100, 100},
    {"arcsin", asinl, 3, -1, 1},
    {"arccos", acosl, 3, -1, 1},
    {"arctan", atanl, 3, -4, 4},
    {"erf", erfl, 2, -4, 4},
    {"erfc", erfcl, 5, -3, 27},
    {"erfinv", exact::erfinv_of<long double>, 4, -1, 1},
    {"cbrt", cbrtl, 1, -4, 4},
    {"sqrt", sqrtl, 0.5001, 0, 4},
    {"sigmoid", exact::sigmoidl, 3, -745, 40},
    {"softplus", exact::softplus_of<long double>, 2, -745, 40},
    {"silu", exact::silul, 4, -745, 40},
};

double double_ulp_error(double got, long double exact) {
  const double nearest = static_cast<double>(exact);
  if (std::isnan(nearest) || std::isnan(got))
    return std::isnan(nearest) && std::isnan(got) ? 0 : HUGE_VAL;
  if (got == nearest) {
    return got != 0 || std::signbit(got) == std::signbit(nearest) ? 0 : HUGE_VAL;
  }
  if (std::isinf(nearest) || std::isinf(got))
    return std::nextafter(got, nearest) == nearest ? 1 : HUGE_VAL;
  const double magnitude = std::fabs(nearest);
  const double ulp = std::nextafter(magnitude, HUGE_VAL) - magnitude;
  return static_cast<double>(fabsl(static_cast<long double>(got) - exact) / ulp);
}

void check_double(const DoubleBound& f) {
  std::vector<double> values;
  const int64_t dense = 30000;
  for (int64_t i = 0; i <= dense; ++i)
    values.push_back(f.low + (f.high - f.low) * static_cast<double>(i) / dense);
  for (uint64_t i = 0; i < 30011; ++i) {  // an odd step over all bit patterns
    const uint64_t bits = i * 0x00022f109a3c71d7u;
    double x;
    std::memcpy(&x, &bits, sizeof x);
    values.push_back(x);
  }
  for (const double x : {0.0, -0.0, 1.0, -1.0, HUGE_VAL, -HUGE_VAL, 5e-324, -5e-324,
                         2.2250738585072014e-308, 1.7976931348623157e308, 1e-310})
    values.push_back(x);
  const Array<double> x({static_cast<int64_t>(values.size())}, values);
  Array<double> y({x.size()});
  run(f.name, {x.view}, {y.view}, {attr(0)});
  double worst = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double error = double_ulp_error(y[i], f.precise(x[i]));
    char text[120];
    std::snprintf(text, sizeof text, "%s(%.17g) = %.17g: %.3f ULP", f.name, x[i], y[i],
                  error);
    REQUIRE_MSG(error <= f.bound, text);
    worst = error > worst ? error : worst;
  }
  if (std::getenv("SHOW_ULP"))
    std::printf("%s float64 %s: %.3f ULP\n", fastnn::active_isa(), f.name, worst);
}

// Two operands: every pair of these, C99's special cases among them.
const double kPairs[] = {0.0,  -0.0, 1,    -1,    HUGE_VAL, -HUGE_VAL, NAN,   0.5,
                         -0.5, 2,    -2,   3,     -3,       1e-30,     1e-9,  2.5,
                         100,  -101, 1e30, -1e30, 0.75,     1.25,      7.125, -9.0625};
template <class T>
void check_pairs(const char* name, long double (*precise)(long double, long double),
                 double bound) {
  std::vector<T> a, b;
  for (const double x : kPairs)
    for (const double y : kPairs)
      a.push_back(static_cast<T>(x)), b.push_back(static_cast<T>(y));
  const int64_t n = static_cast<int64_t>(a.size());
  Array<T> x({n}, a), y({n}, b), z({n});
  run(name, {x.view, y.view}, {z.view});
  for (int64_t i = 0; i < n; ++i) {
    const long double want = precise(x[i], y[i]);
    const double error = sizeof(T) == 4 ? ulp_error(static_cast<float>(z[i]), want)
                                        : double_ulp_error(z[i], want);
    char text[160];
    std::snprintf(text, sizeof text, "%s(%.9g, %.9g) = %.17g: %.3f ULP", name,
                  double(x[i]), double(y[i]), double(z[i]), error);
    REQUIRE_MSG(error <= bound, text);
  }
}
}  // namespace

TEST("float64 functions keep their bounds") {
  for (const DoubleBound& f : kDouble)
    check_double(f);
}
TEST("functions of two operands have C99's special cases") {
  check_pairs<float>("power", powl, 1);
  check_pairs<double>("power", powl, 1);
  check_pairs<float>("arctan2", atan2l, 4);
  check_pairs<double>("arctan2", atan2l, 4);
  check_pairs<float>("hypot", hypotl, 1);
  check_pairs<double>("hypot", hypotl, 2);
  check_pairs<float>("fmod", fmodl, 0);
}
