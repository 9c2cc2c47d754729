/* SPDX-License-Identifier: Apache-2.0
 *
 * access_rules: which requests a token may be used for, that came from an application credential with access rules
 * (keystonemiddleware's auth_token).
 */
#ifndef OSLO_ACCESS_RULES_H
#define OSLO_ACCESS_RULES_H

#include <stdbool.h>

/* Whether one of the rules ([{"service", "method", "path"}, ...] as JSON) names the request. Keystone may always be asked
 * whether a token is valid. */
bool access_rules_allow(const char *rules, const char *service_type, const char *method, const char *path);

/* Whether a path matches a rule's: {name} and * stand for one segment or a part of one (at least a character), ** for
 * anything. Works in the product of both lengths. */
bool access_rules_path_matches(const char *pattern, const char *path);

#endif
