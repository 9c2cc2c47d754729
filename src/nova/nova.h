/* SPDX-License-Identifier: Apache-2.0
 *
 * nova: the compute service: its roles, the words of its states, and what all its files share.
 *
 * The database belongs to the API, the conductor and the scheduler. A compute host never touches it: it asks the
 * conductor (rpcapi.h). States and their words are those of nova/objects/fields.py.
 */
#ifndef NOVA_NOVA_H
#define NOVA_NOVA_H

#include "oslo/app.h"
#include "oslo/context.h"

extern const struct service nova_service;

/* Programs. The API needs no start of its own; the others are in their folders. */
struct fault *nova_conductor_start(struct context *cx);
struct fault *nova_scheduler_start(struct context *cx);
struct fault *nova_compute_start(struct context *cx);
void nova_compute_stop(struct app *app);

/* The metadata listener's routes (metadata/). */
extern const struct route_table nova_metadata_routes;

/* vm_state */
#define VM_ACTIVE   "active"
#define VM_BUILDING "building"
#define VM_PAUSED   "paused"
#define VM_SUSPENDED "suspended"
#define VM_STOPPED  "stopped"
#define VM_RESCUED  "rescued"
#define VM_RESIZED  "resized"
#define VM_SOFT_DELETED "soft-delete"
#define VM_DELETED  "deleted"
#define VM_ERROR    "error"
#define VM_SHELVED  "shelved"
#define VM_SHELVED_OFFLOADED "shelved_offloaded"

/* task_state; NULL is none */
#define TASK_SCHEDULING           "scheduling"
#define TASK_BLOCK_DEVICE_MAPPING "block_device_mapping"
#define TASK_NETWORKING           "networking"
#define TASK_SPAWNING             "spawning"
#define TASK_POWERING_OFF         "powering-off"
#define TASK_POWERING_ON          "powering-on"
#define TASK_REBOOTING            "rebooting"
#define TASK_REBOOT_PENDING       "reboot_pending"
#define TASK_REBOOT_STARTED       "reboot_started"
#define TASK_REBOOTING_HARD       "rebooting_hard"
#define TASK_REBOOT_PENDING_HARD  "reboot_pending_hard"
#define TASK_REBOOT_STARTED_HARD  "reboot_started_hard"
#define TASK_PAUSING              "pausing"
#define TASK_UNPAUSING            "unpausing"
#define TASK_SUSPENDING           "suspending"
#define TASK_RESUMING             "resuming"
#define TASK_DELETING             "deleting"

enum power_state { POWER_NOSTATE = 0, POWER_RUNNING = 1, POWER_PAUSED = 3, POWER_SHUTDOWN = 4, POWER_CRASHED = 6,
    POWER_SUSPENDED = 7 };

/* Instance actions, nova/compute/instance_actions.py. */
#define ACTION_CREATE  "create"
#define ACTION_DELETE  "delete"
#define ACTION_STOP    "stop"
#define ACTION_START   "start"
#define ACTION_REBOOT  "reboot"
#define ACTION_PAUSE   "pause"
#define ACTION_UNPAUSE "unpause"
#define ACTION_SUSPEND "suspend"
#define ACTION_RESUME  "resume"
#define ACTION_LOCK    "lock"
#define ACTION_UNLOCK  "unlock"
#define ACTION_RESET_STATE      "resetState"
#define ACTION_ATTACH_INTERFACE "attach_interface"
#define ACTION_DETACH_INTERFACE "detach_interface"

#endif
