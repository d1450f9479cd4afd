// cloche-prove: tries, from inside, every way out of a sandbox that we know of, and says which one worked.
//
// It needs nothing but itself, /proc, /dev and /tmp, so that `cloche system doctor --prove` can run it in a sandbox
// whose root is otherwise empty. The same program runs under other sandboxes as a control.
//
//   cloche-prove all [--except NAME]...    every test
//   cloche-prove NAME...                   some tests
//   cloche-prove resource.NAME [NUMBER]    one way to use up the machine; ends with 3 when a limit refused it
//   cloche-prove list                      a line for each: name, tab, what is tried
//   cloche-prove ask QUESTION...           what a policy allows; see questions.c
//
// A line for each test: `held`, `open` or `skipped`, tab, name, tab, detail. Ends with 0 when nothing is open, with 1
// when something is, with 64 for a wrong use, with 70 outside of a sandbox.
#define _GNU_SOURCE
#include "prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { wrongUse = 64, outside = 70, manyProcesses = 200 };

static const struct Test *const groups[] = {
    identityTests, firstProcessTests, kernelTests,     mountTests,      namespaceTests, numberTests,
    crossingTests, argumentTests,     modeTests,       socketTests,     reachTests,     kernelFileTests,
    deviceTests,   mountTableTests,   pathTests,       processTests,    NULL,
};
static const struct Exhauster *const exhausters[] = {memoryExhausters, processExhausters, counterExhausters, NULL};

struct Start start;

static void rememberStart(void) {
    start.parent = getppid();
    int extra = 0;
    for (int descriptor = 0; descriptor < 4096; descriptor++) {
        if (fcntl(descriptor, F_GETFD) < 0) continue;
        start.descriptors++;
        if (descriptor > 2 && extra < 8) start.extra[extra++] = descriptor;
    }
}

static int processesInProc(void) {
    DIR *proc = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') count++;
    if (proc) closedir(proc);
    return count;
}

// The rule: /proc is that of our own process-ID namespace, process 2 is not the kernel's kthreadd (which only the
// host's namespace has), process 1 is no service manager, and both our number and the count of processes are small.
// Some tests would do harm to a host where they succeed, so whatever cannot be decided counts as outside.
static const char *whyOutside(void) {
    char text[64];
    ssize_t length = readlink("/proc/self", text, sizeof text - 1);
    if (length <= 0) return "there is no /proc";
    text[length] = 0;
    if (atoi(text) != getpid()) return "/proc shows another process-ID namespace";
    if (readText("/proc/2/comm", text, sizeof text) > 0 && strcmp(text, "kthreadd\n") == 0)
        return "threads of the kernel are visible";
    if (readText("/proc/1/comm", text, sizeof text) <= 0) return "process 1 cannot be looked at";
    if (strcmp(text, "systemd\n") == 0 || strcmp(text, "init\n") == 0) return "process 1 is a service manager";
    if (getpid() >= manyProcesses) return "our process number is not small";
    if (processesInProc() >= manyProcesses) return "there are many processes";
    return NULL;
}

static int wrong(const char *message, const char *name) {
    fprintf(stderr, "cloche-prove: %s%s\n", message, name);
    fprintf(stderr, "use: cloche-prove all [--except NAME]... | NAME... | resource.NAME [NUMBER] | list\n");
    return wrongUse;
}

static int list(void) {
    for (size_t group = 0; groups[group]; group++)
        for (const struct Test *test = groups[group]; test->name; test++)
            printf("%s\t%s\n", test->name, test->sentence);
    for (size_t group = 0; exhausters[group]; group++)
        for (const struct Exhauster *one = exhausters[group]; one->name; one++)
            printf("%s\t%s\n", one->name, one->sentence);
    return 0;
}

static const struct Test *find(const char *name) {
    for (size_t group = 0; groups[group]; group++)
        for (const struct Test *test = groups[group]; test->name; test++)
            if (strcmp(test->name, name) == 0) return test;
    return NULL;
}

static const struct Exhauster *findExhauster(const char *name) {
    for (size_t group = 0; exhausters[group]; group++)
        for (const struct Exhauster *one = exhausters[group]; one->name; one++)
            if (strcmp(one->name, name) == 0) return one;
    return NULL;
}

static int isAmong(const char *name, char **names) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return 1;
    return 0;
}

static int runAll(char **arguments) {
    // The names behind `--except` are moved together.
    char **excepted = arguments;
    for (char **next = arguments; *next; next += 2) {
        if (strcmp(*next, "--except") != 0) return wrong("unknown argument ", *next);
        if (!next[1]) return wrong("--except needs the name of a test", "");
        if (!find(next[1])) return wrong("no such test: ", next[1]);
        *excepted++ = next[1];
    }
    *excepted = NULL;
    int isOpen = 0;
    for (size_t group = 0; groups[group]; group++)
        for (const struct Test *test = groups[group]; test->name; test++)
            if (!isAmong(test->name, arguments)) isOpen |= runTest(test);
    return isOpen;
}

static int runSome(char **names) {
    for (char **name = names; *name; name++)
        if (!find(*name)) return wrong("no such test: ", *name);
    int isOpen = 0;
    for (; *names; names++) isOpen |= runTest(find(*names));
    return isOpen;
}

static int exhaust(const struct Exhauster *exhauster, const char *word) {
    char *end = "";
    long number = word ? strtol(word, &end, 10) : 0;
    if (*end || number < 0) return wrong("not a number: ", word);
    int status = exhauster->run(number);
    fflush(stdout);
    return status;
}

int main(int argc, char **argv) {
    rememberStart();
    if (argc < 2) return wrong("what shall be tried?", "");
    if (strcmp(argv[1], "list") == 0) return argc == 2 ? list() : wrong("list takes no arguments", "");
    const char *why = whyOutside();
    if (why) {
        fprintf(stderr, "cloche-prove: refuses to run outside of a sandbox: %s\n", why);
        return outside;
    }
    if (strcmp(argv[1], "all") == 0) return runAll(argv + 2);
    if (strcmp(argv[1], "ask") == 0) return ask(argv + 2);
    const struct Exhauster *exhauster = findExhauster(argv[1]);
    if (exhauster) return argc <= 3 ? exhaust(exhauster, argv[2]) : wrong("too many arguments", "");
    return runSome(argv + 1);
}
