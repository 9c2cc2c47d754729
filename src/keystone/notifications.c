/* SPDX-License-Identifier: Apache-2.0
 * notifications: see notifications.h. Event types, actions and members: the reference's keystone/notifications.py. */
#include "keystone/notifications.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "base/text.h"
#include "keystone/credential/credentials.h"
#include "keystone/reference.h"
#include "oslo/notification.h"
#include "oslo/options.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static const char CREATED[] = "created", UPDATED[] = "updated", DELETED[] = "deleted";

/* A collection: POST creates one of its members, and the methods of PATH/{id} do what they say. */
struct kind {
    const char *path;
    const char *type;   /* in event types */
    const char *cadf;   /* typeURI of the target */
    const char *member; /* of the answer, with the new id; NULL: oauth_token in a form */
};

#define CREDENTIAL_URI "data/security/credential"
#define UNKNOWN_URI    "unknown"
#define OF_USER        "/v3/users/{user_id}/"
static const struct kind kinds[] = {
    { "/v3/users",                           "user",                    "data/security/account/user", "user" },
    { "/v3/groups",                          "group",                   "data/security/group",        "group" },
    { "/v3/projects",                        "project",                 "data/security/project",      "project" },
    { "/v3/projects/{project_id}/tags",      "project tag",             UNKNOWN_URI,                  NULL },
    { "/v3/domains",                         "domain",                  "data/security/domain",       "domain" },
    { "/v3/roles",                           "role",                    "data/security/role",         "role" },
    { "/v3/regions",                         "region",                  "data/security/region",       "region" },
    { "/v3/services",                        "service",                 "data/security/service",      "service" },
    { "/v3/endpoints",                       "endpoint",                "data/security/endpoint",     "endpoint" },
    { "/v3/policies",                        "policy",                  "data/security/policy",       "policy" },
    { "/v3/credentials",                     "credential",              UNKNOWN_URI,                  "credential" },
    { OF_USER "credentials/OS-EC2",          "credential",              UNKNOWN_URI,                  "credential" },
    { OF_USER "application_credentials",     "application_credential",  CREDENTIAL_URI,               "application_credential" },
    { OF_USER "access_rules",                "access_rule",             UNKNOWN_URI,                  NULL },
    { OF_USER "OS-OAUTH1/access_tokens",     "OS-OAUTH1:access_token",  CREDENTIAL_URI,               NULL },
    { "/v3/OS-TRUST/trusts",                 "OS-TRUST:trust",          "data/security/trust",        "trust" },
    { "/v3/OS-OAUTH1/consumers",             "OS-OAUTH1:consumer",      "data/security/account",      "consumer" },
    { "/v3/OS-OAUTH1/request_token",         "OS-OAUTH1:request_token", CREDENTIAL_URI,               NULL },
    { "/v3/OS-OAUTH1/access_token",          "OS-OAUTH1:access_token",  CREDENTIAL_URI,               NULL },
};

static const struct kind *kind_named(const char *type)
{
    size_t at = 0;

    while (strcmp(kinds[at].type, type) != 0)
        at++;
    return &kinds[at];
}

/* ---- CADF ---- */

/* What is no UUID becomes one of version 5 in the reference's namespace (resource_uuid()). */
static const char *uuid_of(struct arena *arena, const char *id)
{
    static const unsigned char name_space[] = { 0x43, 0x32, 0xec, 0xab, 0x77, 0x0b, 0x42, 0x88, 0xa6, 0x80, 0xb9, 0xac, 0xa3,
        0xb1, 0xb1, 0x53 };
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t length = strlen(id);

    if (uuid_like(id))
        return id;
    unsigned char *text = arena_alloc(arena, sizeof(name_space) + length);
    memcpy(text, name_space, sizeof(name_space));
    memcpy(text + sizeof(name_space), id, length);
    if (EVP_Digest(text, sizeof(name_space) + length, digest, NULL, EVP_sha1(), NULL) != 1)
        return id;
    digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x50);
    digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
    return text_hex(arena, digest, 16);
}

static void set_text(json_t *object, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_new(object, name, json_string(value));
}

static json_t *resource(struct arena *arena, const char *type_uri, const char *id)
{
    return json_pack("{s:s, s:s}", "id", id != NULL ? id : uuid_new(arena), "typeURI", type_uri);
}

/* Who did it. */
static json_t *initiator(struct request *rq, const char *user_id, const char *user_name)
{
    struct arena *arena = rq->cx.arena;
    const struct caller *caller = rq->cx.caller;
    const char *agent = request_header(rq, "User-Agent");
    json_t *who = resource(arena, "service/security/account/user", user_id != NULL ? uuid_of(arena, user_id) : NULL);
    json_t *host = json_object();

    set_text(host, "address", request_peer(rq));
    set_text(host, "agent", agent != NULL ? agent : "");
    json_object_set_new(who, "host", host);
    set_text(who, "user_id", user_id);
    if (caller != NULL) {
        set_text(who, "project_id", caller->project_id);
        set_text(who, "domain_id", caller->domain_id);
    }
    set_text(who, "request_id", rq->cx.request_id);
    set_text(who, "global_request_id", rq->cx.global_id);
    set_text(who, "username", user_name);
    return who;
}

/* Who tells it: this service, as the catalog knows it. */
static json_t *observer(struct request *rq)
{
    const struct reference *reference;
    const char *id = NULL;

    if (reference_get(RQ(rq), &reference) == NULL)
        for (size_t i = 0; i < reference->service_count && id == NULL; i++)
            if (strcmp(reference->services[i].type, "identity") == 0)
                id = reference->services[i].id;
    return resource(rq->cx.arena, "service/security", id);
}

static json_t *cadf_event(struct request *rq, const char *action, const char *outcome, json_t *who, json_t *target)
{
    struct arena *arena = rq->cx.arena;

    return json_keep(arena, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}",
        "typeURI", "http://schemas.dmtf.org/cloud/audit/1.0/event", "eventType", "activity", "id", uuid_new(arena),
        "eventTime", arena_printf(arena, "%s+0000", clock_text(arena, clock_now_us(), CLOCK_ISO_US)), "action", action,
        "outcome", outcome, "observer", observer(rq), "initiator", who, "target", target));
}

static json_t *reason(const char *message, int status)
{
    char code[12];

    snprintf(code, sizeof(code), "%d", status);
    return json_pack("{s:s, s:s}", "reasonType", message, "reasonCode", code);
}

/* ---- Sending ---- */

/* `event_type` as operators name it: that of authentication has its outcome behind it. */
static bool opted_out(struct request *rq, const char *event_type)
{
    const char *const *out = config_list(rq->cx.app->config, "DEFAULT", "notification_opt_out", NULL);

    while (*out != NULL && strcmp(*out, event_type) != 0)
        out++;
    return *out != NULL;
}

static void send(struct request *rq, const char *event_type, const json_t *payload)
{
    const char *publisher = config_str(rq->cx.app->config, "DEFAULT", "default_publisher_id");

    notify_anonymous(RQ(rq), arena_printf(rq->cx.arena, "identity.%s", publisher != NULL ? publisher : rq->cx.app->cloud->host),
        event_type, NOTIFY_INFO, payload);
}

/* ---- What is noted until the request is through ---- */

struct note {
    const char *type, *operation, *id;
    const char *user_id, *project_id; /* of a role that was given: `id` is the role's */
};

static void release_map(void *map)
{
    map_release(map);
}

static void note(struct context *cx, const struct note *what)
{
    if (!notify_wanted(cx))
        return;
    if (cx->notes == NULL) {
        cx->notes = ARENA_NEW(cx->arena, struct map);
        arena_defer(cx->arena, release_map, cx->notes);
    }
    const char *key = arena_printf(cx->arena, "%s %s %s %s %s", what->type, what->operation, what->id,
        what->user_id != NULL ? what->user_id : "", what->project_id != NULL ? what->project_id : "");
    if (map_has(cx->notes, key))
        return;
    struct note *kept = ARENA_NEW(cx->arena, struct note);
    *kept = (struct note){ what->type, what->operation, arena_strdup(cx->arena, what->id),
        arena_strdup(cx->arena, what->user_id), arena_strdup(cx->arena, what->project_id) };
    map_set(cx->notes, key, kept);
}

static bool noted(const struct context *cx, const char *type, const char *operation, const char *id)
{
    return cx->notes != NULL && map_has(cx->notes, arena_printf(cx->arena, "%s %s %s  ", type, operation, id));
}

void keystone_note_created(struct context *cx, const char *type, const char *id)
{
    note(cx, &(struct note){ type, CREATED, id });
}

void keystone_note_deleted(struct context *cx, const char *type, const char *id)
{
    note(cx, &(struct note){ type, DELETED, id });
}

struct fault *keystone_note_all_deleted(struct tx *tx, struct context *cx, const char *type, const char *sql, const char *value)
{
    struct rows *rows;

    if (!notify_wanted(cx))
        return NULL;
    TRY(sql_query(tx, &rows, sql, BIND(TEXT(value))));
    while (rows_next(rows))
        keystone_note_deleted(cx, type, rows_text(rows, 0));
    return rows_fault(rows);
}

void keystone_note_grant(struct context *cx, const char *user_id, const char *project_id, const char *role_id)
{
    note(cx, &(struct note){ "role_assignment", CREATED, role_id, user_id, project_id });
}

/* ---- Telling ---- */

struct actor {
    const char *id, *operation; /* a user: "added", "removed" */
};

static void tell_of(struct request *rq, const struct kind *kind, const char *operation, const char *id, const struct actor *actor,
    const struct fault *refused)
{
    struct arena *arena = rq->cx.arena;
    const struct caller *caller = rq->cx.caller;
    const char *event_type = arena_printf(arena, "identity.%s.%s", kind->type, operation);
    json_t *payload;

    if (id == NULL || opted_out(rq, event_type))
        return;
    if (strcmp(config_str(rq->cx.app->config, "DEFAULT", "notification_format"), "cadf") == 0) {
        payload = cadf_event(rq, arena_printf(arena, "%s.%s", operation, kind->type), "success",
            initiator(rq, caller != NULL ? caller->user_id : NULL, caller != NULL ? caller->user_name : NULL),
            resource(arena, kind->cadf, id));
        if (refused != NULL)
            json_object_set_new(payload, "reason", reason(refused->message, refused->status));
    } else {
        payload = json_keep(arena, json_object());
        set_text(payload, "request_id", rq->cx.request_id);
        set_text(payload, "global_request_id", rq->cx.global_id);
        if (actor != NULL) {
            set_text(payload, "actor_id", actor->id);
            set_text(payload, "actor_type", "user");
            set_text(payload, "actor_operation", actor->operation);
        }
    }
    set_text(payload, "resource_info", id);
    send(rq, event_type, payload);
}

static void tell(struct request *rq, const struct kind *kind, const char *operation, const char *id, const struct actor *actor)
{
    if (id != NULL && !noted(RQ(rq), kind->type, operation, id))
        tell_of(rq, kind, operation, id, actor, NULL);
}

void keystone_notify_refused_password(struct request *rq, const char *user_id, const struct fault *fault)
{
    if (notify_wanted(RQ(rq)))
        tell_of(rq, kind_named("user"), UPDATED, user_id, NULL, fault);
}

/* ---- From a request to what it did ---- */

/* What stands behind `start` in the route's path, when the path begins with it; else NULL. */
static const char *route_rest(const struct request *rq, const char *start)
{
    size_t length = strlen(start);
    return strncmp(rq->route->path, start, length) == 0 ? rq->route->path + length : NULL;
}

static const char *new_id(struct request *rq, const struct kind *kind)
{
    static const char form[] = "oauth_token=";
    struct arena *arena = rq->cx.arena;
    const char *text = buf_text(&rq->out), *token = strstr(text, form);

    if (kind->member == NULL)
        return token != NULL ? arena_strndup(arena, token + strlen(form), strcspn(token + strlen(form), "&")) : NULL;
    const json_t *made = json_object_get(json_parse_own(arena, text), kind->member);
    const char *access = json_text_at(made, "access");
    return access != NULL ? credential_access_id(arena, access) : json_text_at(made, "id");
}

/* The last {name} of the path. */
static const char *path_id(const struct request *rq, const struct kind *kind)
{
    size_t at = 0;

    for (const char *c = rq->route->path; *c != '\0'; c++)
        at += *c == '{';
    const char *id = at > 0 ? rq->arguments[at - 1] : NULL;
    return id != NULL && strstr(kind->path, "OS-EC2") != NULL ? credential_access_id(rq->cx.arena, id) : id;
}

/* A domain is a project too: the reference tells both when it changes or goes, and only the domain when it comes. */
static void tell_resource(struct request *rq, const struct kind *kind, const char *operation, const char *id)
{
    const json_t *answer = rq->method == DELETE ? NULL : json_parse_own(rq->cx.arena, buf_text(&rq->out));
    bool domain = strcmp(kind->type, "domain") == 0 || json_is_true(json_at(answer, "project.is_domain"));

    if (strcmp(kind->type, "project tag") == 0)
        tell(rq, kind_named("project"), UPDATED, request_argument(rq, "project_id"), NULL);
    if (!domain) {
        tell(rq, kind, operation, id, NULL);
        return;
    }
    if (operation != CREATED)
        tell(rq, kind_named("project"), operation, id, NULL);
    tell(rq, kind_named("domain"), operation, id, NULL);
}

static bool tell_kind(struct request *rq, const struct kind *kind)
{
    const char *rest = route_rest(rq, kind->path), *operation;

    if (rest == NULL)
        return false;
    if (*rest == '\0') {
        if (rq->method == POST)
            tell_resource(rq, kind, CREATED, new_id(rq, kind));
        else if (strcmp(kind->type, "project tag") == 0) /* all of them */
            tell(rq, kind_named("project"), UPDATED, request_argument(rq, "project_id"), NULL);
        return true;
    }
    if (strncmp(rest, "/{", 2) != 0 || strchr(rest + 1, '/') != NULL)
        return false;
    operation = rq->method == DELETE ? DELETED : rq->method == PATCH ? UPDATED : CREATED;
    /* no such events: a credential's change */
    if (strcmp(kind->type, "credential") != 0 || operation != UPDATED)
        tell_resource(rq, kind, operation, path_id(rq, kind));
    return true;
}

static json_t *grant_event(struct request *rq, const char *operation, const char *outcome)
{
    const struct caller *caller = rq->cx.caller;

    return cadf_event(rq, arena_printf(rq->cx.arena, "%s.role_assignment", operation), outcome,
        initiator(rq, caller != NULL ? caller->user_id : NULL, caller != NULL ? caller->user_name : NULL),
        resource(rq->cx.arena, "service/security/account/user", NULL));
}

/* What was noted, in its order. */
static void tell_notes(struct request *rq)
{
    static const char event_type[] = "identity.role_assignment.created";
    struct map_entry *entry;

    for (size_t at = 0; rq->cx.notes != NULL && (entry = map_next(rq->cx.notes, &at)) != NULL;) {
        const struct note *what = entry->value;
        if (what->user_id == NULL) {
            tell_of(rq, kind_named(what->type), what->operation, what->id, NULL, NULL);
        } else if (!opted_out(rq, event_type)) {
            json_t *payload = grant_event(rq, what->operation, "success");
            set_text(payload, "project", what->project_id);
            set_text(payload, "user", what->user_id);
            json_object_set_new(payload, "inherited_to_projects", json_false());
            set_text(payload, "role", what->id);
            send(rq, event_type, payload);
        }
    }
}

/* Roles of users and groups on projects and domains (those on the system are not told of), done or refused. */
static bool tell_assignment(struct request *rq)
{
    struct arena *arena = rq->cx.arena;
    static const char *const places[] = { "project", "domain" }, *const actors[] = { "user", "group" };
    const char *rule = rq->route->policy, *operation = rq->method == DELETE ? DELETED : CREATED;

    if (rule == NULL || rq->cx.caller == NULL ||
        (strcmp(rule, "identity:create_grant") != 0 && strcmp(rule, "identity:revoke_grant") != 0))
        return false;
    const char *event_type = arena_printf(arena, "identity.role_assignment.%s", operation);
    if (rq->status == 401 || rq->status == 403 || opted_out(rq, event_type))
        return true;
    json_t *payload = grant_event(rq, operation, rq->status < 300 ? "success" : "failure");
    for (size_t i = 0; i < 2; i++) {
        set_text(payload, places[i], request_argument(rq, arena_printf(arena, "%s_id", places[i])));
        set_text(payload, actors[i], request_argument(rq, arena_printf(arena, "%s_id", actors[i])));
    }
    json_object_set_new(payload, "inherited_to_projects", json_boolean(strstr(rq->route->path, "inherited_to_projects") != NULL));
    set_text(payload, "role", request_argument(rq, "role_id"));
    send(rq, event_type, payload);
    return true;
}

/* Members of a group, and a user's own new password. */
static bool tell_special(struct request *rq)
{
    const char *group = route_rest(rq, "/v3/groups/{group_id}/users/{user_id}");
    const char *password = route_rest(rq, OF_USER "password");

    if (group != NULL && *group == '\0')
        tell(rq, kind_named("group"), UPDATED, request_argument(rq, "group_id"),
            &(struct actor){ request_argument(rq, "user_id"), rq->method == DELETE ? "removed" : "added" });
    if (password != NULL && *password == '\0')
        tell(rq, kind_named("user"), UPDATED, request_argument(rq, "user_id"), NULL);
    return group != NULL || password != NULL;
}

void keystone_notify(struct request *rq)
{
    if (rq->route == NULL || !notify_wanted(RQ(rq)))
        return;
    if (rq->status < 300)
        tell_notes(rq);
    if (rq->method == GET || rq->method == HEAD)
        return;
    if (tell_assignment(rq) || rq->status >= 300 || tell_special(rq))
        return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !tell_kind(rq, &kinds[i]); i++)
        ;
}

void keystone_notify_authenticated(struct request *rq, const char *user_id, const char *user_name, const struct fault *fault)
{
    const char *outcome = fault == NULL ? "success" : "failure";

    if (user_id == NULL || !notify_wanted(RQ(rq)) ||
        opted_out(rq, arena_printf(rq->cx.arena, "identity.authenticate.%s", outcome)))
        return;
    json_t *payload = cadf_event(rq, "authenticate", outcome, initiator(rq, user_id, user_name),
        resource(rq->cx.arena, "service/security/account/user", NULL));
    /* only of rules about passwords the reason is told: PasswordExpired, AccountLocked */
    if (fault != NULL && strstr(fault->message, "is expired") != NULL)
        json_object_set_new(payload, "reason", reason(fault->message, 401));
    else if (fault != NULL && fault->detail != NULL && strstr(fault->detail, "is locked") != NULL)
        json_object_set_new(payload, "reason", reason(fault->detail, 401));
    send(rq, "identity.authenticate", payload);
}

void keystone_notify_stranger(struct request *rq, const char *name, const char *id, const char *domain_id,
    const char *domain_name)
{
    if (!notify_wanted(RQ(rq)) || opted_out(rq, "identity.authenticate.failure"))
        return;
    const char *words = arena_printf(rq->cx.arena, "Could not find user: %s.", name != NULL ? name : id);
    json_t *who = initiator(rq, NULL, NULL);
    set_text(who, name != NULL ? "user_name" : "user_id", name != NULL ? name : id);
    set_text(who, "domain_id", domain_id);
    set_text(who, "domain_name", domain_name);
    json_t *payload = cadf_event(rq, "authenticate", "failure", who, resource(rq->cx.arena, "service/security/account/user", NULL));
    json_object_set_new(payload, "reason", reason(words, 404));
    send(rq, "identity.authenticate", payload);
}

/* pycadf's mask_value(): an eighth of it at each end. */
static const char *masked(struct arena *arena, const char *text)
{
    int shown = (int)(strlen(text) + 4) / 8;

    if (shown > 32)
        shown = 32;
    return arena_printf(arena, "%.*s xxxxxxxx %s", shown, text, text + strlen(text) - (size_t)shown);
}

void keystone_notify_vouched(struct request *rq, const struct vouched *who, const struct fault *fault)
{
    const char *outcome = fault == NULL ? "success" : "failure";
    const char *user_id = who->user_id != NULL ? who->user_id : "unknown";
    const char *token = who->audit_id != NULL ? who->audit_id : "unknown";

    if (!notify_wanted(RQ(rq)) || opted_out(rq, arena_printf(rq->cx.arena, "identity.authenticate.%s", outcome)))
        return;
    json_t *from = initiator(rq, NULL, NULL), *groups = json_array();
    for (const char *const *group = who->group_ids; group != NULL && *group != NULL; group++)
        json_array_append_new(groups, json_string(*group));
    json_object_set_new(from, "credential", json_pack("{s:s, s:s, s:s?, s:s, s:o}", "type",
        "http://docs.oasis-open.org/security/saml/v2.0", "token", masked(rq->cx.arena, token), "identity_provider", who->idp_id,
        "user", user_id, "groups", groups));
    send(rq, "identity.authenticate", cadf_event(rq, "authenticate", outcome, from,
        resource(rq->cx.arena, "service/security/account/user", NULL)));
}
