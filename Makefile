# The verbs of this project. Everything they need is installed into the project's own folder: .venv,
# .venv-canaille, .venv-nanoidp, node_modules, target. Needed beforehand: Rust (rustup), Python 3 with venv, Node with npm;
# for the end-to-end tests Chromium and its driver, xmlsec1, and SimpleSAMLphp with PHP.

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
NODE_MODULES := tests/e2e/node_modules/.installed
FUZZ_SECONDS ?= 60
E2E ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: wasm
wasm: need-cargo ## the filter: target/wasm32-wasip1/release/envoy_sso.wasm
	cargo build --locked --release --lib --target wasm32-wasip1
	@wc -c $(WASM)

.PHONY: test
test: unit e2e ## every test: unit, flow and end to end

.PHONY: unit
unit: need-cargo ## unit and flow tests, natively: no Envoy, no network
	cargo test --locked

.PHONY: e2e
e2e: wasm $(VENV) $(CANAILLE) $(NANOIDP) $(NODE_MODULES) need-chromium need-saml ## end-to-end tests: real Envoy, real provider, real browser (E2E="-k login" for some)
	cd tests/e2e && ../../$(PYTHON) -m pytest $(E2E)

.PHONY: check
check: need-cargo need-python3 wasm ## formatting, clippy on both targets, docs, rooms, imports and exports, size, licences
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --target wasm32-wasip1 -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	python3 tests/check/rooms.py
	python3 tests/check/wasm.py $(WASM) tests/wasm_imports.txt tests/wasm_exports.txt $(WASM_LIMIT)
	python3 tests/check/licences.py

.PHONY: run
run: wasm $(VENV) $(NANOIDP) need-node ## the demo: Envoy, a provider with a login form, an application; prints the address
	envoy/demo/run

.PHONY: bench
bench: wasm $(VENV) ## CPU per request beside Envoy's own OAuth2 filter and a no-op filter; CPU of a login
	tests/bench/run

.PHONY: soak
soak: wasm $(VENV) ## mixed traffic at the machine's limit through outages, SOAK_MINUTES long, 10 unless told
	$(PYTHON) tests/soak/run

.PHONY: fuzz
fuzz: need-cargo ## every fuzz target for FUZZ_SECONDS each, 60 unless told (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is not installed: cargo install cargo-fuzz"; exit 1; }
	@# The code is safe Rust: what is looked for are panics, overflows and broken oracles, no memory errors.
	for target in $$(cargo fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		CARGO_TARGET_DIR=$(CURDIR)/fuzz/target RUSTC_BOOTSTRAP=1 cargo fuzz run --release --sanitizer none $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10; \
	done

.PHONY: clean
clean: ## removes what the verbs made
	rm -rf target .venv .venv-canaille .venv-nanoidp .work tests/e2e/node_modules tests/e2e/.pytest_cache envoy/demo/node_modules fuzz/target fuzz/corpus fuzz/artifacts
	find tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What the verbs stand on.

$(VENV): tests/e2e/requirements.txt | need-python3
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv (Debian: apt-get install python3-venv)."; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements.txt
	@touch $@

$(CANAILLE): tests/e2e/requirements-canaille.txt | need-python3
	python3 -m venv .venv-canaille
	.venv-canaille/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements-canaille.txt
	@touch $@

$(NANOIDP): tests/e2e/requirements-nanoidp.txt | need-python3
	python3 -m venv .venv-nanoidp
	.venv-nanoidp/bin/pip install --quiet --disable-pip-version-check -r tests/e2e/requirements-nanoidp.txt
	@touch $@

$(NODE_MODULES): tests/e2e/package.json tests/e2e/package-lock.json | need-node
	cd tests/e2e && npm ci --no-audit --no-fund
	@touch $@

.PHONY: need-cargo need-python3 need-node need-chromium need-saml
need-cargo:
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH: install Rust (https://rustup.rs); rust-toolchain.toml names the rest."; exit 1; }

need-python3:
	@command -v python3 >/dev/null || { echo "python3 is not on the PATH: Python 3.11 or newer is needed."; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 is older than 3.11."; exit 1; }

need-node:
	@command -v node >/dev/null || { echo "node is not on the PATH: Node 20 or newer is needed."; exit 1; }
	@command -v npm >/dev/null || { echo "npm is not on the PATH; it comes with Node."; exit 1; }

need-chromium:
	@[ -n "$${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { echo "Chromium is not on the PATH (Debian: apt-get install chromium chromium-driver); CHROMIUM and CHROMEDRIVER can name them."; exit 1; }
	@[ -n "$${CHROMEDRIVER:-}" ] || command -v chromedriver >/dev/null || { echo "chromedriver is not on the PATH (Debian: apt-get install chromium-driver)."; exit 1; }

need-saml:
	@command -v xmlsec1 >/dev/null || { echo "xmlsec1 is not on the PATH (Debian: apt-get install xmlsec1)."; exit 1; }
	@{ command -v php && test -d /usr/share/simplesamlphp/www; } >/dev/null || { echo "SimpleSAMLphp or PHP is missing (Debian: apt-get install --no-install-recommends simplesamlphp php-cli php-xml php-mbstring)."; exit 1; }
