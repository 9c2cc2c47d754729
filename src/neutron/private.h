/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of neutron share. One file per resource family: its field table, its routes, its behaviour, together.
 */
#ifndef NEUTRON_PRIVATE_H
#define NEUTRON_PRIVATE_H

#include "neutron/address.h"
#include "neutron/neutron.h"
#include "oslo/messaging.h"
#include "oslo/resource.h"
#include "oslo/rest.h"

/* ---- words.c: how neutron speaks ---- */

extern const struct dialect neutron_dialect;
extern const struct resource_dialect neutron_resources;

/* 400 InvalidInput "Invalid input for operation: REASON." */
struct fault *invalid_input(struct context *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 400 HTTPBadRequest "Invalid input for NAME. Reason: REASON." */
struct fault *invalid_value(struct context *cx, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Field check of project_id: only an admin gives a foreign one. */
struct fault *check_project(struct op *op, const struct field *field, struct value *value);
/* Python's repr of a list of texts. */
const char *texts_repr(struct arena *arena, const char *const *texts, size_t count);
/* A scalar or document as Python's str() shows it. */
const char *json_shown(struct arena *arena, const json_t *value);

extern const struct policy_table neutron_policies;
extern const struct option_table neutron_options, ml2_options, security_group_options, ovs_agent_options, dhcp_agent_options,
    metadata_agent_options;
extern const struct option_table neutron_target_options;
extern const struct rest_target neutron_targets[];
enum { NEUTRON_MIGRATIONS = 6 };
extern const struct migration neutron_migrations[NEUTRON_MIGRATIONS];

/* ---- quotas.c ---- */

extern const struct route_table quota_routes;
/* tx_serialize() on "PREFIX:VALUE" for each value that the rows of the operation have in a field. */
struct fault *serialize_rows(struct op *op, const char *prefix, size_t field);
/* For a resource.quota hook: 409 OverQuota when the rows' project would own more of `resource` than it may; each row of the
 * page brings `each` of them. */
struct fault *quota_check(struct op *op, const char *resource, const char *table, size_t project_field, size_t each);
/* The same for `more` of one project. */
struct fault *quota_check_project(struct context *cx, struct tx *tx, const char *project_id, const char *resource,
    const char *table, size_t more);

/* ---- networks.c, segments.c ---- */

extern const struct route_table network_routes;
extern const struct resource network_resource;

/* What others need to know of a network. */
struct network_info {
    const char *id, *project_id, *type, *physical_network;
    int64_t segmentation_id, mtu;
    bool shared, external, port_security, admin_state_up;
};
/* NULL through *ret when there is none. In a transaction. */
struct fault *network_info(struct tx *tx, const char *id, struct network_info **ret);
/* The same, but 404 NetworkNotFound when it is absent or the caller of `op` may not see it. */
struct fault *network_seen(struct op *op, struct tx *tx, const char *id, struct network_info **ret);
/* Target texts of rules about the network of a port or subnet: "network:tenant_id", "network:project_id". */
extern const char *const network_target_names[];
struct fault *network_target(const struct network_info *info, const char *name, const char **ret);

struct segment {
    const char *type, *physical_network; /* type NULL: the project's network type is chosen */
    int64_t id;                          /* 0: none given */
};
struct fault *segment_validate(struct context *cx, const struct segment *segment);
/* Reserves it in the transaction; fills what was left open. */
struct fault *segment_reserve(struct context *cx, struct tx *tx, const char *network_id, struct segment *segment);
/* The largest MTU of a network of this type. */
int64_t segment_mtu(struct context *cx, const struct segment *segment);

/* ---- subnets.c, ipam.c ---- */

extern const struct route_table subnet_routes;
extern const struct resource subnet_resource;

struct pool {
    struct address first, last;
};
struct subnet_info {
    const char *id, *cidr, *gateway_ip, *ra_mode, *address_mode;
    struct network_prefix prefix;
    bool dhcp;
    struct pool *pools;
    size_t pool_count;
};
struct fault *subnets_of_network(struct tx *tx, const char *network_id, struct subnet_info **ret, size_t *ret_count);
bool subnet_is_auto(const struct subnet_info *subnet); /* addresses follow from the MAC */
bool pools_parse(struct arena *arena, const char *json, struct pool **ret, size_t *ret_count);

struct allocation {
    const char *subnet_id;
    struct address address;
};
/* The addresses of a port: what `fixed_ips` asks for (a JSON list; NULL: one of each version that the network has), chosen
 * and written. What the port had before (`before`, JSON list text or NULL) is kept where it may be, and freed otherwise.
 * *ret_json is the port's fixed_ips. */
struct port_addresses {
    const char *port_id, *network_id, *device_owner;
    const uint8_t *mac;
    json_t *wanted;
    const char *before;
};
struct fault *ipam_assign(struct context *cx, struct tx *tx, const struct port_addresses *port, const char **ret_json);
/* Whether the form of a fixed_ips list is right. */
struct fault *fixed_ips_check(struct op *op, const struct field *field, struct value *value);

/* ---- ports.c, binding.c, port_fields.c ---- */

extern const struct route_table port_routes;
extern const struct resource port_resource;
enum port_field {
    PORT_ID, PORT_NAME, PORT_NETWORK_ID, PORT_TENANT, PORT_MAC, PORT_ADMIN_STATE_UP, PORT_STATUS, PORT_DEVICE_ID,
    PORT_DEVICE_OWNER, PORT_FIXED_IPS, PORT_ADDRESS_PAIRS, PORT_DHCP_OPTS, PORT_SECURITY_GROUPS, PORT_SECURITY_ENABLED,
    PORT_HOST_ID, PORT_VNIC_TYPE, PORT_PROFILE, PORT_VIF_TYPE, PORT_VIF_DETAILS, PORT_DESCRIPTION, PORT_TAGS,
    PORT_TAGS_ANY, PORT_NOT_TAGS, PORT_NOT_TAGS_ANY, PORT_CREATED,
    PORT_UPDATED, PORT_REVISION, PORT_FIELDS
};
struct fault *port_pairs_check(struct op *op, const struct field *field, struct value *value);
struct fault *port_dhcp_opts_check(struct op *op, const struct field *field, struct value *value);
struct fault *port_groups_check(struct op *op, const struct field *field, struct value *value);
/* Sets vif_type, vif_details and status of a row whose host, vnic_type or profile may have changed. In op->tx. */
struct fault *port_bind(struct op *op, struct row *row, const struct network_info *info);
/* An agent says that a port is wired (or not): status, and nova is told. `host`: the agent's. */
struct fault *port_set_status(struct context *cx, const char *port_id, const char *host, const char *status);
/* After a commit: simulated hosts report the port up. */
void port_simulate(struct op *op, struct row *row);

/* ---- security_groups.c ---- */

extern const struct route_table security_group_routes;
/* The project's default group, made with its rules when there is none. In a write transaction. */
struct fault *default_group(struct context *cx, struct tx *tx, const char *project_id, const char **ret_id);
/* ---- security_group_rules.c ---- */

/* 404 SecurityGroupNotFound unless every id is a group that the project may use. */
struct fault *groups_exist(struct context *cx, struct tx *tx, const json_t *ids, const char *project_id, bool sees_all);

/* ---- agents.c, dhcp_agents.c, dhcp_rpc.c ---- */

extern const struct route_table agent_routes, dhcp_agent_routes;
extern const struct resource agent_resource;
/* The device_id of a DHCP port: that of a host's, and that of one whose network was taken off its agent. */
const char *dhcp_device_id(struct context *cx, const char *host, const char *network_id);
#define RESERVED_DHCP_PORT "reserved_dhcp_port"
struct fault *agent_alive(struct context *cx, struct tx *tx, const char *type, const char *host, const char **ret_configurations);
struct agent_report {
    const char *type, *binary, *topic, *host, *zone;
    const char *configurations; /* JSON object text */
    bool started;               /* its first report since it started */
};
struct fault *agent_report(struct context *cx, struct tx *tx, const struct agent_report *report);
/* Simulated hosts' agents are there as soon as they are needed. */
struct fault *agent_simulate(struct context *cx, struct tx *tx, const char *host);

/* ---- availability.c, extensions.c, tags.c, standard_attributes.c ---- */

extern const struct route_table availability_routes;
extern const struct route_table extension_routes;
extern const struct route_table tag_routes;
/* Something that belongs to the row of `table` changed: its revision and its time of change follow. In a transaction. */
struct fault *revise(struct tx *tx, const char *table, const char *id);
/* The filter of the fields `tags` (every tag of the comma-separated list), `tags-any` (one of them), `not-tags` and
 * `not-tags-any` (their opposites). */
struct fault *tags_filter(struct op *op, const struct field *field, const char *const *values, size_t count,
    struct where *where);

/* ---- notify.c: who must know ---- */

/* Agents: "port_update", "port_delete", "security_groups_member_updated", "network_update", "subnet_update"... */
void notify_agents(struct context *cx, const char *method, const char *key, const char *id);
/* nova: os-server-external-events, in the background, several events in one call. */
void notify_nova(struct context *cx, const char *event, const char *server_id, const char *port_id, const char *status);

#endif
