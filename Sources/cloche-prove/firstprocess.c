// Process 1: it runs outside of the command's filter, so whoever can read, trace or write it makes any call through it.
// Source: ptrace(2) "access mode checking", proc(5).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static const char status[] = "/proc/1/status";

static void otherUser(void) {
    char map[256];
    unsigned inside, outside, count;
    if (readText("/proc/self/uid_map", map, sizeof map) < 0) return untried("/proc/self/uid_map: %s", errorName(errno));
    char *line = strchr(map, '\n');
    int isOneLine = line && !line[1];
    if (isOneLine && sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && count == 1)
        return untried("the user namespace has a single id");
    long long user = statusField(status, "Uid:", 10);
    if (user < 0) return untried("%s cannot be read", status);
    if (user == (long long)getuid())
        reached("process 1 is our own user, %lld", user);
    else if (user == 0)
        reached("process 1 is root here");
    else
        refused("uid %lld", user);
}

static void confined(void) {
    const struct {
        const char *field;
        int base;
        long long value;
    } fields[] = {
        {"Seccomp:", 10, 2}, {"NoNewPrivs:", 10, 1}, {"CapPrm:", 16, 0}, {"CapEff:", 16, 0}, {"CapBnd:", 16, 0},
    };
    for (size_t index = 0; index < sizeof fields / sizeof *fields; index++) {
        long long value = statusField(status, fields[index].field, fields[index].base);
        if (value != fields[index].value)
            reached("process 1 has %s %llx", fields[index].field, value);
        else
            refused("as planned");
    }
}

static void openEach(const char *const *paths, int flags) {
    for (; *paths; paths++) {
        int file = open(*paths, flags | O_CLOEXEC | O_NONBLOCK);
        if (file >= 0) {
            reached("%s opens", *paths);
            close(file);
        } else if (errno == ENOENT)
            untried("no %s", *paths);
        else if (errno == EACCES || errno == EPERM)
            refused("%s", errorName(errno));
        else
            differs("%s: %s", *paths, errorName(errno));
    }
}

static void readFiles(void) {
    const char *const paths[] = {
        "/proc/1/mem",     "/proc/1/maps",      "/proc/1/environ", "/proc/1/auxv",    "/proc/1/fd",
        "/proc/1/fd/0",    "/proc/1/fd/3",      "/proc/1/root",    "/proc/1/root/.",  "/proc/1/cwd",
        "/proc/1/cwd/..",  "/proc/1/ns/mnt",    "/proc/1/ns/user", "/proc/1/ns/pid",  "/proc/1/smaps",
        "/proc/1/pagemap", "/proc/1/map_files", "/proc/1/stack",   "/proc/1/syscall", "/proc/1/personality",
        "/proc/1/io",      NULL,
    };
    openEach(paths, O_RDONLY);
    // An O_PATH descriptor needs no right to read, only the right to follow the link.
    const char *const links[] = {"/proc/1/exe", "/proc/1/root", "/proc/1/cwd", "/proc/1/fd/3", "/proc/1/ns/net", NULL};
    openEach(links, O_PATH);
    char target[256];
    expect("readlink of /proc/1/exe", readlink("/proc/1/exe", target, sizeof target), EACCES);
}

static void writeProgram(void) {
    const char *const paths[] = {"/proc/1/exe", NULL};
    openEach(paths, O_WRONLY);
    openEach(paths, O_RDONLY);
    // The way of the CVE: hold the program with O_PATH, then open it again through our own table.
    int held = open("/proc/1/exe", O_PATH | O_CLOEXEC);
    if (held < 0) return refused("%s", errorName(errno));
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", held);
    int file = open(again, O_WRONLY | O_CLOEXEC);
    if (file >= 0)
        reached("the program of process 1 opens for writing");
    else
        differs("held with O_PATH, opening it again: %s", errorName(errno));
}

static void writeFiles(void) {
    const char *const paths[] = {
        "/proc/1/mem",           "/proc/1/oom_score_adj", "/proc/1/oom_adj",    "/proc/1/uid_map",
        "/proc/1/gid_map",       "/proc/1/projid_map",    "/proc/1/setgroups",  "/proc/1/clear_refs",
        "/proc/1/comm",          "/proc/1/loginuid",      "/proc/1/autogroup",  "/proc/1/sched",
        NULL,
    };
    openEach(paths, O_WRONLY);
    // Everybody may open these; the right is looked at when they are written.
    const char *const late[] = {"/proc/1/timerslack_ns", "/proc/1/attr/current", "/proc/1/attr/exec"};
    for (size_t index = 0; index < 3; index++) {
        int file = open(late[index], O_WRONLY | O_CLOEXEC);
        expect(late[index], file < 0 ? -1 : write(file, "50000\n", 6), EPERM);
        if (file >= 0) close(file);
    }
}

// Anybody may read the mount table of process 1; it tells more than our own where the root is another.
static void mountTable(void) {
    static char first[64 * 1024], own[64 * 1024];
    if (readText("/proc/1/mountinfo", first, sizeof first) < 0) return refused("%s", errorName(errno));
    if (readText("/proc/self/mountinfo", own, sizeof own) < 0) return untried("%s", errorName(errno));
    if (strcmp(first, own) != 0)
        reached("process 1 sees other mounts than we do");
    else
        refused("the same as ours");
}

static void trace(void) {
    // A tracer that ends lets go of what it traces.
    expect("ptrace(PTRACE_SEIZE, 1)", ptrace(PTRACE_SEIZE, 1, 0, 0), EPERM);
    expect("ptrace(PTRACE_ATTACH, 1)", ptrace(PTRACE_ATTACH, 1, 0, 0), EPERM);
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    expect("process_vm_readv of process 1", process_vm_readv(1, &here, 1, &there, 1, 0), EPERM);
    expect("process_vm_writev to process 1", process_vm_writev(1, &here, 0, &there, 0, 0), EPERM);
}

static void descriptors(void) {
    int process = (int)syscall(call_pidfd_open, 1, 0);
    if (process < 0) return untried("pidfd_open(1): %s", errorName(errno));
    for (long number = 0; number < 8; number++)
        expect("pidfd_getfd of process 1", syscall(call_pidfd_getfd, process, number, 0), ENOSYS);
    expect("setns by its pidfd", syscall(SYS_setns, process, 0x00020000 /* CLONE_NEWNS */), EPERM);
    char advice[16] = {0};
    expect("process_madvise", syscall(call_process_madvise, process, advice, 1, 4, 0), ENOSYS);
    expect("kcmp with process 1", syscall(SYS_kcmp, getpid(), 1, 0, 0, 0), EPERM);
}

static void signals(void) {
    if (kill(1, 0) < 0) {
        expect("kill(1, 0)", -1, EPERM);
        expect("kill(1, SIGKILL)", kill(1, SIGKILL), EPERM);
        int process = (int)syscall(call_pidfd_open, 1, 0);
        if (process >= 0)
            expect("pidfd_send_signal", syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0), EPERM);
        return;
    }
    // With a single id the kernel's rule is left: process 1 gets no signal from inside that it has no handler for.
    const int deadly[] = {SIGKILL, SIGSTOP, SIGTERM, SIGINT, SIGHUP, SIGSEGV};
    for (size_t index = 0; index < sizeof deadly / sizeof *deadly; index++) kill(1, deadly[index]);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    if (kill(1, 0) < 0) return reached("process 1 was ended by a signal");
    char text[2048];
    if (readText(status, text, sizeof text) > 0 && strstr(text, "State:\tT")) return reached("process 1 was stopped");
    differs("signals may be sent, and have no effect");
}

static void priority(void) {
    expect("setpriority of process 1", syscall(SYS_setpriority, 0 /* PRIO_PROCESS */, 1, 19), EPERM);
    expect("setpriority of process 1's group", syscall(SYS_setpriority, 1 /* PRIO_PGRP */, 1, 19), EPERM);
    expect("setpriority of all of our user", syscall(SYS_setpriority, 2 /* PRIO_USER */, 0, 19), EPERM);
    struct {
        unsigned long soft, hard;
    } limit = {1024, 1024};
    expect("prlimit64 of process 1", syscall(SYS_prlimit64, 1, 7 /* RLIMIT_NOFILE */, &limit, NULL), EPERM);
    struct {
        int priority;
    } parameter = {0};
    // SCHED_IDLE.
    expect("sched_setscheduler of process 1", syscall(SYS_sched_setscheduler, 1, 5, &parameter), EPERM);
    unsigned long cpu = 1;
    expect("sched_setaffinity of process 1", syscall(SYS_sched_setaffinity, 1, sizeof cpu, &cpu), EPERM);
    expect("ioprio_set of process 1", syscall(SYS_ioprio_set, 1, 1, 3 << 13), EPERM);
    expect("ioprio_set of process 1's group", syscall(SYS_ioprio_set, 2, 1, 3 << 13), EPERM);
    expect("ioprio_set of all of our user", syscall(SYS_ioprio_set, 3, 0, 3 << 13), EPERM);
}

const struct Test firstProcessTests[] = {
    {"init.user", "find process 1 running as our own user, or as root", otherUser},
    {"init.confinement", "find process 1 without a filter or with capabilities", confined},
    {"init.read", "read memory, variables, descriptors, root and namespaces of process 1 (CVE-2016-9962)", readFiles},
    {"init.program", "overwrite the program of process 1 through /proc/1/exe (runc CVE-2019-5736)", writeProgram},
    {"init.write", "write memory and settings of process 1 through /proc", writeFiles},
    {"init.mounts", "learn of mounts outside of our root from process 1", mountTable},
    {"init.trace", "trace process 1, or read and write its memory by system calls", trace},
    {"init.descriptors", "take descriptors or namespaces of process 1 through a pidfd (CVE-2016-9962)", descriptors},
    {"init.signals", "end or stop process 1 by a signal", signals},
    {"init.priority", "change priority, limits or processors of process 1", priority},
    {NULL, NULL, NULL},
};
