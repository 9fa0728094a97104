# assay: build, test, measure. Readable in two minutes; writes only under build/.
#   make            the binary and the libraries            make test       build and run the tests
#   make demo       the main job on the bundled default     make test-full  the long tier too
#   make bench      speed against the peers                 make install PREFIX=/usr/local
#   make t-FOLDER   one folder's tests                      make fuzz-NAME  fuzz one parser (clang)
# Switches: CC=clang  SAN=address,undefined  DNNL=0 (portable GEMM)  DEBUG=1  MPI=0  V=1 (output of passing tests)
CC      ?= cc
PREFIX  ?= /usr/local
DNNL    ?= 1
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
VERSION := 0.1.0
SONAME  := libassay.so.0

FOLDERS := base tensor io stats dist store token metric model data task train eval run analysis report api serve cli
ARCH    := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)
PKGS    := jansson yaml-0.1 oniguruma libutf8proc libcrypto zlib libzstd sqlite3 libxxhash
# Headers only: loaded by dlopen when a pull begins.
LOADED  := libcurl
# MPI (Open MPI, MPICH) is on where it is found, or as MPI=0 and MPI=1 say; its library is loaded under a launcher only.
MPI_PKG  = $(eval MPI_PKG := $(if $(filter 0,$(MPI)),,$(firstword $(foreach p,ompi-c ompi mpich mpi-c,$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))))$(MPI_PKG)

# One build folder per configuration, so that switching never mixes objects.
comma := ,
CONFIG  := $(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter 0,$(DNNL)),-nodnnl)$(if $(DEBUG),-debug)$(if $(filter 0,$(MPI)),-nompi)
B       := build/$(CONFIG)

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion $(if $(CI),-Werror)
OPT     := $(if $(DEBUG),-O1,-O2) $(if $(SAN)$(DEBUG),,-DNDEBUG)
CFLAGS  ?= -g
# Asked once, on first use, so that `make test` can install pkg-config itself.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(LOADED) 2>/dev/null))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null))$(PKG_LIBS)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(CFLAGS) -fPIC -fvisibility=hidden -ffp-contract=off -fopenmp \
  $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
  -Iinclude -Isrc $(PKG_CFLAGS) -DAS_VERSION='"$(VERSION)"' -DAS_DNNL=$(DNNL)
DNNL_LIB := $(if $(filter 0,$(DNNL)),,-ldnnl)
LDLIBS   = $(DNNL_LIB) $(PKG_LIBS) -lsnappy -lm -fopenmp $(if $(SAN),-fsanitize=$(SAN))

SRC     := $(foreach f,$(FOLDERS),$(wildcard src/$(f)/*.c))
OBJ     := $(SRC:%.c=$(B)/%.o)

all: $(B)/assay lib

# The kernels: one source, compiled once per ISA level into a table of pointers (src/tensor/kernels/).
ifeq ($(ARCH),x86_64)
ISAS := portable avx2 avx512
ISA_avx2   := -mavx2 -mfma -mf16c -mbmi2
ISA_avx512 := -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mbmi2 -mprefer-vector-width=512
ISA_portable := -msse4.2 -mpopcnt
else
ISAS := portable
endif
# Instrumented, the lanes of plain C take gcc many minutes, but half a one at -O1. Clang takes longer: there (TSan, the
# fuzzers) those are left out, and UBSan of the others.
UNSAN_portable := -fno-sanitize=all
UNSAN_avx2     := -fno-sanitize=undefined
UNSAN_avx512   := -fno-sanitize=undefined
KERNEL_SAN = -O1 -g0 $(if $(findstring clang,$(CC)),$(UNSAN_$(1)))
KERNEL_SRC := $(wildcard src/tensor/kernels/*.c)
KERNEL_OBJ := $(foreach i,$(ISAS),$(KERNEL_SRC:%.c=$(B)/%.$(i).o))
define isa_rule
$(B)/%.$(1).o: %.c | packages
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) $(if $(SAN),$(KERNEL_SAN),-O3) -DAS_KERNEL_ISA=$(1) $(ISA_$(1)) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

# Where the built-in tasks are when they are not beside the program.
$(B)/src/task/task_find.o: ALL_CFLAGS += -DAS_SHARE='"$(PREFIX)/share/assay"'
# Rebuilt when an MPI came or went: the stamp is named after it.
$(B)/src/dist/mpi_link.o: ALL_CFLAGS += $(if $(MPI_PKG),-DAS_MPI=1 $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I $(MPI_PKG))),-DAS_MPI=0)
$(B)/src/dist/mpi_link.o: $(B)/mpi-$(or $(MPI_PKG),none)
$(B)/mpi-%:
	@mkdir -p $(@D); rm -f $(B)/mpi-*; touch $@
$(B)/%.o: %.c | packages
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Names what is missing before the compiler does. oneDNN has no .pc file, snappy not everywhere.
packages:
	@missing=$$(for p in $(PKGS); do pkg-config --exists $$p 2>/dev/null || echo $$p; done); \
	[ -z "$(DNNL_LIB)" ] || echo '#include <dnnl.h>' | $(CC) -E -x c - >/dev/null 2>&1 || missing="$$missing oneDNN"; \
	echo '#include <snappy-c.h>' | $(CC) -E -x c - >/dev/null 2>&1 || missing="$$missing snappy"; \
	[ -z "$(filter 1,$(MPI))" ] || [ -n "$(MPI_PKG)" ] || missing="$$missing MPI"; \
	[ -z "$$missing" ] || { echo "missing:" $$missing; echo "hint: scripts/setup installs it."; exit 1; } >&2

# A static library per folder: a folder's tests link it and the folders below it, nothing above.
define folder_rule
$(B)/lib$(1).a: $(patsubst %.c,$(B)/%.o,$(wildcard src/$(1)/*.c)) $(if $(filter tensor,$(1)),$(KERNEL_OBJ))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

NEEDS_base   := base
NEEDS_tensor := tensor base
NEEDS_io     := io base
NEEDS_stats  := stats base
NEEDS_dist   := dist base
NEEDS_store  := store base
NEEDS_token  := token io base
NEEDS_metric := metric stats base
NEEDS_data   := data token io base
NEEDS_model  := model tensor io base
NEEDS_task   := task data metric token stats io base
below = $(or $(NEEDS_$(1)),$(filter-out cli,$(FOLDERS)))
link  = -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# tests/FOLDER/test_*.c: one cmocka program each. `make t-token` builds and runs those of one folder.
TESTS := $(wildcard tests/*/test_*.c)
define test_rule
$(B)/tests/$(1)/%: tests/$(1)/%.c $$(foreach f,$$(call below,$(1)),$$(B)/lib$$(f).a)
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -Itests $$< -o $$@ $$(link) -lcmocka -MMD -MP
t-$(1): $$(patsubst %.c,$$(B)/%,$$(filter tests/$(1)/%,$$(TESTS)))
	@for t in $$^; do echo "== $$$$t"; $$$$t || exit 1; done
endef
$(foreach f,$(FOLDERS),$(eval $(call test_rule,$(f))))

# tests/fuzz/fuzz_NAME.c with its corpus: replayed by the tests, run by `make fuzz-NAME FUZZ_SECONDS=600` (new finds go to
# build/, a crash that is kept joins the corpus). A target links the folders that it includes, and those below them.
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_MODE := CC=clang DNNL=0 SAN=address,undefined,fuzzer-no-link
FUZZ_B    := build/clang-address-undefined-fuzzer-no-link-nodnnl
define fuzz_rule
$(B)/fuzz/$(1) $(B)/tests/fuzz/replay_$(1): tests/fuzz/fuzz_$(1).c tests/fuzz/replay.c $(foreach f,$(sort base \
  $(foreach i,$(shell sed -n 's|^#include "\([a-z]*\)/.*|\1|p' tests/fuzz/fuzz_$(1).c),$(call below,$(i)))),$(B)/lib$(f).a)
	@mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -DFUZZ_NAME='"$(1)"' $$(if $$(findstring replay_,$$@),tests/fuzz/replay.c,-fsanitize=fuzzer) $$< -o $$@ $$(link)
endef
$(foreach n,$(FUZZERS),$(eval $(call fuzz_rule,$(n))))
fuzz-%:
	$(MAKE) $(FUZZ_MODE) $(FUZZ_B)/fuzz/$*
	@mkdir -p build/corpus/$*
	$(FUZZ_B)/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/corpus/ build/corpus/$* tests/fuzz/corpus/$*

# What the runner is given. Leaks of libomp at exit are not ours, and its threads are
# known to TSan only through its own tool.
TEST_BIN   := $(TESTS:%.c=$(B)/%) $(FUZZERS:%=$(B)/tests/fuzz/replay_%)
THREAD_BIN := $(patsubst %.c,$(B)/%,$(shell grep -lE 'as_parallel_|pthread_create|threads' $(TESTS) /dev/null))
CLI_TESTS  := $(wildcard tests/cli/*.sh)
export LSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS ?= ignore_noninstrumented_modules=1
SUB  = +$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

test-build: $(TEST_BIN) $(if $(CLI_TESTS),$(B)/assay $(B)/libassay.a)
thread-build: $(THREAD_BIN)
RUN_TESTS = CC='$(CC)' CFLAGS="-std=c11 -D_GNU_SOURCE -Wall -Wextra $$(pkg-config --cflags $(PKGS))" scripts/run-tests \
  scripts/check-layers scripts/check-headers
TEST_RUN := $(TEST_BIN) ASSAY=$(CURDIR)/$(B)/assay $(CLI_TESTS)

test:
	@scripts/setup
	$(SUB) test-build
	@$(RUN_TESTS) $(TEST_RUN)

# The long tier, `make test` included: slow tests (ASSAY_FULL), both sanitizer builds, clang.
SAN_MODE  := SAN=address,undefined DNNL=0
TSAN_MODE := CC=clang SAN=thread DNNL=0
in = $(subst $(B)/,build/$(1)/,$(2))
test-full:
	@scripts/setup full
	$(SUB) test-build
	$(SUB) $(SAN_MODE) test-build
	$(SUB) CC=clang all test-build
	$(SUB) $(TSAN_MODE) thread-build
	@$(RUN_TESTS) ASSAY_FULL=1 $(TEST_RUN) ASSAY_FULL= $(call in,$(notdir $(CC))-address-undefined-nodnnl,$(TEST_RUN)) \
	  $(call in,clang,$(TEST_RUN)) $(call in,clang-thread-nodnnl,$(THREAD_BIN))

$(B)/assay: $(OBJ) $(KERNEL_OBJ)
	$(CC) $(ALL_CFLAGS) $^ -o $@ $(LDLIBS)

# The libraries hold all but cli, and export assay_* only: hidden symbols become local in the archive, too.
LIB_OBJ := $(filter-out $(B)/src/cli/%,$(OBJ)) $(KERNEL_OBJ)
lib: $(B)/libassay.a $(B)/libassay.so
$(B)/libassay.a: $(LIB_OBJ)
	ld -r $^ -o $(B)/libassay.o
	objcopy --localize-hidden $(B)/libassay.o
	@rm -f $@; ar rcs $@ $(B)/libassay.o
$(B)/libassay.so: $(LIB_OBJ)
	$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,$(SONAME) $(if $(SAN),,-Wl,-z,defs) $^ -o $@ $(LDLIBS)
	ln -sf libassay.so $(B)/$(SONAME)

D = $(DESTDIR)$(PREFIX)
install: all
	install -d $(D)/bin $(D)/include $(D)/lib/pkgconfig $(D)/share/man/man1 $(D)/share/assay \
	  $(D)/share/bash-completion/completions $(D)/share/zsh/site-functions
	install -m 755 $(B)/assay $(D)/bin/assay
	install -m 644 include/assay.h $(D)/include/assay.h
	install -m 644 $(B)/libassay.a $(D)/lib/libassay.a
	install -m 755 $(B)/libassay.so $(D)/lib/libassay.so.$(VERSION)
	ln -sf libassay.so.$(VERSION) $(D)/lib/$(SONAME)
	ln -sf $(SONAME) $(D)/lib/libassay.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: assay' 'Description: trains, evaluates and explains language models' \
	  'Version: $(VERSION)' 'Requires.private: $(PKGS)' 'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lassay' \
	  'Libs.private: $(DNNL_LIB) -lsnappy -lm -fopenmp' > $(D)/lib/pkgconfig/assay.pc
	$(B)/assay --man > $(D)/share/man/man1/assay.1
	$(B)/assay --completion bash > $(D)/share/bash-completion/completions/assay
	$(B)/assay --completion zsh > $(D)/share/zsh/site-functions/_assay
	cp -R share/assay/. $(D)/share/assay/

demo:
	@scripts/setup
	$(SUB) $(B)/assay
	@ASSAY=$(B)/assay scripts/demo
# bench/side.c is assay's side of the benchmarks; the rivals need Python (bench/run says what).
$(B)/bench/side: bench/side.c $(foreach f,$(filter-out cli serve api report,$(FOLDERS)),$(B)/lib$(f).a)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $< -o $@ $(link)
bench: $(B)/assay $(B)/bench/side
	ASSAY=$(B)/assay ASSAY_SIDE=$(B)/bench/side bench/run
format:
	clang-format -i $(wildcard include/*.h src/*/*.[ch] src/tensor/kernels/*.[ch] tests/*/*.[ch] examples/*.c)

clean:
	rm -rf build
.PHONY: all lib packages test test-full test-build thread-build install demo bench format clean
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
