/* SPDX-License-Identifier: Apache-2.0
 *
 * A token for an assertion that another cloud believes (K2K), plain or for the ECP profile, and the metadata with which that
 * cloud learns to believe it. API reference: OS-FEDERATION, identity v3 extensions; keystone/api/auth.py, _shared/saml.py.
 */
#include "keystone/federation/federation.h"
#include "keystone/federation/saml.h"
#include "keystone/identity/directories.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/token/token.h"

#include "base/file.h"
#include "base/random.h"
#include "oslo/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { METADATA_LIMIT = 1 << 20 };

/* ---- The body ---- */

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema by_id = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }), .required = SCHEMA_WORDS("id"), .closed = true };
static const struct schema methods = { .types = SCHEMA_ARRAY };
static const struct schema identity = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "token", &by_id }, { "methods", &methods }),
    .required = SCHEMA_WORDS("token"), .closed = true };
static const struct schema scope = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "service_provider", &by_id }),
    .required = SCHEMA_WORDS("service_provider"), .closed = true };
static const struct schema auth_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "identity", &identity }, { "scope", &scope }),
    .required = SCHEMA_WORDS("identity", "scope"), .closed = true };

static struct fault *read_auth(struct request *rq, json_t **ret)
{
    if (rq->body != NULL && !json_is_object(rq->body))
        return keystone_expecting(RQ(rq), "valid JSON", "request body");
    *ret = json_object_get(rq->body, "auth");
    if (*ret == NULL)
        *ret = json_keep(rq->cx.arena, json_null());
    return keystone_check(rq, &auth_schema, *ret);
}

/* ---- What is said of the user ---- */

struct provider {
    const char *sp_url, *auth_url, *relay_state_prefix;
};

static struct fault *find_provider(struct context *cx, const char *id, struct provider *ret)
{
    struct rows *rows;
    struct tx *tx;
    bool found, enabled = false;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT sp_url, auth_url, relay_state_prefix, enabled FROM service_provider WHERE id = ?",
        BIND(TEXT(id))));
    found = rows_next(rows);
    if (found) {
        *ret = (struct provider){ arena_strdup(cx->arena, rows_text(rows, 0)), arena_strdup(cx->arena, rows_text(rows, 1)),
            arena_strdup(cx->arena, rows_null(rows, 2) ? "" : rows_text(rows, 2)) };
        enabled = rows_int(rows, 3) != 0;
    }
    rows_end(rows);
    tx_end(tx);
    if (!found)
        return FAULT(cx, 404, NULL, "Could not find Service Provider: %s.", id);
    return enabled ? NULL : keystone_forbidden(cx, "Service Provider %s is disabled", id);
}

/* "JSON:" and the text of {"name": ..., "domain": {"name": ...}}, as a mapping reads it at the other end. */
static void add_group(json_t *groups, const char *name, const char *domain_name)
{
    json_t *group = json_pack("{s:s, s:{s:s}}", "name", name, "domain", "name", domain_name);
    char *shown = json_dumps(group, JSON_ENSURE_ASCII);

    if (shown != NULL)
        json_array_append_new(groups, json_sprintf("JSON:%s", shown));
    free(shown);
    json_decref(group);
}

static struct fault *add_by_id(struct tx *tx, const char *group_id, json_t *groups)
{
    struct project *domain;
    struct group *group;

    TRY(group_find(tx, group_id, &group));
    if (group == NULL)
        return NULL;
    TRY(domain_find(tx, group->domain_id, &domain));
    if (domain != NULL)
        add_group(groups, group->name, domain->name);
    return NULL;
}

/* Those that he is a member of, and those that his identity provider put him into for a while. */
static struct fault *stored_groups(struct context *cx, const char *user_id, json_t *groups)
{
    const char *const *expiring;
    struct rows *rows;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT g.name, d.name FROM user_group_membership m JOIN `group` g ON g.id = m.group_id"
        " JOIN project d ON d.id = g.domain_id WHERE m.user_id = ? ORDER BY g.name, g.id", BIND(TEXT(user_id))));
    while (rows_next(rows))
        add_group(groups, rows_text(rows, 0), rows_text(rows, 1));
    TRY(rows_fault(rows));
    TRY(expiring_groups(tx, cx->app->config, user_id, &expiring));
    for (; *expiring != NULL; expiring++)
        TRY(add_by_id(tx, *expiring, groups));
    tx_end(tx);
    return NULL;
}

static struct fault *directory_groups_of(struct context *cx, struct directory_of_domain *directory, const char *local_id,
    json_t *groups)
{
    struct directory_entry *entries;
    struct project *domain;
    struct tx *tx;
    size_t count;

    TRY(directory_find(cx, directory, DIRECTORY_GROUPS, DIRECTORY_OF_USER, local_id, &entries, &count));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(domain_find(tx, directory_domain(directory), &domain));
    tx_end(tx);
    for (size_t i = 0; i < count && domain != NULL; i++)
        add_group(groups, entries[i].name, domain->name);
    return NULL;
}

static struct fault *groups_of(struct context *cx, const char *user_id, const json_t **ret)
{
    json_t *groups = json_keep(cx->arena, json_array());
    struct directory_of_domain *directory;
    const char *local_id;

    *ret = groups;
    TRY(directory_behind(cx, DIRECTORY_USERS, user_id, &directory, &local_id));
    return directory != NULL ? directory_groups_of(cx, directory, local_id, groups) : stored_groups(cx, user_id, groups);
}

/* The subject as the token has it. *ret_caller keeps the token. */
static struct fault *read_subject(struct context *cx, const char *token_id, struct saml_subject *ret)
{
    struct caller *caller;

    TRY(token_validate(cx, token_id, 0, &caller));
    if (token_has_access_rules(caller))
        return FAULT(cx, 404, NULL, "Failed to validate token");
    const struct token *token = token_details(caller)->token;
    if (token->claims.scope != PROJECT_SCOPED)
        return keystone_forbidden_action(cx, "Use a project scoped token when attempting to create a SAML assertion");
    json_t *roles = json_keep(cx->arena, json_array());
    for (size_t i = 0; i < token->role_count; i++)
        json_array_append_new(roles, json_string(token->roles[i].name));
    ret->user = token->user->name;
    ret->user_domain = token->user_domain->name;
    ret->project = token->project->name;
    ret->project_domain = token->project_domain->name;
    ret->roles = roles;
    return groups_of(cx, token->user->id, &ret->groups);
}

/* ---- Requests ---- */

static struct fault *respond(struct request *rq, bool ecp)
{
    struct saml_subject subject = { .issuer = config_str(rq->cx.app->config, "saml", "idp_entity_id") };
    const char *relay_state = NULL;
    struct provider provider;
    json_t *auth;

    TRY(read_auth(rq, &auth));
    TRY(find_provider(RQ(rq), json_text_at(auth, "scope.service_provider.id"), &provider));
    TRY(read_subject(RQ(rq), json_text_at(auth, "identity.token.id"), &subject));
    subject.recipient = provider.sp_url;
    if (ecp)
        relay_state = arena_printf(rq->cx.arena, "%s%s", provider.relay_state_prefix, uuid_new_hex(rq->cx.arena));
    TRY(saml_response(rq->cx.arena, rq->cx.app->config, &subject, relay_state, &rq->out));
    rq->content_type = "text/xml";
    response_header(rq, "X-sp-url", provider.sp_url);
    response_header(rq, "X-auth-url", provider.auth_url);
    response_header(rq, "Cache-Control", "no-store");
    return NULL;
}

static struct fault *assertion_create(struct request *rq)
{
    return respond(rq, false);
}

static struct fault *ecp_create(struct request *rq)
{
    return respond(rq, true);
}

/* The file that the operator made with keystone-manage saml_idp_metadata. Without one the reference answers 500. */
static struct fault *metadata(struct request *rq)
{
    const char *path = config_str(rq->cx.app->config, "saml", "idp_metadata_path");
    const char *document = file_read(rq->cx.arena, path, METADATA_LIMIT, NULL);

    if (document == NULL)
        return fault_detail(rq->cx.arena, FAULT(RQ(rq), 404, NULL, "This cloud is no identity provider: it has no metadata file."),
            "Error while reading metadata file: %s: %s.", path, strerror(errno));
    buf_puts(&rq->out, document);
    rq->content_type = "text/xml";
    return NULL;
}

static const struct route rows[] = {
    ROUTE(POST, "/v3/auth/OS-FEDERATION/saml2",     NULL, assertion_create, .flags = NO_TOKEN | SLOW),
    ROUTE(POST, "/v3/auth/OS-FEDERATION/saml2/ecp", NULL, ecp_create,       .flags = NO_TOKEN | SLOW),
    ROUTE(GET,  "/v3/OS-FEDERATION/saml2/metadata", NULL, metadata,         .flags = NO_TOKEN),
};

const struct route_table saml_routes = ROUTES(rows);
