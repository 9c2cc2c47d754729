/* SPDX-License-Identifier: Apache-2.0
 *
 * auth: [api] auth_strategy = noauth2. The reference's way to be tested without keystone: the token is "USER" or
 * "USER:PROJECT" (without a project: the user's name), X-Project-Id names another project, X-Roles the roles, and a user "admin"
 * who names none has the role of that name. Nothing is proven; placement.c warns in the log when it starts so.
 */
#include "placement/api.h"

#include <string.h>

static const char *const *words_of(struct arena *arena, const char *list)
{
    size_t count = 1;
    for (const char *at = list; *at != '\0'; at++)
        count += *at == ',';
    const char **words = ARENA_ARRAY(arena, const char *, count + 1);
    char *rest = arena_strdup(arena, list);
    for (size_t i = 0; i < count; i++) {
        char *word = strsep(&rest, ",");
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        words[i] = word;
    }
    return words;
}

struct fault *placement_unproven(struct request *rq, struct caller **ret)
{
    *ret = NULL;
    if (!placement_of(rq)->noauth)
        return NULL;
    const char *token = request_header(rq, "X-Auth-Token"), *roles = request_header(rq, "X-Roles");
    if (token == NULL)
        return FAULT(RQ(rq), 401, NULL, "%s", "");
    struct arena *owned = arena_create();
    struct caller *caller = caller_create(owned);
    size_t user = strcspn(token, ":");
    caller->user_id = caller->user_name = arena_strndup(owned, token, user);
    caller->user_domain_id = caller->user_domain_name = "";
    caller->token = arena_strdup(owned, token);
    const char *scope = request_header(rq, "OpenStack-System-Scope");
    const char *project = request_header(rq, "X-Project-Id");
    if (scope != NULL && *scope != '\0')
        caller->system_scope = arena_strdup(owned, scope);
    else if (project == NULL)
        project = token[user] == ':' && token[user + 1] != '\0' ? token + user + 1 : caller->user_id;
    if (project != NULL) {
        caller->project_id = caller->project_name = arena_strdup(owned, project);
        caller->project_domain_id = caller->project_domain_name = "";
    }
    if (roles != NULL)
        caller->roles = words_of(owned, roles);
    else if (strcmp(caller->user_id, "admin") == 0)
        caller->roles = words_of(owned, "admin");
    caller->role_ids = caller->roles;
    caller->is_admin_project = true;
    *ret = caller;
    return NULL;
}
