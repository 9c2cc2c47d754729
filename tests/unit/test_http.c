/* SPDX-License-Identifier: Apache-2.0
 * http and json: request targets, routes, the writer and the parser; hostile input included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "oslo/http.h"

#include <string.h>

static struct fault *nothing(struct request *rq)
{
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET, "/", NULL, nothing, NO_TOKEN),
    ROUTE(GET, "/servers", "p", nothing),
    ROUTE(POST, "/servers", "p", nothing),
    ROUTE(GET, "/servers/detail", "p", nothing),
    ROUTE(GET, "/servers/{id}", "p", nothing, .max_version = 10),
    ROUTE(GET, "/servers/{id}", "p", nothing, .min_version = 11),
    ROUTE(DELETE, "/servers/{id}/tags/{tag}", "p", nothing),
    ROUTE(GET, "/files/{path*}", "p", nothing),
};
static const struct route_table table = ROUTES(rows);
static const struct route_table *const tables[] = { &table, NULL };

static const struct route *find(struct arena *arena, struct router *router, const char *method, const char *target,
    int version, struct request **ret, const char **allow)
{
    struct request *rq = request_create(arena, NULL);
    rq->method = http_method_parse(method);
    rq->version = version;
    *ret = rq;
    return request_set_target(rq, target) ? router_find(router, rq, allow) : NULL;
}

static void routes_are_found(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct router *router = router_create(tables);
    struct request *rq;
    const char *allow;
    assert_ptr_equal(find(arena, router, "GET", "/", -1, &rq, &allow), &rows[0]);
    assert_ptr_equal(find(arena, router, "HEAD", "/servers/", -1, &rq, &allow), &rows[1]);
    assert_ptr_equal(find(arena, router, "GET", "/servers/detail", -1, &rq, &allow), &rows[3]);
    assert_ptr_equal(find(arena, router, "GET", "/servers/a%20b", 5, &rq, &allow), &rows[4]);
    assert_string_equal(request_argument(rq, "id"), "a b");
    assert_ptr_equal(find(arena, router, "GET", "/servers/x", 11, &rq, &allow), &rows[5]);
    assert_ptr_equal(find(arena, router, "DELETE", "/servers/x/tags/y", -1, &rq, &allow), &rows[6]);
    assert_string_equal(request_argument(rq, "tag"), "y");
    assert_ptr_equal(find(arena, router, "GET", "/files/a/b/c", -1, &rq, &allow), &rows[7]);
    assert_string_equal(request_argument(rq, "path"), "a/b/c");
    assert_null(find(arena, router, "PUT", "/servers", -1, &rq, &allow));
    assert_string_equal(allow, "GET, POST");
    assert_null(find(arena, router, "GET", "/servers//tags", -1, &rq, &allow));
    assert_null(allow);
    router_destroy(router);
}

static void hostile_targets_are_refused(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static const char *const bad[] = { "", "servers", "/%", "/%2", "/%zz", "/%00", "/%ff", "/x?a=%00", "/x?%c3" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(request_set_target(request_create(arena, NULL), bad[i]));
    struct request *rq = request_create(arena, NULL);
    assert_true(request_set_target(rq, "/x?a=1&&b&c=%26+d&a=2#frag"));
    assert_string_equal(request_query(rq, "a"), "1");
    assert_string_equal(request_query(rq, "b"), "");
    assert_string_equal(request_query(rq, "c"), "& d");
    assert_null(request_query(rq, "frag"));
    response_header(rq, "X-Test", "one\r\nSet-Cookie: two");
    assert_null(strpbrk(rq->headers->value, "\r\n"));
}

static void json_is_written_as_it_is_read(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    BUF_CLEANUP struct buf out = { 0 };
    struct json_writer w = { .out = &out };
    json_begin(&w, NULL);
    json_text(&w, "text", "a\"\\\n\x01\xc3\xa9\xff");
    json_int(&w, "int", INT64_MIN);
    json_double(&w, "real", 0.1);
    json_double(&w, "whole", 16.0);
    json_begin_array(&w, "list");
    json_bool(&w, NULL, true);
    json_text(&w, NULL, NULL);
    json_end_array(&w);
    json_end(&w);
    assert_string_equal(buf_text(&out), "{\"text\": \"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\", \"int\": -9223372036854775808,"
        " \"real\": 0.1, \"whole\": 16.0, \"list\": [true, null]}");
    const char *why;
    json_t *value = json_parse(arena, out.data, out.length, &why);
    assert_true(json_int_at(value, "int", 0) == INT64_MIN);
}

/* Every byte at every place of a word: the quick way must find what the slow one finds. */
static void every_byte_is_quoted(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    for (int c = 1; c < 0x80; c++)
        for (size_t place = 0; place < 17; place++) {
            char text[18] = "abcdefghijklmnopq";
            BUF_CLEANUP struct buf out = { 0 };
            const char *why;
            text[place] = (char)c;
            json_quote(&out, text, 17);
            assert_string_equal(json_string_value(json_parse(arena, out.data, out.length, &why)), text);
        }
}

static void json_has_bounds(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    char deep[200];
    const char *why = NULL;
    memset(deep, '[', sizeof(deep));
    assert_null(json_parse(arena, deep, sizeof(deep), &why));
    assert_string_equal(why, "too many nested levels");
    static const char *const bad[] = { "", "{", "{\"a\":}", "[1,]", "\"\\u0000\"", "\"\xff\"", "1 2", "nul" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(json_parse(arena, bad[i], strlen(bad[i]), &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(hostile_targets_are_refused),
        cmocka_unit_test(json_is_written_as_it_is_read),
        cmocka_unit_test(every_byte_is_quoted),
        cmocka_unit_test(json_has_bounds),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
