/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of domains: a directory of their own. Only listed options may be set; sensitive ones are kept in a
 * table of their own and are never shown. API reference: Domain configuration, identity v3.
 */
#include "keystone/resource/domain_config.h"

#include "keystone/edit.h"
#include "keystone/model.h"

#include "base/log.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <string.h>

static const char *const identity_options[] = { "driver", "list_limit", NULL };
static const char *const ldap_options[] = {
    "url", "user", "suffix", "query_scope", "page_size", "alias_dereferencing", "debug_level", "chase_referrals",
    "user_tree_dn", "user_filter", "user_objectclass", "user_id_attribute", "user_name_attribute", "user_mail_attribute",
    "user_description_attribute", "user_pass_attribute", "user_enabled_attribute", "user_enabled_invert",
    "user_enabled_mask", "user_enabled_default", "user_attribute_ignore", "user_default_project_id_attribute",
    "user_enabled_emulation", "user_enabled_emulation_dn", "user_enabled_emulation_use_group_config",
    "user_additional_attribute_mapping", "group_tree_dn", "group_filter", "group_objectclass", "group_id_attribute",
    "group_name_attribute", "group_members_are_ids", "group_member_attribute", "group_desc_attribute",
    "group_attribute_ignore", "group_additional_attribute_mapping", "tls_cacertfile", "tls_cacertdir", "use_tls",
    "tls_req_cert", "use_pool", "pool_size", "pool_retry_max", "pool_retry_delay", "pool_connection_timeout",
    "pool_connection_lifetime", "use_auth_pool", "auth_pool_size", "auth_pool_connection_lifetime", NULL,
};
static const char *const ldap_secrets[] = { "password", NULL };
static const char *const none[] = { NULL };

static const struct config_group {
    const char *name;
    const char *const *shown, *const *sensitive;
} config_groups[] = { { "identity", identity_options, none }, { "ldap", ldap_options, ldap_secrets } };
enum { GROUPS = sizeof(config_groups) / sizeof(config_groups[0]) };

static bool is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static const struct config_group *find_group(const char *name)
{
    for (size_t i = 0; i < GROUPS; i++)
        if (strcmp(config_groups[i].name, name) == 0)
            return &config_groups[i];
    return NULL;
}

static const struct entity config_entity = { .name = "domain_config" };

/* ---- Faults ---- */

#define INVALID(cx, format, ...) \
    keystone_refused((cx), "Invalid domain specific configuration: " format ".", __VA_ARGS__)

static struct fault *absent(struct context *cx, const char *domain_id, const char *group, const char *option)
{
    const char *what = option != NULL ? arena_printf(cx->arena, "option %s in group %s", option, group) :
        group != NULL ? arena_printf(cx->arena, "group %s", group) : "any options";

    return FAULT(cx, 404, NULL, "Could not find %s in domain configuration for domain %s.", what, domain_id);
}

static struct fault *check_name(struct context *cx, const char *group, const char *option)
{
    if (group == NULL)
        return NULL;
    const struct config_group *known = find_group(group);
    if (known == NULL)
        return INVALID(cx, "Group %s is not supported for domain specific configurations", group);
    if (option != NULL && !is_among(option, known->shown) && !is_among(option, known->sensitive))
        return INVALID(cx, "Option %s in group %s is not supported for domain specific configurations", option, group);
    return NULL;
}

/* {"group": {"option": value}} of known names. */
struct fault *domain_config_check(struct context *cx, const json_t *config)
{
    const char *group, *option;
    json_t *options, *value;

    if (!json_is_object(config) || json_object_size(config) == 0)
        return INVALID(cx, "%s", "No options specified");
    json_object_foreach((json_t *)config, group, options) {
        if (!json_is_object(options) || json_object_size(options) == 0)
            return INVALID(cx, "The value of group %s specified in the config should be a dictionary of options", group);
        json_object_foreach(options, option, value)
            TRY(check_name(cx, group, option));
    }
    return NULL;
}

static struct fault *check_domain(struct request *rq)
{
    const char *id = request_argument(rq, "domain_id");
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = domain_need(tx, RQ(rq), id);
    tx_end(tx);
    return fault;
}

/* ---- Storage ---- */

/* Adds what a table holds to {"group": {"option": value}}. NULL names: all. */
static struct fault *read_table(struct tx *tx, const char *table, const char *domain_id, const char *group,
    const char *option, json_t *config)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;

    TRY(sql_query(tx, &rows, arena_printf(arena, "SELECT `group`, `option`, value FROM %s WHERE domain_id = ?"
        " AND (`group` = ? OR ? = 1) AND (`option` = ? OR ? = 1) ORDER BY `group`, `option`", table),
        BIND(TEXT(domain_id), TEXT(group), INT(group == NULL), TEXT(option), INT(option == NULL))));
    while (rows_next(rows)) {
        /* a document may be any JSON value: it is read as the one element of an array */
        json_t *array = json_parse_own(arena, arena_printf(arena, "[%s]", rows_text(rows, 2)));
        json_t *value = json_array_get(array, 0), *options = json_object_get(config, rows_text(rows, 0));
        if (options == NULL) {
            options = json_object();
            json_object_set_new(config, rows_text(rows, 0), options);
        }
        json_object_set(options, rows_text(rows, 1), value != NULL ? value : json_null());
    }
    return rows_fault(rows);
}

/* Python's `text % secrets` for texts that only name options: false when a name is unknown or the form is wrong. */
static bool substitute(struct buf *out, const char *text, const json_t *secrets)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '%') {
            buf_putc(out, *c);
        } else if (c[1] == '%') {
            buf_putc(out, '%');
            c++;
        } else {
            const char *end = c[1] == '(' ? strchr(c, ')') : NULL;
            char name[64];
            if (end == NULL || end[1] != 's' || (size_t)(end - c - 2) >= sizeof(name))
                return false;
            memcpy(name, c + 2, (size_t)(end - c - 2));
            name[end - c - 2] = '\0';
            const char *value = json_text_at(secrets, name);
            if (value == NULL)
                return false;
            buf_puts(out, value);
            c = end + 1;
        }
    }
    return true;
}

struct fault *domain_config_load(struct tx *tx, const char *domain_id, json_t **ret)
{
    struct arena *arena = tx_arena(tx);
    json_t *config = json_keep(arena, json_object()), *sensitive = json_keep(arena, json_object());
    json_t *secrets = json_keep(arena, json_object()), *options, *value;
    const char *group, *option;

    TRY(read_table(tx, "whitelisted_config", domain_id, NULL, NULL, config));
    TRY(read_table(tx, "sensitive_config", domain_id, NULL, NULL, sensitive));
    json_object_foreach(sensitive, group, options)
        json_object_update(secrets, options);
    json_object_foreach(config, group, options) {
        json_object_foreach(options, option, value) {
            BUF_CLEANUP struct buf text = { 0 };
            if (!json_is_string(value) || strchr(json_string_value(value), '%') == NULL)
                continue;
            if (substitute(&text, json_string_value(value), secrets))
                json_object_set_new(options, option, json_string(buf_text(&text)));
            else
                log_warning("keystone.domain_config", "domain %s: the value of %s.%s refers to an option that is not there",
                    domain_id, group, option);
        }
    }
    json_object_foreach(sensitive, group, options) {
        if (json_object_get(config, group) == NULL)
            json_object_set_new(config, group, json_object());
        json_object_update(json_object_get(config, group), options);
    }
    *ret = config;
    return NULL;
}

static struct fault *erase(struct tx *tx, const char *domain_id, const char *group, const char *option)
{
    static const char *const tables[] = { "whitelisted_config", "sensitive_config" };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        TRY(sql_exec(tx, arena_printf(tx_arena(tx), "DELETE FROM %s WHERE domain_id = ? AND (`group` = ? OR ? = 1)"
            " AND (`option` = ? OR ? = 1)", tables[i]),
            BIND(TEXT(domain_id), TEXT(group), INT(group == NULL), TEXT(option), INT(option == NULL))));
    return NULL;
}

struct fault *domain_config_erase(struct tx *tx, const char *domain_id)
{
    TRY(erase(tx, domain_id, NULL, NULL));
    return sql_exec(tx, "DELETE FROM config_register WHERE domain_id = ?", BIND(TEXT(domain_id)));
}

struct fault *domain_config_store(struct tx *tx, const char *domain_id, const json_t *config)
{
    const char *group, *option;
    json_t *options, *value;

    json_object_foreach((json_t *)config, group, options) {
        json_object_foreach(options, option, value) {
            bool secret = is_among(option, find_group(group)->sensitive);
            TRY(erase(tx, domain_id, group, option));
            TRY(sql_exec(tx, secret ?
                "INSERT INTO sensitive_config (domain_id, `group`, `option`, value) VALUES (?, ?, ?, ?)" :
                "INSERT INTO whitelisted_config (domain_id, `group`, `option`, value) VALUES (?, ?, ?, ?)",
                BIND(TEXT(domain_id), TEXT(group), TEXT(option), TEXT(json_dump(tx_arena(tx), value)))));
        }
    }
    return NULL;
}

/* ---- Showing ---- */

static void respond(struct request *rq, const json_t *config)
{
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "config", config);
    json_end(&rq->json);
}

/* Of one option its value alone is shown, without the group. */
static const json_t *narrowed(const json_t *config, const char *group, const char *option)
{
    return option != NULL ? json_object_get(config, group) : config;
}

/* An option of our own configuration as the reference would show its Python value. */
static json_t *value_of(const struct config *config, const char *group, const char *option)
{
    static const char *const numbers[] = { "list_limit", "page_size", "debug_level", "user_enabled_mask", "pool_size",
        "pool_retry_max", "pool_connection_timeout", "pool_connection_lifetime", "auth_pool_size",
        "auth_pool_connection_lifetime", NULL };
    static const char *const truths[] = { "chase_referrals", "user_enabled_invert", "user_enabled_emulation",
        "user_enabled_emulation_use_group_config", "group_members_are_ids", "use_tls", "use_pool", "use_auth_pool", NULL };
    static const char *const lists[] = { "user_attribute_ignore", "user_additional_attribute_mapping",
        "group_attribute_ignore", "group_additional_attribute_mapping", NULL };

    if (is_among(option, lists)) {
        json_t *list = json_array();
        for (const char *const *item = config_list(config, group, option, NULL); *item != NULL; item++)
            json_array_append_new(list, json_string(*item));
        return list;
    }
    const char *text = config_str(config, group, option);
    if (text == NULL)
        return json_null();
    if (is_among(option, numbers))
        return json_integer(config_int(config, group, option));
    if (is_among(option, truths))
        return json_boolean(config_bool(config, group, option));
    return strcmp(option, "pool_retry_delay") == 0 ? json_real(config_float(config, group, option)) : json_string(text);
}

/* What passwords must be like: of the default domain, for everybody. */
static struct fault *show_compliance(struct request *rq)
{
    static const char *const readable[] = { "password_regex", "password_regex_description", NULL };
    const struct config *config = rq->cx.app->config;
    const char *group = "security_compliance", *option = request_argument(rq, "option");

    TRY(request_enforce(rq, "identity:get_security_compliance_domain_config", NULL));
    if (strcmp(request_argument(rq, "domain_id"), config_str(config, "identity", "default_domain_id")) != 0)
        return INVALID(RQ(rq), "%s", "Reading security compliance information for any domain other than the default domain is "
            "not allowed or supported.");
    if (option != NULL && !is_among(option, readable))
        return INVALID(RQ(rq), "%s", "Reading security compliance values other than password_regex and "
            "password_regex_description is not allowed.");
    json_t *found = json_keep(rq->cx.arena, json_object()), *options = json_object();
    json_object_set_new(found, group, options);
    for (size_t i = 0; readable[i] != NULL; i++)
        if (option == NULL || strcmp(option, readable[i]) == 0)
            json_object_set_new(options, readable[i], value_of(config, group, readable[i]));
    respond(rq, narrowed(found, group, option));
    return NULL;
}

static struct fault *config_show(struct request *rq)
{
    const char *domain_id = request_argument(rq, "domain_id"), *group = request_argument(rq, "group");
    const char *option = request_argument(rq, "option");
    json_t *config = json_keep(rq->cx.arena, json_object());
    struct tx *tx;

    if (group != NULL && strcmp(group, "security_compliance") == 0) {
        TRY(show_compliance(rq));
        return NULL;
    }
    TRY(request_enforce(rq, rq->route->policy, NULL));
    TRY(check_name(RQ(rq), group, option));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(read_table(tx, "whitelisted_config", domain_id, group, option, config));
    tx_end(tx);
    if (json_object_size(config) == 0)
        return absent(RQ(rq), domain_id, group, option);
    TRY(check_domain(rq));
    respond(rq, narrowed(config, group, option));
    return NULL;
}

static struct fault *default_show(struct request *rq)
{
    const char *group = request_argument(rq, "group"), *option = request_argument(rq, "option");
    json_t *found = json_keep(rq->cx.arena, json_object());

    TRY(check_name(RQ(rq), group, option));
    if (option != NULL && !is_among(option, find_group(group)->shown))
        return INVALID(RQ(rq), "Reading the default for option %s in group %s is not supported", option, group);
    for (size_t i = 0; i < GROUPS; i++) {
        if (group != NULL && strcmp(group, config_groups[i].name) != 0)
            continue;
        json_t *options = json_object();
        json_object_set_new(found, config_groups[i].name, options);
        for (const char *const *name = config_groups[i].shown; *name != NULL; name++)
            if (option == NULL || strcmp(option, *name) == 0)
                json_object_set_new(options, *name, value_of(rq->cx.app->config, config_groups[i].name, *name));
    }
    respond(rq, narrowed(found, group, option));
    return NULL;
}

/* ---- Changing ---- */

/* The stored, shown options after a change. */
static struct fault *reload(struct tx *tx, struct edit *edit)
{
    json_t *config = json_keep(tx_arena(tx), json_object());

    TRY(read_table(tx, "whitelisted_config", edit->id, NULL, NULL, config));
    edit->document = config;
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(domain_config_load(tx, edit->id, &old));
    edit->more = json_object_size(old) > 0 ? edit : NULL;
    TRY(erase(tx, edit->id, NULL, NULL));
    TRY(domain_config_store(tx, edit->id, edit->given));
    return reload(tx, edit);
}

static struct fault *config_create_or_replace(struct request *rq)
{
    json_t *given;

    TRY(check_domain(rq));
    TRY(keystone_member(rq, "config", &given));
    TRY(domain_config_check(RQ(rq), given));
    struct edit edit = { .rq = rq, .entity = &config_entity, .id = request_argument(rq, "domain_id"), .given = given };
    TRY(edit_commit(&edit, create_run, false));
    respond(rq, edit.document);
    rq->status = edit.more != NULL ? 200 : 201;
    return NULL;
}

/* The name of the first member. */
static const char *first_name(const json_t *object)
{
    return json_object_iter_key(json_object_iter((json_t *)object));
}

/* A change of a group or option has it, and only it, in the body. */
static struct fault *check_update(struct context *cx, const json_t *config, const char *group, const char *option)
{
    TRY(domain_config_check(cx, config));
    TRY(check_name(cx, group, option));
    if (group == NULL)
        return NULL;
    const json_t *options = json_object_get(config, group);
    if (json_object_size(config) != 1 || (option != NULL && options != NULL && json_object_size(options) != 1)) {
        if (option != NULL)
            return INVALID(cx, "Trying to update option %s in group %s, so that, and only that, option must be specified  in "
                "the config", option, group);
        return INVALID(cx, "Trying to update group %s, so that, and only that, group must be specified in the config", group);
    }
    if (options == NULL)
        return INVALID(cx, "request to update group %s, but config provided contains group %s instead", group,
            first_name(config));
    if (option != NULL && json_object_get(options, option) == NULL)
        return INVALID(cx, "Trying to update option %s in group %s, but config provided contains option %s instead", option,
            group, first_name(options));
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *group = request_argument(edit->rq, "group"), *option = request_argument(edit->rq, "option");
    json_t *old;

    TRY(domain_config_load(tx, edit->id, &old));
    const json_t *present = group == NULL ? old : json_object_get(old, group);
    if (group != NULL && (present == NULL || (option != NULL && json_object_get(present, option) == NULL)))
        return absent(RQ(edit->rq), edit->id, group, option);
    TRY(domain_config_store(tx, edit->id, edit->given));
    TRY(reload(tx, edit));
    return json_object_size(edit->document) > 0 ? NULL : absent(RQ(edit->rq), edit->id, NULL, NULL);
}

static struct fault *config_update(struct request *rq)
{
    const char *group = request_argument(rq, "group"), *option = request_argument(rq, "option");
    json_t *given;

    TRY(check_domain(rq));
    TRY(keystone_member(rq, "config", &given));
    if (option != NULL) { /* the body is {"option": value} then */
        json_t *wrapped = json_keep(rq->cx.arena, json_object());
        json_object_set(wrapped, group, given);
        given = wrapped;
    }
    TRY(check_update(RQ(rq), given, group, option));
    struct edit edit = { .rq = rq, .entity = &config_entity, .id = request_argument(rq, "domain_id"), .given = given };
    TRY(edit_commit(&edit, update_run, false));
    respond(rq, edit.document);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *group = request_argument(edit->rq, "group"), *option = request_argument(edit->rq, "option");
    json_t *old;

    TRY(domain_config_load(tx, edit->id, &old));
    const json_t *present = group != NULL ? json_object_get(old, group) : old;
    if (group != NULL && present == NULL)
        return absent(RQ(edit->rq), edit->id, group, NULL);
    if (option != NULL && json_object_get(present, option) == NULL)
        return absent(RQ(edit->rq), edit->id, group, option);
    return erase(tx, edit->id, group, option);
}

static struct fault *config_delete(struct request *rq)
{
    TRY(check_domain(rq));
    TRY(check_name(RQ(rq), request_argument(rq, "group"), request_argument(rq, "option")));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &config_entity, .id = request_argument(rq, "domain_id") }, delete_run,
        false);
}

#define CONFIG "/v3/domains/{domain_id}/config"
#define GROUP  CONFIG "/{group}"
#define OPTION GROUP "/{option}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/domains/config/default",                  "identity:get_domain_config_default", default_show),
    ROUTE(GET,    "/v3/domains/config/{group}/default",          "identity:get_domain_config_default", default_show),
    ROUTE(GET,    "/v3/domains/config/{group}/{option}/default", "identity:get_domain_config_default", default_show),
    ROUTE(PUT,    CONFIG, "identity:create_domain_config", config_create_or_replace),
    ROUTE(GET,    CONFIG, "identity:get_domain_config",    config_show,   HANDLER_POLICY),
    ROUTE(PATCH,  CONFIG, "identity:update_domain_config", config_update),
    ROUTE(DELETE, CONFIG, "identity:delete_domain_config", config_delete, .status = 204),
    ROUTE(GET,    GROUP,  "identity:get_domain_config",    config_show,   HANDLER_POLICY),
    ROUTE(PATCH,  GROUP,  "identity:update_domain_config", config_update),
    ROUTE(DELETE, GROUP,  "identity:delete_domain_config", config_delete, .status = 204),
    ROUTE(GET,    OPTION, "identity:get_domain_config",    config_show,   HANDLER_POLICY),
    ROUTE(PATCH,  OPTION, "identity:update_domain_config", config_update),
    ROUTE(DELETE, OPTION, "identity:delete_domain_config", config_delete, .status = 204),
};

const struct route_table domain_config_routes = ROUTES(rows);
