/* SPDX-License-Identifier: Apache-2.0
 *
 * program_config: where a program's configuration is when nothing is said. See programs.h.
 */
#ifndef NUBO_PROGRAM_CONFIG_H
#define NUBO_PROGRAM_CONFIG_H

#include "oslo/options.h"

enum { PROGRAM_SOURCES = 64 };

/* Appends to sources[*count] what is there. `files` beside SERVICE.conf and NAME.conf, below /etc/SERVICE, may be NULL; what
 * does not fit any more is left out. */
void program_find_config(struct arena *arena, const char *service, const char *name, const char *const *files,
    struct config_source sources[static PROGRAM_SOURCES], size_t *count);

#endif
