# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Objects go to $(BUILD), one folder per kind of build.

BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= gcc

VERSION := $(shell sed -n 's/^VERSION = //p' VERSION.mk)

PACKAGES := libuv libcurl libsodium libssl libcrypto yaml-0.1

# Debian 12 ships llhttp as C sources, Debian 13 as a library.
LLHTTP         := /usr/share/llhttp
LLHTTP_PACKAGE := $(shell . /etc/os-release; [ "$${VERSION_ID:-13}" = 12 ] && echo node-llhttp || echo libllhttp-dev)
LLHTTP_SOURCES := $(if $(filter node-llhttp,$(LLHTTP_PACKAGE)),$(addprefix $(LLHTTP)/,api.c http.c llhttp.c))
LLHTTP_LIB     := $(if $(LLHTTP_SOURCES),,-l:libllhttp.a)

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/secrets-agent

# What building needs, and what testing needs besides.
BUILD_PACKAGES := gcc make pkg-config libc6-dev libuv1-dev libcurl4-openssl-dev libsodium-dev \
		  libssl-dev libyaml-dev libseccomp-dev $(LLHTTP_PACKAGE)
TEST_PACKAGES  := libcriterion-dev python3 python3-pytest python3-pip python3-yaml strace openssl curl \
		  util-linux mount gdb procps zsh fish groff-base openssh-client

# A newer compiler's new warning is ours to mend, and no reason for a user's build to fail.
WERROR   ?=
WARNINGS := -Wall -Wextra -Wformat=2 -Wshadow -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
	    -Wold-style-definition -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wcast-align \
	    -Wcast-qual -Wnull-dereference -Wduplicated-cond -Wlogical-op -Wswitch-enum $(WERROR)
BRANCHES  := $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,-mbranch-protection=standard)
HARDENING := -fstack-protector-strong -fstack-clash-protection $(BRANCHES) \
	     -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow \
	     -fno-strict-aliasing -fPIE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
OPTIMISE ?= -O2 -g
SANITIZE ?=

ifneq ($(SANITIZE),)
HARDENING := -fPIE -fno-omit-frame-pointer $(SANITIZE)
endif

CPPFLAGS += -I. -I$(BUILD) -I/usr/share/include/llhttp -D_GNU_SOURCE -DAGENT_VERSION='"$(VERSION)"' \
	    $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS  += -std=gnu17 $(OPTIMISE) $(WARNINGS) $(HARDENING)
LDFLAGS += -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed $(SANITIZE)
LDLIBS  += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) $(LLHTTP_LIB)

# Worktrees with other recipes have other libraries.
STATIC_CURL := $(CACHE)/static-curl-$(firstword $(shell cksum deploy/static-curl))
ifneq ($(STATIC),)
CPPFLAGS := -I$(STATIC_CURL)/include -DCURL_STATICLIB $(CPPFLAGS)
CFLAGS   += -ffunction-sections -fdata-sections
LDFLAGS  := -static-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,pack-relative-relocs -Wl,--gc-sections -Wl,--no-warnings -s
BUILT_LIBRARIES := $(STATIC_CURL)/lib/libcurl.a
LDLIBS   := $(BUILT_LIBRARIES) -luv_a -lsodium -lyaml -lssl -lcrypto -lcares \
	    -lpthread -ldl $(LLHTTP_LIB)
endif

AGENT_SOURCES := $(shell find agent backends certs -name '*.c' -not -path 'agent/generators/*' 2>/dev/null | sort)
INJECTOR_SOURCES := $(shell find injector -name '*.c' 2>/dev/null | sort)
TEST_SOURCES  := $(shell find tests -name '*_test.c' 2>/dev/null | sort) tests/injector/cases.c

OBJECTS  := $(AGENT_SOURCES:%.c=$(BUILD)/%.o)
INJECTOR_OBJECTS := $(INJECTOR_SOURCES:%.c=$(BUILD)/%.o)
INJECTOR_PARTS   := $(filter-out $(BUILD)/injector/main.o $(BUILD)/injector/command/%,$(INJECTOR_OBJECTS))
LLHTTP_OBJECTS := $(LLHTTP_SOURCES:$(LLHTTP)/%.c=$(BUILD)/llhttp/%.o)
LIBRARY  := $(filter-out $(BUILD)/agent/main.o,$(OBJECTS)) $(LLHTTP_OBJECTS)
TESTS    := $(TEST_SOURCES:%.c=$(BUILD)/%.o)

# What is installed decides the flags, so building begins after the installing, in a make of its own.
.PHONY: all program
all: deps ## install what building needs, build $(BUILD)/agent/agent and $(BUILD)/injector/injector
	@$(MAKE) --no-print-directory program
program: $(BUILD)/agent/agent $(BUILD)/injector/injector

$(BUILD)/agent/agent: $(BUILD)/agent/main.o $(BUILD)/libagent.a $(BUILT_LIBRARIES)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The library comes last: of the agent's own modules the linker takes none, since nothing asks for them.
$(BUILD)/injector/injector: $(INJECTOR_OBJECTS) $(BUILD)/libagent.a $(BUILT_LIBRARIES)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libagent.a: $(LIBRARY)
	@rm -f $@
	@ar rcs $@ $^

UNIT_OBJECTS := $(TESTS) $(INJECTOR_PARTS)

$(BUILD)/unit: $(UNIT_OBJECTS) $(BUILD)/libagent.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $(UNIT_OBJECTS) $(BUILD)/libagent.a $(LDLIBS) -lcriterion

# Programs that the fault tests kill, starve and watch.
FAULT_SOURCES := $(wildcard tests/fault/*.c)
FAULT_PROGRAMS := $(FAULT_SOURCES:%.c=$(BUILD)/%)

REVIEW_FAULT := $(BUILD)/tests/fault/review_memory

$(filter-out $(REVIEW_FAULT),$(FAULT_PROGRAMS)): $(BUILD)/tests/fault/%: $(BUILD)/tests/fault/%.o $(BUILD)/libagent.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(REVIEW_FAULT): $(REVIEW_FAULT).o $(INJECTOR_PARTS) $(BUILD)/libagent.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -o $@ $^ $(LDLIBS)

# What the benchmarks compare with, and what puts load on a socket.
BENCH_SOURCES := $(wildcard tests/bench/*.c)
BENCH_PROGRAMS := $(BENCH_SOURCES:%.c=$(BUILD)/%)

# This one measures code of ours, and links it.
REVIEW_BENCH := $(BUILD)/tests/bench/review

$(filter-out $(REVIEW_BENCH),$(BENCH_PROGRAMS)): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LLHTTP_OBJECTS)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -luv $(LLHTTP_LIB)

$(BUILD)/tests/bench/injector/load: $(BUILD)/tests/bench/injector/load.o
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

$(REVIEW_BENCH): $(REVIEW_BENCH).o $(INJECTOR_PARTS) $(BUILD)/libagent.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) -O2 -g -fPIE $(SANITIZE) -I/usr/share/include/llhttp -c -o $@ $<

# Programs that write sources, for the machine that builds.
.PRECIOUS: $(BUILD)/generators/%
$(BUILD)/generated/%.inc: $(BUILD)/generators/%
	@$< >$@.new && mv $@.new $@
$(BUILD)/generators/%: agent/generators/%.c
	@mkdir -p $(@D) $(BUILD)/generated
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS) -std=gnu17 -O1 $(WARNINGS) -MMD -MP -o $@ $< $(shell pkg-config --libs libseccomp)
$(BUILD)/agent/io/seccomp.o: $(BUILD)/generated/seccomp_filter.inc

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(BUILD)/generators/seccomp_filter.d $(OBJECTS:.o=.d) $(INJECTOR_OBJECTS:.o=.d) $(TESTS:.o=.d) $(FAULT_PROGRAMS:=.d) $(BENCH_PROGRAMS:=.d)

.PHONY: deps test-deps servers
deps:
	@tests/tools/install $(BUILD_PACKAGES)
test-deps: deps
	@tests/tools/install $(TEST_PACKAGES)
servers: test-deps ## install the real servers that the tests use into the cache folder
	@tests/tools/servers $(CACHE)/servers
	@tests/tools/go $(CACHE)
	@tests/tools/kube $(CACHE)
	@tests/tools/helm $(CACHE)

# Where the distribution's archive has no sources of libcurl there is no image, and what tests it says so.
.PHONY: image-to-test
image-to-test: deps
	@$(MAKE) --no-print-directory image || { rm -f $(BUILD)/agent-image.tar; echo "no image: its tests are skipped" >&2; }

.PHONY: test unit e2e asan
test: servers image-to-test ## install what testing needs, build, run every test
	@$(MAKE) --no-print-directory WERROR=-Werror run-tests
.PHONY: run-tests
run-tests: program $(BUILD)/unit $(FAULT_PROGRAMS)
	@AGENT_BIN=$(abspath $(BUILD)/agent/agent) INJECTOR_BIN=$(abspath $(BUILD)/injector/injector) \
		FAULT_PROGRAMS=$(abspath $(BUILD)/tests/fault) BAO_BIN=$${BAO_BIN:-$(CACHE)/servers/bao} \
		SOPS_BIN=$${SOPS_BIN:-$(CACHE)/servers/sops} KUBE_BIN=$${KUBE_BIN:-$(CACHE)/kube} \
		HELM_BIN=$${HELM_BIN:-$(CACHE)/helm} AGENT_IMAGE=$(abspath $(BUILD)/agent-image.tar) \
		GO_BIN=$${GO_BIN:-$(CACHE)/go} \
		tests/tools/run $(BUILD)/unit tests/e2e tests/fault

unit: $(BUILD)/unit ## build and run the unit tests alone
	@tests/tools/run $(BUILD)/unit

asan: test-deps ## the unit tests under address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan OPTIMISE='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined' unit

# Those that run a long-lived agent; others compare its environment.
SANITIZED := bad_input directory faults_access faults_server faults_tls get keeping on_change sandbox serve socket status
.PHONY: asan-e2e
asan-e2e: servers ## end-to-end tests with an agent under the sanitizers
	@$(MAKE) --no-print-directory BUILD=build/asan OPTIMISE='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined' build/asan/agent/agent
	@AGENT_BIN=$(abspath tests/tools/sanitized) BAO_BIN=$${BAO_BIN:-$(CACHE)/servers/bao} \
		SOPS_BIN=$${SOPS_BIN:-$(CACHE)/servers/sops} /usr/bin/python3 -m pytest -q -p no:cacheprovider \
		$(SANITIZED:%=tests/e2e/test_%.py)

LINT_PACKAGES := clang-format clang-tidy
# The version is a string, which a shell in a shell would unwrap.
TIDY_FLAGS = $(filter-out -DAGENT_VERSION=%,$(CPPFLAGS)) -DAGENT_VERSION=__FILE__ -std=gnu17
FORMATTED = $(shell git ls-files '*.c' '*.h')
.PHONY: lint lint-deps
lint-deps: deps
	@tests/tools/install $(LINT_PACKAGES)
lint: lint-deps check-docs ## the include rule, banned functions, format, clang-tidy, current docs
	@tests/tools/lint
	@clang-format --dry-run --Werror $(FORMATTED)
	@echo $(AGENT_SOURCES) $(wildcard agent/generators/*.c) $(INJECTOR_SOURCES) | xargs -n 12 -P 2 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(TIDY_FLAGS) 2>&1 | \
		grep -vE "^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter" || true; ' tidy | tee $(BUILD)/tidy.log
	@! grep -qE "(warning|error):" $(BUILD)/tidy.log

.PHONY: demo
demo: all ## build, and show the main job in ten lines
	@examples/demo $(BUILD)/agent/agent

# The static program of the images: the distribution's own static libraries, and a small libcurl on c-ares.
STATIC_PACKAGES := libc-ares-dev autoconf automake libtool dpkg-dev patch ca-certificates
.PHONY: static-deps static
static-deps: deps
	@tests/tools/install $(STATIC_PACKAGES)
	@deploy/static-curl $(STATIC_CURL)
static: static-deps ## build the programs of the images into $(BUILD)/static
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/static STATIC=1 program

.PHONY: test-static
test-static: servers static ## the tests of what differs in the images: c-ares looks names up
	@$(MAKE) --no-print-directory WERROR=-Werror program
	@AGENT_BIN=$(abspath $(BUILD)/agent/agent) AGENT_STATIC_BIN=$(abspath $(BUILD)/static/agent/agent) \
		BAO_BIN=$${BAO_BIN:-$(CACHE)/servers/bao} /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_dns.py

.PHONY: image
image: static ## pack the static programs into $(BUILD)/agent-image.tar and $(BUILD)/injector-image.tar, OCI archives
	@deploy/image $(BUILD)/static/agent/agent agent $(VERSION) $(BUILD)/agent-image.tar
	@deploy/image $(BUILD)/static/injector/injector injector $(VERSION) $(BUILD)/injector-image.tar

.PHONY: soak
soak: servers $(FAULT_PROGRAMS) program ## the random tests at length: 20 000 kills, 2 000 documents, 200 rotations
	@FAULT_PROGRAMS=$(abspath $(BUILD)/tests/fault) PUBLISH_KILLS=20000 \
		/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/fault
	@AGENT_BIN=$(abspath $(BUILD)/agent/agent) SOPS_BIN=$${SOPS_BIN:-$(CACHE)/servers/sops} SOPS_DOCUMENTS=2000 \
		/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_sops_random.py
	@INJECTOR_BIN=$(abspath $(BUILD)/injector/injector) KUBE_BIN=$${KUBE_BIN:-$(CACHE)/kube} ROTATIONS=200 \
		/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_kube_authority.py::test_no_handshake_fails_while_authorities_change

.PHONY: bench run-bench
bench: servers image ## measure against OpenBao's agent and sops; writes docs/benchmarks.md and its plot
	@$(MAKE) --no-print-directory run-bench
run-bench: $(BUILD)/agent/agent $(BENCH_PROGRAMS)
	@BAO_BIN=$${BAO_BIN:-$(CACHE)/servers/bao} SOPS_BIN=$${SOPS_BIN:-$(CACHE)/servers/sops} \
		tests/bench/run $(BUILD)

.PHONY: bench-injector
bench-injector: servers program $(BUILD)/tests/bench/injector/load ## measure the webhook: over TLS with 64 connections, and at an API server
	@tests/bench/injector/run $(BUILD)/injector/injector $(BUILD)/tests/bench/injector/load
	@KUBE_BIN=$${KUBE_BIN:-$(CACHE)/kube} tests/bench/injector/creation $(BUILD)/injector/injector

.PHONY: docs check-docs
docs: program ## write docs/configuration.md and docs/injector-reference.md from the tables
	$(BUILD)/agent/agent completion configuration >docs/configuration.md
	$(BUILD)/injector/injector reference >docs/injector-reference.md
check-docs: program
	@{ $(BUILD)/agent/agent completion configuration | diff -u docs/configuration.md - && \
		$(BUILD)/injector/injector reference | diff -u docs/injector-reference.md -; } || \
		{ echo "docs are not current: make docs" >&2; exit 1; }

.PHONY: oracle
oracle: program ## record anew what the real template engine answers, and compare 250 000 floats with it (needs Go)
	cd tests/oracle && go run ./unicode >../../agent/template/unicode_tables.inc && \
		go run . answers . >answers/answers.json
	tests/oracle/doubles $(abspath $(BUILD)/agent/agent)

.PHONY: manifests
manifests: servers ## write deploy/install.yaml from the chart
	@deploy/manifests $(CACHE)/helm >deploy/install.yaml

.PHONY: install
install: all ## install into $(DESTDIR)$(PREFIX)
	install -D -m 0755 $(BUILD)/agent/agent $(DESTDIR)$(PREFIX)/bin/agent
	install -D -m 0755 $(BUILD)/injector/injector $(DESTDIR)$(PREFIX)/bin/injector
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 bash-completion/completions \
		zsh/site-functions fish/vendor_completions.d)
	$(BUILD)/agent/agent completion man >$(DESTDIR)$(PREFIX)/share/man/man1/agent.1
	for name in $$($(BUILD)/agent/agent --help | awk '/^  [a-z]/ { print $$1 }'); do \
		$(BUILD)/agent/agent completion man $$name >$(DESTDIR)$(PREFIX)/share/man/man1/agent-$$name.1; \
	done
	$(BUILD)/agent/agent completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/agent
	$(BUILD)/agent/agent completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_agent
	$(BUILD)/agent/agent completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/agent.fish

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

-include tests/fuzz/fuzz.mk
