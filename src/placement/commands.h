/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: placement-manage and placement-status.
 */
#ifndef PLACEMENT_COMMANDS_H
#define PLACEMENT_COMMANDS_H

#include "oslo/command.h"

extern const struct program placement_manage, placement_status;

#endif
