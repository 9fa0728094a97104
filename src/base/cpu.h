/* cpu.h: what the processor and the operating system allow (CPUID and XGETBV). */
#ifndef AS_BASE_CPU_H
#define AS_BASE_CPU_H

#include <stdbool.h>

/* Ascending: a level includes those below it (on its architecture). */
typedef enum as_isa {
    AS_ISA_PORTABLE, /* x86-64-v2, or any other processor: plain C */
    AS_ISA_AVX2,     /* x86-64-v3: AVX2, FMA */
    AS_ISA_AVX512,   /* x86-64-v4: F, BW, CD, DQ, VL */
    AS_ISA_AVX512_BF16, /* and AVX512-BF16 */
    AS_ISA_COUNT
} as_isa;
as_isa as_cpu_detect(void);
bool as_cpu_has_amx_bf16(void);
const char *as_isa_name(as_isa isa);               /* "portable", "avx2", "avx512", "avx512-bf16" */
bool as_isa_parse(const char *name, as_isa *out);
const char *as_cpu_name(void);                     /* the model name, "" when unknown; static storage, set once */

#endif
