// The script that a fake library plays: a text file, read anew at every call, so that a test changes a machine by rewriting it.
//
// It lies beside the library and is called "script". One setting a line, a later line wins, '#' starts a comment:
//     driver 580.65.06
//     count 8
//     gpu 3 temperature 91
//     gpu * code nvmlDeviceGetTotalEccErrors 3        what this call answers instead
//     gpu 2 answer 15                                 what every call about this GPU answers instead
//     gpu 2 hang nvmlDeviceGetMemoryInfo_v2           this call never returns
//     gpu 1 xid 79                                    one event a line, delivered to event sets created before the line was there
#ifndef FAKE_SCRIPT_H
#define FAKE_SCRIPT_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAKE_LINE 256
#define FAKE_NONE (-1)

static inline FILE *fake_open_script(void) {
    static int anchor;
    Dl_info info;
    char path[4096];
    if (dladdr(&anchor, &info) == 0 || info.dli_fname == NULL) {
        return NULL;
    }
    snprintf(path, sizeof path, "%s", info.dli_fname);
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + sizeof "/script" > sizeof path) {
        return NULL;
    }
    strcpy(slash, "/script");
    return fopen(path, "r");
}

// The rest of `line` behind "gpu INDEX KEY " or, for FAKE_NONE, "KEY "; NULL for another line.
static inline const char *fake_match(const char *line, int gpu, const char *key) {
    if (gpu != FAKE_NONE) {
        int length = 0;
        char index[16];
        if (sscanf(line, "gpu %15s %n", index, &length) != 1 || length == 0) {
            return NULL;
        }
        if (strcmp(index, "*") != 0 && (index[0] < '0' || index[0] > '9' || atoi(index) != gpu)) {
            return NULL;
        }
        line += length;
    }
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || (line[length] != ' ' && line[length] != 0)) {
        return NULL;
    }
    line += length;
    return line + strspn(line, " ");
}

// Copies the last setting of `key` into `value`; 0 when there is none.
static inline int fake_setting(int gpu, const char *key, char value[FAKE_LINE]) {
    FILE *script = fake_open_script();
    int found = 0;
    char line[FAKE_LINE];
    while (script != NULL && fgets(line, sizeof line, script) != NULL) {
        line[strcspn(line, "#\n")] = 0;
        const char *rest = fake_match(line, gpu, key);
        if (rest != NULL) {
            strcpy(value, rest);
            found = 1;
        }
    }
    if (script != NULL) {
        fclose(script);
    }
    return found;
}

static inline uint64_t fake_number(int gpu, const char *key, uint64_t otherwise) {
    char value[FAKE_LINE];
    return fake_setting(gpu, key, value) ? strtoull(value, NULL, 0) : otherwise;
}

static inline void fake_text(int gpu, const char *key, const char *otherwise, char value[FAKE_LINE]) {
    if (!fake_setting(gpu, key, value)) {
        snprintf(value, FAKE_LINE, "%s", otherwise);
    }
}

// Hangs when the script says so, else gives the scripted code of a call, 0 without one.
static inline int fake_begin(int gpu, const char *function) {
    char key[FAKE_LINE], value[FAKE_LINE];
    snprintf(key, sizeof key, "hang %s", function);
    if (fake_setting(gpu, key, value)) {
        for (;;) {
            pause();
        }
    }
    snprintf(key, sizeof key, "code %s", function);
    int everything = gpu == FAKE_NONE ? 0 : (int)fake_number(gpu, "answer", 0);
    return (int)fake_number(gpu, key, (uint64_t)everything);
}

static inline void fake_uuid(int gpu, char value[FAKE_LINE]) {
    char otherwise[FAKE_LINE];
    snprintf(otherwise, sizeof otherwise, "GPU-%02x000000-1111-2222-3333-4444555566%02x", 0xa0 + gpu, gpu);
    fake_text(gpu, "uuid", otherwise, value);
}

#endif
