/* SPDX-License-Identifier: Apache-2.0
 *
 * quota: limits from the database over those of the configuration; usage counted from the rows that use it.
 */
#include "nova/quota.h"

#include "base/buf.h"

#include <string.h>

enum { LAST_WITH_NETWORK = 35, LAST_WITH_FILES = 56 };

const struct quota_name quota_names[QUOTA_RESOURCES] = {
    [QUOTA_INSTANCES]                   = { "instances",                   "instances" },
    [QUOTA_CORES]                       = { "cores",                       "cores" },
    [QUOTA_RAM]                         = { "ram",                         "ram" },
    [QUOTA_METADATA_ITEMS]              = { "metadata_items",              "metadata_items" },
    [QUOTA_INJECTED_FILES]              = { "injected_files",              "injected_files",              LAST_WITH_FILES },
    [QUOTA_INJECTED_FILE_CONTENT_BYTES] = { "injected_file_content_bytes", "injected_file_content_bytes", LAST_WITH_FILES },
    [QUOTA_INJECTED_FILE_PATH_BYTES]    = { "injected_file_path_bytes",    "injected_file_path_length",   LAST_WITH_FILES },
    [QUOTA_KEY_PAIRS]                   = { "key_pairs",                   "key_pairs" },
    [QUOTA_SERVER_GROUPS]               = { "server_groups",               "server_groups" },
    [QUOTA_SERVER_GROUP_MEMBERS]        = { "server_group_members",        "server_group_members" },
    /* Kept and shown, and held against nothing: the network service has quotas of its own. */
    [QUOTA_FIXED_IPS]                   = { "fixed_ips",                   NULL,                          LAST_WITH_NETWORK },
    [QUOTA_FLOATING_IPS]                = { "floating_ips",                NULL,                          LAST_WITH_NETWORK },
    [QUOTA_SECURITY_GROUPS]             = { "security_groups",             NULL,                          LAST_WITH_NETWORK },
    [QUOTA_SECURITY_GROUP_RULES]        = { "security_group_rules",        NULL,                          LAST_WITH_NETWORK },
};

struct fault *quota_limits(struct tx *tx, const struct config *config, const char *project_id, const char *user_id,
    int64_t ret[QUOTA_RESOURCES], bool *own)
{
    struct rows *rows;

    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        ret[i] = quota_names[i].option != NULL ? config_int(config, "quota", quota_names[i].option) : -1;
        if (own != NULL)
            own[i] = false;
    }
    /* The class of all projects first, the project's own next, the user's last: the last one found holds. */
    TRY(sql_query(tx, &rows, "SELECT resource,hard_limit,CASE WHEN project_id='' THEN 0 WHEN user_id='' THEN 1 ELSE 2 END AS rank "
        "FROM quotas WHERE (project_id='' AND user_id='') OR (project_id=? AND (user_id='' OR user_id=?)) ORDER BY rank",
        BIND(TEXT(project_id), TEXT(user_id != NULL ? user_id : ""))));
    while (rows_next(rows))
        for (int i = 0; i < QUOTA_RESOURCES; i++)
            if (strcmp(quota_names[i].name, rows_text(rows, 0)) == 0) {
                ret[i] = rows_int(rows, 1);
                if (own != NULL)
                    own[i] = rows_int(rows, 2) > 0;
            }
    return rows_fault(rows);
}

struct fault *quota_usage(struct tx *tx, const char *project_id, struct quota_usage *ret)
{
    struct rows *rows;

    *ret = (struct quota_usage){ 0 };
    TRY(sql_query(tx, &rows, "SELECT COUNT(*),SUM(vcpus),SUM(memory_mb) FROM instances WHERE project_id=? AND deleted=0",
        BIND(TEXT(project_id))));
    if (rows_next(rows)) {
        ret->instances = rows_int(rows, 0);
        ret->cores = rows_int(rows, 1);
        ret->ram = rows_int(rows, 2);
        rows_end(rows);
    }
    TRY(rows_fault(rows));
    return sql_int_of(tx, &ret->server_groups, 0, "SELECT COUNT(*) FROM server_groups WHERE project_id=?",
        BIND(TEXT(project_id)));
}

/* "Quota exceeded for cores, instances: Requested 4, 2, but already used 20, 10 of 20, 10 cores, instances" */
static struct fault *too_many(struct arena *arena, const int64_t limits[3], const int64_t used[3], const int64_t wanted[3],
    const char *instances)
{
    static const int by_name[] = { QUOTA_CORES, QUOTA_INSTANCES, QUOTA_RAM };
    BUF_CLEANUP struct buf overs = { 0 }, reqs = { 0 }, uses = { 0 }, alloweds = { 0 };

    for (int i = 0; i < 3; i++) {
        int r = by_name[i];
        const char *comma = overs.length == 0 ? "" : ", ";

        if (limits[r] < 0 || used[r] + wanted[r] <= limits[r])
            continue;
        buf_printf(&overs, "%s%s", comma, quota_names[r].name);
        if (r == QUOTA_INSTANCES)
            buf_printf(&reqs, "%s%s", comma, instances);
        else
            buf_printf(&reqs, "%s%lld", comma, (long long)wanted[r]);
        buf_printf(&uses, "%s%lld", comma, (long long)used[r]);
        buf_printf(&alloweds, "%s%lld", comma, (long long)limits[r]);
    }
    return fault_new(arena, 403, NULL, "Quota exceeded for %s: Requested %s, but already used %s of %s %s",
        buf_text(&overs), buf_text(&reqs), buf_text(&uses), buf_text(&alloweds), buf_text(&overs));
}

struct fault *quota_check_servers(struct tx *tx, const struct config *config, const struct quota_wish *wish, int64_t *ret_count)
{
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;
    int64_t count = wish->max_count;
    struct arena *arena = tx_arena(tx);

    TRY(quota_limits(tx, config, wish->project_id, wish->user_id, limits, NULL));
    TRY(quota_usage(tx, wish->project_id, &usage));
    const int64_t used[] = { usage.instances, usage.cores, usage.ram }, each[] = { 1, wish->vcpus, wish->memory_mb };
    for (int i = 0; i < 3; i++) {
        int64_t room = limits[i] < 0 ? INT64_MAX : limits[i] - used[i];

        if (each[i] > 0 && room / each[i] < count)
            count = room > 0 ? room / each[i] : 0;
    }
    *ret_count = count;
    if (count >= wish->min_count)
        return NULL;
    const int64_t wanted[] = { wish->max_count, wish->max_count * wish->vcpus, wish->max_count * wish->memory_mb };
    const char *asked = wish->min_count == wish->max_count ? arena_printf(arena, "%lld", (long long)wish->min_count)
        : arena_printf(arena, "%lld-%lld", (long long)wish->min_count, (long long)wish->max_count);
    return too_many(arena, limits, used, wanted, asked);
}
