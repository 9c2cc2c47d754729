/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: what `nubo WORD ...` can be told. Each returns an exit status.
 */
#ifndef NUBO_COMMANDS_H
#define NUBO_COMMANDS_H

#include "nubo/cloud.h"

struct arguments {
    struct settings settings;  /* as given: NULL and -1 where nothing was said */
    const char *state_dir;     /* resolved */
    bool no_server, purge;
    const char *image;         /* --image FILE: the guest image that up uploads */
    const char *const *words;  /* what is not an option, NULL-terminated */
};

int command_run(const struct arguments *arguments);
int command_up(const struct arguments *arguments);
int command_down(const struct arguments *arguments);
int command_trace(const struct arguments *arguments);
int command_ssh(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_routes(const struct arguments *arguments);
int command_flows(const struct arguments *arguments);
int command_config(const struct arguments *arguments);
int command_policy(const struct arguments *arguments);

#endif
