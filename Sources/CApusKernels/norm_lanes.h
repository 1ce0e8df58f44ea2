// The layer norm for one vector width: rows_norm.c includes this file once per width with
//   LANES   floats in a vector,
//   TARGET  the attribute that lets the compiler use that width,
//   NAME(f) the name of `f` for that width.
// Written in the compiler's vector types: the arithmetic has no instruction that one CPU family alone has.

typedef float NAME(floats) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

TARGET static inline float NAME(total)(NAME(floats) v) {
    float parts[LANES];
    *(NAME(floats) *)parts = v;
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) parts[i] += parts[i + width];
    return parts[0];
}

TARGET static void NAME(norm_rows)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon, int64_t m,
                                   int64_t h, float *y) {
    typedef NAME(floats) floats;
    int64_t whole = h - h % LANES;
    int64_t paired = h - h % (4 * LANES);
    float share = 1.0f / (float)h;
    for (int64_t row = 0; row < m; row++, x += h, y += h) {
        floats sums[4] = {{0}, {0}, {0}, {0}};
        float rest = 0;
        if (residual) {
            for (int64_t i = 0; i < paired; i += 4 * LANES)
                for (int part = 0; part < 4; part++) {
                    int64_t at = i + part * LANES;
                    floats v = *(const floats *)(x + at) + *(const floats *)(residual + at);
                    *(floats *)(y + at) = v;
                    sums[part] += v;
                }
            for (int64_t i = paired; i < whole; i += LANES) {
                floats v = *(const floats *)(x + i) + *(const floats *)(residual + i);
                *(floats *)(y + i) = v;
                sums[0] += v;
            }
            for (int64_t i = whole; i < h; i++) {
                y[i] = x[i] + residual[i];
                rest += y[i];
            }
            residual += h;
        } else {
            for (int64_t i = 0; i < paired; i += 4 * LANES)
                for (int part = 0; part < 4; part++) sums[part] += *(const floats *)(x + i + part * LANES);
            for (int64_t i = paired; i < whole; i += LANES) sums[0] += *(const floats *)(x + i);
            for (int64_t i = whole; i < h; i++) rest += x[i];
        }
        const float *v = residual ? y : x;
        float mean = (NAME(total)((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest) * share;

        floats squares[4] = {{0}, {0}, {0}, {0}};
        rest = 0;
        for (int64_t i = 0; i < paired; i += 4 * LANES)
            for (int part = 0; part < 4; part++) {
                floats off = *(const floats *)(v + i + part * LANES) - mean;
                squares[part] += off * off;
            }
        for (int64_t i = paired; i < whole; i += LANES) {
            floats off = *(const floats *)(v + i) - mean;
            squares[0] += off * off;
        }
        for (int64_t i = whole; i < h; i++) rest += (v[i] - mean) * (v[i] - mean);
        float variance = (NAME(total)((squares[0] + squares[1]) + (squares[2] + squares[3])) + rest) * share;

        float inverse = 1.0f / sqrtf(variance + epsilon);
        for (int64_t i = 0; i < whole; i += LANES)
            *(floats *)(y + i) =
                (*(const floats *)(v + i) - mean) * inverse * *(const floats *)(gamma + i) + *(const floats *)(beta + i);
        for (int64_t i = whole; i < h; i++) y[i] = (v[i] - mean) * inverse * gamma[i] + beta[i];
    }
}
