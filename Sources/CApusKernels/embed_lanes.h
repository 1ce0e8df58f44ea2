// Adding a table's row to a sum for one vector width: embed.c includes this file once per width with LANES, TARGET, NAME (norm_lanes.h).

typedef float NAME(floats) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int8_t NAME(bytes) __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint16_t NAME(halves) __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(sizeof(uint16_t)), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

/// y = row (`adds` 0) or y + row.
TARGET static inline __attribute__((always_inline)) void NAME(put)(NAME(floats) v, int adds, float *y) {
    *(NAME(floats) *)y = adds ? *(const NAME(floats) *)y + v : v;
}

TARGET static void NAME(add_row)(const apus_table_view *table, int64_t row, int adds, float *y) {
    int64_t width = table->width, whole = width - width % LANES;
    switch (table->format) {
    case APUS_FORMAT_FP32: {
        const float *from = (const float *)table->values + row * width;
        for (int64_t i = 0; i < whole; i += LANES) NAME(put)(*(const NAME(floats) *)(from + i), adds, y + i);
        for (int64_t i = whole; i < width; i++) y[i] = adds ? y[i] + from[i] : from[i];
        break;
    }
    case APUS_FORMAT_BF16: {
        const uint16_t *from = (const uint16_t *)table->values + row * width;
        for (int64_t i = 0; i < whole; i += LANES) {
            NAME(words) bits = __builtin_convertvector(*(const NAME(halves) *)(from + i), NAME(words)) << 16;
            NAME(put)((NAME(floats))bits, adds, y + i);
        }
        for (int64_t i = whole; i < width; i++) {
            uint32_t bits = (uint32_t)from[i] << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            y[i] = adds ? y[i] + value : value;
        }
        break;
    }
    case APUS_FORMAT_INT8: {
        const int8_t *from = (const int8_t *)table->values + row * width;
        const float *scales = table->scales + row * table->blocks;
        for (int64_t i = 0; i < whole; i += LANES) {
            NAME(floats) value = __builtin_convertvector(*(const NAME(bytes) *)(from + i), NAME(floats)) * scales[i / APUS_TABLE_BLOCK];
            NAME(put)(value, adds, y + i);
        }
        for (int64_t i = whole; i < width; i++) {
            float value = (float)from[i] * scales[i / APUS_TABLE_BLOCK];
            y[i] = adds ? y[i] + value : value;
        }
        break;
    }
    }
}
