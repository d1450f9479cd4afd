// What the files of cloche-prove share: the form of a test, how a test tells its findings, and numbers of system calls
// that are newer than the headers of Debian 12.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// One way out of a sandbox. It runs in a process of its own and tells what it finds by the functions below.
struct Test {
    const char *name;
    const char *sentence;
    void (*run)(void);
};

// One way to use up the machine. Ends with `limitHeld` when something refused to give more, else with 0.
struct Exhauster {
    const char *name;
    const char *sentence;
    int (*run)(long number);
};

enum { limitHeld = 3 };

// Each ends with an entry that has no name.
extern const struct Test identityTests[], firstProcessTests[], kernelTests[], mountTests[], namespaceTests[],
    numberTests[], crossingTests[], argumentTests[], modeTests[], socketTests[], reachTests[], kernelFileTests[],
    deviceTests[], mountTableTests[], pathTests[], processTests[];
extern const struct Exhauster memoryExhausters[], processExhausters[], counterExhausters[];

// What was true when the program started, before it opened or forked anything.
struct Start {
    int descriptors;
    int extra[8];
    pid_t parent;
};
extern struct Start start;

// Findings of a test. It is open if anything was reached, else held if anything was refused, else skipped.
void reached(const char *format, ...) __attribute__((format(printf, 1, 2)));
void refused(const char *format, ...) __attribute__((format(printf, 1, 2)));
void differs(const char *format, ...) __attribute__((format(printf, 1, 2)));
void untried(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The finding for a call that should fail with `error`; `errno` is that of the call.
void expect(const char *what, long result, int error);

// The same for a call that may fail with any error.
void expectFailure(const char *what, long result);

// A system call and the error it should fail with.
struct Call {
    const char *what;
    int error;
    long number;
    long arguments[6];
};
void expectCalls(const struct Call *calls, size_t count);

#define EXPECT_CALLS(calls) expectCalls(calls, sizeof(calls) / sizeof *(calls))

// Adds bits that the kernel drops from an `int` argument, and that a filter might look at.
#define WIDE(value) ((long)(0x100000000UL | (unsigned int)(value)))

// The word for an error.
const char *errorName(int error);

// Runs `body`, which may tell findings, in a further process that leads no group; returns its wait status.
int inChild(void (*body)(void));

// Reads a small file; the length, or -1. The text ends with a zero.
ssize_t readText(const char *path, char *buffer, size_t size);

// The number behind `field` ("Seccomp:") in a status file of /proc, in `base`; -1 where there is none.
long long statusField(const char *path, const char *field, int base);

// Does what each question asks for and prints what came of it.
int ask(char **questions);

// Runs one test and prints its line; true when it is open.
int runTest(const struct Test *test);

// The calls from 424 on have the same numbers on every machine.
enum {
    call_io_uring_setup = 425,
    call_io_uring_enter = 426,
    call_io_uring_register = 427,
    call_open_tree = 428,
    call_move_mount = 429,
    call_fsopen = 430,
    call_fsconfig = 431,
    call_fsmount = 432,
    call_fspick = 433,
    call_pidfd_open = 434,
    call_clone3 = 435,
    call_openat2 = 437,
    call_pidfd_getfd = 438,
    call_process_madvise = 440,
    call_mount_setattr = 442,
    call_quotactl_fd = 443,
    call_memfd_secret = 447,
    call_process_mrelease = 448,
    call_set_mempolicy_home_node = 450,
    call_fchmodat2 = 452,
    call_statmount = 457,
    call_listmount = 458,
    call_lsm_get_self_attr = 459,
    call_lsm_set_self_attr = 460,
    call_lsm_list_modules = 461,
    call_open_tree_attr = 467,
    call_file_getattr = 468,
    call_file_setattr = 469,
    call_listns = 470,
};
