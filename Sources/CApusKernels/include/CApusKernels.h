// The CPU fast path: linear layers, attention, feed-forward, embedding and pooling of packed token rows in fp32, bf16 and int8.
// Pure functions on the calling thread: no allocation, no threads, no state but the CPU's feature word. Every size, blob and pointer that
// an argument names is checked; what a checked blob contains can give wrong numbers, never an access outside it.
//
// Rows: all matrices are row-major, `[rows, columns]`; float pointers need the alignment of a float, blobs and scratch memory 64 bytes.
// The result of a row is the same to the bit whatever the number of rows around it and however often it is computed.

#ifndef CAPUSKERNELS_H
#define CAPUSKERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Changes whenever the same inputs may give other results or take another time: what was measured of one version says nothing of another.
uint32_t apus_kernels_version(void);

/// What the kernels can use of a CPU.
enum {
    /// AVX2, FMA and F16C.
    APUS_CPU_AVX2 = 1,
    /// AVX-512 F, BW, VL and DQ.
    APUS_CPU_AVX512 = 2,
    /// AVX512-VNNI.
    APUS_CPU_VNNI = 4,
    /// AVX512-BF16.
    APUS_CPU_BF16 = 8,
    APUS_CPU_AMX_INT8 = 16,
    APUS_CPU_AMX_BF16 = 32,
    APUS_CPU_NEON = 64,
    APUS_CPU_AVX_VNNI = 128
};

/// The features that kernels use: what this CPU and its system have, less what `apus_cpu_allow` hides.
uint32_t apus_cpu_features(void);

/// For tests and measurements: hides every feature outside `mask` from the kernels, for the whole process, until the next call. Blobs stay
/// valid: their layout is the same for every feature.
void apus_cpu_allow(uint32_t mask);

/// How weights are kept and products are computed.
/// fp32: fp32 multiply-add. bf16: weights and activations rounded to bf16 (nearest even), products summed in fp32. int8: each whole group
/// of 128 neighbouring input channels is mixed by the transform of Walsh and Hadamard, in weights and activations, which leaves their products
/// what they are and takes from single channels what they stand out by; then both symmetric in 8 bits, weights with a scale for every 32
/// neighbouring input channels of an output channel, activations with one for every group, found anew for every row; sums of 32 products in s32,
/// everything else in fp32.
typedef enum : int32_t { APUS_FORMAT_FP32 = 0, APUS_FORMAT_BF16 = 1, APUS_FORMAT_INT8 = 2 } apus_format;

/// GELU is the exact one (erf); GELU_TANH its approximation by tanh.
typedef enum : int32_t {
    APUS_ACT_NONE = 0,
    APUS_ACT_GELU = 1,
    APUS_ACT_GELU_TANH = 2,
    APUS_ACT_RELU = 3,
    APUS_ACT_SILU = 4,
    APUS_ACT_TANH = 5,
    APUS_ACT_SIGMOID = 6
} apus_activation;

typedef enum : int32_t {
    APUS_OK = 0,
    /// A size, pointer, index or choice that the function does not take; nothing was written beyond the destination.
    APUS_BAD_ARGUMENT = 1,
    /// Memory that is no blob of this kind, was cut short or is not aligned.
    APUS_BAD_BLOB = 2
} apus_result;

/// 1 when products in this format have instructions of their own here (bf16: AVX512-BF16; int8: VNNI, AVX-VNNI, AVX2 or NEON); fp32 is
/// always native. Formats without them compute right, only more slowly.
int apus_format_is_native(apus_format format);

// MARK: Linear layers

/// Bytes of the blob of a linear layer with `n` output and `k` input channels; 0 for sizes below 1 and sizes that overflow.
/// A blob is a header of 64 bytes and panels of 64 output channels, in int8 each followed by its scales.
size_t apus_linear_bytes(apus_format format, int64_t n, int64_t k);

/// Begins a blob in `apus_linear_bytes` bytes of 64-byte aligned memory: writes the header and zeroes the rest.
apus_result apus_linear_begin(apus_format format, int64_t n, int64_t k, void *packed);

/// Converts rows `first_row ..< first_row + rows` of a weight (output channels) to the blob's format and stores them. Any number of calls;
/// each row once. `weight` is `[rows, k]`, as checkpoints have it. A value that is not finite is a bad argument.
apus_result apus_linear_pack_rows(void *packed, int64_t first_row, int64_t rows, const float *weight);

/// The same for an int8 blob from values that were quantised before and not mixed: `weight` `[rows, k]`, `scales` `[rows]`, which must be
/// finite.
apus_result apus_linear_pack_int8_rows(void *packed, int64_t first_row, int64_t rows, const int8_t *weight, const float *scales);

/// Quantises a row for storage: `out[i] = round(row[i] / scale)`, in -127...127, `scale = max |row| / 127`.
apus_result apus_quantize_row_int8(const float *row, int64_t k, int8_t *out, float *scale);

/// Whether `bytes` bytes at `packed` are a whole blob of a linear layer; sets its numbers of output (`n`) and input channels (`k`).
apus_result apus_linear_check(const void *packed, size_t bytes, int64_t *_Nullable n, int64_t *_Nullable k);

/// Bytes of scratch memory for `apus_linear` with `m` rows; 0 for a bad blob or m < 1.
size_t apus_linear_scratch(const void *packed, int64_t m);

/// `y = activation(x · weightᵀ + bias)`; x `[m, k]`, y `[m, n]`, which must not overlap.
apus_result apus_linear(const void *packed, const float *_Nullable bias, apus_activation activation, const float *x, int64_t m, float *y,
                        void *scratch);

// MARK: Second-order rounding

/// What an error of one input channel asks of the others: from `moments`, `[k, k]` symmetric, the second moments of a layer's inputs with
/// something added to the diagonal, in the order in which channels are rounded, the last first. `moments` is overwritten (its upper triangle
/// by its Cholesky factor); `feedback` `[k, k]` is the factor with rows divided by their diagonal element, zero below it. Only the upper
/// triangle of `moments` is read. A matrix that is not positive definite is a bad argument.
apus_result apus_rounding_feedback(double *moments, int64_t k, float *feedback);

/// Bytes of scratch memory for `apus_round_rows`; 0 for sizes that are not taken.
size_t apus_rounding_scratch(int64_t k);

/// Integers `lowest...highest` (within -128...127) whose products with their scales act on a layer's inputs as nearly like the weights as
/// rounding channel by channel gets.
/// - order: `[k]`, the input channel that each row and column of `feedback` stands for.
/// - block: neighbours in a row of `weight` that share a scale; scales `[rows, ceil(k / block)]`, weight and out `[rows, k]`.
apus_result apus_round_rows(const float *feedback, const int32_t *order, int64_t k, int64_t block, int lowest, int highest,
                            const float *weight, const float *scales, int64_t rows, int8_t *out, void *scratch);

// MARK: Halves of a post-norm encoder layer

/// Bytes of scratch memory for `apus_feed_forward`; 0 for bad blobs, blobs that do not fit each other or m < 1.
size_t apus_feed_forward_scratch(const void *w1, const void *w2, int64_t m);

/// `norm(x + W2·activation(W1·x + b1) + b2)`; x, y, `[m, h]`, which must not overlap; layer norm over h with `gamma`, `beta` `[h]`.
apus_result apus_feed_forward(const void *w1, const float *_Nullable b1, apus_activation activation, const void *w2,
                              const float *_Nullable b2, const float *gamma, const float *beta, float epsilon, const float *x, int64_t m,
                              float *y, void *scratch);

/// Bytes of scratch memory for `apus_self_attention`; 0 for bad arguments.
size_t apus_self_attention_scratch(const void *qkv, const void *out, int64_t heads, const int32_t *starts, int64_t count);

/// `norm(x + Wo·attention(Wqkv·x + bqkv) + bo)`.
/// - qkv: blob with n = 3h: rows of q, then k, then v; head i is columns `i * head_size ..< (i + 1) * head_size` of each.
/// - bias: `[heads, bias_size, bias_size]`, added to the scaled scores; bias_size at least the longest sequence.
/// - starts: `[count + 1]`, ascending; sequence s is rows `starts[s] ..< starts[s + 1]`; starts[0] = 0.
/// - x, y: `[starts[count], h]`, which must not overlap.
apus_result apus_self_attention(const void *qkv, const float *_Nullable bqkv, const void *out, const float *_Nullable bo, int64_t heads,
                                float scale, const float *_Nullable bias, int64_t bias_size, const float *gamma, const float *beta,
                                float epsilon, const float *x, const int32_t *starts, int64_t count, float *y, void *scratch);

/// Bytes of scratch memory for `apus_attention`; 0 for bad arguments.
size_t apus_attention_scratch(apus_format arithmetic, int64_t heads, int64_t head_size, const int32_t *starts, int64_t count);

/// `softmax(q·kᵀ·scale + bias)·v` per sequence and head, over all rows of the sequence.
/// - arithmetic: of the two products, fp32 or bf16 (int8: bf16 where it is native, else fp32).
/// - q, k, v: `[starts[count], heads * head_size]` with rows `ld` floats apart; y the same with `ldy`.
apus_result apus_attention(apus_format arithmetic, int64_t heads, int64_t head_size, float scale, const float *_Nullable bias,
                           int64_t bias_size, const float *q, const float *k, const float *v, int64_t ld, const int32_t *starts,
                           int64_t count, float *y, int64_t ldy, void *scratch);

// MARK: Embedding tables

/// Bytes of the blob of a table; 0 for sizes below 1 and sizes that overflow. Rows are kept as fp32, as bf16, or as int8 with a scale for
/// every 64 neighbours.
size_t apus_table_bytes(apus_format format, int64_t rows, int64_t width);

/// Begins a table in `apus_table_bytes` bytes of 64-byte aligned memory: writes the header and zeroes the rest.
apus_result apus_table_begin(apus_format format, int64_t rows, int64_t width, void *table);

/// Converts and stores rows `first_row ..< first_row + rows`, `values` `[rows, width]`. A value that is not finite is a bad argument.
apus_result apus_table_pack_rows(void *table, int64_t first_row, int64_t rows, const float *values);

/// Whether `bytes` bytes at `table` are a whole table; sets its sizes.
apus_result apus_table_check(const void *table, size_t bytes, int64_t *_Nullable rows, int64_t *_Nullable width);

/// `norm(words[ids] + positions[position_ids] + types[type_ids])`, y `[t, width]`. `types` and `type_ids` may both be NULL.
/// An id outside its table is a bad argument.
apus_result apus_embed(const void *words, const void *positions, const void *_Nullable types, const float *gamma, const float *beta,
                       float epsilon, const int32_t *ids, const int32_t *position_ids, const int32_t *_Nullable type_ids, int64_t t,
                       float *y);

// MARK: Pooling

/// One row for every sequence of packed rows; x `[starts[count], h]`, y `[count, h]`; sequences must not be empty.
/// Modes as sentence-transformers has them: 0 mean, 1 first row (cls), 2 last row, 3 maximum, 4 sum / √length, 5 mean weighted by the
/// position 1...length.
apus_result apus_pool(int mode, const float *x, int64_t h, const int32_t *starts, int64_t count, float *y);

// MARK: Stored vectors

/// How a vector is kept. fp16, bf16: rounded to nearest even. int8: symmetric, with a scale per row, as `apus_quantize_row_int8`.
typedef enum : int32_t { APUS_VECTORS_FP32 = 0, APUS_VECTORS_FP16 = 1, APUS_VECTORS_BF16 = 2, APUS_VECTORS_INT8 = 3 } apus_vector_storage;

/// What a score is; higher is nearer. L2: minus the squared Euclidean distance. COSINE: 0 where a vector is all zeros.
typedef enum : int32_t { APUS_METRIC_DOT = 0, APUS_METRIC_COSINE = 1, APUS_METRIC_L2 = 2 } apus_metric;

enum {
    /// The longest vector: sums of products of bytes stay within 32 bits.
    APUS_VECTOR_DIMENSIONS = 65536,
    /// The most queries that are packed together.
    APUS_SCAN_QUERIES = 65536
};

/// Bytes from one stored row to the next, a multiple of 64; what is not filled is zero. 0 for sizes out of range.
size_t apus_vector_stride(apus_vector_storage storage, int64_t dimensions);

/// The first row of `values` `[count, dimensions]` that cannot be stored: with a value that is not finite or, in fp16, at or above 65520,
/// or longer than 9e18, so that scores could overflow. -1 when all can.
int64_t apus_vectors_check(apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count);

/// Stores `count` rows. `norms` `[count]` receives the Euclidean length of each as it is stored, `scales` `[count]` (int8 alone) what its
/// integers are multiplied by. Values that cannot be stored are a bad argument.
apus_result apus_vectors_encode(apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count, void *rows,
                                float *norms, float *_Nullable scales);

/// Bytes of `count` packed queries, a multiple of 4; 0 for sizes out of range.
size_t apus_queries_bytes(apus_vector_storage storage, int64_t dimensions, int64_t count);

/// Packs queries `[count, dimensions]` for rows of this storage into `apus_queries_bytes` bytes of 64-byte aligned memory. For int8 rows
/// they are quantised, too. Values that rows of fp32 could not have are a bad argument.
apus_result apus_queries_pack(apus_metric metric, apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count,
                              void *packed);

/// Rows of stored vectors. `values`: `count` rows, 64-byte aligned; `norms`, `scales` `[count]`, as `apus_vectors_encode` wrote them.
typedef struct {
    apus_vector_storage storage;
    int64_t dimensions;
    int64_t count;
    const void *values;
    const float *norms;
    const float *_Nullable scales;
} apus_vectors;

/// Which of the rows: those of `list` `[count]` or, without one, `first ..< first + count`.
typedef struct {
    const int32_t *_Nullable list;
    int64_t first;
    int64_t count;
} apus_row_choice;

/// A row and its score.
typedef struct {
    int64_t row;
    float score;
} apus_hit;

/// Empties `lists` lists of `k` hits, as `apus_scan_top` wants them.
void apus_hits_begin(apus_hit *hits, int64_t k, int64_t lists);

/// Offers the chosen rows to the list of `k` hits of each query; `hits` `[queries, k]`. The best stay: by score descending, then by row
/// ascending. A hit's row is the row plus `base`. Which rows are offered together, and in which order, changes neither a score's bits nor
/// what stays.
apus_result apus_scan_top(const apus_vectors *vectors, const void *queries, apus_row_choice choice, int64_t base, int64_t k, apus_hit *hits);

/// Scores of the chosen rows, `scores` `[queries, ld]`.
apus_result apus_scan_scores(const apus_vectors *vectors, const void *queries, apus_row_choice choice, float *scores, int64_t ld);

/// Offers the hits of `other` `[k]` to `hits` `[k]`.
void apus_hits_merge(apus_hit *hits, const apus_hit *other, int64_t k);

/// Sorts a list, the best first; returns how many hits it has.
int64_t apus_hits_finish(apus_hit *hits, int64_t k);

/// The checksum CRC-32C (RFC 3720, appendix B.4) of `count` bytes behind those whose checksum is `crc`; 0 is that of none.
uint32_t apus_crc32c(uint32_t crc, const void *bytes, int64_t count);

/// The same without the CPU's instruction for it.
uint32_t apus_crc32c_portable(uint32_t crc, const void *bytes, int64_t count);

#pragma clang assume_nonnull end

#endif
