/* SPDX-License-Identifier: Apache-2.0
 *
 * api: helpers of nova's API.
 */
#include "nova/api/api.h"

#include "base/clock.h"
#include "oslo/rest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct schema nova_schema_any = { 0 };
const struct schema nova_schema_null = { .types = SCHEMA_NULL };
const struct schema nova_schema_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .format = "name" };
const struct schema nova_schema_text255 = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
const struct schema nova_schema_boolean = { .types = SCHEMA_BOOLEAN | SCHEMA_STRING,
    .values = SCHEMA_WORDS("=true", "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t",
        "=false", "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f") };
const struct schema nova_schema_uuid = { .types = SCHEMA_STRING, .format = "uuid" };
static const struct schema ipv4 = { .format = "ipv4" }, ipv6 = { .format = "ipv6" };
const struct schema nova_schema_ip = { .types = SCHEMA_STRING, .any_of = SCHEMA_ANY(&ipv4, &ipv6) };
const struct schema nova_schema_tag = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 60, .pattern = "^[^,/]*$" };
const struct schema nova_schema_positive = { .types = SCHEMA_INTEGER | SCHEMA_STRING, .pattern = "^[0-9]*$", .minimum = 1,
    .maximum = INT64_MAX, .min_length = 1 };
static const struct schema metadata_value = { .types = SCHEMA_STRING, .max_length = 255 };
const struct schema nova_schema_metadata = { .types = SCHEMA_OBJECT,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &metadata_value }), .closed = true };

void api_links(struct request *rq, const char *collection, const char *id)
{
    struct json_writer *w = &rq->json;
    const char *prefix = api_project_prefix(rq);

    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_textf(w, "href", "%s/v2.1%s/%s/%s", rq->base_url, prefix, collection, id);
    json_end(w);
    json_begin(w, NULL);
    json_text(w, "rel", "bookmark");
    json_textf(w, "href", "%s%s/%s/%s", rq->base_url, prefix, collection, id);
    json_end(w);
    json_end_array(w);
}

void api_bookmark(struct request *rq, const char *collection, const char *id)
{
    struct json_writer *w = &rq->json;

    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "bookmark");
    json_textf(w, "href", "%s%s/%s/%s", rq->base_url, api_project_prefix(rq), collection, id);
    json_end(w);
    json_end_array(w);
}

void api_next_link(struct request *rq, const char *name, const char *collection, const char *marker)
{
    struct json_writer *w = &rq->json;
    BUF_CLEANUP struct buf query = { 0 };

    for (const struct header *q = rq->query; q != NULL; q = q->next)
        if (strcmp(q->name, "marker") != 0)
            buf_printf(&query, "%s=%s&", rest_escape(rq->cx.arena, q->name), rest_escape(rq->cx.arena, q->value));
    buf_printf(&query, "marker=%s", rest_escape(rq->cx.arena, marker));
    json_begin_array(w, name);
    json_begin(w, NULL);
    json_text(w, "rel", "next");
    json_textf(w, "href", "%s/v2.1%s/%s?%s", rq->base_url, api_project_prefix(rq), collection, buf_text(&query));
    json_end(w);
    json_end_array(w);
}

struct fault *api_query_int(struct request *rq, const char *name, int64_t min, int64_t *ret)
{
    const char *text = request_query(rq, name);
    char *end;

    if (text == NULL)
        return NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || strlen(text) > 18)
        return BAD_REQUEST(rq, "Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name,
            text, text);
    if (value < min)
        return BAD_REQUEST(rq, "Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name,
            text, text);
    *ret = value;
    return NULL;
}

struct fault *api_paging(struct request *rq, int64_t *ret_limit, const char **ret_marker)
{
    int64_t most = config_int(rq->cx.app->config, "api", "max_limit"), limit = most;

    TRY(api_query_int(rq, "limit", 0, &limit));
    *ret_limit = limit < most ? limit : most;
    *ret_marker = request_query(rq, "marker");
    return NULL;
}

struct fault *api_query_check(struct request *rq, const char *const *allowed, bool strict)
{
    for (const struct header *q = rq->query; q != NULL && strict; q = q->next) {
        const char *const *name = allowed;

        while (*name != NULL && strcmp(*name, q->name) != 0)
            name++;
        if (*name == NULL)
            return BAD_REQUEST(rq, "Additional properties are not allowed ('%s' was unexpected)", q->name);
    }
    return NULL;
}

bool json_truth(const json_t *value)
{
    static const char *const yes[] = { "true", "1", "on", "yes", "y", "t" };

    if (!json_is_string(value))
        return json_is_true(value);
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (strcasecmp(json_string_value(value), yes[i]) == 0)
            return true;
    return false;
}

int64_t json_number(const json_t *value, int64_t absent)
{
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : absent;
}

const char *api_time(struct request *rq, int64_t us)
{
    return us == 0 ? NULL : clock_text(rq->cx.arena, us, CLOCK_ISO);
}

const char *api_time_us(struct request *rq, int64_t us)
{
    return us == 0 ? NULL : clock_text(rq->cx.arena, us, CLOCK_ISO_US);
}

bool api_is_admin(struct request *rq)
{
    return request_allowed(rq, "context_is_admin", NULL);
}

struct fault *api_server(struct request *rq, const char *rule, struct instance *ret)
{
    const char *id = request_argument(rq, "server_id");
    const char *project = rq->cx.caller->project_id;
    bool admin = api_is_admin(rq);

    TRY(instance_get(rq->cx.arena, rq->cx.app->db, id, false, ret));
    if (!admin && (project == NULL || strcmp(ret->project_id, project) != 0))
        return instance_not_found(rq->cx.arena, id);
    if (rule == NULL)
        return NULL;
    return request_enforce(rq, rule, POLICY_TARGET({ "project_id", ret->project_id }, { "user_id", ret->user_id }));
}

struct fault *api_empty(struct request *rq, int status)
{
    rq->status = status;
    rq->content_type = status == 204 ? NULL : rq->content_type;
    return NULL;
}
