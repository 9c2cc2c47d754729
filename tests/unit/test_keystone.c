/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the identity service that need no cloud: URLs of the catalog, implied roles, merging of documents, and what
 * revocation events cover.
 */
#include "base/clock.h"
#include "keystone/entity.h"
#include "keystone/reference.h"
#include "keystone/resource/projects.h"
#include "keystone/token/revocation.h"
#include "oslo/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- catalog ---- */

static void check_url(const char *url, const char *project, const char *expected)
{
    struct buf out = { 0 };
    bool fine = catalog_url(&out, url, "USER", project);

    assert_int_equal(fine, expected != NULL);
    if (fine)
        assert_string_equal(buf_text(&out), expected);
    buf_release(&out);
}

static void test_urls(void **state)
{
    check_url("http://x/v3", "P", "http://x/v3");
    check_url("http://x/$(project_id)s", "P", "http://x/P");
    check_url("http://x/%(tenant_id)s/$(user_id)s", "P", "http://x/P/USER");
    check_url("http://x/100%%", "P", "http://x/100%");
    check_url("http://x/$(project_id)s", NULL, NULL); /* unscoped: such endpoints are left out */
    check_url("http://x/$(admin_token)s", "P", NULL);
    check_url("http://x/$(project_id)", "P", NULL);
    check_url("http://x/$(project_id", "P", NULL);
    check_url("http://x/%d", "P", NULL);
    check_url("http://x/$", "P", "http://x/$");
    assert_true(catalog_url(NULL, "http://x/$(project_id)s", NULL, NULL));
    assert_false(catalog_url(NULL, "http://x/$(bad)s", NULL, NULL));
}

/* ---- roles ---- */

static void test_implied_roles(void **state)
{
    const struct identity_role roles[] = { { "a", "admin" }, { "m", "member" }, { "r", "reader" }, { "x", "other" } };
    /* in an order that needs more than one pass, and with a circle */
    const struct implication implications[] = { { 1, 2 }, { 0, 1 }, { 2, 0 } };
    const struct reference reference = { .roles = roles, .role_count = 4, .implications = implications,
        .implication_count = 3 };
    bool marks[4] = { true, false, false, false };

    reference_expand(&reference, marks);
    assert_true(marks[1] && marks[2] && !marks[3]);
    assert_int_equal(reference_role(&reference, "m"), 1);
    assert_int_equal(reference_role(&reference, "nope"), 4);
    assert_int_equal(reference_role(&reference, NULL), 4);
}

/* ---- documents ---- */

static void check_merge(const char *old, const char *patch, const char *expected)
{
    struct arena *arena = arena_create();
    json_t *merged = entity_merge(arena, &project_entity, json_parse_own(arena, old), json_parse_own(arena, patch));

    assert_true(json_equal(merged, json_parse_own(arena, expected)));
    arena_destroy(arena);
}

static void test_merge(void **state)
{
    check_merge("{\"id\":\"1\",\"name\":\"a\",\"options\":{}}", "{\"name\":\"b\",\"color\":\"red\"}",
        "{\"id\":\"1\",\"name\":\"b\",\"color\":\"red\",\"options\":{}}");
    check_merge("{\"id\":\"1\",\"options\":{}}", "{\"id\":\"2\",\"links\":{}}", "{\"id\":\"1\",\"options\":{}}");
    check_merge("{\"options\":{\"immutable\":true}}", "{\"options\":{\"immutable\":null}}", "{\"options\":{}}");
    check_merge("{\"options\":{\"immutable\":true}}", "{\"options\":{}}", "{\"options\":{\"immutable\":true}}");
    check_merge("{\"x\":1,\"options\":{}}", "{\"x\":null}", "{\"x\":null,\"options\":{}}");
}

static void test_names(void **state)
{
    struct arena *arena = arena_create();
    json_t *document = json_parse_own(arena, "{\"name\":\"\\t a b \\n\"}");

    entity_strip_name(document);
    assert_string_equal(json_text_at(document, "name"), "a b");
    assert_true(keystone_truth("yes") && keystone_truth("") && keystone_truth("2"));
    assert_false(keystone_truth("False") || keystone_truth("0") || keystone_truth("off"));
    arena_destroy(arena);
}

/* ---- revocation ---- */

struct world {
    struct arena *arena;
    struct db *db;
    struct config *config;
};

static void world_open(struct world *world)
{
    const struct option_table *const tables[] = { &keystone_options };

    world->arena = arena_create();
    assert_null(db_open(world->arena, "sqlite://", &world->db));
    assert_null(db_sync(world->arena, world->db, keystone_migrations, KEYSTONE_MIGRATIONS, NULL));
    assert_null(config_create(world->arena, tables, 1, NULL, 0, &world->config));
}

static void world_close(struct world *world)
{
    db_close(world->db);
    config_destroy(world->config);
    arena_destroy(world->arena);
}

struct written {
    const struct world *world;
    const struct revocation *revocation;
};

static struct fault *write_run(struct tx *tx, void *argument)
{
    const struct written *written = argument;

    return revocation_write(tx, written->world->config, written->revocation);
}

static bool covers(const struct world *world, const struct revocation *revocation, const struct token *token)
{
    struct written written = { world, revocation };
    struct tx *tx;
    bool covered;

    assert_null(db_exec(world->arena, world->db, "DELETE FROM revocation_event", NO_BIND, NULL));
    assert_null(db_write(world->arena, world->db, write_run, &written));
    assert_null(db_read(world->arena, world->db, &tx));
    assert_null(revocation_covers(tx, token, &covered));
    tx_end(tx);
    return covered;
}

static void test_revocation(void **state)
{
    const struct user user = { .id = "u", .domain_id = "d" };
    const struct project project = { .id = "p", .domain_id = "d" };
    const struct identity_role role = { "r", "reader", NULL };
    int64_t now = clock_now_us() / 1000000 * 1000000;
    struct token token = {
        .claims = { .user_id = "u", .audit_id = "a", .parent_audit_id = "chain", .issued_us = now, .expires_us = now + 1000000 },
        .user = &user, .project = &project, .roles = &role, .role_count = 1 };
    struct world world;

    world_open(&world);
    assert_true(covers(&world, &(struct revocation){ .user_id = "u" }, &token));
    assert_false(covers(&world, &(struct revocation){ .user_id = "other" }, &token));
    assert_true(covers(&world, &(struct revocation){ .project_id = "p" }, &token));
    assert_false(covers(&world, &(struct revocation){ .project_id = "other" }, &token));
    assert_true(covers(&world, &(struct revocation){ .audit_id = "a" }, &token));
    assert_false(covers(&world, &(struct revocation){ .audit_id = "b" }, &token));
    assert_true(covers(&world, &(struct revocation){ .audit_chain_id = "chain" }, &token));
    assert_false(covers(&world, &(struct revocation){ .audit_chain_id = "a" }, &token));
    assert_true(covers(&world, &(struct revocation){ .role_id = "r" }, &token));
    assert_false(covers(&world, &(struct revocation){ .user_id = "u", .role_id = "x" }, &token));
    assert_true(covers(&world, &(struct revocation){ .domain_id = "d" }, &token)); /* the user's domain */
    assert_false(covers(&world, &(struct revocation){ .domain_id = "e" }, &token));
    token.claims.issued_us = now + 3600 * 1000000LL; /* issued after the event */
    assert_false(covers(&world, &(struct revocation){ .user_id = "u" }, &token));
    world_close(&world);
}

/* Each path of each table has a policy or says that it needs none; every rule that a route names is there. */
static void test_routes_have_rules(void **state)
{
    const struct route_table *const tables[] = { &auth_routes, &user_routes, &group_routes, &project_routes,
        &project_tag_routes, &domain_routes, &role_routes, &implied_role_routes, &grant_routes, &role_assignment_routes,
        &region_routes, &service_routes, &endpoint_routes, &revoke_event_routes, &version_routes };

    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct route *route = &tables[t]->rows[i];
            bool found = (route->flags & NO_TOKEN) && route->policy == NULL;
            for (size_t k = 0; k < keystone_policies.count && !found; k++)
                found = route->policy != NULL && strcmp(keystone_policies.rows[k].name, route->policy) == 0;
            if (!found)
                fail_msg("%s has no rule", route->path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_implied_roles),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_revocation),
        cmocka_unit_test(test_routes_have_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
