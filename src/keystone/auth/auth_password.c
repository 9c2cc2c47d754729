/* SPDX-License-Identifier: Apache-2.0
 *
 * Authentication by password: lockout, expiry, inactivity.
 */
#include "keystone/auth/auth_methods.h"

#include "base/clock.h"
#include "keystone/auth/authenticate.h"
#include "keystone/auth/login.h"
#include "keystone/identity/directories.h"
#include "keystone/identity/users.h"
#include "keystone/notifications.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <string.h>

#define LOCKED "The account is locked for user: "

/* Takes one of the attempts that [security_compliance] lockout_failure_attempts leaves, in one statement and before the
 * password is looked at, so that parallel attempts cannot have more of them. A right password gives all back. */
static struct fault *take_attempt(struct context *cx, const struct user *user, bool *ret_counted)
{
    const struct config *config = cx->app->config;
    int64_t attempts = config_int(config, "security_compliance", "lockout_failure_attempts");
    int64_t now = clock_now_us(), duration_us = config_int(config, "security_compliance", "lockout_duration") * 1000000;
    const char *free_again = clock_text(cx->arena, now - duration_us, CLOCK_SQL);
    json_t *exempt = NULL;
    struct tx *tx;
    int64_t taken;

    *ret_counted = false;
    if (attempts == 0)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_option(tx, user->id, "1002", &exempt);
    tx_end(tx);
    if (fault != NULL || json_is_true(exempt))
        return fault;
    TRY(db_exec(cx->arena, cx->app->db, "UPDATE local_user SET failed_auth_count = CASE WHEN failed_auth_at <= ? THEN 1"
        " ELSE COALESCE(failed_auth_count, 0) + 1 END, failed_auth_at = ? WHERE id = ? AND (failed_auth_at IS NULL"
        " OR failed_auth_at <= ? OR COALESCE(failed_auth_count, 0) < ?)",
        BIND(TEXT(free_again), TEXT(clock_text(cx->arena, now, CLOCK_SQL)), INT(user->local_id), TEXT(free_again),
            INT(attempts)), &taken));
    if (taken == 0)
        return keystone_unauthorized(cx, LOCKED "%s.", user->id);
    *ret_counted = true;
    return NULL;
}

static struct fault *succeed_run(struct tx *tx, void *argument)
{
    const struct user *user = argument;

    TRY(sql_exec(tx, "UPDATE local_user SET failed_auth_count = 0, failed_auth_at = NULL WHERE id = ?",
        BIND(INT(user->local_id))));
    return user_seen(tx, user->id);
}

/* All attempts are given back, and the day is written down: a write a day and user, unless attempts are counted. */
static struct fault *succeeded(struct context *cx, struct user *user, bool counted)
{
    const char *today = clock_text(cx->arena, clock_now_us(), CLOCK_SQL);

    if (!counted && user->seen && strncmp(user->active_day, today, 10) == 0)
        return NULL;
    return db_write(cx->arena, cx->app->db, succeed_run, user);
}

/* The password of a user that was looked for (NULL: not found) in a domain (NULL: not found). */
static struct fault *check_password(struct context *cx, struct user *user, const struct project *domain,
    const char *password, bool expired_is_fine)
{
    bool usable = user != NULL && domain != NULL && domain->enabled && user->enabled;
    json_t *exempt = NULL;
    bool counted = false;
    struct tx *tx;

    if (usable) {
        struct fault *fault = take_attempt(cx, user, &counted);
        if (fault != NULL) { /* neither the words nor the time tell that somebody is there who could be locked */
            login_password_right(cx, NULL, password != NULL ? password : "");
            return fault;
        }
    }
    bool right = login_password_right(cx, usable ? user : NULL, password != NULL ? password : "") && password != NULL;
    if (!right)
        return keystone_unauthorized(cx, "Invalid username or password");
    TRY(succeeded(cx, user, counted));
    if (user->password_expires_us == 0 || user->password_expires_us > clock_now_us() || expired_is_fine)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_option(tx, user->id, "1001", &exempt);
    tx_end(tx);
    if (fault != NULL || json_is_true(exempt))
        return fault;
    return FAULT(cx, 401, NULL, "The password is expired and needs to be changed for user: %s.", user->id);
}

static struct fault *find_login(struct context *cx, const json_t *info, struct user **ret_user, struct project **ret_domain)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");
    const json_t *domain_info = json_object_get(info, "domain");
    struct tx *tx;

    *ret_user = NULL;
    *ret_domain = NULL;
    if (!auth_given(name) && !auth_given(id))
        return keystone_expecting(cx, "id or name", "user");
    if (auth_given(name) && domain_info == NULL)
        return keystone_expecting(cx, "domain", "user");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    if (auth_given(name)) {
        const char *domain_name = json_text_at(domain_info, "name"), *domain_id = json_text_at(domain_info, "id");
        TRY(auth_given(domain_name) ? domain_find_name(tx, domain_name, ret_domain) : domain_find(tx, domain_id, ret_domain));
        if (*ret_domain != NULL)
            TRY(user_find_name(tx, (*ret_domain)->id, name, ret_user));
    } else {
        TRY(user_find(tx, id, ret_user));
        if (*ret_user != NULL)
            TRY(domain_find(tx, (*ret_user)->domain_id, ret_domain));
    }
    if (*ret_user != NULL)
        TRY(user_is_enabled(tx, cx->app->config, *ret_user, &(*ret_user)->enabled));
    tx_end(tx);
    return NULL;
}

struct fault *authenticate_password(struct context *cx, const char *user_id, const char *password, bool expired_is_fine,
    struct user **ret)
{
    struct project *domain = NULL;
    struct user *user;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_find(tx, user_id, &user));
    if (user != NULL) {
        TRY(domain_find(tx, user->domain_id, &domain));
        TRY(user_is_enabled(tx, cx->app->config, user, &user->enabled));
    }
    tx_end(tx);
    TRY(check_password(cx, user, domain, password, expired_is_fine));
    *ret = user;
    return NULL;
}

static void tell_stranger(struct request *rq, const json_t *info, const struct project *domain)
{
    const char *name = json_text_at(info, "name");

    keystone_notify_stranger(rq, auth_given(name) ? name : NULL, json_text_at(info, "id"), domain != NULL ? domain->id : NULL,
        domain != NULL ? domain->name : NULL);
}

/* The same for methods that ask for no password. */
struct fault *auth_user(struct request *rq, const json_t *data, const char *method, struct user **ret)
{
    struct context *cx = RQ(rq);
    const json_t *info = json_object_get(data, "user");
    struct project *domain;

    if (!json_is_object(info))
        return keystone_expecting(cx, "user", method);
    TRY(find_login(cx, info, ret, &domain));
    if (*ret == NULL && (domain != NULL || !auth_given(json_text_at(info, "name"))))
        tell_stranger(rq, info, domain);
    if (*ret == NULL || domain == NULL)
        return keystone_unauthorized(cx, "Could not find user");
    if (!domain->enabled || !(*ret)->enabled)
        return keystone_unauthorized(cx, "User or domain is disabled: %s", (*ret)->id);
    return NULL;
}

/* The password of somebody whom a directory knows. */
static struct fault *prove_by_directory(struct request *rq, struct directory_of_domain *directory, const struct project *domain,
    const json_t *info, struct proof *proof)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id"), *user_id = NULL;
    bool by_id = !auth_given(name);
    struct user *user;
    struct tx *tx;

    if (domain->enabled)
        TRY(directory_login(RQ(rq), directory, by_id, by_id ? id : name, json_text_at(info, "password"), &user_id));
    if (user_id == NULL)
        return keystone_unauthorized(RQ(rq), "Invalid username or password");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = user_find(tx, user_id, &user);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    if (user == NULL || !user->enabled) /* switched off here, whatever the directory says */
        return keystone_unauthorized(RQ(rq), "User is disabled: %s", user_id);
    return proof_of_user(RQ(rq), proof, user_id);
}

struct fault *prove_by_password(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const json_t *info = json_object_get(data, "user");
    struct directory_of_domain *directory = NULL;
    struct project *domain;
    struct user *user;

    if (info == NULL)
        return keystone_expecting(RQ(rq), "user", "password");
    TRY(find_login(RQ(rq), info, &user, &domain));
    if (domain != NULL && (user == NULL || user->local_id == 0))
        TRY(directory_of(RQ(rq), domain->id, &directory));
    struct fault *fault = directory != NULL ? prove_by_directory(rq, directory, domain, info, proof) :
        check_password(RQ(rq), user, domain, json_text_at(info, "password"), false);
    if (user != NULL && user->enabled && domain->enabled)
        keystone_notify_authenticated(rq, user->id, user->name, fault);
    else if (user == NULL && directory != NULL && fault == NULL)
        keystone_notify_authenticated(rq, proof->user_id, json_text_at(info, "name"), NULL);
    else if (user == NULL && (domain != NULL || !auth_given(json_text_at(info, "name"))))
        tell_stranger(rq, info, domain);
    if (fault != NULL || directory != NULL)
        return fault;
    return proof_of_user(RQ(rq), proof, user->id);
}
