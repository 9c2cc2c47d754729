/* SPDX-License-Identifier: Apache-2.0
 *
 * project tags. API reference: Project tags, identity v3.
 */
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"

#include "oslo/policy.h"

#include <string.h>

/* "a,b" as bound values. */
static struct sql_value *split(struct arena *arena, const char *text, size_t *ret_count)
{
    struct sql_value *values;
    size_t count = 1;

    for (const char *c = text; *c != '\0'; c++)
        count += *c == ',';
    values = ARENA_ARRAY(arena, struct sql_value, count);
    count = 0;
    while (text != NULL) {
        const char *comma = strchr(text, ',');
        values[count++] = TEXT(arena_strndup(arena, text, comma != NULL ? (size_t)(comma - text) : strlen(text)));
        text = comma != NULL ? comma + 1 : NULL;
    }
    *ret_count = count;
    return values;
}

struct fault *tag_conditions(struct request *rq, struct condition *ret)
{
    static const struct {
        const char *name;
        bool all, negative;
    } kinds[] = { { "tags", true, false }, { "tags-any", false, false }, { "not-tags", true, true },
        { "not-tags-any", false, true } };
    size_t conditions = 0;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *text = request_query(rq, kinds[i].name);
        size_t count;
        if (text == NULL || text[0] == '\0')
            continue;
        struct sql_value *values = split(rq->cx.arena, text, &count);
        if (count > 12)
            return keystone_invalid(RQ(rq), "Too many tags.");
        const char *having = kinds[i].all ? arena_printf(rq->cx.arena, " GROUP BY project_id HAVING COUNT(*) = %zu", count) : "";
        const char *sql = arena_printf(rq->cx.arena, "id %sIN (SELECT project_id FROM project_tag WHERE name IN (%s)%s)",
            kinds[i].negative ? "NOT " : "", sql_marks(rq->cx.arena, count), having);
        ret[conditions++] = (struct condition){ sql, values, count };
    }
    ret[conditions] = (struct condition){ 0 };
    return NULL;
}

/* ---- The tags of one project ---- */

/* Loads and enforces; 404 without the project. */
static struct fault *begin(struct request *rq, json_t **ret)
{
    const char *id = request_argument(rq, "project_id");
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, &project_entity, id, ret));
    tx_end(tx);
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "project_id", id },
        { "target.project.id", *ret != NULL ? id : NULL },
        { "target.project.domain_id", *ret != NULL ? json_text_at(*ret, "domain_id") : NULL })));
    return *ret != NULL ? NULL : keystone_not_found(RQ(rq), "project", id);
}

/* 403 while the project is immutable; `verb` in the reference's words. */
static struct fault *check_mutable(struct request *rq, const json_t *project, const char *verb)
{
    if (!json_is_true(json_at(project, "options.immutable")))
        return NULL;
    return keystone_refused(RQ(rq), "Cannot %s project tags for %s, project is immutable. Set \"immutable\" option to false "
        "before creating project tags.", verb, json_text_at(project, "id"));
}

static void respond(struct request *rq, const json_t *tags)
{
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "links");
    json_text(&rq->json, "self", keystone_self_url(rq));
    json_end(&rq->json);
    json_value(&rq->json, "tags", tags);
    json_end(&rq->json);
}

struct tags_change {
    const char *project_id;
    const json_t *tags;
};

static struct fault *store_run(struct tx *tx, void *argument)
{
    const struct tags_change *change = argument;

    TRY(tx_serialize(tx, "entities"));
    TRY(sql_exec(tx, "DELETE FROM project_tag WHERE project_id = ?", BIND(TEXT(change->project_id))));
    for (size_t i = 0; i < json_array_size(change->tags); i++)
        TRY(sql_exec(tx, "INSERT INTO project_tag (project_id, name) VALUES (?, ?)",
            BIND(TEXT(change->project_id), TEXT(json_string_value(json_array_get(change->tags, i))))));
    return NULL;
}

static struct fault *store(struct request *rq, const json_t *tags)
{
    struct tags_change change = { request_argument(rq, "project_id"), tags };

    return db_write(rq->cx.arena, rq->cx.app->db, store_run, &change);
}

static struct fault *tags_list(struct request *rq)
{
    json_t *project;

    TRY(begin(rq, &project));
    respond(rq, json_object_get(project, "tags"));
    return NULL;
}

static struct fault *tags_replace(struct request *rq)
{
    json_t *project, *tags;

    TRY(begin(rq, &project));
    TRY(keystone_member(rq, "tags", &tags));
    TRY(keystone_check(rq, &schema_tags, tags));
    TRY(check_mutable(rq, project, "update"));
    TRY(store(rq, tags));
    respond(rq, tags);
    return NULL;
}

static struct fault *tags_clear(struct request *rq)
{
    json_t *project;

    TRY(begin(rq, &project));
    TRY(check_mutable(rq, project, "update"));
    return store(rq, NULL);
}

/* The place of the path's tag in the project's, or its size. */
static size_t place(struct request *rq, const json_t *tags)
{
    const char *tag = request_argument(rq, "value");
    size_t at = 0;

    while (at < json_array_size(tags) && strcmp(json_string_value(json_array_get(tags, at)), tag) != 0)
        at++;
    return at;
}

static struct fault *absent(struct request *rq)
{
    return keystone_not_found(RQ(rq), "project tag", request_argument(rq, "value"));
}

static struct fault *tag_check(struct request *rq)
{
    json_t *project;

    TRY(begin(rq, &project));
    const json_t *tags = json_object_get(project, "tags");
    return place(rq, tags) < json_array_size(tags) ? NULL : absent(rq);
}

static struct fault *tag_add(struct request *rq)
{
    json_t *project;

    TRY(begin(rq, &project));
    json_t *tags = json_object_get(project, "tags"), *tag = json_keep(rq->cx.arena, json_string(request_argument(rq, "value")));
    TRY(keystone_check(rq, &schema_tag, tag));
    TRY(check_mutable(rq, project, "create"));
    json_array_append(tags, tag);
    TRY(keystone_check(rq, &schema_tags, tags));
    TRY(store(rq, tags));
    response_header(rq, "Location", keystone_self_url(rq));
    return NULL;
}

static struct fault *tag_remove(struct request *rq)
{
    json_t *project;

    TRY(begin(rq, &project));
    TRY(check_mutable(rq, project, "delete"));
    json_t *tags = json_object_get(project, "tags");
    size_t at = place(rq, tags);
    if (at == json_array_size(tags))
        return absent(rq);
    json_array_remove(tags, at);
    return store(rq, tags);
}

#define TAGS "/v3/projects/{project_id}/tags"

static const struct route rows[] = {
    ROUTE(GET,    TAGS,            "identity:list_project_tags",   tags_list,    HANDLER_POLICY),
    ROUTE(PUT,    TAGS,            "identity:update_project_tags", tags_replace, HANDLER_POLICY),
    ROUTE(DELETE, TAGS,            "identity:delete_project_tags", tags_clear,   HANDLER_POLICY, .status = 204),
    ROUTE(GET,    TAGS "/{value}", "identity:get_project_tag",     tag_check,    HANDLER_POLICY, .status = 204),
    ROUTE(PUT,    TAGS "/{value}", "identity:create_project_tag",  tag_add,      HANDLER_POLICY, .status = 201),
    ROUTE(DELETE, TAGS "/{value}", "identity:delete_project_tag",  tag_remove,   HANDLER_POLICY, .status = 204),
};

const struct route_table project_tag_routes = ROUTES(rows);
