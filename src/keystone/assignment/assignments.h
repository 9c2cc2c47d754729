/* SPDX-License-Identifier: Apache-2.0
 *
 * assignments: role assignments as they were made, or as they take effect: groups replaced by their members, what is
 * handed down by the projects that it reaches, roles followed by the roles that they imply.
 */
#ifndef KEYSTONE_ASSIGNMENTS_H
#define KEYSTONE_ASSIGNMENTS_H

#include "keystone/model.h"
#include "keystone/reference.h"

struct assignment {
    const char *user_id, *group_id;      /* one of both */
    const char *project_id, *domain_id;  /* one of both; none: the system */
    const char *role_id;
    bool inherited;                      /* reaches the projects below */
    /* Where an effective one comes from; NULL: from itself. */
    const char *from_group, *from_project, *from_domain, *from_role;
};

struct assignments {
    struct assignment *items;
    size_t count, capacity;
};

/* NULL: any. */
struct assignment_filter {
    const char *role_id, *user_id, *group_id, *project_id, *domain_id;
    bool system;                          /* only those on the system */
    bool subtree;                         /* the project and those below it */
    bool inherited_only, direct_only;
};

/* In the transaction's arena; a zeroed `ret` is filled, in no order that a caller may count on. */
struct fault *assignments_direct(struct tx *tx, const struct assignment_filter *filter, struct assignments *ret);
struct fault *assignments_effective(struct tx *tx, const struct reference *reference,
    const struct assignment_filter *filter, struct assignments *ret);

#endif
