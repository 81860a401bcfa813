# make demo   plays a year of Kerteminde on the embedded database and broker
# make test   runs every test
# `make help` lists the rest. Everything that is needed is made first, in .venv and .kafka.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
CASES ?= 300
SEED ?= 1
PORT ?= 8440
DATA ?= .samspil
BROKER ?= embedded
WORKERS ?= 3
FAULTS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help demo tour up unit test campaigns check format faults bench screens publish lock images secrets clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## play a year of Kerteminde (CASES=300 SEED=1; ARGS=--keep leaves it running)
	$(BIN)/python -m demo --cases $(CASES) --seed $(SEED) $(ARGS)

tour: $(STAMP) ## run a server with made-up people, each with something waiting for them (PORT=8440)
	$(BIN)/python -m demo.tour --port $(PORT) $(ARGS)

up: $(STAMP) ## run everything in one process (DATA=.samspil PORT=8440; ARGS="--clock virtual" lets time be moved)
	$(BIN)/samspil up --data $(DATA) --port $(PORT) $(ARGS)

unit: $(STAMP) ## run the tests that need no network and no server: under a minute
	$(BIN)/pytest -n $(WORKERS) tests/unit $(ARGS)

test: $(STAMP) ## run every test
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

check: $(STAMP) ## lint, types, import contracts, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.publish --check
	$(BIN)/python -m services.publish.openapi --check
	$(BIN)/python -m services.publish.settings --check
	$(BIN)/python -m services.publish.lifecycles --check
	$(BIN)/python -m services.publish.picture --check
	$(BIN)/python -m services.publish.translations --check
	$(BIN)/python -m services.publish.portal_texts --check
	$(BIN)/python -m services.publish.pages --check
	$(BIN)/codespell
	$(MAKE) --no-print-directory lock-check

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

campaigns: $(STAMP) ## run the long variants of tests: every fault on each broker, each benchmark once
	$(BIN)/pytest -n $(WORKERS) -m campaign $(ARGS)

faults: $(STAMP) ## inject faults into a chain of services (SEED=1 FAULTS=1000 BROKER=embedded|kafka|kafka3)
	$(BIN)/python -m tests.fault.campaign --broker $(BROKER) --seed $(SEED) --faults $(FAULTS) $(ARGS)

bench: $(STAMP) ## measure the event path against a hand-written floor (BROKER=embedded|kafka)
	$(BIN)/python -m bench --broker $(BROKER) $(ARGS)

screens: $(STAMP) ## keep a picture of every page of every role in three languages in build/screens
	SCREENS=build/screens $(BIN)/pytest tests/browser/test_pages.py $(ARGS)

publish: $(STAMP) ## write everything that is generated: schemas, AsyncAPI, OpenAPI, translations, documents
	$(BIN)/python -m contracts.publish
	$(BIN)/python -m services.publish.openapi
	$(BIN)/python -m services.publish.settings
	$(BIN)/python -m services.publish.lifecycles
	$(BIN)/python -m services.publish.picture
	$(BIN)/python -m services.publish.translations
	$(BIN)/python -m services.publish.portal_texts
	$(BIN)/python -m services.publish.pages

COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal
lock: $(STAMP) ## renew the lock files after a change of pyproject.toml
	$(COMPILE) --all-extras --python-version 3.11 pyproject.toml -o requirements.lock
	$(COMPILE) --extra deploy --python-version 3.12 --only-binary :all: -c requirements.lock pyproject.toml -o deploy/requirements.lock
	$(COMPILE) --python-version 3.12 --only-binary :all: -c requirements.lock deploy/build.in -o deploy/build.lock

.PHONY: lock-check
lock-check:
	@$(BIN)/python -m deploy.lock_check

images: $(STAMP) ## write the digests of all images into deploy/images.lock
	$(BIN)/python -m deploy.images

secrets: $(STAMP) ## write the secrets of docker-compose.yml that are missing
	$(BIN)/python -m deploy.credentials

clean: ## remove what was built, not the data
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
