/* SPDX-License-Identifier: Apache-2.0 */
#include "oslo/policy/remote.h"

#include "base/log.h"
#include "oslo/app.h"
#include "oslo/http_client.h"
#include "oslo/rest.h"

#include <string.h>

static void put_list(json_t *object, const char *name, const char *const *texts)
{
    json_t *list = json_array();

    for (; texts != NULL && *texts != NULL; texts++)
        json_array_append_new(list, json_string(*texts));
    json_object_set_new(object, name, list);
}

static json_t *credentials_json(const struct policy_credentials *who)
{
    const struct {
        const char *name, *value;
    } texts[] = {
        { "user_id", who->user_id }, { "user_domain_id", who->user_domain_id }, { "project_id", who->project_id },
        { "project_domain_id", who->project_domain_id }, { "domain_id", who->domain_id }, { "system_scope", who->system_scope },
        { "service_user_id", who->service_user_id }, { "service_project_id", who->service_project_id },
    };
    json_t *object = json_object();

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        json_object_set_new(object, texts[i].name, texts[i].value != NULL ? json_string(texts[i].value) : json_null());
    put_list(object, "roles", who->roles);
    put_list(object, "service_roles", who->service_roles);
    json_object_set_new(object, "is_admin", json_boolean(who->is_admin));
    json_object_set_new(object, "is_admin_project", json_boolean(who->is_admin_project));
    return object;
}

/* {"a": {"b": "c"}} of the member "a.b", as the reference's target is. */
static json_t *target_json(struct arena *arena, const struct policy_target *target)
{
    json_t *object = json_object();

    for (; target != NULL && target->key != NULL; target++) {
        const char *name = target->key;
        json_t *into = object;
        for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(name, '.')) {
            const char *part = arena_strndup(arena, name, (size_t)(dot - name));
            if (!json_is_object(json_object_get(into, part)))
                json_object_set_new(into, part, json_object());
            into = json_object_get(into, part);
            name = dot + 1;
        }
        json_object_set_new(into, name, target->value != NULL ? json_string(target->value) : json_null());
    }
    return object;
}

static void put_field(struct arena *arena, struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s%s=%s", out->length > 0 ? "&" : "", name, rest_escape(arena, value));
}

static bool says_true(const struct rest_response *answer)
{
    const char *text = answer->data;
    size_t length = answer->data != NULL ? answer->data_length : 0;

    while (length > 0 && text[0] == '"') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] == '"')
        length--;
    return length == 4 && memcmp(text, "True", 4) == 0;
}

bool policy_remote_check(void *data, const char *rule, const char *url, const struct policy_target *target,
    const struct policy_credentials *credentials)
{
    struct app *app = data;
    const struct config *config = app->config;
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, app);
    bool json = strcmp(config_str(config, "oslo_policy", "remote_content_type"), "application/json") == 0;
    const char *headers[] = { "Content-Type", json ? "application/json" : "application/x-www-form-urlencoded", NULL };
    json_t *name = json_keep(arena, json_string(rule)), *who = json_keep(arena, credentials_json(credentials));
    json_t *what = json_keep(arena, target_json(arena, target)), *all = json_keep(arena, json_object());
    BUF_CLEANUP struct buf body = { 0 };
    struct rest_response answer;

    json_object_set(all, "rule", name);
    json_object_set(all, "target", what);
    json_object_set(all, "credentials", who);
    if (json) {
        buf_puts(&body, json_dump(arena, all));
    } else {
        put_field(arena, &body, "rule", json_dump(arena, name));
        put_field(arena, &body, "target", json_dump(arena, what));
        put_field(arena, &body, "credentials", json_dump(arena, who));
    }
    struct fault *fault = http_client_call(&cx, &(struct http_exchange){ .method = "POST", .url = url, .headers = headers,
        .data = buf_text(&body), .data_length = body.length, .answer_limit = 64 << 10,
        .timeout_ms = (int)(config_float(config, "oslo_policy", "remote_timeout") * 1000),
        .tls = { .cafile = config_str(config, "oslo_policy", "remote_ssl_ca_crt_file"),
            .certfile = config_str(config, "oslo_policy", "remote_ssl_client_crt_file"),
            .keyfile = config_str(config, "oslo_policy", "remote_ssl_client_key_file"),
            .insecure = !config_bool(config, "oslo_policy", "remote_ssl_verify_server_crt") } }, &answer);
    if (fault != NULL) {
        log_warning("oslo.policy", "%s: the server that decides does not answer: %s", rule, fault_text(arena, fault));
        return false;
    }
    return says_true(&answer);
}
