// What sandboxes share must not carry more than bytes: a socket in /data would hand descriptors, and with them a network,
// from one sandbox to another. Landlock (landlock(7)) forbids making one there; it allows the making beneath every other
// directory of the root, one by one, since what is allowed beneath a directory is allowed in all that is mounted below.
#define _GNU_SOURCE
#include "landlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static int ruleset = -1;
// The directory of the root that has no rule yet.
static const char *missing;

static int allow(int directory, uint64_t access) {
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = directory};
    return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int isIn(char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return 1;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// Allows the making of sockets beneath a directory of `root`.
static int allowBeneath(int root, const char *name) {
    int directory = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    // Files, links, and a directory that is closed to the command: it makes no socket there anyway.
    if (directory < 0) return errno == ENOTDIR || errno == ELOOP || errno == EACCES ? 0 : -1;
    int result = allow(directory, LANDLOCK_ACCESS_FS_MAKE_SOCK);
    int error = errno;
    close(directory);
    errno = error;
    return result;
}

static int allowBeneathOthers(int root, char *const *except) {
    static char buffer[8192] __attribute__((aligned(8)));
    for (;;) {
        long length = syscall(SYS_getdents64, root, buffer, sizeof buffer);
        if (length <= 0) return (int)length;
        for (long position = 0; position < length;) {
            const struct entry *entry = (const struct entry *)(buffer + position);
            position += entry->length;
            if (entry->type != DT_DIR && entry->type != DT_UNKNOWN) continue;
            if (isIn(except, entry->name) || (missing && strcmp(missing, entry->name) == 0)) continue;
            if (allowBeneath(root, entry->name) < 0) return -1;
        }
    }
}

int beginForbidding(char *const *except, const char *later) {
    // Only a directory of the root has a rule of its own.
    if (*later == '/') missing = later + 1;
    // Without REFER in the set, Landlock would forbid moving files from one directory to another at all.
    struct landlock_ruleset_attr attributes = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER};
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
    if (ruleset < 0) return -1;
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = root < 0 ? -1 : 0;
    if (result == 0) result = allow(root, LANDLOCK_ACCESS_FS_REFER);
    if (result == 0) result = allowBeneathOthers(root, except);
    int error = errno;
    if (root >= 0) close(root);
    errno = error;
    return result;
}

int forbidSockets(char *const *except) {
    if (ruleset < 0 && beginForbidding(except, "") < 0) return -1;
    int result = 0;
    if (missing && !isIn(except, missing)) {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        result = root < 0 ? -1 : allowBeneath(root, missing);
        if (root >= 0) close(root);
    }
    if (result == 0) result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    int error = errno;
    // Process 1 has the same one.
    close(ruleset);
    errno = error;
    return result;
}
