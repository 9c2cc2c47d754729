/* SPDX-License-Identifier: Apache-2.0
 *
 * host: the driver's hold on one libvirtd: connection, events, and coming back after libvirtd was away.
 *
 * One thread a process runs libvirt's event loop. One thread a host, the watcher, waits for the connection to be lost, then
 * starts a private libvirtd anew when that is what died, and connects again. Calls borrow the connection by a reference and
 * wait for it a bounded time; nobody connects while holding the lock.
 */
#ifndef NOVA_VIRT_LIBVIRT_HOST_H
#define NOVA_VIRT_LIBVIRT_HOST_H

#include "nova/virt/driver.h"
#include "nova/virt/libvirt/domain_xml.h"
#include "nova/virt/vif.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

struct virt_host {
    pthread_mutex_t lock;
    pthread_cond_t changed;      /* the connection, or any guest's state or devices */
    virConnectPtr connection;    /* NULL while libvirtd is away */
    int lifecycle_id, removed_id;
    unsigned registrations;      /* callbacks that libvirt may still call */
    unsigned events;             /* how many came, for waiters */
    bool lost, closing;
    uintptr_t watcher;

    struct arena *arena;         /* holds what follows; never changed after init */
    struct domain_settings settings;
    struct vif_place place;
    const char *hostname;
    const char *uri;             /* NULL: a private libvirtd */
    const char *const *cpu_traits;
    virt_event_function on_event;
    void *event_argument;
};

/* A borrowed connection and domain, given back when the scope ends:
 *     HOST_CALL_CLEANUP struct host_call call = { 0 };
 *     TRY(host_find(host, arena, uuid, &call)); */
struct host_call {
    virConnectPtr connection;
    virDomainPtr domain;
};
void host_call_release(struct host_call *call);
#define HOST_CALL_CLEANUP __attribute__((cleanup(host_call_release)))

/* The driver's init() and close(): virt/driver.h says what they promise. */
struct fault *host_init(struct arena *arena, const struct virt_config *config, struct virt_host **ret_host);
void host_close(struct virt_host *host);

/* Borrows the connection; 503 HypervisorUnavailable after VIRT_CONNECT_WAIT_MS without one. */
struct fault *host_connect(struct virt_host *host, struct arena *arena, struct host_call *call);

/* Also looks a guest up: 404 InstanceNotFound. */
struct fault *host_find(struct virt_host *host, struct arena *arena, const char *uuid, struct host_call *call);

/* What libvirt's last call on this thread failed with. `uuid` may be NULL. */
struct fault *host_fault(struct arena *arena, const char *uuid);

/* The guest's state now; VIRT_NOSTATE when libvirt cannot tell. */
enum virt_power_state host_state(virDomainPtr domain);
enum virt_power_state host_power_state(int libvirt_state);

/* Waits until done(argument), looked at again after every event and each second. False after timeout_ms. */
bool host_wait(struct virt_host *host, int64_t timeout_ms, bool (*done)(void *argument), void *argument);

/* stats.c */
struct fault *stats_resources(struct virt_host *host, struct arena *arena, struct virt_resources *ret);
struct fault *stats_list(struct virt_host *host, struct arena *arena, const struct virt_instance_info **ret, size_t *ret_count);
struct fault *stats_info(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_instance_info *ret);
struct fault *stats_diagnostics(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_diagnostics *ret);
const char *const *stats_cpu_traits(struct virt_host *host, struct arena *arena, virConnectPtr connection);

#endif
