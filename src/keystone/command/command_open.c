/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/command/commands.h"

#include "keystone/state.h"

struct fault *keystone_command_open(struct command_call *call)
{
    static struct keystone keystone;

    call->app->private = &keystone;
    return command_database(call);
}
