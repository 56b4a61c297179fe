PY ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo check test coverage docs test-browser bench bench-language bench-compiler bench-circuits fuzz differential circuits realistic \
	reproduce reproduce-quick seeds trained calibrate lab clean

demo: $(STAMP)          ## the whole way once: text -> weights -> checked -> compared with a trained model
	$(BIN)/rasplab demo

check: $(STAMP)         ## lint, format and types of the whole package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --level error

# Two workers with one thread each: many small operations on two threads wait for each other. Files in the order of
# tests/conftest.py: the longest first.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

coverage: $(STAMP)      ## the tests with line coverage of rasplab/, subprocesses included; fails under 93%
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov=rasplab --cov-report=term-missing:skip-covered --cov-fail-under=93

docs: $(STAMP)          ## the site in docs/_build/html; notebooks are executed, warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

test-browser: $(STAMP)  ## JupyterLab in Chromium; says what to install where something is missing
	$(BIN)/python -m pytest -rs tests/browser

bench-language: $(STAMP)  ## how fast the language is: tables in Markdown
	$(BIN)/python experiments/speed.py

bench-compiler: $(STAMP)  ## how small compiled models are, and how fast they come
	$(BIN)/python experiments/size.py
	$(BIN)/python experiments/growth.py

bench: bench-language bench-compiler

# Programs take some 0.2 s of CPU time each: an hour for 20,000. Each part can be stopped and goes on where it was, as outcomes
# stand in out/fuzz/, by commit. JOBS=N runs N processes.
JOBS ?= 1
FUZZ = $(BIN)/python experiments/differential.py --jobs $(JOBS) --file out/fuzz/$(shell git rev-parse --short HEAD 2>/dev/null)

fuzz: differential      ## 20,000 generated and mutated texts, wrong arguments for every function, and the programs of differential
	$(BIN)/python tests/support/fuzz.py 20000 0
	$(BIN)/python tests/support/misuse.py

differential: $(STAMP)  ## 20,000 random programs, 5,000 of large integers, 5,000 graphs: interpreters, weights, certificates
	mkdir -p out/fuzz
	OMP_NUM_THREADS=1 $(FUZZ)-programs.jsonl --count 20000
	OMP_NUM_THREADS=1 $(FUZZ)-large.jsonl --count 5000 --kind "large integers"
	OMP_NUM_THREADS=1 $(FUZZ)-graphs.jsonl --count 5000 --kind graphs

circuits: $(STAMP)      ## write the true circuits of the zoo anew
	$(BIN)/python experiments/circuits.py

bench-circuits: $(STAMP)	## discovery methods on models whose circuit is known (some 15 minutes; resumable)
	$(BIN)/python experiments/discovery.py

realistic: $(STAMP)	## train the realistic models of circuits/realistic anew (some minutes)
	$(BIN)/python experiments/siit_zoo.py

reproduce: $(STAMP)     ## accuracy at the programs' sizes and below, 3 seeds (some half hour on 2 idle cores)
	$(BIN)/python experiments/reproduce.py full

reproduce-quick: $(STAMP)  ## a smaller table, in a minute or two
	$(BIN)/python experiments/reproduce.py quick

seeds: $(STAMP)         ## verdicts and atlases over three seeds of training (some 6 minutes; resumable)
	$(BIN)/python experiments/seeds.py

trained: $(STAMP)       ## train the models of circuits/trained/ that are not there (about half an hour)
	$(BIN)/python experiments/train_zoo.py

calibrate: $(STAMP)     ## the verdicts on compiled models, whose heads are known (some 5 minutes; goes on where it was stopped)
	$(BIN)/python experiments/calibrate.py

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks

# uv installs several times faster than pip; it is pointed at pip's own search places, so both take the same torch.
$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up .venv (once; needs a few GB of wheels at most, under a minute here) ..."
	$(PY) -m venv .venv
	$(BIN)/python -m pip install -q uv
	UV_FIND_LINKS="$${UV_FIND_LINKS-$$PIP_FIND_LINKS}" $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv out docs/_build docs/generated
