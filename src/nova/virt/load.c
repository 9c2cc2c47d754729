/* SPDX-License-Identifier: Apache-2.0
 * load: see load.h. */
#include "nova/virt/load.h"

#include "nova/virt/files.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *find_module(struct arena *arena, const char *file)
{
    static const char *const places[] = {
        "../nova/virt/libvirt",        /* of src/nubo in a build folder */
        "../../src/nova/virt/libvirt", /* of a test there */
        "../lib/nubo",
    };
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    const char *folder = getenv("NUBO_MODULE_DIR");
    if (folder != NULL)
        return arena_printf(arena, "%s/%s", folder, file);
    if (length <= 0)
        return NULL;
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *path = arena_printf(arena, "%s/%s/%s", program, places[i], file);
        if (files_exists(path))
            return path;
    }
    return NULL;
}

static bool is_named(const char *name, const char *driver)
{
    size_t length = strlen(driver);
    return strncmp(name, driver, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

struct fault *virt_driver_load(struct arena *arena, const char *name, const struct virt_driver **ret)
{
    if (is_named(name, "fake")) {
        *ret = &virt_driver_fake;
        return NULL;
    }
    if (!is_named(name, "libvirt"))
        return fault_new(arena, 500, NULL, "There is no compute driver %s.", name);
    const char *path = find_module(arena, "nova_virt_libvirt.so");
    if (path == NULL)
        return fault_new(arena, 500, NULL, "The module nova_virt_libvirt.so was not found beside the program.");
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *driver = module != NULL ? dlsym(module, VIRT_DRIVER_SYMBOL) : NULL;
    if (driver == NULL)
        return fault_new(arena, 500, NULL, "The compute driver %s cannot be loaded: %s.", name, dlerror());
    *ret = driver;
    return NULL;
}
