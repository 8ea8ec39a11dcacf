# The verbs of this project. Everything they need is installed into the project's own folder: .venv,
# .venv-canaille, .venv-nanoidp, .venv-applications, .keycloak, .dex, .hydra, node_modules, target. Needed beforehand: Rust (rustup), Python 3.11 with venv, Node 20 with
# npm. tests/setup looks for all of it first; for `make test` it installs Debian packages where it may.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export CARGO_TARGET_DIR := $(CURDIR)/target
WASM := target/wasm32-wasip1/release/envoy_sso.wasm
WASM_LIMIT := 2400000
PYTHON := .venv/bin/python
VENV := .venv/.installed
CANAILLE := .venv-canaille/.installed
NANOIDP := .venv-nanoidp/.installed
SVELTEKIT := tests/e2e/applications/sveltekit
APPLICATIONS := .venv-applications/.installed tests/e2e/applications/node_modules/.installed $(SVELTEKIT)/build/.built
MUTANTS := .venv-mutants/.installed
NODE_MODULES := tests/e2e/node_modules/.installed
# Left out where Java and Maven, or Go, are missing.
KEYCLOAK := $(shell command -v java >/dev/null && command -v mvn >/dev/null && echo .keycloak/.installed)
GO_PROVIDERS := $(shell tests/setup has go && echo .dex/dex .hydra/hydra)
FUZZ_SECONDS ?= 60
E2E ?=
SHARED ?=
# Test files that run side by side; most of them wait for Envoy, a provider or a browser.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: wasm
wasm: set-up-wasm ## the filter: target/wasm32-wasip1/release/envoy_sso.wasm
	cargo build --locked --release --lib --target wasm32-wasip1
	@wc -c $(WASM)

.PHONY: test
test: set-up-test ## every test: unit, flow and end to end; says at its end what it had to leave out
	$(MAKE) unit
	$(MAKE) e2e
	@tests/setup report

.PHONY: unit
unit: set-up-wasm ## unit and flow tests, natively: no Envoy, no network
	cargo test --locked
	cargo test --locked --doc --features testing

.PHONY: e2e
e2e: wasm $(VENV) $(CANAILLE) $(NANOIDP) $(APPLICATIONS) $(NODE_MODULES) $(KEYCLOAK) $(GO_PROVIDERS) ## end-to-end tests: real Envoy, real provider, real browser (E2E="-k login" for some)
	cd tests/e2e && ../../$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile $(E2E)

.PHONY: quick
quick: set-up-check ## a minute: formatting, rooms, clippy and native tests
	cargo fmt --check
	python3 tests/check/rooms.py
	python3 tests/check/plain.py
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked

.PHONY: check
check: set-up-check wasm ## formatting, clippy on both targets, docs, rooms, plain words, imports and exports, size, licences
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --target wasm32-wasip1 -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	python3 tests/check/rooms.py
	python3 tests/check/plain.py
	python3 tests/check/wasm.py $(WASM) tests/wasm_imports.txt tests/wasm_exports.txt $(WASM_LIMIT)
	python3 tests/check/licences.py

.PHONY: run
run: set-up-run wasm $(VENV) $(NANOIDP) ## the demo: two Envoys with etcd between them, a provider with a login form, an application; prints the address
	envoy/demo/run

.PHONY: dist
dist: set-up-check ## what is published with a version, in dist/: wasm, command line, OCI layout, bill of materials, checksums
	envoy/release/dist

.PHONY: bench
bench: wasm $(VENV) ## CPU per request and login beside Envoy's own OAuth2 filter, held against tests/bench/results.json; then many accounts and users
	tests/bench/run
	tests/bench/scale

.PHONY: accounts
accounts: wasm $(VENV) ## 1,000 accounts with settings of their own: start-up, memory, a change on every Envoy (ACCOUNTS=100 for fewer)
	$(PYTHON) tests/bench/accounts

.PHONY: pictures
pictures: wasm $(VENV) $(NODE_MODULES) ## the pictures of README and docs/migration.md anew, by the tests that look at the pages
	cd tests/e2e && UPDATE_SCREENSHOTS=1 ../../$(PYTHON) -m pytest test_pages.py test_account_center_browser.py -k "way or pictures or oidc"

.PHONY: cost
cost: wasm $(VENV) ## the dearest requests of every endpoint against their budgets, in instructions and in CPU (COST=--search looks for dearer ones)
	$(PYTHON) tests/cost/count $(COST)
	$(PYTHON) tests/cost/run $(COST)
	$(PYTHON) tests/cost/others

.PHONY: shared
shared: wasm $(VENV) $(NODE_MODULES) ## two Envoys with a real etcd: ends and streams, marks, renewals, guesses, idle CPU (SHARED="ends 50" for a part)
	$(PYTHON) tests/bench/shared $(SHARED)

.PHONY: soak
soak: wasm $(VENV) ## mixed traffic over two Envoys at the machine's limit through outages, SOAK_MINUTES long, 10 unless told
	$(PYTHON) tests/soak/run

.PHONY: fuzz
fuzz: set-up-wasm ## every fuzz target for FUZZ_SECONDS each, 60 unless told (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is not installed: cargo install cargo-fuzz"; exit 1; }
	@# The code is safe Rust: what is looked for are panics, overflows and broken oracles, no memory errors.
	for target in $$(cargo fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		CARGO_TARGET_DIR=$(CURDIR)/fuzz/target RUSTC_BOOTSTRAP=1 cargo fuzz run --release --sanitizer none $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10; \
	done

.PHONY: mutants
mutants: set-up-wasm $(MUTANTS) ## every mutant of the files that decide must be killed by a test (needs cargo-mutants; MUTANTS_OF=src/access/ for some)
	@cargo mutants --version >/dev/null 2>&1 || { echo "cargo-mutants is not installed: cargo install cargo-mutants"; exit 1; }
	.venv-mutants/bin/python tests/mutants/run $(MUTANTS_OF)

.PHONY: deny
deny: set-up-wasm ## advisories, licences, bans and sources of every dependency (needs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: cargo install cargo-deny"; exit 1; }
	cargo deny --locked check

.PHONY: coverage
coverage: set-up-wasm ## which lines the native tests run (needs cargo-llvm-cov)
	@cargo llvm-cov --version >/dev/null 2>&1 || { echo "cargo-llvm-cov is not installed: cargo install cargo-llvm-cov"; exit 1; }
	cargo llvm-cov --locked --lib --summary-only

.PHONY: clean
clean: ## removes what the verbs made
	rm -rf target dist .venv .venv-mutants .venv-canaille .venv-nanoidp .venv-applications .keycloak .dex .hydra .work tests/e2e/node_modules tests/e2e/applications/node_modules $(SVELTEKIT)/node_modules $(SVELTEKIT)/build $(SVELTEKIT)/.svelte-kit tests/e2e/.pytest_cache envoy/demo/node_modules fuzz/target fuzz/corpus fuzz/artifacts
	find tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What the verbs stand on.

$(VENV): tests/e2e/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements.txt
	@touch $@

$(CANAILLE): tests/e2e/requirements-canaille.txt
	python3 -m venv .venv-canaille
	.venv-canaille/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements-canaille.txt
	@touch $@

$(NANOIDP): tests/e2e/requirements-nanoidp.txt
	python3 -m venv .venv-nanoidp
	.venv-nanoidp/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements-nanoidp.txt
	@touch $@

$(MUTANTS): tests/mutants/requirements.txt
	python3 -m venv .venv-mutants
	.venv-mutants/bin/pip install --quiet --disable-pip-version-check -r tests/mutants/requirements.txt
	@touch $@

# Applications with logins of their own: tests/e2e/applications.
.venv-applications/.installed: tests/e2e/requirements-applications.txt
	python3 -m venv .venv-applications
	.venv-applications/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements-applications.txt
	@touch $@

tests/e2e/applications/node_modules/.installed: tests/e2e/applications/package.json tests/e2e/applications/package-lock.json
	cd tests/e2e/applications && npm ci --no-audit --no-fund
	@touch $@

.keycloak/.installed: tests/e2e/keycloak/version tests/e2e/keycloak/install
	tests/e2e/keycloak/install
	@touch $@

$(SVELTEKIT)/build/.built: $(wildcard $(SVELTEKIT)/*.js*) $(shell find tests/e2e/applications/sveltekit/src -type f)
	cd $(SVELTEKIT) && npm ci --no-audit --no-fund && npm run --silent build
	@touch $@

.dex/dex: tests/e2e/dex/go.mod tests/e2e/dex/go.sum
	cd tests/e2e/dex && CGO_ENABLED=0 go build -o ../../../$@ github.com/dexidp/dex/cmd/dex
	@touch $@

.hydra/hydra: tests/e2e/hydra/go.mod tests/e2e/hydra/go.sum
	cd tests/e2e/hydra && CGO_ENABLED=1 go build -tags sqlite -o ../../../$@ github.com/ory/hydra/v2
	@touch $@

$(NODE_MODULES): tests/e2e/package.json tests/e2e/package-lock.json
	cd tests/e2e && npm ci --no-audit --no-fund
	@touch $@

.PHONY: set-up-wasm set-up-check set-up-run set-up-test
set-up-wasm set-up-check set-up-run set-up-test:
	@tests/setup $(@:set-up-%=%)
