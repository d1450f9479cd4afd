// Which sockets can be made: only local, IPv4, IPv6 and the routing part of netlink, with TCP, UDP and ICMP. Every
// other family reaches code of the kernel, or machines, that no namespace separates.
// Source: socket(2), address_families(7), netlink(7).
#define _GNU_SOURCE
#include "prove.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { lastFamily = 45, netlinkFamily = 16 };
static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET};
enum { typeCount = sizeof types / sizeof *types };

// What a filter may look at besides the family itself.
static const unsigned long highBits[] = {0, 0x100000000UL, 0xFFFFFFFF00000000UL};

static int isPlanned(int family) {
    return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == netlinkFamily;
}

static void expectSocket(const char *what, unsigned long family, long type, long protocol, int error) {
    long result = syscall(SYS_socket, family, type, protocol);
    expect(what, result, error);
    if (result >= 0) close((int)result);
}

static void families(void) {
    char what[64];
    for (int family = 0; family <= lastFamily; family++) {
        if (isPlanned(family)) continue;
        for (size_t type = 0; type < typeCount; type++) {
            for (size_t high = 0; high < 3; high++) {
                snprintf(what, sizeof what, "socket(%s%d, %d)", high ? "high bits|" : "", family, types[type]);
                expectSocket(what, highBits[high] | (unsigned)family, types[type], 0, EAFNOSUPPORT);
            }
        }
    }
}

static void pairs(void) {
    char what[64];
    for (int family = 0; family <= lastFamily; family++) {
        if (family == AF_UNIX) continue;
        for (size_t type = 0; type < typeCount; type++) {
            for (size_t high = 0; high < 3; high++) {
                int ends[2];
                snprintf(what, sizeof what, "socketpair(%s%d, %d)", high ? "high bits|" : "", family, types[type]);
                long result = syscall(SYS_socketpair, highBits[high] | (unsigned)family, types[type], 0, ends);
                expect(what, result, EAFNOSUPPORT);
                if (result < 0) continue;
                close(ends[0]);
                close(ends[1]);
            }
        }
    }
}

// One family with every type and each of its well-known protocols.
static void oneFamily(int family, int protocols) {
    char what[64];
    for (size_t type = 0; type < typeCount; type++) {
        for (int protocol = 0; protocol <= protocols; protocol++) {
            for (size_t high = 0; high < 3; high++) {
                snprintf(what, sizeof what, "socket(%d, %d, %d)", family, types[type], protocol);
                expectSocket(what, highBits[high] | (unsigned)family, types[type], protocol, EAFNOSUPPORT);
            }
        }
    }
}

static void cryptography(void) { oneFamily(38, 0); }
static void virtualMachines(void) { oneFamily(40, 0); }
static void remoteCalls(void) {
    oneFamily(33, 10);
    // PF_KEY, the other interface to xfrm.
    oneFamily(15, 2);
}

static void packets(void) {
    // ETH_P_ALL in the order of the network.
    char what[64];
    for (size_t type = 0; type < typeCount; type++) {
        for (size_t high = 0; high < 3; high++) {
            snprintf(what, sizeof what, "socket(AF_PACKET, %d)", types[type]);
            expectSocket(what, highBits[high] | AF_PACKET, types[type], 0x0300, EAFNOSUPPORT);
        }
    }
    expectSocket("socket(AF_INET, SOCK_PACKET)", AF_INET, SOCK_PACKET, 0x0300, EPROTONOSUPPORT);
}

static void raw(void) {
    const int protocols[] = {0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_RAW};
    const int families[] = {AF_INET, AF_INET6};
    char what[64];
    for (size_t family = 0; family < 2; family++) {
        for (size_t index = 0; index < sizeof protocols / sizeof *protocols; index++) {
            snprintf(what, sizeof what, "socket(%d, SOCK_RAW, %d)", families[family], protocols[index]);
            expectSocket(what, (unsigned)families[family], SOCK_RAW, protocols[index], EPERM);
            expectSocket(what, (unsigned)families[family], WIDE(SOCK_RAW), protocols[index], EPERM);
            expectSocket(what, (unsigned)families[family], SOCK_RAW | SOCK_CLOEXEC, WIDE(protocols[index]), EPERM);
        }
    }
}

static void protocols(void) {
    const struct {
        const char *name;
        int type, number;
    } others[] = {
        {"MPTCP", SOCK_STREAM, 262},   {"UDPLITE", SOCK_DGRAM, 136},  {"SCTP", SOCK_STREAM, 132},
        {"SCTP", SOCK_SEQPACKET, 132}, {"DCCP", SOCK_STREAM, 33},     {"L2TP", SOCK_DGRAM, 115},
        {"SMC", SOCK_STREAM, 256},     {"ESP", SOCK_DGRAM, 50},       {"IGMP", SOCK_DGRAM, 2},
    };
    const int families[] = {AF_INET, AF_INET6};
    char what[64];
    for (size_t family = 0; family < 2; family++) {
        for (size_t index = 0; index < sizeof others / sizeof *others; index++) {
            snprintf(what, sizeof what, "%s in family %d", others[index].name, families[family]);
            const unsigned long plain = (unsigned)families[family];
            expectSocket(what, plain, others[index].type, others[index].number, EPROTONOSUPPORT);
            expectSocket(what, plain, others[index].type, WIDE(others[index].number), EPROTONOSUPPORT);
            expectSocket(what, highBits[2] | plain, others[index].type | SOCK_NONBLOCK, others[index].number,
                         EPROTONOSUPPORT);
        }
    }
}

static void netlink(void) {
    char what[64];
    for (int protocol = 1; protocol <= 32; protocol++) {
        for (size_t high = 0; high < 3; high++) {
            snprintf(what, sizeof what, "netlink protocol %s%d", high ? "high bits|" : "", protocol);
            expectSocket(what, netlinkFamily, SOCK_RAW, (long)(highBits[high] | (unsigned)protocol), EAFNOSUPPORT);
        }
        snprintf(what, sizeof what, "netlink protocol %d, family wide", protocol);
        expectSocket(what, highBits[1] | netlinkFamily, SOCK_DGRAM, protocol, EAFNOSUPPORT);
    }
}

static void planned(void) {
    // A filter that refuses everything would hold every other test.
    const struct {
        const char *name;
        int family, type;
    } sockets[] = {
        {"local", AF_UNIX, SOCK_STREAM}, {"IPv4", AF_INET, SOCK_STREAM}, {"UDP", AF_INET, SOCK_DGRAM},
        {"routing", netlinkFamily, SOCK_RAW},
    };
    for (size_t index = 0; index < sizeof sockets / sizeof *sockets; index++) {
        int made = socket(sockets[index].family, sockets[index].type, 0);
        if (made >= 0)
            refused("planned sockets can be made");
        else
            untried("%s sockets cannot be made either: %s", sockets[index].name, errorName(errno));
        if (made >= 0) close(made);
    }
}

const struct Test socketTests[] = {
    {"network.families", "make sockets of every family up to 45, also with high bits (Docker's default profile)",
     families},
    {"network.pairs", "make pairs of sockets of every family, also with high bits", pairs},
    {"network.alg", "reach the kernel's cryptography (Copy Fail CVE-2026-31431)", cryptography},
    {"network.vsock", "reach the host of a virtual machine (isolate 2.4)", virtualMachines},
    {"network.rxrpc", "reach rxrpc and xfrm's key sockets (Dirty Frag CVE-2026-43284, CVE-2026-43500)", remoteCalls},
    {"network.packet", "read and write whole packets", packets},
    {"network.raw", "make raw IPv4 and IPv6 sockets, also with high bits", raw},
    {"network.protocols", "speak MPTCP, UDPLITE, SCTP and others, also with high bits", protocols},
    {"network.netlink", "reach netfilter, xfrm, audit and others by netlink (CVE-2024-1086, CVE-2023-32233)", netlink},
    {"network.planned", "make the planned sockets, without which the other tests would say nothing", planned},
    {NULL, NULL, NULL},
};
