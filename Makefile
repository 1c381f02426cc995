# SPDX-License-Identifier: Apache-2.0
# Front door to building and checking; meson does the work. 'make help' lists what there is.
BUILD ?= build
ASAN ?= build-asan
FUZZ ?= build-fuzz
SECONDS ?= 30
SEEDS ?= 500
KILLS ?= 200
CUTS ?= 10000
PREFIX ?= /usr/local
MESON_FLAGS ?=
CLANG ?= clang-14

.DEFAULT_GOAL := build
.PHONY: help setup build asan check lint format sim storm powercut fuzz bench demo demo-clean install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-12s %s\n", $$1, $$2}'

setup: ## install what building and checking need (Debian packages, uv)
	tools/setup

build: $(BUILD)/build.ninja ## compile into build/
	ninja -C $(BUILD)

asan: $(ASAN)/build.ninja ## compile with address and undefined-behaviour sanitizers into build-asan/
	ninja -C $(ASAN)

check: setup ## install what is missing, build, lint, run all tests; the last line is the sum
	@$(MAKE) --no-print-directory build asan lint
	@tools/run-tests $(ASAN):unit,sim,fuzz,scn $(BUILD):days $(BUILD):e2e

lint: ## check includes, headers, format and words
	tools/check-includes
	tools/check-headers
	tools/check-words
	tools/format-check

format: ## rewrite C files in the house format
	tools/format-check --fix

sim: $(BUILD)/build.ninja ## play SEEDS=500 random days of the simulated platform; SIM_SEED=n replays one
	ninja -C $(BUILD) tests/sim/test_sim_stories tests/sim/test_sim_random tests/sim/test_sim_schedule
	$(BUILD)/tests/sim/test_sim_stories
	SEEDS=$(SEEDS) $(BUILD)/tests/sim/test_sim_random
	SEEDS=$(SEEDS) $(BUILD)/tests/sim/test_sim_schedule

storm: build ## kill a real server KILLS=200 times while eight clients submit, and at every failpoint (root)
	CLOUDML=$(CURDIR)/$(BUILD)/src/main/cloudml KILLS=$(KILLS) tests/e2e/cli/test_storm.py
	CLOUDML=$(CURDIR)/$(BUILD)/src/main/cloudml tests/e2e/cli/test_failpoints.py

powercut: $(BUILD)/build.ninja ## cut the power of the object store and of the metadata CUTS=10000 times
	ninja -C $(BUILD) tests/unit/blobs/test_blobs_power tests/unit/store/test_store_power
	POWER_CUTS=$$(($(CUTS) / 3 + 1)) $(BUILD)/tests/unit/blobs/test_blobs_power
	POWER_CUTS=$(CUTS) $(BUILD)/tests/unit/store/test_store_power

fuzz: $(FUZZ)/build.ninja ## fuzz every parser with libFuzzer for SECONDS=30 each
	ninja -C $(FUZZ) $$(cd $(FUZZ) && ninja -t targets all | sed -n 's|^\(tests/fuzz/fuzz_[a-z0-9_]*\): .*LINKER.*|\1|p')
	tools/fuzz $(FUZZ) $(SECONDS)

bench: build ## measure against peers and print a table
	bench/run --build $(BUILD)
	bench/control --build $(BUILD)

demo: setup ## install what is missing, build, train a model on this machine, serve it and ask it
	@$(MAKE) --no-print-directory build
	@./examples/demo.sh up

demo-clean: ## stop the demo and remove its data
	./examples/demo.sh clean

install: build ## install into PREFIX=/usr/local (DESTDIR is honoured)
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	meson install -C $(BUILD)

clean: ## remove the build folders
	rm -rf $(BUILD) $(ASAN) $(FUZZ)

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(MESON_FLAGS)

$(ASAN)/build.ninja:
	meson setup $(ASAN) -Db_sanitize=address,undefined -Db_lundef=false $(MESON_FLAGS)

$(FUZZ)/build.ninja:
	CC=$(CLANG) meson setup $(FUZZ) -Dfuzz=true -Dwerror=false -Db_lundef=false $(MESON_FLAGS)
