/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of projects and domains, what must hold in their tree, and what goes with a project that goes
 * (keystone/resource/core.py).
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/credential/credentials.h"
#include "keystone/edit.h"
#include "keystone/federation/federation.h"
#include "keystone/identity/groups.h"
#include "keystone/identity/users.h"
#include "keystone/limit/limits.h"
#include "keystone/notifications.h"
#include "keystone/resource/domain_config.h"
#include "keystone/resource/projects.h"
#include "keystone/token/revocation.h"
#include "keystone/trust/trusts.h"

#include "oslo/options.h"

#include <string.h>
#include <strings.h>

static const struct entity_option options[] = { { "immutable", "IMMU" }, { NULL, NULL } };

static const struct attribute project_attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "domain_id",   "domain_id",   ATTRIBUTE_FILTER, DOMAIN_ROOT },
    { "description", "description" },
    { "enabled",     "enabled",     ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
    { "parent_id",   "parent_id",   ATTRIBUTE_FILTER },
    { "is_domain",   "is_domain",   ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
};

const struct entity project_entity = {
    .name = "project", .plural = "projects", .from = "project", .table = "project", .id_column = "id",
    .extra_column = "extra", .fixed = "id <> '" DOMAIN_ROOT "'", .attributes = project_attributes,
    .count = sizeof(project_attributes) / sizeof(project_attributes[0]), .options_table = "project_option",
    .options_key = "project_id", .options = options, .tags = true, .limit_group = "resource",
};

static const struct attribute domain_attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "description", "description" },
    { "enabled",     "enabled",     ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
};

const struct entity domain_entity = {
    .name = "domain", .plural = "domains", .from = "project", .table = "project", .id_column = "id",
    .extra_column = "extra", .fixed = "is_domain = 1 AND id <> '" DOMAIN_ROOT "'", .attributes = domain_attributes,
    .count = sizeof(domain_attributes) / sizeof(domain_attributes[0]), .options_table = "project_option",
    .options_key = "project_id", .options = options, .tags = true, .limit_group = "resource",
};

const char *keystone_default_domain(struct request *rq)
{
    if (rq->cx.caller != NULL && rq->cx.caller->domain_id != NULL)
        return rq->cx.caller->domain_id;
    return config_str(rq->cx.app->config, "identity", "default_domain_id");
}

void project_defaults(json_t *document)
{
    entity_default(document, "enabled", json_true());
    entity_default(document, "description", json_string(""));
    entity_default(document, "domain_id", json_null());
    entity_default(document, "parent_id", json_null());
    entity_default(document, "is_domain", json_false());
    entity_default(document, "options", json_object());
    entity_default(document, "tags", json_array());
    entity_strip_name(document);
}

/* The sentence for a name that is taken among the siblings. */
static struct fault *taken(struct context *cx, const json_t *document)
{
    const char *name = json_text_at(document, "name");

    if (json_is_true(json_object_get(document, "is_domain")))
        return keystone_conflict(cx, "project", "it is not permitted to have two projects acting as domains with the same "
            "name: %s", name);
    return keystone_conflict(cx, "project", "it is not permitted to have two projects with either the same name or same id "
        "in the same domain: name is %s, project id %s", name, json_text_at(document, "id"));
}

/* Levels of a tree, its domain counted. */
static int64_t deepest_tree(const struct config *config)
{
    int64_t deepest = config_int(config, "DEFAULT", "max_project_tree_depth");
    int model = limits_tree_depth(config);

    return (model > 0 && model < deepest ? model : deepest) + 1;
}

/* A name that operators forbid: of characters that URLs reserve, or the one of federated users' domain. */
static struct fault *check_name(struct context *cx, const json_t *document, bool domain)
{
    static const char reserved[] = ":/?#[]@!$&'()*+,;=";
    const struct config *config = cx->app->config;
    const char *name = json_text_at(document, "name"), *id = json_text_at(document, "id");
    const char *federated = config_str(config, "federation", "federated_domain_name");
    const char *safe = config_str(config, "resource", domain ? "domain_name_url_safe" : "project_name_url_safe");
    BUF_CLEANUP struct buf found = { 0 };

    for (const char *c = name; c != NULL && *c != '\0' && strcmp(safe, "off") != 0; c++)
        if (strchr(reserved, *c) != NULL)
            buf_putc(&found, *c);
    if (found.length > 0)
        return keystone_invalid(cx, "%s name cannot contain the following reserved characters: %s",
            domain ? "Domain" : "Project", buf_text(&found));
    if (domain && name != NULL && strcasecmp(name, federated) == 0)
        return keystone_invalid(cx, "Domain cannot be named %s", name);
    if (domain && id != NULL && strcasecmp(id, federated) == 0)
        return keystone_invalid(cx, "Domain cannot have ID %s", id);
    return NULL;
}

static struct fault *check_new(struct tx *tx, struct context *cx, const json_t *document)
{
    const char *domain_id = json_text_at(document, "domain_id"), *parent_id = json_text_at(document, "parent_id");
    int64_t deepest = deepest_tree(cx->app->config);
    struct project *domain, *parent;
    const struct project **above;
    size_t count;

    if (json_is_true(json_object_get(document, "is_domain")))
        return parent_id == NULL ? NULL : keystone_invalid(cx, "only root projects are allowed to act as domains.");
    TRY(domain_find(tx, domain_id, &domain));
    if (domain == NULL)
        return keystone_not_found(cx, "domain", domain_id);
    TRY(project_find(tx, parent_id, &parent));
    if (parent == NULL)
        return keystone_not_found(cx, "project", parent_id);
    if (parent->is_domain && strcmp(parent->id, domain->id) != 0)
        return keystone_invalid(cx, "Cannot create project, the parent (%s) is acting as a domain, but this project's domain "
            "id (%s) does not match the parent's id.", parent->id, domain->id);
    if (!parent->is_domain && strcmp(parent->domain_id, domain->id) != 0)
        return keystone_invalid(cx, "Cannot create project, since it specifies its domain_id %s, but specifies a parent in "
            "a different domain (%s).", domain->id, parent->domain_id);
    TRY(project_parents(tx, parent, &above, &count));
    const struct project *disabled = !parent->enabled ? parent : !domain->enabled ? domain : NULL;
    for (size_t i = 0; i < count; i++)
        if (!above[i]->enabled)
            disabled = above[i];
    if (disabled != NULL)
        return keystone_invalid(cx, "cannot create a project in a branch containing a disabled project: %s", disabled->id);
    /* the domain counts as a level */
    if ((int64_t)count + (parent->is_domain ? 0 : 1) + 2 > deepest)
        return keystone_refused(cx, "Max hierarchy depth reached for %s branch.", parent->id);
    return NULL;
}

static struct fault *duplicate(struct context *cx, struct fault *fault, const json_t *document)
{
    if (fault != NULL && fault->status == 409 && fault->code != NULL && strcmp(fault->code, SQL_DUPLICATE) == 0)
        return fault_because(taken(cx, document), fault);
    return fault;
}

struct fault *project_create(struct tx *tx, struct context *cx, const json_t *document)
{
    TRY(check_name(cx, document, json_is_true(json_object_get(document, "is_domain"))));
    TRY(check_new(tx, cx, document));
    return duplicate(cx, entity_insert(tx, &project_entity, document), document);
}

/* ---- Change ---- */

static bool enabled(const json_t *document)
{
    return json_is_true(json_object_get(document, "enabled"));
}

static struct fault *check_enabled(struct tx *tx, struct context *cx, const struct project *project, const json_t *old,
    const json_t *wanted)
{
    const struct project **list;
    size_t count;

    if (!enabled(old) && enabled(wanted)) {
        TRY(project_parents(tx, project, &list, &count));
        for (size_t i = 0; i < count; i++)
            if (!list[i]->enabled)
                return keystone_refused(cx, "Cannot enable project %s since it has disabled parents", project->id);
    }
    if (enabled(old) && !enabled(wanted) && !project->is_domain) {
        TRY(project_subtree(tx, project->id, &list, &count));
        for (size_t i = 0; i < count; i++)
            if (list[i]->enabled)
                return keystone_refused(cx, "Cannot disable project %s since its subtree contains enabled projects.",
                    project->id);
    }
    return NULL;
}

static bool changed(const json_t *old, const json_t *wanted, const char *name)
{
    const json_t *value = json_object_get(wanted, name);

    return value != NULL && json_object_get(old, name) != NULL && !json_equal(value, json_object_get(old, name));
}

struct fault *project_change(struct tx *tx, struct context *cx, const json_t *old, const json_t *wanted)
{
    const char *id = json_text_at(old, "id");
    struct project *project;

    TRY(project_find(tx, id, &project));
    if (changed(old, wanted, "domain_id"))
        return keystone_invalid(cx, "Cannot change Domain ID");
    if (changed(old, wanted, "parent_id"))
        return keystone_refused(cx, "Update of `parent_id` is not allowed.");
    if (changed(old, wanted, "is_domain"))
        return keystone_invalid(cx, "Update of `is_domain` is not allowed.");
    if (changed(old, wanted, "name"))
        TRY(check_name(cx, wanted, project->is_domain));
    entity_strip_name((json_t *)wanted);
    TRY(check_enabled(tx, cx, project, old, wanted));
    return duplicate(cx, entity_store(tx, project->is_domain ? &domain_entity : &project_entity, id, wanted), wanted);
}

/* ---- Deletion ---- */

/* One project and what refers to it. */
static struct fault *erase(struct tx *tx, struct context *cx, const char *id)
{
    static const char *const statements[] = {
        "DELETE FROM assignment WHERE target_id = ?",
        "UPDATE `user` SET default_project_id = NULL WHERE default_project_id = ?",
        "DELETE FROM project_endpoint WHERE project_id = ?",
        "DELETE FROM project_endpoint_group WHERE project_id = ?",
        "DELETE FROM `limit` WHERE project_id = ?",
    };

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        TRY(sql_exec(tx, statements[i], BIND(TEXT(id))));
    TRY(trusts_end_of_project(tx, id));
    TRY(app_creds_end_of_project(tx, id));
    TRY(credentials_end_of_project(tx, id));
    TRY(entity_erase(tx, &project_entity, id));
    keystone_note_deleted(cx, "project", id);
    return revocation_write(tx, cx->app->config, &(struct revocation){ .project_id = id });
}

/* Everything that a domain owns, and the domain. */
static struct fault *erase_domain(struct tx *tx, struct context *cx, const char *id)
{
    static const struct {
        const char *sql;
        struct fault *(*erase)(struct tx *tx, struct context *cx, const char *id);
    } owned[] = {
        { "SELECT id FROM `group` WHERE domain_id = ? LIMIT 1", group_erase },
        { "SELECT id FROM `user` WHERE domain_id = ? LIMIT 1", user_delete },
        /* leaves first: a parent's row may not go before its children's */
        { "SELECT id FROM project p WHERE p.domain_id = ? AND p.is_domain = 0 AND NOT EXISTS (SELECT 1 FROM project c WHERE"
          " c.parent_id = p.id) LIMIT 1", erase },
    };

    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        struct rows *rows;
        const char *next = "";
        while (next != NULL) {
            TRY(sql_query(tx, &rows, owned[i].sql, BIND(TEXT(id))));
            next = rows_next(rows) ? rows_text(rows, 0) : NULL;
            rows_end(rows);
            if (next != NULL)
                TRY(owned[i].erase(tx, cx, next));
        }
    }
    TRY(sql_exec(tx, "DELETE FROM implied_role WHERE prior_role_id IN (SELECT id FROM role WHERE domain_id = ?)",
        BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM role_option WHERE role_id IN (SELECT id FROM role WHERE domain_id = ?)", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM role WHERE domain_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM `limit` WHERE domain_id = ?", BIND(TEXT(id))));
    TRY(domain_config_erase(tx, id));
    TRY(idps_of_domain_erase(tx, id));
    TRY(erase(tx, cx, id));
    keystone_note_deleted(cx, "domain", id);
    return NULL;
}

struct fault *project_delete(struct tx *tx, struct context *cx, const char *id)
{
    struct project *project;
    json_t *document;
    int64_t children;

    TRY(project_find(tx, id, &project));
    if (project == NULL)
        return keystone_not_found(cx, "project", id);
    const struct entity *entity = project->is_domain ? &domain_entity : &project_entity;
    TRY(entity_load(tx, entity, id, &document));
    TRY(entity_mutable(cx, entity, document, NULL));
    if (project->is_domain) {
        if (project->enabled)
            return keystone_refused(cx, "Cannot delete a domain that is enabled, please disable it first.");
        return erase_domain(tx, cx, id);
    }
    TRY(sql_int_of(tx, &children, 0, "SELECT COUNT(*) FROM project WHERE parent_id = ?", BIND(TEXT(id))));
    if (children > 0)
        return keystone_refused(cx, "Cannot delete the project %s since it is not a leaf in the hierarchy. Use the cascade "
            "option if you want to delete a whole subtree.", id);
    return erase(tx, cx, id);
}
