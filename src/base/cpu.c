#include "base/cpu.h"
#include <stdint.h>
#include <string.h>

static const char *const isa_names[AS_ISA_COUNT] = {"portable", "avx2", "avx512", "avx512-bf16"};

const char *as_isa_name(as_isa isa) {
    return isa >= 0 && isa < AS_ISA_COUNT ? isa_names[isa] : "unknown";
}

bool as_isa_parse(const char *name, as_isa *out) {
    for (int i = 0; i < AS_ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0) {
            *out = (as_isa)i;
            return true;
        }
    return false;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct registers {
    uint32_t a, b, c, d;
} registers;

static registers cpuid(uint32_t leaf, uint32_t sub) {
    registers r = {0};
    if (!__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d)) return (registers){0};
    return r;
}

/* XCR0: which register files the operating system saves on a switch; without that a CPUID bit means
 * nothing. */
static uint64_t saved_state(void) {
    const uint32_t osxsave = 1u << 27;
    if ((cpuid(1, 0).c & osxsave) == 0) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static bool all_set(uint64_t value, uint64_t bits) {
    return (value & bits) == bits;
}

as_isa as_cpu_detect(void) {
    const registers one = cpuid(1, 0), seven = cpuid(7, 0), seven_one = cpuid(7, 1),
                    extended = cpuid(0x80000001u, 0);
    const uint64_t state = saved_state();
    const uint32_t one_c = 1u << 12 | 1u << 22 | 1u << 28 | 1u << 29; /* FMA MOVBE AVX F16C */
    const uint32_t seven_avx2 = 1u << 3 | 1u << 5 | 1u << 8;          /* BMI1 AVX2 BMI2 */
    const uint32_t seven_avx512 =
        1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
    const uint64_t state_avx = 0x6, state_avx512 = 0xE6;
    if (!all_set(one.c, one_c) || !all_set(seven.b, seven_avx2) ||
        !all_set(extended.c, 1u << 5) /* LZCNT */
        || !all_set(state, state_avx))
        return AS_ISA_PORTABLE;
    if (!all_set(seven.b, seven_avx512) || !all_set(state, state_avx512)) return AS_ISA_AVX2;
    return all_set(seven_one.a, 1u << 5) ? AS_ISA_AVX512_BF16 : AS_ISA_AVX512;
}

/* Linux lends the tile registers only to processes that ask (arch_prctl, ARCH_REQ_XCOMP_PERM). */
bool as_cpu_has_amx_bf16(void) {
    const uint32_t tile_bf16 = 1u << 22 | 1u << 24;
    const uint64_t state_tiles = 3ull << 17;
    if (!all_set(cpuid(7, 0).d, tile_bf16) || !all_set(saved_state(), state_tiles)) return false;
#if defined(__linux__) && defined(SYS_arch_prctl)
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return false;
#endif
}

static char cpu_name[3 * sizeof(registers) + 1];
static pthread_once_t cpu_name_once = PTHREAD_ONCE_INIT;

static void read_cpu_name(void) {
    char text[sizeof cpu_name] = "";
    for (uint32_t i = 0; i < 3; i++) {
        const registers r = cpuid(0x80000002u + i, 0);
        memcpy(text + i * sizeof r, &r, sizeof r);
    }
    size_t used = 0; /* vendors pad with spaces in front, inside and behind */
    for (const char *p = text; *p != '\0'; p++)
        if (*p != ' ' || (used > 0 && cpu_name[used - 1] != ' ')) cpu_name[used++] = *p;
    while (used > 0 && cpu_name[used - 1] == ' ')
        used--;
    cpu_name[used] = '\0';
}

const char *as_cpu_name(void) {
    pthread_once(&cpu_name_once, read_cpu_name);
    return cpu_name;
}

#else

as_isa as_cpu_detect(void) {
    return AS_ISA_PORTABLE;
}
bool as_cpu_has_amx_bf16(void) {
    return false;
}
const char *as_cpu_name(void) {
    return "";
}

#endif
