// Calls that are refused by one of their arguments, each also with high bits in the register: a filter compares 64
// bits, the kernel takes 32 (CVE-2019-10063).
// Source: ioctl_tty(2), fcntl(2), tcp(7), personality(2), prlimit(2).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

// The inner end of a new terminal, which controls our own new session; -1 where there is none.
// The leader of a process group cannot make a session, so the tests that want a terminal run in further processes.
static int ownTerminal(void) {
    setsid();
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int unlocked = 0, number = -1;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCGPTN, &number) < 0) return -1;
    char path[64];
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    int terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal >= 0) ioctl(terminal, TIOCSCTTY, 0);
    return terminal;
}

static void expectRequest(int file, const char *name, unsigned int request, void *argument) {
    char what[64];
    expect(name, syscall(SYS_ioctl, file, request, argument), EPERM);
    snprintf(what, sizeof what, "%s with 1<<32", name);
    expect(what, syscall(SYS_ioctl, file, WIDE(request), argument), EPERM);
    snprintf(what, sizeof what, "%s with all high bits", name);
    expect(what, syscall(SYS_ioctl, file, (long)(0xFFFFFFFF00000000UL | request), argument), EPERM);
}

static void typingHere(void) {
    int terminal = ownTerminal();
    if (terminal < 0) return untried("no terminal: %s", errorName(errno));
    char letter = 'x';
    expectRequest(terminal, "TIOCSTI", 0x5412, &letter);
}

static void selectingHere(void) {
    int terminal = ownTerminal();
    if (terminal < 0) return untried("no terminal: %s", errorName(errno));
    // 6 asks for the state of the shift keys.
    char subcode[16] = {6};
    expectRequest(terminal, "TIOCLINUX", 0x541C, subcode);
    expectRequest(terminal, "TIOCCONS", 0x541D, NULL);
}

static void disciplinesHere(void) {
    int terminal = ownTerminal();
    if (terminal < 0) return untried("no terminal: %s", errorName(errno));
    // N_TTY is in force already; the others are loaded as modules on demand (n_gsm CVE-2023-6546).
    int discipline = 0;
    expectRequest(terminal, "TIOCSETD", 0x5423, &discipline);
}

static void typing(void) { inChild(typingHere); }
static void selecting(void) { inChild(selectingHere); }
static void disciplines(void) { inChild(disciplinesHere); }

static void standardTerminal(void) {
    char letter = 'x';
    int found = 0;
    for (int file = 0; file <= 2; file++) {
        if (!isatty(file)) continue;
        found = 1;
        expectRequest(file, "TIOCSTI on our own terminal", 0x5412, &letter);
    }
    int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (controlling >= 0) {
        found = 1;
        expectRequest(controlling, "TIOCSTI on /dev/tty", 0x5412, &letter);
    }
    if (!found) untried("no terminal was given to us");
}

static void leases(void) {
    char path[] = "/tmp/cloche-prove-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) return untried("no file in /tmp: %s", errorName(errno));
    unlink(path);
    int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // DN_ACCESS of a directory; the signal would be SIGIO.
    const struct Call calls[] = {
        {"fcntl(F_SETLEASE)", EPERM, SYS_fcntl, {file, F_SETLEASE, F_WRLCK}},
        {"fcntl(1<<32|F_SETLEASE)", EPERM, SYS_fcntl, {file, WIDE(F_SETLEASE), F_WRLCK}},
        {"fcntl(F_NOTIFY)", EPERM, SYS_fcntl, {directory, F_NOTIFY, 0}},
        {"fcntl(1<<32|F_NOTIFY)", EPERM, SYS_fcntl, {directory, WIDE(F_NOTIFY), 0}},
    };
    EXPECT_CALLS(calls);
    close(file);
}

static void layeredProtocols(void) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0) return untried("no TCP socket: %s", errorName(errno));
    const long text = (long)"tls", size = 4;
    const struct Call calls[] = {
        {"TCP_ULP", ENOPROTOOPT, SYS_setsockopt, {connection, IPPROTO_TCP, 31, text, size}},
        {"TCP_ULP, level wide", ENOPROTOOPT, SYS_setsockopt, {connection, WIDE(IPPROTO_TCP), 31, text, size}},
        {"TCP_ULP, option wide", ENOPROTOOPT, SYS_setsockopt, {connection, IPPROTO_TCP, WIDE(31), text, size}},
        {"TCP_ULP espintcp", ENOPROTOOPT, SYS_setsockopt, {connection, IPPROTO_TCP, 31, (long)"espintcp", 9}},
    };
    EXPECT_CALLS(calls);
}

static void domains(void) {
    // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, a 32-bit address space.
    const unsigned int flags[] = {0x0040000, 0x0400000, 0x0100000, 0x0200000, 0x0800000};
    for (size_t index = 0; index < sizeof flags / sizeof *flags; index++) {
        char what[64];
        snprintf(what, sizeof what, "personality(0x%x)", flags[index]);
        expect(what, syscall(SYS_personality, (long)flags[index]), EPERM);
        snprintf(what, sizeof what, "personality(1<<32|0x%x)", flags[index]);
        expect(what, syscall(SYS_personality, WIDE(flags[index])), EPERM);
    }
}

static void coreLimit(void) {
    struct rlimit limit = {0, 0};
    if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max > 1)
        reached("core dumps of up to %lu bytes are allowed", (unsigned long)limit.rlim_max);
    // 1 keeps piped handlers of the host from starting; 0 does not (core(5)).
    const struct rlimit other = {0, limit.rlim_max};
    const struct Call calls[] = {
        {"prlimit64(RLIMIT_CORE)", EPERM, SYS_prlimit64, {0, RLIMIT_CORE, (long)&other, 0}},
        {"prlimit64(1<<32|RLIMIT_CORE)", EPERM, SYS_prlimit64, {0, WIDE(RLIMIT_CORE), (long)&other, 0}},
        {"prlimit64 with its own number", EPERM, SYS_prlimit64, {getpid(), RLIMIT_CORE, (long)&other, 0}},
#ifdef SYS_setrlimit
        {"setrlimit(RLIMIT_CORE)", EPERM, SYS_setrlimit, {RLIMIT_CORE, (long)&other}},
        {"setrlimit(1<<32|RLIMIT_CORE)", EPERM, SYS_setrlimit, {WIDE(RLIMIT_CORE), (long)&other}},
#endif
    };
    EXPECT_CALLS(calls);
}

const struct Test argumentTests[] = {
    {"calls.tiocsti", "type into a terminal, also with high bits (CVE-2017-5226, CVE-2019-10063)", typing},
    {"calls.tioclinux", "paste into or take the console, also with high bits (CVE-2023-28100)", selecting},
    {"calls.tiocsetd", "change the line discipline of a terminal, also with high bits", disciplines},
    {"calls.own-terminal", "type into the terminal that watches the command (CVE-2017-5226)", standardTerminal},
    {"calls.leases", "take a lease or a directory notification, also with high bits (isolate 2.6)", leases},
    {"calls.tcp-ulp", "layer a protocol onto TCP, also with high bits (espintcp: Fragnesia CVE-2026-46300)",
     layeredProtocols},
    {"calls.personality", "switch off protections by an execution domain, also with high bits", domains},
    {"calls.core-limit", "change the limit of core dumps, which starts the host's handler", coreLimit},
    {NULL, NULL, NULL},
};
