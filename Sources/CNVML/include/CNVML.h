// Our own declarations of the part of NVIDIA's management library (NVML) and of the CUDA driver library that Apus calls.
//
// Both libraries come with the GPU's driver, so neither they nor their headers can be expected where Apus is built. Every function is
// resolved by itself when the library is opened: a driver that lacks one leaves its place in the table NULL, and what needs it is off.
// Layouts are those of NVML 13 (`nvml.h`); they have not changed since the versions named in the functions' own names.
#ifndef C_NVML_H
#define C_NVML_H

#include <stddef.h>
#include <stdint.h>

// Nullability is stated everywhere because Swift imports a function pointer that may be missing as an optional.
#pragma clang assume_nonnull begin

#define APUS_NVML_SUCCESS 0
#define APUS_NVML_NOT_SUPPORTED 3
#define APUS_NVML_NO_PERMISSION 4
#define APUS_NVML_INSUFFICIENT_SIZE 7
#define APUS_NVML_DRIVER_NOT_LOADED 9
#define APUS_NVML_TIMEOUT 10
#define APUS_NVML_LIBRARY_NOT_FOUND 12
#define APUS_NVML_FUNCTION_NOT_FOUND 13
#define APUS_NVML_GPU_IS_LOST 15
#define APUS_NVML_RESET_REQUIRED 16
#define APUS_NVML_VERSION_MISMATCH 18
#define APUS_NVML_IN_USE 19
#define APUS_NVML_NO_DATA 21
#define APUS_NVML_ARGUMENT_VERSION_MISMATCH 25
#define APUS_NVML_DEPRECATED 26
#define APUS_NVML_NOT_READY 27
#define APUS_NVML_GPU_NOT_FOUND 28

/// An Xid error: the only event that Apus registers for.
#define APUS_NVML_EVENT_XID 8ULL
/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`.
#define APUS_NVML_FIELD_RECOVERY_ACTION 230

typedef struct ApusNvmlDeviceState *ApusNvmlDevice;
typedef struct ApusNvmlEventSetState *ApusNvmlEventSet;

/// `nvmlPciInfo_t` of `nvmlDeviceGetPciInfo_v3`.
typedef struct ApusNvmlPciInfo {
    char bus_id_legacy[16];
    uint32_t domain;
    uint32_t bus;
    uint32_t device;
    uint32_t pci_device_id;
    uint32_t pci_subsystem_id;
    char bus_id[32];
} ApusNvmlPciInfo;
_Static_assert(sizeof(ApusNvmlPciInfo) == 68, "nvmlPciInfo_t");
_Static_assert(offsetof(ApusNvmlPciInfo, domain) == 16 && offsetof(ApusNvmlPciInfo, bus_id) == 36, "nvmlPciInfo_t");

/// `nvmlMemory_t`; bytes. `used` includes what the driver reserves.
typedef struct ApusNvmlMemory {
    uint64_t total;
    uint64_t free;
    uint64_t used;
} ApusNvmlMemory;
_Static_assert(sizeof(ApusNvmlMemory) == 24, "nvmlMemory_t");

/// `nvmlMemory_v2_t`; bytes. `used` is without `reserved`.
typedef struct ApusNvmlMemoryV2 {
    uint32_t version;
    uint64_t total;
    uint64_t reserved;
    uint64_t free;
    uint64_t used;
} ApusNvmlMemoryV2;
#define APUS_NVML_MEMORY_V2 0x02000028u
_Static_assert(sizeof(ApusNvmlMemoryV2) == 40 && offsetof(ApusNvmlMemoryV2, total) == 8, "nvmlMemory_v2_t");
_Static_assert(APUS_NVML_MEMORY_V2 == (sizeof(ApusNvmlMemoryV2) | 2u << 24), "nvmlMemory_v2");

/// `nvmlUtilization_t`; percent.
typedef struct ApusNvmlUtilization {
    uint32_t gpu;
    uint32_t memory;
} ApusNvmlUtilization;
_Static_assert(sizeof(ApusNvmlUtilization) == 8, "nvmlUtilization_t");

/// `nvmlTemperature_v1_t`; degrees Celsius.
typedef struct ApusNvmlTemperature {
    uint32_t version;
    int32_t sensor;
    int32_t temperature;
} ApusNvmlTemperature;
#define APUS_NVML_TEMPERATURE_V1 0x0100000Cu
_Static_assert(sizeof(ApusNvmlTemperature) == 12, "nvmlTemperature_v1_t");
_Static_assert(APUS_NVML_TEMPERATURE_V1 == (sizeof(ApusNvmlTemperature) | 1u << 24), "nvmlTemperature_v1");

/// `nvmlFieldValue_t`. `value` is a union, told apart by `value_type`: 0 double, 1 unsigned int, 2 unsigned long,
/// 3 unsigned long long, 4 signed long long, 5 signed int, 6 unsigned short.
typedef struct ApusNvmlFieldValue {
    uint32_t field_id;
    uint32_t scope_id;
    int64_t timestamp;
    int64_t latency_microseconds;
    int32_t value_type;
    int32_t status;
    uint64_t value;
} ApusNvmlFieldValue;
_Static_assert(sizeof(ApusNvmlFieldValue) == 40, "nvmlFieldValue_t");
_Static_assert(offsetof(ApusNvmlFieldValue, value_type) == 24 && offsetof(ApusNvmlFieldValue, value) == 32, "nvmlFieldValue_t");

/// `nvmlEventData_t` of `nvmlEventSetWait_v2`. `gpu_instance` is 0xFFFFFFFF for an event of the whole GPU.
typedef struct ApusNvmlEventData {
    ApusNvmlDevice _Nullable device;
    uint64_t event_type;
    uint64_t event_data;
    uint32_t gpu_instance;
    uint32_t compute_instance;
} ApusNvmlEventData;
_Static_assert(sizeof(ApusNvmlEventData) == 32 && offsetof(ApusNvmlEventData, gpu_instance) == 24, "nvmlEventData_t");

/// The functions by name without their prefix `nvml`; NULL where the library has none. All return an NVML code.
typedef struct ApusNvml {
    int32_t (*_Nullable Init_v2)(void);
    int32_t (*_Nullable Shutdown)(void);
    const char *_Nullable (*_Nullable ErrorString)(int32_t);
    int32_t (*_Nullable SystemGetDriverVersion)(char *, uint32_t);
    int32_t (*_Nullable SystemGetCudaDriverVersion_v2)(int32_t *);
    int32_t (*_Nullable DeviceGetCount_v2)(uint32_t *);
    int32_t (*_Nullable DeviceGetHandleByIndex_v2)(uint32_t, ApusNvmlDevice _Nullable *_Nonnull);
    int32_t (*_Nullable DeviceGetName)(ApusNvmlDevice, char *, uint32_t);
    int32_t (*_Nullable DeviceGetUUID)(ApusNvmlDevice, char *, uint32_t);
    int32_t (*_Nullable DeviceGetPciInfo_v3)(ApusNvmlDevice, ApusNvmlPciInfo *);
    int32_t (*_Nullable DeviceGetMemoryInfo)(ApusNvmlDevice, ApusNvmlMemory *);
    int32_t (*_Nullable DeviceGetMemoryInfo_v2)(ApusNvmlDevice, ApusNvmlMemoryV2 *);
    int32_t (*_Nullable DeviceGetUtilizationRates)(ApusNvmlDevice, ApusNvmlUtilization *);
    int32_t (*_Nullable DeviceGetTemperature)(ApusNvmlDevice, int32_t, uint32_t *);
    int32_t (*_Nullable DeviceGetTemperatureV)(ApusNvmlDevice, ApusNvmlTemperature *);
    int32_t (*_Nullable DeviceGetTemperatureThreshold)(ApusNvmlDevice, int32_t, uint32_t *);
    int32_t (*_Nullable DeviceGetPowerUsage)(ApusNvmlDevice, uint32_t *);
    int32_t (*_Nullable DeviceGetEnforcedPowerLimit)(ApusNvmlDevice, uint32_t *);
    int32_t (*_Nullable DeviceGetCurrentClocksEventReasons)(ApusNvmlDevice, uint64_t *);
    int32_t (*_Nullable DeviceGetCurrentClocksThrottleReasons)(ApusNvmlDevice, uint64_t *);
    int32_t (*_Nullable DeviceGetTotalEccErrors)(ApusNvmlDevice, int32_t, int32_t, uint64_t *);
    int32_t (*_Nullable DeviceGetRemappedRows)(ApusNvmlDevice, uint32_t *, uint32_t *, uint32_t *, uint32_t *);
    int32_t (*_Nullable DeviceGetRetiredPagesPendingStatus)(ApusNvmlDevice, int32_t *);
    int32_t (*_Nullable DeviceGetPcieReplayCounter)(ApusNvmlDevice, uint32_t *);
    int32_t (*_Nullable DeviceGetTopologyCommonAncestor)(ApusNvmlDevice, ApusNvmlDevice, int32_t *);
    int32_t (*_Nullable DeviceGetNvLinkState)(ApusNvmlDevice, uint32_t, int32_t *);
    int32_t (*_Nullable DeviceGetP2PStatus)(ApusNvmlDevice, ApusNvmlDevice, int32_t, int32_t *);
    int32_t (*_Nullable DeviceGetCudaComputeCapability)(ApusNvmlDevice, int32_t *, int32_t *);
    int32_t (*_Nullable DeviceGetFieldValues)(ApusNvmlDevice, int32_t, ApusNvmlFieldValue *);
    int32_t (*_Nullable EventSetCreate)(ApusNvmlEventSet _Nullable *_Nonnull);
    int32_t (*_Nullable EventSetFree)(ApusNvmlEventSet);
    int32_t (*_Nullable DeviceGetSupportedEventTypes)(ApusNvmlDevice, uint64_t *);
    int32_t (*_Nullable DeviceRegisterEvents)(ApusNvmlDevice, uint64_t, ApusNvmlEventSet);
    int32_t (*_Nullable EventSetWait_v2)(ApusNvmlEventSet, ApusNvmlEventData *, uint32_t);
} ApusNvml;

/// `CUuuid`.
typedef struct ApusCudaUUID {
    uint8_t bytes[16];
} ApusCudaUUID;
_Static_assert(sizeof(ApusCudaUUID) == 16, "CUuuid");

/// The part of the CUDA driver library that numbers devices. None of it creates a context. All return a `CUresult`, 0 for success.
typedef struct ApusCuda {
    int32_t (*_Nullable Init)(uint32_t);
    int32_t (*_Nullable DeviceGetCount)(int32_t *);
    int32_t (*_Nullable DeviceGet)(int32_t *, int32_t);
    int32_t (*_Nullable DeviceGetUuid)(ApusCudaUUID *, int32_t);
    int32_t (*_Nullable DeviceGetUuid_v2)(ApusCudaUUID *, int32_t);
    int32_t (*_Nullable DeviceGetPCIBusId)(char *, int32_t, int32_t);
} ApusCuda;

/// What came of opening a library.
typedef enum ApusLibraryResult {
    ApusLibraryOpened = 0,
    /// dlopen failed; the reason tells.
    ApusLibraryNotLoadable = 1,
    /// The library lacks the functions without which it is of no use; the reason names the first.
    ApusLibraryNotUsable = 2,
} ApusLibraryResult;

/// Opens `libnvidia-ml.so.1`, or the library at `path`, for the life of the process and fills `table`.
/// On failure `reason` receives a NUL-terminated text.
ApusLibraryResult ApusNvmlOpen(const char *path, ApusNvml *table, char *reason, size_t reason_capacity);

/// The same for `libcuda.so.1`.
ApusLibraryResult ApusCudaOpen(const char *path, ApusCuda *table, char *reason, size_t reason_capacity);

#pragma clang assume_nonnull end

#endif
