/* SPDX-License-Identifier: Apache-2.0
 *
 * messages: transport_url, and oslo.messaging's envelope in both directions.
 */
#include "oslo/json.h"
#include "oslo/messaging/envelope.h"
#include "oslo/messaging/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_urls(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct messaging_url url;
    assert_null(messaging_url_parse(arena, "rabbit://u%40x:p%2Fw@h1:5673,h2,v:w@[::1]:1/%2Fvh?ssl=1&heartbeat_rate=3", &url));
    assert_string_equal(url.scheme, "rabbit");
    assert_int_equal(url.host_count, 3);
    assert_string_equal(url.hosts[0].user, "u@x");
    assert_string_equal(url.hosts[0].password, "p/w");
    assert_int_equal(url.hosts[0].port, 5673);
    assert_string_equal(url.hosts[1].host, "h2");
    assert_string_equal(url.hosts[1].user, "u@x"); /* as the one before */
    assert_int_equal(url.hosts[1].port, 0);
    assert_string_equal(url.hosts[2].host, "::1");
    assert_string_equal(url.hosts[2].password, "w");
    assert_string_equal(url.virtual_host, "/vh");
    assert_string_equal(messaging_url_query(&url, "ssl"), "1");
    assert_null(messaging_url_query(&url, "absent"));
    assert_null(messaging_url_parse(arena, "rabbit://", &url));
    assert_int_equal(url.host_count, 0);
    assert_string_equal(url.virtual_host, "");
    static const char *const wrong[] = { "", "rabbit", "://h", "rabbit://h:0/", "rabbit://h:65536/", "rabbit://h:x/",
        "rabbit://[::1/",
        "rabbit://u:%00@h/" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(messaging_url_parse(arena, wrong[i], &url));
}

/* The password stands in no message. */
static void test_url_faults_keep_secrets(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct messaging_url url;
    struct fault *fault = messaging_url_parse(arena, "rabbit://user:secret@host:notaport/", &url);
    assert_null(strstr(fault_text(arena, fault), "secret"));
}

static void test_request_and_back(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = { .arena = arena, .request_id = "req-1", .global_id = "req-2" };
    cx.caller = caller_from_json(arena, json_keep(arena, json_pack("{s:s, s:s, s:[s]}", "user_id", "u", "project_id", "p", "roles",
        "admin")));
    const struct rpc_message m = { .method = "do_it", .version = "1.2", .msg_id = "m", .reply_to = "reply_x",
        .arguments = json_keep(arena, json_pack("{s:i}", "a", 1)) };
    const char *text = envelope_request(&cx, &m);
    const json_t *outer = json_parse_own(arena, text);
    assert_string_equal(json_string_value(json_object_get(outer, "oslo.version")), "2.0");
    const json_t *inner = json_parse_own(arena, json_string_value(json_object_get(outer, "oslo.message")));
    assert_string_equal(json_text_at(inner, "_context_user"), "u");
    assert_string_equal(json_text_at(inner, "_context_tenant"), "p");
    assert_true(json_is_true(json_object_get(inner, "_context_is_admin")));
    assert_int_equal(strlen(json_text_at(inner, "_unique_id")), 32);
    struct rpc_message back;
    assert_null(envelope_parse_request(arena, text, strlen(text), &back));
    assert_string_equal(back.method, "do_it");
    assert_string_equal(back.version, "1.2");
    assert_string_equal(back.msg_id, "m");
    assert_string_equal(back.reply_to, "reply_x");
    assert_string_equal(back.request_id, "req-1");
    assert_string_equal(back.global_id, "req-2");
    assert_string_equal(back.caller->project_id, "p");
    assert_string_equal(back.caller->roles[0], "admin");
    assert_int_equal(json_int_at(back.arguments, "a", 0), 1);
}

static void test_replies_and_faults(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct rpc_reply reply;
    struct fault *fault = fault_new(arena, 409, "PortInUse", "in use");
    fault->retry = true;
    fault_detail(arena, fault, "detail");
    const char *text = envelope_reply(arena, "m", NULL, fault, "neutron", true);
    assert_null(envelope_parse_reply(arena, text, strlen(text), &reply));
    assert_true(reply.ending);
    assert_null(reply.result);
    struct fault *back = envelope_failure(arena, reply.failure);
    assert_int_equal(back->status, 409);
    assert_string_equal(back->code, "PortInUse");
    assert_string_equal(back->message, "in use");
    assert_string_equal(back->detail, "detail");
    assert_true(back->retry);
    const json_t *document = json_parse_own(arena, reply.failure);
    assert_string_equal(json_text_at(document, "module"), "neutron_lib.exceptions");
    assert_true(json_is_array(json_object_get(document, "tb")));
    back = envelope_failure(arena,
        "{\"class\": \"ValueError\", \"message\": \"bad\", \"tb\": [\"a\", \"b\"]}"); /* another program's */
    assert_int_equal(back->status, 500);
    assert_string_equal(back->code, "ValueError");
    assert_non_null(envelope_failure(arena, "no json"));
    text = envelope_reply(arena, "m", NULL, NULL, "nova", false);
    assert_null(envelope_parse_reply(arena, text, strlen(text), &reply));
    assert_false(reply.ending);
}

static void test_hostile_messages(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static const char *const texts[] = { "", "x", "[]", "1", "{}", "{\"oslo.version\": 2, \"oslo.message\": \"{}\"}",
        "{\"oslo.version\": \"3.0\", \"oslo.message\": \"{}\"}", "{\"oslo.version\": \"2.0\", \"oslo.message\": {}}",
        "{\"oslo.version\": \"2.0\", \"oslo.message\": \"[]\"}",
            "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": 1}\"}" };
    struct rpc_message m;
    struct rpc_reply r;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_non_null(envelope_parse_request(arena, texts[i], strlen(texts[i]), &m));
        assert_non_null(envelope_parse_reply(arena, texts[i], strlen(texts[i]), &r));
    }
    static const char bare[] = "{\"method\": \"m\", \"args\": 3, \"_context_user\": \"old\"}"; /* before envelopes */
    assert_null(envelope_parse_request(arena, bare, strlen(bare), &m));
    assert_true(json_is_object(m.arguments));
    assert_string_equal(m.caller->user_id, "old");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_url_faults_keep_secrets),
        cmocka_unit_test(test_request_and_back),
        cmocka_unit_test(test_replies_and_faults),
        cmocka_unit_test(test_hostile_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
