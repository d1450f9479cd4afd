#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "CSandboxLaunch.h"

/// How many packets found no route, which are those that were sent although there is no network, from an open
/// /proc/net/snmp; 0 where that cannot be read.
uint64_t unroutedDatagrams(int snmp);

/// Adds what this process and those that it has waited for read from disks and wrote to them, from an open
/// /proc/self/io (proc(5)); leaves the message alone where that cannot be read.
void addTraffic(int io, struct CSandboxLaunch_message *message);

#endif
