/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods "external" and "kerberos" (keystone/auth/plugins/external.py): a front web server has authenticated a user of
 * ours and says who it is by REMOTE_USER, as federation/assertion.h reads it. "external" is also tried when nobody asks for it.
 */
#include "keystone/auth/auth_methods.h"
#include "keystone/federation/assertion.h"
#include "keystone/identity/directories.h"

#include "oslo/options.h"

#include <string.h>

/* The domain that the variables and [auth] external say. */
static struct fault *find_domain(struct request *rq, bool by_variable, struct project **ret)
{
    const char *name = by_variable ? assertion_variable(rq, "REMOTE_DOMAIN") : NULL;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = auth_given(name) ? domain_find_name(tx, name, ret)
                                           : domain_find(tx, config_str(rq->cx.app->config, "identity", "default_domain_id"), ret);
    tx_end(tx);
    return fault;
}

/* The one of the directory; his row in the database may be switched off, whatever the directory says. */
static struct fault *find_in_directory(struct context *cx, struct directory_of_domain *directory, const char *name,
    struct user **ret)
{
    const char *id;
    struct tx *tx;

    *ret = NULL;
    TRY(directory_admit(cx, directory, name, &id));
    if (id == NULL)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_find(tx, id, ret);
    tx_end(tx);
    return fault;
}

static struct fault *find_user(struct context *cx, const struct project *domain, const char *name, struct user **ret)
{
    struct directory_of_domain *directory = NULL;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_find_name(tx, domain->id, name, ret);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    if (*ret != NULL && (*ret)->local_id != 0)
        return NULL;
    TRY(directory_of(cx, domain->id, &directory));
    return directory != NULL ? find_in_directory(cx, directory, name, ret) : NULL;
}

static struct fault *prove_remote_user(struct request *rq, bool by_variable, struct proof *proof)
{
    const char *name = assertion_variable(rq, "REMOTE_USER");
    struct context *cx = RQ(rq);
    struct project *domain;
    struct user *user = NULL;

    if (!auth_given(name))
        return keystone_unauthorized(cx, "No authenticated user");
    TRY(find_domain(rq, by_variable, &domain));
    if (domain != NULL && domain->enabled)
        TRY(find_user(cx, domain, name, &user));
    if (user == NULL || !user->enabled)
        return keystone_unauthorized(cx, "Unable to lookup user %s", name);
    return proof_of_user(cx, proof, user->id);
}

struct fault *prove_by_external(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const char *driver = config_str(rq->cx.app->config, "auth", "external");

    return prove_remote_user(rq, driver != NULL && strcmp(driver, "Domain") == 0, proof);
}

struct fault *prove_by_kerberos(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const char *type = assertion_variable(rq, "AUTH_TYPE");

    if (type == NULL || strcmp(type, "Negotiate") != 0)
        return keystone_unauthorized(RQ(rq), "auth_type is not Negotiate");
    return prove_remote_user(rq, true, proof);
}

struct fault *external_try(struct request *rq, struct proof *proof)
{
    const char *const *methods = config_list(rq->cx.app->config, "auth", "methods", NULL);

    while (*methods != NULL && strcmp(*methods, "external") != 0)
        methods++;
    if (*methods == NULL || !auth_given(assertion_variable(rq, "REMOTE_USER")))
        return NULL;
    struct fault *fault = prove_by_external(rq, NULL, NULL, proof);
    if (fault == NULL)
        proof_add_method(proof, "external");
    return fault != NULL && fault->status != 401 ? fault : NULL;
}
