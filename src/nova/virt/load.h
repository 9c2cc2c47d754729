/* SPDX-License-Identifier: Apache-2.0
 *
 * load: finds a hypervisor driver by the name in [DEFAULT] compute_driver.
 */
#ifndef NOVA_VIRT_LOAD_H
#define NOVA_VIRT_LOAD_H

#include "nova/virt/driver.h"

/* The symbol that a driver module exports: const struct virt_driver. */
#define VIRT_DRIVER_SYMBOL "nova_virt_driver"

/* "libvirt" or "libvirt.LibvirtDriver": the module nova_virt_libvirt.so (base/module.h). "fake" or "fake.FakeDriver": built in. */
struct fault *virt_driver_load(struct arena *arena, const char *name, const struct virt_driver **ret);

extern const struct virt_driver virt_driver_fake;

#endif
