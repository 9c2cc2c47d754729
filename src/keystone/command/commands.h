/* SPDX-License-Identifier: Apache-2.0
 *
 * commands: keystone-manage. Its table is in commands.c; the families of commands have files of their own.
 */
#ifndef KEYSTONE_COMMANDS_H
#define KEYSTONE_COMMANDS_H

#include "oslo/command.h"

extern const struct program keystone_manage;

/* Opens the database and gives the app what keystone's own functions expect of one that runs. */
struct fault *keystone_command_open(struct command_call *call);

/* Key repositories (commands_keys.c). */
extern const struct argument keystone_owner_arguments[];
struct fault *keystone_fernet_setup(struct command_call *call);
struct fault *keystone_fernet_rotate(struct command_call *call);
struct fault *keystone_token_setup(struct command_call *call);
struct fault *keystone_token_rotate(struct command_call *call);
struct fault *keystone_receipt_setup(struct command_call *call);
struct fault *keystone_receipt_rotate(struct command_call *call);
struct fault *keystone_credential_setup(struct command_call *call);
struct fault *keystone_credential_rotate(struct command_call *call);
struct fault *keystone_credential_migrate(struct command_call *call);
extern const struct argument keystone_jws_arguments[];
struct fault *keystone_create_jws_keypair(struct command_call *call);

/* Rows of the database (commands_rows.c). */
extern const struct argument keystone_trust_flush_arguments[], keystone_mapping_purge_arguments[],
    keystone_mapping_populate_arguments[], keystone_project_setup_arguments[], keystone_user_setup_arguments[],
    keystone_last_active_arguments[];
struct fault *keystone_trust_flush(struct command_call *call);
struct fault *keystone_mapping_purge(struct command_call *call);
struct fault *keystone_mapping_populate(struct command_call *call);
struct fault *keystone_project_setup(struct command_call *call);
struct fault *keystone_user_setup(struct command_call *call);
struct fault *keystone_reset_last_active(struct command_call *call);

/* Files (commands_files.c). */
extern const struct argument keystone_domain_config_arguments[], keystone_mapping_engine_arguments[];
struct fault *keystone_domain_config_upload(struct command_call *call);
struct fault *keystone_mapping_engine(struct command_call *call);
struct fault *keystone_saml_metadata(struct command_call *call);

struct fault *keystone_doctor(struct command_call *call); /* commands_doctor.c */

#endif
