/* SPDX-License-Identifier: Apache-2.0
 *
 * compute: what the files of nova-compute share. Private to nova/compute.
 *
 * One process may hold many hosts (simulated ones); each has its own queue, hypervisor and resource provider. Flows
 * under way are in a database of the compute process's own (STATE/db/nova-compute.db). Nova's database is out of
 * reach: calls.c asks the conductor.
 */
#ifndef NOVA_COMPUTE_COMPUTE_H
#define NOVA_COMPUTE_COMPUTE_H

#include "base/map.h"
#include "base/work.h"
#include "nova/instance.h"
#include "nova/nova.h"
#include "nova/roles.h"
#include "nova/rpcapi.h"
#include "nova/virt/driver.h"
#include "oslo/messaging.h"
#include "oslo/rest.h"
#include "oslo/trace.h"

#include <pthread.h>
#include <stdatomic.h>

#define COMPUTE_SERVICE "nova-compute"

struct periodic;

/* Events of actions that several files name. */
#define EVENT_TERMINATE "compute_terminate_instance"

struct compute_host {
    struct compute *compute;
    const char *name;          /* as services and instances have it */
    const char *node;          /* hypervisor_hostname */
    char provider[40];         /* UUID of the compute node and resource provider; "": not registered yet */
    struct virt_host *virt;    /* NULL until it could be opened */
    uint64_t inventory_digest; /* of what placement was told last; 0: nothing yet */
    pthread_mutex_t lock;      /* of `events` and `busy` */
    struct map events;         /* "instance/port" -> enum vif_event, of instances that are built; and "instance" itself */
    struct map busy;           /* instances that power.c works on */
};

struct compute {
    struct app *app;
    struct arena *life;
    struct db *db;
    const struct virt_driver *driver;
    struct work_pool *pool;    /* what waits for hypervisors and is no flow: power, console, attach */
    struct compute_host *hosts;
    size_t host_count;
    struct periodic *tasks[5]; /* see nova_compute_ready() */
    bool fake;
    int64_t looked_us;         /* when placement was last asked whether it still has our providers; monotonic */
    atomic_bool begun;             /* hosts are registered, what was under way goes on */
};

/* ---- calls.c: the conductor ---- */

/* One of its methods (rpcapi.h). */
struct fault *conductor_call(struct context *cx, const char *method, const json_t *arguments, json_t **ret);

/* One by its UUID, asked of the conductor, whose faults come back. */
struct fault *instance_fetch(struct context *cx, const char *uuid, struct instance *ret);
/* All that the database has on this host, in the arena. */
struct fault *instances_fetch(struct context *cx, const struct compute_host *host, struct instance **ret, size_t *ret_count);

/* As instance_fetch(), deleted ones too. */
struct fault *instance_fetch_any(struct context *cx, const char *uuid, struct instance *ret);
/* Whether its row says that it was deleted; false also for one that nova has never had. */
struct fault *instance_was_deleted(struct context *cx, const char *uuid, bool *ret);

/* ---- tell.c ---- */

#define EVENT_BUILD "compute__do_build_and_run_instance"

/* A change of the row; `changes` (new reference) and the events (may be NULL) as in rpcapi.h are released. `expected`
 * are task states, NULL-terminated, "" for none; NULL: any. */
struct instance_note {
    json_t *changes;
    const char *const *expected;
    const char *const *expected_vm;      /* vm_states, as `expected` */
    const char *event_start;             /* "compute__do_build_and_run_instance" */
    const char *event_progress, *progress; /* an event under way, and how far it is: "downloading image: 37%" */
    const char *event_finish;
    const struct fault *fault;           /* why the event ends as Error, and the row's fault with record_fault */
    bool record_fault;
    bool destroy;
};
struct fault *instance_tell(struct context *cx, const struct compute_host *host, const char *uuid,
    const struct instance_note *note);

/* ---- notify.c ---- */

/* An event of an action began or ended (`why`: with a failure): who listens to notifications is told. NULL event: nothing. */
void instance_notify(struct context *cx, const struct compute_host *host, const char *uuid, const char *event, bool begins,
    const struct fault *why);

/* ---- calls.c: the other services ---- */

/* As who: the user whose token the context carries, or the service when there is none or it has expired. */
enum rest_as caller_or_service(const struct context *cx);

/* DELETE /allocations/UUID; absent is fine. */
struct fault *allocation_remove(struct context *cx, const char *uuid);

/* ---- image.c ---- */

/* The instance's image in the cache of this host. Simulated hosts only ask glance. */
struct fault *image_ensure(struct context *cx, const struct compute_host *host, const struct instance *instance);
/* Fills image_path, image_format, kernel_path, ramdisk_path from the cache, when they are there. */
void image_paths(struct context *cx, const struct compute_host *host, const struct instance *instance,
    struct virt_spawn *spawn);

/* RPC: images into the cache before a server asks for them. */
struct fault *cache_images_here(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

/* Periodic: what no instance of this host uses any more goes, as [image_cache] says (nova: _run_image_cache_manager_pass). */
struct fault *manage_image_cache(struct context *cx, void *owner);

/* ---- network.c ---- */

/* Makes or takes the ports that the request asks for, bound to this host; *ret is the network info (list, new in the
 * arena). */
struct fault *network_allocate(struct context *cx, const struct compute_host *host, const struct instance *instance,
    json_t **ret);
/* Deletes the ports that nova made for the instance and gives the others back. */
struct fault *network_release(struct context *cx, const struct instance *instance);
/* Network info anew from neutron's ports of the instance. */
struct fault *network_info_read(struct context *cx, const struct instance *instance, json_t **ret);
/* One more, or one less. */
struct network_wish {
    const char *network_id, *port_id, *address, *tag; /* each may be NULL */
};
struct fault *network_add(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct network_wish *wish, json_t **ret_vif);
struct fault *network_remove(struct context *cx, const struct instance *instance, const char *port_id);
/* Which ports of the instance are not ACTIVE yet; *ret_failed: one has failed. */
struct fault *network_waiting(struct context *cx, const char *uuid, size_t *ret_waiting, bool *ret_failed);

/* ---- events.c ---- */

enum vif_event { VIF_PENDING = 1, VIF_PLUGGED, VIF_FAILED };
/* From now on until vif_forget() events about the instance's ports are remembered. */
void vif_expect(struct compute_host *host, const char *uuid);
void vif_forget(struct compute_host *host, const char *uuid);
/* An event came; kept when a build waits for it. */
void vif_mark(struct compute_host *host, const char *uuid, const char *port_id, enum vif_event event);
/* The worst of the instance's VIFs: failed, pending, or plugged. */
enum vif_event vif_state(struct compute_host *host, const char *uuid, const json_t *network_info);
struct fault *external_instance_event(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

/* ---- guest.c ---- */

struct virt_nic nic_of(struct arena *arena, const json_t *vif);
/* The guest as the driver wants it, from the row. */
void guest_describe(struct context *cx, const struct compute_host *host, const struct instance *instance,
    struct virt_spawn *ret);
/* Makes the config drive when the instance wants one and has none. */
struct fault *guest_config_drive(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const char *admin_password);

/* ---- build.c, terminate.c ---- */

struct fault *build_and_run_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *terminate_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *build_start(struct context *cx, struct compute_host *host, const char *uuid, const json_t *arguments);
struct fault *terminate_start(struct context *cx, struct compute_host *host, const char *uuid);

/* ---- power.c: start, stop, reboot, pause, unpause, suspend, resume; and the table of all messages ---- */

extern const struct rpc_method compute_methods[];
/* Does it on the compute pool. `method` is an RPC name. */
struct fault *power_message(struct context *cx, struct compute_host *host, const char *method, const char *uuid,
    const json_t *arguments);
/* The message whose work a task state tells of, or NULL. */
/* Whether a message for the instance is worked on in this process. */
bool power_is_busy(struct compute_host *host, const char *uuid);
const char *power_method_of(const char *task_state);

/* ---- inspect.c: console, diagnostics, interfaces, uptime ---- */

struct fault *get_console_output(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *get_diagnostics(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *get_instance_diagnostics(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *get_host_uptime(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *attach_interface(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *detach_interface(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

/* ---- resources.c ---- */

/* Compute node rows and providers of all hosts; what has not changed is not told again. */
struct fault *update_available_resource(struct context *cx, void *owner);

/* ---- sync.c ---- */

void guest_event(void *argument, enum virt_event event, const char *uuid); /* argument: the host */
struct fault *sync_power_states(struct context *cx, void *owner);

/* ---- start.c: what an end in the middle left behind ---- */

struct fault *host_recover(struct context *cx, struct compute_host *host);

/* Periodic: instances whose task has waited so long that its message must be lost. */
struct fault *hosts_remind(struct context *cx, void *owner);

#endif
