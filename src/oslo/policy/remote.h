/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/remote: `http:` and `https:` checks of a policy: another server is asked, and says True or not. It is told the rule,
 * the target and who acts, as oslo.policy tells it ([oslo_policy] remote_*).
 */
#ifndef OSLO_POLICY_REMOTE_H
#define OSLO_POLICY_REMOTE_H

#include "oslo/policy.h"

struct app;

/* policy_settings.http; `app` is its data. Waits for the other server, at most [oslo_policy] remote_timeout seconds. */
bool policy_remote_check(void *app, const char *rule, const char *url, const struct policy_target *target,
    const struct policy_credentials *credentials);

#endif
