// What can be reached by sockets: without a network only the sandbox's own loopback.
// Source: network_namespaces(7), unix(7) "abstract", rtnetlink(7), netdevice(7).
#define _GNU_SOURCE
#include "prove.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { patience = 400 };

static void interfaces(void) {
    char text[8192];
    if (readText("/proc/net/dev", text, sizeof text) < 0) return untried("/proc/net/dev: %s", errorName(errno));
    // Two lines of headings.
    char *line = strchr(text, '\n');
    line = line ? strchr(line + 1, '\n') : NULL;
    while (line && *++line) {
        char name[32];
        if (sscanf(line, " %31[^:]:", name) == 1) {
            if (strcmp(name, "lo") == 0)
                refused("loopback alone");
            else
                reached("the interface %s", name);
        }
        line = strchr(line, '\n');
    }
}

static void routes(void) {
    char text[4096];
    if (readText("/proc/net/route", text, sizeof text) < 0) return untried("/proc/net/route: %s", errorName(errno));
    char *line = strchr(text, '\n');
    char name[32];
    if (line && sscanf(line + 1, "%31s", name) == 1)
        reached("a route by %s", name);
    else
        refused("no IPv4 routes");
}

// A connection that is neither made nor refused at once has left the sandbox.
static void judgeConnection(int connection, const char *what, int result) {
    if (result < 0 && errno == EINPROGRESS) {
        struct pollfd ready = {.fd = connection, .events = POLLOUT};
        if (poll(&ready, 1, patience) == 0) return reached("%s: packets leave, no answer yet", what);
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection, SOL_SOCKET, SO_ERROR, &error, &size);
        // A refusal by the other side is an answer from there.
        if (error == ECONNREFUSED || error == ECONNRESET) return reached("%s: refused by the other side", what);
        errno = error;
        result = error ? -1 : 0;
    }
    expect(what, result, ENETUNREACH);
}

static void connectTo(int family, const char *address, int port) {
    char what[96];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    inet_pton(family, address, family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
    const struct sockaddr *to = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t size = family == AF_INET ? sizeof four : sizeof six;
    int stream = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream < 0) return untried("family %d: %s", family, errorName(errno));
    snprintf(what, sizeof what, "TCP to %s:%d", address, port);
    judgeConnection(stream, what, connect(stream, to, size));
    close(stream);
    int datagram = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (datagram < 0) return untried("UDP in family %d: %s", family, errorName(errno));
    snprintf(what, sizeof what, "UDP to %s:%d", address, port);
    expect(what, sendto(datagram, "x", 1, MSG_DONTWAIT, to, size), ENETUNREACH);
    close(datagram);
}

static void internet(void) {
    connectTo(AF_INET, "8.8.8.8", 53);
    connectTo(AF_INET6, "2001:4860:4860::8888", 53);
}

static void neighbours(void) {
    connectTo(AF_INET, "169.254.169.254", 80);
    connectTo(AF_INET, "10.0.0.1", 80);
    connectTo(AF_INET, "172.17.0.1", 80);
    connectTo(AF_INET, "192.168.0.1", 80);
    connectTo(AF_INET6, "fd00:ec2::254", 80);
}

static void broadcasts(void) {
    connectTo(AF_INET, "224.0.0.251", 5353);
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (datagram < 0 || setsockopt(datagram, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) < 0)
        return untried("broadcasts: %s", errorName(errno));
    struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = INADDR_BROADCAST};
    ssize_t sent = sendto(datagram, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&all, sizeof all);
    expect("UDP to everybody", sent, ENETUNREACH);
}

static void hostLoopback(void) {
    // Services that run on many hosts: in a namespace of our own nobody listens.
    const int ports[] = {22, 25, 53, 80, 111, 443, 631, 2375, 3306, 5432, 6379, 8080, 8888, 9000, 11211};
    for (size_t index = 0; index < sizeof ports / sizeof *ports; index++) {
        int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (stream < 0) return untried("no TCP: %s", errorName(errno));
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)ports[index])};
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int result = connect(stream, (struct sockaddr *)&own, sizeof own);
        if (result < 0 && errno == EINPROGRESS) {
            struct pollfd ready = {.fd = stream, .events = POLLOUT};
            poll(&ready, 1, patience);
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(stream, SOL_SOCKET, SO_ERROR, &error, &size);
            errno = error;
            result = error ? -1 : 0;
        }
        char what[64];
        snprintf(what, sizeof what, "port %d of 127.0.0.1", ports[index]);
        expect(what, result, ECONNREFUSED);
        close(stream);
    }
}

static void abstractSockets(void) {
    char text[65536];
    if (readText("/proc/net/unix", text, sizeof text) < 0) return untried("/proc/net/unix: %s", errorName(errno));
    refused("no abstract sockets");
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *name = strstr(line, " @"), *end = strchr(line, '\n');
        if (!name || (end && name > end)) continue;
        reached("the abstract socket %.*s", (int)strcspn(name + 1, "\n"), name + 1);
    }
}

// Where a run with another network has such a socket, it can hand a connection over (threats.md, 6).
static void sharedSockets(void) {
    struct stat root, own;
    if (stat("/", &root) < 0 || stat("/data", &own) < 0 || root.st_dev == own.st_dev || access("/data", W_OK) < 0)
        return untried("no /data that is shared and can be written");
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/data/.cloche-prove-%d", getpid());
    long result = made < 0 ? -1 : bind(made, (struct sockaddr *)&address, sizeof address);
    expect("a socket in /data", result, EACCES);
    if (result == 0) unlink(address.sun_path);
    if (made >= 0) close(made);
}

static void hostSockets(void) {
    const char *paths[] = {
        "/run/docker.sock",        "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
        "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/tmp/.X11-unix/X0",
    };
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (stream < 0) return untried("no local sockets: %s", errorName(errno));
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        strncpy(name.sun_path, paths[index], sizeof name.sun_path - 1);
        int result = connect(stream, (struct sockaddr *)&name, sizeof name);
        // That the path is not there is what the test is about.
        expect(paths[index], result, ENOENT);
        close(stream);
    }
}

static void configuring(void) {
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0) return untried("no UDP: %s", errorName(errno));
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    if (ioctl(any, SIOCGIFFLAGS, &request) < 0) untried("SIOCGIFFLAGS: %s", errorName(errno));
    // The flags that it has already.
    expect("SIOCSIFFLAGS of lo", ioctl(any, SIOCSIFFLAGS, &request), EPERM);
    close(any);
    int routing = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (routing < 0) return untried("no routing socket: %s", errorName(errno));
    struct {
        struct nlmsghdr head;
        struct ifinfomsg body;
        struct rtattr name;
        char text[8];
    } message = {
        .head = {.nlmsg_len = sizeof message, .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
        .name = {.rta_len = RTA_LENGTH(8), .rta_type = IFLA_IFNAME},
        .text = "lo",
    };
    struct {
        struct nlmsghdr head;
        struct nlmsgerr body;
        char rest[512];
    } answer;
    memset(&answer, 0, sizeof answer);
    // A link called lo exists, so whoever may make links is told EEXIST.
    if (send(routing, &message, sizeof message, 0) < 0 || recv(routing, &answer, sizeof answer, MSG_DONTWAIT) < 0)
        return untried("RTM_NEWLINK: %s", errorName(errno));
    errno = -answer.body.error;
    if (errno == EEXIST || errno == 0)
        reached("links may be made by RTM_NEWLINK");
    else
        expect("RTM_NEWLINK", -1, EPERM);
}

const struct Test reachTests[] = {
    {"network.interfaces", "see another interface than loopback", interfaces},
    {"network.routes", "see a route", routes},
    {"network.internet", "reach 8.8.8.8 and its IPv6 sibling", internet},
    {"network.neighbours", "reach private networks and 169.254.169.254, where clouds hand out keys", neighbours},
    {"network.broadcast", "reach neighbours by broadcast and multicast", broadcasts},
    {"network.host-loopback", "reach services on the loopback of the host", hostLoopback},
    {"network.abstract", "see abstract sockets of others, such as X11 and D-Bus of the host", abstractSockets},
    {"network.host-sockets", "connect to sockets of services of the host by their paths", hostSockets},
    {"network.shared-sockets", "make a socket in /data, where runs with another network find it", sharedSockets},
    {"network.configure", "change interfaces by ioctl and netlink", configuring},
    {NULL, NULL, NULL},
};
