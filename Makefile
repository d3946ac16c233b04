# Sinas. `make run` serves, `make test` tests; README.md says the rest.
#
#   make                    the program, build/plain/sinas
#   make CC=clang           with another compiler
#   make SAN=address,undefined   with sanitizers, in a build directory of its own
#   make COVERAGE=1         with gcov counters
#   make V=1                showing the commands

CC ?= gcc
SAN ?=
Q := $(if $(V),,@)
COVERAGE ?=
VARIANT := $(if $(SAN),san,$(if $(COVERAGE),cov,plain))$(if $(filter clang%,$(CC)),-clang)
BUILD := build/$(VARIANT)
GEN := build/gen

PKGS := libpq hiredis yaml-0.1 libcurl libsodium libpcre2-8
CPPFLAGS += -D_GNU_SOURCE -I. -Ireactor -I$(GEN) $(shell pkg-config --cflags $(PKGS))
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
          -Wno-missing-field-initializers \
          -fno-strict-aliasing -fno-omit-frame-pointer -fstack-protector-strong -fPIE
CFLAGS += $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -O1,-Wframe-larger-than=2048 -D_FORTIFY_SOURCE=2)
CFLAGS += $(if $(COVERAGE),--coverage -O0 -U_FORTIFY_SOURCE)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage)
LDLIBS += -lev $(shell pkg-config --libs $(PKGS)) -lbearssl -lm

SOURCES := $(wildcard reactor/base/*.c reactor/core/*.c reactor/*.c handlers/*.c handlers/resources/*.c workers/*.c)
SOURCES += $(GEN)/sql.c
ASM := $(wildcard reactor/core/*.S)
MAIN := reactor/main.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(ASM:%.S=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(MAIN:%.c=$(BUILD)/%.o),$(OBJECTS))
UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/%.o)

.PHONY: all clean unit
all: $(BUILD)/sinas

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

unit: $(BUILD)/unit
	$(BUILD)/unit

# The stamp is newer than all SQL; sql.h and sql.c only change when what they hold does.
$(GEN)/sql.stamp: sql/generate sql sql/schema $(wildcard sql/*.sql sql/schema/*.sql)
	@echo '  SQL  $(GEN)/sql.h'
	$(Q)sql/generate $(GEN)
	@touch $@
$(GEN)/sql.h $(GEN)/sql.c: $(GEN)/sql.stamp
	@:
$(OBJECTS) $(UNIT_OBJECTS): | $(GEN)/sql.h

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d)
