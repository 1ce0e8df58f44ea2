#include "CNVML.h"

#include <dlfcn.h>
#include <stdio.h>

static ApusLibraryResult fail(ApusLibraryResult result, const char *text, char *reason, size_t capacity) {
    snprintf(reason, capacity, "%s", text);
    return result;
}

static void *open_library(const char *path, char *reason, size_t capacity) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *message = dlerror();
        fail(ApusLibraryNotLoadable, message != NULL ? message : "dlopen failed", reason, capacity);
    }
    return library;
}

// The assignment through `void **` is what POSIX prescribes for functions found by dlsym.
#define RESOLVE(prefix, name) *(void **)(&table->name) = dlsym(library, prefix #name)
#define REQUIRE(prefix, name)                                                                                          \
    if (table->name == NULL) {                                                                                         \
        dlclose(library);                                                                                              \
        return fail(ApusLibraryNotUsable, "it does not export " prefix #name, reason, reason_capacity);                \
    }

ApusLibraryResult ApusNvmlOpen(const char *path, ApusNvml *table, char *reason, size_t reason_capacity) {
    void *library = open_library(path, reason, reason_capacity);
    if (library == NULL) {
        return ApusLibraryNotLoadable;
    }
    RESOLVE("nvml", Init_v2);
    RESOLVE("nvml", Shutdown);
    RESOLVE("nvml", ErrorString);
    RESOLVE("nvml", SystemGetDriverVersion);
    RESOLVE("nvml", SystemGetCudaDriverVersion_v2);
    RESOLVE("nvml", DeviceGetCount_v2);
    RESOLVE("nvml", DeviceGetHandleByIndex_v2);
    RESOLVE("nvml", DeviceGetName);
    RESOLVE("nvml", DeviceGetUUID);
    RESOLVE("nvml", DeviceGetPciInfo_v3);
    RESOLVE("nvml", DeviceGetMemoryInfo);
    RESOLVE("nvml", DeviceGetMemoryInfo_v2);
    RESOLVE("nvml", DeviceGetUtilizationRates);
    RESOLVE("nvml", DeviceGetTemperature);
    RESOLVE("nvml", DeviceGetTemperatureV);
    RESOLVE("nvml", DeviceGetTemperatureThreshold);
    RESOLVE("nvml", DeviceGetPowerUsage);
    RESOLVE("nvml", DeviceGetEnforcedPowerLimit);
    RESOLVE("nvml", DeviceGetCurrentClocksEventReasons);
    RESOLVE("nvml", DeviceGetCurrentClocksThrottleReasons);
    RESOLVE("nvml", DeviceGetTotalEccErrors);
    RESOLVE("nvml", DeviceGetRemappedRows);
    RESOLVE("nvml", DeviceGetRetiredPagesPendingStatus);
    RESOLVE("nvml", DeviceGetPcieReplayCounter);
    RESOLVE("nvml", DeviceGetTopologyCommonAncestor);
    RESOLVE("nvml", DeviceGetNvLinkState);
    RESOLVE("nvml", DeviceGetP2PStatus);
    RESOLVE("nvml", DeviceGetCudaComputeCapability);
    RESOLVE("nvml", DeviceGetFieldValues);
    RESOLVE("nvml", EventSetCreate);
    RESOLVE("nvml", EventSetFree);
    RESOLVE("nvml", DeviceGetSupportedEventTypes);
    RESOLVE("nvml", DeviceRegisterEvents);
    RESOLVE("nvml", EventSetWait_v2);
    REQUIRE("nvml", Init_v2)
    REQUIRE("nvml", DeviceGetCount_v2)
    REQUIRE("nvml", DeviceGetHandleByIndex_v2)
    return ApusLibraryOpened;
}

ApusLibraryResult ApusCudaOpen(const char *path, ApusCuda *table, char *reason, size_t reason_capacity) {
    void *library = open_library(path, reason, reason_capacity);
    if (library == NULL) {
        return ApusLibraryNotLoadable;
    }
    RESOLVE("cu", Init);
    RESOLVE("cu", DeviceGetCount);
    RESOLVE("cu", DeviceGet);
    RESOLVE("cu", DeviceGetUuid);
    RESOLVE("cu", DeviceGetUuid_v2);
    RESOLVE("cu", DeviceGetPCIBusId);
    REQUIRE("cu", Init)
    REQUIRE("cu", DeviceGetCount)
    REQUIRE("cu", DeviceGet)
    return ApusLibraryOpened;
}
