// System calls that change the host as a whole, or that are large and have been ways into the kernel.
// Where a call could do harm it gets arguments with which it does nothing, or the value that holds already.
// Source: the manual page of each call, and the groups of Sources/Isolation/SeccompArea+Kernel*.swift.
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

static void modules(void) {
    const struct Call calls[] = {
        {"init_module", EPERM, SYS_init_module, {0, 0, (long)""}},
        {"finit_module", EPERM, SYS_finit_module, {-1, (long)"", 0}},
        {"delete_module", EPERM, SYS_delete_module, {(long)"cloche_prove_none", O_NONBLOCK}},
        {"kexec_load", EPERM, SYS_kexec_load, {0, 0, 0, 0xFFFF}},
#ifdef SYS_kexec_file_load
        {"kexec_file_load", EPERM, SYS_kexec_file_load, {-1, -1, 0, 0, 0xFFFF}},
#endif
        // Wrong magic numbers: even root gets an error.
        {"reboot", EPERM, SYS_reboot, {0, 0, 0, 0}},
    };
    EXPECT_CALLS(calls);
}

static void clocks(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct timeval day = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    expect("settimeofday", syscall(SYS_settimeofday, &day, NULL), EPERM);
    clock_gettime(CLOCK_REALTIME, &now);
    expect("clock_settime", syscall(SYS_clock_settime, CLOCK_REALTIME, &now), EPERM);
    struct timex tuning;
    memset(&tuning, 0, sizeof tuning);
    syscall(SYS_adjtimex, &tuning);
    tuning.modes = ADJ_TICK;
    if (tuning.tick == 0) tuning.tick = 10000;
    expect("adjtimex", syscall(SYS_adjtimex, &tuning), EPERM);
    expect("clock_adjtime", syscall(SYS_clock_adjtime, CLOCK_REALTIME, &tuning), EPERM);
}

static void names(void) {
    struct utsname host;
    uname(&host);
    expect("sethostname", syscall(SYS_sethostname, host.nodename, strlen(host.nodename)), EPERM);
    expect("setdomainname", syscall(SYS_setdomainname, host.domainname, strlen(host.domainname)), EPERM);
}

static void storage(void) {
    const struct Call calls[] = {
        {"swapon", EPERM, SYS_swapon, {(long)"/proc/none", 0}},
        {"swapoff", EPERM, SYS_swapoff, {(long)"/proc/none"}},
        {"acct", EPERM, SYS_acct, {(long)"/proc/none"}},
        {"quotactl", EPERM, SYS_quotactl, {0x80000400 /* Q_GETFMT */, (long)"/proc/none", 0, 0}},
        {"quotactl_fd", EPERM, call_quotactl_fd, {0, 0x80000400, 0, 0}},
    };
    EXPECT_CALLS(calls);
}

static void kernelLog(void) {
    char buffer[64];
    expect("syslog(SYSLOG_ACTION_READ_ALL)", syscall(SYS_syslog, 3, buffer, sizeof buffer), EPERM);
    expect("syslog(SYSLOG_ACTION_SIZE_BUFFER)", syscall(SYS_syslog, 10, NULL, 0), EPERM);
}

static void ports(void) {
#ifdef __x86_64__
    expect("iopl(3)", syscall(SYS_iopl, 3), EPERM);
    expect("ioperm(0x80)", syscall(SYS_ioperm, 0x80, 1, 1), EPERM);
    char table[64];
    expect("modify_ldt", syscall(SYS_modify_ldt, 0, table, sizeof table), EPERM);
#else
    untried("this machine has no port calls");
#endif
}

static void hangUpHere(void) {
    // In a session of its own there is no terminal to hang up.
    if (setsid() < 0) return untried("no session of our own: %s", errorName(errno));
    expect("vhangup", syscall(SYS_vhangup), EPERM);
}

static void hangUp(void) { inChild(hangUpHere); }

static void bpfCall(void) {
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    expect("bpf(BPF_MAP_CREATE)", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map), EPERM);
    expect("bpf(BPF_PROG_LOAD)", syscall(SYS_bpf, BPF_PROG_LOAD, &map, sizeof map), EPERM);
}

static void performance(void) {
    struct perf_event_attr event = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
    expect("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0), EPERM);
}

static void rings(void) {
    unsigned char parameters[120];
    memset(parameters, 0, sizeof parameters);
    expect("io_uring_setup", syscall(call_io_uring_setup, 1, parameters), ENOSYS);
    expect("io_uring_enter", syscall(call_io_uring_enter, -1, 0, 0, 0, NULL, 0), ENOSYS);
    expect("io_uring_register", syscall(call_io_uring_register, -1, 0, NULL, 0), ENOSYS);
}

static void faults(void) {
    expect("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC), ENOSYS);
    expect("userfaultfd(UFFD_USER_MODE_ONLY)", syscall(SYS_userfaultfd, 1), ENOSYS);
}

static void keys(void) {
    // keyctl: KEYCTL_GET_KEYRING_ID of the session, of the user; KEYCTL_JOIN_SESSION_KEYRING; KEYCTL_DESCRIBE.
    const struct Call calls[] = {
        {"keyctl(session keyring)", ENOSYS, SYS_keyctl, {0, -3, 0}},
        {"keyctl(user keyring)", ENOSYS, SYS_keyctl, {0, -4, 0}},
        {"keyctl(KEYCTL_JOIN_SESSION_KEYRING)", ENOSYS, SYS_keyctl, {1, 0}},
        {"add_key", ENOSYS, SYS_add_key, {(long)"user", (long)"cloche-prove", (long)"x", 1, -2}},
        {"request_key", ENOSYS, SYS_request_key, {(long)"user", (long)"cloche-prove", 0, -2}},
    };
    EXPECT_CALLS(calls);
}

static void watching(void) {
    // FAN_REPORT_FID, which needs no privilege since Linux 5.13, and FAN_CLASS_CONTENT, which can hold up an open.
    const struct Call calls[] = {
        {"fanotify_init(FAN_REPORT_FID)", EPERM, SYS_fanotify_init, {0x200, 0}},
        {"fanotify_init(FAN_CLASS_CONTENT)", EPERM, SYS_fanotify_init, {4, 0}},
        {"fanotify_mark", EPERM, SYS_fanotify_mark, {-1, 1, 1, -100, (long)"/"}},
    };
    EXPECT_CALLS(calls);
}

static void memoryPlacement(void) {
    static char pages[3 * 4096];
    long page = ((long)pages + 4095) & ~4095L;
    const struct Call calls[] = {
        {"mbind", EPERM, SYS_mbind, {page, 4096, 0, 0, 0, 0}},
        {"set_mempolicy", EPERM, SYS_set_mempolicy, {0, 0, 0}},
        {"set_mempolicy_home_node", EPERM, call_set_mempolicy_home_node, {page, 4096, 0, 0}},
        {"migrate_pages", EPERM, SYS_migrate_pages, {0, 0, 0, 0}},
        {"move_pages", EPERM, SYS_move_pages, {0, 0, 0, 0, 0, 0}},
    };
    EXPECT_CALLS(calls);
}

static void recent(void) {
    unsigned char buffer[64];
    memset(buffer, 0, sizeof buffer);
    const struct Call calls[] = {
        {"process_mrelease", ENOSYS, call_process_mrelease, {-1, 0}},
        {"lsm_get_self_attr", ENOSYS, call_lsm_get_self_attr, {100, (long)buffer, (long)buffer, 0}},
        {"lsm_set_self_attr", ENOSYS, call_lsm_set_self_attr, {100, (long)buffer, 32, 0}},
        {"lsm_list_modules", ENOSYS, call_lsm_list_modules, {(long)buffer, (long)buffer, 0}},
        {"file_getattr", ENOSYS, call_file_getattr, {-100, (long)"/", (long)buffer, 24, 0}},
        {"file_setattr", ENOSYS, call_file_setattr, {-100, (long)"/proc/none", (long)buffer, 24, 0}},
    };
    EXPECT_CALLS(calls);
}

const struct Test kernelTests[] = {
    {"calls.modules", "load or remove a kernel module, load another kernel, reboot", modules},
    {"calls.clocks", "set or tune the clock (to the time that it shows)", clocks},
    {"calls.host-names", "set the host's and the domain's name (to what they are)", names},
    {"calls.storage", "change swap, process accounting and quotas", storage},
    {"calls.kernel-log", "read the kernel's log by syslog(2)", kernelLog},
    {"calls.ports", "get input and output ports, or a descriptor table of our own", ports},
    {"calls.vhangup", "hang up the terminal", hangUp},
    {"calls.bpf", "make a BPF map, load a BPF program", bpfCall},
    {"calls.perf", "open a performance counter", performance},
    {"calls.io-uring", "make a ring whose work no filter sees (isolate 2.4: AF_VSOCK through io_uring)", rings},
    {"calls.userfaultfd", "stop the kernel inside a page fault", faults},
    {"calls.keyrings", "use kernel keyrings, which no namespace separates (isolate 2.4)", keys},
    {"calls.fanotify", "watch or hold up the use of files", watching},
    {"calls.numa", "place memory on nodes of the machine", memoryPlacement},
    {"calls.recent", "use young calls that the policy leaves out", recent},
    {NULL, NULL, NULL},
};
