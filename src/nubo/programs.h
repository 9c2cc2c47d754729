/* SPDX-License-Identifier: Apache-2.0
 *
 * programs: roles as processes of their own. The binary called (linked) as nova-api is nova-api; `nubo run ROLE...` is
 * one process with these roles.
 *
 * A program finds its configuration as oslo.config does (SERVICE.conf and PROGRAM.conf in ~/.SERVICE, ~, /etc/SERVICE,
 * /etc; their .conf.d folders; /usr/share/SERVICE/SERVICE-dist.conf before them; and what Debian's units name beside
 * them), unless --config-file or --config-dir is given. It needs no state directory: its options say where its files are.
 * With --state-dir or NUBO_STATE_DIR, what they do not say lies below that, as in the all-in-one, whose configuration is
 * read when there is one.
 */
#ifndef NUBO_PROGRAMS_H
#define NUBO_PROGRAMS_H

#include <stdbool.h>

/* Whether a role has this name: "nova-conductor". */
bool program_known(const char *name);

/* Runs to its end; returns the exit status. `name` is what usage and errors call it: "nova-api". With `words`, roles are
 * expected among the arguments (`nubo run`), else the name is the role. */
int program_main(const char *name, bool words, int argc, char **argv);

#endif
