/* SPDX-License-Identifier: Apache-2.0
 *
 * options: what glance-api.conf may say. Names and defaults: glance 2023.1.
 */
#include "glance/images.h"
#include "oslo/middleware.h"

#define KNOWN "Known for existing files: "
#define ONE_STORE KNOWN "images are files in filesystem_store_datadir."
#define NO_IMPORT KNOWN "images are uploaded, not imported."
#define NO_CACHE KNOWN "images are sent from their files; there is nothing to cache."
#define NO_REGISTRY KNOWN "there is no registry."

static const char *const stores[] = { "file", "http", "https", "glance.store.filesystem.Store", "glance.store.http.Store", NULL };

static const struct option rows[] = {
    CORS_OPTIONS("Content-MD5,X-Image-Meta-Checksum,X-Storage-Token,Accept-Encoding,X-Auth-Token,"
                 "X-Identity-Status,X-Roles,X-Service-Catalog,X-User-Id,X-Tenant-Id,X-OpenStack-Request-ID",
                 "X-Image-Meta-Checksum,X-Auth-Token,X-Subject-Token,X-Service-Token,X-OpenStack-Request-ID",
                 "GET,PUT,POST,DELETE,PATCH"),
    { "DEFAULT", "bind_host", OPTION_HOST, "0.0.0.0", "IP address to bind the glance servers to." },
    { "DEFAULT", "bind_port", OPTION_PORT, "9292", "Port number on which the server will listen." },
    { "DEFAULT", "workers", OPTION_INT, NULL, KNOWN "the threads of one process do the work of all workers.", .min = 0, .max = INT32_MAX },
    { "DEFAULT", "backlog", OPTION_INT, "4096", KNOWN "the system's own limit holds." },
    { "DEFAULT", "public_endpoint", OPTION_STR, NULL, KNOWN "links follow the request." },
    { "DEFAULT", "image_size_cap", OPTION_INT, "1099511627776", "Maximum size of image a user can upload in bytes.",
      .min = 1, .max = INT64_MAX },
    { "DEFAULT", "default_publisher_id", OPTION_STR, "image.localhost", "Default publisher_id for outgoing Glance notifications." },
    { "DEFAULT", "disabled_notifications", OPTION_LIST, "", "Notifications that are not sent: events (image.create) or groups of them (image)." },
    { "DEFAULT", "limit_param_default", OPTION_INT, "25", "The default number of results to return for a request.", .min = 1, .max = 1000 },
    { "DEFAULT", "api_limit_max", OPTION_INT, "1000", "Maximum number of results that could be returned by a request.",
      .min = 1, .max = 100000 },
    { "DEFAULT", "show_image_direct_url", OPTION_BOOL, "false", KNOWN "where an image's data is, is never shown." },
    { "DEFAULT", "show_multiple_locations", OPTION_BOOL, "false", KNOWN "as show_image_direct_url." },
    { "DEFAULT", "enabled_backends", OPTION_DICT, NULL, ONE_STORE },
    { "DEFAULT", "enabled_import_methods", OPTION_LIST, "", NO_IMPORT },
    { "DEFAULT", "node_staging_uri", OPTION_STR, "file:///tmp/staging/", NO_IMPORT },
    { "DEFAULT", "worker_self_reference_url", OPTION_STR, NULL, NO_IMPORT },
    { "DEFAULT", "delayed_delete", OPTION_BOOL, "false", KNOWN "an image's data goes with it." },
    { "DEFAULT", "scrub_time", OPTION_INT, "0", KNOWN "as delayed_delete." },
    { "DEFAULT", "image_cache_dir", OPTION_STR, NULL, NO_CACHE },
    { "DEFAULT", "image_cache_max_size", OPTION_INT, "10737418240", NO_CACHE },
    { "DEFAULT", "use_keystone_limits", OPTION_BOOL, "false", KNOWN "there are no limits of projects." },
    { "DEFAULT", "user_storage_quota", OPTION_STR, "0", KNOWN "there are no limits of projects." },
    { "DEFAULT", "secure_proxy_ssl_header", OPTION_STR, NULL, KNOWN "[oslo_middleware] enable_proxy_headers_parsing says it." },
    { "DEFAULT", "property_protection_file", OPTION_STR, NULL, KNOWN "properties are not protected from their owner." },
    { "DEFAULT", "registry_host", OPTION_STR, "0.0.0.0", NO_REGISTRY },
    { "DEFAULT", "registry_port", OPTION_PORT, "9191", NO_REGISTRY },
    { "DEFAULT", "client_socket_timeout", OPTION_INT, "900", KNOWN "an idle connection is closed after a time of the server's own." },
    { "oslo_policy", "enforce_scope", OPTION_BOOL, "true", "Whether the scope of the token must be one of the policy's." },
    { "oslo_policy", "enforce_new_defaults", OPTION_BOOL, "true", "Whether deprecated policy defaults are ignored." },
    { "glance_store", "stores", OPTION_LIST, "file,http", "Stores of images. Uploads go to files; http is where the data of an image with a"
      " location of its own would be.", .choices = stores },
    { "glance_store", "default_store", OPTION_STR, "file", "The store that uploads go to.", .choices = OPTION_WORDS("file") },
    { "glance_store", "default_backend", OPTION_STR, NULL, ONE_STORE },
    { "glance_store", "filesystem_store_datadir", OPTION_STR, NULL,
      "Directory to which the filesystem backend store writes images. Not set: images in the state directory if there is one, else"
      " /var/lib/glance/images." },
    { "glance_store", "filesystem_store_datadirs", OPTION_MULTI, "", KNOWN "filesystem_store_datadir says the one place." },
    { "glance_store", "filesystem_store_file_perm", OPTION_INT, "0", KNOWN "files are the service's alone." },
    { "glance_store", "filesystem_store_chunk_size", OPTION_INT, "65536", KNOWN "data is copied in pieces of the program's own." },
    { "glance_store", "filesystem_thin_provisioning", OPTION_BOOL, "false", KNOWN "data is written as it comes." },
    { "paste_deploy", "flavor", OPTION_STR, NULL, "How requests are handled: keystone checks every token, whatever is said here.",
      .choices = OPTION_WORDS("keystone", "keystone+caching", "keystone+cachemanagement") },
    { "paste_deploy", "config_file", OPTION_STR, NULL, KNOWN "the way of a request is in the program, not in a paste file." },
    { "image_format", "container_formats", OPTION_LIST, "ami,ari,aki,bare,ovf,ova,docker,compressed", KNOWN "these are the formats." },
    { "image_format", "disk_formats", OPTION_LIST, "ami,ari,aki,vhd,vhdx,vmdk,raw,qcow2,vdi,iso,ploop", KNOWN "these are the formats." },
    { "task", "task_time_to_live", OPTION_INT, "48", NO_IMPORT },
    { "task", "task_executor", OPTION_STR, "taskflow", NO_IMPORT },
    { "task", "work_dir", OPTION_STR, NULL, NO_IMPORT },
    { "taskflow_executor", "max_workers", OPTION_INT, "10", NO_IMPORT },
    { "store_type_location_strategy", "store_type_preference", OPTION_LIST, "", ONE_STORE },
    { "wsgi", "task_pool_threads", OPTION_INT, "16", NO_IMPORT },
    { "wsgi", "python_interpreter", OPTION_STR, NULL, KNOWN "there is no Python here." },
};
const struct option_table glance_options = OPTION_TABLE(rows);
