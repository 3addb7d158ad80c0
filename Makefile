# `make demo` and `make test` work on a fresh machine. See README.md.
SHELL := /bin/bash
FLIGHT ?=
CAMERA ?=
TESTS ?= test
JOBS ?= 2
AMOUNT ?=
OPTIONS ?=
export PYTHON ?= python3

# JOBS processes share the tests, file by file in their order; the long files of test/system come before many short ones.
SHARED = --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder

.PHONY: all setup test test-fast demo docs lint soak overload chaos fuzz races clean

all: setup

setup:
	@scripts/setup.sh run

test:
	@scripts/setup.sh test
	@source setup.bash && pytest $(SHARED) --durations=15 $(TESTS)

# Tests that start no processes and take at most seconds: under 5 minutes on two cores.
test-fast:
	@scripts/setup.sh test
	@source setup.bash && pytest $(SHARED) --durations=15 -m "not system and not slow" $(TESTS)

demo: setup
	@source setup.bash && yolc demo $(if $(FLIGHT),"$(FLIGHT)") $(if $(CAMERA),--camera "$(CAMERA)")

# Figures of reliability (docs/reliability.md): minutes by default; AMOUNT=100000 for more, OPTIONS="--json F" and so on.
soak overload chaos fuzz races: setup
	@source setup.bash && yolc reliability $@ $(if $(AMOUNT),--amount $(AMOUNT)) $(OPTIONS)

docs:
	@scripts/setup.sh docs
	@.venv/bin/mkdocs build --strict && echo "open site/index.html"

lint:
	@scripts/setup.sh lint
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

clean:
	rm -rf .venv build install log site demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
