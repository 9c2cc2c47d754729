/* SPDX-License-Identifier: Apache-2.0
 *
 * quota: how much a project may use, and how much it uses.
 */
#ifndef NOVA_QUOTA_H
#define NOVA_QUOTA_H

#include "oslo/http.h"
#include "oslo/options.h"
#include "oslo/sql.h"

enum quota_resource { QUOTA_INSTANCES, QUOTA_CORES, QUOTA_RAM, QUOTA_METADATA_ITEMS, QUOTA_INJECTED_FILES,
    QUOTA_INJECTED_FILE_CONTENT_BYTES, QUOTA_INJECTED_FILE_PATH_BYTES, QUOTA_KEY_PAIRS, QUOTA_SERVER_GROUPS,
    QUOTA_SERVER_GROUP_MEMBERS, QUOTA_FIXED_IPS, QUOTA_FLOATING_IPS, QUOTA_SECURITY_GROUPS, QUOTA_SECURITY_GROUP_RULES,
    QUOTA_RESOURCES };

/* The name in the API, the default's option in [quota] (NULL: unlimited),
 * and the versions that show it (to 2.56 files, to 2.35 networks). */
struct quota_name {
    const char *name, *option;
    int last_version; /* 0: always */
};
extern const struct quota_name quota_names[QUOTA_RESOURCES];

struct quota_usage {
    int64_t instances, cores, ram, server_groups;
};

/* The limits of a project (user_id "" or NULL) or of a user in it; -1: none. `own` (may be NULL) tells which rows are set. */
struct fault *quota_limits(struct tx *tx, const struct config *config, const char *project_id, const char *user_id,
    int64_t ret[QUOTA_RESOURCES], bool *own);
struct fault *quota_usage(struct tx *tx, const char *project_id, struct quota_usage *ret);

/* Servers of one request, and what each of them takes. */
struct quota_wish {
    const char *project_id, *user_id;
    int64_t min_count, max_count;
    int64_t vcpus, memory_mb;
};

/* How many of max_count servers may be made; fewer than min_count is nova's 403 "Quota exceeded for ...". */
struct fault *quota_check_servers(struct tx *tx, const struct config *config, const struct quota_wish *wish, int64_t *ret_count);

#endif
