# assay: build, test, measure. Readable in two minutes; writes only under build/.
#   make            the binary and the libraries            make test       build and run the tests
#   make demo       the main job on the bundled default     make test-full  the long tier too
#   make bench      speed against the peers                 make install PREFIX=/usr/local
# Switches: CC=clang  SAN=address,undefined  DNNL=0 (portable GEMM)  DEBUG=1  MPI=1
CC      ?= cc
PREFIX  ?= /usr/local
DNNL    ?= 1
VERSION := 0.1.0

FOLDERS := base tensor io stats dist store token metric model data task train eval run analysis report api serve cli
ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)
PKGS    := jansson yaml-0.1 oniguruma libutf8proc libcrypto zlib libzstd sqlite3 libxxhash

# One build folder per configuration, so that switching never mixes objects.
comma := ,
CONFIG  := $(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter 0,$(DNNL)),-nodnnl)$(if $(DEBUG),-debug)
B       := build/$(CONFIG)

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion $(if $(CI),-Werror)
OPT     := $(if $(DEBUG),-O1,-O2) $(if $(SAN)$(DEBUG),,-DNDEBUG)
CFLAGS  ?= -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(CFLAGS) -fPIC -fvisibility=hidden -ffp-contract=off -fopenmp \
  $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
  -Iinclude -Isrc $(shell pkg-config --cflags $(PKGS)) -DAS_VERSION='"$(VERSION)"' -DAS_DNNL=$(DNNL)
LDLIBS  = $(if $(filter 0,$(DNNL)),,-ldnnl) $(shell pkg-config --libs $(PKGS)) -lm -fopenmp $(if $(SAN),-fsanitize=$(SAN))

SRC     := $(foreach f,$(FOLDERS),$(wildcard src/$(f)/*.c))
OBJ     := $(SRC:%.c=$(B)/%.o)
LIBOBJ  := $(filter-out $(B)/src/cli/%,$(OBJ)) $(KERNEL_OBJ)

all: $(B)/assay

# The kernels: one source, compiled once per ISA level into a table of pointers (src/tensor/kernels/).
ifeq ($(ARCH),x86_64)
ISAS := portable avx2 avx512
ISA_avx2   := -mavx2 -mfma -mf16c -mbmi2
ISA_avx512 := -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mbmi2 -mprefer-vector-width=512
ISA_portable := -msse4.2 -mpopcnt
else
ISAS := portable
endif
KERNEL_SRC := $(wildcard src/tensor/kernels/*.c)
KERNEL_OBJ := $(foreach i,$(ISAS),$(KERNEL_SRC:%.c=$(B)/%.$(i).o))
define isa_rule
$(B)/%.$(1).o: %.c
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -O3 -DAS_KERNEL_ISA=$(1) $(ISA_$(1)) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# A static library per folder: a folder's tests link it and the folders below it, nothing above.
define folder_rule
$(B)/lib$(1).a: $(patsubst %.c,$(B)/%.o,$(wildcard src/$(1)/*.c)) $(if $(filter tensor,$(1)),$(KERNEL_OBJ))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

NEEDS_base   := base
NEEDS_tensor := tensor base
NEEDS_io     := io base
NEEDS_stats  := stats base
NEEDS_store  := store base
NEEDS_token  := token io base
NEEDS_metric := metric stats base
NEEDS_data   := data token io base
below = $(or $(NEEDS_$(1)),$(filter-out cli,$(FOLDERS)))

# tests/FOLDER/test_*.c: one cmocka program each. `make t-token` builds and runs those of one folder.
TESTS := $(wildcard tests/*/test_*.c)
define test_rule
$(B)/tests/$(1)/%: tests/$(1)/%.c $$(foreach f,$$(call below,$(1)),$$(B)/lib$$(f).a)
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -Itests $$< -o $$@ -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDLIBS) -lcmocka -MMD -MP
t-$(1): $$(patsubst %.c,$$(B)/%,$$(filter tests/$(1)/%,$$(TESTS)))
	@for t in $$^; do echo "== $$$$t"; $$$$t || exit 1; done
endef
$(foreach f,$(FOLDERS),$(eval $(call test_rule,$(f))))

$(B)/assay: $(OBJ) $(KERNEL_OBJ)
	$(CC) $(ALL_CFLAGS) $^ -o $@ $(LDLIBS)

clean:
	rm -rf build
.PHONY: all clean
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
