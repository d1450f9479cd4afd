// Paths and descriptors: nothing that was inherited, and no way up, leads out of the root.
// Source: path_resolution(7), getcwd(2), proc(5) "fd".
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void descriptors(void) {
    for (size_t index = 0; index < 8 && start.extra[index] > 0; index++) {
        char path[64], target[128] = "?";
        snprintf(path, sizeof path, "/proc/self/fd/%d", start.extra[index]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length > 0) target[length] = 0;
        reached("descriptor %d: %s", start.extra[index], target);
    }
    refused("0, 1 and 2 alone");
}

static void standardFiles(void) {
    for (int file = 0; file <= 2; file++) {
        struct stat status;
        if (fstat(file, &status) < 0)
            untried("%d is closed", file);
        else if (S_ISDIR(status.st_mode))
            reached("%d is a directory", file);
        else if (S_ISBLK(status.st_mode))
            reached("%d is a block device", file);
        else if (S_ISREG(status.st_mode))
            reached("%d is a regular file", file);
        else if (S_ISSOCK(status.st_mode))
            reached("%d is a socket", file);
        else if (S_ISCHR(status.st_mode) && !isatty(file) && status.st_rdev != 0x103)
            reached("%d is a device", file);
        else
            refused("harmless");
    }
}

static void aboveDescriptors(void) {
    const char *ends[] = {"..", "../..", "../../etc/passwd", ".", "etc/passwd"};
    for (int file = 0; file <= 2; file++) {
        for (size_t index = 0; index < sizeof ends / sizeof *ends; index++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/self/fd/%d/%s", file, ends[index]);
            int found = open(path, O_RDONLY | O_CLOEXEC);
            expect(path, found, ENOTDIR);
            if (found >= 0) close(found);
        }
    }
}

static void againForWriting(void) {
    // A file behind `<` was rewritten, one behind `>>` truncated, through the link in /proc.
    for (int file = 0; file <= 2; file++) {
        struct stat status;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        if (fstat(file, &status) < 0)
            untried("%d is closed", file);
        else if (!S_ISREG(status.st_mode))
            refused("no file");
        else
            expect(path, open(path, O_WRONLY | O_CLOEXEC), EACCES);
    }
}

static void passedOn(void) {
    // Descriptors may also wait in a socket that was given to us.
    for (int file = 0; file <= 2; file++) {
        int type;
        socklen_t size = sizeof type;
        if (getsockopt(file, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
            reached("%d is a socket, which can hand over descriptors", file);
        else
            refused("no socket");
    }
}

static void directory(void) {
    char path[PATH_MAX];
    long length = syscall(SYS_getcwd, path, sizeof path);
    if (length < 0)
        reached("the directory has no path: %s", errorName(errno));
    else if (path[0] != '/')
        reached("the directory is outside: %s", path);
    else
        refused("%s", path);
}

static int isRoot(const struct stat *status) {
    struct stat root;
    return stat("/", &root) == 0 && root.st_dev == status->st_dev && root.st_ino == status->st_ino;
}

static void above(void) {
    const char *paths[] = {
        "/..", "/../..", "/../../../../../../..", "/proc/self/root/..", "/proc/self/root/../..",
        "/proc/self/cwd/../../../../../../../..", "/proc/self/task/self/../../root/..", "/dev/fd/../../../../../..",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct stat status;
        if (stat(paths[index], &status) < 0) continue;
        int inProc = strstr(paths[index], "task") || strstr(paths[index], "/dev/fd");
        if (isRoot(&status) || inProc)
            refused("the root");
        else
            reached("%s is not the root", paths[index]);
    }
    for (int level = 0; level < 64 && chdir("..") == 0; level++) {}
    struct stat status;
    if (stat(".", &status) < 0 || !isRoot(&status))
        reached("64 steps up from our directory do not end at the root");
    else
        refused("the root");
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int up = openat(root, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (up >= 0 && fstat(up, &status) == 0 && !isRoot(&status))
        reached("the root has a parent");
    else
        refused("the root");
}

// What pivot_root(2) leaves when the old root is not let go: another tree that looks like a root.
static void oldRoot(void) {
    const char *paths[] = {
        "/oldroot", "/old_root", "/.old", "/.oldroot", "/.pivot_root", "/put_old", "/host",
        "/rootfs", "/scratch", "/skeleton", "/layers", "/binds", "/newroot",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        char etc[128], usr[128];
        snprintf(etc, sizeof etc, "%s/etc", paths[index]);
        snprintf(usr, sizeof usr, "%s/usr", paths[index]);
        if (access(etc, F_OK) == 0 || access(usr, F_OK) == 0)
            reached("%s holds another root", paths[index]);
        else
            refused("nothing");
    }
}

static void otherRoots(void) {
    DIR *proc = opendir("/proc");
    if (!proc) return untried("/proc: %s", errorName(errno));
    struct stat own;
    if (stat("/proc/self/root/.", &own) < 0) untried("/proc/self/root: %s", errorName(errno));
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/root/.", entry->d_name);
        struct stat other;
        if (stat(path, &other) < 0)
            refused("%s", errorName(errno));
        else if (other.st_dev != own.st_dev || other.st_ino != own.st_ino)
            reached("%s is another root", path);
        else
            refused("our root");
    }
    closedir(proc);
}

static void readOnlyRoot(void) {
    const char *paths[] = {"/etc/shadow", "/root/.ssh/id_rsa", "/root/.bashrc", "/etc/ssh/ssh_host_ed25519_key",
                           "/var/lib/cloche/cloche.db", "/var/lib/docker", "/var/lib/kubelet", "/etc/kubernetes",
                           "/run/secrets", "/root/.aws/credentials", "/root/.docker/config.json"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        int file = open(paths[index], O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            reached("%s opens", paths[index]);
            close(file);
        } else {
            refused("%s", errorName(errno));
        }
    }
}

const struct Test pathTests[] = {
    {"files.descriptors", "find descriptors beyond 0, 1 and 2 at the start (runc CVE-2024-21626)", descriptors},
    {"files.stdio", "find a directory, file, device or socket as standard input or output", standardFiles},
    {"files.above-stdio", "walk up from standard input and output through /proc", aboveDescriptors},
    {"files.reopen-stdio", "open standard input and output again for writing", againForWriting},
    {"files.stdio-sockets", "receive descriptors through standard input or output", passedOn},
    {"files.directory", "start in a directory outside of the root (runc CVE-2024-21626)", directory},
    {"files.above-root", "walk up out of the root", above},
    {"files.old-root", "find what the change of roots has left behind", oldRoot},
    {"files.other-roots", "reach another root through a process that we see", otherRoots},
    {"files.host-files", "read files of the host that hold keys and passwords", readOnlyRoot},
    {NULL, NULL, NULL},
};
