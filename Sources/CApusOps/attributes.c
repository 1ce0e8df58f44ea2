#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "CApusCollectives.h"
#include "operator.h"

OrtStatus *apus_status(const OrtApi *api, const char *format, ...) {
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return OrtCreateStatus(api, OrtErrorInvalidArgument, sentence);
}

static const char *const activation_names[] = {
    [APUS_ACT_NONE] = "none", [APUS_ACT_GELU] = "gelu", [APUS_ACT_GELU_TANH] = "gelu_tanh", [APUS_ACT_RELU] = "relu",
    [APUS_ACT_SILU] = "silu", [APUS_ACT_TANH] = "tanh", [APUS_ACT_SIGMOID] = "sigmoid",
};

static const char *const mode_names[] = {"mean", "cls", "last", "max", "mean_sqrt_length", "weighted_mean"};

/// The place of the attribute's text in `names`.
static OrtStatus *read_choice(const OrtApi *api, const OrtKernelInfo *info, const char *attribute, const char *const *names, size_t count,
                              size_t *choice) {
    char text[32];
    size_t size = sizeof text;
    OrtStatus *status = OrtKernelInfoGetAttribute_string(api, info, attribute, text, &size);
    if (status != NULL) return status;
    for (size_t index = 0; index < count; index++) {
        if (strcmp(names[index], text) == 0) {
            *choice = index;
            return NULL;
        }
    }
    return apus_status(api, "attribute '%s' has no choice '%s'", attribute, text);
}

static OrtStatus *read_number(const OrtApi *api, const OrtKernelInfo *info, const char *attribute, float smallest, float *value) {
    OrtStatus *status = OrtKernelInfoGetAttribute_float(api, info, attribute, value);
    if (status != NULL) return status;
    if (isfinite(*value) && *value >= smallest) return NULL;
    return apus_status(api, "attribute '%s' cannot be %g", attribute, (double)*value);
}

static OrtStatus *read_group(const OrtApi *api, const OrtKernelInfo *info, ApusAttributes *attributes) {
    size_t size = sizeof attributes->group;
    OrtStatus *status = OrtKernelInfoGetAttribute_string(api, info, "group", attributes->group, &size);
    if (status == NULL) status = OrtKernelInfoGetAttribute_int64(api, info, "rank", &attributes->rank);
    if (status == NULL) status = OrtKernelInfoGetAttribute_int64(api, info, "ranks", &attributes->ranks);
    if (status != NULL) return status;
    if (attributes->ranks < 1 || attributes->ranks > APUS_MOST_RANKS) {
        return apus_status(api, "attribute 'ranks' cannot be %lld, 1 to %d ranks can add up", (long long)attributes->ranks, APUS_MOST_RANKS);
    }
    if (attributes->rank >= 0 && attributes->rank < attributes->ranks) return NULL;
    return apus_status(api, "attribute 'rank' cannot be %lld among %lld ranks", (long long)attributes->rank, (long long)attributes->ranks);
}

OrtStatus *apus_read_attributes(const OrtApi *api, const OrtKernelInfo *info, unsigned wanted, ApusAttributes *attributes) {
    OrtStatus *status = NULL;
    size_t choice = 0;
    if (wanted & ApusEpsilon) {
        status = read_number(api, info, "epsilon", 0, &attributes->epsilon);
        if (status != NULL) return status;
    }
    if (wanted & ApusScale) {
        status = read_number(api, info, "scale", -INFINITY, &attributes->scale);
        if (status != NULL) return status;
    }
    if (wanted & ApusHeads) {
        status = OrtKernelInfoGetAttribute_int64(api, info, "heads", &attributes->heads);
        if (status != NULL) return status;
        if (attributes->heads < 1) return apus_status(api, "attribute 'heads' cannot be %lld", (long long)attributes->heads);
    }
    if (wanted & ApusActivation) {
        status = read_choice(api, info, "activation", activation_names, sizeof activation_names / sizeof *activation_names, &choice);
        if (status != NULL) return status;
        attributes->activation = (apus_activation)choice;
    }
    if (wanted & ApusMode) {
        status = read_choice(api, info, "mode", mode_names, sizeof mode_names / sizeof *mode_names, &choice);
        if (status != NULL) return status;
        attributes->mode = (int)choice;
    }
    return wanted & ApusGroup ? read_group(api, info, attributes) : NULL;
}
