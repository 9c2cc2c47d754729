/* SPDX-License-Identifier: Apache-2.0
 *
 * hosts: the programs that report (services), the hypervisors (compute nodes), and the aggregates that make availability
 * zones of them.
 */
#ifndef NOVA_HOSTS_H
#define NOVA_HOSTS_H

#include "oslo/json.h"
#include "oslo/sql.h"

struct service_row {
    int64_t id;
    const char *uuid, *host, *binary, *topic; /* "nova-compute", "compute" */
    bool disabled, forced_down;
    const char *disabled_reason;
    int64_t version, report_count, last_seen_up, created_at, updated_at;
};

struct compute_node {
    int64_t id;
    const char *uuid;                 /* the resource provider's UUID in placement, too */
    const char *host, *hypervisor_hostname, *hypervisor_type; /* "QEMU", "fake" */
    int64_t hypervisor_version;       /* 7002000 */
    const char *host_ip;
    int64_t vcpus, memory_mb, local_gb, vcpus_used, memory_mb_used, local_gb_used, free_ram_mb, free_disk_gb;
    int64_t disk_available_least, current_workload, running_vms;
    const char *cpu_info;             /* JSON object */
    const char *supported_instances;  /* JSON [["x86_64","qemu","hvm"]] */
    const char *details;              /* JSON: what else the driver tells */
    int64_t created_at, updated_at;
};

struct aggregate {
    int64_t id;
    const char *uuid, *name;
    json_t *hosts;    /* ["host"] */
    json_t *metadata; /* {"availability_zone": ...} */
    int64_t created_at, updated_at;
};

/* A heartbeat: makes the row, or says that it is alive now. Gives its row. */
struct fault *service_report(struct arena *arena, struct db *db, const char *host, const char *binary, const char *topic,
    struct service_row *ret);

/* The heartbeats of many hosts of one process, in one transaction. */
struct fault *service_report_many(struct arena *arena, struct db *db, const char *const *hosts, size_t count,
    const char *binary, const char *topic);

/* Filters may be NULL. In the transaction's arena, by id. */
struct fault *service_list(struct tx *tx, const char *host, const char *binary, struct service_row **ret,
    size_t *ret_count);

/* Whether it reported within service_down_time seconds and is not forced down. */
bool service_is_up(const struct service_row *service, int64_t service_down_time_s);

/* Writes what compute hosts found (by host and hypervisor_hostname), in one transaction; uuid is filled in when the row is new and
 * it has none. */
struct fault *compute_nodes_save(struct arena *arena, struct db *db, struct compute_node *nodes, size_t count);
struct fault *compute_node_list(struct tx *tx, const char *host, struct compute_node **ret, size_t *ret_count);
json_t *compute_node_to_json(struct arena *arena, const struct compute_node *node); /* new reference */
void compute_node_from_json(struct arena *arena, const json_t *json, struct compute_node *ret);

/* All of them, oldest first, in the transaction's arena. */
struct fault *aggregate_list(struct tx *tx, struct aggregate **ret, size_t *ret_count);

/* The zone of a host, as nova: of the first aggregate with availability_zone metadata, else default_zone. */
const char *host_zone(const struct aggregate *aggregates, size_t count, const char *host, const char *default_zone);

#endif
