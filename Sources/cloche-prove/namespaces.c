// Namespaces: making, joining and listing them. A user namespace of its own lends a process every capability over the
// others that it then makes, which is how most holes of the kernel below were reached.
// Source: clone(2), unshare(2), setns(2), ioctl_ns(2).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

static const struct {
    const char *name;
    const char *file;
    unsigned long flag;
} kinds[] = {
    {"CLONE_NEWNS", "mnt", CLONE_NEWNS},    {"CLONE_NEWCGROUP", "cgroup", 0x02000000},
    {"CLONE_NEWUTS", "uts", CLONE_NEWUTS},  {"CLONE_NEWIPC", "ipc", CLONE_NEWIPC},
    {"CLONE_NEWUSER", "user", CLONE_NEWUSER}, {"CLONE_NEWPID", "pid", CLONE_NEWPID},
    {"CLONE_NEWNET", "net", CLONE_NEWNET},  {"CLONE_NEWTIME", "time", 0x80},
};
enum { kindCount = sizeof kinds / sizeof *kinds };

// Arguments of clone in the order that both machines share as far as it is used here: flags, then stack.
static long cloneCall(unsigned long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, NULL, NULL, 0);
    if (child == 0) _exit(0);
    if (child > 0) {
        int error = errno;
        waitpid((pid_t)child, NULL, __WALL);
        errno = error;
    }
    return child;
}

static void unshareEach(void) {
    char what[96];
    for (size_t index = 0; index < kindCount; index++) {
        snprintf(what, sizeof what, "unshare(%s)", kinds[index].name);
        expect(what, syscall(SYS_unshare, kinds[index].flag), EPERM);
        snprintf(what, sizeof what, "unshare(1<<32|%s)", kinds[index].name);
        expect(what, syscall(SYS_unshare, WIDE(kinds[index].flag)), EPERM);
    }
}

static void cloneEach(void) {
    char what[96];
    for (size_t index = 0; index < kindCount; index++) {
        // There the bit of CLONE_NEWTIME belongs to the number of a signal.
        if (kinds[index].flag == 0x80) continue;
        snprintf(what, sizeof what, "clone(%s)", kinds[index].name);
        expect(what, cloneCall(kinds[index].flag), EPERM);
        snprintf(what, sizeof what, "clone(1<<32|%s)", kinds[index].name);
        expect(what, cloneCall((unsigned long)WIDE(kinds[index].flag)), EPERM);
        snprintf(what, sizeof what, "clone(CLONE_NEWUSER|%s)", kinds[index].name);
        expect(what, cloneCall(kinds[index].flag | CLONE_NEWUSER), EPERM);
    }
}

static void clone3Each(void) {
    char what[96];
    for (size_t index = 0; index < kindCount; index++) {
        uint64_t arguments[11];
        memset(arguments, 0, sizeof arguments);
        arguments[0] = kinds[index].flag;
        arguments[4] = SIGCHLD;
        long child = syscall(call_clone3, arguments, sizeof arguments);
        if (child == 0) _exit(0);
        snprintf(what, sizeof what, "clone3(%s)", kinds[index].name);
        expect(what, child, ENOSYS);
    }
}

static void joinEach(void) {
    char what[96];
    for (size_t index = 0; index < kindCount; index++) {
        snprintf(what, sizeof what, "/proc/self/ns/%s", kinds[index].file);
        int own = open(what, O_RDONLY | O_CLOEXEC);
        snprintf(what, sizeof what, "setns(own %s)", kinds[index].file);
        expect(what, syscall(SYS_setns, own, kinds[index].flag), EPERM);
        snprintf(what, sizeof what, "setns(1<<32|own %s)", kinds[index].file);
        expect(what, syscall(SYS_setns, WIDE(own), kinds[index].flag), EPERM);
        if (own >= 0) close(own);
    }
}

static void listing(void) {
    // struct ns_id_req: size, spare, an id, a kind, spare, a user namespace.
    uint64_t request[4] = {32, 0, 0, 0}, found[8];
    expect("listns", syscall(call_listns, request, found, 8, 0), ENOSYS);
}

static void parents(void) {
    enum { getUser = 0xB701, getParent = 0xB702 };
    const char *files[] = {"/proc/self/ns/user", "/proc/self/ns/pid"};
    for (size_t index = 0; index < 2; index++) {
        int own = open(files[index], O_RDONLY | O_CLOEXEC);
        if (own < 0) {
            untried("%s: %s", files[index], errorName(errno));
            continue;
        }
        expect(index == 0 ? "NS_GET_PARENT of the user namespace" : "NS_GET_PARENT of the process namespace",
               ioctl(own, getParent), EPERM);
        if (index == 0) expect("NS_GET_USERNS of the user namespace", ioctl(own, getUser), EPERM);
        close(own);
    }
    int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (own < 0) return untried("no /proc/self/ns/mnt");
    // NS_MNT_GET_NEXT and NS_MNT_GET_PREV walk the mount namespaces of the machine since Linux 6.12.
    unsigned char info[16];
    const unsigned long walk[] = {0x8010B70B, 0x8010B70C};
    for (size_t index = 0; index < 2; index++) {
        memset(info, 0, sizeof info);
        int other = ioctl(own, walk[index], info);
        expectFailure(index ? "NS_MNT_GET_PREV" : "NS_MNT_GET_NEXT", other);
    }
}

// The road of many holes in one piece: a user namespace, a mount namespace in it, an overlay in that.
static void nested(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        expect("unshare(CLONE_NEWUSER | CLONE_NEWNS)", -1, EPERM);
        return;
    }
    reached("a user namespace with a mount namespace");
    if (mount("none", "/tmp", "overlay", 0, "lowerdir=/proc:/dev") == 0) reached("an overlay mounted in it");
}

const struct Test namespaceTests[] = {
    {"calls.unshare", "leave for a new namespace of each kind, also with high bits", unshareEach},
    {"calls.clone", "start a process in a new namespace of each kind, also with high bits", cloneEach},
    {"calls.clone3", "the same with flags in memory, where no filter can look", clone3Each},
    {"calls.setns", "join a namespace by its file", joinEach},
    {"calls.listns", "list the namespaces of the machine", listing},
    {"calls.namespace-parents", "get the parents of our namespaces by ioctl_ns(2)", parents},
    {"calls.user-namespace",
     "mount an overlay in a user namespace of our own (CVE-2015-1328, CVE-2021-3493, CVE-2023-0386, CVE-2023-2640, "
     "CVE-2023-32629, CVE-2023-32233)",
     nested},
    {NULL, NULL, NULL},
};
