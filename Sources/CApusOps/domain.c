// The engine's side of the operators: what it asks about each of them, how it makes one and how it runs one.
//
// Shapes are not inferred when a session is made. The engine builds what an inference function reads from all inputs of a node, also from
// optional ones that are left out and have no type, and ends the process on them; and nothing depends on it, because sizes are known only
// at run time.

#include "CApusOps.h"

#include <stdlib.h>

#include "operator.h"

typedef struct ApusCustomOp {
    OrtCustomOp table;
    const ApusOperator *operator;
} ApusCustomOp;

static const ApusOperator *operator_of(const OrtCustomOp *op) {
    return ((const ApusCustomOp *)(const void *)op)->operator;
}

static const char *get_name(const OrtCustomOp *op) { return operator_of(op)->name; }

static const char *get_provider(const OrtCustomOp *op) { return operator_of(op)->provider; }

static size_t input_count(const ApusOperator *operator) {
    size_t count = 0;
    while (count < ApusMostInputs && operator->inputs[count].name != NULL) count++;
    return count;
}

static size_t get_input_count(const OrtCustomOp *op) { return input_count(operator_of(op)); }

static int32_t get_input_type(const OrtCustomOp *op, size_t index) { return apus_element_type(operator_of(op)->inputs[index].kind); }

static int32_t get_input_characteristic(const OrtCustomOp *op, size_t index) {
    return operator_of(op)->inputs[index].optional ? OrtCustomOpOptional : OrtCustomOpRequired;
}

static int32_t get_memory_type(const OrtCustomOp *op, size_t index) {
    (void)op, (void)index;
    return OrtMemoryDefault;
}

static size_t get_output_count(const OrtCustomOp *op) {
    (void)op;
    return 1;
}

static int32_t get_output_type(const OrtCustomOp *op, size_t index) {
    (void)index;
    return apus_element_type(operator_of(op)->output);
}

static int32_t get_output_characteristic(const OrtCustomOp *op, size_t index) {
    (void)op, (void)index;
    return OrtCustomOpRequired;
}

/// No operator has a varying number of inputs or outputs.
static int get_variadic(const OrtCustomOp *op) {
    (void)op;
    return 0;
}

static int get_version(const OrtCustomOp *op) {
    (void)op;
    return 1;
}

static void destroy_kernel(void *kernel) {
    ApusKernel *own = kernel;
    if (own == NULL) return;
    if (own->allocator != NULL) OrtReleaseAllocator(own->api, own->allocator);
    free(own);
}

/// Blobs that are constants are checked here too, so that a model with a broken one does not load.
static OrtStatus *check_constants(const OrtApi *api, const OrtKernelInfo *info, const ApusOperator *operator) {
    for (size_t index = 0; index < input_count(operator); index++) {
        const ApusInput *input = &operator->inputs[index];
        if (input->kind != ApusLinearBlob && input->kind != ApusTableBlob) continue;
        int is_constant = 0;
        const OrtValue *value = NULL;
        OrtStatus *status = OrtKernelInfoGetConstantInput_tensor(api, info, index, &is_constant, &value);
        if (status != NULL) return status;
        if (!is_constant || value == NULL) continue;
        ApusTensor tensor;
        int64_t rows = 0, columns = 0;
        status = apus_tensor_read(api, input, value, &tensor);
        if (status == NULL) status = apus_blob_check(api, input, &tensor, &rows, &columns);
        if (status != NULL) return status;
    }
    return NULL;
}

static OrtStatus *create_kernel(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel) {
    ApusKernel *own = calloc(1, sizeof *own);
    if (own == NULL) return OrtCreateStatus(api, OrtErrorFail, "std::bad_alloc");
    own->api = api;
    own->operator = operator_of(op);
    OrtStatus *status = apus_read_attributes(api, info, own->operator->attributes, &own->attributes);
    if (status == NULL) status = check_constants(api, info, own->operator);
    if (status == NULL) status = OrtKernelInfoGetAllocator(api, info, OrtMemoryDefault, &own->allocator);
    if (status != NULL) {
        destroy_kernel(own);
        own = NULL;
    }
    *kernel = own;
    return status;
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
    ApusRun run = {.kernel = kernel, .context = context};
    const OrtApi *api = run.kernel->api;
    const ApusOperator *operator = run.kernel->operator;
    size_t count = input_count(operator);
    for (size_t index = 0; index < count; index++) {
        const OrtValue *value = NULL;
        OrtStatus *status = OrtKernelContext_GetInput(api, context, index, &value);
        if (status == NULL) status = apus_tensor_read(api, &operator->inputs[index], value, &run.inputs[index]);
        if (status != NULL) return status;
    }
    OrtStatus *status = operator->compute(&run);
    if (run.scratch == NULL) return status;
    OrtStatus *freed = OrtAllocatorFree(api, run.kernel->allocator, run.scratch);
    if (status == NULL) return freed;
    if (freed != NULL) OrtReleaseStatus(api, freed);
    return status;
}

#define TABLE                                                       \
    {                                                               \
        .version = APUS_ORT_API_VERSION,                            \
        .get_name = get_name,                                       \
        .get_execution_provider_type = get_provider,                \
        .get_input_type = get_input_type,                           \
        .get_input_type_count = get_input_count,                    \
        .get_output_type = get_output_type,                         \
        .get_output_type_count = get_output_count,                  \
        .kernel_destroy = destroy_kernel,                           \
        .get_input_characteristic = get_input_characteristic,       \
        .get_output_characteristic = get_output_characteristic,     \
        .get_input_memory_type = get_memory_type,                   \
        .get_variadic_input_min_arity = get_variadic,               \
        .get_variadic_input_homogeneity = get_variadic,             \
        .get_variadic_output_min_arity = get_variadic,              \
        .get_variadic_output_homogeneity = get_variadic,            \
        .create_kernel_v2 = create_kernel,                          \
        .kernel_compute_v2 = compute,                               \
        .get_start_version = get_version,                           \
        .get_end_version = get_version,                             \
    }

static const ApusCustomOp operators[] = {
    {TABLE, &apus_all_reduce_operator}, {TABLE, &apus_embed_operator}, {TABLE, &apus_feed_forward_operator},
    {TABLE, &apus_linear_operator},     {TABLE, &apus_pool_operator},  {TABLE, &apus_self_attention_operator},
    {TABLE, &apus_cuda_all_reduce_operators[0]},
    {TABLE, &apus_cuda_all_reduce_operators[1]},
    {TABLE, &apus_cuda_all_reduce_operators[2]},
};

OrtStatus *ApusOpsCreateDomain(const OrtApi *api, OrtCustomOpDomain **domain) {
    OrtStatus *status = OrtCreateCustomOpDomain(api, APUS_OPS_DOMAIN, domain);
    if (status != NULL) return status;
    for (size_t index = 0; index < sizeof operators / sizeof *operators; index++) {
        status = OrtCustomOpDomain_Add(api, *domain, &operators[index].table);
        if (status != NULL) {
            OrtReleaseCustomOpDomain(api, *domain);
            *domain = NULL;
            return status;
        }
    }
    return NULL;
}
