/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: nova-manage and nova-status. The table of nova-manage is in commands.c.
 */
#ifndef NOVA_COMMANDS_H
#define NOVA_COMMANDS_H

#include "oslo/command.h"

extern const struct program nova_manage, nova_status;

/* Opens [database], and what holds the cells, which app->private is then, as of a nova that runs. */
struct fault *nova_command_open(struct command_call *call);
/* The cells' alone. */
struct fault *nova_command_open_cells(struct command_call *call);

/* cell_v2 (commands_cells.c); the names are those of the actions. */
extern const struct argument nova_simple_cell_setup_arguments[], nova_map_cell0_arguments[],
    nova_map_cell_and_hosts_arguments[], nova_map_instances_arguments[], nova_verify_instance_arguments[],
    nova_create_cell_arguments[], nova_update_cell_arguments[], nova_delete_cell_arguments[], nova_list_cells_arguments[],
    nova_list_hosts_arguments[], nova_discover_hosts_arguments[], nova_delete_host_arguments[];
struct fault *nova_simple_cell_setup(struct command_call *call);
struct fault *nova_map_cell0(struct command_call *call);
struct fault *nova_map_cell_and_hosts(struct command_call *call);
struct fault *nova_map_instances(struct command_call *call);
struct fault *nova_verify_instance(struct command_call *call);
struct fault *nova_create_cell(struct command_call *call);
struct fault *nova_update_cell(struct command_call *call);
struct fault *nova_delete_cell(struct command_call *call);
struct fault *nova_list_cells(struct command_call *call);
struct fault *nova_list_hosts(struct command_call *call);
struct fault *nova_discover_hosts(struct command_call *call);
struct fault *nova_delete_host(struct command_call *call);

/* Deleted servers (commands_archive.c). */
extern const struct argument nova_archive_arguments[], nova_purge_arguments[];
struct fault *nova_archive_deleted_rows(struct command_call *call);
struct fault *nova_purge(struct command_call *call);

#endif
