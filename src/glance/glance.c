/* SPDX-License-Identifier: Apache-2.0
 *
 * glance: the service's tables that belong to no one resource: options, policies, migrations, start.
 */
#include "glance/glance.h"

#include "base/log.h"
#include "glance/commands.h"
#include "glance/images.h"

#include <stdlib.h>

static const struct option_table *const option_tables[] = { &glance_options, NULL };

#define MEMBER   "role:admin or (role:member and project_id:%(project_id)s)"
#define READER   "role:admin or (role:reader and project_id:%(project_id)s)"
#define SEES     "project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s"                 \
                 " or 'public':%(visibility)s or 'shared':%(visibility)s"
#define SHARED   "role:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
#define OLD      POLICY_DEPRECATED(.check = "rule:default", .since = "W")
#define AT(m, p) POLICY_OPERATIONS({ m, p })
#define IMAGES   "/v2/images"
#define IMAGE    "/v2/images/{image_id}"
static const struct policy_rule policy_rows[] = {
    { "default", "", 0, "Defines the default rule used for policies that historically had an empty policy in the"
        " supplied policy.json file.", .deprecated = POLICY_DEPRECATED(.check = "role:admin", .since = "Ussuri") },
    { "context_is_admin", "role:admin", 0, "Defines the rule for the is_admin:True check." },
    { "add_image", "role:admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
        POLICY_PROJECT, "Create new image", AT("POST", IMAGES), OLD },
    { "delete_image", MEMBER, POLICY_PROJECT, "Deletes the image", AT("DELETE", IMAGE), OLD },
    { "get_image", "role:admin or (role:reader and (" SEES "))", POLICY_PROJECT, "Get specified image",
        AT("GET", IMAGE), OLD },
    { "get_images", READER, POLICY_PROJECT, "Get all available images", AT("GET", IMAGES), OLD },
    { "modify_image", MEMBER, POLICY_PROJECT, "Updates given image", AT("PATCH", IMAGE), OLD },
    { "publicize_image", "role:admin", POLICY_PROJECT, "Publicize given image", AT("PATCH", IMAGE) },
    { "communitize_image", MEMBER, POLICY_PROJECT, "Communitize given image", AT("PATCH", IMAGE), OLD },
    { "download_image", "role:admin or (role:member and (" SEES "))", POLICY_PROJECT, "Downloads given image",
        AT("GET", IMAGE "/file"), OLD },
    { "upload_image", MEMBER, POLICY_PROJECT, "Uploads data to specified image", AT("PUT", IMAGE "/file"), OLD },
    { "delete_image_location", "role:admin", POLICY_PROJECT, "Deletes the location of given image",
        AT("PATCH", IMAGE), OLD },
    { "get_image_location", READER, POLICY_PROJECT, "Reads the location of the image", AT("GET", IMAGE), OLD },
    { "set_image_location", MEMBER, POLICY_PROJECT, "Sets location URI to given image", AT("PATCH", IMAGE), OLD },
    { "add_member", MEMBER, POLICY_PROJECT, "Create image member", AT("POST", IMAGE "/members"), OLD },
    { "delete_member", MEMBER, POLICY_PROJECT, "Delete image member", AT("DELETE", IMAGE "/members/{member_id}"),
        OLD },
    { "get_member", SHARED, POLICY_PROJECT, "Show image member details", AT("GET", IMAGE "/members/{member_id}"),
        OLD },
    { "get_members", SHARED, POLICY_PROJECT, "List image members", AT("GET", IMAGE "/members"), OLD },
    { "modify_member", "role:admin or (role:member and project_id:%(member_id)s)", POLICY_PROJECT,
        "Update image member", AT("PUT", IMAGE "/members/{member_id}"), OLD },
    { "deactivate", MEMBER, POLICY_PROJECT, "Deactivate image", AT("POST", IMAGE "/actions/deactivate"), OLD },
    { "reactivate", MEMBER, POLICY_PROJECT, "Reactivate image", AT("POST", IMAGE "/actions/reactivate"), OLD },
};
static const struct policy_table policies = POLICY_TABLE(policy_rows);
static const struct policy_table *const policy_tables[] = { &policies, NULL };

static const struct route_table *const routes[] = { &glance_image_routes, &glance_image_list_routes,
    &glance_image_patch_routes, &glance_image_data_routes, &glance_image_member_routes, &glance_image_tag_routes,
    &glance_discovery_routes, NULL };

/* For the sweep: the images that have their data. */
struct located {
    struct context *cx;
    struct fault *fault;
};

static bool has_location(void *owner, const char *image_id)
{
    struct located *located = owner;
    struct tx *tx;
    int64_t count = 1; /* when in doubt, the data stays */
    struct fault *fault = db_read(located->cx->arena, located->cx->app->db, &tx);
    if (fault == NULL)
        fault = sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM image_locations WHERE image_id = ? AND deleted = 0",
            BIND(TEXT(image_id)));
    if (fault != NULL) {
        located->fault = fault;
        return true;
    }
    tx_end(tx);
    return count > 0;
}

/* Images whose upload a killed process left in the middle are queued again, unless another process is at it. */
static struct fault *requeue(struct context *cx, const struct glance *glance)
{
    struct tx *tx;
    struct rows *rows;
    json_t *ids = json_keep(cx->arena, json_array());
    size_t at;
    json_t *id;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id FROM images WHERE status = 'saving' AND deleted = 0", NO_BIND));
    while (rows_next(rows))
        json_array_append_new(ids, json_string(rows_text(rows, 0)));
    TRY(rows_fault(rows));
    tx_end(tx);
    json_array_foreach(ids, at, id) {
        if (glance->driver->busy(glance->store, json_string_value(id)))
            continue;
        log_info("glance", "the upload of image %s was cut off; it is queued again", json_string_value(id));
        TRY(db_exec(cx->arena, cx->app->db,
            "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL WHERE id = ? AND status = 'saving'",
            BIND(TEXT(json_string_value(id))), NULL));
    }
    return NULL;
}

static struct fault *start(struct context *cx)
{
    const struct config *config = cx->app->config;
    const char *directory = config_str(config, "glance_store", "filesystem_store_datadir");
    struct glance *glance = calloc(1, sizeof(*glance));
    if (glance == NULL)
        abort();
    cx->app->private = glance;
    glance->driver = &file_store_driver;
    glance->size_cap = config_int(config, "DEFAULT", "image_size_cap");
    glance->list_default = config_int(config, "DEFAULT", "limit_param_default");
    glance->list_max = config_int(config, "DEFAULT", "api_limit_max");
    glance->new_defaults = config_bool(config, "oslo_policy", "enforce_new_defaults") ||
        config_bool(config, "oslo_policy", "enforce_scope");
    if (directory == NULL)
        directory = arena_printf(cx->arena, "%s/images", cx->app->state_path != NULL ? cx->app->state_path : "/var/lib/glance");
    TRY(file_store_create(cx->arena, directory, &glance->store));
    struct located located = { .cx = cx };
    TRY(glance->driver->sweep(cx->arena, glance->store, has_location, &located));
    TRY(located.fault);
    return requeue(cx, glance);
}

static void stop(struct app *app)
{
    struct glance *glance = app->private;
    if (glance != NULL)
        glance->driver->destroy(glance->store);
    free(glance);
    app->private = NULL;
}

static const struct program *const programs[] = { &glance_manage, NULL };

static const struct role roles[] = {
    { "glance-api", .database = true, .serves = OPTION_WORDS(API_LISTENER) },
    { NULL },
};

const struct service glance_service = {
    .name = "glance",
    .type = "image",
    .endpoint = "",
    .port = 9292,
    .host_option = "bind_host",
    .port_option = "bind_port",
    .dialect = &glance_dialect,
    .routes = routes,
    .options = option_tables,
    .policies = policy_tables,
    .sync_command = "glance-manage db_sync",
    .migrations = glance_migrations,
    .migration_count = GLANCE_MIGRATIONS,
    .roles = roles,
    .programs = programs,
    .start = start,
    .stop = stop,
};
