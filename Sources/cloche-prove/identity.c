// Who the command is: ids, capabilities and what takes them up again. Facts from capabilities(7), user_namespaces(7).
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

enum { unmapped = 65534 };

static void users(void) {
    uid_t real, effective, saved;
    gid_t realGroup, effectiveGroup, savedGroup;
    getresuid(&real, &effective, &saved);
    getresgid(&realGroup, &effectiveGroup, &savedGroup);
    if (real == 0 || effective == 0 || saved == 0)
        reached("the user is root: %u %u %u", real, effective, saved);
    else
        refused("uid %u", effective);
    if (realGroup == 0 || effectiveGroup == 0 || savedGroup == 0)
        reached("the group is root's: %u %u %u", realGroup, effectiveGroup, savedGroup);
    else
        refused("gid %u", effectiveGroup);
}

static void groups(void) {
    gid_t list[64];
    int count = getgroups(64, list);
    if (count < 0) return untried("getgroups: %s", errorName(errno));
    int left = 0;
    for (int index = 0; index < count; index++) {
        if (list[index] == unmapped)
            left++;
        else if (list[index] != getgid())
            reached("also in group %u", list[index]);
    }
    // Without a range of ids nobody may drop them (user_namespaces(7), setgroups), and inside they own nothing.
    if (left > 0) differs("%d unmapped groups of the caller are left", left);
    refused("no further groups");
}

static void hostRoot(void) {
    char text[4096];
    const char *paths[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
    for (size_t index = 0; index < 2; index++) {
        if (readText(paths[index], text, sizeof text) < 0) {
            untried("%s: %s", paths[index], errorName(errno));
            continue;
        }
        unsigned inside, outside, count;
        for (char *line = text; line && sscanf(line, "%u %u %u", &inside, &outside, &count) == 3;) {
            if (outside == 0)
                reached("%s: %u here is 0 outside", paths[index], inside);
            else
                refused("%u is %u", inside, outside);
            line = strchr(line, '\n');
            if (line) line++;
        }
    }
}

static void capabilities(void) {
    const char *sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
    for (size_t index = 0; index < 5; index++) {
        long long set = statusField("/proc/self/status", sets[index], 16);
        if (set == -1)
            untried("no %s in /proc/self/status", sets[index]);
        else if (set != 0)
            reached("%s %llx", sets[index], set);
        else
            refused("empty");
    }
}

static void confinement(void) {
    const struct {
        const char *field;
        long long value;
    } fields[] = {{"NoNewPrivs:", 1}, {"Seccomp:", 2}};
    for (size_t index = 0; index < 2; index++) {
        long long value = statusField("/proc/self/status", fields[index].field, 10);
        if (value != fields[index].value)
            reached("%s %lld", fields[index].field, value);
        else
            refused("in force");
    }
}

static void becomeRoot(void) {
    const struct Call calls[] = {
        {"setuid(0)", EPERM, SYS_setuid, {0}},
        {"setgid(0)", EPERM, SYS_setgid, {0}},
        {"setreuid(-1, 0)", EPERM, SYS_setreuid, {-1, 0}},
        {"setregid(-1, 0)", EPERM, SYS_setregid, {-1, 0}},
        {"setresuid(-1, 0, -1)", EPERM, SYS_setresuid, {-1, 0, -1}},
        {"setresgid(-1, 0, -1)", EPERM, SYS_setresgid, {-1, 0, -1}},
    };
    EXPECT_CALLS(calls);
    gid_t none[1] = {0};
    expect("setgroups(root)", syscall(SYS_setgroups, 1, none), EPERM);
    // setfsuid(2) tells no error, only the id that held before.
    setfsuid(0);
    if (setfsuid(0) == 0)
        reached("the files' user is root");
    else
        refused("setfsuid");
}

static void raiseCapabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++) {
        struct __user_cap_data_struct data[2];
        memset(data, 0, sizeof data);
        data[capability / 32].effective = data[capability / 32].permitted = 1U << capability % 32;
        if (syscall(SYS_capset, &header, data) == 0)
            reached("capset raised capability %u", capability);
        else
            refused("capset");
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)
            reached("capability %u became ambient", capability);
        else
            refused("ambient");
    }
}

static void inheritable(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    data[0].inheritable = 1U << CAP_NET_RAW;
    expect("capset of an inheritable capability", syscall(SYS_capset, &header, data), EPERM);
    long long set = statusField("/proc/self/status", "CapInh:", 16);
    if (set != 0)
        reached("inheritable capabilities %llx", set);
    else
        refused("none");
}

static void secureBits(void) {
    expect("prctl(PR_SET_SECUREBITS)", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0), EPERM);
    expect("prctl(PR_CAPBSET_DROP)", prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0), EPERM);
}

static void keepPrivilege(void) {
    expect("prctl(PR_SET_NO_NEW_PRIVS, 0)", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    // seccomp(2) has no mode 0, and prctl(PR_SET_SECCOMP, 0) asks for it.
    expect("prctl(PR_SET_SECCOMP, 0)", prctl(PR_SET_SECCOMP, 0, 0, 0, 0), EINVAL);
}

const struct Test identityTests[] = {
    {"identity.user", "run as user or group 0 (crun CVE-2026-30892: an id read wrongly)", users},
    {"identity.groups", "hold supplementary groups of the caller", groups},
    {"identity.host-root", "have an id that is 0 outside of the user namespace", hostRoot},
    {"identity.capabilities", "hold a capability in any of the five sets", capabilities},
    {"identity.confinement", "run without no_new_privs or without a filter", confinement},
    {"identity.become-root", "change to user or group 0, or join root's group", becomeRoot},
    {"identity.raise-capabilities", "raise each capability with capset and as ambient", raiseCapabilities},
    {"identity.inheritable", "hold or add an inheritable capability (CVE-2022-27650, CVE-2022-29162)", inheritable},
    {"identity.securebits", "change securebits or the bounding set", secureBits},
    {"identity.loosen", "take back no_new_privs or the filter", keepPrivilege},
    {NULL, NULL, NULL},
};
