// System calls by number: those that nobody knows, those of other machines, and numbers with bits that the kernel
// drops. A list of refused names lets every newer call through (flatpak CVE-2021-41133).
// Source: syscalls(2), seccomp(2) "architecture", the gaps of Sources/Isolation/SystemCallTable+*.swift.
#define _GNU_SOURCE
#include "prove.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

// Neither in the table of x86_64 nor in that of aarch64; the numbers below 424 differ between the two.
static int isUnknown(long number) {
#ifdef __x86_64__
    return (number > 336 && number < 424) || number > 471;
#else
    return (number > 294 && number < 424) || (number > 243 && number < 260) || number > 471;
#endif
}

static void unknownNumbers(void) {
    for (long number = 0; number <= 1000; number = number == 600 ? 1000 : number + 1) {
        if (!isUnknown(number)) continue;
        char what[32];
        snprintf(what, sizeof what, "call %ld", number);
        expect(what, syscall(number, 0, 0, 0, 0, 0, 0), ENOSYS);
    }
}

static void obsolete(void) {
#ifdef __x86_64__
    // _sysctl, afs_syscall, tuxcall, security, vserver, getpmsg, putpmsg, create_module, get_kernel_syms,
    // query_module, epoll_ctl_old, epoll_wait_old, nfsservctl, lookup_dcookie, sysfs, ustat, uselib,
    // set_thread_area, get_thread_area.
    const long numbers[] = {
        156, 183, 184, 185, 236, 181, 182, 174, 177, 178, 214, 215, 180, 212, 139, 136, 134, 205, 211,
    };
#else
    const long numbers[] = {18, 42};
#endif
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        char what[32];
        snprintf(what, sizeof what, "call %ld", numbers[index]);
        expect(what, syscall(numbers[index], 1, 0, 0, 0, 0, 0), ENOSYS);
    }
}

// The kernel takes the low 32 bits of the register, so these are mount and unshare.
static void wideNumbers(void) {
#ifdef __x86_64__
    const struct Call calls[] = {
        {"unshare as 1<<32|272", EPERM, WIDE(SYS_unshare), {CLONE_NEWUTS}},
        {"mount as 1<<32|165", EPERM, WIDE(SYS_mount), {(long)"none", (long)"/proc/none", (long)"tmpfs", 0, 0}},
        {"splice as 1<<32|275", ENOSYS, WIDE(SYS_splice), {-1, 0, -1, 0, 0, 0}},
    };
    EXPECT_CALLS(calls);
#else
    untried("the number's register has no further bits that are dropped");
#endif
}

#ifdef __x86_64__
static long foreign(long number) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(0), "c"(0), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

// 20 is getpid, 21 mount, 310 unshare of i386: none of them does anything with these arguments.
static void makeForeignCalls(void) {
    const long numbers[] = {20, 21, 310};
    for (size_t index = 0; index < 3; index++)
        if ((int)foreign(numbers[index]) != -ENOSYS) _exit(1);
}

static void makeX32Calls(void) {
    // getpid, mount, unshare, socket, and x32's own numbers of ptrace and execveat.
    const long numbers[] = {39, 165, 272, 41, 521, 545};
    for (size_t index = 0; index < 6; index++)
        if (syscall(0x40000000L | numbers[index], 0, 0, 0, 0, 0, 0) >= 0 || errno != ENOSYS) _exit(1);
}

static void judgeForeign(const char *what, int status) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        refused("killed by SIGSYS");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
        differs("SIGSEGV: the kernel has no calls of %s", what);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        refused("ENOSYS");
    else
        reached("calls of %s are carried out", what);
}

static void foreignCalls(void) { judgeForeign("i386", inChild(makeForeignCalls)); }
static void x32Calls(void) { judgeForeign("x32", inChild(makeX32Calls)); }
#else
static void foreignCalls(void) { untried("a program of this machine cannot make 32-bit calls"); }
static void x32Calls(void) { untried("this machine has no x32"); }
#endif

const struct Test numberTests[] = {
    {"calls.unknown", "make every call up to 600 that has no name, and 1000 (flatpak CVE-2021-41133)", unknownNumbers},
    {"calls.obsolete", "make calls that the kernel no longer carries out", obsolete},
    {"calls.wide-numbers", "make refused calls by numbers with high bits", wideNumbers},
    {"calls.i386", "make 32-bit calls through interrupt 0x80", foreignCalls},
    {"calls.x32", "make calls by x32 numbers", x32Calls},
    {NULL, NULL, NULL},
};
