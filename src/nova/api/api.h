/* SPDX-License-Identifier: Apache-2.0
 *
 * api: what the files of nova's API share: tables of routes, helpers for requests and views.
 */
#ifndef NOVA_API_H
#define NOVA_API_H

#include "nova/hosts.h"
#include "nova/instance.h"
#include "nova/nova.h"
#include "oslo/http.h"
#include "oslo/schema.h"

enum { NOVA_MIN_MINOR = 1, NOVA_MAX_MINOR = 95 };

extern const struct dialect nova_dialect;
extern const struct policy_table nova_policies;
extern const struct option_table nova_options;

extern const struct route_table nova_version_routes, nova_flavor_routes, nova_flavor_extra_routes,
    nova_keypair_routes, nova_server_routes, nova_server_action_routes, nova_server_metadata_routes,
    nova_server_tag_routes, nova_server_security_group_routes, nova_instance_action_routes, nova_interface_routes,
    nova_hypervisor_routes,
    nova_service_routes, nova_zone_routes, nova_aggregate_routes, nova_limit_routes, nova_quota_routes,
    nova_server_group_routes, nova_external_event_routes, nova_usage_routes;

/* "" or "/PROJECT", as the request's own path has it; links repeat it. */
const char *api_project_prefix(const struct request *rq);

/* "links": self and bookmark of a resource: api_links(rq, "servers", id). */
void api_links(struct request *rq, const char *collection, const char *id);

/* One bookmark link: [{"rel": "bookmark", "href"}] as a member. */
void api_bookmark(struct request *rq, const char *collection, const char *id);

/* "servers_links": a link to the next page, with the request's own query and this marker. */
void api_next_link(struct request *rq, const char *name, const char *collection, const char *marker);

/* limit and marker of the query: limit at most [api] max_limit. Faults 400 in nova's words. */
struct fault *api_paging(struct request *rq, int64_t *ret_limit, const char **ret_marker);

/* An integer query parameter of at least `min`; absent: *ret unchanged. */
struct fault *api_query_int(struct request *rq, const char *name, int64_t min, int64_t *ret);

/* A query against a schema of single string values (every parameter a string; repeated ones an array), as nova's query
 * schemas. `allowed` lists the names; `strict` refuses others: "Additional properties are not allowed". */
struct fault *api_query_check(struct request *rq, const char *const *allowed, bool strict);

/* Member of a body that nova's boolean type takes: true "True" "1" ... */
bool json_truth(const json_t *value);
/* A member that is an integer or its text. */
int64_t json_number(const json_t *value, int64_t absent);

/* "2026-11-22T19:55:50Z"; or ".000000" form without Z where nova prints a naive time. NULL for 0. */
const char *api_time(struct request *rq, int64_t us);
const char *api_time_us(struct request *rq, int64_t us);

/* Loads a server of the path and enforces the rule on its owner; another project's is 404, as the policy of nova's API
 * hides it: loading happens with the caller's project unless it is an administrator. */
struct fault *api_server(struct request *rq, const char *rule, struct instance *ret);
/* Whether the caller is nova's administrator (context_is_admin). */
bool api_is_admin(struct request *rq);

/* server_group.add_member, for those who listen: a server joined a group. */
struct fault *server_group_tell_member(struct request *rq, const char *group, const char *server);

/* An empty answer. */
struct fault *api_empty(struct request *rq, int status);

#define BAD_REQUEST(rq, ...) FAULT(RQ(rq), 400, NULL, __VA_ARGS__)
#define NOT_FOUND(rq, ...)   FAULT(RQ(rq), 404, NULL, __VA_ARGS__)
#define CONFLICT(rq, ...)    FAULT(RQ(rq), 409, NULL, __VA_ARGS__)
#define FORBIDDEN(rq, ...)   FAULT(RQ(rq), 403, NULL, __VA_ARGS__)

/* Schemas that several resources share (nova/api/validation/parameter_types.py). */
extern const struct schema nova_schema_name, nova_schema_boolean, nova_schema_metadata, nova_schema_tag, nova_schema_ip,
    nova_schema_uuid, nova_schema_null, nova_schema_positive, nova_schema_text255, nova_schema_any;
#define SCHEMA_CLOSED(...) { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES(__VA_ARGS__), .closed = true }

#endif
