/* SPDX-License-Identifier: Apache-2.0
 *
 * module: drivers that are loaded when they are asked for, so that their libraries never enter a process that does not
 * need them.
 */
#ifndef BASE_MODULE_H
#define BASE_MODULE_H

#include "base/fault.h"

/* Loads the shared object `file` ("nova_virt_libvirt.so") and gives the address of its one public `symbol`. Looked for in
 * $NUBO_MODULE_DIR, else where the build put it (`folder`, relative to src: "nova/virt/libvirt"), else in ../lib/nubo beside
 * the program. A module stays loaded; loading it again gives the same address. Fault 500: it is not there, or a library
 * that it needs is not; the message names what is missing.
 *
 * The program must export its symbols (export_dynamic) and hold all of base and oslo (link_whole): a module uses the
 * program's log, clock and threads, not copies of them. */
struct fault *module_load(struct arena *arena, const char *folder, const char *file, const char *symbol, const void **ret);

#endif
