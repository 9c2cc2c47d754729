/* SPDX-License-Identifier: Apache-2.0
 *
 * calls: what a compute host asks the conductor, and placement, by name.
 */
#include "base/clock.h"
#include "nova/compute/compute.h"

struct fault *conductor_call(struct context *cx, const char *method, const json_t *arguments, json_t **ret)
{
    return rpc_call(cx, &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, method, arguments, 0, ret);
}

struct fault *instance_fetch(struct context *cx, const char *uuid, struct instance *ret)
{
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s}", "instance_uuid", uuid)), *result;
    TRY(conductor_call(cx, RPC_INSTANCE_GET, arguments, &result));
    instance_from_json(cx->arena, result, ret);
    return NULL;
}

struct fault *instances_fetch(struct context *cx, const struct compute_host *host, struct instance **ret, size_t *ret_count)
{
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s}", "host", host->name)), *list;
    TRY(conductor_call(cx, RPC_INSTANCE_LIST_HOST, arguments, &list));
    *ret_count = json_array_size(list);
    *ret = ARENA_ARRAY(cx->arena, struct instance, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++)
        instance_from_json(cx->arena, json_array_get(list, i), &(*ret)[i]);
    return NULL;
}

struct fault *instance_fetch_any(struct context *cx, const char *uuid, struct instance *ret)
{
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s, s:b}", "instance_uuid", uuid, "deleted", true)), *result;
    TRY(conductor_call(cx, RPC_INSTANCE_GET, arguments, &result));
    instance_from_json(cx->arena, result, ret);
    return NULL;
}

struct fault *instance_was_deleted(struct context *cx, const char *uuid, bool *ret)
{
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s, s:b}", "instance_uuid", uuid, "deleted", true)), *result;
    struct fault *fault = conductor_call(cx, RPC_INSTANCE_GET, arguments, &result);
    *ret = fault == NULL && json_bool_at(result, "deleted", false);
    return fault != NULL && fault->status == 404 ? NULL : fault;
}

enum rest_as caller_or_service(const struct context *cx)
{
    const struct caller *caller = cx->caller;
    bool usable = caller != NULL && caller->token != NULL && (caller->expires_us == 0 ||
        caller->expires_us > clock_now_us());
    return usable ? AS_CALLER : AS_SERVICE;
}

struct fault *allocation_remove(struct context *cx, const char *uuid)
{
    struct rest_response answer;
    return rest_call(cx, &(struct rest){ .service = "placement", .method = DELETE, .as = AS_SERVICE,
        .version = "placement 1.36",
        .path = arena_printf(cx->arena, "/allocations/%s", uuid), .accept_status = 404 }, &answer);
}
