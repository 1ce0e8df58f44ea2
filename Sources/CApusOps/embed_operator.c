#include "operator.h"

enum { Words, Positions, Types, Gamma, Beta, InputIDs, PositionIDs, TypeIDs };

/// [1, tokens] of ids in the table at `table`.
static OrtStatus *check_ids(const ApusRun *run, size_t index, size_t table, int64_t tokens, int64_t table_rows) {
    const ApusTensor *tensor = &run->inputs[index];
    const ApusInput *inputs = run->kernel->operator->inputs;
    if (tensor->rank != 2 || tensor->dimensions[0] != 1 || tensor->dimensions[1] != tokens) {
        return apus_run_status(run, "input '%s' is not [1, %lld]", inputs[index].name, (long long)tokens);
    }
    const int32_t *ids = tensor->data;
    for (int64_t token = 0; token < tokens; token++) {
        if (ids[token] >= 0 && ids[token] < table_rows) continue;
        return apus_run_status(run, "input '%s' has the id %d at %lld, the table '%s' has %lld rows", inputs[index].name, ids[token],
                               (long long)token, inputs[table].name, (long long)table_rows);
    }
    return NULL;
}

static OrtStatus *check_table(const ApusRun *run, size_t table, size_t ids, int64_t tokens, int64_t width) {
    int64_t rows = 0, columns = 0;
    OrtStatus *status = apus_run_blob(run, table, &rows, &columns);
    if (status == NULL) status = apus_run_blob_of(run, table, rows, width);
    return status != NULL ? status : check_ids(run, ids, table, tokens, rows);
}

static OrtStatus *compute(ApusRun *run) {
    const ApusTensor *inputs = run->inputs;
    int64_t one = 0, tokens = 0, rows = 0, width = 0;
    if ((inputs[Types].data == NULL) != (inputs[TypeIDs].data == NULL)) {
        return apus_run_status(run, "inputs 'types' and 'token_type_ids' come together or not at all");
    }
    OrtStatus *status = apus_run_matrix(run, InputIDs, &one, &tokens);
    if (status == NULL) status = apus_run_blob(run, Words, &rows, &width);
    if (status == NULL) status = check_table(run, Words, InputIDs, tokens, width);
    if (status == NULL) status = check_table(run, Positions, PositionIDs, tokens, width);
    if (status == NULL && inputs[Types].data != NULL) status = check_table(run, Types, TypeIDs, tokens, width);
    if (status == NULL) status = apus_run_vector(run, Gamma, width);
    if (status == NULL) status = apus_run_vector(run, Beta, width);
    float *y = NULL;
    if (status == NULL) status = apus_run_output(run, tokens, width, &y);
    if (status != NULL || tokens == 0) return status;
    return apus_run_finish(run, apus_embed(inputs[Words].data, inputs[Positions].data, inputs[Types].data, inputs[Gamma].data,
                                           inputs[Beta].data, run->kernel->attributes.epsilon, inputs[InputIDs].data,
                                           inputs[PositionIDs].data, inputs[TypeIDs].data, tokens, y));
}

const ApusOperator apus_embed_operator = {
    .name = "Embed",
    .attributes = ApusEpsilon,
    .inputs =
        {
            [Words] = {"words", ApusTableBlob},
            [Positions] = {"positions", ApusTableBlob},
            [Types] = {"types", ApusTableBlob, .optional = true},
            [Gamma] = {"gamma", ApusFloats},
            [Beta] = {"beta", ApusFloats},
            [InputIDs] = {"input_ids", ApusIntegers},
            [PositionIDs] = {"position_ids", ApusIntegers},
            [TypeIDs] = {"token_type_ids", ApusIntegers, .optional = true},
        },
    .compute = compute,
};
