/* SPDX-License-Identifier: Apache-2.0
 *
 * server_view: how a server looks in answers, for every microversion.
 */
#ifndef NOVA_SERVER_VIEW_H
#define NOVA_SERVER_VIEW_H

#include "nova/hosts.h"
#include "nova/instance.h"
#include "oslo/http.h"

struct server_security_groups;

/* The member hostId: SHA-224 of project (NULL: none) and host, as nova, so that a host looks different to each project; ""
 * without a host. */
const char *server_view_host_id(struct arena *arena, const char *project_id, const char *host);
struct seen_flavor {
    const char *text;
    const json_t *json;
};

struct server_view {
    struct request *rq;
    bool full;             /* false: PUT before 2.75 leaves most members out */
    bool extended;         /* the caller sees hosts */
    bool specs;            /* and the flavor's extra specs */
    bool admin;
    bool groups;           /* server_groups: only one server's own view has them */
    enum { HOST_STATUS_HIDDEN, HOST_STATUS_UNKNOWN, HOST_STATUS_ALL } host_status;
    const struct aggregate *aggregates;
    size_t aggregate_count;
    const struct service_row *services;
    size_t service_count;
    struct seen_flavor *flavor; /* the one that was written last */
    const struct server_security_groups *security_groups; /* NULL: not shown */
};

/* Looks up once what all servers of an answer need. `project_id`: whose server it is, or NULL for the caller's. */
struct fault *server_view_init(struct server_view *view, struct request *rq, struct tx *tx, const char *project_id);

/* Asks the network service for the security groups of these servers' ports. Not inside a transaction. */
struct fault *server_view_security_groups(struct server_view *view, const struct instance *instances, size_t count);
/* The member; a server whose ports have no group has none. */
void server_view_write_security_groups(const struct server_view *view, const struct instance *instance);

/* One server with details; `name` NULL in a list. */
void server_view_write(const struct server_view *view, const struct instance *instance, const char *name);

/* id, name and links. */
void server_view_basic(struct request *rq, const struct instance *instance);

/* "addresses": {label: [..]} as os-ips shows it, too; only one network when `label` is not NULL: false when it is unknown. */
bool server_view_addresses(struct request *rq, const struct instance *instance, bool extended, const char *label);

/* The vm_states that a status means (lists of texts, NULL-terminated; empty: no such status); *ret_task_states NULL when any. */
void server_states_of(struct arena *arena, const char *const *statuses, const char *const **ret_vm_states,
    const char *const **ret_task_states);

#endif
