/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the LDAP driver share: what [ldap] says, connections, and searches.
 */
#ifndef KEYSTONE_LDAP_DIRECTORY_H
#define KEYSTONE_LDAP_DIRECTORY_H

#include "base/arena.h"
#include "base/fault.h"
#include "oslo/options.h"

#include <ldap.h>
#include <pthread.h>
#include <stdbool.h>

enum { POOL_ROOM = 256 };

/* Idle connections. */
struct ldap_pool {
    struct {
        LDAP *ld;
        int64_t made_us;
    } idle[POOL_ROOM];
    int count, size; /* size 0: none is kept */
    int64_t lifetime_us;
};

struct directory {
    const struct config *config;
    const char *urls;        /* separated by blanks */
    const char *user_tree, *group_tree, *emulation_dn;
    pthread_mutex_t lock;    /* of the pools */
    struct ldap_pool searches, logins;
    struct arena *arena;
};

/* An option of [ldap]; NULL when it is not set. */
const char *ldap_setting(const struct directory *directory, const char *name);

/* A connection bound as [ldap] user; ldap_give() keeps it for the next, or ends it when it is broken. */
struct fault *ldap_take(struct directory *directory, struct arena *arena, LDAP **ret);
void ldap_give(struct directory *directory, LDAP *ld, bool broken);

/* Whether the directory lets somebody in by this name and password, on a connection of its own. */
struct fault *ldap_login(struct directory *directory, struct arena *arena, const char *dn, const char *password, bool *ret);

/* Ends all idle connections. */
void ldap_close_idle(struct directory *directory);

/* What a result that is not LDAP_SUCCESS means: 500 in keystone's words, the library's for the log. */
struct fault *ldap_fault(const struct directory *directory, struct arena *arena, int result);

/* Calls `take` for each entry that is found, page by page; what is not there has none. `limit` 0: all. */
struct ldap_search {
    const char *base;
    int scope;
    const char *filter;
    const char *const *attributes; /* NULL-terminated */
    size_t limit;
    struct fault *(*take)(void *argument, struct arena *arena, LDAP *ld, LDAPMessage *entry);
    void *argument;
};
struct fault *ldap_find(struct directory *directory, struct arena *arena, const struct ldap_search *search);

/* The first value of an attribute, in the arena; NULL: none. */
const char *ldap_value(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *attribute);
const char *ldap_dn(struct arena *arena, LDAP *ld, LDAPMessage *entry);

#endif
