# Everything that a clone needs. `make` alone lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where the compiler cache lives is ccache's own business (CCACHE_DIR); it survives a fresh clone.
NATIVE_SOURCES := $(shell find csrc cmake tests/native tests/metal_standin -type f 2>/dev/null) CMakeLists.txt
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BUILD_DIR := $(CURDIR)/build/native
PYTEST_FLAGS ?=
# Our Metal standard library is Metal, mostly macros: clang-format does not know it.
CPP_FILES := $(shell find csrc tests/native tests/metal_standin -path csrc/msl/stdlib -prune -o \
               \( -name '*.cpp' -o -name '*.h' -o -name '*.c' -o -name '*.mm' \) -print 2>/dev/null)
# A dozen of the example problems, so that the demo ends in a few minutes.
DEMO_PROBLEMS ?= $(addsuffix .py,$(addprefix examples/problems/,\
                   $(addprefix level1/,gelu masked_cumsum rms_norm softmax variance) \
                   $(addprefix level2/,add_layer_norm focal_loss linear_scale_pool swiglu) \
                   $(addprefix level3/,attention gelu_mlp small_conv_net)))
DEMO_OUTPUT ?= runs

# Tests that neither keep time nor watch what the machine does: they run on two cores at once.
SIDE_BY_SIDE := $(wildcard tests/simt tests/engine tests/test_conformance.py tests/test_corpus_*.py \
                  tests/test_numerics*.py tests/test_msl_*.py tests/test_sanitizer*.py \
                  tests/test_generation_inductor.py tests/test_example_problems.py tests/test_apple_target.py)

# The tests of the intrinsics drive this program.
export METALWRIGHT_AIR_CALL := $(BUILD_DIR)/csrc/simt/metalwright_air_call
# The tests of what the Metal device does with text drive this one.
export METALWRIGHT_METAL_TEXT := $(BUILD_DIR)/csrc/metal/metalwright_metal_text
# The package that plays a Mac, and its scenarios.
export METALWRIGHT_METAL_STANDIN := $(BUILD_DIR)/metal_standin

.PHONY: help setup system demo test lint format pytest bench figures clean

help:
	@echo "make setup   install what is missing: system packages (apt), a virtual environment in $(VENV), the package"
	@echo "make demo    optimise the example problems; ends with a table and an HTML page"
	@echo "make test    everything that CI runs: lint and all tests"
	@echo "make lint    ruff, mypy, clang-format, the arrows between the parts"
	@echo "make bench   the benchmarks behind docs/performance.md"
	@echo "make figures the table of docs/performance.md, rewritten (quiet machine, minutes)"
	@echo "make format  rewrite Python and C++ files in the project's format"
	@echo "make clean   remove what was built (the compiler cache stays)"

# ---------------------------------------------------------------------------------------- set-up

setup: $(VENV)/.native

system:
	@scripts/system_packages.sh

$(VENV)/bin/python: | system
	$(PYTHON) -m venv $(VENV)

# The package's dependencies, and what builds it. Installing the package itself is the next step, so that
# a changed C++ file does not make pip look at the network.
$(VENV)/.packages: pyproject.toml constraints.txt scripts/requirements.py | $(VENV)/bin/python
	$(BIN)/python scripts/requirements.py > $(VENV)/requirements.txt
	$(PIP_INSTALL) -r $(VENV)/requirements.txt
	@touch $@

$(VENV)/.native: $(VENV)/.packages $(NATIVE_SOURCES) pyproject.toml
	SKBUILD_BUILD_DIR="$(BUILD_DIR)" SKBUILD_CMAKE_DEFINE="METALWRIGHT_BUILD_TESTS=ON" \
	  $(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

# ---------------------------------------------------------------------------------------- use

demo: setup
	$(BIN)/metalwright optimize $(DEMO_PROBLEMS) --output $(DEMO_OUTPUT)

# ---------------------------------------------------------------------------------------- checks

test: lint pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	clang-format-19 --dry-run --Werror $(CPP_FILES)
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_arrows.py

# The smoke tests alone first: if they fail, the rest would only say so at greater length.
pytest: setup
	$(BIN)/pytest --quiet -x tests/test_00_smoke.py
	$(BIN)/pytest $(PYTEST_FLAGS) --numprocesses 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/pytest $(PYTEST_FLAGS) $(addprefix --ignore=,$(SIDE_BY_SIDE))

bench: setup
	$(BIN)/pytest bench --benchmark-only --benchmark-columns=median,iqr,min,rounds --benchmark-group-by=group

# The table of docs/performance.md: goals and what was measured. Best on a machine that does nothing else.
figures: setup
	$(BIN)/python -m bench.figures

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	clang-format-19 -i $(CPP_FILES)

clean:
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find python tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
