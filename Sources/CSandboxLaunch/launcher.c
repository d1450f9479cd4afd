// The launcher and the walk over a launch plan. See CSandboxLaunch.h.
#define _GNU_SOURCE
#include "CSandboxLaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

struct walk {
    const char *block;
    const struct CSandboxLaunch_operation *operations;
    uint32_t count;
    int descriptors[CSandboxLaunch_maximumDescriptors];
    int descriptorCount;
    int supervisor;             // socket to the supervisor: closed when it is gone
    volatile int error, failed; // shared with the launcher: CLONE_VM
    char detail[CSandboxLaunch_maximumDetail];
};

static union {
    struct CSandboxLaunch_block header;
    char bytes[CSandboxLaunch_maximumBlock];
} block;
static char stack[128 * 1024] __attribute__((aligned(16)));
// Of the launcher's own network namespace: the supervisor's, made for the next sandbox, or in use by one.
static enum { networkInherited, networkReady, networkUsed } network = networkInherited;

static const char *text(const struct walk *walk, const struct CSandboxLaunch_operation *operation, int index) {
    return operation->string[index] ? walk->block + operation->string[index] : NULL;
}

static int descriptorAt(const struct walk *walk, uint64_t index) {
    return index < (uint64_t)walk->descriptorCount ? walk->descriptors[index] : -1;
}

static int loopbackUp(void) {
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return -1;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int result = ioctl(socket_, SIOCSIFFLAGS, &request);
    int error = errno;
    close(socket_);
    errno = error;
    return result;
}

// For the first sandbox: it takes longer than all the rest of a launch together, and the supervisor builds the stage
// meanwhile. Where it fails, the clone that needs one says why, and the operation that brings up the loopback device.
static void prepareNetwork(void) {
    if (unshare(CLONE_NEWNET) < 0) return;
    network = networkReady;
    (void)loopbackUp();
}

static int writeFile(const char *path, const char *bytes) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    size_t length = strlen(bytes);
    ssize_t written = write(file, bytes, length);
    int error = written < 0 ? errno : EIO;
    close(file);
    errno = error;
    return written == (ssize_t)length ? 0 : -1;
}

static int pivotRoot(const char *root) {
    if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) return -1;
    // The old root lies on top of the new one now; detaching it leaves nothing of it reachable.
    if (umount2(".", MNT_DETACH) < 0) return -1;
    return chdir("/");
}

static int remount(const char *target, unsigned long flags) {
    // Flags that a mount took over from a more privileged one are locked: leaving them out would be EPERM.
    struct statvfs status;
    if (statvfs(target, &status) < 0) return -1;
    unsigned long locked = 0;
    if (status.f_flag & ST_RDONLY) locked |= MS_RDONLY;
    if (status.f_flag & ST_NOSUID) locked |= MS_NOSUID;
    if (status.f_flag & ST_NODEV) locked |= MS_NODEV;
    if (status.f_flag & ST_NOEXEC) locked |= MS_NOEXEC;
    if (status.f_flag & ST_NOATIME) locked |= MS_NOATIME;
    if (status.f_flag & ST_RELATIME) locked |= MS_RELATIME;
    return mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | locked | flags, NULL);
}

static int becomeUser(uid_t user, gid_t group) {
    if (syscall(SYS_setgroups, 0, NULL) < 0) return -1;
    if (syscall(SYS_setresgid, group, group, group) < 0) return -1;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -1;
    return (int)syscall(SYS_setresuid, user, user, user);
}

static int parentDeath(int supervisor) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) return -1;
    // A supervisor that ended before the line above sends no signal any more; its end of the socket tells.
    struct pollfd poll_ = {.fd = supervisor, .events = 0};
    if (poll(&poll_, 1, 0) < 0) return -1;
    if (poll_.revents & (POLLHUP | POLLERR)) {
        errno = ESRCH;
        return -1;
    }
    return 0;
}

// A change of ids away from root empties the effective set; the permitted one was kept.
static int useCapabilities(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    if (syscall(SYS_capget, &header, data) < 0) return -1;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    return (int)syscall(SYS_capset, &header, data);
}

static int keepCapabilities(void) {
    // Without an id of root, execve(2) takes away all that is not ambient.
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) return -1;
    data[0].inheritable = data[0].permitted;
    data[1].inheritable = data[1].permitted;
    if (syscall(SYS_capset, &header, data) < 0) return -1;
    for (unsigned long capability = 0; capability < 64; capability++) {
        uint32_t word = data[capability / 32].permitted;
        if (!(word & (1U << (capability % 32)))) continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return -1;
    }
    return 0;
}

static int setAffinity(const char *processors) {
    unsigned long set[1024 / (8 * sizeof(unsigned long))] = {0};
    unsigned long number = 0;
    for (; *processors; processors++) {
        if (*processors == ',') {
            if (number >= 8 * sizeof set) {
                errno = EOVERFLOW;
                return -1;
            }
            set[number / (8 * sizeof *set)] |= 1UL << (number % (8 * sizeof *set));
            number = 0;
        } else {
            number = number * 10 + (unsigned long)(*processors - '0');
        }
    }
    return syscall(SYS_sched_setaffinity, 0, sizeof set, set) < 0 ? -1 : 0;
}

static int execute(int descriptor, const char *name) {
    char *arguments[] = {(char *)name, NULL};
    char *variables[] = {NULL};
    return (int)syscall(SYS_execveat, descriptor, "", arguments, variables, AT_EMPTY_PATH);
}

static int perform(struct walk *walk, const struct CSandboxLaunch_operation *operation) {
    const char *first = text(walk, operation, 0);
    const uint64_t *number = operation->number;
    switch (operation->code) {
    case CSandboxLaunch_becomeUser: return becomeUser((uid_t)number[0], (gid_t)number[1]);
    case CSandboxLaunch_mount:
        return mount(first, text(walk, operation, 1), text(walk, operation, 2), number[0], text(walk, operation, 3));
    case CSandboxLaunch_makeDirectory: return mkdir(first, (mode_t)number[0]);
    case CSandboxLaunch_changeOwner: return lchown(first, (uid_t)number[0], (gid_t)number[1]);
    case CSandboxLaunch_pivotRoot: return pivotRoot(first);
    case CSandboxLaunch_setHostName: return sethostname(first, strlen(first));
    case CSandboxLaunch_loopbackUp: return loopbackUp();
    case CSandboxLaunch_setLimit: {
        struct { uint64_t soft, hard; } limit = {number[1], number[2]}, had;
        // Who started all this may have less than the plan would allow, and cannot give more.
        if (syscall(SYS_prlimit64, 0, (int)number[0], NULL, &had) < 0) return -1;
        if (limit.hard > had.hard) limit.hard = had.hard;
        if (limit.soft > limit.hard) limit.soft = limit.hard;
        return (int)syscall(SYS_prlimit64, 0, (int)number[0], &limit, NULL);
    }
    case CSandboxLaunch_writeFile: return writeFile(first, text(walk, operation, 1));
    case CSandboxLaunch_parentDeath: return parentDeath(walk->supervisor);
    case CSandboxLaunch_newSession: return setsid() < 0 ? -1 : 0;
    case CSandboxLaunch_place:
        return dup3(descriptorAt(walk, number[0]), (int)number[1], number[2] ? O_CLOEXEC : 0) < 0 ? -1 : 0;
    case CSandboxLaunch_closeFrom: return (int)syscall(SYS_close_range, (unsigned)number[0], ~0U, 0);
    case CSandboxLaunch_execute: return execute((int)number[0], first);
    case CSandboxLaunch_setUmask: umask((mode_t)number[0]); return 0;
    case CSandboxLaunch_remount: return remount(first, number[0]);
    case CSandboxLaunch_linkSymbolic: return symlink(first, text(walk, operation, 1));
    case CSandboxLaunch_joinNamespace: return setns(descriptorAt(walk, number[0]), (int)number[1]);
    case CSandboxLaunch_keepCapabilities: return keepCapabilities();
    case CSandboxLaunch_setAffinity: return setAffinity(first);
    case CSandboxLaunch_auditMounts: return CSandboxLaunch_compareMounts(first, walk->detail);
    default: errno = ENOSYS; return -1;
    }
}

static int walkPlan(void *argument) {
    struct walk *walk = argument;
    for (uint32_t index = 0; index < walk->count; index++) {
        if (perform(walk, &walk->operations[index]) < 0) {
            walk->error = errno ? errno : EIO;
            walk->failed = (int)index;
            _exit(1);
        }
    }
    // Only execute ends a plan well, and it does not come back.
    walk->error = EINVAL;
    walk->failed = (int)walk->count;
    _exit(1);
}

static int receive(int socket_, struct walk *walk, ssize_t *length) {
    struct iovec vector = {.iov_base = block.bytes, .iov_len = sizeof block.bytes};
    char control[CMSG_SPACE(sizeof(int) * CSandboxLaunch_maximumDescriptors)] __attribute__((aligned(8)));
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    do *length = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
    while (*length < 0 && errno == EINTR);
    if (*length <= 0) return 0;
    walk->descriptorCount = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int index = 0; index < count && walk->descriptorCount < CSandboxLaunch_maximumDescriptors; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + sizeof(int) * (size_t)index, sizeof(int));
            // High numbers, so that placing one never overwrites another.
            int high = fcntl(descriptor, F_DUPFD_CLOEXEC, 64);
            close(descriptor);
            walk->descriptors[walk->descriptorCount++] = high;
        }
    }
    return (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
}

static int understood(ssize_t length, struct walk *walk) {
    uint64_t need = sizeof block.header + (uint64_t)block.header.operations * sizeof(struct CSandboxLaunch_operation);
    if ((size_t)length < sizeof block.header || block.header.magic != CSandboxLaunch_magic) return 0;
    if (block.header.size != (size_t)length || need > (uint64_t)length || block.bytes[length - 1] != 0) return 0;
    walk->block = block.bytes;
    walk->operations = (const struct CSandboxLaunch_operation *)(block.bytes + sizeof block.header);
    walk->count = block.header.operations;
    for (uint32_t index = 0; index < walk->count; index++)
        for (int string = 0; string < 4; string++)
            if (walk->operations[index].string[string] >= (size_t)length) return 0;
    return 1;
}

static void answer(int socket_, const struct CSandboxLaunch_answer *answer_, int pidfd) {
    struct iovec vector = {.iov_base = (void *)answer_, .iov_len = sizeof *answer_};
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (pidfd >= 0) {
        memset(control, 0, sizeof control);
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &pidfd, sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(socket_, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    // Who waits for an answer that cannot come learns of it by the end of this process.
    if (sent < 0) _exit(CSandboxLaunch_endAnswer);
}

static void launch(int socket_, struct walk *walk) {
    int pidfd = -1;
    walk->error = 0;
    walk->failed = -1;
    walk->detail[0] = 0;
    // CLONE_PARENT: the supervisor becomes the parent, so that it reaps, and its death is noticed.
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | (int)block.header.namespaces;
    if (network == networkReady && (flags & CLONE_NEWNET)) {
        flags &= ~CLONE_NEWNET;
        network = networkUsed;
    }
    pid_t process = clone(walkPlan, stack + sizeof stack, flags | SIGCHLD, walk, &pidfd);
    struct CSandboxLaunch_answer result = {.error = walk->error, .operation = walk->failed, .process = process};
    if (process < 0) {
        result.error = errno;
        result.operation = -1;
    }
    memcpy(result.detail, walk->detail, sizeof result.detail);
    // A process that failed is the supervisor's child as well: it gets the pidfd to reap it.
    answer(socket_, &result, process < 0 ? -1 : pidfd);
    if (pidfd >= 0) close(pidfd);
}

static void serve(int socket_) {
    static struct walk walk;
    walk.supervisor = socket_;
    for (;;) {
        ssize_t length;
        int whole = receive(socket_, &walk, &length);
        if (length <= 0) _exit(0);
        // Without a network namespace of its own a sandbox is to be in the supervisor's, which this process has left.
        int isMisled = network != networkInherited && !(block.header.namespaces & CLONE_NEWNET);
        if (whole && understood(length, &walk) && !isMisled) {
            launch(socket_, &walk);
        } else {
            struct CSandboxLaunch_answer result = {.error = EBADMSG, .operation = -2, .process = -1};
            answer(socket_, &result, -1);
        }
        for (int index = 0; index < walk.descriptorCount; index++) close(walk.descriptors[index]);
        walk.descriptorCount = 0;
    }
}

// Makes a copy of this process in a group of version 2: a process that moves itself waits for all processors. Returns
// -1 where the kernel cannot (before 5.7), or does not want to and the list will tell why.
static pid_t forkInto(int directory) {
    if (directory < 0) return -1;
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)(unsigned)directory};
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static int enter(int list) { return write(list, "0", 1) == 1 ? 0 : -1; }

pid_t CSandboxLaunch_startLauncher(
    int socket_, const struct CSandboxLaunch_groups *groups, const uid_t *user, int makesNetwork
) {
    pid_t parent = getpid();
    pid_t process = forkInto(groups->unifiedDirectory);
    int isInside = process >= 0;
    if (!isInside) process = fork();
    if (process != 0) return process;
    prctl(PR_SET_NAME, "cloche-launcher", 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (int signal_ = 1; signal_ < 65; signal_++) signal(signal_, SIG_DFL);
    // Ctrl-C at the terminal is the supervisor's to handle.
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int index = 0; index < groups->listCount; index++)
        if (enter(groups->lists[index]) < 0) _exit(CSandboxLaunch_endGroups);
    if (!isInside && groups->unifiedList >= 0 && enter(groups->unifiedList) < 0) _exit(CSandboxLaunch_endGroups);
    struct __user_cap_data_struct capabilities[2];
    if (user && (becomeUser(*user, *user) < 0 || useCapabilities(capabilities) < 0)) _exit(CSandboxLaunch_endUser);
    // After the change of ids, which forgets it: it must not outlive the supervisor.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent) _exit(CSandboxLaunch_endParent);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) _exit(CSandboxLaunch_endPrivileges);
    // The supervisor's change of the root directory takes along those who stand in it.
    if (chdir("/") < 0) _exit(CSandboxLaunch_endDirectory);
    // Standard streams stay (they are /dev/null or the terminal, and are replaced in every sandbox); the rest goes.
    if (socket_ != 3 && dup3(socket_, 3, O_CLOEXEC) < 0) _exit(CSandboxLaunch_endDescriptors);
    if (syscall(SYS_close_range, 4U, ~0U, 0) < 0) _exit(CSandboxLaunch_endDescriptors);
    if (makesNetwork) prepareNetwork();
    serve(3);
    _exit(0);
}
