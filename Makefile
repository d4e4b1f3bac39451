# Every target sets up what it needs: `make demo` and `make test` on a fresh clone are enough.
# ARGS are passed on: make demo ARGS='--orders 500 --json', make test ARGS='tests/enclave -x'.
# PYTHON names the interpreter to use, if the first one found between 3.11 and 3.14 will not do.

SHELL := /bin/sh
BIN := .venv/bin
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench fuzz image eif image-check sbom grpcio-vsock lock stubs clean
.PHONY: vm-test vm-parts qemu-nitro

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup: ## bring .venv up to date (every other target does this by itself)
	@python=$$(sh tools/python.sh) && "$$python" -m tools.bootstrap

demo: setup ## play orders through mock enclave, host and simulated venues
	@$(BIN)/casemate demo $(ARGS)

test: setup ## run the whole test suite
	@$(BIN)/python -m pytest $(ARGS)

check: setup ## format, lint, types, imports, locks, stubs, oldest and newest protobuf, Terraform
	@$(BIN)/python -m tools.check

format: setup ## format and fix what can be fixed by itself
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## measure latency and throughput beside the floor
	@$(BIN)/casemate bench $(ARGS)

fuzz: setup ## feed the readers of hostile bytes for a bounded time (ARGS='--seconds 600 document')
	@$(BIN)/python -m tools.fuzz $(ARGS)

image: setup ## build the enclave's image: make image ARGS='--quorum quorum.cbor [--local-base]'
	@$(BIN)/python -m tools.image $(ARGS)

eif: setup ## make an enclave image file of the image, with its PCRs: make eif ARGS='--kernel bzImage' or '--nitro-cli'
	@$(BIN)/python -m tools.image.eif $(ARGS)

image-check: setup ## build the image twice, in two places, and compare, PCR0 too (needs root, buildah and mmdebstrap)
	@$(BIN)/python -m tools.image.check

sbom: setup ## write a CycloneDX bill of materials for each deployable
	@$(BIN)/python -m tools.sbom $(ARGS)

grpcio-vsock: setup ## build a grpcio that speaks vsock, from source (up to an hour, once)
	@$(BIN)/python -m tools.image.grpcio

vm-test: setup ## boot image and host on emulated machines (ARGS='--part a'); `make vm-parts` gets what it needs
	@$(BIN)/python -m tools.vm $(ARGS)

vm-parts: setup ## fetch kernel and vsock daemon for vm-test from Debian's archive, without installing them
	@$(BIN)/python -m tools.vm.fetch

qemu-nitro: setup ## build QEMU's nitro-enclave machine (6 minutes)
	@$(BIN)/python -m tools.vm.qemu

lock: setup ## resolve the hash-locked lists anew
	@$(BIN)/python -m tools.lock

stubs: setup ## generate the Python stubs from proto/
	@$(BIN)/python -m tools.stubs

clean: ## remove what the targets made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
