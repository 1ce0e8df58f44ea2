// The part of a CUDA driver library that numbers devices, for tests. It plays the same script as the fake management library:
//     order 2 0 1            the management library's numbers of the devices, in CUDA's order
//     cuda code cuInit 100   what a call answers instead; "cuda hang cuInit" never returns
#include "FakeScript.h"

#define CODE_BAD_VALUE 1
#define CODE_UNINITIALIZED 3
#define CODE_BAD_DEVICE 101

static int is_ready = 0;

static int begin(const char *function) {
    char key[FAKE_LINE], value[FAKE_LINE];
    snprintf(key, sizeof key, "cuda hang %s", function);
    if (fake_setting(FAKE_NONE, key, value)) {
        for (;;) {
            pause();
        }
    }
    snprintf(key, sizeof key, "cuda code %s", function);
    return (int)fake_number(FAKE_NONE, key, 0);
}

// The management library's number of CUDA's device `place`; -1 when there is none. Without a place, how many there are.
static int order(int place) {
    char value[FAKE_LINE];
    if (!fake_setting(FAKE_NONE, "order", value)) {
        int count = (int)fake_number(FAKE_NONE, "count", 8);
        return place < 0 ? count : place < count ? place : -1;
    }
    int count = 0;
    char *rest = value;
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*word == 0) continue;
        if (count == place) return atoi(word);
        count += 1;
    }
    return place < 0 ? count : -1;
}

int cuInit(unsigned int flags) {
    int code = flags == 0 ? begin(__func__) : CODE_BAD_VALUE;
    is_ready = code == 0;
    return code;
}

int cuDeviceGetCount(int *count) {
    *count = order(-1);
    return is_ready ? begin(__func__) : CODE_UNINITIALIZED;
}

int cuDeviceGet(int *device, int ordinal) {
    if (!is_ready) return CODE_UNINITIALIZED;
    *device = ordinal;
    return order(ordinal) < 0 ? CODE_BAD_DEVICE : begin(__func__);
}

int cuDeviceGetUuid_v2(unsigned char uuid[16], int device) {
    char text[FAKE_LINE];
    if (!is_ready || order(device) < 0) return CODE_BAD_DEVICE;
    fake_uuid(order(device), text);
    const char *digits = text + strlen("GPU-");
    for (int place = 0; place < 16; place++) {
        unsigned int byte;
        if (*digits == '-') digits += 1;
        if (sscanf(digits, "%2x", &byte) != 1) return CODE_BAD_VALUE;
        uuid[place] = (unsigned char)byte;
        digits += 2;
    }
    return begin(__func__);
}

int cuDeviceGetPCIBusId(char *target, int length, int device) {
    if (!is_ready || order(device) < 0) return CODE_BAD_DEVICE;
    snprintf(target, (size_t)length, "0000:%02x:00.0", 0x10 + 0x11 * order(device));
    return begin(__func__);
}
