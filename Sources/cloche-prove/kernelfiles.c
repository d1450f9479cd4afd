// Files of the kernel below /proc and /sys: settings of the host, what it tells of itself, and control groups.
// A setting is written only with the value that it has.
// Source: proc(5), sysfs(5), cgroups(7), the masks of moby's `daemon/pkg/oci/defaults.go`.
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { procMagic = 0x9fa0 };

static void judgeOpening(const char *path, int file) {
    if (file < 0 && errno == ENOENT)
        untried("no %s", path);
    else if (file < 0 && (errno == EROFS || errno == EACCES || errno == EPERM))
        refused("%s", errorName(errno));
    else if (file < 0)
        differs("%s: %s", path, errorName(errno));
}

static int isNullDevice(int file) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// Whoever may open the file for writing could change the setting.
static void writeBack(const char *path) {
    char text[4096];
    ssize_t length = readText(path, text, sizeof text);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    judgeOpening(path, file);
    if (file < 0) return;
    if (isNullDevice(file))
        refused("masked");
    else if (length > 0 && write(file, text, (size_t)length) < 0)
        differs("%s opens for writing, then %s", path, errorName(errno));
    else
        reached("%s can be written", path);
    close(file);
}

static void openForWriting(const char *path) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    judgeOpening(path, file);
    if (file < 0) return;
    if (isNullDevice(file))
        refused("masked");
    else
        reached("%s opens for writing", path);
    close(file);
}

static void settings(void) {
    const char *paths[] = {
        "/proc/sys/kernel/core_pattern",      "/proc/sys/kernel/hostname",        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/modprobe",          "/proc/sys/kernel/ns_last_pid",     "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/unprivileged_bpf_disabled", "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/shmmax",
        "/proc/sys/vm/overcommit_memory",     "/proc/sys/vm/panic_on_oom",        "/proc/sys/fs/file-max",
        "/proc/sys/fs/protected_symlinks",    "/proc/sys/fs/suid_dumpable",       "/proc/sys/user/max_user_namespaces",
        "/proc/sys/user/max_inotify_watches", "/proc/sys/net/ipv4/ip_forward",    "/proc/sys/net/ipv4/ping_group_range",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) writeBack(paths[index]);
    // Any write to these acts.
    openForWriting("/proc/sys/vm/drop_caches");
    openForWriting("/proc/sys/vm/compact_memory");
    openForWriting("/proc/sys/fs/binfmt_misc/register");
}

static void switches(void) {
    const char *paths[] = {
        "/proc/sysrq-trigger",  "/proc/irq/default_smp_affinity", "/proc/mtrr",            "/proc/fs/nfsd/threads",
        "/proc/scsi/scsi",      "/proc/acpi/wakeup",              "/proc/latency_stats",   "/proc/timer_stats",
        "/proc/bus/pci/00/00.0", "/proc/self/attr/../../sysrq-trigger",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) openForWriting(paths[index]);
}

// A masked file reads as empty, a masked directory has no entries.
static void secrets(void) {
    const char *paths[] = {
        "/proc/kcore",      "/proc/keys",       "/proc/timer_list",  "/proc/timer_stats",   "/proc/kmsg",
        "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/interrupts", "/proc/vmallocinfo", "/proc/slabinfo",   "/proc/pagetypeinfo",  "/proc/self/stack",
        "/proc/diskstats",  "/proc/partitions", "/proc/softirqs",    "/proc/schedstat",     "/proc/zoneinfo",
        "/proc/buddyinfo",  "/proc/cgroups",
    };
    char text[256];
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        int file = open(paths[index], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        judgeOpening(paths[index], file);
        if (file < 0) continue;
        ssize_t length = read(file, text, sizeof text);
        if (length > 0)
            reached("%s can be read", paths[index]);
        else if (length < 0)
            differs("%s opens, then %s", paths[index], errorName(errno));
        else
            refused("empty");
        close(file);
    }
}

static void addresses(void) {
    char text[512];
    if (readText("/proc/kallsyms", text, sizeof text) < 0) return judgeOpening("/proc/kallsyms", -1);
    unsigned long long address = 0;
    if (sscanf(text, "%llx", &address) == 1 && address != 0)
        reached("addresses of the kernel: %llx", address);
    else
        refused("no addresses");
}

static void directories(void) {
    const char *paths[] = {
        "/proc/acpi", "/proc/asound", "/proc/scsi", "/proc/driver", "/proc/tty", "/proc/pressure",
        "/proc/irq", "/proc/fs", "/sys/firmware", "/sys/kernel",
        "/sys/module", "/sys/devices", "/sys/devices/virtual/powercap", "/sys/bus", "/sys/class/net",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        DIR *directory = opendir(paths[index]);
        if (!directory) {
            judgeOpening(paths[index], -1);
            continue;
        }
        // A file system of the root's own is no sysfs: there are the few files that tell of a limit on processors.
        struct stat root, own;
        int isPlanned = stat("/", &root) == 0 && fstat(dirfd(directory), &own) == 0 && root.st_dev == own.st_dev;
        struct dirent *entry;
        while ((entry = readdir(directory)) && entry->d_name[0] == '.') {}
        if (entry && isPlanned)
            differs("%s has %s, of the root", paths[index], entry->d_name);
        else if (entry)
            reached("%s shows %s", paths[index], entry->d_name);
        else
            refused("empty");
        closedir(directory);
    }
}

static void controlGroups(void) {
    if (access("/sys/fs/cgroup", F_OK) < 0) return untried("no /sys/fs/cgroup");
    const char *paths[] = {
        "/sys/fs/cgroup/cgroup.procs",        "/sys/fs/cgroup/release_agent",     "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/pids.max",            "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/memory/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs",
        "/sys/fs/cgroup/rdma/release_agent",  "/sys/fs/cgroup/devices/devices.allow",
        "/sys/fs/cgroup/systemd/release_agent", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) openForWriting(paths[index]);
}

// Load, paging, swap space and processor time of the host are what others do with it.
static void othersWork(void) {
    char text[4096];
    if (readText("/proc/loadavg", text, sizeof text) < 0)
        refused("%s", errorName(errno));
    else if (strncmp(text, "0.00 0.00 0.00 1/1 ", 19) != 0)
        reached("the load of the host: %.*s", (int)strcspn(text, "\n"), text);
    else
        refused("no load");
    const char *const counts[] = {"/proc/vmstat", "/proc/stat"};
    for (size_t index = 0; index < 2; index++) {
        if (readText(counts[index], text, sizeof text) < 0) {
            refused("%s", errorName(errno));
            continue;
        }
        int isIdle = 1;
        for (char *line = text; line && *line; line = strchr(line, '\n')) {
            line += *line == '\n';
            const char *number = line + strcspn(line, " \n");
            // When the host began is no secret, and one process runs: the one that asks.
            if (strncmp(line, "btime ", 6) == 0 || strncmp(line, "procs_running 1\n", 16) == 0) continue;
            if (isIdle && number[strspn(number, " 0")] != '\n' && *line)
                reached("%s: %.*s", counts[index], (int)strcspn(line, "\n"), line), isIdle = 0;
        }
        if (isIdle) refused("nothing");
    }
    if (readText("/proc/swaps", text, sizeof text) < 0) return refused("%s", errorName(errno));
    char *second = strchr(text, '\n');
    if (second && second[1])
        reached("the swap space of the host: %s", second + 1);
    else
        refused("no swap space");
}

// What is above the group of the command is the host's.
static void groupNames(void) {
    char text[4096];
    if (readText("/proc/self/cgroup", text, sizeof text) < 0) return untried("/proc/self/cgroup: %s", errorName(errno));
    for (char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *path = strchr(line, '/');
        if (!*line || !path) continue;
        if (strncmp(path, "/\n", 2) == 0)
            refused("/");
        else
            reached("we are in the group %.*s", (int)strcspn(path, "\n"), path);
    }
}

static void trueProc(void) {
    const char *paths[] = {"/proc", "/proc/self", "/proc/self/attr", "/proc/self/fd", "/proc/sys", "/proc/thread-self"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct statfs status;
        if (statfs(paths[index], &status) < 0)
            untried("%s: %s", paths[index], errorName(errno));
        else if ((unsigned long)status.f_type != procMagic)
            reached("%s is not proc but %lx", paths[index], (unsigned long)status.f_type);
        else
            refused("proc");
    }
    struct stat status;
    if (lstat("/proc", &status) < 0 || !S_ISDIR(status.st_mode))
        reached("/proc is not a directory");
    else if (status.st_ino != 1)
        reached("/proc is not the root of proc");
    else
        refused("a directory");
}

// A mask is a bind of /dev/null: were its source replaced, the "mask" would be a file of the host. What nobody inside may
// open needs none.
static void masks(void) {
    const char *paths[] = {"/proc/keys", "/proc/timer_list", "/proc/kcore", "/proc/kallsyms", "/proc/interrupts"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct stat status;
        if (lstat(paths[index], &status) < 0)
            untried("no %s", paths[index]);
        else if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
            refused("null");
        else if (access(paths[index], R_OK) < 0 && errno == EACCES && access(paths[index], W_OK) < 0)
            refused("%s", errorName(errno));
        else
            reached("%s is not masked by null", paths[index]);
    }
}

const struct Test kernelFileTests[] = {
    {"files.settings", "write settings of the kernel below /proc/sys", settings},
    {"files.switches", "write files of /proc that act at once, such as sysrq-trigger", switches},
    {"files.kernel-secrets", "read memory, log, keys and timers of the kernel from /proc", secrets},
    {"files.kernel-addresses", "read addresses of the kernel from /proc/kallsyms", addresses},
    {"files.kernel-directories", "look into directories of hardware and kernel below /proc and /sys", directories},
    {"files.cgroup", "write control groups and release_agent (CVE-2022-0492, runc CVE-2023-25809)", controlGroups},
    {"files.cgroup-names", "see which control group of the host we are in", groupNames},
    {"files.others-work", "see what others make the host do: its load, paging, swap space and processor time", othersWork},
    {"files.true-proc", "find a false /proc (runc CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-52881)",
     trueProc},
    {"files.masks", "find files masked by something else than null (runc CVE-2025-31133, CVE-2025-52565)", masks},
    {NULL, NULL, NULL},
};
