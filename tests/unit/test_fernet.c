/* SPDX-License-Identifier: Apache-2.0
 *
 * fernet and token_payload: the specification's example, the key repository, every payload version there and back.
 */
#include "base/clock.h"
#include "keystone/token/fernet.h"
#include "keystone/token/token_payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Of generate.json of the Fernet specification; less the last digits. */
#define EXAMPLE                                                                                                        \
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobw"                                    \
    "Oz7JcbmrR64jVmpU4Iwq"
#define HEX_A "0123456789abcdef0123456789abcdef"
#define HEX_B "ffffffffffffffffffffffffffffffff"

static char directory[64];

static int make_directory(void **state)
{
    strcpy(directory, "/tmp/test_fernet_XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    char command[128];

    for (int i = 0; i < 20; i++) {
        snprintf(command, sizeof(command), "%s/%d", directory, i);
        unlink(command);
    }
    return rmdir(directory);
}

static bool exists(int number)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%d", directory, number);
    return access(path, F_OK) == 0;
}

static void write_key(int number, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%d", directory, number);
    file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static void opens_the_example(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct fernet_keys *keys = NULL;
    void *data = NULL;
    size_t length = 0;
    int64_t issued = 0;

    write_key(1, "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=\n");
    assert_null(fernet_keys_open(arena, directory, false, &keys));
    assert_true(fernet_decrypt(arena, keys, EXAMPLE "DA==", &data, &length, &issued));
    assert_string_equal(data, "hello");
    assert_int_equal(length, 5);
    assert_int_equal(issued, 499162800);
    assert_false(fernet_decrypt(arena, keys, EXAMPLE "DB==", &data, &length, &issued));
    fernet_keys_close(keys);
}

static void rotates(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct fernet_keys *keys = NULL;
    const char *first, *second;
    struct stat status;
    char path[128];
    void *data;
    size_t length;

    assert_string_equal(fernet_keys_open(arena, directory, false, &keys)->code, "KeysNotFound");
    assert_non_null(fernet_rotate(arena, directory, 3));
    assert_null(fernet_setup(arena, directory, 3));
    assert_true(exists(0) && exists(1) && !exists(2));
    assert_null(fernet_setup(arena, directory, 3));
    assert_false(exists(2));
    snprintf(path, sizeof(path), "%s/1", directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 44);
    assert_null(fernet_keys_open(arena, directory, false, &keys));
    assert_null(fernet_encrypt(arena, keys, "secret", 6, false, &first));
    assert_null(fernet_rotate(arena, directory, 3));
    assert_true(exists(0) && exists(1) && exists(2));
    assert_true(fernet_decrypt(arena, keys, first, &data, &length, NULL));
    assert_null(fernet_encrypt(arena, keys, "secret", 6, true, &second));
    assert_null(fernet_rotate(arena, directory, 3));
    assert_true(exists(0) && !exists(1) && exists(2) && exists(3));
    assert_false(fernet_decrypt(arena, keys, first, &data, &length, NULL));
    assert_true(fernet_decrypt(arena, keys, second, &data, &length, NULL));
    fernet_keys_close(keys);
}

static void refuses_bad_tokens(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static const char *const cases[] = { "", "g", "gAAAA", "gAAAAA==", "not base64!", "====", "gAAAAABm\n" };
    struct fernet_keys *keys = NULL;
    struct token_payload payload;
    char *token;
    const char *made;

    assert_null(fernet_setup(arena, directory, 3));
    assert_null(fernet_keys_open(arena, directory, false, &keys));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(token_decode(arena, keys, cases[i], &payload, NULL)->status, 404);
    assert_null(fernet_encrypt(arena, keys, "\x91\x63", 2, false, &made));
    assert_string_equal(token_decode(arena, keys, made, &payload, NULL)->message,
        "This is not a recognized Fernet payload version: 99");
    token = arena_strdup(arena, made);
    for (size_t i = 0; i < strlen(token) - 1; i++) {
        void *data;
        size_t length;

        token[i] = token[i] == 'A' ? 'B' : 'A';
        assert_false(fernet_decrypt(arena, keys, token, &data, &length, NULL));
        token[i] = made[i];
    }
    fernet_keys_close(keys);
}

static void same_text(const char *left, const char *right)
{
    if (left == NULL || right == NULL)
        assert_ptr_equal(left, right);
    else
        assert_string_equal(left, right);
}

static void round_trips(void **state)
{
    static const char *const audit[] = { "AAECAwQFBgcICQoLDA0ODw", "__79_Pv6-fj39vX08_Lx8A", NULL };
    static const char *const groups[] = { HEX_B, "group", NULL };
    static const struct token_payload rows[] = {
        { TOKEN_UNSCOPED },
        { TOKEN_DOMAIN, .domain_id = "default" },
        { TOKEN_DOMAIN, .domain_id = HEX_B },
        { TOKEN_PROJECT, .project_id = HEX_B },
        { TOKEN_TRUST, .project_id = HEX_B, .trust_id = HEX_A },
        { TOKEN_FEDERATED, .group_ids = groups, .identity_provider_id = "idp", .protocol_id = "saml2" },
        { TOKEN_FEDERATED_PROJECT, .project_id = HEX_B, .group_ids = groups, .identity_provider_id = HEX_A,
          .protocol_id = "saml2" },
        { TOKEN_FEDERATED_DOMAIN, .domain_id = "default", .group_ids = groups, .identity_provider_id = "idp",
          .protocol_id = "oidc" },
        { TOKEN_OAUTH, .project_id = HEX_B, .access_token_id = HEX_A },
        { TOKEN_SYSTEM, .system = "all" },
        { TOKEN_APPLICATION_CREDENTIAL, .project_id = HEX_B, .app_cred_id = HEX_A },
        { TOKEN_OAUTH2_CREDENTIAL, .project_id = HEX_B, .domain_id = "default", .thumbprint = "abcDEF" },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token_payload payload = rows[i], back = { 0 };
        const void *data;
        size_t length;

        payload.user_id = i % 2 == 0 ? HEX_A : "jane@example";
        payload.methods = 2;
        payload.audit_ids = audit;
        payload.expires_us = 1763841350123456 + (int64_t)i * 7777777;
        assert_null(token_pack(arena, &payload, &data, &length));
        assert_null(token_unpack(arena, data, length, &back));
        assert_int_equal(back.version, payload.version);
        assert_int_equal(back.methods, 2);
        assert_true(back.expires_us == payload.expires_us);
        assert_string_equal(back.audit_ids[1], audit[1]);
        same_text(back.user_id, payload.user_id);
        same_text(back.project_id, payload.project_id);
        same_text(back.domain_id, payload.domain_id);
        same_text(back.system, payload.system);
        same_text(back.trust_id, payload.trust_id);
        same_text(back.identity_provider_id, payload.identity_provider_id);
        same_text(back.protocol_id, payload.protocol_id);
        same_text(back.access_token_id, payload.access_token_id);
        same_text(back.app_cred_id, payload.app_cred_id);
        same_text(back.thumbprint, payload.thumbprint);
        if (payload.group_ids != NULL)
            assert_string_equal(back.group_ids[1], "group");
        for (size_t cut = 0; cut < length; cut++)
            assert_non_null(token_unpack(arena, data, cut, &back));
    }
}

static void maps_methods(void **state)
{
    static const char *const configured[] = { "external", "password", "token", "oauth1", NULL };
    static const char *const methods[] = { "password", "token", NULL };
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *const *names = token_methods_names(arena, configured, token_methods_bits(configured, methods));

    assert_int_equal(token_methods_bits(configured, methods), 6);
    assert_string_equal(names[0], "token");
    assert_string_equal(names[1], "password");
    assert_null(names[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_the_example, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(rotates, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(refuses_bad_tokens, make_directory, remove_directory),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(maps_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
