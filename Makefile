# make run            everything from a bare machine to sound: installs what is
#                     missing, builds, airs the sample course (FOR=60s ends it)
# make test           everything that must hold: format, vet, lint, unit, race, end to end
#                     (PKG=./player: the part that one works on)
# make test-busy      the same beside two busy loops for each processor (TIMES=3)
# make cross          the program for arm64 and armhf; make cross-test: its unit tests there
# make chaos N=200    kills the controller at random instants and reconciles what was
#                     due, logged and heard (SEED= repeats the choices of a run)
# make model N=1000   the player airs three days of programmes made at random, and its log
#                     is held against the rules of the schedule
# make faults         bad weather between a county and its villages, for 10 minutes
#                     (WEATHER=1h longer, SEED= repeats the choices of a run)
# make e2e-cluster    the move to three brokers and PostgreSQL under 200 live controllers
# make bench          how fast, how late and how much, beside a peer in the same run
# make build | check | lint | fmt | fuzz | clean | help

SHELL        := /bin/bash
BUILD        := build
BIN          := $(BUILD)/dalaba
ROOMS        := alert cmd controller county data devices ingest link player playlist tools web
GO           ?= go
# One set of flags, so that what ships, is vetted and is tested compiles once.
export GOFLAGS += -trimpath
# What computes samples shares nothing between goroutines, and takes most of the time.
UNWATCHED    := -gcflags='github.com/hajimehoshi/go-mp3/...=-race=false' \
                -gcflags='github.com/faiface/beep/...=-race=false' -gcflags='math=-race=false -d=checkptr=0'
FUZZTIME     ?= 30s
FOR          ?= 0
N            ?= 200
SEED         ?=
WEATHER      ?= 10m
PKG          ?=
TIMES        ?= 1
VERSION      := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What the program and its tests need beside Go, by the file that proves it.
NEED_RUN     := gcc:/usr/bin/gcc libasound2-dev:/usr/include/alsa/asoundlib.h \
                ffmpeg:/usr/bin/ffmpeg espeak-ng:/usr/bin/espeak-ng
NEED_TEST    := $(NEED_RUN) sox:/usr/bin/sox lame:/usr/bin/lame pulseaudio:/usr/bin/pulseaudio \
                pulseaudio-utils:/usr/bin/parec libasound2-plugins:/usr/share/doc/libasound2-plugins \
                postgresql:/usr/share/doc/postgresql
NEED_BENCH   := $(NEED_TEST) mpg123:/usr/bin/mpg123 mpd:/usr/bin/mpd sqlite3:/usr/bin/sqlite3

.PHONY: run test test-busy build check unit programs packages lint fmt bench chaos faults e2e-cluster fuzz model cross cross-test clean help

run: build
	@$(BIN) demo --dir $(BUILD)/demo --for $(FOR)

build:
	@./install.sh $(NEED_RUN)
	@mkdir -p $(BUILD)
	$(GO) build -ldflags '-X dalaba/cmd/cli.version=$(VERSION)' -o $(BUILD)/ ./cmd/dalaba ./cmd/dalaba-county

test: build
	@./install.sh $(NEED_TEST)
	@$(MAKE) --no-print-directory $(if $(PKG),unit,check)

check: lint
	$(GO) mod tidy -diff
	$(GO) vet -tags noalsa ./devices ./player
	$(GO) test $(TESTFLAGS) -tags noalsa ./devices
	@$(MAKE) --no-print-directory unit

# Those that run other programs beside those that run in one process.
unit:
	$(GO) vet $(or $(PKG),./...)
	@$(MAKE) --no-print-directory -j2 --output-sync=line programs packages

LIST          = $(shell $(GO) list $(or $(PKG),./...))
DRIVERS      := dalaba/tools/bench dalaba/tools/chaos dalaba/cmd/dalaba dalaba/tools/e2e
# All is vetted before.
TEST         := $(GO) test -vet=off -timeout 60m $(TESTFLAGS)
RACE         := $(TEST) -race $(UNWATCHED)

# The processes wait most of the time. Some are built to find races.
programs:
	@set -x; [ -z "$(filter $(DRIVERS),$(LIST))" ] || $(TEST) $(filter $(DRIVERS),$(LIST))

packages:
	@set -x; [ -z "$(filter-out $(DRIVERS),$(LIST))" ] || $(RACE) $(filter-out $(DRIVERS),$(LIST))
	@set -x; [ -z "$(filter dalaba/cmd/dalaba,$(LIST))" ] || $(RACE) -skip '^TestScripts$$' dalaba/cmd/dalaba

# No test is to fail because the machine is slow.
test-busy: build
	@./install.sh $(NEED_TEST)
	@loops=; for i in $$(seq $$((2 * $$(nproc)))); do while :; do :; done & loops="$$loops $$!"; done; \
	trap "kill $$loops" EXIT; \
	for i in $$(seq $(TIMES)); do $(MAKE) --no-print-directory $(if $(PKG),unit,check) TESTFLAGS=-count=1 || exit 1; done

lint: $(BUILD)/lint
	@test -z "$$(gofmt -s -l $(ROOMS))" || { gofmt -s -l $(ROOMS); echo "make fmt"; exit 1; }
	$< ./...

# Its cache holds for the program as built. These flags build the same one in each clone, at each commit.
$(BUILD)/lint: $(wildcard tools/lint/*)
	@mkdir -p $(BUILD)
	$(GO) -C tools/lint build -buildvcs=false -o $(CURDIR)/$@ .

fmt:
	gofmt -s -w $(ROOMS)

# Every fuzz target of the tree in turn.
fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; done; done

chaos:
	@./install.sh $(NEED_TEST)
	$(GO) run ./tools/chaos -n $(N) $(if $(SEED),-seed $(SEED))

model:
	@./install.sh $(NEED_TEST)
	DALABA_MODEL_RUNS=$(N) $(GO) test -count=1 -timeout 0 -v -run KeepsTheRules ./playlist/schedule ./player

faults: build
	@./install.sh $(NEED_TEST)
	DALABA_FAULT_FOR=$(WEATHER) DALABA_FAULT_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v -run BadWeather ./tools/e2e

e2e-cluster: build
	@./install.sh $(NEED_TEST)
	DALABA_CLUSTER=1 $(GO) test -count=1 -timeout 20m -v -run MovesToACluster ./tools/e2e

bench:
	@./install.sh $(NEED_BENCH)
	@mkdir -p $(BUILD)
	$(GO) run ./tools/bench -o $(BUILD)/bench.json

# For the boards on the poles: build/dalaba-linux-arm64 and -armhf.
cross:
	@./cross.sh build arm64 armhf

# The unit tests as one of those boards runs them (AS=armhf: the other).
cross-test:
	@./cross.sh test $(or $(AS),arm64)

clean:
	rm -rf $(BUILD)

help:
	@sed -n '/^#/!q;s/^# //p' Makefile
