/* SPDX-License-Identifier: Apache-2.0
 *
 * What proves somebody: signatures of EC2 and S3, one-time passwords, receipts, JWS; and which requests access rules allow.
 */
#include "keystone/auth/totp.h"
#include "keystone/credential/ec2_signature.h"
#include "keystone/token/jws.h"
#include "keystone/token/token_payload.h"
#include "oslo/identity/access_rules.h"
#include "oslo/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PARAMS "\"Action\": \"Do\", \"Timestamp\": \"2026-11-22T00:00:00Z\", \"a b\": \"c/d~\", \"Zed\": \"1\""

static void check_sign(const char *request, const char *expected)
{
    struct arena *arena = arena_create();
    const json_t *document = json_parse_own(arena, request);

    assert_non_null(document);
    const char *signature = ec2_sign(arena, "secret", document, NULL);
    if (expected == NULL)
        assert_null(signature);
    else
        assert_string_equal(signature, expected);
    arena_destroy(arena);
}

/* The signatures are keystoneclient's. */
static void test_ec2_signatures(void **state)
{
    check_sign("{\"params\": {" PARAMS ", \"SignatureVersion\": \"0\"}}", "PL0svNuAvNA7aqcoAJJ3CNlHl78=");
    check_sign("{\"params\": {" PARAMS ", \"SignatureVersion\": \"1\"}}", "MvP1G0MRr1Zl/n13vr1qCmwf7tA=");
    check_sign("{\"verb\": \"GET\", \"host\": \"h:1\", \"path\": \"/\", \"params\": {" PARAMS ", \"SignatureVersion\": \"2\"}}",
        "JSnx12+A6zAbe2Gc/m3TKx2fM2yZWp3hGlRaKcVHlus=");
    check_sign("{\"verb\": \"get\", \"host\": \"h\", \"path\": \"/\", \"body_hash\": \"b\", \"params\": {" PARAMS "}, "
        "\"headers\": {\"Authorization\": "
        "\"AWS4-HMAC-SHA256 Credential=A/20261122/R/ec2/aws4_request,SignedHeaders=host;x-amz-date\","
        "\"Host\": \" h \", \"X-Amz-Date\": \"20261122T000000Z\"}}",
        "6665a9a99819a5c1599a58b646ba81de266ac47239169194c64c617b727d95f5");
    check_sign("{\"verb\": \"GET\", \"host\": \"h\", \"path\": \"/\", \"body_hash\": \"b\", \"params\": {}, \"headers\": {"
        "\"Authorization\": \"AWS4-HMAC-SHA256 Credential=A/20261123/R/ec2/aws4_request,SignedHeaders=host\","
        "\"X-Amz-Date\": \"20261122T000000Z\"}}", NULL); /* of another day */
    check_sign("{\"params\": {\"SignatureVersion\": \"3\"}}", NULL);
    check_sign("{\"params\": {\"SignatureVersion\": \"2\"}}", NULL);
    check_sign("{\"params\": []}", NULL);
    check_sign("{}", NULL);
}

static void test_s3_signatures(void **state)
{
    static const char text[] = "AWS4-HMAC-SHA256\n20261122T000000Z\n20261122/R/s3/aws4_request\nhash";
    struct arena *arena = arena_create();

    assert_string_equal(s3_sign(arena, "secret", "text", 4), "uDksI2kMz4cfN+wnC+FYLexXpQM=");
    assert_int_equal(strlen(s3_sign(arena, "secret", text, strlen(text))), 64);
    assert_null(s3_sign(arena, "secret", text, strlen(text) - 5));
    assert_null(s3_sign(arena, "secret", "AWS4-HMAC-SHA256\nx\na/b/sqs/aws4_request\nhash", 43));
    assert_true(ec2_same_text("a", "a") && !ec2_same_text("a", "b") && !ec2_same_text("a", "aa"));
    arena_destroy(arena);
}

/* RFC 6238, appendix B, the last six digits. */
static void test_passcodes(void **state)
{
    static const char seed[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    static const struct {
        int64_t seconds;
        const char *passcode;
    } vectors[] = { { 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" }, { 1234567890, "005924" },
        { 2000000000, "279037" }, { 20000000000, "353130" } };
    char passcode[TOTP_PASSCODE];

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_true(totp_passcode(seed, vectors[i].seconds, passcode));
        assert_string_equal(passcode, vectors[i].passcode);
    }
    assert_false(totp_passcode("", 59, passcode));
    assert_false(totp_passcode("not base32", 59, passcode));
    assert_false(totp_passcode("gezd", 59, passcode)); /* small letters are none */
}

static void test_access_rule_paths(void **state)
{
    assert_true(access_rules_path_matches("/v2.1/servers", "/v2.1/servers"));
    assert_false(access_rules_path_matches("/v2.1/servers", "/v2x1/servers"));
    assert_false(access_rules_path_matches("/v2.1/servers", "/v2.1/servers/"));
    assert_true(access_rules_path_matches("/v2.1/servers/*", "/v2.1/servers/a"));
    assert_false(access_rules_path_matches("/v2.1/servers/*", "/v2.1/servers/"));
    assert_false(access_rules_path_matches("/v2.1/servers/*", "/v2.1/servers/a/b"));
    assert_true(access_rules_path_matches("/v2.1/servers/{id}/ips", "/v2.1/servers/a-b/ips"));
    assert_false(access_rules_path_matches("/v2.1/servers/{id}/ips", "/v2.1/servers//ips"));
    assert_true(access_rules_path_matches("/v2.1/**", "/v2.1/"));
    assert_true(access_rules_path_matches("/v2.1/**", "/v2.1/a/b/c"));
    assert_true(access_rules_path_matches("**", "/anything"));
    assert_true(access_rules_path_matches("**/b**", "/a/b"));
    assert_true(access_rules_path_matches("/a*c", "/abbc"));
    assert_false(access_rules_path_matches("/a*c", "/ac"));
    assert_false(access_rules_path_matches("", "/"));
    /* one that would take a matcher by trial for ever */
    assert_false(access_rules_path_matches("/*a*a*a*a*a*a*a*a*a*a*a*a*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void test_access_rules(void **state)
{
    static const char rules[] = "[{\"service\": \"compute\", \"method\": \"GET\", \"path\": \"/v2.1/flavors\"}, "
        "{\"id\": \"broken\"}]";

    assert_true(access_rules_allow(rules, "compute", "GET", "/v2.1/flavors"));
    assert_false(access_rules_allow(rules, "compute", "POST", "/v2.1/flavors"));
    assert_false(access_rules_allow(rules, "image", "GET", "/v2.1/flavors"));
    assert_true(access_rules_allow(rules, "identity", "GET", "/v3/auth/tokens"));
    assert_false(access_rules_allow(rules, "identity", "DELETE", "/v3/auth/tokens"));
    assert_false(access_rules_allow("[]", "compute", "GET", "/v2.1/flavors"));
    assert_false(access_rules_allow("nonsense", "compute", "GET", "/v2.1/flavors"));
}

static void test_receipts(void **state)
{
    struct token_payload payload = { .user_id = "0123456789abcdef0123456789abcdef", .methods = 6, .expires_us = 1763841350500000 };
    char directory[] = "/tmp/nubo-receipts-XXXXXX";
    struct arena *arena = arena_create();
    struct fernet_keys *keys;
    struct token_payload read;
    const char *text, *token;
    int64_t issued;

    assert_non_null(mkdtemp(directory));
    assert_null(fernet_setup(arena, directory, 3));
    assert_null(fernet_keys_open(arena, directory, false, &keys));
    assert_null(receipt_encode(arena, keys, &payload, &text));
    assert_true(receipt_decode(arena, keys, text, &read, &issued));
    assert_string_equal(read.user_id, payload.user_id);
    assert_int_equal(read.methods, 6);
    assert_int_equal(read.expires_us, payload.expires_us);
    /* neither is the other */
    assert_non_null(token_decode(arena, keys, text, &read, NULL));
    payload.audit_ids = (const char *const[]){ token_audit_id(arena), NULL };
    assert_null(token_encode(arena, keys, &payload, &token));
    assert_false(receipt_decode(arena, keys, token, &read, &issued));
    fernet_keys_close(keys);
    unlink(arena_printf(arena, "%s/0", directory));
    unlink(arena_printf(arena, "%s/1", directory));
    rmdir(directory);
    arena_destroy(arena);
}

static bool is_jws(const char *text)
{
    struct arena *arena = arena_create();
    unsigned char signature[64];
    json_t *payload;
    size_t length;
    bool right = jws_parse(arena, text, &length, signature, &payload);

    arena_destroy(arena);
    return right;
}

#define HEADER "eyJhbGciOiJFUzI1NiJ9"  /* {"alg":"ES256"} */
#define EMPTY  "e30"                   /* {} */
#define ZEROS  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_jws_form(void **state)
{
    assert_true(is_jws(HEADER "." EMPTY "." ZEROS));
    assert_false(is_jws(HEADER "." EMPTY "." ZEROS "."));
    assert_false(is_jws(HEADER "." EMPTY "."));
    assert_false(is_jws(HEADER "." ZEROS));
    assert_false(is_jws("eyJhbGciOiJub25lIn0." EMPTY "."));          /* {"alg":"none"} */
    assert_false(is_jws("eyJhbGciOiJIUzI1NiJ9." EMPTY "." ZEROS));   /* {"alg":"HS256"} */
    assert_false(is_jws(HEADER ".W10." ZEROS));                      /* [] */
    assert_false(is_jws(HEADER ".!!." ZEROS));
    assert_false(is_jws(""));
    assert_false(is_jws(".."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ec2_signatures),
        cmocka_unit_test(test_s3_signatures),
        cmocka_unit_test(test_passcodes),
        cmocka_unit_test(test_access_rule_paths),
        cmocka_unit_test(test_access_rules),
        cmocka_unit_test(test_receipts),
        cmocka_unit_test(test_jws_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
