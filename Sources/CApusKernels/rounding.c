// Second-order rounding of weights: each integer is chosen so that it makes up for what the integers before it lost, as far as the inputs
// that a layer sees are alike. GPTQ (Frantar et al. 2023, arXiv:2210.17323), written as the nearest plane of the lattice (Babai 1986; Chen
// et al. 2025, arXiv:2507.18553, show that the two are one): one Cholesky factor and no inverse. By hand: no library at hand has it, and a
// LAPACK for one factorisation would be a dependency of every installation. Runs when a model is quantised, in plain C.

#include "CApusKernels.h"

#include <math.h>
#include <string.h>

enum {
    /// Rows of the factor that are finished together; they stay in the L2 cache while the rest is updated.
    PANEL_ROWS = 32,
    /// Output channels that are rounded together: their errors are vectors.
    CHANNELS = 64
};

/// k² and k² doubles must be sizes.
static int is_size(int64_t k) { return k >= 1 && k <= INT64_C(1) << 20; }

static void subtract_outer(double *target, const double *row, int64_t at, int64_t k) {
    double factor = row[at];
    for (int64_t i = at; i < k; i++) target[i] -= factor * row[i];
}

apus_result apus_rounding_feedback(double *moments, int64_t k, float *feedback) {
    if (!moments || !feedback || !is_size(k)) return APUS_BAD_ARGUMENT;
    for (int64_t first = 0; first < k; first += PANEL_ROWS) {
        int64_t end = k - first < PANEL_ROWS ? k : first + PANEL_ROWS;
        for (int64_t j = first; j < end; j++) {
            double *row = moments + j * k;
            for (int64_t p = first; p < j; p++) subtract_outer(row, moments + p * k, j, k);
            // Neither NaN nor anything that is not positive is the square of a diagonal element.
            if (!(row[j] > 0 && row[j] < INFINITY)) return APUS_BAD_ARGUMENT;
            double inverse = 1 / sqrt(row[j]);
            for (int64_t i = j; i < k; i++) row[i] *= inverse;
        }
        for (int64_t j = end; j < k; j++)
            for (int64_t p = first; p < end; p++) subtract_outer(moments + j * k, moments + p * k, j, k);
    }
    for (int64_t j = 0; j < k; j++) {
        memset(feedback + j * k, 0, (size_t)j * sizeof(float));
        for (int64_t i = j; i < k; i++) feedback[j * k + i] = (float)(moments[j * k + i] / moments[j * k + j]);
    }
    return APUS_OK;
}

size_t apus_rounding_scratch(int64_t k) { return is_size(k) ? (size_t)k * CHANNELS * sizeof(float) : 0; }

/// Nearest even for |v| < 2^22.
static float rounded(float v) { return (v + 12582912.0f) - 12582912.0f; }

static int8_t integer(float v, float scale, float lowest, float highest) {
    if (scale == 0) return 0;
    float q = v / scale;
    // A NaN fails both comparisons and becomes the lowest.
    q = q > lowest ? q : lowest;
    return (int8_t)rounded(q < highest ? q : highest);
}

apus_result apus_round_rows(const float *feedback, const int32_t *order, int64_t k, int64_t block, int lowest, int highest,
                            const float *weight, const float *scales, int64_t rows, int8_t *out, void *scratch) {
    if (!feedback || !order || !weight || !scales || !out || !scratch || !is_size(k) || rows < 0) return APUS_BAD_ARGUMENT;
    if (block < 1 || lowest < INT8_MIN || highest > INT8_MAX || lowest >= highest) return APUS_BAD_ARGUMENT;
    for (int64_t j = 0; j < k; j++)
        if (order[j] < 0 || order[j] >= k) return APUS_BAD_ARGUMENT;
    int64_t blocks = (k - 1) / block + 1;
    float *errors = scratch;
    for (int64_t first = 0; first < rows; first += CHANNELS) {
        int64_t channels = rows - first < CHANNELS ? rows - first : CHANNELS;
        for (int64_t j = k - 1; j >= 0; j--) {
            const float *shares = feedback + j * k;
            int64_t column = order[j];
            float wanted[CHANNELS] = {0};
            for (int64_t i = j + 1; i < k; i++) {
                const float share = shares[i], *error = errors + i * CHANNELS;
                for (int c = 0; c < CHANNELS; c++) wanted[c] += share * error[c];
            }
            for (int64_t c = 0; c < channels; c++) {
                int64_t row = first + c;
                float value = weight[row * k + column], scale = scales[row * blocks + column / block];
                int8_t q = integer(value + wanted[c], scale, (float)lowest, (float)highest);
                out[row * k + column] = q;
                errors[j * CHANNELS + c] = value - (float)q * scale;
            }
            for (int64_t c = channels; c < CHANNELS; c++) errors[j * CHANNELS + c] = 0;
        }
    }
    return APUS_OK;
}
