# make            builds twofold in .venv, ready to run as .venv/bin/twofold
# make demo       a backup, a change, a restore, with every command shown
# make test       everything that has to hold before a change goes in
# make documents  the manual page and the completions for shells, after a change of options (`make man` is the same)
# make bench      how fast it is, beside its peers, into docs/benchmarks
# On a fresh Debian these install what they need (as root or through sudo); elsewhere they say what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:

STAMPS := .build
VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
PIP := $(PYTHON_IN_VENV) -m pip --disable-pip-version-check --quiet
DUPLICITY_VERSION := 3.2.1
DUPLICITY := $(STAMPS)/duplicity-$(DUPLICITY_VERSION)
SERVERS := $(STAMPS)/servers
KERNEL_SOURCES := native/Cargo.toml native/Cargo.lock $(wildcard native/*.rs native/src/*.rs native/src/*/*.rs native/.cargo/*)
TEST_WORKERS ?= 2
TEST_SECONDS ?= 1500
TEST_OPTIONS ?=
BENCH_OPTIONS ?=
FUZZ_SECONDS ?= 600

.PHONY: all build demo test lint documents man reliability fuzz bench duplicity servers clean

all: build

build: $(STAMPS)/kernel.stamp

demo: build
	TWOFOLD="$${TWOFOLD:-$(CURDIR)/$(VENV)/bin/twofold}" demo/demo.sh

test: build lint duplicity servers
	PATH="$$(scripts/find_cargo.sh):$$PATH" TWOFOLD_TEST_DUPLICITY="$(CURDIR)/$(DUPLICITY)/bin/duplicity" \
	    TWOFOLD_TEST_SERVERS="$(CURDIR)/$(SERVERS)/bin" timeout --foreground --kill-after=30 $(TEST_SECONDS) \
	    $(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist worksteal --durations=15 --durations-min=1 $(TEST_OPTIONS)

lint: build
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	export PATH="$$(scripts/find_cargo.sh):$$PATH"
	if cargo clippy --version >/dev/null 2>&1; then
	    cargo clippy --quiet --locked --manifest-path native/Cargo.toml -- --deny warnings
	else
	    echo "cargo clippy is not installed: the kernel was not linted"
	fi

reliability: build duplicity servers
	TWOFOLD_TEST_DUPLICITY="$(CURDIR)/$(DUPLICITY)/bin/duplicity" TWOFOLD_TEST_SERVERS="$(CURDIR)/$(SERVERS)/bin" \
	    $(PYTHON_IN_VENV) -m tests.reliability

# New inputs for every parser, FUZZ_SECONDS each; those kept in tests/fuzz/corpus are replayed by `make test`.
fuzz: build
	$(PIP) install 'atheris>=3.0'
	$(PYTHON_IN_VENV) -m tests.fuzz --seconds $(FUZZ_SECONDS) --jobs $(TEST_WORKERS)
	scripts/fuzz_kernel.sh $(PYTHON_IN_VENV) $(FUZZ_SECONDS)

documents man: build
	$(PYTHON_IN_VENV) scripts/write_documents.py

# Beside duplicity, restic, borg and tar: about an hour, most of it the peers'.
# BENCH_OPTIONS='compare --scale 0.02' is a trial of a few minutes, BENCH_OPTIONS=storage sets the drivers beside others.
bench: build duplicity
	scripts/install_peers.sh $(STAMPS)/borg-1.4
	TWOFOLD_TEST_DUPLICITY="$${TWOFOLD_TEST_DUPLICITY:-$(CURDIR)/$(DUPLICITY)/bin/duplicity}" \
	    $(PYTHON_IN_VENV) -m bench $(BENCH_OPTIONS)

duplicity: $(DUPLICITY)/complete.stamp

servers: $(SERVERS)/complete.stamp

clean:
	rm -rf $(STAMPS) $(VENV) build dist native/target src/*.egg-info src/twofold/_native*.so

$(STAMPS)/packages.stamp: scripts/install_packages.sh
	scripts/install_packages.sh
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/venv.stamp: pyproject.toml setup.py $(STAMPS)/packages.stamp
	[ -x $(PYTHON_IN_VENV) ] || "$$(scripts/find_python.sh)" -m venv $(VENV)
	$(PIP) install 'setuptools>=77' 'setuptools-rust>=1.10' 'wheel>=0.45'
	PATH="$$(scripts/find_cargo.sh):$$PATH" $(PIP) install --no-build-isolation --editable '.[dev]'
	touch $@

$(STAMPS)/kernel.stamp: $(STAMPS)/venv.stamp $(KERNEL_SOURCES)
	scripts/build_kernel.sh $(PYTHON_IN_VENV)
	touch $@

# The reference that archives are exchanged with, in an environment of its own: nothing of it is imported.
$(DUPLICITY)/complete.stamp: Makefile $(STAMPS)/packages.stamp
	"$$(scripts/find_python.sh)" -m venv --clear $(DUPLICITY)
	$(DUPLICITY)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps duplicity==$(DUPLICITY_VERSION) fasteners
	# Its ways to Azure, S3, SFTP and Swift, and to programs that it drives like a person.
	$(DUPLICITY)/bin/python -m pip --disable-pip-version-check --quiet install 'azure-storage-blob>=12.24' 'boto3>=1.36' \
	    'paramiko>=3.5' 'pexpect>=4.9' 'python-keystoneclient>=5.0' 'python-swiftclient>=4.2'
	$(DUPLICITY)/bin/duplicity --version
	touch $@

# What storage drivers are tested against; nothing of it is imported.
$(SERVERS)/complete.stamp: scripts/install_servers.sh scripts/apt_install.sh $(STAMPS)/packages.stamp
	scripts/install_servers.sh $(SERVERS)
	touch $@
