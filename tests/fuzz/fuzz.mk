# SPDX-License-Identifier: Apache-2.0
# A libFuzzer target per tests/fuzz/NAME_fuzz.c, which clang builds with what parses: base, config, heads of requests,
# backends, certs, injector. A run is short (FUZZ_SECONDS each) and starts from tests/fuzz/corpus/NAME; what it finds
# stays in $(FUZZ_BUILD)/found.

FUZZ_CC      ?= $(firstword $(notdir $(shell which clang clang-19 clang-16 clang-14)))
FUZZ_SECONDS ?= 10
FUZZ_PACKAGES := clang libclang-rt-dev
FUZZ_BUILD   := $(BUILD)/fuzz
FUZZ_FLAGS   := -std=gnu17 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_OBJECTS := $(patsubst %.c,$(FUZZ_BUILD)/%.o,$(shell find agent/base agent/config agent/template backends certs -name '*.c' 2>/dev/null | sort) \
		$(addprefix agent/io/,http_head.c http_message.c https_head.c) \
		$(filter-out injector/main.c,$(sort $(wildcard injector/*.c)))) $(LLHTTP_OBJECTS)

$(FUZZ_BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

# A library, so that a target gets what it parses with and not what serves it.
$(FUZZ_BUILD)/parsers.a: $(FUZZ_OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

$(FUZZ_BUILD)/%_fuzz: $(FUZZ_BUILD)/tests/fuzz/%_fuzz.o $(FUZZ_BUILD)/parsers.a
	@$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

-include $(FUZZ_OBJECTS:.o=.d) $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/tests/fuzz/%_fuzz.d)

.PRECIOUS: $(FUZZ_BUILD)/%.o

# What is installed decides the compiler, so building begins in a make of its own.
.PHONY: fuzz fuzz-deps
fuzz-deps: deps
	@tests/tools/install $(FUZZ_PACKAGES)
fuzz: fuzz-deps ## feed each parser random bytes, FUZZ_SECONDS each
	@$(MAKE) --no-print-directory run-fuzz
.PHONY: run-fuzz
run-fuzz: $(FUZZ_TARGETS:%=fuzz-%)

.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(FUZZ_BUILD)/%_fuzz
	@mkdir -p $(FUZZ_BUILD)/found/$*
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -print_final_stats=0 -verbosity=0 \
		-artifact_prefix=$(FUZZ_BUILD)/found/$*- $(FUZZ_BUILD)/found/$* $(wildcard tests/fuzz/corpus/$*)
