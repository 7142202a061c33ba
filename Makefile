# The commands people and CI run. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The pinned tools first: Ape takes the compiler and anvil from PATH, and would try to download them otherwise.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

# Tests must not depend on the environment they are started from, nor reach past the loopback interface.
LOCAL_ONLY := env $(addprefix -u ,APE_FOUNDRY_HOST ETH_RPC_URL WEB3_PROVIDER_URI WEB3_HTTP_PROVIDER_URI \
	WEB3_ALCHEMY_API_KEY WEB3_INFURA_PROJECT_ID HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy)

.PHONY: help
help: ## list the commands
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: setup
setup: .venv/.ready node_modules/.ready ## install the locked Python and npm packages, once

PYTHON_SUITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do \
	$$python -c '$(PYTHON_SUITS)' 2>/dev/null && { echo $$python; break; }; done)

.venv/bin/python:
	@"$(PYTHON)" -c '$(PYTHON_SUITS)' 2>/dev/null || \
		{ echo "make setup: no Python 3.11 or 3.12 with venv found;" \
		"install one or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv

.venv/.ready: requirements/dev.txt pyproject.toml | .venv/bin/python
	@if command -v uv >/dev/null; then install="uv pip install -q --python .venv/bin/python"; \
		else install="python -m pip install -q --disable-pip-version-check"; fi; \
		set -x; $$install --require-hashes -r requirements/dev.txt; \
		$$install --no-deps --no-build-isolation -e .
	@touch $@

# npm carries anvil for Linux on x86-64; elsewhere --force skips that check and the reader's own anvil is used.
ANVIL_FROM_NPM := $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m))
node_modules/.ready: package.json package-lock.json .npmrc
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
		{ echo "make setup: Node.js 20 or later, with npm, is needed" >&2; exit 1; }
	@[ -n "$(ANVIL_FROM_NPM)" ] || command -v anvil >/dev/null || \
		{ echo "make setup: npm has no anvil for this platform; put anvil 1.7 on PATH and run make again" >&2; exit 1; }
	npm ci $(if $(ANVIL_FROM_NPM),,--force && rm -f node_modules/.bin/anvil)
	@touch $@

.PHONY: demo
demo: setup ## play the crash of 12 March 2020 on a local chain, and prove what happened
	@$(LOCAL_ONLY) ape run demo

.PHONY: test
test: setup ## run every test on this machine alone
	@$(LOCAL_ONLY) pytest -n 2 --dist worksteal

.PHONY: fork
fork: setup ## run the fork suite on mainnet, forked from the node at ETH_RPC_URL
	@[ -n "$${ETH_RPC_URL:-}" ] || \
		{ echo "make fork: ETH_RPC_URL is not set; give it the URL of an Ethereum mainnet node" >&2; exit 1; }
	pytest tests/fork --upstream "$$ETH_RPC_URL"

.venv-proofs/.ready: requirements/proofs.txt | .venv/bin/python
	.venv/bin/python -m venv --clear .venv-proofs
	@if command -v uv >/dev/null; then install="uv pip install -q --python .venv-proofs/bin/python"; \
		else install=".venv-proofs/bin/python -m pip install -q --disable-pip-version-check"; fi; \
		set -x; $$install --require-hashes -r requirements/proofs.txt
	@touch $@

.PHONY: prove
prove: .venv-proofs/.ready ## prove isolation, packing and the lemmas, each with its time
	@$(LOCAL_ONLY) .venv-proofs/bin/python -m verification.proofs $(if $(ONLY),--only '$(ONLY)')

STEPS ?= 200_000
.PHONY: fuzz
fuzz: setup ## hold the vault to its mirror over STEPS random calls
	@$(LOCAL_ONLY) python -m verification.fuzz --steps $(STEPS)

MUTANTS ?=
.PHONY: mutants
mutants: setup ## try the tests on contracts with a fault each: MUTANTS=--all for every fault
	@$(LOCAL_ONLY) python -m verification.mutants $(MUTANTS)

.PHONY: bench
bench: setup ## measure the gas of each operation beside the peers', into benchmarks/gas.json
	@$(LOCAL_ONLY) python -m benchmarks.gas

.PHONY: bench-keeper
bench-keeper: setup ## measure the keeper with a million positions, into benchmarks/keeper.json
	@$(LOCAL_ONLY) python -m benchmarks.keeper

.PHONY: bench-sim
bench-sim: setup ## measure the simulator beside what memory allows, into benchmarks/simulator.json
	@$(LOCAL_ONLY) python -m benchmarks.simulator

MINUTES ?= 30
SEED ?= 1
.PHONY: soak
soak: setup ## run a keeper for MINUTES on a chain where all goes wrong, drawn by SEED, into benchmarks/soak.json
	@$(LOCAL_ONLY) python -m benchmarks.keeper.soak --minutes $(MINUTES) --seed $(SEED)

.PHONY: lint lint-python lint-types lint-whitespace lint-abi lint-compiled lint-invariants
lint: lint-python lint-types lint-whitespace lint-abi lint-invariants lint-compiled lint-verification ## style, types, and that what is generated is current
lint-python: setup
	ruff check
	ruff format --check
lint-types: setup
	mypy
lint-whitespace: # every tracked line, by git's own rules
	git diff --check "$$(git hash-object -t tree /dev/null)"
lint-abi: setup
	python tools/abi.py --check
lint-compiled: setup
	python tools/compiled.py --check
lint-invariants: setup
	python tools/invariants.py --check
lint-verification: setup
	python -m tools.verification --check

.PHONY: format
format: setup ## rewrite the Python files in the house's layout
	ruff check --fix
	ruff format

.PHONY: abi
abi: setup ## write ringfence/abi/*.json from the compiler
	python tools/abi.py

.PHONY: compiled
compiled: setup ## acknowledge what the compiler makes of the contracts
	python tools/compiled.py

.PHONY: invariants
invariants: setup ## write docs/invariants.md: each invariant, and the tests that assert it
	python tools/invariants.py

.PHONY: verification
verification: setup ## write docs/verification.md from the figures in verification/
	python -m tools.verification

.PHONY: wheel
wheel: setup ## build the wheel into dist/
	python -m flit_core.wheel

.PHONY: lock
lock: ## resolve requirements/dev.txt anew (needs uv)
	uv pip compile -q pyproject.toml requirements/dev.in --all-extras -c requirements/constraints.txt \
		--universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		-o requirements/dev.txt

.PHONY: clean
clean: ## remove what runs have written; the installed packages stay
	rm -rf .build .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist out
	find . -name __pycache__ -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +
