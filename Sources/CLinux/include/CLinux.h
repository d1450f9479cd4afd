// System calls that Swift's Glibc module does not show, or that glibc does not wrap.
// A function is here for one of these two reasons only. Each returns what the kernel returns and leaves errno alone:
// no policy, no allocation, no printing.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// openat2(2).
int CLinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
/// open_tree(2).
int CLinux_open_tree(int directory, const char *path, unsigned int flags);
/// move_mount(2).
int CLinux_move_mount(int from, const char *fromPath, int to, const char *toPath, unsigned int flags);
/// mount_setattr(2).
int CLinux_mount_setattr(int directory, const char *path, unsigned int flags, uint64_t set, uint64_t clear);
/// mount_setattr(2) on an open mount: MOUNT_ATTR_IDMAP, with the map of an open user namespace.
int CLinux_mount_idmap(int mount, int namespace);
/// fsopen(2), fsconfig(2), fsmount(2): a new tmpfs(5) of so many bytes with that mode, which is mounted nowhere.
int CLinux_new_tmpfs(const char *size, const char *mode);
/// unshare(2).
int CLinux_unshare(int flags);
/// setns(2).
int CLinux_setns(int descriptor, int type);
/// pivot_root(2).
int CLinux_pivot_root(const char *newRoot, const char *oldRoot);
/// pidfd_open(2).
int CLinux_pidfd_open(pid_t process, unsigned int flags);
/// pidfd_send_signal(2).
int CLinux_pidfd_send_signal(int pidfd, int signal, unsigned int flags);
/// waitid(2) on a pidfd, with the resource usage that glibc's wrapper drops. `code` and `status` are as in siginfo_t.
int CLinux_waitid_pidfd(int pidfd, int options, int *pid, int *code, int *status, struct rusage *usage);
/// prctl(2).
int CLinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
/// memfd_create(2).
int CLinux_memfd_create(const char *name, unsigned int flags);
/// renameat2(2).
int CLinux_renameat2(int oldDirectory, const char *oldPath, int newDirectory, const char *newPath, unsigned int flags);
/// pipe2(2).
int CLinux_pipe2(int *descriptors, int flags);
/// dup3(2).
int CLinux_dup3(int from, int to, int flags);
/// close_range(2).
int CLinux_close_range(unsigned int first, unsigned int last, unsigned int flags);
/// malloc_trim(3), of all that is free.
int CLinux_malloc_trim(void);
/// setresuid(2), this thread only.
int CLinux_setresuid(uid_t real, uid_t effective, uid_t saved);
/// setresgid(2), this thread only.
int CLinux_setresgid(gid_t real, gid_t effective, gid_t saved);
/// setfsuid(2), this thread only; -1 only tells the present one.
int CLinux_setfsuid(uid_t user);
/// setfsgid(2), this thread only; -1 only tells the present one.
int CLinux_setfsgid(gid_t group);
/// setgroups(2), this thread only.
int CLinux_setgroups(size_t count, const gid_t *_Nullable groups);
/// fcntl(2) with an integer argument; Swift cannot call variadic functions.
int CLinux_fcntl(int descriptor, int command, long argument);
/// ioctl(2) with a pointer or integer argument.
int CLinux_ioctl(int descriptor, unsigned long request, void *_Nullable argument);
/// syncfs(2).
int CLinux_syncfs(int descriptor);
/// copy_file_range(2).
ssize_t CLinux_copy_file_range(int from, off_t *_Nullable fromOffset, int to, off_t *_Nullable toOffset, size_t length);
/// lgetxattr(2) and kin through /proc are avoided: these act on descriptors.
ssize_t CLinux_flistxattr(int descriptor, char *_Nullable list, size_t size);
ssize_t CLinux_fgetxattr(int descriptor, const char *name, void *_Nullable value, size_t size);
int CLinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags);
int CLinux_fremovexattr(int descriptor, const char *name);
ssize_t CLinux_llistxattr(const char *path, char *_Nullable list, size_t size);
ssize_t CLinux_lgetxattr(const char *path, const char *name, void *_Nullable value, size_t size);
int CLinux_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags);
/// getdents64(2).
ssize_t CLinux_getdents64(int descriptor, void *buffer, size_t size);
/// getrandom(2).
ssize_t CLinux_getrandom(void *buffer, size_t size, unsigned int flags);
/// prlimit(2) on this process: sets soft and hard limit of `resource`.
int CLinux_setrlimit(int resource, uint64_t soft, uint64_t hard);
/// The low-level capset(2) on this thread: the 64-bit sets of version 3.
int CLinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
/// flock(2); Swift sees only the structure of that name.
int CLinux_flock(int descriptor, int operation);
/// fork(2); the caller must be single-threaded. Swift marks fork as unavailable.
pid_t CLinux_fork(void);
/// clone(2) with CLONE_PARENT and the memory of fork(2): the new process is a child of the caller's parent. The caller must
/// be single-threaded; handlers of pthread_atfork(3) do not run.
pid_t CLinux_fork_sibling(void);
/// SO_PEERCRED of a connected UNIX socket.
int CLinux_peer_credentials(int socket, pid_t *process, uid_t *user, gid_t *group);
/// accept4(2), close-on-exec and non-blocking.
int CLinux_accept(int socket);
/// Sends `length` bytes and up to `count` descriptors over a UNIX socket (SCM_RIGHTS).
ssize_t CLinux_send_descriptors(int socket, const void *bytes, size_t length, const int *_Nullable descriptors, int count);
/// Receives bytes and up to `*count` descriptors (close-on-exec); `*count` becomes the number received.
ssize_t CLinux_receive_descriptors(int socket, void *bytes, size_t length, int *_Nullable descriptors, int *count);
/// signalfd(2), close-on-exec and non-blocking, for the given signals, which become blocked in this thread.
int CLinux_signalfd(const int *signals, int count);
/// The next signal of a signalfd, or 0; `sent` is 0 for one that the kernel made, such as that of a key.
int CLinux_next_signal(int descriptor, int *sent);
/// SECCOMP_IOCTL_NOTIF_RECV (seccomp_unotify(2)): a refused call that waits for its answer.
int CLinux_seccomp_receive(
    int listener, uint64_t *identity, uint32_t *process, uint32_t *number, uint32_t *architecture, uint64_t *arguments);
/// SECCOMP_IOCTL_NOTIF_SEND: the call fails with `error`.
int CLinux_seccomp_refuse(int listener, uint64_t identity, int error);
/// The same with SECCOMP_USER_NOTIF_FLAG_CONTINUE: the kernel carries the call out.
int CLinux_seccomp_continue(int listener, uint64_t identity);
/// The same for sysinfo(2): it tells of the host, but of this much memory, all of it free. `memory` is the caller's
/// memory (proc(5), mem), opened after the call was received, and `address` the call's argument.
int CLinux_seccomp_answer_sysinfo(int listener, uint64_t identity, int memory, uint64_t address, uint64_t bytes);
/// sched_setaffinity(2) of this process to the CPUs whose bit is set in `mask` (`bytes` long).
int CLinux_sched_setaffinity(const void *mask, size_t bytes);
/// What fstatfs(2) tells of a file system.
struct CLinux_room {
    int64_t type, blockSize;
    uint64_t blocks, freeBlocks, files, freeFiles;
};
/// fstatfs(2).
int CLinux_fstatfs(int descriptor, struct CLinux_room *room);
/// Whether the file system holds limits of projects (quotactl_fd(2), Q_XGETQSTAT): 1 or 0, below 0 where it has no quotas.
int CLinux_project_limits_held(int descriptor);
/// FS_IOC_FSSETXATTR: puts a directory, and all that is made in it from now on, into a project.
int CLinux_set_project(int descriptor, uint32_t project);
/// quotactl_fd(2), Q_SETQUOTA: the most that a project may have; 0 is no limit.
int CLinux_set_project_limits(int descriptor, uint32_t project, uint64_t bytes, uint64_t files);
/// quotactl_fd(2), Q_GETQUOTA: what a project has.
int CLinux_project_usage(int descriptor, uint32_t project, uint64_t *bytes, uint64_t *files);
/// landlock_create_ruleset(2) asked for the version of the interface that the kernel has; below 0 where it has none.
int CLinux_landlock_version(void);
/// sched_getaffinity(2) of this process.
int CLinux_sched_getaffinity(void *mask, size_t bytes);
/// Pointer-free accessors for wait statuses.
uint64_t CLinux_makedev(uint32_t major, uint32_t minor);
/// An event of epoll(7), with the number that it was asked for under.
struct CLinux_event {
    uint32_t events;
    uint64_t number;
};
/// epoll_create1(2), close-on-exec.
int CLinux_epoll_create(void);
/// epoll_ctl(2): EPOLL_CTL_ADD for readiness in both directions, edge-triggered or not.
int CLinux_epoll_add(int poller, int descriptor, uint64_t number, uint32_t events);
/// epoll_ctl(2): EPOLL_CTL_MOD.
int CLinux_epoll_change(int poller, int descriptor, uint64_t number, uint32_t events);
/// epoll_wait(2).
int CLinux_epoll_wait(int poller, struct CLinux_event *events, int capacity, int milliseconds);
/// splice(2) without waiting.
ssize_t CLinux_splice(int from, int to, size_t length);
/// PR_SET_SECCOMP (prctl(2)) with an array of `struct sock_filter`.
int CLinux_load_filter(const void *instructions, unsigned short count);
/// SIOCGSKNS of socket(7): the network namespace of a socket.
int CLinux_socket_namespace(int socket);
/// SIOCSIFFLAGS of netdevice(7) for the loopback device.
int CLinux_loopback_up(void);
int CLinux_major(uint64_t device);
int CLinux_minor(uint64_t device);

enum {
    CLinux_CLONE_NEWUSER = 0x10000000,
    CLinux_CLONE_NEWNS = 0x00020000,
    CLinux_CLONE_NEWNET = 0x40000000,
    CLinux_OPEN_TREE_CLONE = 1,
    CLinux_MOVE_MOUNT_F_EMPTY_PATH = 4,
    CLinux_AT_RECURSIVE = 0x8000,
    CLinux_AT_EMPTY_PATH = 0x1000,
    CLinux_O_PATH = 010000000,
    CLinux_O_TMPFILE = 020200000,
    CLinux_RESOLVE_NO_XDEV = 1,
    CLinux_RESOLVE_NO_MAGICLINKS = 2,
    CLinux_RESOLVE_NO_SYMLINKS = 4,
    CLinux_RESOLVE_BENEATH = 8,
    CLinux_RESOLVE_IN_ROOT = 16,
    CLinux_PR_SET_PDEATHSIG = 1,
    CLinux_PR_SET_DUMPABLE = 4,
    CLinux_PR_SET_KEEPCAPS = 8,
    CLinux_PR_SET_NAME = 15,
    CLinux_PR_CAPBSET_DROP = 24,
    CLinux_PR_SET_NO_NEW_PRIVS = 38,
    CLinux_PR_SET_CHILD_SUBREAPER = 36,
    CLinux_MFD_CLOEXEC = 1,
    CLinux_MFD_ALLOW_SEALING = 2,
    CLinux_MFD_EXEC = 16,
    CLinux_F_ADD_SEALS = 1033,
    CLinux_F_SEAL_ALL = 15,
    CLinux_F_SETPIPE_SZ = 1031,
    CLinux_RENAME_NOREPLACE = 1,
    CLinux_RENAME_EXCHANGE = 2,
    CLinux_EPOLLIN = 1,
    CLinux_EPOLLOUT = 4,
    CLinux_EPOLLRDHUP = 0x2000,
    CLinux_EPOLLET = 1 << 30,
};
/// The ioctl request of ioctl_ficlone(2).
extern const unsigned long CLinux_FICLONE;

#pragma clang assume_nonnull end
#endif
