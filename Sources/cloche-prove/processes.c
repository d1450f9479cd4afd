// Other processes, priorities and limits, and what is shared by name.
// Source: kill(2), pid_namespaces(7), sched(7), getrlimit(2), prctl(2), sysvipc(7).
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { numbersToTry = 40000 };

static void everybody(void) {
    // Signal 0 only asks. Whoever exists and is not ours answers EPERM; whoever is ours has to be visible.
    for (int number = 2; number < numbersToTry; number++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d", number);
        if (kill(number, 0) == 0 && access(path, F_OK) < 0)
            reached("a signal reaches process %d, which is hidden", number);
        else if (kill(number, 0) < 0 && errno == EPERM)
            reached("process %d exists and is not ours", number);
    }
    refused("only our own");
    if (kill(-1, 0) < 0 && errno != ESRCH && errno != EPERM) differs("kill(-1, 0): %s", errorName(errno));
}

static void visible(void) {
    DIR *proc = opendir("/proc");
    if (!proc) return untried("/proc: %s", errorName(errno));
    for (struct dirent *entry; (entry = readdir(proc));) {
        int number = atoi(entry->d_name);
        if (number <= 1) continue;
        char path[300], name[64];
        snprintf(path, sizeof path, "/proc/%d/status", number);
        long long user = statusField(path, "Uid:", 10);
        snprintf(path, sizeof path, "/proc/%d/comm", number);
        if (user < 0 || readText(path, name, sizeof name) < 0) continue;
        name[strcspn(name, "\n")] = 0;
        if (user != (long long)getuid())
            reached("process %d (%s) of user %lld is visible", number, name, user);
        else
            refused("ours");
    }
    closedir(proc);
}

static void parent(void) {
    if (start.parent == 0 && getpid() > 3)
        reached("our parent is outside of the namespace");
    else if (start.parent > 200)
        reached("our parent is process %d", start.parent);
    else
        refused("parent %d", start.parent);
}

static void priorities(void) {
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice > -20) {
        expect("setpriority(-20)", setpriority(PRIO_PROCESS, 0, -20), EACCES);
        expect("setpriority one better", setpriority(PRIO_PROCESS, 0, nice - 1), EACCES);
        expect("setpriority(PRIO_USER, -20)", setpriority(PRIO_USER, 0, -20), EPERM);
    } else {
        reached("our priority is -20");
    }
    const struct sched_param first = {.sched_priority = 1};
    expect("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &first), EPERM);
    expect("SCHED_RR", sched_setscheduler(0, SCHED_RR, &first), EPERM);
    // struct sched_attr: size, policy 6 (deadline), flags, nice, priority, then runtime, deadline, period.
    uint64_t attributes[6] = {48 | 6ULL << 32, 0, 0, 1000000, 10000000, 10000000};
    expect("SCHED_DEADLINE", syscall(SYS_sched_setattr, 0, attributes, 0), EPERM);
    expect("ioprio_set(real time)", syscall(SYS_ioprio_set, 1, 0, 1 << 13), EPERM);
}

static void limits(void) {
    for (int resource = 0; resource < (int)RLIM_NLIMITS; resource++) {
        struct rlimit limit;
        if (resource == RLIMIT_CORE || getrlimit((__rlimit_resource_t)resource, &limit) < 0) continue;
        if (limit.rlim_max == RLIM_INFINITY) continue;
        char what[64];
        limit.rlim_max++;
        snprintf(what, sizeof what, "raising the hard limit %d", resource);
        expect(what, setrlimit((__rlimit_resource_t)resource, &limit), EPERM);
        limit.rlim_max = RLIM_INFINITY;
        expect(what, setrlimit((__rlimit_resource_t)resource, &limit), EPERM);
    }
}

static void outOfMemory(void) {
    char text[32];
    if (readText("/proc/self/oom_score_adj", text, sizeof text) < 0) return untried("%s", errorName(errno));
    int present = atoi(text);
    const int wanted[] = {-1000, -999, present - 1};
    for (size_t index = 0; index < 3; index++) {
        if (wanted[index] < -1000) continue;
        int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (file < 0) {
            expect("opening oom_score_adj", -1, EACCES);
            continue;
        }
        char what[64];
        int length = snprintf(text, sizeof text, "%d\n", wanted[index]);
        snprintf(what, sizeof what, "oom_score_adj from %d to %d", present, wanted[index]);
        expect(what, write(file, text, (size_t)length), EACCES);
        close(file);
    }
}

static void memoryMap(void) {
    expect("PR_SET_MM_START_BRK", prctl(PR_SET_MM, PR_SET_MM_START_BRK, 0x10000, 0, 0), EPERM);
    int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    expect("PR_SET_MM_EXE_FILE", prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, own, 0, 0), EPERM);
    expect("PR_SET_MM_ENV_START", prctl(PR_SET_MM, PR_SET_MM_ENV_START, (unsigned long)&own, 0, 0), EPERM);
}

static void coreHandling(void) {
    // Mode 2 (suidsafe) makes dumps that root owns; prctl(2) refuses it since Linux 2.6.13.
    expect("PR_SET_DUMPABLE to 2", prctl(PR_SET_DUMPABLE, 2, 0, 0, 0), EINVAL);
    // PR_SCHED_CORE, PR_SCHED_CORE_SHARE_TO: sharing a core with process 1.
    expectFailure("PR_SCHED_CORE_SHARE_TO process 1", prctl(62, 2, 1, 0, 0));
}

static void segments(void) {
    const char *paths[] = {"/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem"};
    char text[4096];
    for (size_t index = 0; index < 3; index++) {
        if (readText(paths[index], text, sizeof text) < 0) {
            untried("%s: %s", paths[index], errorName(errno));
            continue;
        }
        char *second = strchr(text, '\n');
        if (second && second[1])
            reached("%s lists what is not ours", paths[index]);
        else
            refused("empty");
    }
}

static void sharedMemory(void) {
    const char *paths[] = {"/dev/shm", "/dev/mqueue"};
    for (size_t index = 0; index < 2; index++) {
        DIR *directory = opendir(paths[index]);
        if (!directory) {
            untried("%s: %s", paths[index], errorName(errno));
            continue;
        }
        struct dirent *entry;
        while ((entry = readdir(directory)) && entry->d_name[0] == '.') {}
        // What a step before us has left there is the run's own.
        struct stat status;
        char path[300];
        if (entry) snprintf(path, sizeof path, "%s/%s", paths[index], entry->d_name);
        if (entry && lstat(path, &status) == 0 && status.st_uid != getuid())
            reached("%s, which is not ours", path);
        else
            refused("nothing of others");
        closedir(directory);
    }
}

static void terminalSession(void) {
    int session = getsid(0);
    if (session == 0)
        reached("our session is one of outside");
    else
        refused("session %d", session);
    int group = getpgid(getppid());
    if (group == 0)
        reached("our process group is one of outside");
    else
        refused("group %d", group);
}

const struct Test processTests[] = {
    {"processes.signals", "reach processes of others by a signal (signal 0 only)", everybody},
    {"processes.visible", "see processes of others in /proc", visible},
    {"processes.parent", "have a parent outside of the process namespace", parent},
    {"processes.session", "belong to a session or a process group of outside (CVE-2017-5226)", terminalSession},
    {"processes.priority", "get a better priority than was given, or real-time scheduling", priorities},
    {"processes.limits", "raise hard limits", limits},
    {"processes.oom-score", "be spared when memory runs out", outOfMemory},
    {"processes.memory-map", "lie about our own program and memory by PR_SET_MM", memoryMap},
    {"processes.core-handling", "make dumps that root owns, share a core with process 1", coreHandling},
    {"processes.sysv-ipc", "see shared memory, queues and semaphores of others", segments},
    {"processes.shared-memory", "see POSIX shared memory and queues of others (isolate 2.6)", sharedMemory},
    {NULL, NULL, NULL},
};
