#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/quota.h>
#include <linux/dqblk_xfs.h>
#include <linux/sched.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/types.h>
#include <malloc.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(CLinux_CLONE_NEWUSER == CLONE_NEWUSER && CLinux_CLONE_NEWNS == CLONE_NEWNS, "clone flags");
_Static_assert(CLinux_O_PATH == O_PATH, "O_PATH");
_Static_assert(CLinux_RESOLVE_IN_ROOT == RESOLVE_IN_ROOT && CLinux_RESOLVE_BENEATH == RESOLVE_BENEATH, "openat2");
_Static_assert(CLinux_PR_SET_NO_NEW_PRIVS == PR_SET_NO_NEW_PRIVS && CLinux_PR_CAPBSET_DROP == PR_CAPBSET_DROP, "prctl");
_Static_assert(CLinux_F_ADD_SEALS == F_ADD_SEALS && CLinux_F_SETPIPE_SZ == F_SETPIPE_SZ, "fcntl");

const unsigned long CLinux_FICLONE = FICLONE;

int CLinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}
int CLinux_open_tree(int directory, const char *path, unsigned int flags) {
    return (int)syscall(SYS_open_tree, directory, path, flags);
}
int CLinux_move_mount(int from, const char *fromPath, int to, const char *toPath, unsigned int flags) {
    return (int)syscall(SYS_move_mount, from, fromPath, to, toPath, flags);
}
int CLinux_mount_setattr(int directory, const char *path, unsigned int flags, uint64_t set, uint64_t clear) {
    struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
    return (int)syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes);
}
int CLinux_mount_idmap(int mount, int namespace) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)namespace};
    return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
}
int CLinux_new_tmpfs(const char *size, const char *mode) {
    int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) return -1;
    int mount = -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
        syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", mode, 0) == 0 &&
        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
    int error = errno;
    close(context);
    errno = error;
    return mount;
}
int CLinux_unshare(int flags) { return unshare(flags); }
int CLinux_setns(int descriptor, int type) { return setns(descriptor, type); }
int CLinux_pivot_root(const char *newRoot, const char *oldRoot) {
    return (int)syscall(SYS_pivot_root, newRoot, oldRoot);
}
int CLinux_pidfd_open(pid_t process, unsigned int flags) { return (int)syscall(SYS_pidfd_open, process, flags); }
int CLinux_pidfd_send_signal(int pidfd, int signal, unsigned int flags) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, flags);
}
int CLinux_waitid_pidfd(int pidfd, int options, int *pid, int *code, int *status, struct rusage *usage) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int result = (int)syscall(SYS_waitid, 3 /* P_PIDFD */, pidfd, &info, options, usage);
    *pid = info.si_pid;
    *code = info.si_code;
    *status = info.si_status;
    return result;
}
int CLinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return (int)syscall(SYS_prctl, option, a, b, c, d);
}
int CLinux_memfd_create(const char *name, unsigned int flags) { return (int)syscall(SYS_memfd_create, name, flags); }
int CLinux_renameat2(int oldDirectory, const char *oldPath, int newDirectory, const char *newPath, unsigned int flags) {
    return (int)syscall(SYS_renameat2, oldDirectory, oldPath, newDirectory, newPath, flags);
}
int CLinux_pipe2(int *descriptors, int flags) { return (int)syscall(SYS_pipe2, descriptors, flags); }
int CLinux_dup3(int from, int to, int flags) { return (int)syscall(SYS_dup3, from, to, flags); }
int CLinux_close_range(unsigned int first, unsigned int last, unsigned int flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}
int CLinux_malloc_trim(void) { return malloc_trim(0); }
int CLinux_setresuid(uid_t real, uid_t effective, uid_t saved) {
    return (int)syscall(SYS_setresuid, real, effective, saved);
}
int CLinux_setresgid(gid_t real, gid_t effective, gid_t saved) {
    return (int)syscall(SYS_setresgid, real, effective, saved);
}
int CLinux_setfsuid(uid_t user) { return (int)syscall(SYS_setfsuid, user); }
int CLinux_setfsgid(gid_t group) { return (int)syscall(SYS_setfsgid, group); }
int CLinux_setgroups(size_t count, const gid_t *groups) { return (int)syscall(SYS_setgroups, count, groups); }
int CLinux_fcntl(int descriptor, int command, long argument) { return fcntl(descriptor, command, argument); }
int CLinux_ioctl(int descriptor, unsigned long request, void *argument) { return ioctl(descriptor, request, argument); }
int CLinux_syncfs(int descriptor) {
    return syncfs(descriptor);
}

ssize_t CLinux_copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t length) {
    return syscall(SYS_copy_file_range, from, fromOffset, to, toOffset, length, 0);
}
ssize_t CLinux_flistxattr(int descriptor, char *list, size_t size) { return flistxattr(descriptor, list, size); }
ssize_t CLinux_fgetxattr(int descriptor, const char *name, void *value, size_t size) {
    return fgetxattr(descriptor, name, value, size);
}
int CLinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags) {
    return fsetxattr(descriptor, name, value, size, flags);
}
int CLinux_fremovexattr(int descriptor, const char *name) { return fremovexattr(descriptor, name); }
ssize_t CLinux_llistxattr(const char *path, char *list, size_t size) { return llistxattr(path, list, size); }
ssize_t CLinux_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return lgetxattr(path, name, value, size);
}
int CLinux_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    return lsetxattr(path, name, value, size, flags);
}
ssize_t CLinux_getdents64(int descriptor, void *buffer, size_t size) {
    return syscall(SYS_getdents64, descriptor, buffer, size);
}
ssize_t CLinux_getrandom(void *buffer, size_t size, unsigned int flags) { return getrandom(buffer, size, flags); }
int CLinux_setrlimit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit64 limit = {.rlim_cur = soft, .rlim_max = hard};
    return (int)syscall(SYS_prlimit64, 0, resource, &limit, NULL);
}
int CLinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}
int CLinux_flock(int descriptor, int operation) { return flock(descriptor, operation); }
pid_t CLinux_fork(void) { return fork(); }
pid_t CLinux_fork_sibling(void) { return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL); }
int CLinux_peer_credentials(int socket, pid_t *process, uid_t *user, gid_t *group) {
    struct ucred credentials = {0};
    socklen_t length = sizeof credentials;
    int result = getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    *process = credentials.pid;
    *user = credentials.uid;
    *group = credentials.gid;
    return result;
}
int CLinux_accept(int socket) { return accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

enum { maximumDescriptors = 64 };

ssize_t CLinux_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, int count) {
    if (count < 0 || count > maximumDescriptors) {
        errno = EINVAL;
        return -1;
    }
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    char control[CMSG_SPACE(sizeof(int) * maximumDescriptors)];
    memset(control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)count);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

ssize_t CLinux_receive_descriptors(int socket, void *bytes, size_t length, int *descriptors, int *count) {
    int capacity = *count;
    struct iovec vector = {.iov_base = bytes, .iov_len = length};
    char control[CMSG_SPACE(sizeof(int) * maximumDescriptors)];
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t result = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    *count = 0;
    if (result < 0) return result;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int received = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int index = 0; index < received; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + sizeof(int) * (size_t)index, sizeof(int));
            if (*count < capacity) descriptors[(*count)++] = descriptor;
            else close(descriptor);
        }
    }
    return result;
}
int CLinux_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int index = 0; index < count; index++) sigaddset(&set, signals[index]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
int CLinux_next_signal(int descriptor, int *sent) {
    struct signalfd_siginfo info;
    if (read(descriptor, &info, sizeof info) != (ssize_t)sizeof info) return 0;
    *sent = info.ssi_code <= 0;
    return (int)info.ssi_signo;
}
int CLinux_seccomp_receive(
    int listener, uint64_t *identity, uint32_t *process, uint32_t *number, uint32_t *architecture, uint64_t *arguments) {
    // The kernel may know a longer structure than these headers do; it refuses one that is not zeroed.
    union {
        struct seccomp_notif request;
        char room[512];
    } space;
    memset(&space, 0, sizeof space);
    // Before Linux 6.11 the request below waits for ever once no process is left behind the filter.
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    if (poll(&waiting, 1, 0) < 0) return -1;
    if (!(waiting.revents & POLLIN)) {
        errno = ENOENT;
        return -1;
    }
    int result = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &space.request);
    *identity = space.request.id;
    *process = space.request.pid;
    *number = (uint32_t)space.request.data.nr;
    *architecture = space.request.data.arch;
    for (int index = 0; index < 6; index++) arguments[index] = space.request.data.args[index];
    return result;
}
int CLinux_seccomp_refuse(int listener, uint64_t identity, int error) {
    struct seccomp_notif_resp answer = {.id = identity, .val = 0, .error = -error, .flags = 0};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
int CLinux_seccomp_continue(int listener, uint64_t identity) {
    struct seccomp_notif_resp answer = {.id = identity, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
int CLinux_seccomp_answer_sysinfo(int listener, uint64_t identity, int memory, uint64_t address, uint64_t bytes) {
    struct sysinfo machine;
    if (sysinfo(&machine) < 0) return -1;
    if (bytes > 0) {
        machine.totalram = machine.freeram = bytes;
        machine.mem_unit = 1;
        machine.sharedram = machine.bufferram = machine.totalswap = machine.freeswap = 0;
        machine.totalhigh = machine.freehigh = 0;
    }
    // These are those of everybody on the host.
    machine.loads[0] = machine.loads[1] = machine.loads[2] = 0;
    machine.procs = 1;
    // Another process could have got the caller's number, and its memory have been opened, if the call did not wait still.
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &identity) < 0) return -1;
    // What the address leads to is the caller's own memory, whatever its other threads make of it meanwhile.
    int isWritten = pwrite(memory, &machine, sizeof machine, (off_t)address) == (ssize_t)sizeof machine;
    struct seccomp_notif_resp answer = {.id = identity, .val = 0, .error = isWritten ? 0 : -EFAULT, .flags = 0};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
int CLinux_sched_setaffinity(const void *mask, size_t bytes) {
    return (int)syscall(SYS_sched_setaffinity, 0, bytes, mask);
}
int CLinux_fstatfs(int descriptor, struct CLinux_room *room) {
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) return -1;
    *room = (struct CLinux_room){
        .type = status.f_type, .blockSize = status.f_bsize, .blocks = status.f_blocks,
        .freeBlocks = status.f_bavail, .files = status.f_files, .freeFiles = status.f_ffree};
    return 0;
}

enum { projectQuota = 2 };  // PRJQUOTA

int CLinux_project_limits_held(int descriptor) {
    struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
    unsigned int command = QCMD(Q_XGETQSTAT, projectQuota);
    if (syscall(SYS_quotactl_fd, descriptor, command, 0, &state) < 0) return -1;
    return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

int CLinux_set_project(int descriptor, uint32_t project) {
    struct fsxattr attributes;
    if (ioctl(descriptor, FS_IOC_FSGETXATTR, &attributes) < 0) return -1;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(descriptor, FS_IOC_FSSETXATTR, &attributes);
}

int CLinux_set_project_limits(int descriptor, uint32_t project, uint64_t bytes, uint64_t files) {
    struct if_dqblk limits = {
        .dqb_bhardlimit = bytes / QIF_DQBLKSIZE, .dqb_ihardlimit = files, .dqb_valid = QIF_LIMITS};
    return (int)syscall(SYS_quotactl_fd, descriptor, QCMD(Q_SETQUOTA, projectQuota), project, &limits);
}

int CLinux_project_usage(int descriptor, uint32_t project, uint64_t *bytes, uint64_t *files) {
    struct if_dqblk usage = {0};
    if (syscall(SYS_quotactl_fd, descriptor, QCMD(Q_GETQUOTA, projectQuota), project, &usage) < 0) return -1;
    *bytes = usage.dqb_curspace;
    *files = usage.dqb_curinodes;
    return 0;
}

int CLinux_landlock_version(void) {
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int CLinux_sched_getaffinity(void *mask, size_t bytes) {
    return (int)syscall(SYS_sched_getaffinity, 0, bytes, mask);
}
int CLinux_major(uint64_t device) { return (int)major(device); }
int CLinux_minor(uint64_t device) { return (int)minor(device); }
uint64_t CLinux_makedev(uint32_t major, uint32_t minor) { return makedev(major, minor); }
int CLinux_loopback_up(void) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int result = ioctl(descriptor, SIOCSIFFLAGS, &request);
    int error = errno;
    close(descriptor);
    errno = error;
    return result;
}

int CLinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static uint32_t edge(uint32_t events) { return events & CLinux_EPOLLET ? (events & ~(uint32_t)CLinux_EPOLLET) | EPOLLET : events; }
int CLinux_epoll_add(int poller, int descriptor, uint64_t number, uint32_t events) {
    struct epoll_event event = {.events = edge(events), .data.u64 = number};
    return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
}
int CLinux_epoll_change(int poller, int descriptor, uint64_t number, uint32_t events) {
    struct epoll_event event = {.events = edge(events), .data.u64 = number};
    return epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event);
}
int CLinux_epoll_wait(int poller, struct CLinux_event *events, int capacity, int milliseconds) {
    struct epoll_event found[64];
    int count = epoll_wait(poller, found, capacity < 64 ? capacity : 64, milliseconds);
    for (int index = 0; index < count; index++)
        events[index] = (struct CLinux_event){.events = found[index].events, .number = found[index].data.u64};
    return count;
}
ssize_t CLinux_splice(int from, int to, size_t length) {
    return splice(from, NULL, to, NULL, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}
int CLinux_load_filter(const void *instructions, unsigned short count) {
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)instructions};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
int CLinux_socket_namespace(int socket) { return ioctl(socket, SIOCGSKNS, 0); }
