// Modes and types of files: no way of making a file may give it a set-user-ID or set-group-ID bit, which would lend the
// run's identity to whoever executes it, or make it a device. Modes are 16 bits, so high bits are tried too.
// Source: chmod(2), open(2), mknod(2), openat2(2), inode(7).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const int bits[] = {S_ISUID, S_ISGID, S_ISUID | S_ISGID};
static char place[] = "/tmp/cloche-prove-XXXXXX";
static char path[64];

// A directory of our own below /tmp; 0 where none can be made.
static int enterPlace(void) {
    umask(0);
    if (!mkdtemp(place) || chdir(place) < 0) {
        untried("no directory in /tmp: %s", errorName(errno));
        return 0;
    }
    snprintf(path, sizeof path, "%s/file", place);
    return 1;
}

static void leavePlace(void) {
    if (chdir("/") < 0) return;
    unlink(path);
    rmdir(path);
    rmdir(place);
}

// What a call that makes or changes `path` has led to. The kernel may also drop the bits and say nothing.
static void judge(const char *what, int mode, long result) {
    struct stat status;
    if (result < 0)
        expect(what, -1, EPERM);
    else if (stat(path, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) == 0)
        differs("%s: done, and the bits were dropped", what);
    else
        reached("%s made a file of mode %o", what, mode);
}

static void renew(void) {
    unlink(path);
    rmdir(path);
}

// Every call with one mode, whose high bits `wide` may be set.
static void changeMode(int bit, int wide) {
    int mode = 0755 | bit;
    long word = wide ? WIDE(mode) : mode;
    renew();
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0755);
    if (file < 0) return untried("no file in /tmp: %s", errorName(errno));
    const struct {
        const char *what;
        long number, arguments[4];
    } calls[] = {
#ifdef SYS_chmod
        {"chmod", SYS_chmod, {(long)path, word}},
#endif
        {"fchmod", SYS_fchmod, {file, word}},
        {"fchmodat", SYS_fchmodat, {AT_FDCWD, (long)path, word}},
        {"fchmodat2", call_fchmodat2, {AT_FDCWD, (long)path, word, 0}},
    };
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
        const long *a = calls[index].arguments;
        long result = syscall(calls[index].number, a[0], a[1], a[2], a[3]);
        judge(calls[index].what, mode, result);
        if (result == 0) fchmod(file, 0755);
    }
    close(file);
}

static void changingModes(void) {
    if (!enterPlace()) return;
    for (size_t index = 0; index < 3; index++) {
        changeMode(bits[index], 0);
        changeMode(bits[index], 1);
    }
    leavePlace();
}

static void create(int bit, int wide) {
    int mode = 0755 | bit;
    long word = wide ? WIDE(mode) : mode, node = wide ? WIDE(mode | S_IFREG) : (mode | S_IFREG);
    long flags = wide ? WIDE(O_CREAT | O_EXCL | O_WRONLY) : (O_CREAT | O_EXCL | O_WRONLY);
    const struct {
        const char *what;
        long number, arguments[4];
    } calls[] = {
#ifdef SYS_open
        {"open(O_CREAT)", SYS_open, {(long)path, flags, word}},
        {"creat", SYS_creat, {(long)path, word}},
        {"mkdir", SYS_mkdir, {(long)path, word}},
        {"mknod", SYS_mknod, {(long)path, node, 0}},
#endif
        {"openat(O_CREAT)", SYS_openat, {AT_FDCWD, (long)path, flags, word}},
        {"mkdirat", SYS_mkdirat, {AT_FDCWD, (long)path, word}},
        {"mknodat", SYS_mknodat, {AT_FDCWD, (long)path, node, 0}},
    };
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
        renew();
        const long *a = calls[index].arguments;
        judge(calls[index].what, mode, syscall(calls[index].number, a[0], a[1], a[2], a[3]));
    }
}

static void creating(void) {
    if (!enterPlace()) return;
    for (size_t index = 0; index < 3; index++) {
        create(bits[index], 0);
        create(bits[index], 1);
    }
    leavePlace();
}

static void unnamed(void) {
    if (!enterPlace()) return;
    for (size_t index = 0; index < 3; index++) {
        long mode = 0755 | bits[index];
        long file = syscall(SYS_openat, AT_FDCWD, place, O_TMPFILE | O_RDWR, mode);
        struct stat status;
        if (file >= 0 && fstat((int)file, &status) == 0 && !(status.st_mode & (S_ISUID | S_ISGID)))
            differs("O_TMPFILE: done, and the bits were dropped");
        else
            expect("openat(O_TMPFILE)", file, EPERM);
        file = syscall(SYS_openat, AT_FDCWD, place, WIDE(O_TMPFILE | O_RDWR), WIDE(mode));
        expect("openat(O_TMPFILE), wide", file, EPERM);
    }
    leavePlace();
}

static void openStructure(void) {
    if (!enterPlace()) return;
    // struct open_how: flags, mode, resolve.
    uint64_t how[3] = {O_CREAT | O_WRONLY, 0755 | S_ISUID, 0};
    long result = syscall(call_openat2, AT_FDCWD, path, how, sizeof how);
    if (result < 0)
        expect("openat2", result, ENOSYS);
    else
        judge("openat2", 04755, result);
    leavePlace();
}

static void memoryFiles(void) {
    int file = (int)syscall(SYS_memfd_create, "cloche-prove", 0);
    if (file < 0) return untried("memfd_create: %s", errorName(errno));
    for (size_t index = 0; index < 3; index++)
        expect("fchmod of a memory file", fchmod(file, (mode_t)(0755 | bits[index])), EPERM);
}

static void devices(void) {
    if (!enterPlace()) return;
    const struct {
        const char *what;
        int type;
        unsigned int major, minor;
    } nodes[] = {
        {"character 0:0 (a whiteout)", S_IFCHR, 0, 0}, {"character 1:1 (mem)", S_IFCHR, 1, 1},
        {"character 1:3 (null)", S_IFCHR, 1, 3},       {"character 10:229 (fuse)", S_IFCHR, 10, 229},
        {"block 7:0 (loop)", S_IFBLK, 7, 0},           {"block 254:0", S_IFBLK, 254, 0},
        {"block 8:0", S_IFBLK, 8, 0},
    };
    for (size_t index = 0; index < sizeof nodes / sizeof *nodes; index++) {
        long mode = nodes[index].type | 0666, device = (long)makedev(nodes[index].major, nodes[index].minor);
#ifdef SYS_mknod
        renew();
        expect(nodes[index].what, syscall(SYS_mknod, path, mode, device), EPERM);
        renew();
        expect(nodes[index].what, syscall(SYS_mknod, path, WIDE(mode), device), EPERM);
#endif
        renew();
        expect(nodes[index].what, syscall(SYS_mknodat, AT_FDCWD, path, mode, device), EPERM);
        renew();
        expect(nodes[index].what, syscall(SYS_mknodat, AT_FDCWD, path, WIDE(mode), device), EPERM);
    }
    leavePlace();
}

const struct Test modeTests[] = {
    {"calls.chmod-setuid", "give a file set-user-ID or set-group-ID, also with high bits", changingModes},
    {"calls.create-setuid", "make files and directories with those bits, also with high bits", creating},
    {"calls.tmpfile-setuid", "make an unnamed file with those bits, also with high bits", unnamed},
    {"calls.openat2-setuid", "make a file with a mode that lies in memory", openStructure},
    {"calls.memfd-setuid", "give a memory file those bits", memoryFiles},
    {"calls.device-nodes", "make device nodes and overlay whiteouts, also with high bits", devices},
    {NULL, NULL, NULL},
};
