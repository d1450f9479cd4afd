// /dev: only what every program needs, made of devices that are what their names say.
// Source: null(4), random(4), pts(4), devices.txt of the kernel.
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static const struct {
    const char *name;
    unsigned int major, minor;
} plain[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};
enum { plainCount = sizeof plain / sizeof *plain };

static int isPlanned(const char *name) {
    const char *others[] = {"pts", "ptmx", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "core", "console"};
    for (size_t index = 0; index < plainCount; index++)
        if (strcmp(name, plain[index].name) == 0) return 1;
    for (size_t index = 0; index < sizeof others / sizeof *others; index++)
        if (strcmp(name, others[index]) == 0) return 1;
    return 0;
}

static void entries(void) {
    DIR *directory = opendir("/dev");
    if (!directory) return untried("/dev: %s", errorName(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        if (isPlanned(entry->d_name))
            refused("planned");
        else
            reached("/dev/%s", entry->d_name);
    }
    closedir(directory);
}

static void identities(void) {
    char path[64];
    for (size_t index = 0; index < plainCount; index++) {
        struct stat status;
        snprintf(path, sizeof path, "/dev/%s", plain[index].name);
        if (lstat(path, &status) < 0)
            untried("no %s", path);
        else if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(plain[index].major, plain[index].minor))
            reached("%s is something else", path);
        else
            refused("right");
    }
    struct stat status;
    if (lstat("/dev/console", &status) == 0 && S_ISCHR(status.st_mode) && major(status.st_rdev) < 128)
        reached("/dev/console is a console of the host");
}

static void ownDirectory(void) {
    struct stat status, root;
    if (lstat("/dev", &status) < 0 || stat("/", &root) < 0) return untried("/dev: %s", errorName(errno));
    if (!S_ISDIR(status.st_mode))
        reached("/dev is not a directory");
    else if (status.st_dev == root.st_dev)
        reached("/dev belongs to the root's file system");
    else
        refused("a mount of its own");
}

static void adding(void) {
    int file = open("/dev/cloche-prove", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    expect("making a file in /dev", file, EROFS);
    if (file >= 0) {
        unlink("/dev/cloche-prove");
        close(file);
    }
    long result = unlink("/dev/cloche-prove-none");
    if (result < 0 && errno == ENOENT)
        differs("removing in /dev: ENOENT");
    else
        expect("removing in /dev", result, EROFS);
}

// That a device is not there is what the test is about, so ENOENT is what is expected.
static void hostDevices(void) {
    const char *paths[] = {
        "/dev/mem",        "/dev/kmem",       "/dev/port",       "/dev/kmsg",           "/dev/fuse",
        "/dev/net/tun",    "/dev/kvm",        "/dev/loop-control", "/dev/loop0",        "/dev/sda",
        "/dev/vda",        "/dev/nvme0n1",    "/dev/dm-0",       "/dev/mapper/control", "/dev/vsock",
        "/dev/vhost-vsock", "/dev/vhost-net", "/dev/uinput",     "/dev/tty0",           "/dev/ttyS0",
        "/dev/vcs",        "/dev/cpu/0/msr",  "/dev/userfaultfd", "/dev/autofs",        "/dev/ppp",
        "/dev/rfkill",     "/dev/snapshot",   "/dev/hpet",       "/dev/nvram",          "/dev/input/event0",
        "/dev/dri/card0",  "/dev/udmabuf",    "/dev/watchdog",   "/dev/bsg",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        // Opening a watchdog starts it, so these are not opened where they are there.
        if (strstr(paths[index], "watchdog")) {
            expect(paths[index], access(paths[index], F_OK), ENOENT);
            continue;
        }
        int file = open(paths[index], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        expect(paths[index], file, ENOENT);
        if (file >= 0) close(file);
    }
}

static void writableDevice(void) {
    // chmod of a device that is bound into the sandbox would be one of the host's.
    const char *paths[] = {"/dev/null", "/dev/zero", "/dev/tty", "/dev/full", "/dev/random", "/dev/urandom"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct stat status;
        if (stat(paths[index], &status) < 0) {
            untried("no %s", paths[index]);
            continue;
        }
        long result = chmod(paths[index], status.st_mode & 0777);
        if (result < 0 && errno == EROFS)
            refused("EROFS");
        else
            expect(paths[index], result, EPERM);
    }
}

static void ownTerminals(void) {
    struct stat link;
    if (stat("/dev/ptmx", &link) < 0) return untried("no /dev/ptmx");
    // Without an instance of our own the terminals of the host would be listed.
    DIR *directory = opendir("/dev/pts");
    if (!directory) return untried("/dev/pts: %s", errorName(errno));
    int mine = 0;
    for (int file = 0; file <= 2; file++) mine += isatty(file);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        if (mine == 0)
            reached("the terminal /dev/pts/%s", entry->d_name);
        else
            differs("/dev/pts/%s, and we have a terminal", entry->d_name);
    }
    closedir(directory);
    refused("no terminals of others");
}

const struct Test deviceTests[] = {
    {"files.devices", "find more in /dev than every program needs", entries},
    {"files.device-identity", "find devices that are not what their names say (runc CVE-2025-31133)", identities},
    {"files.device-directory", "find /dev elsewhere (runc CVE-2026-41579, crun CVE-2026-47766)", ownDirectory},
    {"files.device-making", "add and remove files in /dev", adding},
    {"files.host-devices", "open memory, disks, fuse, tun, kvm and other devices of the host", hostDevices},
    {"files.device-modes", "change the mode of a device that the host has too", writableDevice},
    {"files.terminals", "see terminals of others", ownTerminals},
    {NULL, NULL, NULL},
};
