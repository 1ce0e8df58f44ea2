#include "COnnxRuntime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

ApusOrtOpenResult ApusOrtOpen(const char *path, const OrtApi **api, const char **version, char *reason,
                              size_t reason_capacity) {
    // The official wheels start a telemetry thread and write files to the home folder unless this is set before the
    // environment is created. A value that is there already stays.
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);

    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *message = dlerror();
        snprintf(reason, reason_capacity, "%s", message != NULL ? message : "dlopen failed");
        return ApusOrtNotLoadable;
    }
    const OrtApiBase *(*get_base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
    if (get_base == NULL) {
        dlclose(library);
        snprintf(reason, reason_capacity, "it does not export OrtGetApiBase");
        return ApusOrtNotAnEngine;
    }
    const OrtApiBase *base = get_base();
    *version = base->GetVersionString();
    int major = 0, minor = 0;
    // GetApi prints to stderr when it is asked for a version it does not have, so the version string is read first.
    if (sscanf(*version, "%d.%d", &major, &minor) != 2 || major != 1 || minor < APUS_ORT_API_VERSION) {
        snprintf(reason, reason_capacity, "%s", *version);
        return ApusOrtTooOld;
    }
    *api = base->GetApi(APUS_ORT_API_VERSION);
    return *api != NULL ? ApusOrtOpened : ApusOrtTooOld;
}

void ApusMapLargeBlocks(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void ApusReturnFreedPages(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
