# Each target makes its own virtual environment and installs what it needs.
# Another interpreter:  make demo PYTHON=python3.12
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# What pip is told to install first. For torch's CPU build (200 MB in place of several GB with CUDA):
#   make demo TORCH="torch --extra-index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch
# Test files at once: much of their time is waiting. In their own order, for the long ones, which
# have few tests, would come last.
TESTS_AT_ONCE ?= 4
# How long clients are killed.
SECONDS ?= 1800
# One thread per process: two processes with two threads each on two cores are 20 x slower.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test coverage lint docs bench validate faults soak scaling clean

demo: $(VENV)/.ready
	$(BIN)/mlobs demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest tests -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder --durations=20 -q $(COVERAGE)

# Apart from the tests, for whoever watches each line makes compiling take 1.7 times as long.
coverage: COVERAGE := --cov --cov-report=term --cov-report=xml
coverage: test

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.ready
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/html

bench: $(VENV)/.ready
	$(BIN)/python tests/long/bench.py; steps=$$?; $(BIN)/python tests/long/costs.py; costs=$$?; \
	$(BIN)/python tests/long/tables.py; exit $$((steps | costs))

validate: $(VENV)/.ready
	$(BIN)/python tests/long/validate.py; status=$$?; $(BIN)/python tests/long/validate_fields.py; fields=$$?; \
	$(BIN)/python tests/long/validate_errors.py; errors=$$?; \
	$(BIN)/python tests/long/validate_verdicts.py; verdicts=$$?; \
	$(BIN)/python tests/long/validate_infrared.py; infrared=$$?; \
	$(BIN)/python tests/long/tables.py; exit $$((status | fields | errors | verdicts | infrared))

faults: $(VENV)/.ready
	$(BIN)/python tests/long/faults.py; faults=$$?; $(BIN)/python tests/long/campaign.py; runs=$$?; \
	$(BIN)/python tests/long/time_limit.py; limit=$$?; \
	$(BIN)/python tests/long/inputs.py; inputs=$$?; \
	$(BIN)/python tests/long/tables.py; exit $$((faults | runs | limit | inputs))

soak: $(VENV)/.ready
	$(BIN)/python tests/long/soak.py $(SECONDS); status=$$?; \
	$(BIN)/python tests/long/tables.py; exit $$status

scaling: $(VENV)/.ready
	$(BIN)/python tests/long/scaling.py; status=$$?; \
	$(BIN)/python tests/long/tables.py; exit $$status

# torch first and pinned, so that what needs it finds the build that was chosen.
$(VENV)/.ready: setup.cfg .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c .ci/constraints.txt $(TORCH)
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[test,lint,docs]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info demo_output
