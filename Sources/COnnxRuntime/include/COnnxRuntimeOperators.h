// The part of the ABI that is about operators of our own: what the engine asks of one, and what one may ask of the engine while it is
// made and while it runs. Included by COnnxRuntime.h, which says what all of this is.
#ifndef C_ONNX_RUNTIME_OPERATORS_H
#define C_ONNX_RUNTIME_OPERATORS_H

#include "COnnxRuntime.h"

#pragma clang assume_nonnull begin

typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtPrepackedWeightsContainer OrtPrepackedWeightsContainer;
typedef struct OrtShapeInferContext OrtShapeInferContext;

/// `ONNXTensorElementDataType`, as far as operators of our own use them.
enum { OrtElementTypeFloat = 1, OrtElementTypeUInt8 = 2, OrtElementTypeInt32 = 6, OrtElementTypeFloat16 = 10, OrtElementTypeBFloat16 = 16 };

/// `OrtErrorCode`, as far as operators of our own answer with them.
enum { OrtErrorFail = 1, OrtErrorInvalidArgument = 2 };

/// `OrtCustomOpInputOutputCharacteristic`.
enum { OrtCustomOpRequired = 0, OrtCustomOpOptional = 1 };

/// `OrtMemType`: the memory of the provider that runs the operator.
enum { OrtMemoryDefault = 0 };

/// One operator as the engine sees it; the caller fills it, and it outlives every session that knows it. Functions that are null are not
/// asked for: the first pair is of old engines, inferred shapes and the last four are a matter of choice.
typedef struct OrtCustomOp {
    /// The API version that it is written for.
    uint32_t version;
    void *_Nullable (*_Nullable create_kernel)(const struct OrtCustomOp *, const OrtApi *, const OrtKernelInfo *);
    const char *_Nonnull (*_Nonnull get_name)(const struct OrtCustomOp *);
    /// Null: the CPU provider.
    const char *_Nullable (*_Nonnull get_execution_provider_type)(const struct OrtCustomOp *);
    int32_t (*_Nonnull get_input_type)(const struct OrtCustomOp *, size_t index);
    size_t (*_Nonnull get_input_type_count)(const struct OrtCustomOp *);
    int32_t (*_Nonnull get_output_type)(const struct OrtCustomOp *, size_t index);
    size_t (*_Nonnull get_output_type_count)(const struct OrtCustomOp *);
    void (*_Nullable kernel_compute)(void *op_kernel, OrtKernelContext *);
    void (*_Nonnull kernel_destroy)(void *_Nullable op_kernel);
    int32_t (*_Nonnull get_input_characteristic)(const struct OrtCustomOp *, size_t index);
    int32_t (*_Nonnull get_output_characteristic)(const struct OrtCustomOp *, size_t index);
    int32_t (*_Nonnull get_input_memory_type)(const struct OrtCustomOp *, size_t index);
    int (*_Nonnull get_variadic_input_min_arity)(const struct OrtCustomOp *);
    int (*_Nonnull get_variadic_input_homogeneity)(const struct OrtCustomOp *);
    int (*_Nonnull get_variadic_output_min_arity)(const struct OrtCustomOp *);
    int (*_Nonnull get_variadic_output_homogeneity)(const struct OrtCustomOp *);
    OrtStatus *_Nullable (*_Nonnull create_kernel_v2)(const struct OrtCustomOp *, const OrtApi *, const OrtKernelInfo *, void
        *_Nullable *_Nonnull kernel);
    OrtStatus *_Nullable (*_Nonnull kernel_compute_v2)(void *op_kernel, OrtKernelContext *);
    OrtStatus *_Nullable (*_Nullable infer_output_shape)(const struct OrtCustomOp *, OrtShapeInferContext *);
    int (*_Nonnull get_start_version)(const struct OrtCustomOp *);
    int (*_Nonnull get_end_version)(const struct OrtCustomOp *);
    size_t (*_Nullable get_may_inplace)(int *_Nonnull *_Nonnull input_index, int *_Nonnull *_Nonnull output_index);
    void (*_Nullable release_may_inplace)(int *_Nullable input_index, int *_Nullable output_index);
    size_t (*_Nullable get_alias_map)(int *_Nonnull *_Nonnull input_index, int *_Nonnull *_Nonnull output_index);
    void (*_Nullable release_alias_map)(int *_Nullable input_index, int *_Nullable output_index);
} OrtCustomOp;

static inline OrtStatus *_Nullable OrtCreateStatus(const OrtApi *api, int32_t code, const char *msg) {
    return ((OrtStatus *_Nullable (*)(int32_t, const char *))api->entry[0])(code, msg);
}

static inline OrtStatus *_Nullable OrtCreateCustomOpDomain(const OrtApi *api, const char *domain, OrtCustomOpDomain
        *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const char *, OrtCustomOpDomain *_Nullable *_Nonnull))api->entry[26])(domain, out);
}

static inline OrtStatus *_Nullable OrtCustomOpDomain_Add(const OrtApi *api, OrtCustomOpDomain *custom_op_domain, const
        OrtCustomOp *op) {
    return ((OrtStatus *_Nullable (*)(OrtCustomOpDomain *, const OrtCustomOp *))api->entry[27])(custom_op_domain, op);
}

static inline OrtStatus *_Nullable OrtAddCustomOpDomain(const OrtApi *api, OrtSessionOptions *options, OrtCustomOpDomain
        *custom_op_domain) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, OrtCustomOpDomain *))api->entry[28])(options,
        custom_op_domain);
}

static inline void OrtReleaseCustomOpDomain(const OrtApi *api, OrtCustomOpDomain *input) {
    ((void (*)(OrtCustomOpDomain *))api->entry[101])(input);
}

static inline OrtStatus *_Nullable OrtKernelInfoGetAttribute_float(const OrtApi *api, const OrtKernelInfo *info, const
        char *name, float *out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelInfo *, const char *, float *))api->entry[85])(info, name, out);
}

static inline OrtStatus *_Nullable OrtKernelInfoGetAttribute_int64(const OrtApi *api, const OrtKernelInfo *info, const
        char *name, int64_t *out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelInfo *, const char *, int64_t *))api->entry[86])(info, name, out);
}

/// `size` is the capacity of `out` in bytes, the terminating NUL included; an error when the text is longer.
static inline OrtStatus *_Nullable OrtKernelInfoGetAttribute_string(const OrtApi *api, const OrtKernelInfo *info, const
        char *name, char *out, size_t *size) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelInfo *, const char *, char *, size_t *))api->entry[87])(info, name,
        out, size);
}

/// `out` is set when the input is a constant of the graph; it is the session's.
static inline OrtStatus *_Nullable OrtKernelInfoGetConstantInput_tensor(const OrtApi *api, const OrtKernelInfo *info,
        size_t index, int *is_constant, const OrtValue *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelInfo *, size_t, int *, const OrtValue *_Nullable
        *_Nonnull))api->entry[249])(info, index, is_constant, out);
}

/// The session's allocator of the provider that runs the operator; to be released by the caller.
static inline OrtStatus *_Nullable OrtKernelInfoGetAllocator(const OrtApi *api, const OrtKernelInfo *info, int32_t
        mem_type, OrtAllocator *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelInfo *, int32_t, OrtAllocator *_Nullable
        *_Nonnull))api->entry[278])(info, mem_type, out);
}

/// Null for an optional input that is left out.
static inline OrtStatus *_Nullable OrtKernelContext_GetInput(const OrtApi *api, const OrtKernelContext *context, size_t
        index, const OrtValue *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelContext *, size_t, const OrtValue *_Nullable
        *_Nonnull))api->entry[90])(context, index, out);
}

static inline OrtStatus *_Nullable OrtKernelContext_GetOutput(const OrtApi *api, OrtKernelContext *context, size_t
        index, const int64_t *dim_values, size_t dim_count, OrtValue *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue *_Nullable
        *_Nonnull))api->entry[91])(context, index, dim_values, dim_count, out);
}

/// The stream that the provider's kernels are put into, on CUDA a `cudaStream_t`.
static inline OrtStatus *_Nullable OrtKernelContext_GetGPUComputeStream(const OrtApi *api, const OrtKernelContext *context,
        void *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtKernelContext *, void *_Nullable *_Nonnull))api->entry[193])(context, out);
}

static inline OrtStatus *_Nullable OrtAllocatorAlloc(const OrtApi *api, OrtAllocator *ort_allocator, size_t size, void
        *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtAllocator *, size_t, void *_Nullable *_Nonnull))api->entry[75])(ort_allocator,
        size, out);
}

static inline OrtStatus *_Nullable OrtGetTensorData(const OrtApi *api, const OrtValue *value, const void *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtValue *, const void *_Nullable *_Nonnull))api->entry[378])(value, out);
}

/// `shape_data` is the value's own and lives as long as it; null for a tensor of no dimensions.
static inline OrtStatus *_Nullable OrtGetTensorElementTypeAndShapeDataReference(const OrtApi *api, const OrtValue
        *value, int32_t *elem_type, const int64_t *_Nullable *_Nonnull shape_data, size_t *shape_data_count) {
    return ((OrtStatus *_Nullable (*)(const OrtValue *, int32_t *, const int64_t *_Nullable *_Nonnull, size_t
        *))api->entry[414])(value, elem_type, shape_data, shape_data_count);
}

/// A session whose graph is still to come. `model_data` is a serialised `ModelProto`.
static inline OrtStatus *_Nullable OrtEditorCreateModelEditorSessionFromArray(const OrtModelEditorApi *api, const OrtEnv
        *env, const void *model_data, size_t model_data_length, const OrtSessionOptions *options, OrtSession *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession
        *_Nullable *_Nonnull))api->entry[16])(env, model_data, model_data_length, options, out);
}

static inline OrtStatus *_Nullable OrtEditorApplyModelToModelEditorSession(const OrtModelEditorApi *api, OrtSession
        *session, OrtModel *model) {
    return ((OrtStatus *_Nullable (*)(OrtSession *, OrtModel *))api->entry[18])(session, model);
}

static inline OrtStatus *_Nullable OrtEditorFinalizeModelEditorSession(const OrtModelEditorApi *api, OrtSession
        *session, const OrtSessionOptions *options, OrtPrepackedWeightsContainer *_Nullable
        prepacked_weights_container) {
    return ((OrtStatus *_Nullable (*)(OrtSession *, const OrtSessionOptions *, OrtPrepackedWeightsContainer
        *_Nullable))api->entry[19])(session, options, prepacked_weights_container);
}

#pragma clang assume_nonnull end

#endif
