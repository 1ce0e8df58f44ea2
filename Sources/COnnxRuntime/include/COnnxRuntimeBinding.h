// The part of the ABI that binds a session's inputs and outputs to memory of the caller's choice.
// Included by COnnxRuntime.h, which says what all of this is.
#ifndef C_ONNX_RUNTIME_BINDING_H
#define C_ONNX_RUNTIME_BINDING_H

#include "COnnxRuntime.h"

#pragma clang assume_nonnull begin

typedef struct OrtIoBinding OrtIoBinding;

static inline OrtStatus *_Nullable OrtCreateIoBinding(const OrtApi *api, OrtSession *session, OrtIoBinding *_Nullable
        *_Nonnull out) {
    return ((OrtStatus *_Nullable (*)(OrtSession *, OrtIoBinding *_Nullable *_Nonnull))api->entry[134])(session, out);
}

static inline void OrtReleaseIoBinding(const OrtApi *api, OrtIoBinding *input) {
    ((void (*)(OrtIoBinding *))api->entry[135])(input);
}

static inline OrtStatus *_Nullable OrtBindInput(const OrtApi *api, OrtIoBinding *binding_ptr, const char *name, const
        OrtValue *val_ptr) {
    return ((OrtStatus *_Nullable (*)(OrtIoBinding *, const char *, const OrtValue *))api->entry[136])(binding_ptr, name,
        val_ptr);
}

static inline OrtStatus *_Nullable OrtBindOutputToDevice(const OrtApi *api, OrtIoBinding *binding_ptr, const char *name,
        const OrtMemoryInfo *mem_info_ptr) {
    return ((OrtStatus *_Nullable (*)(OrtIoBinding *, const char *, const OrtMemoryInfo *))api->entry[138])(binding_ptr,
        name, mem_info_ptr);
}

static inline OrtStatus *_Nullable OrtGetBoundOutputValues(const OrtApi *api, const OrtIoBinding *binding_ptr,
        OrtAllocator *allocator, OrtValue *_Nullable *_Nullable *_Nonnull output, size_t *output_count) {
    return ((OrtStatus *_Nullable (*)(const OrtIoBinding *, OrtAllocator *, OrtValue *_Nullable *_Nullable *_Nonnull, size_t
        *))api->entry[140])(binding_ptr, allocator, output, output_count);
}

static inline void OrtClearBoundInputs(const OrtApi *api, OrtIoBinding *binding_ptr) {
    ((void (*)(OrtIoBinding *))api->entry[141])(binding_ptr);
}

static inline void OrtClearBoundOutputs(const OrtApi *api, OrtIoBinding *binding_ptr) {
    ((void (*)(OrtIoBinding *))api->entry[142])(binding_ptr);
}

static inline OrtStatus *_Nullable OrtSynchronizeBoundInputs(const OrtApi *api, OrtIoBinding *binding_ptr) {
    return ((OrtStatus *_Nullable (*)(OrtIoBinding *))api->entry[202])(binding_ptr);
}

static inline OrtStatus *_Nullable OrtSynchronizeBoundOutputs(const OrtApi *api, OrtIoBinding *binding_ptr) {
    return ((OrtStatus *_Nullable (*)(OrtIoBinding *))api->entry[203])(binding_ptr);
}

static inline OrtStatus *_Nullable OrtRunWithBinding(const OrtApi *api, OrtSession *session, const OrtRunOptions
        *_Nullable run_options, const OrtIoBinding *binding_ptr) {
    return ((OrtStatus *_Nullable (*)(OrtSession *, const OrtRunOptions *_Nullable, const OrtIoBinding
        *))api->entry[133])(session, run_options, binding_ptr);
}

#pragma clang assume_nonnull end

#endif
