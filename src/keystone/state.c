/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/state.h"

#include "oslo/identity.h"

struct keystone *keystone_of(const struct context *cx)
{
    return cx->app->private;
}

void keystone_changed(const struct context *cx)
{
    atomic_fetch_add(&keystone_of(cx)->generation, 1);
    identity_revoked(cx->app);
}
