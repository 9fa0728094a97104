#include "token/unicode.h"
#include <stddef.h>

enum {
    S_BASE = 0xAC00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28
};

bool as_uc_is_chinese(uint32_t cp) {
    if (cp < 0x3400) return false;
    return (cp >= 0x4E00 && cp <= 0x9FFF) || cp <= 0x4DBF || (cp >= 0xF900 && cp <= 0xFAFF) ||
           (cp >= 0x20000 && cp <= 0x2A6DF) || (cp >= 0x2A700 && cp <= 0x2B81F) ||
           (cp >= 0x2B920 && cp <= 0x2CEAF) || (cp >= 0x2F800 && cp <= 0x2FA1F);
}

int as_uc_decompose(uint32_t out[AS_UC_MAX], uint32_t cp, bool compatible) {
    if (as_uc_is_hangul(cp)) {
        const uint32_t s = cp - S_BASE, t = s % T_COUNT;
        out[0] = L_BASE + s / (V_COUNT * T_COUNT);
        out[1] = V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT;
        if (t == 0) return 2;
        out[2] = T_BASE + t;
        return 3;
    }
    const unsigned f = as_uc_flags(cp);
    const uint32_t *seq = NULL;
    if (compatible && (f & AS_UC_NFKD))
        seq = as_uc_nfkd(cp);
    else if (f & AS_UC_NFD)
        seq = as_uc_nfd(cp);
    if (seq == NULL) return out[0] = cp, 1;
    for (uint32_t i = 0; i < seq[0]; i++)
        out[i] = seq[1 + i];
    return (int)seq[0];
}

unsigned as_uc_ccc(uint32_t cp) {
    if (!(as_uc_flags(cp) & AS_UC_CCC)) return 0;
    int lo = 0, hi = as_uc_ccc_count;
    while (hi - lo > 1) {
        const int mid = (lo + hi) / 2;
        if (as_uc_ccc_runs[mid].first <= cp)
            lo = mid;
        else
            hi = mid;
    }
    return as_uc_ccc_runs[lo].ccc;
}

uint32_t as_uc_compose(uint32_t a, uint32_t b) {
    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (as_uc_is_hangul(a) && (a - S_BASE) % T_COUNT == 0 && b - (T_BASE + 1) < T_COUNT - 1)
        return a + (b - T_BASE);
    int lo = 0, hi = as_uc_pair_count;
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        const as_uc_pair *p = &as_uc_pairs[mid];
        if (p->first == a && p->second == b) return p->composed;
        if (p->first < a || (p->first == a && p->second < b))
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}
