#include "base/check.h"
#include "base/cpu.h"
#include <stdio.h>
#include <string.h>

static void test_cpu_isa_names_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < AS_ISA_COUNT; i++) {
        as_isa back = AS_ISA_COUNT;
        assert_true(as_isa_parse(as_isa_name((as_isa)i), &back));
        assert_int_equal(back, i);
    }
    as_isa isa = AS_ISA_AVX2;
    assert_false(as_isa_parse("avx", &isa));
    assert_false(as_isa_parse("", &isa));
    assert_int_equal(isa, AS_ISA_AVX2);
    assert_string_equal(as_isa_name(AS_ISA_COUNT), "unknown");
}

/* The kernel's own list of flags, which also says what the system saves. */
static bool kernel_lists(const char *flag) {
    FILE *const f = fopen("/proc/cpuinfo", "r");
    static char line[1 << 16];
    bool found = false;
    if (f == NULL) return false;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "flags", 5) != 0) continue;
        const size_t n = strlen(flag);
        for (const char *p = strstr(line, flag); p != NULL && !found; p = strstr(p + 1, flag))
            found = p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n');
        break;
    }
    fclose(f);
    return found;
}

static void test_cpu_detection_agrees_with_the_kernel(void **state) {
    (void)state;
    if (!kernel_lists("fpu")) {
        print_message("skip reason: /proc/cpuinfo lists no x86 flags\n");
        skip();
    }
    const as_isa isa = as_cpu_detect();
    const bool avx2 = kernel_lists("avx2") && kernel_lists("fma") && kernel_lists("bmi2") &&
                      kernel_lists("f16c") && kernel_lists("movbe") && kernel_lists("abm");
    const bool avx512 = avx2 && kernel_lists("avx512f") && kernel_lists("avx512bw") &&
                        kernel_lists("avx512cd") && kernel_lists("avx512dq") &&
                        kernel_lists("avx512vl");
    assert_int_equal(isa >= AS_ISA_AVX2, avx2);
    assert_int_equal(isa >= AS_ISA_AVX512, avx512);
    assert_int_equal(isa >= AS_ISA_AVX512_BF16, avx512 && kernel_lists("avx512_bf16"));
    if (as_cpu_has_amx_bf16()) assert_true(kernel_lists("amx_bf16"));
}

static void test_cpu_name_is_trimmed_and_stable(void **state) {
    (void)state;
    const char *const name = as_cpu_name();
    assert_ptr_equal(name, as_cpu_name());
    const size_t n = strlen(name);
    assert_true(n < 49);
    if (n > 0) assert_true(name[0] != ' ' && name[n - 1] != ' ' && strstr(name, "  ") == NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_isa_names_round_trip),
        cmocka_unit_test(test_cpu_detection_agrees_with_the_kernel),
        cmocka_unit_test(test_cpu_name_is_trimmed_and_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
