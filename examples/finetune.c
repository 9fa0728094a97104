/* finetune.c: the usual example, whole: load a checkpoint, tokenise, train (AdamW, batches of 16, 3 epochs), evaluate, save.
 *     cc finetune.c $(pkg-config --cflags --libs assay) -o finetune
 *     ./finetune bert-mini train.csv dev.csv */
#include <assay.h>
#include <stdio.h>

int main(int argc, char **argv) {
    assay_err err = {0};
    assay_model *model = NULL;
    assay_data *train = NULL, *dev = NULL;
    assay_scores scores = {0};
    assay_model_opts head = assay_model_defaults();
    assay_data_opts cols = assay_data_defaults();
    assay_train_opts recipe = assay_train_defaults();
    head.head = ASSAY_CLASSIFY, head.num_labels = 2;
    cols.text = "text", cols.label = "label";
    recipe.lr = 5e-4, recipe.batch_size = 16, recipe.epochs = 3;

    if (argc < 4) return fprintf(stderr, "usage: finetune MODEL TRAIN.csv DEV.csv\n"), 2;
    const int failed = assay_model_open(&model, argv[1], &head, &err)
        || assay_data_open(&train, argv[2], &cols, &err)
        || assay_data_open(&dev, argv[3], &cols, &err)
        || assay_train(model, train, dev, &recipe, &err)
        || assay_evaluate(model, dev, "accuracy,f1", &scores, &err)
        || assay_model_save(model, argc > 4 ? argv[4] : "finetuned", &err);
    if (failed)
        fprintf(stderr, "%s\n%s\n", err.msg, err.hint);
    else
        for (size_t i = 0; i < scores.count; i++)
            printf("%-12s %.4f [%.4f, %.4f]\n", scores.v[i].name, scores.v[i].value, scores.v[i].low, scores.v[i].high);
    assay_scores_free(&scores);
    assay_data_free(dev), assay_data_free(train), assay_model_free(model);
    return failed;
}
