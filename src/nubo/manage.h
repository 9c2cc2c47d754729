/* SPDX-License-Identifier: Apache-2.0
 *
 * manage: the administrative programs of the services: the binary called by the name of one is that program, and so is
 * `nubo NAME ...`.
 */
#ifndef NUBO_MANAGE_H
#define NUBO_MANAGE_H

#include <stdbool.h>

/* Runs the program that argv[0], or argv[1] after the program's own name, names; false when none has that name. */
bool manage_run(int argc, char **argv, int *ret_status);

#endif
