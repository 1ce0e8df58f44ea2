// A management library of eight GPUs that no machine has, for tests.
//
// It is written from the table of NVML's functions and offsets alone and shares no declaration with Apus: structures are filled
// byte by byte at the offsets that the table gives, so that a wrong layout on the other side shows as a wrong number.
// Every figure differs between GPUs, and between fields of one GPU. Compiled with OLD_DRIVER it lacks what old drivers lack.
#include "FakeScript.h"

#define CODE_UNINITIALIZED 1
#define CODE_BAD_ARGUMENT 2
#define CODE_TOO_SMALL 7
#define CODE_TIMEOUT 10
#define CODE_BAD_VERSION 25
#define MOST_GPUS 64
#define MIB (1024ull * 1024ull)

static int references = 0;
static char devices[MOST_GPUS];
static char event_set;
static uint64_t registered[MOST_GPUS];
static int delivered = 0;

static int count(void) {
    uint64_t wanted = fake_number(FAKE_NONE, "count", 8);
    return wanted > MOST_GPUS ? MOST_GPUS : (int)wanted;
}

static int number_of(void *device) {
    return (int)((char *)device - devices);
}

static void put32(void *base, size_t offset, uint32_t value) {
    memcpy((char *)base + offset, &value, sizeof value);
}

static void put64(void *base, size_t offset, uint64_t value) {
    memcpy((char *)base + offset, &value, sizeof value);
}

static uint32_t get32(const void *base, size_t offset) {
    uint32_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}

static int copy(const char *text, char *target, unsigned int length) {
    if (strlen(text) + 1 > length) {
        return CODE_TOO_SMALL;
    }
    strcpy(target, text);
    return 0;
}

// Every function about a device begins so.
#define BEGIN(device)                                                                                                  \
    if (references == 0) return CODE_UNINITIALIZED;                                                                    \
    int gpu = number_of(device);                                                                                       \
    if (gpu < 0 || gpu >= count()) return CODE_BAD_ARGUMENT;                                                           \
    int code = fake_begin(gpu, __func__);                                                                              \
    if (code != 0) return code;

int nvmlInit_v2(void) {
    int code = fake_begin(FAKE_NONE, __func__);
    if (code == 0) {
        references += 1;
    }
    return code;
}

// Not called by Apus; NVIDIA's own Python client (PyPI: nvidia-ml-py) does, which is how the fake itself is checked.
int nvmlInitWithFlags(unsigned int flags) {
    return flags > 1 ? CODE_BAD_ARGUMENT : nvmlInit_v2();
}

int nvmlShutdown(void) {
    if (references == 0) return CODE_UNINITIALIZED;
    references -= 1;
    return 0;
}

const char *nvmlErrorString(int code) {
    return code == 9 ? "Driver Not Loaded" : "Some Error";
}

int nvmlSystemGetDriverVersion(char *target, unsigned int length) {
    char value[FAKE_LINE];
    fake_text(FAKE_NONE, "driver", "580.65.06", value);
    return length < 80 ? CODE_TOO_SMALL : copy(value, target, length);
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = (int)fake_number(FAKE_NONE, "cuda", 13000);
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned int *result) {
    int code = fake_begin(FAKE_NONE, __func__);
    *result = (unsigned int)count();
    return references == 0 ? CODE_UNINITIALIZED : code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (references == 0) return CODE_UNINITIALIZED;
    if ((int)index >= count()) return CODE_BAD_ARGUMENT;
    *device = &devices[index];
    return fake_begin((int)index, __func__);
}

int nvmlDeviceGetName(void *device, char *target, unsigned int length) {
    BEGIN(device)
    char value[FAKE_LINE];
    fake_text(gpu, "name", "Fake H200", value);
    return length < 96 ? CODE_TOO_SMALL : copy(value, target, length);
}

int nvmlDeviceGetUUID(void *device, char *target, unsigned int length) {
    BEGIN(device)
    char value[FAKE_LINE];
    fake_uuid(gpu, value);
    return length < 96 ? CODE_TOO_SMALL : copy(value, target, length);
}

// 68 bytes: busIdLegacy[16], domain@16, bus@20, device@24, pciDeviceId@28, subsystem@32, busId[32]@36.
int nvmlDeviceGetPciInfo_v3(void *device, void *info) {
    BEGIN(device)
    unsigned int domain = 0, bus = 0x10u + 0x11u * (unsigned int)gpu, slot = 0;
    char value[FAKE_LINE];
    if (fake_setting(gpu, "bus", value)) {
        sscanf(value, "%x:%x:%x", &domain, &bus, &slot);
    }
    memset(info, 0, 68);
    snprintf((char *)info, 16, "%04X:%02X:%02X.0", domain, bus, slot);
    put32(info, 16, domain);
    put32(info, 20, bus);
    put32(info, 24, slot);
    put32(info, 28, 0x233510deu);
    put32(info, 32, 0x18be10deu);
    snprintf((char *)info + 36, 32, "%08X:%02X:%02X.0", domain, bus, slot);
    return 0;
}

static uint64_t total(int gpu) { return fake_number(gpu, "total", 143771) * MIB; }
static uint64_t used(int gpu) { return fake_number(gpu, "used", 1000 + 100 * (uint64_t)gpu) * MIB; }
static uint64_t reserved(int gpu) { return fake_number(gpu, "reserved", 600 + (uint64_t)gpu) * MIB; }

// 24 bytes: total, free, used; used includes what is reserved.
int nvmlDeviceGetMemoryInfo(void *device, void *memory) {
    BEGIN(device)
    put64(memory, 0, total(gpu));
    put64(memory, 8, total(gpu) - used(gpu) - reserved(gpu));
    put64(memory, 16, used(gpu) + reserved(gpu));
    return 0;
}

#ifndef OLD_DRIVER
// 40 bytes: version@0, total@8, reserved@16, free@24, used@32.
int nvmlDeviceGetMemoryInfo_v2(void *device, void *memory) {
    BEGIN(device)
    if (get32(memory, 0) != 0x02000028u) return CODE_BAD_VERSION;
    put64(memory, 8, total(gpu));
    put64(memory, 16, reserved(gpu));
    put64(memory, 24, total(gpu) - used(gpu) - reserved(gpu));
    put64(memory, 32, used(gpu));
    return 0;
}

// 12 bytes: version@0, sensor@4, temperature@8.
int nvmlDeviceGetTemperatureV(void *device, void *temperature) {
    BEGIN(device)
    if (get32(temperature, 0) != 0x0100000Cu) return CODE_BAD_VERSION;
    if (get32(temperature, 4) != 0) return CODE_BAD_ARGUMENT;
    put32(temperature, 8, (uint32_t)fake_number(gpu, "temperature", 30 + (uint64_t)gpu));
    return 0;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons) {
    BEGIN(device)
    *reasons = fake_number(gpu, "clocks", 1);
    return 0;
}

int nvmlDeviceGetRemappedRows(void *device, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending,
                              unsigned int *failed) {
    BEGIN(device)
    char value[FAKE_LINE];
    *corrected = *uncorrected = *pending = *failed = 0;
    if (fake_setting(gpu, "remapped", value)) {
        sscanf(value, "%u %u %u %u", corrected, uncorrected, pending, failed);
    }
    return 0;
}

// 40 bytes each: fieldId@0, scopeId@4, timestamp@8, latency@16, valueType@24, return@28, value@32.
int nvmlDeviceGetFieldValues(void *device, int number, void *values) {
    BEGIN(device)
    for (int place = 0; place < number; place++) {
        char *value = (char *)values + 40 * place;
        put64(value, 8, 0x0123456789abcdefull);
        put64(value, 16, 77);
        if (get32(value, 0) == 230) {
            put32(value, 24, 1);
            put32(value, 28, 0);
            // Only the union's low half belongs to an unsigned int.
            put64(value, 32, 0xdeadbeef00000000ull | fake_number(gpu, "recovery", 0));
        } else {
            put32(value, 28, 3);
        }
    }
    return 0;
}
#endif

int nvmlDeviceGetUtilizationRates(void *device, void *rates) {
    BEGIN(device)
    put32(rates, 0, (uint32_t)fake_number(gpu, "utilization", 10 + (uint64_t)gpu));
    put32(rates, 4, 5);
    return 0;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *temperature) {
    BEGIN(device)
    if (sensor != 0) return CODE_BAD_ARGUMENT;
    *temperature = (unsigned int)fake_number(gpu, "temperature", 30 + (uint64_t)gpu);
    return 0;
}

int nvmlDeviceGetTemperatureThreshold(void *device, int threshold, unsigned int *temperature) {
    BEGIN(device)
    static const char *const names[] = {"shutdown", "slowdown", "memmax", "gpumax"};
    static const unsigned int usual[] = {92, 89, 95, 87};
    if (threshold < 0 || threshold > 3) return CODE_BAD_ARGUMENT;
    *temperature = (unsigned int)fake_number(gpu, names[threshold], usual[threshold]);
    return 0;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    BEGIN(device)
    *milliwatts = (unsigned int)fake_number(gpu, "power", 75000 + 1000 * (uint64_t)gpu);
    return 0;
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *milliwatts) {
    BEGIN(device)
    *milliwatts = (unsigned int)fake_number(gpu, "limit", 700000);
    return 0;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
    BEGIN(device)
    *reasons = fake_number(gpu, "clocks", 1);
    return 0;
}

int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, unsigned long long *errors) {
    BEGIN(device)
    if (kind < 0 || kind > 1 || counter < 0 || counter > 1) return CODE_BAD_ARGUMENT;
    // Aggregate counts differ from the volatile ones that Apus wants.
    *errors = fake_number(gpu, kind == 0 ? "corrected" : "uncorrected", 0) + (counter == 1 ? 1000 : 0);
    return 0;
}

int nvmlDeviceGetRetiredPagesPendingStatus(void *device, int *pending) {
    BEGIN(device)
    *pending = (int)fake_number(gpu, "retired", 0);
    return 0;
}

int nvmlDeviceGetPcieReplayCounter(void *device, unsigned int *replays) {
    BEGIN(device)
    *replays = (unsigned int)fake_number(gpu, "replays", 0);
    return 0;
}

// GPUs of the same half of the machine are behind one host bridge, and neighbours of an even and an odd number behind one switch.
int nvmlDeviceGetTopologyCommonAncestor(void *device, void *other, int *level) {
    BEGIN(device)
    int second = number_of(other), half = (count() + 1) / 2;
    *level = gpu / 2 == second / 2 ? 10 : gpu / half == second / half ? 30 : 50;
    return 0;
}

int nvmlDeviceGetNvLinkState(void *device, unsigned int link, int *active) {
    BEGIN(device)
    if (link >= 18) return CODE_BAD_ARGUMENT;
    *active = link < fake_number(gpu, "links", 18);
    return 0;
}

int nvmlDeviceGetP2PStatus(void *device, void *other, int capability, int *status) {
    BEGIN(device)
    uint64_t links = fake_number(gpu, "links", 18), others = fake_number(number_of(other), "links", 18);
    *status = capability == 0 ? 0 : capability == 2 && links > 0 && others > 0 ? 0 : 5;
    return 0;
}

int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    BEGIN(device)
    char value[FAKE_LINE];
    *major = 9;
    *minor = 0;
    if (fake_setting(gpu, "capability", value)) {
        sscanf(value, "%d %d", major, minor);
    }
    return 0;
}

// The GPU and code of the `place`-th event of the script; 0 when there are not so many.
static int event(int place, int *gpu, unsigned int *xid) {
    FILE *script = fake_open_script();
    int found = 0;
    char line[FAKE_LINE];
    while (script != NULL && !found && fgets(line, sizeof line, script) != NULL) {
        if (sscanf(line, "gpu %d xid %u", gpu, xid) == 2 && *gpu >= 0 && *gpu < MOST_GPUS) {
            found = place-- == 0;
        }
    }
    if (script != NULL) {
        fclose(script);
    }
    return found;
}

int nvmlEventSetCreate(void **set) {
    int gpu;
    unsigned int xid;
    memset(registered, 0, sizeof registered);
    for (delivered = 0; event(delivered, &gpu, &xid); delivered++) {
    }
    *set = &event_set;
    return references == 0 ? CODE_UNINITIALIZED : fake_begin(FAKE_NONE, __func__);
}

int nvmlEventSetFree(void *set) {
    return set == &event_set ? 0 : CODE_BAD_ARGUMENT;
}

int nvmlDeviceGetSupportedEventTypes(void *device, unsigned long long *types) {
    BEGIN(device)
    *types = fake_number(gpu, "events", 0xc00b);
    return 0;
}

int nvmlDeviceRegisterEvents(void *device, unsigned long long mask, void *set) {
    BEGIN(device)
    if (set != &event_set || (mask & ~fake_number(gpu, "events", 0xc00b)) != 0) return CODE_BAD_ARGUMENT;
    registered[gpu] |= mask;
    return 0;
}

// 32 bytes: device@0, eventType@8, eventData@16, gpuInstance@24, computeInstance@28.
int nvmlEventSetWait_v2(void *set, void *data, unsigned int milliseconds) {
    int gpu;
    unsigned int xid;
    int code = fake_begin(FAKE_NONE, __func__);
    if (code != 0) return code;
    if (set != &event_set) return CODE_BAD_ARGUMENT;
    while (event(delivered, &gpu, &xid)) {
        delivered += 1;
        if ((registered[gpu] & 8) == 0) continue;
        put64(data, 0, (uint64_t)(uintptr_t)&devices[gpu]);
        put64(data, 8, 8);
        put64(data, 16, xid);
        put32(data, 24, 0xffffffffu);
        put32(data, 28, 0xffffffffu);
        return 0;
    }
    usleep(milliseconds * 1000);
    return CODE_TIMEOUT;
}
