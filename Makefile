# Every target sets up .venv by itself when it is missing or when pyproject.toml has changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export OMP_NUM_THREADS ?= 1

.PHONY: demo lab test test-all test-all-only docs smoke bench bench-faults bench-gpu bench-many bench-train bench-full-size bench-watch fuzz readme causes pages clean
demo: $(READY)          ## the whole story on real handwritten digits; ends in a report
	$(BIN)/fathometer demo

lab: $(READY)           ## the lab in the browser: turn depth, break it, mend it; Ctrl-C ends it
	$(BIN)/fathometer lab --open

test: $(READY)          ## lint, types, floors, and every fast test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal

test-all: test test-all-only   ## then what is slow, and the browser

test-all-only: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "slow or browser"

docs: $(READY)          ## the documentation as a site that opens offline; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/docs
	@echo "Open build/docs/index.html"

smoke: $(READY)         ## wheel and sdist: built, compared, installed in an environment of their own, tried
	$(BIN)/python -m benchmarks packaging

bench: $(READY)         ## benchmarks, written to benchmarks/results
	$(BIN)/python -m benchmarks

bench-faults: $(READY)  ## faults injected: what is lost, and what is survived
	$(BIN)/python -m benchmarks faults

bench-many: $(READY)    ## a grid of networks as stacks, against a loop
	$(BIN)/python -m benchmarks many many_processes

bench-train: $(READY)   ## tokens a second, against a plain loop and Hugging Face
	$(BIN)/python -m benchmarks training

bench-watch: $(READY)   ## what watching costs, and whether it warns in time
	$(BIN)/python -m benchmarks watch watch_faults

bench-full-size: $(READY)   ## networks of up to a trillion parameters whose weights are never made
	$(BIN)/python -m benchmarks full_size

bench-gpu: $(READY)     ## what holds on a GPU, in one table; goes on where it was stopped
	$(BIN)/python -m benchmarks gpu

fuzz: $(READY)          ## an hour of bad input; build/fuzz/seeds.jsonl keeps every seed and what was found
	$(BIN)/python -m benchmarks.fuzz --minutes $(or $(MINUTES),60)

readme: $(READY)        ## write the generated tables of the README, docs/wrong.md, docs/faults.md and docs/watching.md anew
	$(BIN)/python -m tests.house.readme
	$(BIN)/python -m tests.house.wrong
	$(BIN)/python -m tests.house.faults
	$(BIN)/python -m tests.house.watching

causes: $(READY)        ## write the pages of docs/causes anew, measured now
	$(BIN)/python tests/house/causes.py

pages: $(READY)         ## write what the pages and examples of the documentation print anew, run now
	$(BIN)/python -m tests.house.documents

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python %d.%d is too old: Fathometer needs 3.11 or newer. Try: make PYTHON=python3.11" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $(READY)

clean:                  ## remove the environment and what was built
	rm -rf .venv build dist
