// What the kernel has counted of a sandbox, read at its end from files of procfs that were opened at its beginning.
#define _GNU_SOURCE
#include "accounts.h"

#include <string.h>
#include <unistd.h>

uint64_t unroutedDatagrams(int snmp) {
    char buffer[4096];
    ssize_t length = snmp < 0 ? -1 : pread(snmp, buffer, sizeof buffer - 1, 0);
    if (length <= 0) return 0;
    buffer[length] = 0;
    // Two lines begin with "Ip:", names first, values second, in the same order.
    char *names = strstr(buffer, "Ip:");
    char *values = names ? strstr(names + 3, "\nIp:") : NULL;
    if (!values) return 0;
    values += 4;
    names += 3;
    for (;;) {
        names += strspn(names, " ");
        values += strspn(values, " ");
        size_t nameLength = strcspn(names, " \n"), valueLength = strcspn(values, " \n");
        if (nameLength == 0 || valueLength == 0) return 0;
        if (nameLength == 11 && memcmp(names, "OutNoRoutes", 11) == 0) {
            uint64_t number = 0;
            for (size_t index = 0; index < valueLength; index++) number = number * 10 + (uint64_t)(values[index] - '0');
            return number;
        }
        names += nameLength;
        values += valueLength;
    }
}

static uint64_t numberAfter(const char *text, const char *name) {
    const char *place = strstr(text, name);
    uint64_t number = 0;
    if (!place) return 0;
    for (place += strlen(name); *place >= '0' && *place <= '9'; place++) number = number * 10 + (uint64_t)(*place - '0');
    return number;
}

void addTraffic(int io, struct CSandboxLaunch_message *message) {
    char buffer[1024];
    ssize_t length = io < 0 ? -1 : pread(io, buffer, sizeof buffer - 1, 0);
    if (length <= 0) return;
    buffer[length] = 0;
    uint64_t written = numberAfter(buffer, "\nwrite_bytes: "), cancelled = numberAfter(buffer, "\ncancelled_write_bytes: ");
    message->knowsTraffic = 1;
    message->readBytes = numberAfter(buffer, "\nread_bytes: ");
    // What was removed before it reached the disk was never written.
    message->writtenBytes = written > cancelled ? written - cancelled : 0;
}
