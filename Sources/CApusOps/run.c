#include "operator.h"

int32_t apus_element_type(ApusInputKind kind) {
    switch (kind) {
    case ApusFloats: return OrtElementTypeFloat;
    case ApusHalves: return OrtElementTypeFloat16;
    case ApusBrains: return OrtElementTypeBFloat16;
    case ApusIntegers: return OrtElementTypeInt32;
    case ApusLinearBlob:
    case ApusTableBlob: return OrtElementTypeUInt8;
    }
}

static const ApusInput *input_at(const ApusRun *run, size_t index) {
    return &run->kernel->operator->inputs[index];
}

OrtStatus *apus_tensor_read(const OrtApi *api, const ApusInput *input, const OrtValue *value, ApusTensor *tensor) {
    *tensor = (ApusTensor){0};
    if (value == NULL) return input->optional ? NULL : apus_status(api, "input '%s' is missing", input->name);
    int32_t type = 0;
    OrtStatus *status = OrtGetTensorElementTypeAndShapeDataReference(api, value, &type, &tensor->dimensions, &tensor->rank);
    if (status != NULL) return status;
    if (type != apus_element_type(input->kind)) {
        return apus_status(api, "input '%s' has elements of type %d, not %d", input->name, type, apus_element_type(input->kind));
    }
    status = OrtGetTensorData(api, value, &tensor->data);
    if (status != NULL) return status;
    // A tensor without elements may have no address; it is there all the same.
    static const int64_t nothing = 0;
    if (tensor->data == NULL) tensor->data = &nothing;
    return NULL;
}

OrtStatus *apus_blob_check(const OrtApi *api, const ApusInput *input, const ApusTensor *tensor, int64_t *rows, int64_t *columns) {
    if (tensor->rank != 1) return apus_status(api, "input '%s' is a blob and has 1 dimension, not %zu", input->name, tensor->rank);
    size_t bytes = (size_t)tensor->dimensions[0];
    apus_result result = input->kind == ApusTableBlob ? apus_table_check(tensor->data, bytes, rows, columns)
                                                      : apus_linear_check(tensor->data, bytes, rows, columns);
    if (result == APUS_OK) return NULL;
    return apus_status(api, "the %zu bytes of input '%s' are not %s, or do not lie on a 64-byte border", bytes, input->name,
                       input->kind == ApusTableBlob ? "an embedding table" : "packed weights");
}

OrtStatus *apus_run_matrix(const ApusRun *run, size_t index, int64_t *rows, int64_t *columns) {
    const ApusTensor *tensor = &run->inputs[index];
    if (tensor->rank != 2) {
        return apus_run_status(run, "input '%s' has %zu dimensions, not 2", input_at(run, index)->name, tensor->rank);
    }
    *rows = tensor->dimensions[0];
    *columns = tensor->dimensions[1];
    return NULL;
}

OrtStatus *apus_run_vector(const ApusRun *run, size_t index, int64_t count) {
    const ApusTensor *tensor = &run->inputs[index];
    if (tensor->data == NULL || (tensor->rank == 1 && tensor->dimensions[0] == count)) return NULL;
    return apus_run_status(run, "input '%s' is not one row of %lld elements", input_at(run, index)->name, (long long)count);
}

OrtStatus *apus_run_blob(const ApusRun *run, size_t index, int64_t *rows, int64_t *columns) {
    return apus_blob_check(run->kernel->api, input_at(run, index), &run->inputs[index], rows, columns);
}

OrtStatus *apus_run_blob_of(const ApusRun *run, size_t index, int64_t rows, int64_t columns) {
    int64_t has_rows = 0, has_columns = 0;
    OrtStatus *status = apus_run_blob(run, index, &has_rows, &has_columns);
    if (status != NULL || (has_rows == rows && has_columns == columns)) return status;
    return apus_run_status(run, "input '%s' is for %lld by %lld, %lld by %lld fits here", input_at(run, index)->name,
                           (long long)has_rows, (long long)has_columns, (long long)rows, (long long)columns);
}

OrtStatus *apus_run_starts(const ApusRun *run, size_t index, int64_t rows, int64_t *count, int64_t *longest) {
    const ApusTensor *tensor = &run->inputs[index];
    const char *name = input_at(run, index)->name;
    if (tensor->rank != 1 || tensor->dimensions[0] < 1) {
        return apus_run_status(run, "input '%s' is not one row of at least one element", name);
    }
    const int32_t *starts = tensor->data;
    *count = tensor->dimensions[0] - 1;
    *longest = 0;
    if (starts[0] != 0) return apus_run_status(run, "input '%s' begins with %d, not with 0", name, starts[0]);
    for (int64_t sequence = 0; sequence < *count; sequence++) {
        int64_t length = (int64_t)starts[sequence + 1] - starts[sequence];
        if (length < 1) {
            return apus_run_status(run, "input '%s' does not rise at %lld: no sequence may be empty", name, (long long)sequence + 1);
        }
        if (length > *longest) *longest = length;
    }
    if (starts[*count] == rows) return NULL;
    return apus_run_status(run, "input '%s' ends with %d, there are %lld rows", name, starts[*count], (long long)rows);
}

OrtStatus *apus_run_output(ApusRun *run, int64_t rows, int64_t columns, float **output) {
    const OrtApi *api = run->kernel->api;
    int64_t dimensions[2] = {rows, columns};
    OrtValue *value = NULL;
    OrtStatus *status = OrtKernelContext_GetOutput(api, run->context, 0, dimensions, 2, &value);
    if (status != NULL) return status;
    if (value == NULL) return apus_run_status(run, "nobody wants the output");
    return OrtGetTensorMutableData(api, value, (void **)output);
}

OrtStatus *apus_run_output_like(ApusRun *run, size_t index, void **output, size_t *count) {
    const OrtApi *api = run->kernel->api;
    const ApusTensor *tensor = &run->inputs[index];
    *count = 1;
    for (size_t axis = 0; axis < tensor->rank; axis++) {
        int64_t size = tensor->dimensions[axis];
        if (size < 0 || __builtin_mul_overflow(*count, (size_t)size, count)) {
            return apus_run_status(run, "input '%s' has an impossible shape", input_at(run, index)->name);
        }
    }
    OrtValue *value = NULL;
    // A tensor without dimensions has no list of them, and the engine wants one.
    static const int64_t nothing = 0;
    OrtStatus *status = OrtKernelContext_GetOutput(api, run->context, 0, tensor->dimensions != NULL ? tensor->dimensions : &nothing,
                                                   tensor->rank, &value);
    if (status != NULL) return status;
    if (value == NULL) return apus_run_status(run, "nobody wants the output");
    return OrtGetTensorMutableData(api, value, (void **)output);
}

OrtStatus *apus_run_scratch(ApusRun *run, size_t bytes, void **scratch) {
    static const uintptr_t border = 64;
    size_t with_border = 0;
    if (bytes == 0 || __builtin_add_overflow(bytes, border - 1, &with_border)) {
        return apus_run_status(run, "the kernel does not take these sizes");
    }
    OrtStatus *status = OrtAllocatorAlloc(run->kernel->api, run->kernel->allocator, with_border, &run->scratch);
    if (status != NULL) return status;
    if (run->scratch == NULL) {
        // The engine's own words for it, by which callers know what happened.
        return apus_run_status(run, "Failed to allocate memory for requested buffer of size %zu", with_border);
    }
    *scratch = (void *)(((uintptr_t)run->scratch + border - 1) & ~(border - 1));
    return NULL;
}

OrtStatus *apus_run_finish(const ApusRun *run, apus_result result) {
    switch (result) {
    case APUS_OK: return NULL;
    case APUS_BAD_ARGUMENT: return apus_run_status(run, "the kernel refuses these inputs");
    case APUS_BAD_BLOB: return apus_run_status(run, "the kernel refuses these weights");
    }
}
