/* SPDX-License-Identifier: Apache-2.0
 *
 * flavors: list, show, create, update, delete. API reference: Flavors.
 */
#include "nova/api/api.h"
#include "nova/api/flavor.h"
#include "nova/notify.h"

#include "base/clock.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS                                                                                                        \
    "f.id,f.flavorid,f.name,f.description,f.memory_mb,f.vcpus,f.root_gb,f.ephemeral_gb,f.swap,f.rxtx_factor,"            \
    "f.is_public,f.disabled,f.extra_specs"
#define VISIBLE "(f.is_public=1 OR EXISTS (SELECT 1 FROM flavor_projects p WHERE p.flavor_id=f.id AND p.project_id=?))"

static void read_flavor(struct rows *rows, struct flavor *ret)
{
    *ret = (struct flavor){ .id = rows_int(rows, 0), .flavorid = rows_text(rows, 1), .name = rows_text(rows, 2),
        .description = rows_text(rows, 3), .memory_mb = rows_int(rows, 4), .vcpus = rows_int(rows, 5),
        .root_gb = rows_int(rows, 6), .ephemeral_gb = rows_int(rows, 7), .swap = rows_int(rows, 8),
        .rxtx_factor = rows_real(rows, 9), .is_public = rows_int(rows, 10) != 0, .disabled = rows_int(rows, 11) != 0,
        .extra_specs = rows_text(rows, 12) };
}

struct fault *flavor_load(struct tx *tx, const char *flavorid, const char *project_id, bool everything,
    struct flavor *ret)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM flavors f WHERE f.flavorid=? AND (?=1 OR " VISIBLE ")",
        BIND(TEXT(flavorid), INT(everything), TEXT(project_id))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return fault_new(tx_arena(tx), 404, NULL, "Flavor %s could not be found.", flavorid);
    }
    read_flavor(rows, ret);
    rows_end(rows);
    return NULL;
}

const char *flavor_json(struct arena *arena, const struct flavor *flavor)
{
    BUF_CLEANUP struct buf out = { 0 };
    struct json_writer w = { .out = &out };

    json_begin(&w, NULL);
    json_int(&w, "id", flavor->id);
    json_text(&w, "flavorid", flavor->flavorid);
    json_text(&w, "name", flavor->name);
    json_int(&w, "memory_mb", flavor->memory_mb);
    json_int(&w, "vcpus", flavor->vcpus);
    json_int(&w, "root_gb", flavor->root_gb);
    json_int(&w, "ephemeral_gb", flavor->ephemeral_gb);
    json_int(&w, "swap", flavor->swap);
    json_double(&w, "rxtx_factor", flavor->rxtx_factor);
    json_text(&w, "description", flavor->description);
    json_raw(&w, "extra_specs", flavor->extra_specs);
    json_end(&w);
    return arena_strdup(arena, buf_text(&out));
}

struct fault *flavor_of_request(struct request *rq, struct flavor *ret)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = flavor_load(tx, request_argument(rq, "flavor_id"), rq->cx.caller->project_id,
        api_is_admin(rq), ret);
    tx_end(tx);
    return fault;
}

static void write_flavor(struct request *rq, const struct flavor *f, bool details, bool specs, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", f->flavorid);
    json_text(w, "name", f->name);
    if (rq->version >= 55)
        json_text(w, "description", f->description);
    if (details) {
        json_int(w, "ram", f->memory_mb);
        json_int(w, "disk", f->root_gb);
        if (f->swap == 0 && rq->version < 75)
            json_text(w, "swap", "");
        else
            json_int(w, "swap", f->swap);
        json_int(w, "OS-FLV-EXT-DATA:ephemeral", f->ephemeral_gb);
        json_bool(w, "OS-FLV-DISABLED:disabled", f->disabled);
        json_int(w, "vcpus", f->vcpus);
        json_bool(w, "os-flavor-access:is_public", f->is_public);
        if (f->rxtx_factor == floor(f->rxtx_factor))
            json_raw(w, "rxtx_factor", arena_printf(rq->cx.arena, "%.1f", f->rxtx_factor));
        else
            json_double(w, "rxtx_factor", f->rxtx_factor);
        if (specs)
            json_raw(w, "extra_specs", f->extra_specs);
    }
    api_links(rq, "flavors", f->flavorid);
    json_end(w);
}

/* Microversion 2.61 shows extra specs to those who may list them. */
static bool shows_specs(struct request *rq)
{
    return rq->version >= 61 && request_allowed(rq, "os_compute_api:os-flavor-extra-specs:index", NULL);
}

/* is_public of the query: -1 all, 0 private ones, 1 what the project sees. */
static struct fault *wanted_public(struct request *rq, int *ret)
{
    static const char *const words[] = { "0", "f", "false", "n", "no", "off", "1", "t", "true", "y", "yes", "on" };
    const char *text = request_query(rq, "is_public");

    *ret = 1;
    if (!api_is_admin(rq) || text == NULL)
        return NULL;
    *ret = -1;
    if (strcasecmp(text, "none") == 0)
        return NULL;
    for (int i = 0; i < 12; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i >= 6;
            return NULL;
        }
    return BAD_REQUEST(rq, "Invalid is_public filter [%s]", text);
}

static struct fault *sort_column(struct request *rq, const char **ret)
{
    static const char *const keys[][2] = {
        { "flavorid", "f.flavorid" }, { "name", "f.name" }, { "memory_mb", "f.memory_mb" }, { "vcpus", "f.vcpus" },
        { "root_gb", "f.root_gb" }, { "ephemeral_gb", "f.ephemeral_gb" }, { "swap", "f.swap" }, { "id", "f.id" },
        { "rxtx_factor", "f.rxtx_factor" }, { "created_at", "f.created_at" }, { "updated_at", "f.updated_at" },
        { "is_public", "f.is_public" }, { "disabled", "f.disabled" }, { "description", "f.description" },
    };
    const char *key = request_query(rq, "sort_key");

    *ret = "f.flavorid";
    if (key == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i][0], key) == 0) {
            *ret = keys[i][1];
            return NULL;
        }
    return BAD_REQUEST(rq, "Invalid input for query parameters sort_key. Value: %s. '%s' is not one of the sort keys", key,
        key);
}

static struct fault *list_in(struct request *rq, struct tx *tx, bool details)
{
    int64_t min_ram = 0, min_disk = 0, limit, shown = 0;
    const char *marker, *column, *last = NULL, *direction = request_query(rq, "sort_dir");
    int public;
    struct rows *rows;
    struct flavor flavor;

    TRY(api_query_int(rq, "minRam", 0, &min_ram));
    TRY(api_query_int(rq, "minDisk", 0, &min_disk));
    TRY(api_paging(rq, &limit, &marker));
    TRY(wanted_public(rq, &public));
    TRY(sort_column(rq, &column));
    if (marker != NULL && flavor_load(tx, marker, rq->cx.caller->project_id, true, &flavor) != NULL)
        return BAD_REQUEST(rq, "marker [%s] not found", marker);
    bool specs = details && shows_specs(rq), down = direction != NULL && strcmp(direction, "desc") == 0, skip = marker != NULL;
    const char *sql = arena_printf(rq->cx.arena, "SELECT " COLUMNS " FROM flavors f WHERE f.memory_mb>=? AND f.root_gb>=? "
        "AND (?=-1 OR (?=0 AND f.is_public=0) OR (?=1 AND " VISIBLE ")) ORDER BY %s %s, f.id", column, down ? "DESC" : "ASC");
    TRY(sql_query(tx, &rows, sql, BIND(INT(min_ram), INT(min_disk), INT(public), INT(public), INT(public),
        TEXT(rq->cx.caller->project_id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "flavors");
    while (shown < limit && rows_next(rows)) {
        read_flavor(rows, &flavor);
        if (skip) {
            skip = strcmp(flavor.flavorid, marker) != 0;
            continue;
        }
        write_flavor(rq, &flavor, details, specs, NULL);
        last = flavor.flavorid;
        shown++;
    }
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    json_end_array(&rq->json);
    if (shown > 0 && shown == limit)
        api_next_link(rq, "flavors_links", details ? "flavors/detail" : "flavors", last);
    json_end(&rq->json);
    return fault;
}

static struct fault *list(struct request *rq, bool details)
{
    static const char *const allowed[] = { "limit", "page_size", "marker", "offset", "is_public", "minRam", "minDisk",
        "sort_key", "sort_dir", NULL };
    struct tx *tx;

    TRY(api_query_check(rq, allowed, rq->version >= 75));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = list_in(rq, tx, details);
    tx_end(tx);
    return fault;
}

static struct fault *flavors_index(struct request *rq)
{
    return list(rq, false);
}

static struct fault *flavors_detail(struct request *rq)
{
    return list(rq, true);
}

static struct fault *flavor_answer(struct request *rq, const struct flavor *flavor)
{
    json_begin(&rq->json, NULL);
    write_flavor(rq, flavor, true, shows_specs(rq), "flavor");
    json_end(&rq->json);
    return NULL;
}

static struct fault *flavors_show(struct request *rq)
{
    struct flavor flavor;

    TRY(flavor_of_request(rq, &flavor));
    return flavor_answer(rq, &flavor);
}

static const struct schema positive = { .types = SCHEMA_INTEGER | SCHEMA_STRING, .pattern = "^[0-9]*$", .min_length = 1,
    .minimum = 1, .maximum = INT32_MAX };
static const struct schema non_negative = { .types = SCHEMA_INTEGER | SCHEMA_STRING, .pattern = "^[0-9]*$", .min_length = 1,
    .minimum = 0, .maximum = INT32_MAX };
static const struct schema id_schema = { .types = SCHEMA_STRING | SCHEMA_NUMBER | SCHEMA_NULL, .min_length = 1,
    .max_length = 255, .pattern = "^(?! )[a-zA-Z0-9. _-]+(?<! )$" };
static const struct schema rxtx_schema = { .types = SCHEMA_NUMBER | SCHEMA_STRING, .pattern = "^[0-9]+(\\.[0-9]+)?$",
    .min_length = 1, .maximum = INT32_MAX };
static const struct schema description_schema = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 65535 };

#define CREATE_PROPERTIES                                                                                              \
    { "name", &nova_schema_name }, { "id", &id_schema }, { "ram", &positive }, { "vcpus", &positive },                        \
    { "disk", &non_negative }, { "OS-FLV-EXT-DATA:ephemeral", &non_negative }, { "swap", &non_negative },                \
    { "rxtx_factor", &rxtx_schema }, { "os-flavor-access:is_public", &nova_schema_boolean }
static const struct schema create_1 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES(CREATE_PROPERTIES), .required = SCHEMA_WORDS("name", "ram", "vcpus", "disk") };
static const struct schema create_55 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES(CREATE_PROPERTIES, { "description", &description_schema }),
    .required = SCHEMA_WORDS("name", "ram", "vcpus", "disk") };
static const struct schema create_body_1 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "flavor", &create_1 }), .required = SCHEMA_WORDS("flavor") };
static const struct schema create_body_55 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "flavor", &create_55 }), .required = SCHEMA_WORDS("flavor") };

static struct fault *projects_of(struct request *rq, const struct flavor *flavor, json_t **ret)
{
    struct tx *tx;
    struct rows *rows;

    *ret = json_array();
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT project_id FROM flavor_projects WHERE flavor_id=? ORDER BY project_id",
        BIND(INT(flavor->id))));
    while (rows_next(rows))
        json_array_append_new(*ret, json_string(rows_text(rows, 0)));
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

struct fault *flavor_tell(struct request *rq, const struct flavor *f, const char *action)
{
    bool created = strcmp(action, "create") == 0, updated = strcmp(action, "update") == 0;
    json_t *projects = NULL;

    if (!notify_wanted(&rq->cx))
        return NULL;
    if (updated)
        TRY(projects_of(rq, f, &projects));
    json_t *specs = updated ? json_parse_own(rq->cx.arena, f->extra_specs) : NULL;
    json_t *data = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:b, s:i, s:s?}", "flavorid", f->flavorid, "name",
        f->name, "memory_mb", (json_int_t)f->memory_mb, "vcpus", (json_int_t)f->vcpus, "root_gb", (json_int_t)f->root_gb,
        "ephemeral_gb", (json_int_t)f->ephemeral_gb, "swap", (json_int_t)f->swap, "rxtx_factor", f->rxtx_factor, "disabled",
        (int)f->disabled, "is_public", (int)f->is_public, "vcpu_weight", 0, "description", f->description);
    json_object_set_new(data, "extra_specs", specs != NULL ? json_incref(specs) : json_null());
    json_object_set_new(data, "projects", projects != NULL ? projects : created ? json_array() : json_null());
    notify_api(&rq->cx, arena_printf(rq->cx.arena, "flavor.%s", action), notify_object("FlavorPayload", "1.4", data));
    return NULL;
}

static struct fault *run_create(struct tx *tx, void *argument)
{
    struct flavor *f = argument;
    int64_t clash, now = clock_now_us();

    TRY(tx_serialize(tx, "flavors"));
    TRY(sql_int_of(tx, &clash, 0, "SELECT id FROM flavors WHERE flavorid=?", BIND(TEXT(f->flavorid))));
    if (clash != 0)
        return fault_new(tx_arena(tx), 409, NULL, "Flavor with ID %s already exists.", f->flavorid);
    TRY(sql_int_of(tx, &clash, 0, "SELECT id FROM flavors WHERE name=?", BIND(TEXT(f->name))));
    if (clash != 0)
        return fault_new(tx_arena(tx), 409, NULL, "Flavor with name %s already exists.", f->name);
    return sql_insert(tx, "INSERT INTO flavors(flavorid,name,memory_mb,vcpus,root_gb,ephemeral_gb,swap,rxtx_factor,is_public,"
        "disabled,description,extra_specs,created_at,updated_at) VALUES(?,?,?,?,?,?,?,?,?,0,?,'{}',?,?)",
        BIND(TEXT(f->flavorid), TEXT(f->name), INT(f->memory_mb), INT(f->vcpus), INT(f->root_gb), INT(f->ephemeral_gb),
            INT(f->swap), REAL(f->rxtx_factor), INT(f->is_public), TEXT(f->description), INT(now), INT(now)), &f->id);
}

static const char *id_text(struct request *rq, const json_t *id)
{
    if (json_is_integer(id))
        return arena_printf(rq->cx.arena, "%lld", (long long)json_integer_value(id));
    if (json_is_real(id))
        return arena_printf(rq->cx.arena, "%g", json_real_value(id));
    const char *text = json_string_value(id);
    return text == NULL || strcmp(text, "auto") == 0 ? uuid_new(rq->cx.arena) : text;
}

static struct fault *flavors_create(struct request *rq)
{
    TRY(request_validate(rq, rq->version >= 55 ? &create_body_55 : &create_body_1));
    const json_t *body = json_object_get(rq->body, "flavor"), *factor = json_object_get(body, "rxtx_factor"),
        *public = json_object_get(body, "os-flavor-access:is_public");
    struct flavor flavor = { .flavorid = id_text(rq, json_object_get(body, "id")), .name = json_text_at(body, "name"),
        .description = json_text_at(body, "description"), .memory_mb = json_number(json_object_get(body, "ram"), 0),
        .vcpus = json_number(json_object_get(body, "vcpus"), 0), .root_gb = json_number(json_object_get(body, "disk"), 0),
        .ephemeral_gb = json_number(json_object_get(body, "OS-FLV-EXT-DATA:ephemeral"), 0),
        .swap = json_number(json_object_get(body, "swap"), 0), .rxtx_factor = 1.0,
        .is_public = public == NULL || json_truth(public), .extra_specs = "{}" };

    if (factor != NULL)
        flavor.rxtx_factor = json_is_string(factor) ? strtod(json_string_value(factor), NULL) : json_number_value(factor);
    if (flavor.rxtx_factor <= 0)
        return BAD_REQUEST(rq, "Invalid input for field/attribute rxtx_factor. Value: %g. %g is less than or equal to the "
            "minimum of 0", flavor.rxtx_factor, flavor.rxtx_factor);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &flavor));
    TRY(flavor_tell(rq, &flavor, "create"));
    return flavor_answer(rq, &flavor);
}

static const struct schema update_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "description", &description_schema }), .required = SCHEMA_WORDS("description") };
static const struct schema update_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "flavor", &update_schema }), .required = SCHEMA_WORDS("flavor") };

static struct fault *flavors_update(struct request *rq)
{
    struct flavor flavor;

    TRY(request_validate(rq, &update_body));
    TRY(flavor_of_request(rq, &flavor));
    flavor.description = json_text_at(rq->body, "flavor.description");
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "UPDATE flavors SET description=?,updated_at=? WHERE id=?",
        BIND(TEXT(flavor.description), INT(clock_now_us()), INT(flavor.id)), NULL));
    TRY(flavor_tell(rq, &flavor, "update"));
    return flavor_answer(rq, &flavor);
}

static struct fault *run_delete(struct tx *tx, void *argument)
{
    const struct flavor *flavor = argument;

    TRY(tx_serialize(tx, "flavors"));
    TRY(sql_exec(tx, "DELETE FROM flavor_projects WHERE flavor_id=?", BIND(INT(flavor->id))));
    return sql_exec(tx, "DELETE FROM flavors WHERE id=?", BIND(INT(flavor->id)));
}

static struct fault *flavors_delete(struct request *rq)
{
    struct flavor flavor;

    TRY(flavor_of_request(rq, &flavor));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_delete, &flavor));
    TRY(flavor_tell(rq, &flavor, "delete"));
    return api_empty(rq, 202);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/flavors",             "os_compute_api:flavors",                 flavors_index),
    ROUTE(GET,    "/v2.1/flavors/detail",      "os_compute_api:flavors",                 flavors_detail),
    ROUTE(GET,    "/v2.1/flavors/{flavor_id}", "os_compute_api:flavors",                 flavors_show),
    ROUTE(POST,   "/v2.1/flavors",             "os_compute_api:os-flavor-manage:create", flavors_create),
    ROUTE(PUT,    "/v2.1/flavors/{flavor_id}", "os_compute_api:os-flavor-manage:update", flavors_update, .min_version = 55),
    ROUTE(DELETE, "/v2.1/flavors/{flavor_id}", "os_compute_api:os-flavor-manage:delete", flavors_delete),
};
const struct route_table nova_flavor_routes = ROUTES(rows);
