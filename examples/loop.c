/* loop.c: finetune.c with the loop in your hands: order, learning rate and step are yours, tokens, gradients and AdamW are not.
 *     cc loop.c $(pkg-config --cflags --libs assay) -o loop
 *     ./loop bert-mini train.csv dev.csv */
#include <assay.h>
#include <stdio.h>

enum { EPOCHS = 3, WARMUP = 10 };

/* Up to the full rate in WARMUP steps, then down to 0. */
static double rate(int64_t step, int64_t total) {
    return 5e-4 * (step < WARMUP ? (double)step / WARMUP : (double)(total - step) / (double)(total - WARMUP));
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "usage: loop MODEL TRAIN.csv DEV.csv\n"), 2;
    assay_err err = {0};
    assay_model *model = NULL;
    assay_data *train = NULL, *dev = NULL;
    assay_batches *batches = NULL;
    assay_optimizer *optimizer = NULL;
    assay_scores scores = {0};
    assay_model_opts head = assay_model_defaults();
    head.head = ASSAY_CLASSIFY, head.num_labels = 2;

    int failed = assay_model_open(&model, argv[1], &head, &err)
        || assay_data_open(&train, argv[2], NULL, &err)
        || assay_data_open(&dev, argv[3], NULL, &err)
        || assay_batches_open(&batches, model, train, NULL, &err)
        || assay_optimizer_open(&optimizer, model, NULL, &err);
    const int64_t total = failed ? 0 : EPOCHS * assay_batches_count(batches);
    for (int epoch = 1; !failed && epoch <= EPOCHS; epoch++) {
        assay_batch batch;
        assay_output out;
        double loss = 0.0;
        int64_t items = 0;
        while (!(failed = assay_next_batch(batches, &batch, &err)) && batch.count > 0) {
            assay_zero_grad(optimizer);
            assay_set_lr(optimizer, rate(assay_steps(optimizer), total));
            failed = assay_forward(model, &batch, &out, &err) || assay_backward(model, &err) || assay_step(optimizer, &err);
            if (failed) break;
            loss += out.loss * (double)batch.count, items += batch.count;
        }
        if (!failed) printf("epoch %d: loss %.4f\n", epoch, loss / (double)items);
    }
    if (!failed) failed = assay_evaluate(model, dev, "accuracy,f1", &scores, &err);
    for (size_t i = 0; i < scores.count; i++)
        printf("%-12s %.4f [%.4f, %.4f]\n", scores.v[i].name, scores.v[i].value, scores.v[i].low, scores.v[i].high);
    if (failed) fprintf(stderr, "%s\n%s\n", err.msg, err.hint);
    assay_scores_free(&scores);
    assay_optimizer_free(optimizer), assay_batches_free(batches);
    assay_data_free(dev), assay_data_free(train), assay_model_free(model);
    return failed;
}
