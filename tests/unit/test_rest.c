/* SPDX-License-Identifier: Apache-2.0
 * rest: the catalog, the protection of tokens in memcached, the cache in memory. */
#include "base/arena.h"
#include "base/clock.h"
#include "oslo/cache.h"
#include "oslo/catalog.h"
#include "oslo/identity/token_crypt.h"
#include "oslo/rest/auth_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const both[] = { "internal", "publicURL", NULL };

static json_t *catalog(void)
{
    return json_loads("[{\"type\": \"compute\", \"name\": \"nova\", \"endpoints\": ["
                      "{\"interface\": \"public\", \"region_id\": \"one\", \"url\": \"http://one:8774/v2.1\"},"
                      "{\"interface\": \"public\", \"region_id\": \"two\", \"url\": \"http://two/compute/v2.1/\"}]},"
                      "{\"type\": \"volumev3\", \"name\": \"cinderv3\", \"endpoints\": ["
                      "{\"interface\": \"public\", \"region\": \"one\", \"url\": \"http://one:8776/v3/abc\"},"
                      "{\"interface\": \"internal\", \"region\": \"one\", \"url\": \"http://in:8776/v3/abc\"}]},"
                      "{\"type\": \"odd\", \"endpoints\": \"none\"}, 5]", 0, NULL);
}

static void catalog_finds_endpoints(void **state)
{
    json_t *all = catalog();
    assert_non_null(all);
#define FIND(...) catalog_endpoint(all, &(struct catalog_query){ .interfaces = both, __VA_ARGS__ })
    assert_string_equal(FIND(.type = "compute"), "http://one:8774/v2.1");
    assert_string_equal(FIND(.type = "compute", .region = "two"), "http://two/compute/v2.1/");
    assert_null(FIND(.type = "compute", .region = "three"));
    assert_null(FIND(.type = "compute", .name = "other"));
    assert_string_equal(FIND(.type = "block-storage"), "http://in:8776/v3/abc");
    assert_string_equal(FIND(.type = "volumev3", .name = "cinderv3"), "http://in:8776/v3/abc");
    assert_null(FIND(.type = "odd"));
    assert_null(FIND(.type = "image"));
#undef FIND
    assert_null(catalog_endpoint(NULL, &(struct catalog_query){ .type = "compute", .interfaces = both }));
    json_decref(all);
}

static void paths_are_appended_to_the_base(void **state)
{
    struct arena *arena = arena_create();
    static const char *const rows[][2] = {
        { "http://h:8774/v2.1", "http://h:8774" },
        { "http://h:8774/v2.1/", "http://h:8774" },
        { "http://h:8778", "http://h:8778" },
        { "http://h:8778/", "http://h:8778" },
        { "https://h/volume/v3/abc", "https://h/volume" },
        { "https://h/placement", "https://h/placement" },
        { "https://h/placement/", "https://h/placement" },
        { "http://h/vault/v1", "http://h/vault" },
        { "http://[::1]:5000/v3", "http://[::1]:5000" },
        { "http://h/identity?x", "http://h/identity" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(catalog_base(arena, rows[i][0]), rows[i][1]);
    assert_string_equal(catalog_fill(arena, "http://h/%(project_id)s/$(tenant_id)s/%(user_id)s/%x$", "P", NULL),
        "http://h/P/P/%(user_id)s/%x$");
    arena_destroy(arena);
}

/* The values are what keystonemiddleware makes of the same token and secret. */
static void values_are_those_of_keystonemiddleware(void **state)
{
    struct arena *arena = arena_create();
    struct token_keys keys;
    size_t length;
    static const char data[] = "{\"token\": {}}";
    assert_true(token_keys_derive(&keys, "gAAAAAtoken", "s3cret", TOKEN_MAC));
    assert_string_equal(keys.name, "tokens/b'OomAzhmO1hhOhKyc8QDX1A=='");
    const char *value = token_protect(arena, &keys, data, strlen(data), &length);
    assert_int_equal(length, strlen(value));
    assert_string_equal(value, "VlNSDRSzIc3ouJyFES7iN+mSuFTam69sQVs2hVyH96VgIuuxcGzKgciJsAa+LWD/eyJ0b2tlbiI6IHt9fQ==");
    assert_string_equal(token_unprotect(arena, &keys, value, length, &length), data);

    assert_true(token_keys_derive(&keys, "gAAAAAtoken", "s3cret", TOKEN_ENCRYPT));
    assert_string_equal(keys.name, "tokens/b'88sscHDA6iOOW2ZOUX9UZg=='");
    value = "OwHrLgmXYlQl7qHBQna4NB96NScLeXUhmzrlvdZUU1Urja944N7R8OqcTBjfFgu+MDEyMzQ1Njc4OWFiY2RlZokHYdYkHQ5uyOU2d19ObTk=";
    assert_string_equal(token_unprotect(arena, &keys, value, strlen(value), &length), data);
    value = token_protect(arena, &keys, data, strlen(data), &length);
    assert_string_equal(token_unprotect(arena, &keys, value, length, &length), data);

    assert_true(token_keys_derive(&keys, "gAAAAAtoken", NULL, TOKEN_PLAIN));
    assert_int_equal(strlen(keys.name), 7 + 64);
    arena_destroy(arena);
}

static void forged_values_are_refused(void **state)
{
    struct arena *arena = arena_create();
    struct token_keys keys, others;
    static const char data[] = "{\"token\": {\"user\": {\"id\": \"admin\"}}}";
    for (int strategy = TOKEN_MAC; strategy <= TOKEN_ENCRYPT; strategy++) {
        size_t length, got;
        assert_true(token_keys_derive(&keys, "token", "secret", (enum token_strategy)strategy));
        char *value = arena_strdup(arena, token_protect(arena, &keys, data, strlen(data), &length));
        for (size_t i = 0; i < length; i++) { /* no byte may be another */
            char kept = value[i];
            value[i] = kept == 'A' ? 'B' : 'A';
            assert_null(token_unprotect(arena, &keys, value, length, &got));
            value[i] = kept;
        }
        for (size_t cut = 0; cut < length; cut++)
            assert_null(token_unprotect(arena, &keys, value, cut, &got));
        assert_true(token_keys_derive(&others, "token", "other", (enum token_strategy)strategy));
        assert_null(token_unprotect(arena, &others, value, length, &got));
        assert_true(token_keys_derive(&others, "tokem", "secret", (enum token_strategy)strategy));
        assert_null(token_unprotect(arena, &others, value, length, &got));
    }
    arena_destroy(arena);
}

static void memory_keeps_until_the_end(void **state)
{
    struct arena *arena = arena_create();
    struct cache *cache;
    const char *const keys[] = { "a", "b" };
    struct cache_value values[2];
    assert_null(cache_open(arena, "memory", &(struct cache_settings){ 0 }, &cache));
    cache_set(cache, "a", "1\0002", 3, 60);
    cache_get(cache, arena, keys, 2, values);
    assert_int_equal(values[0].length, 3);
    assert_memory_equal(values[0].data, "1\0002", 3);
    assert_null(values[1].data);
    for (int i = 0; i < 10000; i++) /* it does not grow without end */
        cache_set(cache, arena_printf(arena, "key-%d", i), "x", 1, 60);
    cache_close(cache);
    assert_non_null(cache_open(arena, "etcd", &(struct cache_settings){ 0 }, &cache));
    arena_destroy(arena);
}

/* The enum that other tables count with is the number of rows. */
static void option_rows_are_counted_right(void **state)
{
    for (size_t i = 0; i < AUTH_OPTION_ROWS; i++)
        assert_non_null(auth_option_rows[i].name);
    for (size_t i = 0; i < ADAPTER_OPTION_ROWS; i++)
        assert_non_null(adapter_option_rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catalog_finds_endpoints),
        cmocka_unit_test(paths_are_appended_to_the_base),
        cmocka_unit_test(values_are_those_of_keystonemiddleware),
        cmocka_unit_test(forged_values_are_refused),
        cmocka_unit_test(memory_keeps_until_the_end),
        cmocka_unit_test(option_rows_are_counted_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
