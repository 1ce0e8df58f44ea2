// What the operators of this room have in common.
#ifndef APUS_OPERATOR_H
#define APUS_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CApusKernels.h"
#include "COnnxRuntime.h"

#pragma clang assume_nonnull begin

enum { ApusMostInputs = 9 };

typedef enum ApusInputKind {
    ApusFloats,
    ApusHalves,
    /// bfloat16.
    ApusBrains,
    ApusIntegers,
    /// uint8: packed weights of a linear layer.
    ApusLinearBlob,
    /// uint8: rows of an embedding table.
    ApusTableBlob,
} ApusInputKind;

typedef struct ApusInput {
    const char *_Nullable name;
    ApusInputKind kind;
    bool optional;
} ApusInput;

/// Which attributes an operator has.
enum {
    ApusEpsilon = 1,
    ApusScale = 2,
    ApusHeads = 4,
    ApusActivation = 8,
    ApusMode = 16,
    /// ``ApusAttributes/group``, ``ApusAttributes/rank`` and ``ApusAttributes/ranks``.
    ApusGroup = 32,
};

/// Bytes of a group's name with its terminating NUL; a longer one is refused.
enum { ApusGroupBytes = 256 };

typedef struct ApusAttributes {
    float epsilon;
    float scale;
    int64_t heads;
    apus_activation activation;
    int mode;
    char group[ApusGroupBytes];
    int64_t rank;
    int64_t ranks;
} ApusAttributes;

typedef struct ApusRun ApusRun;

/// An operator as data.
typedef struct ApusOperator {
    const char *name;
    /// A set of ``ApusEpsilon`` and so on.
    unsigned attributes;
    ApusInput inputs[ApusMostInputs];
    OrtStatus *_Nullable (*_Nonnull compute)(ApusRun *);
    /// Null for the CPU provider.
    const char *_Nullable provider;
    /// What the output's elements are.
    ApusInputKind output;
} ApusOperator;

extern const ApusOperator apus_all_reduce_operator;
/// The same on CUDA devices, for each type of activations.
extern const ApusOperator apus_cuda_all_reduce_operators[3];
extern const ApusOperator apus_embed_operator;
extern const ApusOperator apus_feed_forward_operator;
extern const ApusOperator apus_linear_operator;
extern const ApusOperator apus_pool_operator;
extern const ApusOperator apus_self_attention_operator;

/// One node of a session. Never changed once it is made: several threads run it at once.
typedef struct ApusKernel {
    const OrtApi *api;
    const ApusOperator *operator;
    /// The session's arena, for scratch memory.
    OrtAllocator *allocator;
    ApusAttributes attributes;
} ApusKernel;

/// An input of a run. `data` is null when it is left out.
typedef struct ApusTensor {
    const void *_Nullable data;
    const int64_t *_Nullable dimensions;
    size_t rank;
} ApusTensor;

/// One call of one node.
struct ApusRun {
    const ApusKernel *kernel;
    OrtKernelContext *context;
    ApusTensor inputs[ApusMostInputs];
    /// What ``apus_run_scratch`` took, given back at the end of the run.
    void *_Nullable scratch;
};

/// What elements are to the engine.
int32_t apus_element_type(ApusInputKind kind);

/// Reads the attributes in `wanted`, each of which must be there and make sense.
OrtStatus *_Nullable apus_read_attributes(const OrtApi *api, const OrtKernelInfo *info, unsigned wanted,
                                          ApusAttributes *attributes);

/// An invalid-argument status with a formatted sentence.
OrtStatus *_Nullable apus_status(const OrtApi *api, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define apus_run_status(run, ...) apus_status((run)->kernel->api, __VA_ARGS__)

/// What a kernel's answer means; null when all is well. Everything it could refuse was checked before.
OrtStatus *_Nullable apus_run_finish(const ApusRun *run, apus_result result);

/// Fills `tensor` from the engine's value, into which it points. A null value is an input that is left out.
OrtStatus *_Nullable apus_tensor_read(const OrtApi *api, const ApusInput *input, const OrtValue *_Nullable value,
                                      ApusTensor *tensor);

/// Whether a blob is one, and for which sizes: `rows` × `columns` are n × k of a linear layer, rows × width of a table.
OrtStatus *_Nullable apus_blob_check(const OrtApi *api, const ApusInput *input, const ApusTensor *tensor, int64_t *rows,
                                     int64_t *columns);

/// The checks of a run's inputs. Optional inputs that are left out pass.
/// A matrix of any size, which is told.
OrtStatus *_Nullable apus_run_matrix(const ApusRun *run, size_t index, int64_t *rows, int64_t *columns);
OrtStatus *_Nullable apus_run_vector(const ApusRun *run, size_t index, int64_t count);
/// A blob of any sizes, which are told: n × k of a linear layer, rows × width of a table.
OrtStatus *_Nullable apus_run_blob(const ApusRun *run, size_t index, int64_t *rows, int64_t *columns);
/// A blob for exactly `rows` × `columns`.
OrtStatus *_Nullable apus_run_blob_of(const ApusRun *run, size_t index, int64_t rows, int64_t columns);
/// [count + 1] that begins with 0, rises (no sequence is empty) and ends with `rows`. `longest` is the longest sequence.
OrtStatus *_Nullable apus_run_starts(const ApusRun *run, size_t index, int64_t rows, int64_t *count, int64_t *longest);

/// The output of `rows` × `columns` floats.
OrtStatus *_Nullable apus_run_output(ApusRun *run, int64_t rows, int64_t columns, float *_Nullable *_Nonnull output);

/// The output in the shape of an input, with so many elements.
OrtStatus *_Nullable apus_run_output_like(ApusRun *run, size_t index, void *_Nullable *_Nonnull output, size_t *count);

/// `bytes` of memory on a 64-byte border, until the end of the run; once a run.
OrtStatus *_Nullable apus_run_scratch(ApusRun *run, size_t bytes, void *_Nullable *_Nonnull scratch);

#pragma clang assume_nonnull end

#endif
