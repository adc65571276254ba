# spanstitch: one non-recursive Makefile. `make help` names the targets.
#
# Everything that is built lies in build/<config>/; CONFIG=release (default), san, fuzz.

CONFIG ?= release
B := build/$(CONFIG)
CC := gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(shell command -v bpftool) /usr/sbin/bpftool)
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
VERSION := 0.1.0

ifeq ($(V),1)
Q :=
else
Q := @
endif
say = $(if $(Q),@printf '  %-8s %s\n' $(1) $(2))

LIBS := -lbpf -lelf -lcapstone -lprotobuf-c -lcurl -lz -lcjson -lcyaml -lxxhash -lcap-ng -lseccomp -lpthread -lm
WARN := -Wall -Wextra -Werror -Wshadow
CFLAGS_USER := -std=gnu11 -g -O2 -Iinclude -Iuser -I$(B)/gen -I/usr/include/uthash \
	$(WARN) -Wvla -Wmissing-prototypes -D_GNU_SOURCE -DVERSION='"$(VERSION)"'
CFLAGS_BPF := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Iinclude -Ibpf $(WARN)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDFLAGS_USER := -pie -Wl,-z,relro,-z,now

ifeq ($(CONFIG),san)
CC := clang
HARDEN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
LDFLAGS_USER := -fsanitize=address,undefined
endif
ifeq ($(CONFIG),fuzz)
CC := clang
HARDEN := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -O1
LDFLAGS_USER := -fsanitize=address,undefined
endif

# --- sources ----------------------------------------------------------------------------------

STAGES := attach collect decode join sample send show target util
USER_SRC := $(sort $(filter-out user/main.c,$(wildcard user/*.c) $(wildcard $(STAGES:%=user/%/*.c))))
BPF_SRC := $(sort $(wildcard bpf/*.bpf.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TOOL_SRC := $(sort $(wildcard tests/platform/*.c) $(wildcard tests/bench/*.c) $(wildcard tests/e2e/*.c))

USER_OBJ := $(USER_SRC:%.c=$(B)/%.o)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
TOOL_BIN := $(TOOL_SRC:tests/%.c=$(B)/tools/%)
WATCH := $(B)/tools/bpf/watch
EXERCISER_SRC := $(sort $(filter-out tests/kafka/truth.c,$(wildcard tests/kafka/*.c)))
KAFKA_TOOLS := $(B)/tools/kafka/exerciser $(B)/tools/kafka/truth.so

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all build unit-bins tools check test acceptance san fuzz bench golden results demo style \
	setup install clean help FORCE

all: build
build: build/spanstitch tools

# --- flags: a changed flag rebuilds --------------------------------------------------------------

$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS_USER) $(HARDEN) $(CFLAGS_BPF) $(LDFLAGS_USER)' | cmp -s - $@ || \
		echo '$(CC) $(CFLAGS_USER) $(HARDEN) $(CFLAGS_BPF) $(LDFLAGS_USER)' > $@

# --- kernel half ----------------------------------------------------------------------------------

ifneq ($(BPF_SRC),)
SKEL := $(B)/gen/spanstitch.skel.h
endif

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(CFLAGS_BPF) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(B)/bpf/spanstitch.o: $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.bpf.o)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
	$(Q)scripts/bpf-size $@

$(B)/gen/spanstitch.skel.h: $(B)/bpf/spanstitch.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name spanstitch_bpf > $@

# --- OTLP, generated from the packaged protocol files ---------------------------------------------

PROTO_DIR := /usr/include
PROTO_NAMES := common/v1/common resource/v1/resource trace/v1/trace collector/trace/v1/trace_service
PROTO_C := $(PROTO_NAMES:%=$(B)/gen/opentelemetry/proto/%.pb-c.c)
PROTO_OBJ := $(PROTO_C:.c=.o)

$(PROTO_C) &: $(PROTO_NAMES:%=$(PROTO_DIR)/opentelemetry/proto/%.proto)
	@mkdir -p $(B)/gen
	$(call say,PROTO,opentelemetry)
	$(Q)protoc-c --proto_path=$(PROTO_DIR) --c_out=$(B)/gen $^

$(PROTO_OBJ): %.o: %.c $(B)/flags
	$(Q)$(CC) -std=gnu11 -g -O2 $(HARDEN) -I$(B)/gen -c $< -o $@

# --- user half ------------------------------------------------------------------------------------

$(B)/user/%.o: user/%.c $(B)/flags | $(SKEL) $(PROTO_C)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_USER) $(HARDEN) -MMD -MP -c $< -o $@

$(B)/libspanstitch.a: $(USER_OBJ) $(PROTO_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/spanstitch: $(B)/user/main.o $(B)/libspanstitch.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_USER) $^ $(LIBS) -o $@

build/spanstitch: $(B)/spanstitch
	$(Q)ln -sf $(CONFIG)/spanstitch $@

# --- tests ----------------------------------------------------------------------------------------

$(B)/unit/%: tests/unit/%.c $(B)/libspanstitch.a tests/check.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,UNIT,$@)
	$(Q)$(CC) $(CFLAGS_USER) $(HARDEN) -Wno-missing-prototypes -Itests $(LDFLAGS_USER) -MMD -MP -MT $@ -MF $@.d \
		$< $(B)/libspanstitch.a $(LIBS) -lcmocka -o $@

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libspanstitch.a $(B)/flags
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)clang $(CFLAGS_USER) $(HARDEN) -Wno-missing-prototypes -Itests -fsanitize=fuzzer,address,undefined -MMD -MP -MT $@ -MF $@.d \
		$< $(B)/libspanstitch.a $(LIBS) -o $@

$(B)/tools/%: tests/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(CC) -std=gnu11 -g -O2 -D_GNU_SOURCE $(WARN) -Iinclude -MMD -MP -MT $@ -MF $@.d $< -lrdkafka -lpthread -o $@

$(WATCH): tests/bpf/watch.c $(B)/libspanstitch.a $(B)/flags
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(CC) $(CFLAGS_USER) $(HARDEN) $(LDFLAGS_USER) -MMD -MP -MT $@ -MF $@.d $< $(B)/libspanstitch.a $(LIBS) -o $@

# Neither is linked to a librdkafka: they meet the one that is under test when they run.
TOOL_CFLAGS := -std=gnu11 -g -O2 -D_GNU_SOURCE $(WARN)

$(B)/tools/kafka/exerciser: $(EXERCISER_SRC) $(wildcard tests/kafka/*.h) $(B)/flags
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(CC) $(TOOL_CFLAGS) $(EXERCISER_SRC) -ldl -o $@

$(B)/tools/kafka/truth.so: tests/kafka/truth.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(CC) $(TOOL_CFLAGS) -shared -fPIC $< -ldl -o $@

# those of tests/e2e drive stages of the agent
$(B)/tools/e2e/%: tests/e2e/%.c $(B)/libspanstitch.a $(B)/flags
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(CC) $(CFLAGS_USER) $(HARDEN) -Wno-missing-prototypes -Itests $(LDFLAGS_USER) -MMD -MP -MT $@ -MF $@.d \
		$< $(B)/libspanstitch.a $(LIBS) -o $@

unit-bins: $(UNIT_BIN)
fuzz-bins: $(FUZZ_BIN)
tools: $(TOOL_BIN) $(WATCH) $(KAFKA_TOOLS)

style:
	$(Q)scripts/check-style

# yes or no, without root, in under 90 s
check: build unit-bins
	$(Q)scripts/test --no-root unit golden style

# every test that needs Debian's packages only; SUITE=name runs one, LIST=1 names them
test: setup
	$(Q)scripts/test --make-test $(SUITE)

acceptance: setup
	$(Q)scripts/test --acceptance $(SUITE)

# the unit tests and golden recordings under AddressSanitizer and UndefinedBehaviorSanitizer
san:
	$(Q)$(MAKE) --no-print-directory CONFIG=san build/san/spanstitch unit-bins
	$(Q)CONFIG=san scripts/test --no-root unit golden

# SECONDS=n a target; each starts from its corpus in tests/fuzz/corpus/<target>
fuzz:
	$(Q)$(MAKE) --no-print-directory CONFIG=fuzz fuzz-bins
	$(Q)scripts/fuzz $(or $(SECONDS),10)

# says what differs; ACCEPT=1 takes the new output over
golden: build
	$(Q)scripts/golden

bench: setup
	$(Q)scripts/bench

results:
	$(Q)scripts/results

demo: setup
	$(Q)scripts/demo $(if $(OTLP),--otlp $(OTLP))

# packages of Debian 12 or 13 (as root), then the build; does nothing where nothing is missing
setup:
	$(Q)scripts/setup
	$(Q)$(MAKE) --no-print-directory build unit-bins

install: build
	install -D -m 755 $(B)/spanstitch $(DESTDIR)/usr/local/bin/spanstitch

clean:
	rm -rf build

help:
	@echo 'make            build build/spanstitch'
	@echo 'make demo       set up, trace the platform, print its waterfalls; OTLP=URL sends them too'
	@echo 'make test       set up, every quick test; SUITE=name one of them, LIST=1 their names'
	@echo 'make acceptance set up, tests with real back ends built from the registries'
	@echo 'make check      build, unit, golden, style: no root, under 90 s'
	@echo 'make san        the same tests under ASAN and UBSAN'
	@echo 'make fuzz       fuzz every parser; SECONDS=n a target'
	@echo 'make bench      measure; make results prints every figure, misses first'
	@echo 'make install    into $$(DESTDIR)/usr/local; make clean'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
