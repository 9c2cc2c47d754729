/* SPDX-License-Identifier: Apache-2.0
 *
 * model_compare: finds out that another program wrote to our database.
 *
 * The reference's placement raises generations as we do, so no claim goes wrong when it runs beside us; but it does not
 * note in nubo_placement_changes what it did. So, on a server, the model's sums are compared with those that the server makes
 * of its tables, once a second, or seldom enough that it costs a twentieth of the time. When they differ, everything is
 * read anew. Sums are enough because of what the reference raises generations for: whatever it does to a provider's
 * inventories and traits, and every claim. A release alone makes the sum of what is used smaller. Old microversions change
 * aggregates without a generation, and a name never had one: those are in the sums themselves.
 */
#include "base/clock.h"
#include "placement/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { INTERVAL_US = 1000000, SHARE = 20 };

/* As MariaDB's CRC32(). */
static uint32_t crc32_of(const char *text)
{
    uint32_t crc = UINT32_MAX;
    for (; *text != '\0'; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
    }
    return ~crc;
}

uint32_t model_provider_mark(const struct provider *provider)
{
    char text[1024]; /* a name has at most 200 characters of four bytes */
    snprintf(text, sizeof(text), "%" PRId64 "|%s|%s|%" PRId64 "|%" PRId64 "|%" PRId64, provider->id, provider->uuid, provider->name,
        provider->generation, provider->parent_id, provider->root_id);
    return crc32_of(text);
}

int64_t model_memberships_mark(const struct provider *provider)
{
    char text[80];
    int64_t sum = 0;
    for (size_t i = 0; i < provider->aggregate_count; i++) {
        snprintf(text, sizeof(text), "%" PRId64 "|%s", provider->id, provider->aggregates[i]->uuid);
        sum += crc32_of(text);
    }
    return sum;
}

static int64_t names_mark(const struct names *names)
{
    char text[300];
    int64_t sum = 0;
    for (size_t i = 0; i < names->count; i++) {
        snprintf(text, sizeof(text), "%" PRId64 "|%s", names->by_id[i].id, names->by_id[i].text);
        sum += crc32_of(text);
    }
    return sum;
}

void model_sums_own(const struct model *model, struct model_sums *ret)
{
    *ret = (struct model_sums){ .classes = names_mark(&model->classes), .traits = names_mark(&model->traits) };
    for (size_t i = 0; i < model->providers.count; i++) {
        const struct provider *provider = model->providers.items[i];
        ret->providers += provider->mark;
        ret->memberships += provider->memberships_mark;
        for (size_t k = 0; k < provider->inventory_count; k++)
            ret->used += provider->inventories[k].used;
    }
}

struct fault *model_sums_read(struct tx *tx, struct model_sums *ret)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows,
        "SELECT (SELECT CAST(COALESCE(SUM(CRC32(CONCAT_WS('|', id, uuid, COALESCE(name, ''), generation,"
        " COALESCE(parent_provider_id, 0), COALESCE(root_provider_id, id)))), 0) AS SIGNED) FROM resource_providers),"
        " (SELECT CAST(COALESCE(SUM(CRC32(CONCAT_WS('|', r.resource_provider_id, g.uuid))), 0) AS SIGNED)"
        " FROM resource_provider_aggregates r JOIN placement_aggregates g ON g.id = r.aggregate_id),"
        " (SELECT CAST(COALESCE(SUM(used), 0) AS SIGNED) FROM allocations),"
        " (SELECT CAST(COALESCE(SUM(CRC32(CONCAT_WS('|', id, name))), 0) AS SIGNED) FROM resource_classes),"
        " (SELECT CAST(COALESCE(SUM(CRC32(CONCAT_WS('|', id, name))), 0) AS SIGNED) FROM traits)", NO_BIND));
    if (rows_next(rows))
        *ret = (struct model_sums){ rows_int(rows, 0), rows_int(rows, 1), rows_int(rows, 2), rows_int(rows, 3), rows_int(rows, 4) };
    rows_end(rows);
    return rows_fault(rows);
}

struct model_sums model_sums_less(const struct model_sums *a, const struct model_sums *b)
{
    return (struct model_sums){ a->providers - b->providers, a->memberships - b->memberships, a->used - b->used,
        a->classes - b->classes, a->traits - b->traits };
}

bool model_look_begin(struct model *model)
{
    int64_t due = atomic_load(&model->look_us);
    return clock_monotonic_us() >= due && atomic_compare_exchange_strong(&model->look_us, &due, INT64_MAX);
}

void model_look_end(struct model *model, int64_t began_us, bool again)
{
    int64_t now = clock_monotonic_us(), pause = (now - began_us) * SHARE;
    atomic_store(&model->look_us, again ? now : now + (pause > INTERVAL_US ? pause : INTERVAL_US));
}
