/* SPDX-License-Identifier: Apache-2.0
 *
 * token_tool: packs and unpacks tokens for tests/api/test_token_interop.py.
 *
 *     token_tool pack KEY-REPOSITORY < payload.json     prints the token
 *     token_tool unpack KEY-REPOSITORY TOKEN            prints the payload and when it was issued
 */
#include "keystone/token/token_payload.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    { "user_id", offsetof(struct token_payload, user_id) },
    { "project_id", offsetof(struct token_payload, project_id) },
    { "domain_id", offsetof(struct token_payload, domain_id) },
    { "system", offsetof(struct token_payload, system) },
    { "trust_id", offsetof(struct token_payload, trust_id) },
    { "identity_provider_id", offsetof(struct token_payload, identity_provider_id) },
    { "protocol_id", offsetof(struct token_payload, protocol_id) },
    { "access_token_id", offsetof(struct token_payload, access_token_id) },
    { "app_cred_id", offsetof(struct token_payload, app_cred_id) },
    { "thumbprint", offsetof(struct token_payload, thumbprint) },
};

static const char **text_at(struct token_payload *payload, size_t i)
{
    return (const char **)((char *)payload + texts[i].offset);
}

static const char *const *list_of(struct arena *arena, const json_t *array)
{
    const char **list = ARENA_ARRAY(arena, const char *, json_array_size(array) + 1);

    for (size_t i = 0; i < json_array_size(array); i++)
        list[i] = json_string_value(json_array_get(array, i));
    return list;
}

static json_t *array_of(const char *const *list)
{
    json_t *array = json_array();

    for (; list != NULL && *list != NULL; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

static struct fault *pack(struct arena *arena, struct fernet_keys *keys, json_t *json)
{
    struct token_payload payload = { 0 };
    const char *token = NULL;

    payload.version = (enum token_version)json_integer_value(json_object_get(json, "version"));
    payload.methods = (unsigned)json_integer_value(json_object_get(json, "methods"));
    payload.expires_us = json_integer_value(json_object_get(json, "expires_us"));
    payload.audit_ids = list_of(arena, json_object_get(json, "audit_ids"));
    payload.group_ids = list_of(arena, json_object_get(json, "group_ids"));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *text_at(&payload, i) = json_string_value(json_object_get(json, texts[i].name));
    TRY(token_encode(arena, keys, &payload, &token));
    puts(token);
    return NULL;
}

static struct fault *unpack(struct arena *arena, struct fernet_keys *keys, const char *token)
{
    struct token_payload payload;
    json_t *json = json_object();
    int64_t issued_us;

    TRY(token_decode(arena, keys, token, &payload, &issued_us));
    json_object_set_new(json, "version", json_integer(payload.version));
    json_object_set_new(json, "methods", json_integer(payload.methods));
    json_object_set_new(json, "expires_us", json_integer(payload.expires_us));
    json_object_set_new(json, "issued_us", json_integer(issued_us));
    json_object_set_new(json, "audit_ids", array_of(payload.audit_ids));
    json_object_set_new(json, "group_ids", array_of(payload.group_ids));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (*text_at(&payload, i) != NULL)
            json_object_set_new(json, texts[i].name, json_string(*text_at(&payload, i)));
    json_dumpf(json, stdout, JSON_SORT_KEYS);
    json_decref(json);
    return NULL;
}

int main(int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct fernet_keys *keys = NULL;
    struct fault *fault;
    json_t *json = NULL;

    if (argc < 3)
        return 2;
    fault = fernet_keys_open(arena, argv[2], false, &keys);
    if (fault == NULL && strcmp(argv[1], "pack") == 0) {
        json = json_loadf(stdin, 0, NULL);
        fault = pack(arena, keys, json);
        json_decref(json);
    } else if (fault == NULL) {
        fault = unpack(arena, keys, argc > 3 ? argv[3] : "");
    }
    if (fault != NULL)
        fprintf(stderr, "%s\n", fault_text(arena, fault));
    fernet_keys_close(keys);
    return fault != NULL;
}
