/* SPDX-License-Identifier: Apache-2.0
 *
 * host_facts: what Linux says of this machine: memory, disk, processor, whether KVM works.
 */
#ifndef NOVA_VIRT_HOST_FACTS_H
#define NOVA_VIRT_HOST_FACTS_H

#include "base/arena.h"
#include "base/fault.h"
#include "nova/virt/driver.h"

#include <stdbool.h>
#include <stdint.h>

/* KVM counts as working only when the processor offers vmx or svm and /dev/kvm makes a virtual machine: on some hosts (a
 * para-virtual KVM) the device opens and guests stop in the firmware. */
bool host_kvm_works(void);

/* From /proc/meminfo: libvirt's own number is wrong on kernels that initialise memory late. Used is what is neither free nor
 * buffers nor cache, as nova counts. */
void host_memory(uint64_t *ret_total_mb, uint64_t *ret_used_mb);

/* The file system that holds `path`, in GiB. */
struct fault *host_disk(struct arena *arena, const char *path, uint64_t *ret_total_gb, uint64_t *ret_used_gb,
    uint64_t *ret_free_gb);

unsigned host_cpus(void);

/* uname's machine: "x86_64". */
const char *host_arch(struct arena *arena);
const char *host_name(struct arena *arena);

/* The JSON of nova's cpu_info: {"arch":..,"model":..,"vendor":..,"topology":{..},"features":[..]} from /proc/cpuinfo. */
const char *host_cpu_info(struct arena *arena);

/* os_traits' names for CPU features (libvirt's names; also takes those of /proc/cpuinfo), NULL-terminated, each once. */
const char *const *host_cpu_traits(struct arena *arena, const char *const *features);

#endif
