/* SPDX-License-Identifier: Apache-2.0
 *
 * content: what an instance may know of itself: the trees /openstack and EC2's of the metadata service, and the files
 * of the config drive. Both are made here, so that they say the same (nova/api/metadata/base.py).
 */
#ifndef NOVA_METADATA_CONTENT_H
#define NOVA_METADATA_CONTENT_H

#include "nova/instance.h"
#include "oslo/context.h"

struct metadata_file {
    const char *path; /* "openstack/2018-08-27/meta_data.json", "openstack/content/0000" */
    const void *data;
    size_t length;
    bool json;
};

/* All files, in the arena. With `drive` also EC2's as JSON documents ("ec2/latest/meta-data.json") and
 * `admin_password` (may be NULL) in meta_data.json; without, "openstack/VERSION/password" is named in the listings
 * only. */
struct fault *metadata_content(struct context *cx, const struct instance *instance, const char *admin_password,
    bool drive,
    const struct metadata_file **ret, size_t *ret_count);

/* Versions, oldest first, NULL-terminated, without "latest". */
extern const char *const metadata_openstack_versions[];
extern const char *const metadata_ec2_versions[];

/* EC2's tree of a version ("latest" too): {"meta-data": {..}, "user-data": text}. NULL: no such version. In the arena.
 * */
json_t *metadata_ec2(struct context *cx, const struct instance *instance, const char *version);

/* The user data, decoded; false when there is none. */
bool metadata_user_data(struct arena *arena, const struct instance *instance, const void **ret, size_t *ret_length);

#endif
