/* SPDX-License-Identifier: Apache-2.0
 * load: see load.h. */
#include "nova/virt/load.h"

#include "base/module.h"

#include <string.h>

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
    const void *driver;
    TRY(module_load(arena, "nova/virt/libvirt", "nova_virt_libvirt.so", VIRT_DRIVER_SYMBOL, &driver));
    *ret = driver;
    return NULL;
}
