/* SPDX-License-Identifier: Apache-2.0
 * module: see module.h. */
#include "base/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of the module, or NULL. */
static const char *find(struct arena *arena, const char *folder, const char *file)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    const char *chosen = getenv("NUBO_MODULE_DIR");
    if (chosen != NULL)
        return arena_printf(arena, "%s/%s", chosen, file);
    if (length <= 0)
        return NULL;
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    const char *const places[] = {
        arena_printf(arena, "%s/../%s", program, folder),        /* of src/nubo in a build folder */
        arena_printf(arena, "%s/../../src/%s", program, folder), /* of a test there */
        arena_printf(arena, "%s/../lib/nubo", program),
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *path = arena_printf(arena, "%s/%s", places[i], file);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

struct fault *module_load(struct arena *arena, const char *folder, const char *file, const char *symbol, const void **ret)
{
    const char *path = find(arena, folder, file);
    if (path == NULL)
        return fault_new(arena, 500, NULL, "The module %s was not found beside the program.", file);
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *address = module != NULL ? dlsym(module, symbol) : NULL;
    if (address == NULL)
        return fault_new(arena, 500, NULL, "The module %s cannot be loaded: %s.", path, dlerror());
    *ret = address;
    return NULL;
}
