# make run            everything from a bare machine to sound: installs what is
#                     missing, builds, airs the sample course (FOR=60s ends it)
# make test           everything that must hold: format, vet, lint, unit, race, end to end
# make cross          the program for arm64 and armhf; make cross-test: its unit tests there
# make chaos N=200    kills the controller at random instants and reconciles what was
#                     due, logged and heard (SEED= repeats the choices of a run)
# make faults         bad weather between a county and its villages, for 10 minutes
#                     (WEATHER=1h longer, SEED= repeats the choices of a run)
# make e2e-cluster    the move to three brokers and PostgreSQL under 200 live controllers
# make build | check | lint | fmt | bench | fuzz | clean

SHELL        := /bin/bash
BUILD        := build
BIN          := $(BUILD)/dalaba
ROOMS        := alert cmd county data devices ingest link player playlist
GO           ?= go
GOLANGCI     := v2.15.0
# The decoder shares nothing between goroutines, and takes most of the time.
UNWATCHED    := -gcflags='github.com/hajimehoshi/go-mp3/...=-race=false'
FUZZTIME     ?= 30s
FOR          ?= 0
N            ?= 200
SEED         ?=
WEATHER      ?= 10m
VERSION      := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What the program and its tests need beside Go, by the file that proves it.
NEED_RUN     := gcc:/usr/bin/gcc libasound2-dev:/usr/include/alsa/asoundlib.h \
                ffmpeg:/usr/bin/ffmpeg espeak-ng:/usr/bin/espeak-ng
NEED_TEST    := $(NEED_RUN) sox:/usr/bin/sox lame:/usr/bin/lame pulseaudio:/usr/bin/pulseaudio \
                pulseaudio-utils:/usr/bin/parec libasound2-plugins:/usr/share/doc/libasound2-plugins \
                postgresql:/usr/share/doc/postgresql
NEED_BENCH   := $(NEED_TEST) mpg123:/usr/bin/mpg123 mpd:/usr/bin/mpd sqlite3:/usr/bin/sqlite3

.PHONY: run test build check lint fmt bench chaos faults e2e-cluster fuzz cross cross-test clean

run: build
	@$(BIN) demo --dir $(BUILD)/demo --for $(FOR)

build:
	@./install.sh $(NEED_RUN)
	@mkdir -p $(BUILD)
	$(GO) build -trimpath -ldflags '-X dalaba/cmd/cli.version=$(VERSION)' -o $(BUILD)/ ./cmd/dalaba ./cmd/dalaba-county

test: build
	@./install.sh $(NEED_TEST)
	@$(MAKE) --no-print-directory check

# One test binary at a time: the tests that keep time share the machine badly.
check: lint
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) test -tags noalsa ./devices ./player
	$(GO) test -race $(UNWATCHED) -p 1 -timeout 30m ./...

lint: $(BUILD)/golangci-lint-$(GOLANGCI)
	@test -z "$$(gofmt -l $(ROOMS))" || { gofmt -l $(ROOMS); echo "make fmt"; exit 1; }
	$< run ./...

$(BUILD)/golangci-lint-$(GOLANGCI):
	@mkdir -p $(BUILD)
	GOBIN=$(CURDIR)/$(BUILD)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@cp $(BUILD)/bin/golangci-lint $@

fmt:
	gofmt -w $(ROOMS)

# Every fuzz target of the tree in turn.
fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; done; done

chaos:
	@./install.sh $(NEED_TEST)
	$(GO) run ./cmd/chaos -n $(N) $(if $(SEED),-seed $(SEED))

faults: build
	@./install.sh $(NEED_TEST)
	DALABA_FAULT_FOR=$(WEATHER) DALABA_FAULT_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v -run BadWeather ./cmd/e2e

e2e-cluster: build
	@./install.sh $(NEED_TEST)
	DALABA_CLUSTER=1 $(GO) test -count=1 -timeout 20m -v -run MovesToACluster ./cmd/e2e

bench:
	@./install.sh $(NEED_BENCH)
	@mkdir -p $(BUILD)
	$(GO) run ./cmd/bench -o $(BUILD)/bench.json

# For the boards on the poles: build/dalaba-linux-arm64 and -armhf.
cross:
	@./cross.sh build arm64 armhf

# The unit tests as one of those boards runs them (AS=armhf: the other).
cross-test:
	@./cross.sh test $(or $(AS),arm64)

clean:
	rm -rf $(BUILD)
