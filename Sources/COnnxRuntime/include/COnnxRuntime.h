// Our own declarations of the part of ONNX Runtime's C ABI that Apus calls.
//
// The official header is not in the wheels that carry the library. The ABI is a table of function pointers that is only
// ever appended to, so a function is known by its index and signature; both are those of API version 29, and hold
// for every library of 1.29 and newer. Building needs neither the library nor its header.
#ifndef C_ONNX_RUNTIME_H
#define C_ONNX_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The API version Apus is written against: the smallest minor version of a usable library.
#define APUS_ORT_API_VERSION 29

typedef struct OrtAllocator OrtAllocator;
typedef struct OrtCUDAProviderOptionsV2 OrtCUDAProviderOptionsV2;
typedef struct OrtEnv OrtEnv;
typedef struct OrtEpAssignedNode OrtEpAssignedNode;
typedef struct OrtEpAssignedSubgraph OrtEpAssignedSubgraph;
typedef struct OrtEpDevice OrtEpDevice;
typedef struct OrtGraph OrtGraph;
typedef struct OrtHardwareDevice OrtHardwareDevice;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtModel OrtModel;
typedef struct OrtNode OrtNode;
typedef struct OrtOpAttr OrtOpAttr;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtStatus OrtStatus;
typedef struct OrtTensorRTProviderOptionsV2 OrtTensorRTProviderOptionsV2;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtValue OrtValue;
typedef struct OrtValueInfo OrtValueInfo;

/// Severity 0 verbose … 4 fatal. `location` is file and line inside the engine.
typedef void (*OrtLoggingFunction)(void *_Nullable param, int32_t severity, const char *category, const char *logid,
                                   const char *location, const char *message);

typedef struct OrtApi {
    void (*_Nonnull entry[425])(void);
} OrtApi;

typedef struct OrtModelEditorApi {
    void (*_Nonnull entry[20])(void);
} OrtModelEditorApi;

typedef enum ApusOrtOpenResult {
    ApusOrtOpened = 0,
    /// dlopen failed; the reason is in `reason`.
    ApusOrtNotLoadable = 1,
    /// The library does not export OrtGetApiBase.
    ApusOrtNotAnEngine = 2,
    /// The library is older than APUS_ORT_API_VERSION; its version string is in `reason`.
    ApusOrtTooOld = 3,
} ApusOrtOpenResult;

/// Loads the library at `path` for the life of the process (it owns thread pools and cannot be unloaded safely).
/// On success `api` and `version` are set; both live as long as the process. `reason` receives a NUL-terminated text otherwise.
ApusOrtOpenResult ApusOrtOpen(const char *path, const OrtApi *_Nullable *_Nonnull api,
                              const char *_Nullable *_Nonnull version, char *reason, size_t reason_capacity);

/// Has the C library of this process take blocks of 1 MiB and more from the system one by one, so that they go back when they are freed.
/// glibc begins so, but moves the border up to 32 MiB with every such block that is freed; what is freed below it at the end of a thread's
/// heap is kept even by `malloc_trim`.
void ApusMapLargeBlocks(void);

/// Hands memory that was freed in this process back to the system; does nothing where the C library does so by itself.
void ApusReturnFreedPages(void);

static inline int32_t OrtGetErrorCode(const OrtApi *api, const OrtStatus *status) {
    return ((int32_t (*)(const OrtStatus *))api->entry[1])(status);
}

static inline const char *OrtGetErrorMessage(const OrtApi *api, const OrtStatus *status) {
    return ((const char * (*)(const OrtStatus *))api->entry[2])(status);
}

static inline void OrtReleaseStatus(const OrtApi *api, OrtStatus *input) {
    ((void (*)(OrtStatus *))api->entry[93])(input);
}

static inline OrtStatus *_Nullable OrtCreateEnvWithCustomLogger(const OrtApi *api, OrtLoggingFunction
        logging_function, void *_Nullable logger_param, int32_t log_severity_level, const char *logid, OrtEnv
        *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtLoggingFunction, void *_Nullable, int32_t, const char *, OrtEnv *_Nullable
        *_Nonnull))api->entry[4])(logging_function, logger_param, log_severity_level, logid, out);
}

static inline OrtStatus *_Nullable OrtCreateSessionOptions(const OrtApi *api, OrtSessionOptions *_Nullable *_Nonnull
        options) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *_Nullable *_Nonnull))api->entry[10])(options);
}

static inline void OrtReleaseSessionOptions(const OrtApi *api, OrtSessionOptions *input) {
    ((void (*)(OrtSessionOptions *))api->entry[100])(input);
}

static inline OrtStatus *_Nullable OrtSetSessionGraphOptimizationLevel(const OrtApi *api, OrtSessionOptions
        *options, int32_t graph_optimization_level) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, int32_t))api->entry[23])(options, graph_optimization_level);
}

static inline OrtStatus *_Nullable OrtSetIntraOpNumThreads(const OrtApi *api, OrtSessionOptions *options, int
        intra_op_num_threads) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, int))api->entry[24])(options, intra_op_num_threads);
}

static inline OrtStatus *_Nullable OrtSetInterOpNumThreads(const OrtApi *api, OrtSessionOptions *options, int
        inter_op_num_threads) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, int))api->entry[25])(options, inter_op_num_threads);
}

static inline OrtStatus *_Nullable OrtDisableMemPattern(const OrtApi *api, OrtSessionOptions *options) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *))api->entry[17])(options);
}

static inline OrtStatus *_Nullable OrtAddSessionConfigEntry(const OrtApi *api, OrtSessionOptions *options, const
        char *config_key, const char *config_value) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, const char *, const char *))api->entry[130])(options,
        config_key, config_value);
}

static inline OrtStatus *_Nullable OrtAddInitializer(const OrtApi *api, OrtSessionOptions *options, const char
        *name, const OrtValue *val) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, const char *, const OrtValue *))api->entry[150])(options,
        name, val);
}

static inline OrtStatus *_Nullable OrtCreateSession(const OrtApi *api, const OrtEnv *env, const char *model_path,
        const OrtSessionOptions *options, OrtSession *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession *_Nullable
        *_Nonnull))api->entry[7])(env, model_path, options, out);
}

static inline OrtStatus *_Nullable OrtCreateSessionFromArray(const OrtApi *api, const OrtEnv *env, const void
        *model_data, size_t model_data_length, const OrtSessionOptions *options, OrtSession *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession
        *_Nullable *_Nonnull))api->entry[8])(env, model_data, model_data_length, options, out);
}

static inline void OrtReleaseSession(const OrtApi *api, OrtSession *input) {
    ((void (*)(OrtSession *))api->entry[95])(input);
}

static inline OrtStatus *_Nullable OrtSessionGetInputCount(const OrtApi *api, const OrtSession *session, size_t
        *out) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t *))api->entry[30])(session, out);
}

static inline OrtStatus *_Nullable OrtSessionGetOutputCount(const OrtApi *api, const OrtSession *session, size_t
        *out) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t *))api->entry[31])(session, out);
}

static inline OrtStatus *_Nullable OrtSessionGetInputName(const OrtApi *api, const OrtSession *session, size_t
        index, OrtAllocator *allocator, char *_Nullable *_Nonnull value) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t, OrtAllocator *, char *_Nullable
        *_Nonnull))api->entry[36])(session, index, allocator, value);
}

static inline OrtStatus *_Nullable OrtSessionGetOutputName(const OrtApi *api, const OrtSession *session, size_t
        index, OrtAllocator *allocator, char *_Nullable *_Nonnull value) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t, OrtAllocator *, char *_Nullable
        *_Nonnull))api->entry[37])(session, index, allocator, value);
}

static inline OrtStatus *_Nullable OrtSessionGetInputTypeInfo(const OrtApi *api, const OrtSession *session, size_t
        index, OrtTypeInfo *_Nullable *_Nonnull type_info) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t, OrtTypeInfo *_Nullable
        *_Nonnull))api->entry[33])(session, index, type_info);
}

static inline OrtStatus *_Nullable OrtSessionGetOutputTypeInfo(const OrtApi *api, const OrtSession *session, size_t
        index, OrtTypeInfo *_Nullable *_Nonnull type_info) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, size_t, OrtTypeInfo *_Nullable
        *_Nonnull))api->entry[34])(session, index, type_info);
}

static inline OrtStatus *_Nullable OrtCastTypeInfoToTensorInfo(const OrtApi *api, const OrtTypeInfo *type_info,
        const OrtTensorTypeAndShapeInfo *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo *_Nullable
        *_Nonnull))api->entry[55])(type_info, out);
}

static inline void OrtReleaseTypeInfo(const OrtApi *api, OrtTypeInfo *input) {
    ((void (*)(OrtTypeInfo *))api->entry[98])(input);
}

static inline OrtStatus *_Nullable OrtGetTensorElementType(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info,
        int32_t *out) {
    return ((OrtStatus *_Nullable (*)(const OrtTensorTypeAndShapeInfo *, int32_t *))api->entry[60])(info, out);
}

static inline OrtStatus *_Nullable OrtGetDimensionsCount(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info,
        size_t *out) {
    return ((OrtStatus *_Nullable (*)(const OrtTensorTypeAndShapeInfo *, size_t *))api->entry[61])(info, out);
}

static inline OrtStatus *_Nullable OrtGetDimensions(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info,
        int64_t *dim_values, size_t dim_values_length) {
    return ((OrtStatus *_Nullable (*)(const OrtTensorTypeAndShapeInfo *, int64_t *, size_t))api->entry[62])(info,
        dim_values, dim_values_length);
}

static inline void OrtReleaseTensorTypeAndShapeInfo(const OrtApi *api, OrtTensorTypeAndShapeInfo *input) {
    ((void (*)(OrtTensorTypeAndShapeInfo *))api->entry[99])(input);
}

static inline OrtStatus *_Nullable OrtCreateTensorTypeAndShapeInfo(const OrtApi *api, OrtTensorTypeAndShapeInfo
        *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtTensorTypeAndShapeInfo *_Nullable *_Nonnull))api->entry[57])(out);
}

static inline OrtStatus *_Nullable OrtSetTensorElementType(const OrtApi *api, OrtTensorTypeAndShapeInfo *info,
        int32_t type) {
    return ((OrtStatus *_Nullable (*)(OrtTensorTypeAndShapeInfo *, int32_t))api->entry[58])(info, type);
}

static inline OrtStatus *_Nullable OrtSetDimensions(const OrtApi *api, OrtTensorTypeAndShapeInfo *info, const
        int64_t *dim_values, size_t dim_count) {
    return ((OrtStatus *_Nullable (*)(OrtTensorTypeAndShapeInfo *, const int64_t *, size_t))api->entry[59])(info,
        dim_values, dim_count);
}

static inline OrtStatus *_Nullable OrtSetSymbolicDimensions(const OrtApi *api, OrtTensorTypeAndShapeInfo *info,
        const char *_Nullable *_Nonnull dim_params, size_t dim_params_length) {
    return ((OrtStatus *_Nullable (*)(OrtTensorTypeAndShapeInfo *, const char *_Nullable *_Nonnull,
        size_t))api->entry[271])(info, dim_params, dim_params_length);
}

static inline OrtStatus *_Nullable OrtCreateCpuMemoryInfo(const OrtApi *api, int32_t type, int32_t mem_type,
        OrtMemoryInfo *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(int32_t, int32_t, OrtMemoryInfo *_Nullable *_Nonnull))api->entry[69])(type,
        mem_type, out);
}

static inline OrtStatus *_Nullable OrtCreateTensorWithDataAsOrtValue(const OrtApi *api, const OrtMemoryInfo *info,
        void *p_data, size_t p_data_len, const int64_t *shape, size_t shape_len, int32_t type, OrtValue *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int32_t, OrtValue
        *_Nullable *_Nonnull))api->entry[49])(info, p_data, p_data_len, shape, shape_len, type, out);
}

static inline OrtStatus *_Nullable OrtCreateTensorAsOrtValue(const OrtApi *api, OrtAllocator *allocator, const
        int64_t *shape, size_t shape_len, int32_t type, OrtValue *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtAllocator *, const int64_t *, size_t, int32_t, OrtValue *_Nullable
        *_Nonnull))api->entry[48])(allocator, shape, shape_len, type, out);
}

static inline OrtStatus *_Nullable OrtGetTensorMutableData(const OrtApi *api, OrtValue *value, void *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtValue *, void *_Nullable *_Nonnull))api->entry[51])(value, out);
}

static inline OrtStatus *_Nullable OrtGetTensorTypeAndShape(const OrtApi *api, const OrtValue *value,
        OrtTensorTypeAndShapeInfo *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtValue *, OrtTensorTypeAndShapeInfo *_Nullable
        *_Nonnull))api->entry[65])(value, out);
}

static inline void OrtReleaseValue(const OrtApi *api, OrtValue *input) {
    ((void (*)(OrtValue *))api->entry[96])(input);
}

static inline OrtStatus *_Nullable OrtRun(const OrtApi *api, OrtSession *session, const OrtRunOptions *_Nullable
        run_options, const char *_Nonnull const *_Nonnull input_names, const OrtValue *_Nonnull const *_Nonnull
        inputs, size_t input_len, const char *_Nonnull const *_Nonnull output_names, size_t output_names_len,
        OrtValue *_Nullable *_Nullable outputs) {
    return ((OrtStatus *_Nullable (*)(OrtSession *, const OrtRunOptions *_Nullable, const char *_Nonnull const
        *_Nonnull, const OrtValue *_Nonnull const *_Nonnull, size_t, const char *_Nonnull const *_Nonnull, size_t,
        OrtValue *_Nullable *_Nullable))api->entry[9])(session, run_options, input_names, inputs, input_len,
        output_names, output_names_len, outputs);
}

static inline OrtStatus *_Nullable OrtCreateRunOptions(const OrtApi *api, OrtRunOptions *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtRunOptions *_Nullable *_Nonnull))api->entry[39])(out);
}

static inline OrtStatus *_Nullable OrtAddRunConfigEntry(const OrtApi *api, OrtRunOptions *options, const char
        *config_key, const char *config_value) {
    return ((OrtStatus *_Nullable (*)(OrtRunOptions *, const char *, const char *))api->entry[165])(options, config_key,
        config_value);
}

static inline OrtStatus *_Nullable OrtGetAllocatorWithDefaultOptions(const OrtApi *api, OrtAllocator *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtAllocator *_Nullable *_Nonnull))api->entry[78])(out);
}

static inline OrtStatus *_Nullable OrtAllocatorFree(const OrtApi *api, OrtAllocator *ort_allocator, void *p) {
    return ((OrtStatus *_Nullable (*)(OrtAllocator *, void *))api->entry[76])(ort_allocator, p);
}

static inline OrtStatus *_Nullable OrtCreateOpAttr(const OrtApi *api, const char *name, const void *data, int len,
        int32_t type, OrtOpAttr *_Nullable *_Nonnull op_attr) {
    return ((OrtStatus *_Nullable (*)(const char *, const void *, int, int32_t, OrtOpAttr *_Nullable
        *_Nonnull))api->entry[211])(name, data, len, type, op_attr);
}

static inline void OrtReleaseOpAttr(const OrtApi *api, OrtOpAttr *input) {
    ((void (*)(OrtOpAttr *))api->entry[212])(input);
}

static inline const OrtModelEditorApi *_Nullable OrtGetModelEditorApi(const OrtApi *api) {
    return ((const OrtModelEditorApi * (*)(void))api->entry[291])();
}

static inline void OrtReleaseValueInfo(const OrtApi *api, OrtValueInfo *input) {
    ((void (*)(OrtValueInfo *))api->entry[285])(input);
}

static inline void OrtReleaseNode(const OrtApi *api, OrtNode *input) {
    ((void (*)(OrtNode *))api->entry[286])(input);
}

static inline void OrtReleaseGraph(const OrtApi *api, OrtGraph *input) {
    ((void (*)(OrtGraph *))api->entry[287])(input);
}

static inline void OrtReleaseModel(const OrtApi *api, OrtModel *input) {
    ((void (*)(OrtModel *))api->entry[288])(input);
}

static inline OrtStatus *_Nullable OrtGetAvailableProviders(const OrtApi *api, char *_Nonnull *_Nullable *_Nonnull
        out_ptr, int *provider_length) {
    return ((OrtStatus *_Nullable (*)(char *_Nonnull *_Nullable *_Nonnull, int *))api->entry[125])(out_ptr,
        provider_length);
}

static inline OrtStatus *_Nullable OrtReleaseAvailableProviders(const OrtApi *api, char *_Nonnull *_Nonnull ptr, int
        providers_length) {
    return ((OrtStatus *_Nullable (*)(char *_Nonnull *_Nonnull, int))api->entry[126])(ptr, providers_length);
}

static inline OrtStatus *_Nullable OrtEditorCreateTensorTypeInfo(const OrtModelEditorApi *api, const
        OrtTensorTypeAndShapeInfo *tensor_info, OrtTypeInfo *_Nullable *_Nonnull type_info) {
    return ((OrtStatus *_Nullable (*)(const OrtTensorTypeAndShapeInfo *, OrtTypeInfo *_Nullable
        *_Nonnull))api->entry[0])(tensor_info, type_info);
}

static inline OrtStatus *_Nullable OrtEditorCreateValueInfo(const OrtModelEditorApi *api, const char *name, const
        OrtTypeInfo *type_info, OrtValueInfo *_Nullable *_Nonnull value_info) {
    return ((OrtStatus *_Nullable (*)(const char *, const OrtTypeInfo *, OrtValueInfo *_Nullable
        *_Nonnull))api->entry[5])(name, type_info, value_info);
}

static inline OrtStatus *_Nullable OrtEditorCreateNode(const OrtModelEditorApi *api, const char *operator_name,
        const char *domain_name, const char *node_name, const char *_Nonnull const *_Nonnull input_names, size_t
        input_names_len, const char *_Nonnull const *_Nonnull output_names, size_t output_names_len, OrtOpAttr
        *_Nullable *_Nullable attributes, size_t attribs_len, OrtNode *_Nullable *_Nonnull node) {
    return ((OrtStatus *_Nullable (*)(const char *, const char *, const char *, const char *_Nonnull const *_Nonnull,
        size_t, const char *_Nonnull const *_Nonnull, size_t, OrtOpAttr *_Nullable *_Nullable, size_t, OrtNode
        *_Nullable *_Nonnull))api->entry[6])(operator_name, domain_name, node_name, input_names, input_names_len,
        output_names, output_names_len, attributes, attribs_len, node);
}

static inline OrtStatus *_Nullable OrtEditorCreateGraph(const OrtModelEditorApi *api, OrtGraph *_Nullable *_Nonnull
        graph) {
    return ((OrtStatus *_Nullable (*)(OrtGraph *_Nullable *_Nonnull))api->entry[7])(graph);
}

static inline OrtStatus *_Nullable OrtEditorSetGraphInputs(const OrtModelEditorApi *api, OrtGraph *graph,
        OrtValueInfo *_Nullable *_Nonnull inputs, size_t inputs_len) {
    return ((OrtStatus *_Nullable (*)(OrtGraph *, OrtValueInfo *_Nullable *_Nonnull, size_t))api->entry[8])(graph,
        inputs, inputs_len);
}

static inline OrtStatus *_Nullable OrtEditorSetGraphOutputs(const OrtModelEditorApi *api, OrtGraph *graph,
        OrtValueInfo *_Nullable *_Nonnull outputs, size_t outputs_len) {
    return ((OrtStatus *_Nullable (*)(OrtGraph *, OrtValueInfo *_Nullable *_Nonnull, size_t))api->entry[9])(graph,
        outputs, outputs_len);
}

static inline OrtStatus *_Nullable OrtEditorAddInitializerToGraph(const OrtModelEditorApi *api, OrtGraph *graph,
        const char *name, OrtValue *tensor, bool data_is_external) {
    return ((OrtStatus *_Nullable (*)(OrtGraph *, const char *, OrtValue *, bool))api->entry[10])(graph, name, tensor,
        data_is_external);
}

static inline OrtStatus *_Nullable OrtEditorAddNodeToGraph(const OrtModelEditorApi *api, OrtGraph *graph, OrtNode
        *node) {
    return ((OrtStatus *_Nullable (*)(OrtGraph *, OrtNode *))api->entry[11])(graph, node);
}

static inline OrtStatus *_Nullable OrtEditorCreateModel(const OrtModelEditorApi *api, const char *_Nonnull const
        *_Nonnull domain_names, const int *opset_versions, size_t opset_entries_len, OrtModel *_Nullable *_Nonnull
        model) {
    return ((OrtStatus *_Nullable (*)(const char *_Nonnull const *_Nonnull, const int *, size_t, OrtModel *_Nullable
        *_Nonnull))api->entry[12])(domain_names, opset_versions, opset_entries_len, model);
}

static inline OrtStatus *_Nullable OrtEditorAddGraphToModel(const OrtModelEditorApi *api, OrtModel *model, OrtGraph
        *graph) {
    return ((OrtStatus *_Nullable (*)(OrtModel *, OrtGraph *))api->entry[13])(model, graph);
}

static inline OrtStatus *_Nullable OrtEditorCreateSessionFromModel(const OrtModelEditorApi *api, const OrtEnv *env,
        const OrtModel *model, const OrtSessionOptions *options, OrtSession *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEnv *, const OrtModel *, const OrtSessionOptions *, OrtSession *_Nullable
        *_Nonnull))api->entry[14])(env, model, options, out);
}

#pragma clang assume_nonnull end

#include "COnnxRuntimeBinding.h"
#include "COnnxRuntimeDevices.h"
#include "COnnxRuntimeOperators.h"

#endif
