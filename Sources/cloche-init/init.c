// cloche-init: process 1 of one step's sandbox.
//
// It waits for the order to start a command, which may come at once or much later; starts process 2, the command; gives
// up every privilege and limits itself to a dozen system calls before the command may execute anything; reaps; and ends
// when the command ends, which ends whatever else runs in the sandbox.
// It is executed from a sealed memory file, statically linked, so nothing of the host can be reached through it.
//
//   descriptor 3: a packet socket to the supervisor (messages of CSandboxLaunch.h); its end is the end of the sandbox
#define _GNU_SOURCE
#include "CSandboxLaunch.h"
#include "accounts.h"
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { control = CSandboxLaunch_controlDescriptor };

// What is to be executed, and what around it is settled: one and the same, unless that came earlier.
static const struct CSandboxLaunch_command *command, *settled;
static char *arguments[CSandboxLaunch_maximumWords + 1];
static char *variables[CSandboxLaunch_maximumWords + 1];
static char *socketless[CSandboxLaunch_maximumSocketless + 1];
static char stack[64 * 1024] __attribute__((aligned(16)));

// Shared between init and process 2 until that executes.
static volatile int childThread, mayGo, failedStage, failedError, listener = -1;

static int send_(struct CSandboxLaunch_message *message, const int *descriptors, int count) {
    struct iovec vector = {.iov_base = message, .iov_len = sizeof *message};
    char space[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8)));
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        memset(space, 0, sizeof space);
        header.msg_control = space;
        header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(rights), descriptors, (size_t)count * sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(control, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

// A supervisor that does not hear of the sandbox can neither end it nor answer its refused calls.
static void tell(uint32_t kind, int value, int error, const int *descriptors, int count) {
    struct CSandboxLaunch_message message = {.kind = kind, .value = value, .error = error};
    if (send_(&message, descriptors, count) < 0) _exit(125);
}

static _Noreturn void fail(int stage, int error) {
    tell(CSandboxLaunch_failed, stage, error, NULL, 0);
    _exit(125);
}

static int futex(volatile int *word, int operation, int value) {
    return (int)syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static const char *at(const struct CSandboxLaunch_command *from, uint32_t offset) { return (const char *)from + offset; }

static int words(const struct CSandboxLaunch_command *from, uint32_t count, uint32_t array, char **into) {
    if (count > CSandboxLaunch_maximumWords || array % 4 || array + (uint64_t)count * 4 > from->size) return 0;
    const uint32_t *offsets = (const uint32_t *)at(from, array);
    for (uint32_t index = 0; index < count; index++) {
        if (offsets[index] >= from->size) return 0;
        into[index] = (char *)at(from, offsets[index]);
    }
    into[count] = NULL;
    return 1;
}

// Waits for an order; gives how many descriptors have come with it.
static int receive(char *order, int descriptors[2]) {
    struct iovec vector = {.iov_base = order, .iov_len = 1};
    char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
    struct msghdr header = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t length;
    do length = syscall(SYS_recvmsg, control, &header, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    // Called by hand, or by `cloche system doctor` as a program that needs nothing: a wrong use.
    if (length < 0 && errno == ENOTSOCK && getpid() != 1) _exit(64);
    if (length < 0) fail(CSandboxLaunch_stageCommand, errno);
    // A supervisor that has no use for the sandbox any more, or has ended.
    if (length == 0) _exit(125);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !rights || rights->cmsg_type != SCM_RIGHTS)
        fail(CSandboxLaunch_stageCommand, EBADMSG);
    int count = (int)((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(descriptors, CMSG_DATA(rights), (size_t)count * sizeof(int));
    return count;
}

static const struct CSandboxLaunch_command *map(int file) {
    struct stat status;
    if (fstat(file, &status) < 0) fail(CSandboxLaunch_stageCommand, errno);
    if (status.st_size < (off_t)sizeof *command || status.st_size > CSandboxLaunch_maximumCommand)
        fail(CSandboxLaunch_stageCommand, E2BIG);
    const struct CSandboxLaunch_command *found = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (found == MAP_FAILED) fail(CSandboxLaunch_stageCommand, errno);
    if (found->magic != CSandboxLaunch_commandMagic || found->size != (uint64_t)status.st_size ||
        *at(found, found->size - 1) != 0)
        fail(CSandboxLaunch_stageCommand, EBADMSG);
    close(file);
    return found;
}

static int dropBounding(uint64_t keep) {
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (keep & (1ULL << capability)) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
            // The kernel knows no capability beyond its last one.
            return errno == EINVAL && capability > 37 ? 0 : -1;
        }
    }
    return 0;
}

// Takes over what is settled, and does what needs no command.
static void settle(const struct CSandboxLaunch_command *from) {
    if (from->filterInstructions == 0 || from->initFilterInstructions == 0 ||
        from->filterOffset + (uint64_t)from->filterInstructions * 8 > from->size ||
        from->initFilterOffset + (uint64_t)from->initFilterInstructions * 8 > from->size ||
        from->attachment >= from->size || from->socketlessCount > CSandboxLaunch_maximumSocketless ||
        !words(from, from->socketlessCount, from->socketless, socketless))
        fail(CSandboxLaunch_stageCommand, EBADMSG);
    settled = from;
    // Process 2 inherits it.
    if (dropBounding(from->capabilities) < 0) fail(CSandboxLaunch_stageCapabilities, errno);
}

// Attaches what could not be there when the other mounts were compared with the plan; the kernel tells what it has become.
static void attach(int tree, const char *place) {
    struct statfs status;
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        syscall(SYS_statfs, place, &status) < 0)
        fail(CSandboxLaunch_stageAttachment, errno);
    long safe = ST_NOSUID | ST_NODEV;
    if (status.f_type != OVERLAYFS_SUPER_MAGIC || (status.f_flags & safe) != safe)
        fail(CSandboxLaunch_stageAttachment, EXDEV);
    close(tree);
}

static void takeOrders(void) {
    char order = 0;
    int descriptors[2];
    int count = receive(&order, descriptors);
    if (order == CSandboxLaunch_orderPrepare && count == 1) {
        settle(map(descriptors[0]));
        // Where no socket may be made is known, but for what is attached.
        if (socketless[0] && beginForbidding(socketless, at(settled, settled->attachment)) < 0)
            fail(CSandboxLaunch_stageLandlock, errno);
        count = receive(&order, descriptors);
    }
    if (order != CSandboxLaunch_orderStart) fail(CSandboxLaunch_stageCommand, EBADMSG);
    command = map(descriptors[0]);
    if (!settled) settle(command);
    if (command->directory >= command->size || command->argumentCount == 0 || command->candidateCount == 0 ||
        command->candidates % 4 || command->candidates + (uint64_t)command->candidateCount * 4 > command->size ||
        !words(command, command->argumentCount, command->arguments, arguments) ||
        !words(command, command->variableCount, command->variables, variables) ||
        (settled->attachment != 0) != (count > 1))
        fail(CSandboxLaunch_stageCommand, EBADMSG);
    if (count > 1) attach(descriptors[1], at(settled, settled->attachment));
}

static int setCapabilities(uint64_t set) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    uint32_t low = (uint32_t)set, high = (uint32_t)(set >> 32);
    struct __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
    return (int)syscall(SYS_capset, &header, data);
}

static int becomeUser(uint32_t user, uint32_t group) {
    if (syscall(SYS_setgroups, 0, NULL) < 0) return -1;
    if (syscall(SYS_setresgid, group, group, group) < 0) return -1;
    return (int)syscall(SYS_setresuid, user, user, user);
}

static int loadFilter(uint32_t offset, uint32_t instructions, unsigned int flags) {
    struct sock_fprog program = {
        .len = (unsigned short)instructions, .filter = (struct sock_filter *)at(settled, offset)};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static _Noreturn void commandFailed(int stage, int error) {
    failedError = error;
    failedStage = stage;
    _exit(stage == CSandboxLaunch_stageExecute && error == ENOENT ? 127 : 126);
}

// Process 2, on its own stack in init's memory: it touches nothing but its own credentials and the words above.
static int becomeCommand(void *unused) {
    (void)unused;
    // Until init has given up its privileges this process does nothing; then init only waits, so errno is this one's.
    while (!mayGo) futex(&mayGo, FUTEX_WAIT, 0);
    if (setsid() < 0) commandFailed(CSandboxLaunch_stageTerminal, errno);
    if (command->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
        commandFailed(CSandboxLaunch_stageTerminal, errno);
    if (settled->changesIdentity && becomeUser(settled->user, settled->group) < 0)
        commandFailed(CSandboxLaunch_stageIdentity, errno);
    if (setCapabilities(settled->capabilities) < 0) commandFailed(CSandboxLaunch_stageCapabilities, errno);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        commandFailed(CSandboxLaunch_stageCapabilities, errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) commandFailed(CSandboxLaunch_stageNoNewPrivileges, errno);
    umask((mode_t)command->umask);
    if (chdir(at(command, command->directory)) < 0) commandFailed(CSandboxLaunch_stageDirectory, errno);
    char directory[4096];
    // A directory outside of the root would be told as "(unreachable)...".
    if (syscall(SYS_getcwd, directory, sizeof directory) < 0 || directory[0] != '/')
        commandFailed(CSandboxLaunch_stageDirectory, ENOENT);
    if (socketless[0] && forbidSockets(socketless) < 0)
        commandFailed(CSandboxLaunch_stageLandlock, errno);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int result = loadFilter(
        settled->filterOffset, settled->filterInstructions,
        // Once its call is being looked at, only a deadly signal interrupts the caller: others would make it ask again.
        settled->filterListens ? SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0);
    if (result < 0) commandFailed(CSandboxLaunch_stageFilter, errno);
    if (settled->filterListens) listener = result;
    // The first error that says more than "not there" is the one to report, as a shell does it.
    int error = ENOENT;
    const uint32_t *candidates = (const uint32_t *)at(command, command->candidates);
    for (uint32_t index = 0; index < command->candidateCount; index++) {
        if (candidates[index] >= command->size) continue;
        execve(at(command, candidates[index]), arguments, variables);
        if (errno != ENOENT && errno != ENOTDIR && error == ENOENT) error = errno;
    }
    commandFailed(CSandboxLaunch_stageExecute, error);
}

// A terminal of the sandbox's own devpts(7): the command's standard streams are one side, the supervisor gets the other.
static void makeTerminal(void) {
    int unlocked = 0;
    int ours = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
    if (ours < 0 || ioctl(ours, TIOCSPTLCK, &unlocked) < 0) fail(CSandboxLaunch_stageTerminal, errno);
    int theirs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (theirs < 0) fail(CSandboxLaunch_stageTerminal, errno);
    if (settled->changesIdentity && fchown(theirs, settled->user, (gid_t)-1) < 0)
        fail(CSandboxLaunch_stageTerminal, errno);
    for (int number = 0; number < 3; number++)
        if ((command->terminal & (1U << number)) && dup2(theirs, number) < 0)
            fail(CSandboxLaunch_stageTerminal, errno);
    tell(CSandboxLaunch_terminal, 0, 0, &ours, 1);
    close(ours);
    close(theirs);
}

static int reap(pid_t child, int *status) {
    int ended = 0;
    for (;;) {
        int one;
        pid_t process = waitpid(-1, &one, WNOHANG);
        if (process == 0 || (process < 0 && errno != EINTR)) return ended;
        if (process == child) {
            *status = one;
            ended = 1;
        }
    }
}

int main(void) {
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return 125;
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0) fail(CSandboxLaunch_stageCommand, errno);
    // For the command: what the launcher ignores, or who started that, would stay ignored across execve(2).
    for (int number = 1; number < 65; number++) {
        struct sigaction standard = {.sa_handler = SIG_DFL};
        sigaction(number, &standard, NULL);
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    int snmp = open("/proc/net/snmp", O_RDONLY | O_CLOEXEC);
    int io = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
    // It shows the IPC namespace of who opens it. A kernel without such memory has none to show.
    int segments = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
    if (segments < 0) segments = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (signals < 0 || segments < 0) fail(CSandboxLaunch_stageClone, errno);
    takeOrders();
    if (command->terminal) makeTerminal();

    int pidfd = -1;
    childThread = 1;
    pid_t child = clone(
        becomeCommand, stack + sizeof stack,
        CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, &pidfd, NULL,
        (pid_t *)&childThread);
    if (child < 0) fail(CSandboxLaunch_stageClone, errno);

    // From here on init is poorer than the command: another id, no capability, a filter of its own.
    if (settled->capabilities && dropBounding(0) < 0) fail(CSandboxLaunch_stageCapabilities, errno);
    if (settled->changesIdentity && becomeUser(settled->initUser, settled->initGroup) < 0)
        fail(CSandboxLaunch_stageIdentity, errno);
    if (setCapabilities(0) < 0) fail(CSandboxLaunch_stageCapabilities, errno);
    // A change of ids clears the signal of the parent's death.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) fail(CSandboxLaunch_stageIdentity, errno);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) fail(CSandboxLaunch_stageIdentity, errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(CSandboxLaunch_stageNoNewPrivileges, errno);
    if (loadFilter(settled->initFilterOffset, settled->initFilterInstructions, 0) < 0)
        fail(CSandboxLaunch_stageInitFilter, errno);
    mayGo = 1;
    futex(&mayGo, FUTEX_WAKE, 1);
    // The kernel clears the word when process 2 leaves this memory: by execve(2), or by its end.
    for (int thread = childThread; thread != 0; thread = childThread) futex(&childThread, FUTEX_WAIT, thread);

    if (failedStage) fail(failedStage, failedError);
    int descriptors[3] = {pidfd, segments, listener};
    tell(CSandboxLaunch_started, child, 0, descriptors, listener >= 0 ? 3 : 2);
    close(pidfd);
    close(segments);
    if (listener >= 0) close(listener);
    // Descriptors 0 to 2 are the command's; init keeps no end of them open.
    close(0);
    close(1);
    close(2);

    struct pollfd polls[2] = {{.fd = control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        int status;
        if (reap(child, &status)) {
            struct CSandboxLaunch_message message = {
                .kind = CSandboxLaunch_ended, .value = status, .unroutedDatagrams = unroutedDatagrams(snmp)};
            addTraffic(io, &message);
            send_(&message, NULL, 0);
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        if (poll(polls, 2, -1) < 0 && errno != EINTR) _exit(125);
        if (polls[0].revents) _exit(125);
        struct signalfd_siginfo signal;
        while (read(signals, &signal, sizeof signal) > 0) {}
    }
}
