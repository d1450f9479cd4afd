// Ways to use up processes and processor time.
// Source: cgroups(7) pids and cpu, getrlimit(2) RLIMIT_NPROC, wait(2) "zombie".
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { many = 5000, manyOrphans = 3000, manyDenials = 200000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int forkBomb(long number) {
    long most = number ? number : many, count = 0;
    int error = 0;
    // One group, so that a single signal ends them all.
    pid_t group = 0;
    while (count < most) {
        pid_t child = fork();
        if (child < 0) {
            error = errno;
            break;
        }
        if (child == 0) {
            setpgid(0, group);
            for (;;) pause();
        }
        if (group == 0) group = child;
        setpgid(child, group);
        count++;
    }
    if (group) kill(-group, SIGKILL);
    for (long index = 0; index < count; index++) wait(NULL);
    printf("%ld processes, then %s\n", count, error ? errorName(error) : "stopped: nothing held it");
    return error ? limitHeld : 0;
}

static void *waitForever(void *unused) {
    for (;;) pause();
    return unused;
}

static int threads(long number) {
    long most = number ? number : many, count = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    int error = 0;
    while (count < most && !error) {
        pthread_t thread;
        error = pthread_create(&thread, &small, waitForever, NULL);
        if (!error) count++;
    }
    printf("%ld threads, then %s\n", count, error ? errorName(error) : "stopped: nothing held it");
    fflush(stdout);
    _exit(error ? limitHeld : 0);
}

static int zombiesLeft(void) {
    DIR *proc = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        char path[300], text[512];
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        char *state = readText(path, text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
        if (state && state[1] == ' ' && state[2] == 'Z') count++;
    }
    if (proc) closedir(proc);
    return count;
}

static int zombies(long number) {
    long most = number ? number : manyOrphans, refusals = 0;
    double begin = now();
    for (long index = 0; index < most; index++) {
        pid_t middle = fork();
        if (middle < 0) {
            refusals++;
            continue;
        }
        if (middle == 0) {
            fork();
            _exit(0);
        }
        waitpid(middle, NULL, 0);
    }
    double seconds = now() - begin;
    int left = 0;
    for (int turn = 0; turn < 40 && (left = zombiesLeft()) > 0; turn++)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    printf("%ld orphans in %.2f s, %ld refused; %d zombies are left\n", most - refusals, seconds, refusals, left);
    return left == 0 ? limitHeld : 0;
}

static int cpu(long number) {
    double begin = now(), end = begin + (double)(number ? number : 5);
    cpu_set_t set;
    int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    for (int index = 0; index < processors; index++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            while (now() < end) {}
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {}
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    double spent = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 + (double)used.ru_stime.tv_sec +
        (double)used.ru_stime.tv_usec / 1e6;
    double share = spent / (now() - begin);
    printf("%.2f s of processor time in %.2f s: %.2f of %d processors\n", spent, now() - begin, share, processors);
    // A busy machine also gives less than all; a limit gives clearly less.
    return share < 0.7 * processors ? limitHeld : 0;
}

static int denials(long number) {
    long most = number ? number : manyDenials, refusals = 0, others = 0;
    double begin = now(), seconds = 0;
    for (long count = 0; count < most && seconds < 5; count++) {
        if (syscall(SYS_mount, "none", "/proc/none", "tmpfs", 0, NULL) < 0 && errno == EPERM)
            refusals++;
        else
            others++;
        if (count % 64 == 0) seconds = now() - begin;
    }
    seconds = now() - begin;
    printf("%ld refusals in %.2f s, %.0f a second; %ld other answers\n", refusals, seconds, (double)refusals / seconds,
           others);
    return others == 0 ? limitHeld : 0;
}

const struct Exhauster processExhausters[] = {
    {"resource.fork-bomb", "start processes that stay, at most NUMBER", forkBomb},
    {"resource.threads", "start threads that stay, at most NUMBER", threads},
    {"resource.zombies", "leave NUMBER orphans that end at once; held when none stays a zombie", zombies},
    {"resource.cpu", "burn every processor for NUMBER seconds; held when clearly less was given", cpu},
    {"resource.denials", "make NUMBER refused calls within 5 s; held when all were refused", denials},
    {NULL, NULL, NULL},
};
