# Every target makes .venv and installs what it needs (see scripts/bootstrap.sh).
.PHONY: help demo test bench bench-gpu lint format figures docs clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: ## sample CT -> screws and rods -> simulated scan -> correction -> build/demo/report.html
	@scripts/bootstrap.sh demo
	.venv/bin/spinemar demo -o build/demo

test: ## ruff, mypy and every test
	@scripts/bootstrap.sh test
	@scripts/test.sh

bench: ## speed and memory, also against scikit-image and ASTRA -> build/*.json
	@scripts/bootstrap.sh bench
	@set -e; for bench in Testing/benchmarks/bench_*.py; do .venv/bin/python $$bench; done

bench-gpu: ## the same on an NVIDIA GPU, where there is one
	@scripts/bootstrap.sh bench
	.venv/bin/python Testing/benchmarks/gpu.py

lint: ## ruff and mypy alone
	@scripts/bootstrap.sh lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: ## let ruff format and fix the code
	@scripts/bootstrap.sh lint
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

figures: ## draw the pictures of README and docs again
	@scripts/bootstrap.sh figures
	.venv/bin/python scripts/make_figures.py
	.venv/bin/python scripts/make_plan_figures.py
	.venv/bin/python scripts/make_gallery.py

docs: ## build the documentation into site/
	@scripts/bootstrap.sh docs
	.venv/bin/mkdocs build --strict

clean: ## remove what the targets made
	rm -rf build site .venv
