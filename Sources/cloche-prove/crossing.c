// Calls that reach across a boundary: into other processes, into files that no directory shows, and into pages that
// somebody else holds too.
// Source: ptrace(2), open_by_handle_at(2), splice(2), memfd_secret(2).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static void offerTracing(void) { expect("ptrace(PTRACE_TRACEME)", ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM); }

static void tracing(void) {
    // Whoever is traced stops at its next signal, so it must not be the test itself.
    inChild(offerTracing);
    pid_t child = fork();
    if (child == 0) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        _exit(0);
    }
    expect("ptrace(PTRACE_SEIZE) of a child", ptrace(PTRACE_SEIZE, child, 0, 0), EPERM);
    expect("ptrace(PTRACE_ATTACH) of a child", ptrace(PTRACE_ATTACH, child, 0, 0), EPERM);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void otherMemory(void) {
    char from = 'a', to = 0;
    struct iovec here = {&to, 1}, there = {&from, 1};
    const struct Call calls[] = {
        {"process_vm_readv", EPERM, SYS_process_vm_readv, {getpid(), (long)&here, 1, (long)&there, 1, 0}},
        {"process_vm_writev", EPERM, SYS_process_vm_writev, {getpid(), (long)&here, 1, (long)&there, 1, 0}},
        {"kcmp", EPERM, SYS_kcmp, {getpid(), getpid(), 0, 0, 0}},
    };
    EXPECT_CALLS(calls);
    int own = (int)syscall(call_pidfd_open, getpid(), 0);
    if (own < 0) untried("pidfd_open: %s", errorName(errno));
    expect("pidfd_getfd", syscall(call_pidfd_getfd, own, 0, 0), ENOSYS);
    expect("process_madvise", syscall(call_process_madvise, own, &there, 1, MADV_COLD, 0), ENOSYS);
}

static void fileHandles(void) {
    struct {
        struct file_handle head;
        unsigned char space[128];
    } handle;
    memset(&handle, 0, sizeof handle);
    handle.head.handle_bytes = 128;
    int mount;
    expect("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount, 0), ENOSYS);
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // The handle of the root directory of ext4 and xfs, as the "shocker" program of 2014 made it: inode 2.
    memset(&handle, 0, sizeof handle);
    handle.head.handle_bytes = 8;
    handle.head.handle_type = 1;
    handle.space[0] = 2;
    expect("open_by_handle_at", syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY), EPERM);
    expect("open_by_handle_at(1<<32)", syscall(SYS_open_by_handle_at, WIDE(root), &handle, O_RDONLY), EPERM);
    // FD_PIDFS_ROOT and FD_NSFS_ROOT: processes and namespaces by handle, since Linux 6.14 and 6.18.
    expect("open_by_handle_at(pidfs)", syscall(SYS_open_by_handle_at, -10002, &handle, O_RDONLY), EPERM);
    expect("open_by_handle_at(nsfs)", syscall(SYS_open_by_handle_at, -10003, &handle, O_RDONLY), EPERM);
}

static void sharedPages(void) {
    int from[2], to[2];
    if (pipe(from) < 0 || pipe(to) < 0 || write(from[1], "abc", 3) != 3) return untried("no pipes");
    struct iovec page = {from, sizeof from};
    int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    long offset = 0;
    const struct Call calls[] = {
        {"tee", ENOSYS, SYS_tee, {from[0], to[1], 1, 0}},
        {"splice between pipes", ENOSYS, SYS_splice, {from[0], 0, to[1], 0, 1, 0}},
        {"splice of a file", ENOSYS, SYS_splice, {own, (long)&offset, to[1], 0, 1, 0}},
        {"splice(1<<32)", ENOSYS, SYS_splice, {WIDE(own), (long)&offset, WIDE(to[1]), 0, 1, 0}},
        {"vmsplice", ENOSYS, SYS_vmsplice, {to[1], (long)&page, 1, 0}},
    };
    EXPECT_CALLS(calls);
}

static void hiddenMemory(void) {
    expect("memfd_secret", syscall(call_memfd_secret, 0), ENOSYS);
#ifdef SYS_remap_file_pages
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect("remap_file_pages", syscall(SYS_remap_file_pages, page, 4096, 0, 0, 0), ENOSYS);
#endif
}

static void ownProgram(void) {
    int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    unsigned char before[16], after[16];
    if (own < 0 || memory < 0 || pread(own, before, sizeof before, 0) != sizeof before)
        return untried("/proc/self/exe or /proc/self/mem: %s", errorName(errno));
    // A write through /proc/self/mem is carried out on read-only mappings too; it must end in a copy or an error.
    const int kinds[] = {MAP_PRIVATE, MAP_SHARED};
    for (size_t index = 0; index < 2; index++) {
        unsigned char *map = mmap(NULL, 4096, PROT_READ, kinds[index], own, 0);
        if (map == MAP_FAILED) {
            untried("mapping the program: %s", errorName(errno));
            continue;
        }
        unsigned char other[16];
        for (size_t byte = 0; byte < sizeof other; byte++) other[byte] = (unsigned char)~before[byte];
        pwrite(memory, other, sizeof other, (off_t)(uintptr_t)map);
        if (pread(own, after, sizeof after, 0) != sizeof after || memcmp(before, after, sizeof before) != 0)
            reached("a %s read-only mapping changed the file", kinds[index] == MAP_SHARED ? "shared" : "private");
        else
            refused("the file is unchanged");
        munmap(map, 4096);
    }
    int writable = open("/proc/self/exe", O_WRONLY | O_CLOEXEC);
    // EACCES where it is not ours, else ETXTBSY.
    expectFailure("opening /proc/self/exe for writing", writable);
}

const struct Test crossingTests[] = {
    {"calls.ptrace", "trace processes", tracing},
    {"calls.other-memory", "read, write and advise memory of processes, take their descriptors", otherMemory},
    {"calls.file-handles", "open files by handle, past every directory (\"shocker\", 2014)", fileHandles},
    {"calls.splice", "hand pages of files about (Dirty Pipe CVE-2022-0847, Copy Fail CVE-2026-31431)", sharedPages},
    {"calls.hidden-memory", "get memory that limits and tools do not see", hiddenMemory},
    {"files.own-program", "change a file through a read-only mapping (CVE-2016-5195)", ownProgram},
    {NULL, NULL, NULL},
};
