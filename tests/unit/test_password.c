/* SPDX-License-Identifier: Apache-2.0
 *
 * password: hashes that passlib 1.7.4 made are verified, ours too; wrong ones are not.
 */
#include "keystone/identity/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct password_settings settings = { 0 };
static const char password[] = "p\xc3\xa4ssword' 1";

static bool verify(const char *text, const char *hash)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    bool good = false;

    assert_null(password_verify(arena, &settings, text, hash, &good));
    return good;
}

static const char *const hashes[] = {
    "$2b$04$mBMZlLki3jE3GIrhP3yC3u9/6V0n0mGF7oqjV8nBzqJakqttpTBV.",
    "$bcrypt-sha256$v=2,t=2b,r=4$2ihAWxfm7ot/Z9H8zDOrqe$wl90QE.M.u8enZBglpupljq0tSUGMWm",
    "$bcrypt-sha256$2b,4$2.iqsxegU5aRWate07cqvO$WcdSzmpwuYAIWI/2XllLBkgnH4zuvyK",
    "$scrypt$ln=4,r=8,p=1$4tzbu9e613ovRagVorQ2Rg$tRCCdBeAeT4RN6dWjcAgpu+1yLYoK853bvl2jX0PcUE",
    "$pbkdf2-sha512$10$XmsNoVTqPQdAiJFSag2BkA$ZHkxJGIqQ21DCysNCNwt7HGG5.WxwjoM4Rm3xxvbLoYGrneA78.yj3gMiQR9N.Ef53rg2oB"
    "ZrAbJ6wze3Pjz6g",
    "$6$rounds=1000$6.UP5SH/ZO6CBNh1$C.2/g1ZNH8Md26bkhetysBKPSZqx8B/I69Ua6sJ1VF8CXJO4k8VGzlN2BAYt0xcjkaXZFK2KvysVekfV"
    "inGuc1",
};

static void verifies_passlibs(void **state)
{
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        char wrong[256];

        if (!verify(password, hashes[i]))
            fail_msg("%s", hashes[i]);
        assert_false(verify("password", hashes[i]));
        assert_false(verify("", hashes[i]));
        for (size_t cut = 0; cut < strlen(hashes[i]); cut++) {
            memcpy(wrong, hashes[i], cut);
            wrong[cut] = '\0';
            assert_false(verify(password, wrong));
        }
    }
    assert_false(verify(NULL, hashes[0]));
    assert_false(verify(password, NULL));
    assert_false(verify(password, "plain"));
}

static void cuts_at_72_bytes_for_bcrypt(void **state)
{
    char text[4001] = { 0 }; /* crypt(3) takes 511 bytes */
    static const char hash[] = "$2a$04$NwHcBLlRCHQSd6qtAFS90.yq1Z2X3QrkRlpDZqOIplMZKVIylhzfe";

    memset(text, 'a', 4000);
    assert_true(verify(text, hash));
    text[100] = '\0';
    assert_true(verify(text, hash));
    text[72] = '\0';
    assert_true(verify(text, hash));
    text[71] = '\0';
    assert_false(verify(text, hash));
}

static void hashes_with_each_algorithm(void **state)
{
    static const struct {
        struct password_settings settings;
        const char *prefix;
    } rows[] = {
        { { .rounds = 4 },                                           "$2b$04$" },
        { { .algorithm = "scrypt", .rounds = 4 },                    "$scrypt$ln=4,r=8,p=1$" },
        { { .algorithm = "pbkdf2_sha512", .rounds = 7, .salt_size = 8 }, "$pbkdf2-sha512$7$" },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *first = NULL, *second = NULL;

        assert_null(password_hash(arena, &rows[i].settings, password, &first));
        assert_null(password_hash(arena, &rows[i].settings, password, &second));
        assert_memory_equal(first, rows[i].prefix, strlen(rows[i].prefix));
        assert_string_not_equal(first, second);
        assert_true(verify(password, first));
        assert_false(verify("else", second));
    }
    assert_non_null(password_hash(arena, &(struct password_settings){ .rounds = 3 }, "x", &(const char *){ NULL }));
    assert_non_null(password_hash(arena, &(struct password_settings){ .algorithm = "md5" }, "x",
        &(const char *){ NULL }));
}

static void refuses_long_ones_when_strict(void **state)
{
    const struct password_settings strict = { .rounds = 4, .strict = true };
    ARENA_CLEANUP struct arena *arena = arena_create();
    char text[74] = { 0 };
    const char *hash = NULL;
    struct fault *fault;

    memset(text, 'a', 73);
    fault = password_hash(arena, &strict, text, &hash);
    assert_int_equal(fault->status, 403);
    assert_string_equal(fault->message, "The password length must be less than or equal to 72. The server could not "
        "comply with the request because the password is invalid.");
    text[72] = '\0';
    assert_null(password_hash(arena, &strict, text, &hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_passlibs),
        cmocka_unit_test(cuts_at_72_bytes_for_bcrypt),
        cmocka_unit_test(hashes_with_each_algorithm),
        cmocka_unit_test(refuses_long_ones_when_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
