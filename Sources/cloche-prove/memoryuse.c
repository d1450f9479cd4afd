// Ways to use up memory, space and output. Everything is given back at the end, and files are unlinked while they
// grow, so that only what counts blocks sees them.
// Source: cgroups(7) memory, tmpfs(5), setrlimit(2) RLIMIT_FSIZE.
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { mebibyte = 1 << 20, manyMebibytes = 16 * 1024, manyFiles = 1000000 };

static char block[mebibyte];

static void touchMemory(volatile long *touched, long most) {
    // The first to be killed where only one process is.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000\n", 5) < 0) close(score);
    while (*touched < most) {
        char *map = mmap(NULL, mebibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) _exit(limitHeld);
        for (size_t page = 0; page < mebibyte; page += 4096) map[page] = (char)(page >> 12 | 1);
        ++*touched;
    }
    _exit(0);
}

static int memory(long number) {
    volatile long *touched = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (touched == MAP_FAILED) return 0;
    pid_t child = fork();
    if (child == 0) touchMemory(touched, number ? number : manyMebibytes);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    int isKilled = WIFSIGNALED(status), isRefused = WIFEXITED(status) && WEXITSTATUS(status) == limitHeld;
    printf("touched %ld MiB, then %s\n", *touched,
           isKilled ? "was killed" : isRefused ? "was refused more" : "stopped: nothing held it");
    return isKilled || isRefused ? limitHeld : 0;
}

static int fill(const char *directory, long most) {
    char path[64];
    snprintf(path, sizeof path, "%s/cloche-prove-XXXXXX", directory);
    // Without this the limit of file sizes ends the program.
    signal(SIGXFSZ, SIG_IGN);
    int file = mkstemp(path);
    if (file < 0) {
        printf("no file in %s: %s\n", directory, errorName(errno));
        return 0;
    }
    unlink(path);
    memset(block, 'x', sizeof block);
    long long bytes = 0;
    int error = 0;
    while (bytes < (long long)most * mebibyte) {
        ssize_t written = write(file, block, sizeof block);
        if (written <= 0) {
            error = written < 0 ? errno : ENOSPC;
            break;
        }
        bytes += written;
    }
    close(file);
    const char *end = error ? errorName(error) : "stopped: nothing held it";
    printf("wrote %lld bytes to %s, then %s\n", bytes, directory, end);
    return error ? limitHeld : 0;
}

static int temporary(long number) { return fill("/tmp", number ? number : manyMebibytes); }
static int shared(long number) { return fill("/dev/shm", number ? number : manyMebibytes); }

static int inodes(long number) {
    char directory[] = "/tmp/cloche-prove-XXXXXX";
    if (!mkdtemp(directory)) {
        printf("no directory in /tmp: %s\n", errorName(errno));
        return 0;
    }
    int place = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
    long made = 0, most = number ? number : manyFiles;
    char name[32];
    for (; made < most && !error; made++) {
        snprintf(name, sizeof name, "%ld", made);
        if (mknodat(place, name, S_IFREG | 0600, 0) < 0) error = errno;
    }
    if (error) made--;
    for (long index = 0; index < made; index++) {
        snprintf(name, sizeof name, "%ld", index);
        unlinkat(place, name, 0);
    }
    rmdir(directory);
    printf("made %ld files, then %s\n", made, error ? errorName(error) : "stopped: nothing held it");
    return error ? limitHeld : 0;
}

static int output(long number) {
    memset(block, '\n', sizeof block);
    signal(SIGPIPE, SIG_IGN);
    long long bytes = 0, most = (number ? number : 1024) * (long long)mebibyte;
    int error = 0;
    while (bytes < most) {
        ssize_t written = write(1, block, sizeof block);
        if (written <= 0) {
            error = written < 0 ? errno : EPIPE;
            break;
        }
        bytes += written;
    }
    // Standard output is what was filled.
    fprintf(stderr, "wrote %lld lines, then %s\n", bytes, error ? errorName(error) : "stopped: nothing held it");
    return error ? limitHeld : 0;
}

const struct Exhauster memoryExhausters[] = {
    {"resource.memory", "touch memory until refused or killed, at most NUMBER MiB", memory},
    {"resource.tmpfs", "fill /tmp with an unlinked file, at most NUMBER MiB", temporary},
    {"resource.shm", "fill /dev/shm with an unlinked file, at most NUMBER MiB", shared},
    {"resource.inodes", "make files in /tmp, at most NUMBER", inodes},
    {"resource.log", "write NUMBER MiB of newlines to standard output", output},
    {NULL, NULL, NULL},
};
