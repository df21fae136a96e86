#!/usr/bin/env bash
# Tests and measures on a machine with an NVIDIA GPU, in SECONDS_LEFT (570) seconds: what
# tests/gpu says of every op and of trainings, then benchmarks.gpu, then compute-sanitizer
# on own kernels where it is installed. Nothing is fetched from a network.
#
# Without modules that this Python can import it builds them: that needs CMake, a C++20
# compiler and the packages of [build-system]; those that are missing are installed from
# wheels in .whl (pip download --no-deps -d .whl cython-cmake, say).
#
# Results go to $OUT (else out/gpu) as they come: build.log, tests.log, bench.log,
# gpu-NAME.json, memcheck.log, racecheck.log, and times.txt with the seconds of each. The
# exit status is 1 where one of them failed; the others run all the same.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OUT="${OUT:-$PWD/out/gpu}" PYTHON="${PYTHON:-python3}"
mkdir -p "$OUT"
end=$((SECONDS + ${SECONDS_LEFT:-570})) failed=0

left() { # left SPARE MOST: seconds until the end less SPARE, MOST at most
  local s=$((end - SECONDS - $1))
  echo $((s > $2 ? $2 : s > 1 ? s : 1))
}

part() { # part NAME SECONDS COMMAND...
  local name=$1 seconds=$2 start=$SECONDS status
  shift 2
  timeout --kill-after=5 "$seconds" "$@" > "$OUT/$name.log" 2>&1
  status=$?
  tail -25 "$OUT/$name.log"
  echo "$name: status $status, $((SECONDS - start)) s of $seconds" | tee -a "$OUT/times.txt"
  [ "$status" = 0 ] || failed=1
  return "$status"
}

site=$(mktemp -d)
if compgen -G ".whl/*.whl" > /dev/null; then
  "$PYTHON" -m pip install -q --no-index --no-deps --target "$site" .whl/*.whl || exit 1
fi
export PYTHONPATH="$PWD:$PWD/tests:$site"
nvidia-smi > "$OUT/nvidia-smi.txt" 2>&1
if ! "$PYTHON" -c "import fastnn; fastnn.ops.add(1, 1)" 2> /dev/null; then
  JOBS=$(nproc) part build "$(left 300 240)" tools/dev_build.sh build/gpu || exit 1
fi
part tests "$(left 330 170)" "$PYTHON" -m pytest -q -p no:cacheprovider -W ignore \
  -m gpu tests/gpu
seconds=$(left 70 380)
part bench "$((seconds + 10))" "$PYTHON" -m benchmarks.gpu --seconds "$seconds"
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    part "$tool" "$(left 2 35)" "$sanitizer" --tool "$tool" --error-exitcode 9 \
      "$PYTHON" -m pytest -q -x -p no:cacheprovider -W ignore -m gpu \
      tests/gpu/test_parity.py -k "(softmax or layer_norm or conv or sum) and float32"
  done
else
  echo "compute-sanitizer: not installed" | tee -a "$OUT/times.txt"
fi
exit "$failed"
