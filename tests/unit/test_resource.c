/* SPDX-License-Identifier: Apache-2.0
 *
 * test_resource: the resource engine on an in-memory database, below HTTP: requests are filled by hand.
 */
#include "oslo/resource/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ID, NAME, SIZE, OPEN, PROJECT_ID, PARTS, SECRET, REVISION, CREATED, FIELDS };

static struct fault *load_parts(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_RAW("[1,2]");
    assert_non_null(op->tx);
    return NULL;
}

static const struct field color_fields[] = {
    [ID]         = { "id",              UUID, COLUMN("id"),         FILTER | SORT, .automatic = NEW_UUID },
    [NAME]       = { "name",            STR,  COLUMN("name"),       CREATE | UPDATE | FILTER | SORT, .max = 10, .def = STR_DEF("") },
    [SIZE]       = { "size",            INT,  COLUMN("size"),       CREATE | UPDATE | FILTER | SORT | NULLABLE, .min = 1, .max = 99, .def = NULL_DEF },
    [OPEN]       = { "open",            BOOL, COLUMN("open"),       CREATE | UPDATE | FILTER | PER_FIELD, .def = FALSE_DEF },
    [PROJECT_ID] = { "project_id",      STR,  COLUMN("project_id"), CREATE | FILTER, .alias = "tenant_id", .def = CALLER_PROJECT },
    [PARTS]      = { "parts",           LIST, LOADER(load_parts) },
    [SECRET]     = { "secret",          STR,  COLUMN("secret"),     CREATE | PER_FIELD, .def = STR_DEF("s") },
    [REVISION]   = { "revision_number", INT,  COLUMN("revision"),   0, .automatic = REVISION_COUNTER, .first = 1 },
    [CREATED]    = { "created_at",      TIME, COLUMN("created_at"), 0, .automatic = CREATED_AT, .format = CLOCK_ISO },
};

static struct fault *invalid(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
    const json_t *value)
{
    return FAULT(op->cx, 400, "Invalid", "%d %s", (int)kind, name);
}

static const struct resource_dialect words = {
    .invalid = invalid, .lenient = true, .refuse_unknown_filters = true, .inexact_filters = true, .fields = true,
    .admin_rule = "admin",
};

static struct fault *open_to_all(struct op *op, struct where *where)
{
    where_or(where, "open = 1", NO_BIND);
    return NULL;
}

static const struct resource color = {
    .name = "color", .plural = "colors", .table = "colors", .fields = color_fields, .count = FIELDS, .id = ID,
    .owner = PROJECT_ID, .dialect = &words, .bulk = true, .not_found = "ColorNotFound",
    .not_found_text = "Color %s could not be found.", .visible = open_to_all,
};

static const struct policy_rule rules[] = {
    { "admin",             "role:admin" },
    { "owner",             "rule:admin or project_id:%(project_id)s" },
    { "get_color",         "rule:owner or field:colors:open=True" },
    { "get_color:secret",  "rule:admin" },
    { "create_color",      "rule:owner" },
    { "create_color:open", "rule:admin" },
    { "update_color",      "rule:owner" },
    { "update_color:open", "rule:admin" },
    { "delete_color",      "rule:owner" },
};
static const struct policy_table rule_table = POLICY_TABLE(rules);

/* ---- The request as far as the engine looks at it ---- */

const char *request_header(const struct request *rq, const char *name)
{
    for (const struct header *h = rq->transport; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0)
            return h->value;
    return NULL;
}

const char *request_query(const struct request *rq, const char *name)
{
    for (const struct header *h = rq->query; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0)
            return h->value;
    return NULL;
}

bool request_query_bool(const struct request *rq, const char *name, bool absent)
{
    const char *value = request_query(rq, name);
    return value == NULL ? absent : strcasecmp(value, "true") == 0;
}

const char *request_argument(const struct request *rq, const char *name)
{
    return rq->arguments[0];
}

bool request_allowed(struct request *rq, const char *rule, const struct policy_target *target)
{
    const struct caller *caller = rq->cx.caller;
    struct policy_credentials credentials = { .project_id = caller->project_id, .roles = caller->roles };
    const struct policy_target own[] = { { "project_id", caller->project_id }, { NULL, NULL } };
    return policy_decide(rq->cx.app->policy, rule, target != NULL ? target : own, &credentials) == POLICY_ALLOWED;
}

struct fault *request_enforce(struct request *rq, const char *rule, const struct policy_target *target)
{
    return request_allowed(rq, rule, target) ? NULL : FAULT(RQ(rq), 403, "Forbidden", "%s", rule);
}

/* ---- Nobody listens ---- */

void resource_notify_start(struct op *op)
{
}

json_t *resource_notify_picture(struct op *op)
{
    return NULL;
}

void resource_notify_end(struct op *op, const json_t *picture)
{
}

/* ---- The stage ---- */

static struct arena *arena;
static struct app app;
static const char *const admin_roles[] = { "admin", NULL }, *const member_roles[] = { "member", NULL };
static struct caller admin = { .project_id = "p0", .roles = admin_roles };
static struct caller one = { .project_id = "p1", .roles = member_roles };
static struct caller two = { .project_id = "p2", .roles = member_roles };

static const struct migration migrations[] = {
    { 1, "colors", "CREATE TABLE colors (id VARCHAR(36) PRIMARY KEY, name TEXT, size INTEGER, open INTEGER, project_id TEXT, "
                   "secret TEXT, revision INTEGER, created_at TEXT)" },
};

static int setup(void **state)
{
    static const struct service service = { .name = "test" };
    const struct policy_table *tables[] = { &rule_table };
    const struct policy_settings settings = { 0 };
    memset(&app, 0, sizeof(app));
    arena = arena_create();
    app.service = &service;
    assert_null(db_open(arena, "sqlite://", &app.db));
    assert_null(db_sync(arena, app.db, migrations, 1, NULL));
    assert_null(policy_create(arena, tables, 1, &settings, &app.policy));
    return 0;
}

static int teardown(void **state)
{
    policy_destroy(app.policy);
    db_close(app.db);
    arena_destroy(arena);
    return 0;
}

static struct header *pairs(const char *text)
{
    struct header *first = NULL, **tail = &first;
    char *save, *copy = arena_strdup(arena, text);
    for (char *word = strtok_r(copy, "&", &save); word != NULL; word = strtok_r(NULL, "&", &save)) {
        struct header *h = ARENA_NEW(arena, struct header);
        char *equals = strchr(word, '=');
        *equals = '\0';
        h->name = word;
        h->value = equals + 1;
        *tail = h;
        tail = &h->next;
    }
    return first;
}

/* Runs a handler; gives the response's document, or the fault. */
static json_t *ask(struct caller *caller, struct fault *(*handler)(struct request *), const char *rule, const char *id,
    const char *query, const char *body, struct fault **ret_fault)
{
    struct request *rq = ARENA_NEW(arena, struct request);
    struct route *route = ARENA_NEW(arena, struct route);
    const char *why;
    route->policy = rule;
    route->resource = &color;
    route->path = id != NULL ? "/colors/{id}" : "/colors";
    rq->cx = (struct context){ .arena = arena, .app = &app, .caller = caller };
    rq->route = route;
    rq->arguments[0] = id;
    rq->query = query != NULL && strncmp(query, "If-Match ", 9) != 0 ? pairs(query) : NULL;
    if (query != NULL && strncmp(query, "If-Match ", 9) == 0) {
        struct header *h = ARENA_NEW(arena, struct header);
        *h = (struct header){ "If-Match", query + 9, NULL };
        rq->transport = h;
    }
    rq->body = body != NULL ? json_parse(arena, body, strlen(body), &why) : NULL;
    rq->json.out = &rq->out;
    *ret_fault = handler(rq);
    json_t *document = rq->out.length > 0 ? json_parse(arena, rq->out.data, rq->out.length, &why) : NULL;
    buf_release(&rq->out);
    return document;
}

static json_t *make(struct caller *caller, const char *body)
{
    struct fault *fault;
    json_t *document = ask(caller, resource_create, "create_color", NULL, NULL, body, &fault);
    assert_null(fault);
    return document;
}

static void refused(struct caller *caller, const char *body, int status, const char *message)
{
    struct fault *fault;
    ask(caller, resource_create, "create_color", NULL, NULL, body, &fault);
    assert_non_null(fault);
    assert_int_equal(fault->status, status);
    assert_string_equal(fault->message, message);
}

static json_t *list(struct caller *caller, const char *query)
{
    struct fault *fault;
    json_t *document = ask(caller, resource_list, "get_color", NULL, query, NULL, &fault);
    if (fault != NULL)
        fail_msg("%s: %s", query != NULL ? query : "no query", fault_text(arena, fault));
    return json_object_get(document, "colors");
}

static void test_create_and_show(void **state)
{
    struct fault *fault;
    json_t *made = make(&one, "{\"color\": {\"name\": \"red\", \"size\": \"7\"}}");
    assert_string_equal(json_text_at(made, "color.name"), "red");
    assert_int_equal(json_int_at(made, "color.size", 0), 7);
    assert_string_equal(json_text_at(made, "color.tenant_id"), "p1");
    assert_int_equal(json_int_at(made, "color.revision_number", 0), 1);
    assert_int_equal(json_array_size(json_at(made, "color.parts")), 2);
    assert_int_equal(strlen(json_text_at(made, "color.created_at")), 20);
    assert_null(json_at(made, "color.secret"));
    const char *id = json_text_at(made, "color.id");
    json_t *shown = ask(&one, resource_show, "get_color", id, NULL, NULL, &fault);
    assert_null(fault);
    assert_true(json_equal(shown, made));
    shown = ask(&admin, resource_show, "get_color", id, "fields=secret&fields=id", NULL, &fault);
    assert_int_equal(json_object_size(json_object_get(shown, "color")), 2);
    assert_string_equal(json_text_at(shown, "color.secret"), "s");
    ask(&two, resource_show, "get_color", id, NULL, NULL, &fault);
    assert_int_equal(fault->status, 404);
    assert_string_equal(fault->code, "ColorNotFound");
}

static void test_refusals(void **state)
{
    refused(&one, NULL, 400, arena_printf(arena, "%d color", INVALID_BODY));
    refused(&one, "{\"color\": []}", 400, arena_printf(arena, "%d color", INVALID_BODY));
    refused(&one, "{\"color\": {\"x\": 1, \"y\": 2}}", 400, arena_printf(arena, "%d x, y", INVALID_UNKNOWN));
    refused(&one, "{\"color\": {\"id\": \"1\"}}", 400, arena_printf(arena, "%d id", INVALID_READ_ONLY));
    refused(&one, "{\"color\": {\"name\": \"12345678901\"}}", 400, arena_printf(arena, "%d name", INVALID_TOO_LONG));
    refused(&one, "{\"color\": {\"name\": 1}}", 400, arena_printf(arena, "%d name", INVALID_TYPE));
    refused(&one, "{\"color\": {\"name\": null}}", 400, arena_printf(arena, "%d name", INVALID_NULL));
    refused(&one, "{\"color\": {\"size\": 100}}", 400, arena_printf(arena, "%d size", INVALID_TOO_BIG));
    refused(&one, "{\"color\": {\"open\": \"maybe\"}}", 400, arena_printf(arena, "%d open", INVALID_TYPE));
    refused(&one, "{\"color\": {\"open\": true}}", 403, "create_color:open");
    refused(&one, "{\"color\": {\"project_id\": \"p2\"}}", 403, "create_color");
    make(&one, "{\"color\": {\"open\": false}}");
}

static void test_lists(void **state)
{
    json_t *bulk = make(&one, "{\"colors\": [{\"name\": \"a\", \"size\": 3}, {\"name\": \"b\"}, {\"name\": \"c\", \"size\": 1}]}");
    assert_int_equal(json_array_size(json_object_get(bulk, "colors")), 3);
    make(&admin, "{\"color\": {\"name\": \"all\", \"open\": true}}");
    assert_int_equal(json_array_size(list(&one, NULL)), 4);
    assert_int_equal(json_array_size(list(&two, NULL)), 1);
    assert_int_equal(json_array_size(list(&one, "name=a&name=c")), 2);
    assert_int_equal(json_array_size(list(&one, "name__startswith=a")), 2);
    assert_int_equal(json_array_size(list(&one, "name__endswith=l")), 1);
    assert_int_equal(json_array_size(list(&one, "open=True")), 1);
    assert_int_equal(json_array_size(list(&one, "tenant_id=p1")), 3);

    json_t *page = list(&one, "tenant_id=p1&sort_key=size&sort_dir=desc&limit=2");
    assert_string_equal(json_text_at(json_array_get(page, 0), "name"), "a");
    assert_string_equal(json_text_at(json_array_get(page, 1), "name"), "c");
    const char *marker = json_text_at(json_array_get(page, 1), "id");
    page = list(&one, arena_printf(arena, "tenant_id=p1&sort_key=size&sort_dir=desc&limit=2&marker=%s", marker));
    assert_int_equal(json_array_size(page), 1);
    assert_string_equal(json_text_at(json_array_get(page, 0), "name"), "b");
    page = list(&one, arena_printf(arena, "tenant_id=p1&sort_key=name&limit=1&page_reverse=true&marker=%s", marker));
    assert_string_equal(json_text_at(json_array_get(page, 0), "name"), "b");

    assert_int_equal(json_array_size(list(&one, "limit=9223372036854775807")), 4); /* no overflow behind it */
    struct fault *fault;
    ask(&one, resource_list, "get_color", NULL, "smell=x", NULL, &fault);
    assert_int_equal(fault->status, 400);
    ask(&one, resource_list, "get_color", NULL, "limit=1&marker=none", NULL, &fault);
    assert_int_equal(fault->status, 400);
}

static void test_update_and_delete(void **state)
{
    struct fault *fault;
    json_t *made = make(&admin, "{\"color\": {\"name\": \"all\", \"open\": true}}");
    const char *id = json_text_at(made, "color.id");
    json_t *after = ask(&admin, resource_update, "update_color", id, NULL, "{\"color\": {\"size\": 5}}", &fault);
    assert_null(fault);
    assert_int_equal(json_int_at(after, "color.revision_number", 0), 2);
    assert_string_equal(json_text_at(after, "color.name"), "all");
    ask(&admin, resource_update, "update_color", id, "If-Match revision_number=1", "{\"color\": {\"size\": 6}}", &fault);
    assert_int_equal(fault->status, 412);
    ask(&admin, resource_update, "update_color", id, "If-Match revision_number=2", "{\"color\": {\"size\": null}}", &fault);
    assert_null(fault);
    /* Seen, but not his: 403. */
    ask(&two, resource_update, "update_color", id, NULL, "{\"color\": {\"size\": 6}}", &fault);
    assert_int_equal(fault->status, 403);
    ask(&two, resource_delete, "delete_color", id, NULL, NULL, &fault);
    assert_int_equal(fault->status, 403);
    ask(&admin, resource_delete, "delete_color", id, NULL, NULL, &fault);
    assert_null(fault);
    ask(&admin, resource_delete, "delete_color", id, NULL, NULL, &fault);
    assert_int_equal(fault->status, 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_show, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_and_delete, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
