// One head of one sequence: what the attention kernels work on.
//
// Queries are the lanes of the vectors: a tile of queries is packed once, and every key (or pair of key elements) is broadcast against it.
// So the maximum and the sum of a softmax row are plain vector operations, keys need no transposition, and a sequence of two tokens costs
// the same few instructions per key as a long one. Scores are kept for one block of keys at a time; with more than one block the running
// maximum rescales what came before (online softmax).

#ifndef APUS_ATTENTION_H
#define APUS_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "CApusKernels.h"

#pragma clang assume_nonnull begin

/// Queries of a tile at most.
#define APUS_TILE_QUERIES 32
/// Keys of a block: scores of a tile and the block's keys and values stay in the first-level cache.
#define APUS_BLOCK_KEYS 128

typedef struct {
    /// First rows of the head's columns, `ld` floats apart.
    const float *q, *k, *v;
    int64_t ld;
    /// Rows `ldy` floats apart.
    float *y;
    int64_t ldy;
    /// Rows of the sequence, at least 1.
    int64_t length;
    /// A multiple of 8.
    int64_t head_size;
    /// The scale of the scores times log2(e): the softmax is computed in powers of two.
    float scale;
    /// The head's `[bias_size, bias_size]`.
    const float *_Nullable bias;
    int64_t bias_size;
    /// 64-byte aligned.
    void *scratch;
} apus_attention_head;

typedef void (*apus_attend)(const apus_attention_head *);

/// Scratch bytes for a head of the longest sequence.
size_t apus_attend_fp32_bytes(int64_t length, int64_t head_size);
size_t apus_attend_bf16_bytes(int64_t length, int64_t head_size);

/// The kernel for the features that are allowed now.
apus_attend apus_attend_fp32(void);

#if defined(__x86_64__)
/// Needs APUS_CPU_AVX512 and APUS_CPU_BF16.
void apus_attend_bf16(const apus_attention_head *head);
#endif

/// `apus_attention` for sequences whose rows count from `starts[0]`, which is not looked at otherwise; arguments were checked before.
void apus_attend_sequences(apus_format arithmetic, int64_t heads, int64_t head_size, float scale, const float *_Nullable bias,
                           int64_t bias_size, const float *q, const float *k, const float *v, int64_t ld, const int32_t *starts,
                           int64_t count, float *y, int64_t ldy, void *scratch);

/// Whether `starts` are the ascending starts of `count` sequences from 0; sets the length of the longest.
int apus_starts_are_valid(const int32_t *starts, int64_t count, int64_t *longest);

#pragma clang assume_nonnull end

#endif
