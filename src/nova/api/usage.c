/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: what projects used in a period, from the servers that ran in it. API reference: Usage reports.
 */
#include "nova/api/api.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

enum { WITH_PAGES = 40, STRICT_QUERY = 75 };

struct period {
    int64_t start, stop, limit;
    const char *marker, *project_id; /* NULL: all projects */
    bool detailed;
};

struct totals {
    double local_gb, vcpus, memory_mb, hours;
};

/* The three forms of nova; absent and empty: now. */
static struct fault *moment(struct request *rq, const char *name, int64_t now, int64_t *ret)
{
    static const char forms[] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
        "(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?| [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{1,6})$";
    const char *text = request_query(rq, name);

    *ret = now;
    if (text == NULL || *text == '\0')
        return NULL;
    if (!schema_pattern_found(forms, text, strlen(text)) || !clock_parse(text, ret))
        return BAD_REQUEST(rq, "Invalid datetime string: Datetime is in invalid format");
    return NULL;
}

static struct fault *read_period(struct request *rq, struct period *ret)
{
    const char *detailed = request_query(rq, "detailed");
    int64_t now = clock_now_us();

    TRY(moment(rq, "start", now, &ret->start));
    TRY(moment(rq, "end", now + 1, &ret->stop));
    if (ret->start >= ret->stop)
        return BAD_REQUEST(rq, "Invalid start time. The start time cannot occur after the end time.");
    if (ret->stop > now + 1)
        ret->stop = now + 1;
    ret->detailed = detailed != NULL && strcmp(detailed, "1") == 0;
    ret->limit = config_int(rq->cx.app->config, "api", "max_limit");
    if (rq->version >= WITH_PAGES)
        TRY(api_paging(rq, &ret->limit, &ret->marker));
    return NULL;
}

/* Python prints a whole float with ".0"; clients in typed languages look at it. */
static void write_float(struct request *rq, const char *name, double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        json_raw(&rq->json, name, arena_printf(rq->cx.arena, "%.1f", value));
    else
        json_double(&rq->json, name, value);
}

#define COLUMNS                                                                                                        \
    "uuid,project_id,display_name,vm_state,flavor,memory_mb,vcpus,root_gb,ephemeral_gb,launched_at,terminated_at"

static double hours_of(const struct period *period, int64_t launched_at, int64_t terminated_at)
{
    int64_t start = launched_at > period->start ? launched_at : period->start;
    int64_t stop = terminated_at != 0 && terminated_at < period->stop ? terminated_at : period->stop;

    return (double)(stop - start) / 1e6 / 3600.0;
}

static void write_server(struct request *rq, struct rows *rows, double hours)
{
    struct json_writer *w = &rq->json;
    int64_t launched_at = rows_int(rows, 9), terminated_at = rows_int(rows, 10);
    const char *flavor = json_text_at(json_parse_own(rq->cx.arena, rows_text(rows, 4)), "name");

    json_begin(w, NULL);
    write_float(rq, "hours", hours);
    json_text(w, "flavor", flavor != NULL ? flavor : "");
    json_text(w, "instance_id", rows_text(rows, 0));
    json_text(w, "name", rows_text(rows, 2));
    json_text(w, "tenant_id", rows_text(rows, 1));
    json_int(w, "memory_mb", rows_int(rows, 5));
    json_int(w, "local_gb", rows_int(rows, 7) + rows_int(rows, 8));
    json_int(w, "vcpus", rows_int(rows, 6));
    json_text(w, "started_at", api_time_us(rq, launched_at));
    json_text(w, "ended_at", api_time_us(rq, terminated_at));
    json_text(w, "state", terminated_at != 0 ? "terminated" : rows_text(rows, 3));
    json_int(w, "uptime", ((terminated_at != 0 ? terminated_at : clock_now_us()) - launched_at) / 1000000);
    json_end(w);
}

static void begin_project(struct request *rq, const struct period *period, const char *name, const char *project_id)
{
    json_begin(&rq->json, name);
    json_text(&rq->json, "tenant_id", project_id);
    json_text(&rq->json, "start", api_time_us(rq, period->start));
    json_text(&rq->json, "stop", api_time_us(rq, period->stop));
    if (period->detailed)
        json_begin_array(&rq->json, "server_usages");
}

static void end_project(struct request *rq, const struct period *period, const struct totals *totals)
{
    if (period->detailed)
        json_end_array(&rq->json);
    write_float(rq, "total_local_gb_usage", totals->local_gb);
    write_float(rq, "total_vcpus_usage", totals->vcpus);
    write_float(rq, "total_memory_mb_usage", totals->memory_mb);
    write_float(rq, "total_hours", totals->hours);
    json_end(&rq->json);
}

/* Rows come sorted by project: one object each, named `name` or an element. *ret_last: the server on which a full page
 * ended, else NULL. */
static struct fault *write_usages(struct request *rq, struct rows *rows, const struct period *period, const char *name,
    const char **ret_last)
{
    struct totals totals = { 0 };
    const char *project = NULL, *last = NULL;
    int64_t count = 0;

    while (rows_next(rows)) {
        double hours = hours_of(period, rows_int(rows, 9), rows_int(rows, 10));
        const char *of = rows_text(rows, 1);

        if (project == NULL || strcmp(project, of) != 0) {
            if (project != NULL)
                end_project(rq, period, &totals);
            totals = (struct totals){ 0 };
            begin_project(rq, period, name, of);
            project = of;
        }
        totals.local_gb += (double)(rows_int(rows, 7) + rows_int(rows, 8)) * hours;
        totals.vcpus += (double)rows_int(rows, 6) * hours;
        totals.memory_mb += (double)rows_int(rows, 5) * hours;
        totals.hours += hours;
        if (period->detailed)
            write_server(rq, rows, hours);
        last = rows_text(rows, 0);
        count++;
    }
    if (project != NULL) {
        end_project(rq, period, &totals);
    } else if (name != NULL) {
        json_begin(&rq->json, name);
        json_end(&rq->json);
    }
    *ret_last = count > 0 && count == period->limit ? last : NULL;
    return rows_fault(rows);
}

/* Servers that were launched before the end and not terminated before the start, from behind the marker on. */
static struct fault *select_servers(struct request *rq, struct tx *tx, const struct period *period, struct rows **ret)
{
    const char *project = NULL;

    if (period->marker != NULL) {
        TRY(sql_text_of(tx, &project, "SELECT project_id FROM instances WHERE uuid=?", BIND(TEXT(period->marker))));
        if (project == NULL)
            return BAD_REQUEST(rq, "Marker %s could not be found.", period->marker);
    }
    return sql_query(tx, ret, "SELECT " COLUMNS " FROM instances WHERE (terminated_at=0 OR terminated_at>?) AND "
        "launched_at<>0 AND launched_at<? AND (? IS NULL OR project_id=?) AND "
        "(? IS NULL OR project_id>? OR (project_id=? AND uuid>?)) ORDER BY project_id, uuid LIMIT ?",
        BIND(INT(period->start), INT(period->stop), TEXT(period->project_id), TEXT(period->project_id), TEXT(project),
            TEXT(project), TEXT(project), TEXT(period->marker), INT(period->limit)));
}

static struct fault *usage_index(struct request *rq)
{
    static const char *const allowed[] = { "start", "end", "detailed", "limit", "marker", NULL };
    struct period period = { 0 };
    struct tx *tx;
    struct rows *rows;
    const char *last;

    TRY(api_query_check(rq, allowed, rq->version >= STRICT_QUERY));
    TRY(read_period(rq, &period));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(select_servers(rq, tx, &period, &rows));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "tenant_usages");
    TRY(write_usages(rq, rows, &period, NULL, &last));
    json_end_array(&rq->json);
    if (rq->version >= WITH_PAGES && last != NULL)
        api_next_link(rq, "tenant_usages_links", "os-simple-tenant-usage", last);
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

static struct fault *usage_show(struct request *rq)
{
    static const char *const allowed[] = { "start", "end", "limit", "marker", NULL };
    struct period period = { 0 };
    const char *id = request_argument(rq, "id"), *last;
    struct tx *tx;
    struct rows *rows;

    TRY(api_query_check(rq, allowed, rq->version >= STRICT_QUERY));
    TRY(request_enforce(rq, "os_compute_api:os-simple-tenant-usage:show", POLICY_TARGET({ "project_id", id })));
    TRY(read_period(rq, &period));
    period.project_id = id;
    period.detailed = true;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(select_servers(rq, tx, &period, &rows));
    json_begin(&rq->json, NULL);
    TRY(write_usages(rq, rows, &period, "tenant_usage", &last));
    if (rq->version >= WITH_PAGES && last != NULL)
        api_next_link(rq, "tenant_usage_links", arena_printf(rq->cx.arena, "os-simple-tenant-usage/%s", id), last);
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET, "/v2.1/os-simple-tenant-usage",      "os_compute_api:os-simple-tenant-usage:list", usage_index),
    ROUTE(GET, "/v2.1/os-simple-tenant-usage/{id}", "os_compute_api:os-simple-tenant-usage:show", usage_show,
        HANDLER_POLICY),
};
const struct route_table nova_usage_routes = ROUTES(rows);
