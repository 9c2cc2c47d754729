/* SPDX-License-Identifier: Apache-2.0
 *
 * auth_options: the options of a section that says how a service logs in and where another service is, as keystoneauth's
 * loading registers them. A service adds them to a section by a row in its list of option tables:
 *
 *     static const struct option_table placement_auth = AUTH_OPTIONS("placement");        ([placement] auth_url, username ...)
 *     static const struct option_table placement_adapter = ADAPTER_OPTIONS("placement");  ([placement] region_name ...)
 *
 * and names the section in its `targets` (app.h).
 */
#ifndef OSLO_AUTH_OPTIONS_H
#define OSLO_AUTH_OPTIONS_H

#include "oslo/options.h"

enum { AUTH_OPTION_ROWS = 34, ADAPTER_OPTION_ROWS = 12 };

extern const struct option auth_option_rows[AUTH_OPTION_ROWS];
extern const struct option adapter_option_rows[ADAPTER_OPTION_ROWS];

#define AUTH_OPTIONS(section)    { auth_option_rows, AUTH_OPTION_ROWS, (section) }
#define ADAPTER_OPTIONS(section) { adapter_option_rows, ADAPTER_OPTION_ROWS, (section) }

#endif
