/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/auth/auth_methods.h"

#include <string.h>

void proof_add_method(struct proof *proof, const char *method)
{
    for (size_t i = 0; i < proof->method_count; i++)
        if (strcmp(proof->methods[i], method) == 0)
            return;
    proof->methods[proof->method_count++] = method;
}

struct fault *proof_of_user(struct context *cx, struct proof *proof, const char *user_id)
{
    if (proof->user_id != NULL && strcmp(proof->user_id, user_id) != 0)
        return keystone_unauthorized(cx, "the methods are about different users");
    proof->user_id = arena_strdup(cx->arena, user_id);
    return NULL;
}
