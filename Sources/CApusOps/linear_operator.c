#include "operator.h"

enum { X, Packed, Bias };

static OrtStatus *compute(ApusRun *run) {
    int64_t rows = 0, k = 0, n = 0, columns = 0;
    OrtStatus *status = apus_run_matrix(run, X, &rows, &k);
    if (status == NULL) status = apus_run_blob(run, Packed, &n, &columns);
    if (status == NULL) status = apus_run_blob_of(run, Packed, n, k);
    if (status == NULL) status = apus_run_vector(run, Bias, n);
    float *y = NULL;
    if (status == NULL) status = apus_run_output(run, rows, n, &y);
    if (status != NULL || rows == 0) return status;
    const ApusTensor *inputs = run->inputs;
    void *scratch = NULL;
    status = apus_run_scratch(run, apus_linear_scratch(inputs[Packed].data, rows), &scratch);
    if (status != NULL) return status;
    return apus_run_finish(run, apus_linear(inputs[Packed].data, inputs[Bias].data, run->kernel->attributes.activation, inputs[X].data,
                                            rows, y, scratch));
}

const ApusOperator apus_linear_operator = {
    .name = "Linear",
    .attributes = ApusActivation,
    .inputs = {[X] = {"x", ApusFloats}, [Packed] = {"packed", ApusLinearBlob}, [Bias] = {"bias", ApusFloats, .optional = true}},
    .compute = compute,
};
