// The mount table as it is: what may not take effect on a mount, and what the root is made of.
// Source: proc(5) "mountinfo", mount_namespaces(7), statvfs(3).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct Mount {
    char inside[256], target[256], options[256], optional[128], type[64], source[128];
};

// Reads "id parent major:minor inside target options optional... - type source superoptions".
static int parse(const char *line, struct Mount *mount) {
    memset(mount, 0, sizeof *mount);
    if (sscanf(line, "%*d %*d %*s %255s %255s %255s", mount->inside, mount->target, mount->options) != 3) return 0;
    const char *end = strchr(line, '\n'), *dash = strstr(line, " - ");
    if (!dash || (end && dash > end)) return 0;
    if (sscanf(dash, " - %63s %127s", mount->type, mount->source) < 1) return 0;
    const char *shared = strstr(line, " shared:");
    if (shared && shared < dash) sscanf(shared, " %127s", mount->optional);
    return 1;
}

static void eachMount(void (*judge)(const struct Mount *)) {
    static char table[128 * 1024];
    if (readText("/proc/self/mountinfo", table, sizeof table) < 0)
        return untried("/proc/self/mountinfo: %s", errorName(errno));
    for (char *line = table; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        struct Mount mount;
        if (*line && parse(line, &mount)) judge(&mount);
    }
}

static int has(const struct Mount *mount, const char *option) {
    char list[260], wanted[32];
    snprintf(list, sizeof list, ",%s,", mount->options);
    snprintf(wanted, sizeof wanted, ",%s,", option);
    return strstr(list, wanted) != NULL;
}

// A bind of one device cannot hold further files.
static int isDeviceNode(const struct Mount *mount) {
    struct stat status;
    return lstat(mount->target, &status) == 0 && S_ISCHR(status.st_mode);
}

static void judgeSetuid(const struct Mount *mount) {
    if (isDeviceNode(mount)) return;
    if (has(mount, "nosuid"))
        refused("nosuid");
    else
        reached("%s is without nosuid", mount->target);
}

static void judgeDevices(const struct Mount *mount) {
    if (isDeviceNode(mount)) return;
    // Terminals are devices, so a mount of them cannot have it. A file system that the sandbox's own user namespace
    // mounted ignores devices whatever its options say, which leaves the read-only /dev.
    if (strcmp(mount->type, "devpts") == 0) return;
    if (strcmp(mount->target, "/dev") == 0 && has(mount, "ro")) return;
    if (has(mount, "nodev"))
        refused("nodev");
    else
        reached("%s is without nodev", mount->target);
}

static void judgePropagation(const struct Mount *mount) {
    if (mount->optional[0])
        reached("%s is %s", mount->target, mount->optional);
    else
        refused("private");
}

static void judgeKind(const struct Mount *mount) {
    const char *kinds[] = {"sysfs",  "cgroup",   "cgroup2",  "debugfs",    "tracefs",   "securityfs", "pstore",
                           "bpf",    "configfs", "efivarfs", "fusectl",    "binfmt_misc", "nsfs",     "autofs"};
    for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++)
        if (strcmp(mount->type, kinds[index]) == 0) return reached("%s at %s", mount->type, mount->target);
    // The device directory of the host, not one device of it.
    if (strcmp(mount->type, "devtmpfs") == 0 && !isDeviceNode(mount)) return reached("devtmpfs at %s", mount->target);
    refused("harmless");
}

static void setuidOptions(void) { eachMount(judgeSetuid); }
static void deviceOptions(void) { eachMount(judgeDevices); }
static void propagation(void) { eachMount(judgePropagation); }
static void kinds(void) { eachMount(judgeKind); }

static struct Mount root;
static void rememberRoot(const struct Mount *mount) {
    if (strcmp(mount->target, "/") == 0) root = *mount;
}

static void ownRoot(void) {
    eachMount(rememberRoot);
    if (!root.type[0]) return untried("the root is not in the mount table");
    if (strcmp(root.type, "overlay") == 0 || strcmp(root.type, "tmpfs") == 0)
        refused("%s", root.type);
    else if (has(&root, "ro") && strcmp(root.inside, "/") != 0)
        differs("a read-only bind of %s of %s", root.inside, root.source);
    else
        reached("the root is %s of %s (%s)", root.inside, root.source, root.type);
}

static void sourcePaths(void) {
    static char table[64 * 1024];
    if (readText("/proc/self/mountinfo", table, sizeof table) < 0) return untried("%s", errorName(errno));
    // Directories of the store in overlay options would tell of the host, and a path that resolves inside reaches it.
    const char *names[] = {"lowerdir=", "upperdir=", "workdir="};
    for (size_t index = 0; index < 3; index++) {
        for (char *at = table; (at = strstr(at, names[index]));) {
            at += strlen(names[index]);
            char path[256];
            size_t length = strcspn(at, ":,\n ");
            snprintf(path, sizeof path, "%.*s", (int)length, at);
            struct stat status;
            if (path[0] == '/' && stat(path, &status) == 0)
                reached("%s%s resolves inside", names[index], path);
            else
                refused("nowhere");
        }
    }
    if (!strstr(table, "lowerdir=")) untried("the mount table names no layers");
}

static void setuidPrograms(void) {
    const char *paths[] = {
        "/usr/bin/su",     "/usr/bin/mount",  "/usr/bin/umount", "/usr/bin/passwd",    "/usr/bin/chsh",
        "/usr/bin/newgrp", "/usr/bin/gpasswd", "/usr/bin/sudo",  "/usr/bin/newuidmap", "/usr/bin/fusermount3",
        "/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "/usr/lib/openssh/ssh-keysign",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct stat status;
        struct statvfs mount;
        if (stat(paths[index], &status) < 0 || !(status.st_mode & (S_ISUID | S_ISGID))) continue;
        if (statvfs(paths[index], &mount) < 0) {
            untried("%s: %s", paths[index], errorName(errno));
        } else if (!(mount.f_flag & ST_NOSUID) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) {
            reached("%s would take effect", paths[index]);
        } else {
            refused("no effect");
        }
    }
    untried("no other set-user-ID programs are here");
}

static void trustedAttributes(void) {
    char path[] = "/tmp/cloche-prove-attributes";
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) return untried("no file in /tmp: %s", errorName(errno));
    // struct vfs_cap_data, revision 2: cap_setuid, effective.
    const unsigned char capabilities[20] = {1, 0, 0, 2, 0x80};
    expect("security.capability", fsetxattr(file, "security.capability", capabilities, sizeof capabilities, 0), EPERM);
    expect("trusted.overlay.opaque", fsetxattr(file, "trusted.overlay.opaque", "y", 1, 0), EPERM);
    // Not security.selinux: kernels with an inactive SELinux let every owner set that one.
    expect("security.ima", fsetxattr(file, "security.ima", "x", 1, 0), EPERM);
    close(file);
    unlink(path);
}

const struct Test mountTableTests[] = {
    {"files.nosuid", "find a mount on which set-user-ID takes effect (CVE-2021-3493, CVE-2023-0386)", setuidOptions},
    {"files.nodev", "find a mount on which device nodes take effect", deviceOptions},
    {"files.propagation", "find a mount whose changes others see", propagation},
    {"files.kinds", "find a file system of the kernel that was not planned", kinds},
    {"files.own-root", "find a root that is the host's", ownRoot},
    {"files.layers", "reach the layers of the root by the paths in the mount table", sourcePaths},
    {"files.setuid-programs", "find a set-user-ID program that takes effect (bwrap CVE-2020-5291)", setuidPrograms},
    {"files.attributes", "give a file capabilities or overlay attributes (CVE-2015-1328, CVE-2023-2640)",
     trustedAttributes},
    {NULL, NULL, NULL},
};
