# Each target sets up what it needs. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKS := requirements.lock requirements-dev.lock

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test coverage bench lint format reference generate certificates lock clean controlplane cluster cluster-down e2e operators e2e-operators

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(READY): $(LOCKS) pyproject.toml scripts/find-python
	@python=$$(PYTHON='$(PYTHON)' scripts/find-python) && \
	echo "setting up $(VENV) with $$python (once, a minute at most)" >&2 && \
	{ [ -x $(BIN)/python ] || "$$python" -m venv $(VENV); } && \
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock && \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . && \
	$(BIN)/python -m compileall -q policies kubectl_ml webhook && \
	touch $@

demo: $(READY) ## see what the webhook does to the manifests of examples/
	@$(BIN)/python -m demo

test: $(READY) ## run the unit tests
	@$(BIN)/python -m pytest -n 2 --ignore=tests/e2e $(ARGS)

coverage: $(READY) ## run the engine's tests and ask how much of it they reach, branches too
	@COVERAGE_FILE=build/.coverage $(BIN)/python -m pytest -n 2 tests/policies \
		--cov=policies --cov-branch --cov-report=term:skip-covered --cov-fail-under=91

lint: $(READY) ## check style, types and import directions
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy demo
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## let ruff format the code and sort the imports
	@$(BIN)/ruff check --select I --fix
	@$(BIN)/ruff format

bench: $(READY) ## measure the webhook against an empty one
	@$(BIN)/python -m bench $(ARGS)

reference: $(READY) ## write docs/reference/ anew
	@$(BIN)/python scripts/reference.py

generate: $(READY) ## write the manifests that come from the catalogue and the schemas anew
	@mkdir -p build && $(BIN)/python scripts/catalogue_json.py >build/catalogue.json
	@mv build/catalogue.json policies/workloads/catalogue.json
	@$(BIN)/python -m webhook.registrations >build/50-webhooks.yaml
	@mv build/50-webhooks.yaml manifests/base/50-webhooks.yaml
	@$(BIN)/python -m webhook.usage_role >build/25-usage.yaml
	@mv build/25-usage.yaml manifests/base/25-usage.yaml
	@$(BIN)/python -m webhook.definitions manifests/crds
	@$(BIN)/python scripts/field_types.py >build/kubernetes.json
	@mv build/kubernetes.json kubectl_ml/celtypes/kubernetes.json

certificates: $(READY) ## make the files of manifests/components/self-signed
	@$(BIN)/python -m webhook.self_signed manifests/components/self-signed

controlplane: $(READY) ## build the API server and its friends for the e2e tests
	@$(BIN)/python -m tests.e2e.controlplane build

cluster: $(READY) ## leave a control plane running, with fake GPU nodes and the webhook
	@$(BIN)/python -m tests.e2e.controlplane up

cluster-down: $(READY) ## end it
	@$(BIN)/python -m tests.e2e.controlplane down

e2e: $(READY) ## run the tests on a real API server
	@$(BIN)/python -m pytest tests/e2e --ignore=tests/e2e/operators $(ARGS)

operators: $(READY) ## build real operators for the tests beside them
	@$(BIN)/python -m tests.e2e.operators.programs

e2e-operators: $(READY) ## run the tests beside real operators
	@$(BIN)/python -m pytest tests/e2e/operators $(ARGS)

lock: ## write the lock files anew (ARGS=--upgrade: newest versions)
	@python=$$(PYTHON='$(PYTHON)' scripts/find-python) && mkdir -p build && scripts/lock "$$python" $(ARGS)

clean: ## remove everything that was made
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
