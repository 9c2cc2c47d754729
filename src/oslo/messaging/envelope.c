/* SPDX-License-Identifier: Apache-2.0
 * envelope: see envelope.h. */
#include "oslo/messaging/envelope.h"

#include "base/clock.h"
#include "base/random.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/trace.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char PREFIX[] = "_context_";

/* ---- the context's members ---- */

static void set_text(json_t *to, const char *name, const char *value)
{
    char member[80];
    snprintf(member, sizeof(member), "%s%s", PREFIX, name);
    json_object_set_new(to, member, value != NULL ? json_string(value) : json_null());
}

static bool is_admin(const struct caller *caller)
{
    for (const char *const *role = caller->roles; role != NULL && *role != NULL; role++)
        if (strcmp(*role, "admin") == 0)
            return true;
    return false;
}

static void add_caller(struct arena *arena, const struct caller *caller, json_t *to)
{
    json_t *members = json_keep(arena, caller_to_json(caller)), *value;
    const char *name, *dash = "-";
    json_object_foreach(members, name, value)
        json_object_set(to, arena_printf(arena, "%s%s", PREFIX, name), value);
    const char *user = caller->user_id, *project = caller->project_id;
    set_text(to, "user", user); /* the names of older readers */
    set_text(to, "tenant", project);
    set_text(to, "project", project);
    set_text(to, "user_identity", arena_printf(arena, "%s %s %s %s %s", user != NULL ? user : dash,
        project != NULL ? project : dash,
        caller->domain_id != NULL ? caller->domain_id : dash, caller->user_domain_id != NULL ? caller->user_domain_id : dash,
        caller->project_domain_id != NULL ? caller->project_domain_id : dash));
    json_object_set_new(to, "_context_is_admin", json_boolean(is_admin(caller)));
}

static void add_context(struct context *cx, json_t *to)
{
    if (cx->caller != NULL) {
        add_caller(cx->arena, cx->caller, to);
    } else { /* the service itself: an administrator to whoever asks */
        static const char *const absent[] = { "user_id", "project_id", "user", "tenant", "auth_token" };
        for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
            set_text(to, absent[i], NULL);
        json_object_set_new(to, "_context_roles", json_array());
        json_object_set_new(to, "_context_is_admin", json_true());
    }
    set_text(to, "request_id", cx->request_id);
    set_text(to, "global_request_id", cx->global_id);
    set_text(to, "timestamp", clock_text(cx->arena, clock_now_us(), CLOCK_ISO_US));
    json_object_set_new(to, "_context_read_only", json_false());
    json_object_set_new(to, "_context_show_deleted", json_false());
    if (trace_id(cx) != 0)
        set_text(to, "trace_parent", arena_printf(cx->arena, "%016llx", (unsigned long long)trace_id(cx)));
}

const char *envelope_wrap(struct context *cx, struct arena *arena, json_t *document)
{
    json_object_set_new(document, "_unique_id", json_string(uuid_new_hex(arena)));
    if (cx != NULL)
        add_context(cx, document);
    json_t *envelope = json_keep(arena, json_pack("{s:s, s:s}", "oslo.version", "2.0", "oslo.message",
        json_dump(arena, document)));
    return json_dump(arena, envelope);
}

/* ---- writing ---- */

const char *envelope_request(struct context *cx, const struct rpc_message *m)
{
    json_t *document = json_keep(cx->arena, json_object());
    json_object_set_new(document, "method", json_string(m->method));
    json_object_set_new(document, "args", m->arguments != NULL ? json_incref((json_t *)m->arguments) : json_object());
    if (m->version != NULL)
        json_object_set_new(document, "version", json_string(m->version));
    if (m->name_space != NULL)
        json_object_set_new(document, "namespace", json_string(m->name_space));
    if (m->msg_id != NULL) {
        json_object_set_new(document, "_msg_id", json_string(m->msg_id));
        json_object_set_new(document, "_reply_q", json_string(m->reply_to));
        json_object_set_new(document, "_timeout", json_null());
    }
    return envelope_wrap(cx, cx->arena, document);
}

/* Where the reference keeps the exceptions of a service; a word that begins in lower case is none of them. */
static const char *module_of(struct arena *arena, const char *code, const char *service)
{
    if (strcmp(code, "NoSuchMethod") == 0 || strcmp(code, "UnsupportedVersion") == 0)
        return "oslo_messaging.rpc.dispatcher";
    if (strcmp(code, "MessagingTimeout") == 0)
        return "oslo_messaging.exceptions";
    if (!isupper((unsigned char)code[0]))
        return "nubo";
    return strcmp(service, "neutron") == 0 ? "neutron_lib.exceptions" : arena_printf(arena, "%s.exception", service);
}

static const char *failure_text(struct arena *arena, const struct fault *fault, const char *service)
{
    const char *code = fault->code != NULL ? fault->code : "Fault";
    json_t *ours = json_pack("{s:i, s:s?, s:s?, s:i, s:b, s:s?}", "status", fault->status, "code", fault->code, "detail",
        fault->detail, "retry_after", fault->retry_after_s, "retry", (int)fault->retry, "extra", fault->extra_json);
    json_t *document = json_keep(arena, json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:{}, s:o}", "class", code, "module",
        module_of(arena, code, service), "message", fault->message, "tb", fault_text(arena, fault), "args", fault->message,
            "kwargs",
        "nubo", ours));
    return json_dump(arena, document);
}

const char *envelope_reply(struct arena *arena, const char *msg_id, const json_t *result, const struct fault *fault,
    const char *service, bool ending)
{
    json_t *document = json_keep(arena, json_object());
    json_object_set_new(document, "result", result != NULL ? json_incref((json_t *)result) : json_null());
    json_object_set_new(document, "failure", fault != NULL ? json_string(failure_text(arena, fault, service)) : json_null());
    json_object_set_new(document, "ending", json_boolean(ending));
    json_object_set_new(document, "_msg_id", json_string(msg_id));
    return envelope_wrap(NULL, arena, document);
}

/* ---- reading ---- */

/* The document inside. One without an envelope is taken as it is, as oslo.messaging does. */
static struct fault *open_envelope(struct arena *arena, const char *text, size_t length, json_t **ret)
{
    const char *why = NULL;
    json_t *outer = json_parse(arena, text, length, &why);
    if (!json_is_object(outer))
        return fault_new(arena, 400, "badMessage", "A message is not a JSON object%s%s.", why != NULL ? ": " : "",
            why != NULL ? why : "");
    const json_t *version = json_object_get(outer, "oslo.version"), *inner = json_object_get(outer, "oslo.message");
    *ret = outer;
    if (version == NULL || inner == NULL)
        return NULL;
    if (!json_is_string(version) || strncmp(json_string_value(version), "2.", 2) != 0)
        return fault_new(arena, 400, "UnsupportedRpcEnvelopeVersion", "A message's envelope has a version that is not 2.x.");
    if (!json_is_string(inner))
        return fault_new(arena, 400, "badMessage", "A message's envelope holds no text.");
    *ret = json_parse(arena, json_string_value(inner), json_string_length(inner), &why);
    if (!json_is_object(*ret))
        return fault_new(arena, 400, "badMessage", "A message's envelope holds no JSON object.");
    return NULL;
}

static const char *text_of(const json_t *document, const char *name)
{
    return json_string_value(json_object_get(document, name));
}

static const char *first_text(const json_t *members, const char *name, const char *older)
{
    const char *text = text_of(members, name);
    return text != NULL ? text : text_of(members, older);
}

static void fill(json_t *members, const char *name, const char *older)
{
    const char *text = first_text(members, name, older);
    if (text != NULL && text_of(members, name) == NULL)
        json_object_set_new(members, name, json_string(text));
}

static void read_context(struct arena *arena, const json_t *document, struct rpc_message *ret)
{
    json_t *members = json_keep(arena, json_object()), *value;
    const char *name;
    json_object_foreach((json_t *)document, name, value)
        if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0)
            json_object_set(members, name + sizeof(PREFIX) - 1, value);
    fill(members, "user_id", "user");
    fill(members, "project_id", "tenant");
    fill(members, "project_id", "project");
    ret->request_id = text_of(members, "request_id");
    ret->global_id = text_of(members, "global_request_id");
    const char *span = text_of(members, "trace_parent");
    ret->span = span != NULL ? strtoull(span, NULL, 16) : 0;
    if (text_of(members, "user_id") != NULL)
        ret->caller = caller_from_json(arena, members);
}

struct fault *envelope_parse_request(struct arena *arena, const char *text, size_t length, struct rpc_message *ret)
{
    json_t *document;
    struct rpc_message m = { 0 };
    TRY(open_envelope(arena, text, length, &document));
    m.method = text_of(document, "method");
    if (m.method == NULL)
        return fault_new(arena, 400, "badMessage", "A message names no method.");
    m.version = text_of(document, "version");
    m.name_space = text_of(document, "namespace");
    m.arguments = json_object_get(document, "args");
    if (!json_is_object(m.arguments))
        m.arguments = json_keep(arena, json_object());
    m.msg_id = text_of(document, "_msg_id");
    m.reply_to = text_of(document, "_reply_q");
    if (m.msg_id == NULL || m.reply_to == NULL)
        m.msg_id = m.reply_to = NULL;
    m.unique_id = text_of(document, "_unique_id");
    m.monitor_timeout_s = json_number_value(json_object_get(document, "_timeout"));
    read_context(arena, document, &m);
    *ret = m;
    return NULL;
}

struct fault *envelope_parse_reply(struct arena *arena, const char *text, size_t length, struct rpc_reply *ret)
{
    json_t *document;
    TRY(open_envelope(arena, text, length, &document));
    json_t *result = json_object_get(document, "result");
    const json_t *failure = json_object_get(document, "failure");
    *ret = (struct rpc_reply){ .msg_id = text_of(document, "_msg_id"), .unique_id = text_of(document, "_unique_id"),
        .result = json_is_null(result) ? NULL : result, .ending = json_is_true(json_object_get(document, "ending")) };
    if (ret->msg_id == NULL)
        return fault_new(arena, 400, "badMessage", "A reply says not to what.");
    if (json_is_string(failure) && json_string_length(failure) > 0)
        ret->failure = json_string_value(failure);
    else if (json_is_object(failure))
        ret->failure = json_dump(arena, failure);
    return NULL;
}

/* ---- failures ---- */

static int valid_status(int64_t status)
{
    return status >= 400 && status <= 599 ? (int)status : 500;
}

struct fault *envelope_failure(struct arena *arena, const char *failure)
{
    const json_t *document = json_parse_own(arena, failure);
    const char *class = text_of(document, "class"), *message = text_of(document, "message");
    const json_t *ours = json_object_get(document, "nubo"), *trace = json_object_get(document, "tb");
    struct fault *fault = fault_new(arena, 500, class != NULL ? arena_strdup(arena, class) : "RemoteError", "%s",
        message != NULL ? message : "The other side failed and did not say why.");
    if (json_is_object(ours)) {
        fault->status = valid_status(json_int_at(ours, "status", 500));
        fault->code = arena_strdup(arena, text_of(ours, "code"));
        fault->detail = arena_strdup(arena, text_of(ours, "detail"));
        fault->extra_json = arena_strdup(arena, text_of(ours, "extra"));
        int64_t after = json_int_at(ours, "retry_after", 0);
        fault->retry_after_s = after > 0 && after < 86400 ? (int)after : 0;
        fault->retry = json_bool_at(ours, "retry", false);
        return fault;
    }
    const char *last = json_string_value(json_array_get(trace, json_array_size(trace) > 0 ? json_array_size(trace) - 1 : 0));
    return fault_detail(arena, fault, "Remote error: %s %s%s%s", class != NULL ? class : "?", fault->message,
        last != NULL ? "; " : "", last != NULL ? last : "");
}
