/* cases.h: reads tests/golden/metric/cases.txt for the metric tests. */
#ifndef AS_TESTS_METRIC_CASES_H
#define AS_TESTS_METRIC_CASES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/metric.h"

enum { MOST_EXPECTED = 128, MOST_LABELS = 64 };
typedef struct golden_case {
    char name[64];
    as_predictions p;
    int32_t *gold, *pred;
    uint8_t *gold_sets, *pred_sets;
    double *probs, *gold_value, *pred_value;
    int expected;
    struct {
        char signature[64];
        double value;
    } want[MOST_EXPECTED];
} golden_case;

static const char *const case_labels[MOST_LABELS] = {
    "c0",  "c1",  "c2",  "c3",  "c4",  "c5",  "c6",  "c7",  "c8",  "c9",  "c10", "c11", "c12",
    "c13", "c14", "c15", "c16", "c17", "c18", "c19", "c20", "c21", "c22", "c23", "c24", "c25",
    "c26", "c27", "c28", "c29", "c30", "c31", "c32", "c33", "c34", "c35", "c36", "c37", "c38",
    "c39", "c40", "c41", "c42", "c43", "c44", "c45", "c46", "c47", "c48", "c49", "c50", "c51",
    "c52", "c53", "c54", "c55", "c56", "c57", "c58", "c59", "c60", "c61", "c62", "c63"};

static void golden_free(golden_case *c) {
    free(c->gold), free(c->pred), free(c->gold_sets), free(c->pred_sets), free(c->probs),
        free(c->gold_value), free(c->pred_value);
    memset(c, 0, sizeof *c);
}

static double golden_number(FILE *f) {
    double x = 0;
    if (fscanf(f, "%lf", &x) != 1) {
        fprintf(stderr, "cases.txt: a number is missing\n");
        exit(1);
    }
    return x;
}

/* Reads `count` numbers into a fresh array of the type of *slot. */
#define GOLDEN_ROW(f, slot, count, type)                                                           \
    do {                                                                                           \
        (slot) = malloc((size_t)(count) * sizeof(type) + 1);                                       \
        for (int64_t k_ = 0; k_ < (count); k_++)                                                   \
            (slot)[k_] = (type)golden_number(f);                                                   \
    } while (0)

/* The next case, false at the end of the file. */
static int golden_next(FILE *f, golden_case *c) {
    char word[64], kind[16];
    memset(c, 0, sizeof *c);
    while (fscanf(f, "%63s", word) == 1) {
        const int64_t all = c->p.n * c->p.num_labels;
        if (word[0] == '#') {
            if (fscanf(f, "%*[^\n]") < 0) return 0;
        } else if (strcmp(word, "case") == 0) {
            long long n;
            if (fscanf(f, "%63s %15s %lld %d %d", c->name, kind, &n, &c->p.num_labels,
                       &c->p.positive) != 5)
                exit(1);
            c->p.n = n;
            c->p.kind = strcmp(kind, "class") == 0  ? AS_PRED_CLASS
                        : strcmp(kind, "sets") == 0 ? AS_PRED_MULTILABEL
                                                    : AS_PRED_VALUE;
            c->p.label_names = case_labels;
        } else if (strcmp(word, "gold") == 0)
            GOLDEN_ROW(f, c->gold, c->p.n, int32_t);
        else if (strcmp(word, "pred") == 0)
            GOLDEN_ROW(f, c->pred, c->p.n, int32_t);
        else if (strcmp(word, "gold_sets") == 0)
            GOLDEN_ROW(f, c->gold_sets, all, uint8_t);
        else if (strcmp(word, "pred_sets") == 0)
            GOLDEN_ROW(f, c->pred_sets, all, uint8_t);
        else if (strcmp(word, "probs") == 0)
            GOLDEN_ROW(f, c->probs, all, double);
        else if (strcmp(word, "gold_value") == 0)
            GOLDEN_ROW(f, c->gold_value, c->p.n, double);
        else if (strcmp(word, "pred_value") == 0)
            GOLDEN_ROW(f, c->pred_value, c->p.n, double);
        else if (strcmp(word, "metric") == 0) {
            if (fscanf(f, "%63s", c->want[c->expected].signature) != 1 ||
                c->expected + 1 == MOST_EXPECTED)
                exit(1);
            c->want[c->expected++].value = golden_number(f);
        } else if (strcmp(word, "end") == 0) {
            c->p.gold = c->gold, c->p.pred = c->pred, c->p.probs = c->probs;
            c->p.gold_sets = c->gold_sets, c->p.pred_sets = c->pred_sets;
            c->p.gold_value = c->gold_value, c->p.pred_value = c->pred_value;
            return 1;
        } else
            exit(1);
    }
    return 0;
}

#endif
