// SPDX-License-Identifier: Apache-2.0
// The whole C++ test framework: TEST("name") { REQUIRE(...); } and main.cpp, which
// runs every test whose name contains the command line argument.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*fn)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registration {
  Registration(const char* name, void (*fn)()) { tests().push_back({name, fn}); }
};

[[noreturn]] inline void fail_at(const char* file, int line, const std::string& what) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " +
                           what);
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)
#define TEST_(name, id)                                           \
  static void CHECK_JOIN(test_, id)();                            \
  static const check::Registration CHECK_JOIN(registration_, id)( \
      name, CHECK_JOIN(test_, id));                               \
  static void CHECK_JOIN(test_, id)()
#define TEST(name) TEST_(name, __COUNTER__)

#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) check::fail_at(__FILE__, __LINE__, #condition); \
  } while (0)

// With a std::string that shows the values: REQUIRE_MSG(a == b, std::to_string(a)).
#define REQUIRE_MSG(condition, message)                                               \
  do {                                                                                \
    if (!(condition))                                                                 \
      check::fail_at(__FILE__, __LINE__, std::string(#condition " -- ") + (message)); \
  } while (0)

// The statement throws an exception whose message contains `text`.
#define REQUIRE_THROWS(statement, text)                                    \
  do {                                                                     \
    std::string caught_ = "(nothing thrown)";                              \
    try {                                                                  \
      statement;                                                           \
    } catch (const std::exception& e) {                                    \
      caught_ = e.what();                                                  \
    }                                                                      \
    if (caught_.find(text) == std::string::npos)                           \
      check::fail_at(__FILE__, __LINE__, #statement " threw: " + caught_); \
  } while (0)
