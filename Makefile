# make setup · make hypotheses · make gpu · make plan · make test · make test-plain-simd · make kills · make truths
# make calibration · make lint · make report · make docs · make organisms · make bench
# Each sets up what it needs, and puts down what that took. Nothing downloads a model or a data set.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: setup hypotheses gpu plan test test-plain-simd kills truths calibration lint report docs organisms bench clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@mkdir -p $(VENV) && date +%s > $(VENV)/.begun
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@echo $$(($$(date +%s) - $$(cat $(VENV)/.begun))) > $@

# The verdict outcome is tested on every pytest since 9.0; each lies beside the others in the venv.
$(VENV)/pytests/%: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $@ "pytest==$*.*"
	@touch $@

hypotheses: $(READY)
	$(BIN)/python -m pytest hypotheses/ $(ARGS)

# On every GPU of this machine, one worker each; a run that was cut off is gone on with. Without a GPU, on the CPU.
GPUS = $(shell nvidia-smi -L 2> /dev/null | grep -c '^GPU')
gpu: $(READY)
	$(BIN)/python -m lab check
	$(BIN)/python -m pytest hypotheses/ -n $(GPUS) --lab-resume $(ARGS)

# The execution plan in one go: pre-mortems, the phases that they open, figures, tables and the paper's draft. A
# refuted claim (1) is a result; anything else that ends pytest ends the plan.
plan: $(READY)
	$(BIN)/python -m lab check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest hypotheses/plan003/pre_mortems hypotheses/plan003/phase_2a hypotheses/plan003/phase_2b \
	  hypotheses/plan003/phase_2c -n 2 $(ARGS) || [ $$? -eq 1 ]
	$(BIN)/python -m lab report

# Two workers of one thread each fill two cores.
test: $(READY) $(VENV)/pytests/9.0 $(VENV)/pytests/9.1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/ -n 2 $(ARGS)

# The same with numpy, torch and the C library held down to the instructions of any x86-64: numbers are rounded as on
# another processor, and whatever rests on their last bits fails.
test-plain-simd: $(READY) $(VENV)/pytests/9.0 $(VENV)/pytests/9.1
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.plain_simd tests/ -n 2 $(ARGS)

# Kills a suite at 50 random moments, alone and with workers, and holds what is resumed against an uninterrupted run.
kills: $(READY)
	$(BIN)/python -m pytest tests/plugin/test_resume.py -k killed --kills 50 $(ARGS)

# Measures every planted truth in the weights of all organisms and adapters; `make test` does so for one of each.
truths: $(READY)
	$(BIN)/python -m pytest tests/studies/clinic --truths $(ARGS)

# Simulates every rule 2,000 times and runs the suite under 40 seeds: about an hour on two cores; goes on after a stop.
calibration: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.calibration $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One HTML file that opens from disk: by Allure 3 where there is npm, else a page without it; it says which.
report: $(READY)
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(ALLURE); fi || true
	$(BIN)/python -m lab report html $(ARGS)

ALLURE = $(VENV)/allure/node_modules/.bin/allure
$(ALLURE): $(READY)
	npm install --silent --no-audit --no-fund --prefix $(VENV)/allure allure@3.18.0
	@touch $@

# The pages of docs/ with a reference from the docstrings, in site/; a dead link or a page nobody finds is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

organisms: $(READY)
	$(BIN)/python -m lab organisms train

# Installs each peer in an environment of its own, about 1.4 GB each; ARGS=--quick tries everything out in a minute.
bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf results site allure-results allure-report .pytest_cache .mypy_cache .ruff_cache
