/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: glance-manage.
 */
#ifndef GLANCE_COMMANDS_H
#define GLANCE_COMMANDS_H

#include "oslo/command.h"

extern const struct program glance_manage;

#endif
