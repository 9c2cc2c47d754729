/* SPDX-License-Identifier: Apache-2.0
 *
 * directory_api: users and groups of directories, as the API shows them. Each function answers the request when it is about
 * a directory, and says so; the caller goes on otherwise. Policy has been enforced.
 */
#ifndef KEYSTONE_DIRECTORY_API_H
#define KEYSTONE_DIRECTORY_API_H

#include "keystone/identity/directory_driver.h"
#include "keystone/state.h"

/* The list of the domain that ?domain_id, or else the token, names. */
struct fault *directory_list_respond(struct request *rq, enum directory_kind kind, bool *ret_done);
struct fault *directory_show_respond(struct request *rq, enum directory_kind kind, const char *id, bool *ret_done);
/* The groups of a user, or the users of a group (`kind` says what is listed). */
struct fault *directory_members_respond(struct request *rq, enum directory_kind kind, const char *of_id, bool *ret_done);
/* *ret_member: whether the user is in the group. */
struct fault *directory_member(struct request *rq, const char *user_id, const char *group_id, bool *ret_done, bool *ret_member);

/* 403 for whoever wants to change what lives in a directory: by its id, or (NULL id) by its domain. */
struct fault *directory_refuse_change(struct request *rq, enum directory_kind kind, const char *id, const char *domain_id);

#endif
