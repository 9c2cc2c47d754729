/* SPDX-License-Identifier: Apache-2.0
 * netns: named network namespaces as iproute2 keeps them. See link.h.
 *
 * A name is a file under /run/netns onto which the namespace is bind-mounted. */
#include "neutron/agent/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static bool name_valid(const char *netns)
{
    return netns[0] != '\0' && netns[0] != '.' && strchr(netns, '/') == NULL && strlen(netns) < 200;
}

static const char *netns_path(struct arena *arena, const char *netns)
{
    return arena_printf(arena, NETNS_DIR "/%s", netns);
}

static struct fault *failed(struct arena *arena, const char *what, const char *netns)
{
    return fault_new(arena, 500, NULL, "%s network namespace %s: %s.", what, netns, strerror(errno));
}

/* The folder must be a shared mount point, else other mount namespaces would never see a name come or go. */
static struct fault *prepare_dir(struct arena *arena)
{
    if (mkdir(NETNS_DIR, 0755) != 0 && errno != EEXIST)
        return failed(arena, "No folder for", NETNS_DIR);
    if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
        return NULL;
    if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) != 0 ||
        mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) != 0)
        return failed(arena, "Cannot share", NETNS_DIR);
    return NULL;
}

static bool make_and_bind(const char *path)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return false;
    if (unshare(CLONE_NEWNET) != 0) {
        close(home);
        return false;
    }
    bool bound = mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) == 0;
    int why = errno;
    netns_leave(home);
    errno = why;
    return bound;
}

struct fault *netns_create(struct arena *arena, const char *netns)
{
    if (!name_valid(netns))
        return fault_new(arena, 500, NULL, "'%s' cannot name a network namespace.", netns);
    if (netns_exists(netns))
        return link_set(arena, netns, "lo", &(struct link_settings){ .up = true });
    TRY(prepare_dir(arena));
    const char *path = netns_path(arena, netns);
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0)
        return failed(arena, "Cannot create", netns);
    close(fd);
    if (!make_and_bind(path)) {
        struct fault *fault = failed(arena, "Cannot create", netns);
        unlink(path);
        return fault;
    }
    return link_set(arena, netns, "lo", &(struct link_settings){ .up = true });
}

struct fault *netns_delete(struct arena *arena, const char *netns)
{
    if (!name_valid(netns))
        return fault_new(arena, 500, NULL, "'%s' cannot name a network namespace.", netns);
    const char *path = netns_path(arena, netns);
    umount2(path, MNT_DETACH); /* a name without a mount is what a crash left */
    if (unlink(path) != 0 && errno != ENOENT)
        return failed(arena, "Cannot delete", netns);
    return NULL;
}

bool netns_exists(const char *netns)
{
    char path[256];
    struct stat file, dir;
    snprintf(path, sizeof(path), NETNS_DIR "/%s", netns);
    /* a file that nothing is mounted on lies on the folder's own device */
    return stat(path, &file) == 0 && stat(NETNS_DIR, &dir) == 0 && file.st_dev != dir.st_dev;
}
