// The mount table: the calls that change or show it. What is mounted by mistake is taken away again.
// Source: mount(2), pivot_root(2), open_tree(2), statmount(2).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void tryMount(const char *type, const char *target, unsigned long flags, const char *data) {
    char what[96];
    snprintf(what, sizeof what, "mount(%s)", type);
    long result = syscall(SYS_mount, "none", target, type, flags, data);
    expect(what, result, EPERM);
    if (result == 0) umount2(target, MNT_DETACH);
    result = syscall(SYS_mount, "none", target, type, WIDE(flags), data);
    expect(what, result, EPERM);
    if (result == 0) umount2(target, MNT_DETACH);
}

static void mounting(void) {
    tryMount("tmpfs", "/tmp", 0, NULL);
    tryMount("proc", "/tmp", 0, NULL);
    tryMount("sysfs", "/tmp", 0, NULL);
    tryMount("devpts", "/tmp", 0, NULL);
    tryMount("mqueue", "/tmp", 0, NULL);
    tryMount("ramfs", "/tmp", 0, NULL);
    tryMount("overlay", "/tmp", 0, "lowerdir=/proc:/dev");
    // Without a type: a filter on names of file systems would not see these.
    long result = syscall(SYS_mount, "/proc", "/tmp", NULL, MS_BIND, NULL);
    expect("mount(MS_BIND)", result, EPERM);
    if (result == 0) umount2("/tmp", MNT_DETACH);
    expect("mount(MS_REMOUNT)", syscall(SYS_mount, NULL, "/proc/none", NULL, MS_REMOUNT, NULL), EPERM);
    expect("mount(MS_SHARED)", syscall(SYS_mount, NULL, "/proc/none", NULL, MS_SHARED, NULL), EPERM);
}

static void controlGroups(void) {
    tryMount("cgroup2", "/tmp", 0, NULL);
    tryMount("cgroup", "/tmp", 0, "memory");
    tryMount("cgroup", "/tmp", 0, "pids");
    tryMount("cgroup", "/tmp", 0, "rdma");
    tryMount("cgroup", "/tmp", 0, "none,name=cloche-prove");
}

static void unmounting(void) {
    // MNT_EXPIRE only marks what is not in use, and fails with EAGAIN or EBUSY where it would be allowed.
    const char *targets[] = {"/proc/sys", "/proc/keys", "/proc", "/dev", "/"};
    for (size_t index = 0; index < sizeof targets / sizeof *targets; index++) {
        char what[64];
        snprintf(what, sizeof what, "umount2(%s)", targets[index]);
        long result = syscall(SYS_umount2, targets[index], MNT_EXPIRE);
        if (result < 0 && (errno == EAGAIN || errno == EBUSY))
            reached("%s is allowed", what);
        else
            expect(what, result, EPERM);
        // Any use takes the mark away; a second call on a marked mount would remove it.
        access(targets[index], F_OK);
    }
}

static void rooting(void) {
    expect("pivot_root", syscall(SYS_pivot_root, "/", "/"), EPERM);
    expect("chroot(/proc)", syscall(SYS_chroot, "/proc"), EPERM);
    expect("chroot(.)", syscall(SYS_chroot, "."), EPERM);
}

static void modern(void) {
    unsigned char attributes[32];
    memset(attributes, 0, sizeof attributes);
    const struct Call calls[] = {
        {"fsopen(tmpfs)", ENOSYS, call_fsopen, {(long)"tmpfs", 0}},
        {"fsopen(cgroup2)", ENOSYS, call_fsopen, {(long)"cgroup2", 0}},
        {"fsopen(1<<32)", ENOSYS, call_fsopen, {(long)"tmpfs", WIDE(0)}},
        {"fsconfig", ENOSYS, call_fsconfig, {-1, 0, (long)"size", 0, 0}},
        {"fsmount", ENOSYS, call_fsmount, {-1, 0, 0}},
        {"fspick", ENOSYS, call_fspick, {AT_FDCWD, (long)"/", 0}},
        // OPEN_TREE_CLONE, and the kind of it that makes a namespace (Linux 7.0).
        {"open_tree", ENOSYS, call_open_tree, {AT_FDCWD, (long)"/", 1}},
        {"open_tree(OPEN_TREE_NAMESPACE)", ENOSYS, call_open_tree, {AT_FDCWD, (long)"/", 2}},
        {"open_tree_attr", ENOSYS, call_open_tree_attr, {AT_FDCWD, (long)"/", 1, (long)attributes, 32}},
        {"move_mount", ENOSYS, call_move_mount, {-1, (long)"", -1, (long)"", 0}},
        {"mount_setattr", ENOSYS, call_mount_setattr, {AT_FDCWD, (long)"/", 0, (long)attributes, 32}},
    };
    EXPECT_CALLS(calls);
}

static void showing(void) {
    struct statx root;
    memset(&root, 0, sizeof root);
    // STATX_MNT_ID_UNIQUE, since Linux 6.8.
    if (syscall(SYS_statx, AT_FDCWD, "/", 0, 0x4000, &root) < 0) untried("statx: %s", errorName(errno));
    // struct mnt_id_req: size and spare, an id, what is wanted; for listmount the id LSMT_ROOT and the last one listed.
    uint64_t one[3] = {24, root.stx_mnt_id, 2}, all[3] = {24, ~0ULL, 0};
    unsigned char found[1024];
    const struct Call calls[] = {
        {"statmount", ENOSYS, call_statmount, {(long)one, (long)found, sizeof found, 0}},
        {"listmount", ENOSYS, call_listmount, {(long)all, (long)found, 8, 0}},
    };
    EXPECT_CALLS(calls);
}

const struct Test mountTests[] = {
    {"calls.mount", "mount file systems and binds, also with high bits", mounting},
    {"calls.mount-cgroup", "mount control groups (runc CVE-2023-25809, CVE-2022-0492)", controlGroups},
    {"calls.umount", "take away what is mounted over files of /proc", unmounting},
    {"calls.pivot-root", "change the root by pivot_root(2) and chroot(2)", rooting},
    {"calls.new-mounts", "use the new mount calls (flatpak CVE-2021-41133, fsconfig CVE-2022-0185)", modern},
    {"calls.statmount", "list the mount table by statmount(2)", showing},
    {NULL, NULL, NULL},
};
