/* SPDX-License-Identifier: Apache-2.0
 *
 * Authentication by time-based one-time passwords (RFC 6238: HMAC-SHA1, 6 digits, 30 seconds). The seeds are the user's
 * credentials of type totp, in base32.
 */
#include "keystone/auth/auth_methods.h"
#include "keystone/auth/totp.h"

#include "base/clock.h"
#include "keystone/credential/credentials.h"
#include "keystone/credential/ec2_signature.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { PERIOD_S = 30, SEED_LIMIT = 1024 };

/* Base32 (RFC 4648), padded or not. The length, or -1. */
static int decode_seed(const char *text, unsigned char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint64_t bits = 0;
    int held = 0, length = 0;

    if (strlen(text) > SEED_LIMIT)
        return -1;
    for (; *text != '\0' && *text != '='; text++) {
        const char *digit = strchr(digits, *text);
        if (digit == NULL)
            return -1;
        bits = bits << 5 | (uint64_t)(digit - digits);
        held += 5;
        if (held >= 8) {
            held -= 8;
            ret[length++] = (unsigned char)(bits >> held);
        }
    }
    return length;
}

bool totp_passcode(const char *seed, int64_t seconds, char *ret)
{
    unsigned char key[SEED_LIMIT], counter[8], mac[20];
    uint64_t step = (uint64_t)(seconds / PERIOD_S);
    int length = decode_seed(seed, key);

    if (length <= 0)
        return false;
    for (int i = 0; i < 8; i++)
        counter[i] = (unsigned char)(step >> (56 - 8 * i));
    bool done = HMAC(EVP_sha1(), key, length, counter, sizeof(counter), mac, NULL) != NULL;
    OPENSSL_cleanse(key, sizeof(key));
    const unsigned char *at = mac + (mac[19] & 15);
    uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    snprintf(ret, TOTP_PASSCODE, "%06u", (unsigned)(number % 1000000));
    return done;
}

static bool seed_fits(struct context *cx, const char *seed, const char *passcode)
{
    int64_t windows = config_int(cx->app->config, "totp", "included_previous_windows"), now = clock_now_us() / 1000000;
    char expected[TOTP_PASSCODE];
    bool right = false;

    for (int64_t i = 0; i <= windows; i++)
        if (totp_passcode(seed, now - i * PERIOD_S, expected) && ec2_same_text(expected, passcode))
            right = true;
    return right;
}

struct fault *prove_by_totp(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const char *passcode = json_text_at(json_object_get(data, "user"), "passcode");
    struct context *cx = RQ(rq);
    struct credential *seeds;
    struct user *user;
    struct tx *tx;
    bool right = false;
    size_t count;

    TRY(auth_user(rq, data, "totp", &user));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(credentials_of(tx, cx, user->id, "totp", &seeds, &count));
    tx_end(tx);
    for (size_t i = 0; passcode != NULL && i < count; i++)
        right = seed_fits(cx, seeds[i].blob, passcode) || right;
    if (!right)
        return keystone_unauthorized(cx, "Invalid username or TOTP passcode");
    return proof_of_user(cx, proof, user->id);
}
