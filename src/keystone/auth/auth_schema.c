/* SPDX-License-Identifier: Apache-2.0
 *
 * What the "auth" of a request must look like (keystone/auth/schema.py).
 */
#include "keystone/auth/auth_methods.h"

#include "oslo/json.h"
#include "oslo/schema.h"

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema truth = { .types = SCHEMA_BOOLEAN, .values = SCHEMA_WORDS("=true", "=false") };
static const struct schema domain_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }) };
static const struct schema user_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }, { "password", &text }, { "domain", &domain_schema }) };
static const struct schema password_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "user", &user_schema }) };
static const struct schema token_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }), .required = SCHEMA_WORDS("id") };
static const struct schema methods_schema = { .types = SCHEMA_ARRAY, .items = &text };
static const struct schema identity_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "methods", &methods_schema }, { "password", &password_schema }, { "token", &token_schema }),
    .required = SCHEMA_WORDS("methods") };
static const struct schema project_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "name", &text }, { "id", &text }, { "domain", &domain_schema }) };
static const struct schema trust_schema = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }) };
static const struct schema system_schema = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "all", &truth }) };
static const struct schema scope_schema = {
    .types = SCHEMA_OBJECT | SCHEMA_STRING,
    .properties = SCHEMA_PROPERTIES({ "project", &project_schema }, { "domain", &domain_schema },
        { "OS-TRUST:trust", &trust_schema }, { "system", &system_schema }) };
static const struct schema auth_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "identity", &identity_schema }, { "scope", &scope_schema }),
    .required = SCHEMA_WORDS("identity") };

/* An object at `path` that has neither an id nor a name. */
static struct fault *check_named(struct context *cx, const json_t *auth, const char *path, const char *shown)
{
    const json_t *object = json_at(auth, path);

    if (object == NULL || json_object_get(object, "id") != NULL || json_object_get(object, "name") != NULL)
        return NULL;
    return keystone_invalid(cx, "Invalid input for field %s: id or name must be present.", shown);
}

struct fault *auth_check_body(struct request *rq, const json_t *auth)
{
    TRY(keystone_check(rq, &auth_schema, auth));
    TRY(check_named(RQ(rq), auth, "identity.password.user", "identity/password/user"));
    TRY(check_named(RQ(rq), auth, "identity.password.user.domain", "identity/password/user/domain"));
    TRY(check_named(RQ(rq), auth, "scope.project", "scope/project"));
    TRY(check_named(RQ(rq), auth, "scope.project.domain", "scope/project/domain"));
    return check_named(RQ(rq), auth, "scope.domain", "scope/domain");
}
