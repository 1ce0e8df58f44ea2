#include "operator.h"

enum { X, Starts, QKV, QKVBias, Out, OutBias, Gamma, Beta, RelativeBias };

/// [1, heads, size, size] with a size of at least `longest`.
static OrtStatus *check_relative_bias(const ApusRun *run, int64_t heads, int64_t longest, int64_t *size) {
    const ApusTensor *bias = &run->inputs[RelativeBias];
    *size = 0;
    if (bias->data == NULL) return NULL;
    const int64_t *dimensions = bias->dimensions;
    if (bias->rank != 4 || dimensions[0] != 1 || dimensions[1] != heads || dimensions[2] != dimensions[3]) {
        return apus_run_status(run, "input 'relative_bias' is not [1, %lld, size, size]", (long long)heads);
    }
    *size = dimensions[2];
    if (*size >= longest) return NULL;
    return apus_run_status(run, "a sequence has %lld tokens, input 'relative_bias' is for %lld", (long long)longest, (long long)*size);
}

static OrtStatus *compute(ApusRun *run) {
    const ApusTensor *inputs = run->inputs;
    const ApusAttributes *attributes = &run->kernel->attributes;
    int64_t rows = 0, width = 0, count = 0, longest = 0, bias_size = 0, all = 0;
    OrtStatus *status = apus_run_matrix(run, X, &rows, &width);
    if (status != NULL) return status;
    if (width % attributes->heads != 0 || __builtin_mul_overflow(width, (int64_t)3, &all)) {
        return apus_run_status(run, "%lld channels cannot be shared by %lld heads", (long long)width, (long long)attributes->heads);
    }
    status = apus_run_starts(run, Starts, rows, &count, &longest);
    if (status == NULL) status = apus_run_blob_of(run, QKV, all, width);
    if (status == NULL) status = apus_run_blob_of(run, Out, width, width);
    if (status == NULL) status = apus_run_vector(run, QKVBias, all);
    if (status == NULL) status = apus_run_vector(run, OutBias, width);
    if (status == NULL) status = apus_run_vector(run, Gamma, width);
    if (status == NULL) status = apus_run_vector(run, Beta, width);
    if (status == NULL) status = check_relative_bias(run, attributes->heads, longest, &bias_size);
    float *y = NULL;
    if (status == NULL) status = apus_run_output(run, rows, width, &y);
    if (status != NULL || rows == 0) return status;
    const int32_t *starts = inputs[Starts].data;
    void *scratch = NULL;
    status = apus_run_scratch(run, apus_self_attention_scratch(inputs[QKV].data, inputs[Out].data, attributes->heads, starts, count),
                              &scratch);
    if (status != NULL) return status;
    return apus_run_finish(run, apus_self_attention(inputs[QKV].data, inputs[QKVBias].data, inputs[Out].data, inputs[OutBias].data,
                                                    attributes->heads, attributes->scale, inputs[RelativeBias].data, bias_size,
                                                    inputs[Gamma].data, inputs[Beta].data, attributes->epsilon, inputs[X].data, starts,
                                                    count, y, scratch));
}

const ApusOperator apus_self_attention_operator = {
    .name = "SelfAttention",
    .attributes = ApusHeads | ApusScale | ApusEpsilon,
    .inputs =
        {
            [X] = {"x", ApusFloats},
            [Starts] = {"starts", ApusIntegers},
            [QKV] = {"qkv", ApusLinearBlob},
            [QKVBias] = {"qkv_bias", ApusFloats, .optional = true},
            [Out] = {"out", ApusLinearBlob},
            [OutBias] = {"out_bias", ApusFloats, .optional = true},
            [Gamma] = {"gamma", ApusFloats},
            [Beta] = {"beta", ApusFloats},
            [RelativeBias] = {"relative_bias", ApusFloats, .optional = true},
        },
    .compute = compute,
};
