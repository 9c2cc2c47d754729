/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread goes into a named network namespace and home again. See link.h.
 */
#include "neutron/agent/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fault *netns_enter(struct arena *arena, const char *netns, int *ret_home)
{
    *ret_home = -1;
    if (netns == NULL)
        return NULL;
    int there = open(arena_printf(arena, NETNS_DIR "/%s", netns), O_RDONLY | O_CLOEXEC);
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    bool done = there >= 0 && home >= 0 && setns(there, CLONE_NEWNET) == 0;
    int why = errno;
    if (there >= 0)
        close(there);
    if (!done) {
        if (home >= 0)
            close(home);
        return fault_new(arena, 500, NULL, "Cannot enter network namespace %s: %s.", netns, strerror(why));
    }
    *ret_home = home;
    return NULL;
}

void netns_leave(int home)
{
    if (home < 0)
        return;
    if (setns(home, CLONE_NEWNET) != 0)
        abort();
    close(home);
}
