#include "operator.h"

enum { X, Starts };

static OrtStatus *compute(ApusRun *run) {
    int64_t rows = 0, width = 0, count = 0, longest = 0;
    OrtStatus *status = apus_run_matrix(run, X, &rows, &width);
    if (status == NULL) status = apus_run_starts(run, Starts, rows, &count, &longest);
    float *y = NULL;
    if (status == NULL) status = apus_run_output(run, count, width, &y);
    if (status != NULL || count == 0 || width == 0) return status;
    return apus_run_finish(run, apus_pool(run->kernel->attributes.mode, run->inputs[X].data, width, run->inputs[Starts].data, count, y));
}

const ApusOperator apus_pool_operator = {
    .name = "Pool",
    .attributes = ApusMode,
    .inputs = {[X] = {"x", ApusFloats}, [Starts] = {"starts", ApusIntegers}},
    .compute = compute,
};
