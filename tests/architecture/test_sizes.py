# SPDX-License-Identifier: Apache-2.0
"""The size budget holds, and the counter behind it counts."""

from __future__ import annotations

import check_sizes

CPP = """
#define MACRO(x) \\
  if (x) {
DECLARE_ALL(MACRO)

namespace a {
// void not_me() {
template <class T, int N = (3)>
class Box : public Base<T> {
 public:
  explicit Box(T x) : x_{x} {
    use("}", '}');
  }
  auto operator()(int i) const -> T {
    auto f = [&](int k) {
      return k;
    };
    return f(i);
  }
  struct Inner { int y = 0; };
};
constexpr int kTable[] = {1, 2};
template <class T>
static void run(const T& x,
                int n = 0) noexcept {
  for (;;) {
    if (n) { break; }
  }
}
}  // namespace a
"""

CYTHON = """
cdef class Tape:
    cdef inline int push(self,
                         object x) except -1:
        if x:

            return 1
        return 0

    def backward(self): return 1

cpdef object apply(name):
    return name
"""


def test_size_budget():
    assert check_sizes.complaints() == []


def test_cpp_functions_are_counted():
    lengths = dict(check_sizes.cpp_functions(CPP))
    assert lengths == {"Box": 3, "operator()": 6, "run": 7}


def test_cython_functions_are_counted():
    lengths = dict(check_sizes.cython_functions(CYTHON))
    assert lengths == {"push": 6, "backward": 1, "apply": 2}


def test_python_functions_are_counted():
    text = "@decorated(\n  1)\ndef f():\n    def g():\n        return 1\n    return g\n"
    assert dict(check_sizes.python_functions(text)) == {"f": 6, "g": 2}


def test_breaches_and_stale_exceptions_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(check_sizes, "ROOT", tmp_path)
    for folder in ("tools", "fastnn"):
        (tmp_path / folder).mkdir()
    (tmp_path / "fastnn" / "long.py").write_text("x = 1\n" * 510)
    (tmp_path / "fastnn" / "short.py").write_text("x = 1\n")
    body = "    x = 1\n" * 70
    (tmp_path / "fastnn" / "f.py").write_text(f"def f():\n{body}")
    allowlist = tmp_path / "tools" / "size_allowlist.txt"
    allowlist.write_text("# none\n")
    assert check_sizes.complaints() == [
        "fastnn/f.py::f: 71 lines, at most 60",
        "fastnn/long.py: 510 lines, at most 500",
    ]
    allowlist.write_text(
        "fastnn/f.py::f 71 why\nfastnn/long.py 520 why\nfastnn/short.py 501 why\n"
    )
    assert check_sizes.complaints() == [
        "tools/size_allowlist.txt: fastnn/long.py has 510 lines now, lower its 520",
        "tools/size_allowlist.txt: fastnn/short.py needs no exception now",
    ]
