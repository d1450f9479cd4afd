// The self-audit of a sandbox before anything of it runs: the mount table that the kernel tells (proc(5), mountinfo)
// against the one that the plan leads to.
//
// The expected table has a line for each mount, `KIND FLAGS TYPE TARGET`:
//   KIND    `=` one mount at the target; `*` any number of them below the target, as a bind may bring them along
//   FLAGS   what the mount must have at least, of `r` ro, `s` nosuid, `d` nodev, `x` noexec; `-` for nothing
//   TYPE    of the file system; `-` for any
//   TARGET  to the end of the line, in the octal escapes of mountinfo
#define _GNU_SOURCE
#include "CSandboxLaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { maximumTable = 128 * 1024, maximumMounts = 512 };

struct word {
    const char *start;
    size_t length;
};

// One launcher audits one sandbox at a time, and the process that fills these shares its memory.
static char table[maximumTable];
static char seen[maximumMounts];

static struct word next(const char **text, char end) {
    struct word word = {*text, 0};
    while ((*text)[0] && (*text)[0] != end && (*text)[0] != '\n') (*text)++;
    word.length = (size_t)(*text - word.start);
    if ((*text)[0] == end) (*text)++;
    return word;
}

static int same(struct word left, struct word right) {
    return left.length == right.length && memcmp(left.start, right.start, left.length) == 0;
}

static int is(struct word word, const char *text) { return same(word, (struct word){text, strlen(text)}); }

// Whether a comma-separated list has a word.
static int lists(struct word list, const char *name) {
    size_t length = strlen(name);
    for (size_t start = 0; start + length <= list.length;) {
        size_t end = start;
        while (end < list.length && list.start[end] != ',') end++;
        if (end - start == length && memcmp(list.start + start, name, length) == 0) return 1;
        start = end + 1;
    }
    return 0;
}

static int hasFlags(struct word wanted, struct word options) {
    static const struct { char letter; const char *name; } names[] = {
        {'r', "ro"}, {'s', "nosuid"}, {'d', "nodev"}, {'x', "noexec"}};
    for (size_t index = 0; index < wanted.length; index++)
        for (size_t name = 0; name < sizeof names / sizeof *names; name++)
            if (wanted.start[index] == names[name].letter && !lists(options, names[name].name)) return 0;
    return 1;
}

static int isBelow(struct word path, struct word directory) {
    return path.length > directory.length && path.start[directory.length] == '/' &&
        memcmp(path.start, directory.start, directory.length) == 0;
}

static int fail(char *detail, const char *what, struct word target) {
    size_t length = strlen(what), room = CSandboxLaunch_maximumDetail - 1 - length;
    memcpy(detail, what, length);
    if (target.length > room) target.length = room;
    memcpy(detail + length, target.start, target.length);
    detail[length + target.length] = 0;
    errno = EXDEV;
    return -1;
}

static int readTable(void) {
    int file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return -1;
    size_t length = 0;
    for (;;) {
        ssize_t count = read(file, table + length, sizeof table - 1 - length);
        if (count < 0) {
            int error = errno;
            close(file);
            errno = error;
            return -1;
        }
        if (count == 0) break;
        length += (size_t)count;
    }
    close(file);
    table[length] = 0;
    if (length < sizeof table - 1) return 0;
    errno = E2BIG;
    return -1;
}

// Looks for the line that expects a mount, and marks it.
static int expect(const char *line, struct word target, struct word type, struct word options, char *detail) {
    int known = 0;
    for (int number = 0; *line; number++) {
        struct word kind = next(&line, ' '), flags = next(&line, ' '), wanted = next(&line, ' ');
        struct word place = next(&line, '\n');
        if (number >= maximumMounts) return fail(detail, "too many mounts expected at ", place);
        int single = kind.start[0] == '=';
        if (single ? !same(place, target) || seen[number] : !isBelow(target, place)) continue;
        known = 1;
        if (!is(wanted, "-") && !same(wanted, type)) continue;
        if (!hasFlags(flags, options)) continue;
        if (single) seen[number] = 1;
        return 0;
    }
    return fail(detail, known ? "another kind of mount, or weaker flags, at " : "an unexpected mount at ", target);
}

int CSandboxLaunch_compareMounts(const char *expected, char detail[CSandboxLaunch_maximumDetail]) {
    if (readTable() < 0) return -1;
    memset(seen, 0, sizeof seen);
    for (const char *line = table; *line;) {
        // Number, parent, device and root of the mount say nothing here.
        for (int field = 0; field < 4; field++) next(&line, ' ');
        struct word target = next(&line, ' '), options = next(&line, ' '), tag = next(&line, ' ');
        // Between the options and a hyphen stand the ties to other mount tables, of which there must be none.
        if (!is(tag, "-")) return fail(detail, "a mount that is shared with another mount table at ", target);
        struct word type = next(&line, ' ');
        while (*line && *line != '\n') line++;
        if (*line) line++;
        if (expect(expected, target, type, options, detail) < 0) return -1;
    }
    const char *line = expected;
    for (int number = 0; *line; number++) {
        struct word kind = next(&line, ' ');
        next(&line, ' ');
        next(&line, ' ');
        struct word place = next(&line, '\n');
        if (kind.start[0] == '=' && (number >= maximumMounts || !seen[number])) return fail(detail, "no mount, or a hidden one, at ", place);
    }
    return 0;
}
