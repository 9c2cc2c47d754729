/* SPDX-License-Identifier: Apache-2.0
 *
 * What keystone's own files share: the service's state, its tables, and the words of its faults.
 */
#ifndef KEYSTONE_STATE_H
#define KEYSTONE_STATE_H

#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/sql.h"

#include <stdatomic.h>
#include <stdint.h>

struct login_cache;
struct reference_cache;
struct token_cache;
struct directories;
struct templated;
struct fernet_keys;

/* app->private of the identity service. */
struct keystone {
    struct fernet_keys *keys;          /* of tokens */
    struct jws_keys *jws;              /* NULL: tokens are Fernet's */
    struct fernet_keys *receipt_keys;
    struct fernet_keys *credential_keys;
    struct token_cache *tokens;        /* validated tokens with their rendered bodies */
    struct reference_cache *reference; /* roles, implications and catalog */
    struct login_cache *logins;        /* NULL: switched off */
    struct templated *templated;       /* NULL: the catalog is in the database */
    struct directories *directories;   /* NULL: all users and groups are in the database */
    _Atomic uint64_t generation;       /* bumped by every write; what was built before is built anew */
    bool shared;                       /* other processes write to the same database */
};

struct keystone *keystone_of(const struct context *cx);

/* After every commit that changed anything: nothing validated or built before holds any longer, in any service. */
void keystone_changed(const struct context *cx);

extern const struct dialect keystone_dialect;
extern const struct option_table keystone_options, keystone_resource_options, keystone_ldap_options,
    keystone_auth_options;
extern const struct policy_table keystone_policies, keystone_resource_policies, keystone_auth_policies;
/* Heads of upstream's expand and contract branches, the same in Zed and 2023.1. */
#define KEYSTONE_EXPAND   "29e87d24a316"
#define KEYSTONE_CONTRACT "e25ffa003242"
enum { KEYSTONE_MIGRATIONS = 12 };
extern const struct migration keystone_migrations[KEYSTONE_MIGRATIONS];

extern const struct route_table auth_routes, version_routes, user_routes, group_routes, project_routes,
    project_tag_routes, domain_routes, role_routes, implied_role_routes, grant_routes, role_assignment_routes,
    region_routes, service_routes, endpoint_routes, revoke_event_routes, registered_limit_routes, limit_routes,
    endpoint_filter_routes, endpoint_policy_routes, domain_config_routes;
extern const struct route_table trust_routes, application_credential_routes, access_rule_routes,
    credential_routes, ec2_credential_routes, ec2_token_routes,
    oauth1_consumer_routes, oauth1_token_routes, oauth1_access_routes, oauth2_routes, simple_cert_routes;

extern const struct route_table identity_provider_routes;
extern const struct route_table federation_routes, federation_auth_routes, saml_routes;
/* "http://host:port/v3" + path, as the reference's base_url(): [DEFAULT] public_endpoint, else what the client called. */
const char *keystone_url(struct request *rq, const char *path);
/* The same with the query of the request behind it: `links.self` of collections. */
const char *keystone_self_url(struct request *rq);

/* Responds with the JSON home document; hrefs begin with the prefix. */
void json_home_write(struct request *rq, const char *prefix);

/* ---- Faults in keystone's words (keystone/exception.py) ---- */

/* 401 "The request you have made requires authentication."; the reason goes to the log only. */
struct fault *keystone_unauthorized(struct context *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* 400 "Expecting to find %s in %s. The server could not comply with the request since ..." */
struct fault *keystone_expecting(struct context *cx, const char *attribute, const char *target) __attribute__((returns_nonnull));
/* 400 with a sentence of its own. */
struct fault *keystone_invalid(struct context *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* 403 "You are not authorized to perform the requested action: %s." */
struct fault *keystone_forbidden_action(struct context *cx, const char *action);
/* 403 "You are not authorized to perform the requested action."; the reason goes to the log only. */
struct fault *keystone_forbidden(struct context *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* 403 with a sentence that is safe to show. */
struct fault *keystone_refused(struct context *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* 404 "Could not find user: %s." */
struct fault *keystone_not_found(struct context *cx, const char *kind, const char *id);
/* 400 with the words that follow most sentences of the reference's validation errors: "... The server could not comply ..." */
struct fault *keystone_malformed(struct context *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* 409 "Conflict occurred attempting to store %s - %s." */
struct fault *keystone_conflict(struct context *cx, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4), returns_nonnull));

/* The object in the body's member `name` (an empty object when absent, as the reference reads it); a fault when the
 * body or the member is no object. */
struct fault *keystone_member(struct request *rq, const char *name, json_t **ret);
/* Checks a document against a schema, in the reference's words. */
struct fault *keystone_check(struct request *rq, const struct schema *schema, const json_t *document);

/* The moment of a body's member that is to come; absent and null give 0. 400 when it is none, or is past. */
struct fault *keystone_future(struct request *rq, const json_t *document, const char *name, int64_t *ret_us);
/* Ends a collection whose document and array are open: "links" (next and previous null, self the request's URL) and both. A
 * list that says `truncated` writes its links itself. */
void keystone_collection_end(struct request *rq);
void keystone_collection_links(struct request *rq);
/* The id of the one role of this name: 404 when there is none, 400 when there are more. */
struct fault *keystone_role_named(struct tx *tx, struct context *cx, const char *name, const char **ret_id);

/* ?name and ?name=anything are true, ?name=0 is false (query_filter_is_true of the reference). */
bool keystone_query_flag(const struct request *rq, const char *name);
/* A filter's text as a boolean: 0, f, false, off, n, no are false, everything else is true. */
bool keystone_truth(const char *text);
/* The inexact filters of lists, name__contains and so on: what stands behind the two dashes, with an i before it for letters of
 * any size. One that is unknown lets everything pass. */
bool keystone_text_matches(const char *text, const char *comparator, const char *wanted);
/* 400 in the reference's words unless what a client calls a thing fits into its column of 64 characters. */
struct fault *keystone_check_id(struct context *cx, const char *id);

#endif
