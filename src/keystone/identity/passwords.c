/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of users' passwords: the newest one counts, as many of the past stay as may not come again.
 */
#include "keystone/identity/users.h"

#include "base/clock.h"
#include "keystone/model.h"
#include "oslo/options.h"

struct fault *user_make(struct tx *tx, const struct config *config, const char *id, const char *domain_id,
    const char *name, const char *hash)
{
    const char *now = clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL);

    TRY(sql_exec(tx, "INSERT INTO `user` (id, extra, enabled, created_at, domain_id) VALUES (?, '{}', 1, ?, ?)",
        BIND(TEXT(id), TEXT(now), TEXT(domain_id))));
    TRY(sql_exec(tx, "INSERT INTO local_user (user_id, domain_id, name, failed_auth_count) VALUES (?, ?, ?, 0)",
        BIND(TEXT(id), TEXT(domain_id), TEXT(name))));
    return user_set_password(tx, config, id, hash, PASSWORD_SETUP);
}

/* Ends what is there and drops the oldest beyond those that must be remembered. */
static struct fault *end_old(struct tx *tx, const struct config *config, int64_t local_id, int64_t now)
{
    int64_t kept = config_int(config, "security_compliance", "unique_last_password_count");
    int64_t oldest;

    TRY(sql_exec(tx, "UPDATE password SET expires_at = ?, expires_at_int = ? WHERE local_user_id = ?"
        " AND (expires_at_int IS NULL OR expires_at_int > ?)",
        BIND(TEXT(clock_text(tx_arena(tx), now, CLOCK_SQL)), INT(now), INT(local_id), INT(now))));
    TRY(sql_int_of(tx, &oldest, 0, "SELECT id FROM password WHERE local_user_id = ? ORDER BY created_at_int DESC, id DESC"
        " LIMIT 1 OFFSET ?", BIND(INT(local_id), INT(kept > 0 ? kept - 1 : 0))));
    return sql_exec(tx, "DELETE FROM password WHERE local_user_id = ? AND id < ?", BIND(INT(local_id), INT(oldest)));
}

struct fault *user_set_password(struct tx *tx, const struct config *config, const char *user_id, const char *hash,
    enum password_by by)
{
    const int64_t day_us = 86400LL * 1000000;
    int64_t days = config_int(config, "security_compliance", "password_expires_days");
    int64_t now = clock_now_us(), expires = now / 1000000 * 1000000 + days * day_us, local_id;
    struct arena *arena = tx_arena(tx);
    json_t *exempt, *no_change;

    TRY(sql_int_of(tx, &local_id, 0, "SELECT id FROM local_user WHERE user_id = ?", BIND(TEXT(user_id))));
    TRY(user_option(tx, user_id, "1001", &exempt));
    TRY(user_option(tx, user_id, "1000", &no_change));
    bool ends = days > 0 && !json_is_true(exempt);
    if (by == PASSWORD_RESET && !json_is_true(no_change) &&
        config_bool(config, "security_compliance", "change_password_upon_first_use")) {
        ends = true;
        expires = now;
    }
    TRY(end_old(tx, config, local_id, now));
    return sql_exec(tx, "INSERT INTO password (local_user_id, expires_at, self_service, password_hash, created_at_int,"
        " expires_at_int, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        BIND(INT(local_id), ends ? TEXT(clock_text(arena, expires, CLOCK_SQL)) : SQL_NULL, INT(by == PASSWORD_OWN), TEXT(hash),
            INT(now), ends ? INT(expires) : SQL_NULL, TEXT(clock_text(arena, now, CLOCK_SQL))));
}

struct fault *user_seen(struct tx *tx, const char *user_id)
{
    const char *today = arena_strndup(tx_arena(tx), clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL), 10);

    return sql_exec(tx, "UPDATE `user` SET last_active_at = ? WHERE id = ?", BIND(TEXT(today), TEXT(user_id)));
}
