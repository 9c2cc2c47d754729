/* SPDX-License-Identifier: Apache-2.0
 *
 * login: is this the user's password?
 *
 * A password that was right is not hashed again within [identity] login_cache_time: HMAC-SHA256 over the user, the stored
 * hash and the password, under a key that this process made and never shows, is kept in memory. A new password has a new
 * hash, so it ends what was kept on every process; whether the user may log in at all is asked of the database each time.
 */
#ifndef KEYSTONE_LOGIN_H
#define KEYSTONE_LOGIN_H

#include "keystone/model.h"

/* lifetime_s 0 gives NULL: switched off. */
struct login_cache *login_cache_create(int64_t lifetime_s);
void login_cache_destroy(struct login_cache *cache);

/* Whether `password` is the user's. Takes as long for a user that is NULL, or without a password, as for one with: who
 * asks learns nothing from the time. Blocking work of a fraction of a second: only on the slow pool. */
bool login_password_right(struct context *cx, const struct user *user, const char *password);

/* How [identity] says that new passwords are hashed. */
struct password_settings;
void login_settings(const struct context *cx, struct password_settings *ret);

#endif
