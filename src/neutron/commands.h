/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: neutron-db-manage.
 */
#ifndef NEUTRON_COMMANDS_H
#define NEUTRON_COMMANDS_H

#include "oslo/command.h"

extern const struct program neutron_db_manage;

#endif
