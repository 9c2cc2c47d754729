/* SPDX-License-Identifier: Apache-2.0
 * vif: see vif.h.
 *
 * The device is made by ioctl from a thread of its own that has entered the namespace: microseconds, where three runs of `ip`
 * take tens of milliseconds. A namespace is entered per thread, so nobody else notices. */
#include "nova/virt/vif.h"

#include "base/process.h"
#include "base/work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct tap_job {
    const char *netns_path; /* NULL: here */
    const char *name;
    unsigned mtu;
    bool remove;
    const char *failed;     /* which step, or NULL */
    int error;
};

const char *vif_tap_name(struct arena *arena, const char *port_id)
{
    return arena_printf(arena, "tap%.11s", port_id);
}

static bool bring_up(const struct tap_job *job, struct ifreq *request)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return false;
    bool done = true;
    if (job->mtu != 0) {
        request->ifr_mtu = (int)job->mtu;
        done = ioctl(control, SIOCSIFMTU, request) == 0;
    }
    done = done && ioctl(control, SIOCGIFFLAGS, request) == 0;
    request->ifr_flags |= IFF_UP;
    done = done && ioctl(control, SIOCSIFFLAGS, request) == 0;
    int why = errno;
    close(control);
    errno = why;
    return done;
}

static const char *change_tap(const struct tap_job *job)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", job->name);
    bool exists = if_nametoindex(job->name) != 0;
    if (job->remove && !exists)
        return NULL;
    if (!job->remove && exists) /* a guest may hold it already: attaching again would be refused as busy */
        return bring_up(job, &request) ? NULL : "set it up";
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return "open /dev/net/tun";
    const char *failed = ioctl(fd, TUNSETIFF, &request) != 0 ? "make it"
        : ioctl(fd, TUNSETPERSIST, job->remove ? 0 : 1) != 0 ? "keep it" : NULL;
    if (failed == NULL && !job->remove && !bring_up(job, &request))
        failed = "set it up";
    int why = errno;
    close(fd);
    errno = why;
    return failed;
}

static void run_tap_job(void *argument)
{
    struct tap_job *job = argument;
    int netns = -1;
    if (job->netns_path != NULL && ((netns = open(job->netns_path, O_RDONLY | O_CLOEXEC)) < 0 || setns(netns, CLONE_NEWNET) != 0))
        job->failed = "enter its network namespace";
    else
        job->failed = change_tap(job);
    job->error = errno;
    if (netns >= 0)
        close(netns);
}

static struct fault *do_tap_job(struct arena *arena, const struct vif_place *place, struct tap_job *job)
{
    if (strlen(job->name) >= IFNAMSIZ || strchr(job->name, '/') != NULL || job->name[0] == '-' || job->name[0] == '\0')
        return fault_new(arena, 400, "InvalidInput", "Invalid input received: %s is not a device name", job->name);
    job->netns_path = place->netns != NULL ? arena_printf(arena, "/run/netns/%s", place->netns) : NULL;
    work_thread_join(work_thread_start("vif", run_tap_job, job));
    /* A namespace that is gone took its devices with it. */
    if (job->failed == NULL || (job->remove && job->netns_path != NULL && job->error == ENOENT))
        return NULL;
    return fault_new(arena, 500, "VifPlugFailed", "Tap device %s: cannot %s: %s.", job->name, job->failed, strerror(job->error));
}

static struct fault *run_vsctl(struct arena *arena, const char *const *argv)
{
    return process_run(arena, &(struct process){ .argv = argv }, NULL);
}

struct fault *vif_plug(struct arena *arena, const struct vif_place *place, const struct virt_nic *nic, const char *instance_uuid)
{
    struct tap_job job = { .name = nic->tap, .mtu = nic->mtu };
    TRY(do_tap_job(arena, place, &job));
    if (place->ovs_db == NULL)
        return NULL;
    const char *bridge = nic->bridge != NULL ? nic->bridge : "br-int";
    return run_vsctl(arena, ARGV("ovs-vsctl", "--timeout=10", arena_printf(arena, "--db=%s", place->ovs_db), "--",
        "--may-exist", "add-port", bridge, nic->tap, "--", "set", "Interface", nic->tap,
        arena_printf(arena, "external_ids:iface-id=%s", nic->port_id), "external_ids:iface-status=active",
        arena_printf(arena, "external_ids:attached-mac=\"%s\"", nic->mac),
        arena_printf(arena, "external_ids:vm-uuid=%s", instance_uuid)));
}

struct fault *vif_unplug(struct arena *arena, const struct vif_place *place, const char *tap)
{
    struct fault *fault = NULL;
    if (place->ovs_db != NULL)
        fault = run_vsctl(arena, ARGV("ovs-vsctl", "--timeout=10", arena_printf(arena, "--db=%s", place->ovs_db), "--",
            "--if-exists", "del-port", tap));
    struct tap_job job = { .name = tap, .remove = true };
    struct fault *device = do_tap_job(arena, place, &job);
    return fault != NULL ? fault : device;
}
