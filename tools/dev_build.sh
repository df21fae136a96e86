#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build the native modules and put them into fastnn/ of this working tree, so that
# `PYTHONPATH=<tree> python` runs it. Incremental; needs pybind11, cython, cython-cmake,
# cmake and ninja in the environment of $PYTHON.
#
#   tools/dev_build.sh [build folder, default build/dev] [extra cmake arguments]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/dev}
[ $# -gt 0 ] && shift
python=${PYTHON:-python3}

if [ ! -f "$build/build.ninja" ] || [ $# -gt 0 ]; then
  modules=$("$python" -c 'import cython_cmake, os
print(os.path.join(os.path.dirname(cython_cmake.__file__), "cmake"))')
  cmake -S "$root" -B "$build" -G Ninja \
    -DPython_EXECUTABLE="$(command -v "$python")" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
    -DCMAKE_MODULE_PATH="$modules" "$@"
fi
cmake --build "$build" -j "${JOBS:-2}"

# Moved, not copied over: a running process keeps the library that it has mapped.
(cd "$build/package" && find fastnn -name '*.so') | while read -r library; do
  if ! cmp -s "$build/package/$library" "$root/$library"; then
    cp "$build/package/$library" "$root/$library.new"
    mv -f "$root/$library.new" "$root/$library"
  fi
done
