#!/usr/bin/env bash
# Builds, tests and measures on a machine with an NVIDIA GPU. It needs nvcc, CMake, a
# C++20 compiler and Python with the packages of [build-system], but no network: packages
# that are missing are installed from wheels in .whl (cython-cmake, say):
#   pip download --no-deps -d .whl cython-cmake
# Results go to $OUT (else out/gpu). The exit status is 1 where the build, a test or the
# benchmark failed; the benchmark runs after failing tests too.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OUT="${OUT:-$PWD/out/gpu}" PYTHON="${PYTHON:-python3}"
mkdir -p "$OUT"
site=$(mktemp -d)
if compgen -G ".whl/*.whl" > /dev/null; then
  "$PYTHON" -m pip install -q --no-index --no-deps --target "$site" .whl/*.whl || exit 1
fi
export PYTHONPATH="$PWD:$PWD/tests:$site"
JOBS=$(nproc) tools/dev_build.sh build/gpu > "$OUT/build.log" 2>&1 \
  || { tail -30 "$OUT/build.log"; exit 1; }
failed=0
timeout "${TEST_SECONDS:-200}" "$PYTHON" -m pytest -q -p no:cacheprovider -W ignore \
  -m gpu tests/gpu 2>&1 | tee "$OUT/tests.log" | tail -40 \
  || failed=1
timeout "${BENCH_SECONDS:-330}" "$PYTHON" -m benchmarks.gpu \
  --seconds "$((${BENCH_SECONDS:-330} - 20))" 2>&1 | tee "$OUT/bench.log" | tail -40 \
  || failed=1
exit "$failed"
