# Every target makes .venv and installs what it needs (see scripts/bootstrap.sh).
# Short forms, as CI runs them: make soak RUNS=40, make fuzz MINUTES=1, make mutate MUTANTS=3, make bench BENCHES=...
RUNS ?= 200
MINUTES ?= 10
MUTANTS ?= 40
BENCHES ?= $(wildcard Testing/benchmarks/bench_*.py)
.PHONY: help demo test test-slicer-sources test-slicer-stacks follow-guides bench bench-gpu fuzz soak mutate lint format pictures docs lock sbom audit clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: ## sample CT -> screws and rods -> simulated scan -> correction -> build/demo/report.html
	@scripts/bootstrap.sh demo
	.venv/bin/spinemar demo -o build/demo --overwrite

test: ## ruff, mypy and every test
	@scripts/bootstrap.sh test
	@scripts/test.sh

test-slicer-sources: ## the modules' tests with Slicer's own files, from SLICER_SOURCE=DIR
	@SLICER_SOURCE="$(SLICER_SOURCE)" CTK_SOURCE="$(CTK_SOURCE)" scripts/test_slicer_sources.sh

test-slicer-stacks: ## the core on the packages that Slicer 5.10 and 5.12 bring
	@scripts/test_stack.sh 5.10
	@scripts/test_stack.sh 5.12

follow-guides: ## the ten-minute guides, taken literally with a new Slicer's packages -> build/guides
	@scripts/follow_guides.sh

bench: ## speed and memory, also against scikit-image and ASTRA -> build/*.json
	@scripts/bootstrap.sh bench
	@set -e; for bench in $(BENCHES); do .venv/bin/python $$bench; done

bench-gpu: ## the same on an NVIDIA GPU, where there is one
	@scripts/bootstrap.sh bench
	.venv/bin/python Testing/benchmarks/gpu.py

fuzz: ## ten minutes of hostile bytes for everything that reads a file -> build/fuzz
	@scripts/bootstrap.sh fuzz
	.venv/bin/python -m Testing.fuzz --minutes $(MINUTES)

soak: ## every method and job 200 times in one process: memory stays flat -> build/soak.json
	@scripts/bootstrap.sh bench
	.venv/bin/python Testing/benchmarks/soak.py --runs $(RUNS)

mutate: ## put faults into a copy of the core: do the tests see them? -> build/mutation
	@scripts/bootstrap.sh mutate
	.venv/bin/python -m Testing.mutation --mutants $(MUTANTS)

lint: ## ruff and mypy alone
	@scripts/bootstrap.sh lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PATH="$$PWD/.venv/bin:$$PATH" scripts/lint_imports.sh

format: ## let ruff format and fix the code
	@scripts/bootstrap.sh lint
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

pictures: ## take every picture of README and docs again, with the shipped model
	@scripts/bootstrap.sh pictures
	.venv/bin/python scripts/take_pictures.py

docs: ## build the documentation into site/
	@scripts/bootstrap.sh docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

lock: ## pin every package of the tests with its hashes -> requirements/locked.txt
	@scripts/supply.sh lock

sbom: ## bill of materials of what .venv holds (CycloneDX) -> build/sbom.json
	@scripts/supply.sh sbom

audit: ## ask the advisory database about the locked packages
	@scripts/supply.sh audit

clean: ## remove what the targets made
	rm -rf build site .venv
