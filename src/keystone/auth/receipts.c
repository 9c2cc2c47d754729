/* SPDX-License-Identifier: Apache-2.0
 *
 * Authentication by several methods: a user's rules, and the receipts for who proved some of what they ask for.
 */
#include "keystone/auth/auth_methods.h"

#include "base/clock.h"
#include "keystone/token/token_payload.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <string.h>

static const char receipt_header[] = "Openstack-Auth-Receipt";

static const char *const *configured(const struct context *cx)
{
    return config_list(cx->app->config, "auth", "methods", NULL);
}

static bool listed(const char *const *names, const char *name)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* A list of texts, not empty. */
static bool is_rule(const json_t *rule)
{
    for (size_t i = 0; i < json_array_size(rule); i++)
        if (!json_is_string(json_array_get(rule, i)))
            return false;
    return json_array_size(rule) > 0;
}

static struct fault *read_rules(struct context *cx, const char *user_id, json_t **ret_rules, bool *ret_enabled)
{
    json_t *enabled;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_option(tx, user_id, "MFAR", ret_rules));
    TRY(user_option(tx, user_id, "MFAE", &enabled));
    tx_end(tx);
    *ret_enabled = !json_is_false(enabled);
    return NULL;
}

/* Methods that this cloud does not have are not asked for: nobody is locked out by a changed configuration. */
static bool rule_met(const struct context *cx, const json_t *rule, const struct proof *proof)
{
    for (size_t i = 0; i < json_array_size(rule); i++) {
        const char *method = json_string_value(json_array_get(rule, i));
        if (listed(configured(cx), method) && !listed(proof->methods, method))
            return false;
    }
    return true;
}

struct fault *auth_check_rules(struct context *cx, const struct proof *proof, bool *ret_enough)
{
    json_t *rules;
    bool enabled, any = false;

    *ret_enough = true;
    TRY(read_rules(cx, proof->user_id, &rules, &enabled));
    for (size_t i = 0; enabled && i < json_array_size(rules); i++) {
        if (!is_rule(json_array_get(rules, i)))
            continue;
        any = true;
        if (rule_met(cx, json_array_get(rules, i), proof))
            return NULL;
    }
    *ret_enough = !any;
    return NULL;
}

struct fault *receipt_read(struct request *rq, struct proof *proof)
{
    const char *text = request_header(rq, receipt_header);
    struct context *cx = RQ(rq);
    struct token_payload payload;
    int64_t issued_us;

    if (text == NULL || text[0] == '\0')
        return NULL;
    struct fernet_keys *keys = keystone_of(cx)->receipt_keys;
    if (keys == NULL || !receipt_decode(cx->arena, keys, text, &payload, &issued_us) ||
        clock_now_us() >= payload.expires_us)
        return FAULT(cx, 401, NULL, "Could not find auth receipt: %.16s.", text);
    if (strcmp(payload.user_id, proof->user_id) != 0)
        return fault_detail(cx->arena, FAULT(cx, 401, NULL, "Could not find auth receipt: %.16s.", text),
            "the receipt is another user's");
    const char *const *methods = token_methods_names(cx->arena, configured(cx), payload.methods);
    for (; *methods != NULL; methods++)
        proof_add_method(proof, *methods);
    return NULL;
}

/* The rules that have at least one of the methods, as far as this cloud has theirs. */
static void write_required(struct request *rq, const json_t *rules, const struct proof *proof)
{
    json_begin_array(&rq->json, "required_auth_methods");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        bool begun = false;
        if (!is_rule(rule))
            continue;
        for (size_t k = 0; k < json_array_size(rule); k++)
            begun = begun || listed(proof->methods, json_string_value(json_array_get(rule, k)));
        if (!begun)
            continue;
        json_begin_array(&rq->json, NULL);
        for (size_t k = 0; k < json_array_size(rule); k++)
            if (listed(configured(RQ(rq)), json_string_value(json_array_get(rule, k))))
                json_text(&rq->json, NULL, json_string_value(json_array_get(rule, k)));
        json_end_array(&rq->json);
    }
    json_end_array(&rq->json);
}

static struct fault *write_user(struct request *rq, const char *user_id)
{
    struct project *domain;
    struct user *user;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(user_find(tx, user_id, &user));
    TRY(domain_find(tx, user != NULL ? user->domain_id : NULL, &domain));
    tx_end(tx);
    if (domain == NULL)
        return keystone_unauthorized(RQ(rq), "the user is gone");
    json_begin(&rq->json, "user");
    json_text(&rq->json, "id", user->id);
    json_text(&rq->json, "name", user->name);
    json_begin(&rq->json, "domain");
    json_text(&rq->json, "id", domain->id);
    json_text(&rq->json, "name", domain->name);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

struct fault *receipt_respond(struct request *rq, const struct proof *proof)
{
    struct context *cx = RQ(rq);
    struct token_payload payload = {
        .user_id = proof->user_id, .methods = token_methods_bits(configured(cx), proof->methods),
        .expires_us = (clock_now_us() / 1000000 + config_int(cx->app->config, "receipt", "expiration")) * 1000000 };
    const char *text;
    json_t *rules;
    bool enabled;

    if (keystone_of(cx)->receipt_keys == NULL)
        return FAULT(cx, 500, "KeysNotFound", "There are no keys for receipts");
    TRY(read_rules(cx, proof->user_id, &rules, &enabled));
    TRY(receipt_encode(cx->arena, keystone_of(cx)->receipt_keys, &payload, &text));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "receipt");
    json_begin_array(&rq->json, "methods");
    for (size_t i = 0; i < proof->method_count; i++)
        json_text(&rq->json, NULL, proof->methods[i]);
    json_end_array(&rq->json);
    TRY(write_user(rq, proof->user_id));
    json_text(&rq->json, "expires_at", clock_text(cx->arena, payload.expires_us, CLOCK_ISO_USZ));
    json_text(&rq->json, "issued_at", clock_text(cx->arena, clock_now_us() / 1000000 * 1000000, CLOCK_ISO_USZ));
    json_end(&rq->json);
    write_required(rq, rules, proof);
    json_end(&rq->json);
    response_header(rq, receipt_header, text);
    rq->status = 401;
    return NULL;
}
