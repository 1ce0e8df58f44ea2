// The part of the ABI that is about devices: providers and what they offer, which nodes they took, memory, single runs.
// Included by COnnxRuntime.h, which says what all of this is.
#ifndef C_ONNX_RUNTIME_DEVICES_H
#define C_ONNX_RUNTIME_DEVICES_H

#include "COnnxRuntime.h"

#pragma clang assume_nonnull begin

static inline OrtStatus *_Nullable OrtRunOptionsSetTerminate(const OrtApi *api, OrtRunOptions *options) {
    return ((OrtStatus *_Nullable (*)(OrtRunOptions *))api->entry[46])(options);
}

static inline OrtStatus *_Nullable OrtRunOptionsEnableProfiling(const OrtApi *api, OrtRunOptions *options, const char
        *profile_file_prefix) {
    return ((OrtStatus *_Nullable (*)(OrtRunOptions *, const char *))api->entry[415])(options, profile_file_prefix);
}

static inline void OrtReleaseRunOptions(const OrtApi *api, OrtRunOptions *input) {
    ((void (*)(OrtRunOptions *))api->entry[97])(input);
}

static inline OrtStatus *_Nullable OrtCreateMemoryInfo(const OrtApi *api, const char *name, int32_t type, int id,
        int32_t mem_type, OrtMemoryInfo *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const char *, int32_t, int, int32_t, OrtMemoryInfo *_Nullable
        *_Nonnull))api->entry[68])(name, type, id, mem_type, out);
}

static inline void OrtReleaseMemoryInfo(const OrtApi *api, OrtMemoryInfo *input) {
    ((void (*)(OrtMemoryInfo *))api->entry[94])(input);
}

static inline OrtStatus *_Nullable OrtCreateAllocator(const OrtApi *api, const OrtSession *session, const OrtMemoryInfo
        *mem_info, OrtAllocator *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, const OrtMemoryInfo *, OrtAllocator *_Nullable
        *_Nonnull))api->entry[131])(session, mem_info, out);
}

static inline void OrtReleaseAllocator(const OrtApi *api, OrtAllocator *input) {
    ((void (*)(OrtAllocator *))api->entry[132])(input);
}

static inline OrtStatus *_Nullable OrtAllocatorGetStats(const OrtApi *api, const OrtAllocator *ort_allocator,
        OrtKeyValuePairs *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtAllocator *, OrtKeyValuePairs *_Nullable
        *_Nonnull))api->entry[319])(ort_allocator, out);
}

static inline void OrtGetKeyValuePairs(const OrtApi *api, const OrtKeyValuePairs *kvps, const char *_Nonnull const
        *_Nullable *_Nonnull keys, const char *_Nonnull const *_Nullable *_Nonnull values, size_t *num_entries) {
    ((void (*)(const OrtKeyValuePairs *, const char *_Nonnull const *_Nullable *_Nonnull, const char *_Nonnull const
        *_Nullable *_Nonnull, size_t *))api->entry[298])(kvps, keys, values, num_entries);
}

static inline void OrtReleaseKeyValuePairs(const OrtApi *api, OrtKeyValuePairs *input) {
    ((void (*)(OrtKeyValuePairs *))api->entry[300])(input);
}

static inline OrtStatus *_Nullable OrtCreateCUDAProviderOptions(const OrtApi *api, OrtCUDAProviderOptionsV2 *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtCUDAProviderOptionsV2 *_Nullable *_Nonnull))api->entry[205])(out);
}

static inline OrtStatus *_Nullable OrtUpdateCUDAProviderOptions(const OrtApi *api, OrtCUDAProviderOptionsV2
        *cuda_options, const char *_Nonnull const *_Nonnull keys, const char *_Nonnull const *_Nonnull values, size_t
        num_keys) {
    return ((OrtStatus *_Nullable (*)(OrtCUDAProviderOptionsV2 *, const char *_Nonnull const *_Nonnull, const char
        *_Nonnull const *_Nonnull, size_t))api->entry[206])(cuda_options, keys, values, num_keys);
}

static inline OrtStatus *_Nullable OrtSessionOptionsAppendExecutionProvider_CUDA_V2(const OrtApi *api, OrtSessionOptions
        *options, const OrtCUDAProviderOptionsV2 *cuda_options) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, const OrtCUDAProviderOptionsV2 *))api->entry[204])(options,
        cuda_options);
}

static inline void OrtReleaseCUDAProviderOptions(const OrtApi *api, OrtCUDAProviderOptionsV2 *input) {
    ((void (*)(OrtCUDAProviderOptionsV2 *))api->entry[208])(input);
}

static inline OrtStatus *_Nullable OrtCreateTensorRTProviderOptions(const OrtApi *api, OrtTensorRTProviderOptionsV2
        *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtTensorRTProviderOptionsV2 *_Nullable *_Nonnull))api->entry[171])(out);
}

static inline OrtStatus *_Nullable OrtUpdateTensorRTProviderOptions(const OrtApi *api, OrtTensorRTProviderOptionsV2
        *tensorrt_options, const char *_Nonnull const *_Nonnull keys, const char *_Nonnull const *_Nonnull values,
        size_t num_keys) {
    return ((OrtStatus *_Nullable (*)(OrtTensorRTProviderOptionsV2 *, const char *_Nonnull const *_Nonnull, const char
        *_Nonnull const *_Nonnull, size_t))api->entry[172])(tensorrt_options, keys, values, num_keys);
}

static inline OrtStatus *_Nullable OrtSessionOptionsAppendExecutionProvider_TensorRT_V2(const OrtApi *api,
        OrtSessionOptions *options, const OrtTensorRTProviderOptionsV2 *tensorrt_options) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, const OrtTensorRTProviderOptionsV2
        *))api->entry[170])(options, tensorrt_options);
}

static inline void OrtReleaseTensorRTProviderOptions(const OrtApi *api, OrtTensorRTProviderOptionsV2 *input) {
    ((void (*)(OrtTensorRTProviderOptionsV2 *))api->entry[174])(input);
}

static inline OrtStatus *_Nullable OrtRegisterExecutionProviderLibrary(const OrtApi *api, OrtEnv *env, const char
        *registration_name, const char *path) {
    return ((OrtStatus *_Nullable (*)(OrtEnv *, const char *, const char *))api->entry[301])(env, registration_name,
        path);
}

static inline OrtStatus *_Nullable OrtGetEpDevices(const OrtApi *api, const OrtEnv *env, const OrtEpDevice *_Nonnull
        const *_Nullable *_Nonnull ep_devices, size_t *num_ep_devices) {
    return ((OrtStatus *_Nullable (*)(const OrtEnv *, const OrtEpDevice *_Nonnull const *_Nullable *_Nonnull, size_t
        *))api->entry[303])(env, ep_devices, num_ep_devices);
}

static inline OrtStatus *_Nullable OrtSessionOptionsAppendExecutionProvider_V2(const OrtApi *api, OrtSessionOptions
        *session_options, OrtEnv *env, const OrtEpDevice *_Nonnull const *_Nonnull ep_devices, size_t num_ep_devices,
        const char *_Nonnull const *_Nullable ep_option_keys, const char *_Nonnull const *_Nullable ep_option_vals,
        size_t num_ep_options) {
    return ((OrtStatus *_Nullable (*)(OrtSessionOptions *, OrtEnv *, const OrtEpDevice *_Nonnull const *_Nonnull,
        size_t, const char *_Nonnull const *_Nullable, const char *_Nonnull const *_Nullable,
        size_t))api->entry[304])(session_options, env, ep_devices, num_ep_devices, ep_option_keys, ep_option_vals,
        num_ep_options);
}

static inline const char *OrtEpDevice_EpName(const OrtApi *api, const OrtEpDevice *ep_device) {
    return ((const char *(*)(const OrtEpDevice *))api->entry[312])(ep_device);
}

static inline const char *OrtEpDevice_EpVendor(const OrtApi *api, const OrtEpDevice *ep_device) {
    return ((const char *(*)(const OrtEpDevice *))api->entry[313])(ep_device);
}

static inline const OrtKeyValuePairs *_Nullable OrtEpDevice_EpMetadata(const OrtApi *api, const OrtEpDevice *ep_device)
        {
    return ((const OrtKeyValuePairs *_Nullable (*)(const OrtEpDevice *))api->entry[314])(ep_device);
}

static inline const OrtHardwareDevice *OrtEpDevice_Device(const OrtApi *api, const OrtEpDevice *ep_device) {
    return ((const OrtHardwareDevice *(*)(const OrtEpDevice *))api->entry[316])(ep_device);
}

static inline const OrtMemoryInfo *_Nullable OrtEpDevice_MemoryInfo(const OrtApi *api, const OrtEpDevice *ep_device,
        int32_t memory_type) {
    return ((const OrtMemoryInfo *_Nullable (*)(const OrtEpDevice *, int32_t))api->entry[374])(ep_device, memory_type);
}

static inline int32_t OrtHardwareDevice_Type(const OrtApi *api, const OrtHardwareDevice *device) {
    return ((int32_t (*)(const OrtHardwareDevice *))api->entry[307])(device);
}

static inline uint32_t OrtHardwareDevice_VendorId(const OrtApi *api, const OrtHardwareDevice *device) {
    return ((uint32_t (*)(const OrtHardwareDevice *))api->entry[308])(device);
}

static inline const char *OrtHardwareDevice_Vendor(const OrtApi *api, const OrtHardwareDevice *device) {
    return ((const char *(*)(const OrtHardwareDevice *))api->entry[309])(device);
}

static inline uint32_t OrtHardwareDevice_DeviceId(const OrtApi *api, const OrtHardwareDevice *device) {
    return ((uint32_t (*)(const OrtHardwareDevice *))api->entry[310])(device);
}

static inline const OrtKeyValuePairs *_Nullable OrtHardwareDevice_Metadata(const OrtApi *api, const OrtHardwareDevice
        *device) {
    return ((const OrtKeyValuePairs *_Nullable (*)(const OrtHardwareDevice *))api->entry[311])(device);
}

static inline OrtStatus *_Nullable OrtSession_GetEpGraphAssignmentInfo(const OrtApi *api, const OrtSession *session,
        const OrtEpAssignedSubgraph *_Nonnull const *_Nullable *_Nonnull ep_subgraphs, size_t *num_ep_subgraphs) {
    return ((OrtStatus *_Nullable (*)(const OrtSession *, const OrtEpAssignedSubgraph *_Nonnull const *_Nullable
        *_Nonnull, size_t *))api->entry[407])(session, ep_subgraphs, num_ep_subgraphs);
}

static inline OrtStatus *_Nullable OrtEpAssignedSubgraph_GetEpName(const OrtApi *api, const OrtEpAssignedSubgraph
        *ep_subgraph, const char *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEpAssignedSubgraph *, const char *_Nullable
        *_Nonnull))api->entry[408])(ep_subgraph, out);
}

static inline OrtStatus *_Nullable OrtEpAssignedSubgraph_GetNodes(const OrtApi *api, const OrtEpAssignedSubgraph
        *ep_subgraph, const OrtEpAssignedNode *_Nonnull const *_Nullable *_Nonnull ep_nodes, size_t *num_ep_nodes) {
    return ((OrtStatus *_Nullable (*)(const OrtEpAssignedSubgraph *, const OrtEpAssignedNode *_Nonnull const *_Nullable
        *_Nonnull, size_t *))api->entry[409])(ep_subgraph, ep_nodes, num_ep_nodes);
}

static inline OrtStatus *_Nullable OrtEpAssignedNode_GetOperatorType(const OrtApi *api, const OrtEpAssignedNode
        *ep_node, const char *_Nullable *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(const OrtEpAssignedNode *, const char *_Nullable
        *_Nonnull))api->entry[412])(ep_node, out);
}

/// The head of `OrtAllocator`, as far as ``OrtAllocatorShrink`` reads it.
typedef struct ApusOrtAllocatorHead {
    uint32_t version;
    void *_Nullable before_shrink[6];
    /// Gives unused memory back. Since version 25; may be missing.
    OrtStatus *_Nullable (*_Nullable shrink)(OrtAllocator *);
} ApusOrtAllocatorHead;

/// Whether `allocator` can give unused memory back by itself.
static inline bool OrtAllocatorCanShrink(OrtAllocator *allocator) {
    const ApusOrtAllocatorHead *head = (const ApusOrtAllocatorHead *)(const void *)allocator;
    return head->version >= 25 && head->shrink != NULL;
}

/// Only for allocators that can.
static inline OrtStatus *_Nullable OrtAllocatorShrink(OrtAllocator *allocator) {
    return ((const ApusOrtAllocatorHead *)(const void *)allocator)->shrink(allocator);
}

#pragma clang assume_nonnull end

#endif
