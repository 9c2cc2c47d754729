/* SPDX-License-Identifier: Apache-2.0
 *
 * The method "mapped" (and those named by protocols): a front web server has authenticated somebody, and the mapping of his
 * identity provider says who that is here.
 */
#include "base/text.h"
#include "keystone/auth/auth_mapped.h"
#include "keystone/auth/auth_methods.h"
#include "keystone/federation/assertion.h"
#include "keystone/federation/federation.h"
#include "keystone/federation/mapping.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/notifications.h"
#include "keystone/resource/projects.h"

#include "oslo/options.h"

#include <string.h>

const char *remote_id_parameter(struct request *rq, const json_t *protocol)
{
    const struct config *config = rq->cx.app->config;
    const char *own = json_text_at(protocol, "remote_id_attribute"), *id = json_text_at(protocol, "id");

    if (own != NULL && own[0] != '\0')
        return own;
    /* the section of a protocol is named by it: only those that the table knows can be asked for */
    if (id != NULL && config_has(config, id, "remote_id_attribute") && config_str(config, id, "remote_id_attribute") != NULL)
        return config_str(config, id, "remote_id_attribute");
    return config_str(config, "federation", "remote_id_attribute");
}

/* The provider that asserts is the one that is named, when both say who they are. */
static struct fault *check_remote_id(struct request *rq, const json_t *idp, const json_t *protocol, const json_t *assertion)
{
    const char *parameter = remote_id_parameter(rq, protocol);
    const json_t *remote_ids = json_object_get(idp, "remote_ids");

    if (parameter == NULL || parameter[0] == '\0' || json_array_size(remote_ids) == 0)
        return NULL;
    const json_t *said = json_object_get(assertion, parameter);
    if (said == NULL)
        return keystone_unauthorized(RQ(rq), "Could not find Identity Provider identifier in environment");
    for (size_t i = 0; i < json_array_size(remote_ids); i++)
        if (json_equal(json_array_get(remote_ids, i), said))
            return NULL;
    return keystone_forbidden(RQ(rq), "Incoming identity provider identifier not included among the accepted identifiers.");
}

/* The mapped groups by their ids; those that are named and not there do not count, those by id must be there. */
static struct fault *resolve_groups(struct tx *tx, struct context *cx, const char *mapping_id, const struct mapped *mapped,
    const char *const **ret)
{
    size_t room = json_array_size(mapped->group_ids) + json_array_size(mapped->group_names), count = 0;
    const char **ids = ARENA_ARRAY(cx->arena, const char *, room + 1), *found;
    struct project *domain;
    struct group *group;

    for (size_t i = 0; i < json_array_size(mapped->group_ids); i++) {
        const char *id = json_string_value(json_array_get(mapped->group_ids, i));
        TRY(group_find(tx, id, &group));
        if (group == NULL)
            return keystone_unauthorized(cx, "Group %s returned by mapping %s was not found in the backend.", id, mapping_id);
        ids[count++] = arena_strdup(cx->arena, id);
    }
    for (size_t i = 0; i < json_array_size(mapped->group_names); i++) {
        const json_t *one = json_array_get(mapped->group_names, i), *info = json_object_get(one, "domain");
        const char *domain_id = json_text_at(info, "id"), *domain_name = json_text_at(info, "name");
        bool there = false;
        if (!auth_given(domain_id)) {
            TRY(domain_find_name(tx, domain_name != NULL ? domain_name : "", &domain));
            if (domain == NULL)
                return keystone_not_found(cx, "domain", domain_name != NULL ? domain_name : "None");
            domain_id = domain->id;
        }
        TRY(sql_text_of(tx, &found, "SELECT id FROM `group` WHERE name = ? AND domain_id = ?",
            BIND(TEXT(json_text_at(one, "name")), TEXT(domain_id))));
        for (size_t k = 0; k < count && found != NULL; k++)
            there |= strcmp(ids[k], found) == 0;
        if (found != NULL && !there)
            ids[count++] = arena_strdup(cx->arena, found);
    }
    *ret = ids;
    return NULL;
}

struct shadowing {
    struct context *cx;
    struct federated_login login;
    const char *user_id;
};

static struct fault *shadow_run(struct tx *tx, void *argument)
{
    struct shadowing *shadowing = argument;

    TRY(tx_serialize(tx, "entities"));
    return shadow_user(tx, shadowing->cx, &shadowing->login, &shadowing->user_id);
}

static bool fits(const char *text, size_t limit)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count > 0 && count <= limit;
}

/* What an assertion makes of somebody must fit into the tables; in the reference that it does not is a 500. */
static struct fault *check_lengths(struct context *cx, const struct federated_login *login)
{
    enum { USER_LIMIT = 255, PROJECT_LIMIT = 64 };

    if (!fits(login->unique_id, USER_LIMIT) || !fits(login->display_name, USER_LIMIT))
        return keystone_unauthorized(cx, "the name of a mapped user is longer than %d characters", USER_LIMIT);
    for (size_t i = 0; i < json_array_size(login->projects); i++)
        if (!fits(json_text_at(json_array_get(login->projects, i), "name"), PROJECT_LIMIT))
            return keystone_unauthorized(cx, "the name of a mapped project is empty or longer than %d characters", PROJECT_LIMIT);
    return NULL;
}

/* Somebody who is not stored here but by his shadow. */
static struct fault *ephemeral_user(struct request *rq, const json_t *idp, const char *protocol_id, const struct mapped *mapped,
    const char *const *group_ids, struct proof *proof)
{
    const char *id = json_text_at(mapped->user, "id"), *name = json_text_at(mapped->user, "name");
    struct context *cx = RQ(rq);

    if (name == NULL || name[0] == '\0')
        name = assertion_variable(rq, "REMOTE_USER");
    if (id == NULL || id[0] == '\0')
        id = name;
    if (id == NULL)
        return keystone_unauthorized(cx, "Could not map user while setting ephemeral user identity.");
    struct shadowing shadowing = { .cx = cx, .login = {
        .idp_id = json_text_at(idp, "id"), .idp_domain_id = json_text_at(idp, "domain_id"), .protocol_id = protocol_id,
        .unique_id = text_escape(cx->arena, id, TEXT_UNRESERVED "/"), .display_name = name != NULL ? name : id,
        .email = json_text_at(mapped->user, "email"), .group_ids = group_ids, .projects = mapped->projects } };
    TRY(check_lengths(cx, &shadowing.login));
    TRY(db_write(cx->arena, cx->app->db, shadow_run, &shadowing));
    keystone_changed(cx);
    proof->idp_id = shadowing.login.idp_id;
    proof->protocol_id = protocol_id;
    proof->group_ids = group_ids;
    return proof_of_user(cx, proof, shadowing.user_id);
}

/* A user of ours whom the provider vouches for. */
static struct fault *local_user(struct request *rq, const struct mapped *mapped, struct proof *proof)
{
    json_t *data = json_keep(rq->cx.arena, json_object());
    struct user *user;

    json_object_set(data, "user", (json_t *)mapped->user);
    TRY(auth_user(rq, data, "mapped", &user));
    return proof_of_user(RQ(rq), proof, user->id);
}

static struct fault *prove(struct request *rq, const json_t *data, struct proof *proof)
{
    const char *idp_id = json_text_at(data, "identity_provider"), *protocol_id = json_text_at(data, "protocol"), *mapping_id;
    struct context *cx = RQ(rq);
    json_t *idp, *protocol, *mapping, *assertion = assertion_read(rq);
    const char *const *group_ids = NULL;
    struct mapped mapped;
    struct tx *tx;

    if (idp_id == NULL)
        return keystone_expecting(cx, "identity_provider", "mapped");
    if (protocol_id == NULL)
        return keystone_expecting(cx, "protocol", "mapped");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(idp_load_enabled(tx, cx, idp_id, &idp));
    TRY(protocol_load(tx, idp_id, protocol_id, &protocol));
    if (protocol == NULL)
        return protocol_missing(cx, idp_id, protocol_id);
    TRY(check_remote_id(rq, idp, protocol, assertion));
    mapping_id = json_text_at(protocol, "mapping_id");
    TRY(entity_load(tx, &mapping_entity, mapping_id, &mapping));
    if (mapping == NULL)
        return entity_missing(cx, &mapping_entity, mapping_id);
    struct fault *fault = mapping_apply(cx->arena, mapping_id, json_object_get(mapping, "rules"), assertion, &mapped);
    if (fault != NULL && fault->status == 400)
        return keystone_unauthorized(cx, "%s", fault->message);
    if (fault == NULL)
        fault = resolve_groups(tx, cx, mapping_id, &mapped, &group_ids);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    if (strcmp(json_text_at(mapped.user, "type"), "local") == 0)
        return local_user(rq, &mapped, proof);
    return ephemeral_user(rq, idp, protocol_id, &mapped, group_ids, proof);
}

struct fault *prove_by_mapped(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    if (json_text_at(data, "id") != NULL)
        return prove_by_token(rq, auth, data, proof);
    struct fault *fault = prove(rq, data, proof);
    keystone_notify_vouched(rq, &(struct vouched){ .user_id = fault == NULL ? proof->user_id : NULL,
        .idp_id = json_text_at(data, "identity_provider"), .group_ids = fault == NULL ? proof->group_ids : NULL }, fault);
    return fault;
}
