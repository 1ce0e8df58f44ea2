#include "operator.h"

enum { X, Up, UpBias, Down, DownBias, Gamma, Beta };

static OrtStatus *compute(ApusRun *run) {
    int64_t rows = 0, width = 0, inner = 0, columns = 0;
    OrtStatus *status = apus_run_matrix(run, X, &rows, &width);
    if (status == NULL) status = apus_run_blob(run, Up, &inner, &columns);
    if (status == NULL) status = apus_run_blob_of(run, Up, inner, width);
    if (status == NULL) status = apus_run_blob_of(run, Down, width, inner);
    if (status == NULL) status = apus_run_vector(run, UpBias, inner);
    if (status == NULL) status = apus_run_vector(run, DownBias, width);
    if (status == NULL) status = apus_run_vector(run, Gamma, width);
    if (status == NULL) status = apus_run_vector(run, Beta, width);
    float *y = NULL;
    if (status == NULL) status = apus_run_output(run, rows, width, &y);
    if (status != NULL || rows == 0) return status;
    const ApusTensor *inputs = run->inputs;
    const ApusAttributes *attributes = &run->kernel->attributes;
    void *scratch = NULL;
    status = apus_run_scratch(run, apus_feed_forward_scratch(inputs[Up].data, inputs[Down].data, rows), &scratch);
    if (status != NULL) return status;
    return apus_run_finish(run, apus_feed_forward(inputs[Up].data, inputs[UpBias].data, attributes->activation, inputs[Down].data,
                                                  inputs[DownBias].data, inputs[Gamma].data, inputs[Beta].data, attributes->epsilon,
                                                  inputs[X].data, rows, y, scratch));
}

const ApusOperator apus_feed_forward_operator = {
    .name = "FeedForward",
    .attributes = ApusActivation | ApusEpsilon,
    .inputs =
        {
            [X] = {"x", ApusFloats},
            [Up] = {"up", ApusLinearBlob},
            [UpBias] = {"up_bias", ApusFloats, .optional = true},
            [Down] = {"down", ApusLinearBlob},
            [DownBias] = {"down_bias", ApusFloats, .optional = true},
            [Gamma] = {"gamma", ApusFloats},
            [Beta] = {"beta", ApusFloats},
        },
    .compute = compute,
};
