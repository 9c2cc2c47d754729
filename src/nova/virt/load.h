/* SPDX-License-Identifier: Apache-2.0
 *
 * load: finds a hypervisor driver by the name in [DEFAULT] compute_driver.
 */
#ifndef NOVA_VIRT_LOAD_H
#define NOVA_VIRT_LOAD_H

#include "nova/virt/driver.h"

/* The symbol that a driver module exports: const struct virt_driver. */
#define VIRT_DRIVER_SYMBOL "nova_virt_driver"

/* "libvirt" or "libvirt.LibvirtDriver": the module nova_virt_libvirt.so, looked for in $NUBO_MODULE_DIR, else in the build
 * folder that the program lies in, else in ../lib/nubo/ beside the program. "fake" or "fake.FakeDriver": built in. A module stays
 * loaded. The program must export its symbols (export_dynamic) and hold all of base and nova/virt (link_whole): the module uses
 * the program's log, clock and threads, not copies of them. */
struct fault *virt_driver_load(struct arena *arena, const char *name, const struct virt_driver **ret);

extern const struct virt_driver virt_driver_fake;

#endif
