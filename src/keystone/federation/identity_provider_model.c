/* SPDX-License-Identifier: Apache-2.0
 *
 * An identity provider's rows: what they are made of, and what goes with it.
 */
#include "keystone/federation/federation.h"

static const struct attribute attributes[] = {
    { "id",                "id",                ATTRIBUTE_FILTER },
    { "domain_id",         "domain_id" },
    { "enabled",           "enabled",           ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
    { "description",       "description" },
    { "authorization_ttl", "authorization_ttl", ATTRIBUTE_INT },
};

const struct entity idp_entity = {
    .name = "identity_provider", .plural = "identity_providers", .from = "identity_provider", .table = "identity_provider",
    .id_column = "id", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .path = "OS-FEDERATION/identity_providers", .missing = "Identity Provider:",
};

struct fault *idp_load(struct tx *tx, const char *id, json_t **ret)
{
    json_t *remote_ids = json_array();
    struct rows *rows;

    json_keep(tx_arena(tx), remote_ids);
    TRY(entity_load(tx, &idp_entity, id, ret));
    if (*ret == NULL)
        return NULL;
    json_object_set(*ret, "remote_ids", remote_ids);
    TRY(sql_query(tx, &rows, "SELECT remote_id FROM idp_remote_ids WHERE idp_id = ? ORDER BY remote_id", BIND(TEXT(id))));
    while (rows_next(rows))
        json_array_append_new(remote_ids, json_string(rows_text(rows, 0)));
    return rows_fault(rows);
}

struct fault *idp_load_enabled(struct tx *tx, struct context *cx, const char *idp_id, json_t **ret)
{
    TRY(idp_load(tx, idp_id, ret));
    if (*ret == NULL)
        return FAULT(cx, 404, NULL, "Could not find Identity Provider: %s.", idp_id);
    if (!json_is_true(json_object_get(*ret, "enabled")))
        return keystone_forbidden(cx, "Identity Provider %s is disabled", idp_id);
    return NULL;
}

struct fault *idp_store_remote_ids(struct tx *tx, struct context *cx, const char *id, const json_t *remote_ids)
{
    const char *taken;

    TRY(sql_exec(tx, "DELETE FROM idp_remote_ids WHERE idp_id = ?", BIND(TEXT(id))));
    for (size_t i = 0; i < json_array_size(remote_ids); i++) {
        const char *remote_id = json_string_value(json_array_get(remote_ids, i));
        TRY(sql_text_of(tx, &taken, "SELECT idp_id FROM idp_remote_ids WHERE remote_id = ?", BIND(TEXT(remote_id))));
        if (taken != NULL)
            return keystone_conflict(cx, "identity_provider", "Duplicate remote ID: %s", remote_id);
        TRY(sql_exec(tx, "INSERT INTO idp_remote_ids (idp_id, remote_id) VALUES (?, ?)", BIND(TEXT(id), TEXT(remote_id))));
    }
    return NULL;
}

struct fault *idp_erase(struct tx *tx, const char *id)
{
    static const char *const statements[] = {
        "DELETE FROM expiring_user_group_membership WHERE idp_id = ?",
        "DELETE FROM federated_user WHERE idp_id = ?",
        "DELETE FROM federation_protocol WHERE idp_id = ?",
        "DELETE FROM idp_remote_ids WHERE idp_id = ?",
        "DELETE FROM identity_provider WHERE id = ?",
    };

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        TRY(sql_exec(tx, statements[i], BIND(TEXT(id))));
    return NULL;
}

struct fault *idps_of_domain_erase(struct tx *tx, const char *domain_id)
{
    const char *next;

    do {
        TRY(sql_text_of(tx, &next, "SELECT id FROM identity_provider WHERE domain_id = ? ORDER BY id", BIND(TEXT(domain_id))));
        if (next != NULL)
            TRY(idp_erase(tx, next));
    } while (next != NULL);
    return NULL;
}
