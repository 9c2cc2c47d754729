/* SPDX-License-Identifier: Apache-2.0
 *
 * server_actions: what can be done with a server.
 */
#ifndef NOVA_SERVER_ACTIONS_H
#define NOVA_SERVER_ACTIONS_H

#include "nova/api/api.h"

/* The actions addSecurityGroup and removeSecurityGroup (security_groups.c). */
struct fault *server_add_security_group(struct request *rq);
struct fault *server_remove_security_group(struct request *rq);

/* DELETE /servers/{server_id} and the action forceDelete. */
struct fault *server_delete(struct request *rq, const char *rule, const char *method);

/* Faults 409 "Instance X is locked" unless an administrator asks. */
struct fault *server_check_lock(struct request *rq, const struct instance *instance);

/* "Cannot 'stop' instance X while it is in vm_state stopped", 409. */
struct fault *server_wrong_state(struct request *rq, const struct instance *instance, const char *method, const char *attribute,
    const char *state);

#endif
