/* predict.c: what a fine-tuned checkpoint says about the texts on the command line.
 *     cc predict.c $(pkg-config --cflags --libs assay) -o predict
 *     ./predict finetuned "Simply a joy." "从头到尾都很无聊。" */
#include <assay.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: predict MODEL TEXT...\n"), 2;
    assay_err err = {0};
    assay_model *model = NULL;
    const size_t count = (size_t)argc - 2;
    double *probs = NULL;
    int failed = assay_model_open(&model, argv[1], NULL, &err);
    const int labels = failed ? 0 : assay_model_num_labels(model);
    if (!failed) failed = !(probs = calloc(count * (size_t)labels, sizeof *probs));
    if (!failed) failed = assay_predict(model, (const char *const *)argv + 2, count, probs, &err);
    for (size_t i = 0; !failed && i < count; i++) {
        int best = 0;
        for (int k = 1; k < labels; k++)
            if (probs[i * (size_t)labels + (size_t)k] > probs[i * (size_t)labels + (size_t)best]) best = k;
        printf("%-10s %.4f  %s\n", assay_model_label(model, best), probs[i * (size_t)labels + (size_t)best], argv[i + 2]);
    }
    if (failed) fprintf(stderr, "%s\n%s\n", err.msg, err.hint);
    free(probs);
    assay_model_free(model);
    return failed;
}
