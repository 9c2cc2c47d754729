/* SPDX-License-Identifier: Apache-2.0
 * run: the one path of every request: route, authenticate, microversion, parse, policy, handler, render. See http.h. */
#include "base/log.h"
#include "base/random.h"
#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/http/transport.h"
#include "oslo/identity.h"
#include "oslo/middleware.h"
#include "oslo/rest.h"
#include "oslo/schema.h"
#include "oslo/trace.h"

#include <string.h>
#include <unistd.h>

/* ---- policy ---- */

static bool passes(struct request *rq, const char *rule, const struct policy_target *target)
{
    struct policy_credentials credentials;
    identity_credentials(rq->cx.caller, &credentials);
    const struct policy_target own[] = {
        { "project_id", rq->cx.caller->project_id }, { "user_id", rq->cx.caller->user_id },
        { "tenant_id", rq->cx.caller->project_id }, { NULL, NULL },
    };
    return policy_decide(rq->cx.app->policy, rule, target != NULL ? target : own, &credentials) == POLICY_ALLOWED;
}

bool request_allowed(struct request *rq, const char *rule, const struct policy_target *target)
{
    return rq->cx.caller != NULL && passes(rq, rule, target);
}

struct fault *request_enforce(struct request *rq, const char *rule, const struct policy_target *target)
{
    if (request_allowed(rq, rule, target))
        return NULL;
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->forbidden != NULL)
        return dialect->forbidden(rq, rule);
    return FAULT(RQ(rq), 403, "forbidden", "Policy doesn't allow %s to be performed.", rule);
}

/* ---- bodies ---- */

static struct fault *malformed(struct request *rq, const char *why)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->malformed != NULL)
        return dialect->malformed(rq, why);
    return FAULT(RQ(rq), 400, NULL, "Malformed request body: %s", why);
}

static bool is_json(const struct request *rq)
{
    const char *type = request_header(rq, "Content-Type");
    return type == NULL || strcasestr(type, "json") != NULL || strcasestr(type, "text/plain") != NULL ||
        strcasestr(type, "x-www-form-urlencoded") != NULL; /* what curl -d says when it is told nothing */
}

static struct fault *parse_body(struct request *rq)
{
    if ((rq->route->flags & (ANY_BODY | STREAM)) || rq->data_length == 0)
        return NULL;
    if (!is_json(rq))
        return FAULT(RQ(rq), 415, NULL, "Unsupported Content-Type");
    const char *why = NULL;
    rq->body = json_parse(rq->cx.arena, rq->data, rq->data_length, &why);
    return rq->body == NULL ? malformed(rq, why) : NULL;
}

struct fault *request_validate(struct request *rq, const struct schema *schema)
{
    if (rq->body == NULL)
        return malformed(rq, "no JSON body");
    struct violation violation;
    if (schema_check(rq->cx.arena, schema, rq->body, rq->cx.app->service->dialect->schema_options, &violation))
        return NULL;
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->invalid != NULL)
        return dialect->invalid(rq, &violation);
    return FAULT(RQ(rq), 400, NULL, "%s", violation.message);
}

/* ---- the path ---- */

static struct fault *no_route(struct request *rq, const char *allow)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (rq->cx.app->service->authenticate == NULL) /* as auth_token in front of the application: strangers see 401 */
        TRY(identity_authenticate(rq));
    if (allow == NULL) {
        if (dialect->not_found != NULL)
            return dialect->not_found(rq);
        return FAULT(RQ(rq), 404, NULL, "The resource could not be found.");
    }
    response_header(rq, "Allow", allow);
    if (dialect->bad_method != NULL)
        return dialect->bad_method(rq);
    return FAULT(RQ(rq), 405, NULL, "The method %s is not allowed for this resource.", rq->method_name);
}

static struct fault *authenticate(struct request *rq)
{
    if (rq->route->flags & NO_TOKEN)
        return NULL;
    if ((rq->route->flags & OPTIONAL_TOKEN) && request_header(rq, "X-Auth-Token") == NULL)
        return NULL;
    return identity_authenticate(rq);
}

static struct fault *negotiate(struct request *rq, const struct router *router)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    rq->version = 0;
    if (dialect->negotiate == NULL)
        return NULL;
    TRY(dialect->negotiate(rq));
    const char *allow;
    if (router_find(router, rq, &allow) == NULL)
        return no_route(rq, allow);
    return NULL;
}

static const char *merge_slashes(struct arena *arena, const char *path)
{
    if (strstr(path, "//") == NULL)
        return path;
    char *merged = arena_strdup(arena, path), *to = merged;
    for (const char *from = path; *from != '\0'; from++)
        if (*from != '/' || to == merged || to[-1] != '/')
            *to++ = *from;
    *to = '\0';
    return merged;
}

static void rewrite(struct request *rq)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->merge_slashes)
        rq->path = merge_slashes(rq->cx.arena, rq->path);
    if (dialect->rewrite != NULL)
        rq->path = dialect->rewrite(rq);
}

static struct fault *walk(struct request *rq, const struct router *router)
{
    const char *allow;
    rq->version = -1; /* any, until it is negotiated */
    rewrite(rq);
    if (router_find(router, rq, &allow) == NULL)
        return no_route(rq, allow);
    TRY(authenticate(rq));
    log_set_identity(context_log_identity(RQ(rq)));
    TRY(negotiate(rq, router));
    TRY(parse_body(rq));
    if (rq->route->policy != NULL && !rq->route->handler_policy)
        TRY(request_enforce(rq, rq->route->policy, NULL));
    rq->status = rq->route->status != 0 ? rq->route->status : 200;
    return rq->route->handler(rq);
}

static void render_fault(struct request *rq, const struct fault *fault)
{
    buf_clear(&rq->out);
    rq->json.comma = false;
    if (rq->file.fd >= 0)
        close(rq->file.fd);
    rq->file.fd = -1;
    rq->status = fault->status;
    rq->content_type = "application/json";
    if (fault->retry_after_s > 0)
        response_headerf(rq, "Retry-After", "%d", fault->retry_after_s);
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->render != NULL && fault->code != IDENTITY_UNAUTHORIZED) {
        dialect->render(rq, fault);
        return;
    }
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "error");
    json_int(&rq->json, "code", fault->status);
    json_text(&rq->json, "title", http_reason(fault->status));
    json_text(&rq->json, "message", fault->message);
    json_end(&rq->json);
    json_end(&rq->json);
}

static void log_fault(struct request *rq, const struct fault *fault)
{
    enum log_level level = fault->status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (!log_enabled(level))
        return;
    const char *module = arena_printf(rq->cx.arena, "%s.api", rq->cx.app->service->name);
    log_write(level, module, "%s %s: %d %s", rq->method_name, rq->path, fault->status, fault_text(rq->cx.arena, fault));
}

/* "req-" and a UUID, as oslo.middleware wants a request id of another service. */
static const char *global_id(const struct request *rq)
{
    const char *id = request_header(rq, "X-OpenStack-Request-ID");
    return id != NULL && strncmp(id, "req-", 4) == 0 && uuid_valid(id + 4) ? id : NULL;
}

/* The span of the service that calls from another process; 0: none. */
static uint64_t caller_span(const struct request *rq)
{
    const char *text = request_header(rq, REST_SPAN_HEADER);
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return 0;
    return strtoull(text, NULL, 16);
}

/* For whoever measures: what the request asked of databases, calls to services in this process included. */
static void tell_usage(struct request *rq, const struct sql_usage *before)
{
    const struct db *db = rq->cx.app->db;
    struct sql_usage now = sql_usage_here();
    if (db != NULL && db_debug(db) > 0)
        response_headerf(rq, "X-Nubo-Database", "transactions=%llu statements=%llu round_trips=%llu",
            (unsigned long long)(now.transactions - before->transactions),
            (unsigned long long)(now.statements - before->statements),
            (unsigned long long)(now.round_trips - before->round_trips));
}

static void finish(struct request *rq)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    response_header(rq, "X-Openstack-Request-Id", rq->cx.request_id);
    if (dialect->request_id_header != NULL)
        response_header(rq, dialect->request_id_header, rq->cx.request_id);
    if (dialect->finish != NULL)
        dialect->finish(rq);
    middleware_finish(rq);
}

void request_run(struct request *rq, const struct router *router)
{
    struct context *cx = &rq->cx;
    if (cx->request_id == NULL)
        cx->request_id = arena_printf(cx->arena, "req-%s", uuid_new(cx->arena));
    if (cx->global_id == NULL)
        cx->global_id = global_id(rq);
    if (cx->span == NULL)
        trace_set_parent(cx, caller_span(rq));
    const char *before = log_set_context(cx->request_id);
    const struct log_identity *who = log_set_identity(NULL);
    struct sql_usage usage = sql_usage_here();
    struct span *span = trace_begin(cx, cx->app->service->roles != NULL ? cx->app->service->roles[0].name
                                                                         : cx->app->service->name,
        NULL, "%s %s", rq->method_name, rq->path != NULL ? rq->path : "?");
    struct fault *fault = NULL;
    if (rq->path == NULL)
        fault = FAULT(cx, 400, NULL, "The request target is malformed.");
    else if (!middleware_answers(rq))
        fault = walk(rq, router);
    if (fault != NULL) {
        log_fault(rq, fault);
        render_fault(rq, fault);
    }
    tell_usage(rq, &usage);
    finish(rq);
    trace_end(cx, span, fault);
    log_set_context(before);
    log_set_identity(who);
}

bool request_is_slow(const struct request *rq, const struct router *router)
{
    struct request probe = *rq; /* the look-up leaves no mark on the request itself */
    const char *allow;
    probe.version = -1;
    if (probe.path == NULL)
        return false;
    rewrite(&probe);
    const struct route *route = router_find(router, &probe, &allow);
    if (route == NULL || (route->flags & (SLOW | STREAM)) != 0)
        return route != NULL || identity_waits(rq);
    if (rq->cx.app->service->waits != NULL && rq->cx.app->service->waits(&probe))
        return true;
    return (route->flags & NO_TOKEN) == 0 && identity_waits(rq);
}
