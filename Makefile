# Sinas. `make run` serves, `make test` tests; README.md says the rest.
#
#   make                         the program, build/plain/sinas
#   make run [PORT= VAR= MODEL=] a server of its own with PostgreSQL and Redis below VAR, in the foreground
#   make key [PORT= VAR=]        a fresh superadmin API key for it
#   make test                    every test; TESTS="unit api" for some of them
#   make unit                    unit tests only
#   make fuzz [SECONDS=10]       each fuzz target for so long; needs clang
#   make tidy, make format       clang-tidy, clang-format
#   make docs-assets             fetches Swagger UI and Redoc for the /docs pages; run, test and install do it
#   make bench                   what bench/ measures
#   make coverage                tests with gcov, and a summary
#   make install [PREFIX= DESTDIR=]
#   make compile_commands.json   for editors
#
#   CC=clang                     another compiler
#   SAN=address,undefined        with sanitizers, in a build directory of its own
#   COVERAGE=1                   with gcov counters
#   V=1                          showing the commands

MAKEFLAGS += --no-print-directory
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN ?=
COVERAGE ?=
FUZZ ?=
Q := $(if $(V),,@)
VARIANT := $(if $(FUZZ),fuzz,$(if $(SAN),san,$(if $(COVERAGE),cov,plain))$(if $(findstring clang,$(CC)),-clang))
BUILD := build/$(VARIANT)
GEN := build/gen

PORT ?= 8000
VAR ?= var
MODEL ?=
SECONDS ?= 10
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system

PKGS := libpq hiredis yaml-0.1 libcurl libsodium libpcre2-8
CPPFLAGS += -D_GNU_SOURCE -I. -Ireactor -I$(GEN) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
          -Wno-missing-field-initializers \
          -fno-strict-aliasing -fno-omit-frame-pointer -fstack-protector-strong -fPIE
CFLAGS += $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -O1,-Wframe-larger-than=2048 -D_FORTIFY_SOURCE=2)
CFLAGS += $(if $(COVERAGE),--coverage -O0 -U_FORTIFY_SOURCE -Wno-frame-larger-than)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage)
LDLIBS += -lev $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lbearssl -lm

SOURCES := $(wildcard reactor/base/*.c reactor/core/*.c reactor/*.c handlers/*.c handlers/resources/*.c workers/*.c)
SOURCES += $(GEN)/sql.c
ASM := $(wildcard reactor/core/*.S)
MAIN := reactor/main.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(ASM:%.S=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(MAIN:%.c=$(BUILD)/%.o),$(OBJECTS))
UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/%.o)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_NAMES := $(FUZZ_SOURCES:tests/fuzz/%.c=%)
FUZZ_OBJECTS := $(FUZZ_SOURCES:%.c=$(BUILD)/%.o)
OWN_SOURCES := $(filter-out $(GEN)/%,$(SOURCES)) $(UNIT_SOURCES) $(wildcard tests/fuzz/*.c tests/fault/*.c)

.PHONY: all bench check-hardening clean coverage docs-assets format fuzz install key replay run test tidy unit
all: $(BUILD)/sinas

# ---- building ----

$(BUILD)/sinas: $(OBJECTS)
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/unit: $(UNIT_OBJECTS) $(LIB_OBJECTS)
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC   $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	@echo '  AS   $<'
	$(Q)$(CC) $(CPPFLAGS) -g -c -o $@ $<

# The stamp is newer than all SQL; sql.h and sql.c only change when what they hold does.
$(GEN)/sql.stamp: sql/generate sql sql/schema $(wildcard sql/*.sql sql/schema/*.sql)
	@echo '  SQL  $(GEN)/sql.h'
	$(Q)sql/generate $(GEN)
	@touch $@
$(GEN)/sql.h $(GEN)/sql.c: $(GEN)/sql.stamp
	@:
$(OBJECTS) $(UNIT_OBJECTS) $(FUZZ_OBJECTS): | $(GEN)/sql.h

-include $(OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d) $(FUZZ_OBJECTS:.o=.d)

# Without a network the server runs all the same, and its pages say what is missing.
DOCS := build/docs
docs-assets:
	@etc/docs-assets $(DOCS) || true

# ---- running: packages first, then a make that sees them ----

run:
	@etc/bootstrap build run
	@$(MAKE) all docs-assets
	@PORT='$(PORT)' VAR='$(VAR)' MODEL='$(MODEL)' SINAS=$(BUILD)/sinas exec etc/run

key:
	@PORT='$(PORT)' VAR='$(VAR)' SINAS=$(BUILD)/sinas exec etc/run key

# ---- testing ----

test:
	@etc/bootstrap build run test
	@$(MAKE) all docs-assets $(BUILD)/unit replay
	@BUILD=$(BUILD) SINAS=$(BUILD)/sinas PYTHON=$(PYTHON) CC='$(CC)' SAN='$(SAN)' COVERAGE='$(COVERAGE)' \
	    exec tests/servers run $(PYTHON) tests/run $(TESTS)

unit: $(BUILD)/unit
	$(BUILD)/unit

# A fuzz target with a main() that gives it the files of its corpus.
replay: $(FUZZ_NAMES:%=$(BUILD)/replay_%)
$(BUILD)/replay_%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(LIB_OBJECTS)
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

ifdef FUZZ
fuzz: $(FUZZ_NAMES:%=$(BUILD)/%)
	@for name in $(FUZZ_NAMES:fuzz_%=%); do \
	    mkdir -p $(BUILD)/corpus/$$name && echo "  FUZZ $$name" && \
	    $(BUILD)/fuzz_$$name -max_total_time=$(SECONDS) -print_final_stats=1 -artifact_prefix=$(BUILD)/$$name- \
	        $(BUILD)/corpus/$$name tests/fuzz/corpus/$$name || exit 1; \
	done
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIB_OBJECTS)
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
else
fuzz:
	@$(MAKE) FUZZ=1 CC=clang SAN=fuzzer-no-link,address,undefined fuzz
endif

check-hardening: $(BUILD)/sinas
	@SINAS=$(BUILD)/sinas $(PYTHON) -m pytest -q tests/api/test_hardening.py

coverage:
	@find build/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) COVERAGE=1 test
	@gcovr --root . --object-directory build/cov --exclude tests --exclude build --print-summary --sort-uncovered

tidy: $(GEN)/sql.h
	@printf '%s\n' $(filter-out $(GEN)/%,$(SOURCES)) | xargs -P "$$(nproc)" -n 4 \
	    sh -c 'clang-tidy --quiet "$$@" -- -std=gnu11 $(CPPFLAGS)' tidy

format:
	clang-format -i $(OWN_SOURCES) $(wildcard reactor/*.h reactor/*/*.h handlers/*.h handlers/*/*.h workers/*.h tests/*/*.h)

bench: all
	@SINAS=$(BUILD)/sinas exec bench/run

# ---- installing ----

install: $(BUILD)/sinas docs-assets
	install -D -m 755 $(BUILD)/sinas $(DESTDIR)$(PREFIX)/bin/sinas
	install -D -m 644 etc/sinas.1 $(DESTDIR)$(PREFIX)/share/man/man1/sinas.1
	install -D -m 644 etc/sinas.env.example $(DESTDIR)$(PREFIX)/share/doc/sinas/sinas.env.example
	install -d $(DESTDIR)$(PREFIX)/share/sinas/docs
	for file in $(wildcard $(DOCS)/*.*); do install -m 644 $$file $(DESTDIR)$(PREFIX)/share/sinas/docs; done
	install -d $(DESTDIR)$(UNITS)
	sed 's|/usr/local/bin/sinas|$(PREFIX)/bin/sinas|' etc/sinas.service >$(DESTDIR)$(UNITS)/sinas.service
	install -m 644 etc/sinas.socket $(DESTDIR)$(UNITS)/sinas.socket

compile_commands.json: Makefile $(OWN_SOURCES)
	@for source in $(OWN_SOURCES); do \
	    printf '{"directory": "%s", "file": "%s", "command": "%s"},\n' '$(CURDIR)' $$source \
	        '$(CC) $(CPPFLAGS) $(CFLAGS) -c '$$source; \
	done | sed '1s/^/[/; $$s/,$$/]/' >$@

clean:
	rm -rf build
