/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to the directory: TLS, binding, and those that are kept.
 */
#include "keystone/ldap/directory.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

enum { PATIENCE_S = 30 }; /* where the configuration has none: nobody waits for ever */

const char *ldap_setting(const struct directory *directory, const char *name)
{
    const char *value = config_str(directory->config, "ldap", name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

struct fault *ldap_fault(const struct directory *directory, struct arena *arena, int result)
{
    const char *why = ldap_err2string(result);

    if (result == LDAP_INVALID_CREDENTIALS)
        return fault_detail(arena, fault_new(arena, 500, NULL, "Unable to authenticate against Identity backend - Invalid username "
            "or password"), "%s", why);
    if (result == LDAP_SIZELIMIT_EXCEEDED)
        return fault_new(arena, 500, NULL, "Number of User/Group entities returned by LDAP exceeded size limit. Contact your LDAP "
            "administrator.");
    return fault_detail(arena, fault_new(arena, 500, NULL, "Unable to establish a connection to LDAP Server (%s).",
        directory->urls), "%s", why);
}

static int64_t number(const struct directory *directory, const char *name)
{
    return config_int(directory->config, "ldap", name);
}

static int set_tls(const struct directory *directory, LDAP *ld)
{
    const char *file = ldap_setting(directory, "tls_cacertfile"), *folder = ldap_setting(directory, "tls_cacertdir");
    const char *required = ldap_setting(directory, "tls_req_cert");
    int demand = required == NULL || strcmp(required, "demand") == 0 ? LDAP_OPT_X_TLS_DEMAND :
        strcmp(required, "never") == 0 ? LDAP_OPT_X_TLS_NEVER : LDAP_OPT_X_TLS_ALLOW;
    int zero = 0;
    bool start = config_bool(directory->config, "ldap", "use_tls");

    if (!start && strcasestr(directory->urls, "ldaps://") == NULL)
        return LDAP_SUCCESS;
    if (file != NULL)
        ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, file);
    else if (folder != NULL)
        ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTDIR, folder);
    ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &zero);
    return start ? ldap_start_tls_s(ld, NULL, NULL) : LDAP_SUCCESS;
}

static void set_options(const struct directory *directory, LDAP *ld)
{
    static const struct {
        const char *name;
        int value;
    } aliases[] = { { "never", LDAP_DEREF_NEVER }, { "searching", LDAP_DEREF_SEARCHING }, { "always", LDAP_DEREF_ALWAYS },
        { "finding", LDAP_DEREF_FINDING } };
    const char *wanted = ldap_setting(directory, "alias_dereferencing");
    int64_t patience_s = number(directory, config_bool(directory->config, "ldap", "use_pool") ?
        "pool_connection_timeout" : "connection_timeout");
    struct timeval patience = { patience_s > 0 ? patience_s : PATIENCE_S, 0 };
    int version = LDAP_VERSION3;

    ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &patience);
    ldap_set_option(ld, LDAP_OPT_TIMEOUT, &patience);
    ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (wanted != NULL && strcmp(wanted, aliases[i].name) == 0)
            ldap_set_option(ld, LDAP_OPT_DEREF, &aliases[i].value);
    if (ldap_setting(directory, "chase_referrals") != NULL)
        ldap_set_option(ld, LDAP_OPT_REFERRALS,
            config_bool(directory->config, "ldap", "chase_referrals") ? LDAP_OPT_ON : LDAP_OPT_OFF);
}

static int bind_as(LDAP *ld, const char *dn, const char *password)
{
    struct berval secret = { password != NULL ? strlen(password) : 0, (char *)password };

    return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
}

static int connect_once(struct directory *directory, LDAP **ret)
{
    int result = ldap_initialize(ret, directory->urls);

    if (result != LDAP_SUCCESS)
        return result;
    set_options(directory, *ret);
    result = set_tls(directory, *ret);
    if (result == LDAP_SUCCESS)
        return LDAP_SUCCESS;
    ldap_unbind_ext_s(*ret, NULL, NULL);
    return result;
}

static bool worth_a_retry(int result)
{
    return result == LDAP_SERVER_DOWN || result == LDAP_CONNECT_ERROR || result == LDAP_TIMEOUT || result == LDAP_UNAVAILABLE;
}

static int connect_bound(struct directory *directory, LDAP **ret)
{
    const char *user = ldap_setting(directory, "user"), *password = ldap_setting(directory, "password");
    int result = LDAP_SERVER_DOWN;

    for (int64_t i = 0; i < number(directory, "pool_retry_max") && worth_a_retry(result); i++) {
        if (i > 0)
            clock_sleep_ms((int64_t)(config_float(directory->config, "ldap", "pool_retry_delay") * 1000));
        result = connect_once(directory, ret);
        if (result != LDAP_SUCCESS)
            continue;
        result = user != NULL && password != NULL ? bind_as(*ret, user, password) : bind_as(*ret, NULL, NULL);
        if (result != LDAP_SUCCESS)
            ldap_unbind_ext_s(*ret, NULL, NULL);
    }
    return result;
}

/* ---- Those that are kept ---- */

static LDAP *pop(struct directory *directory, struct ldap_pool *pool)
{
    int64_t now = clock_monotonic_us();
    LDAP *found = NULL, *old[POOL_ROOM];
    int old_count = 0;

    pthread_mutex_lock(&directory->lock);
    while (found == NULL && pool->count > 0) {
        pool->count--;
        if (now - pool->idle[pool->count].made_us < pool->lifetime_us)
            found = pool->idle[pool->count].ld;
        else
            old[old_count++] = pool->idle[pool->count].ld;
    }
    pthread_mutex_unlock(&directory->lock);
    while (old_count > 0)
        ldap_unbind_ext_s(old[--old_count], NULL, NULL);
    return found;
}

static void push(struct directory *directory, struct ldap_pool *pool, LDAP *ld, bool broken)
{
    bool kept = false;

    pthread_mutex_lock(&directory->lock);
    if (!broken && pool->count < pool->size) {
        pool->idle[pool->count].ld = ld;
        pool->idle[pool->count++].made_us = clock_monotonic_us();
        kept = true;
    }
    pthread_mutex_unlock(&directory->lock);
    if (!kept)
        ldap_unbind_ext_s(ld, NULL, NULL);
}

void ldap_close_idle(struct directory *directory)
{
    struct ldap_pool *pools[] = { &directory->searches, &directory->logins };

    for (size_t i = 0; i < 2; i++)
        while (pools[i]->count > 0)
            ldap_unbind_ext_s(pools[i]->idle[--pools[i]->count].ld, NULL, NULL);
}

struct fault *ldap_take(struct directory *directory, struct arena *arena, LDAP **ret)
{
    *ret = pop(directory, &directory->searches);
    if (*ret != NULL)
        return NULL;
    int result = connect_bound(directory, ret);
    return result == LDAP_SUCCESS ? NULL : ldap_fault(directory, arena, result);
}

void ldap_give(struct directory *directory, LDAP *ld, bool broken)
{
    push(directory, &directory->searches, ld, broken);
}

struct fault *ldap_login(struct directory *directory, struct arena *arena, const char *dn, const char *password, bool *ret)
{
    LDAP *ld = pop(directory, &directory->logins);
    bool kept = ld != NULL;
    int result = kept ? bind_as(ld, dn, password) : LDAP_SERVER_DOWN;

    if (worth_a_retry(result)) { /* none was kept, or it has been closed meanwhile */
        if (ld != NULL)
            ldap_unbind_ext_s(ld, NULL, NULL);
        result = connect_once(directory, &ld);
        if (result != LDAP_SUCCESS)
            return ldap_fault(directory, arena, result);
        result = bind_as(ld, dn, password);
    }
    push(directory, &directory->logins, ld, worth_a_retry(result));
    *ret = result == LDAP_SUCCESS;
    if (worth_a_retry(result))
        return ldap_fault(directory, arena, result);
    if (result != LDAP_SUCCESS && result != LDAP_INVALID_CREDENTIALS)
        log_info("keystone.ldap", "a login was refused: %s", ldap_err2string(result));
    return NULL;
}
