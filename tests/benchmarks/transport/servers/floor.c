/* The floor of a fan-out: one send() a socket, and nothing else that could be left away.
 *
 * It speaks just enough HTTP, WebSocket, Engine.IO 4 and Socket.IO 5 for the measuring
 * client: a fixed upgrade answer (the client's nonce is the one of RFC 6455 section 1.3),
 * a fixed open packet, and fixed answers to CONNECT, subscribe and ping. It checks no token.
 * A POST's body is a packet; it leaves as one text frame to every socket that subscribed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4096, MAX_FDS = 65536, EVENTS = 256, BACKLOG = 4096 };

struct connection {
    size_t held;
    int is_websocket;
    char bytes[BUFFER + 1];
};

static struct connection *connections[MAX_FDS];
static int room[MAX_FDS];
static int room_size;
static int place_in_room[MAX_FDS]; /* index in room + 1; 0 when it is in none */

static const char SWITCHING[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char OPEN_PACKET[] =
    "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
    "\"maxPayload\":262144}";
static const char ACCEPTED[] =
    "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void drop(int fd) {
    if (place_in_room[fd]) {
        int last = room[--room_size];
        room[place_in_room[fd] - 1] = last;
        place_in_room[last] = place_in_room[fd];
        place_in_room[fd] = 0;
    }
    free(connections[fd]);
    connections[fd] = NULL;
    close(fd);
}

/* Send it all. A socket that takes nothing misses this one; one that took a part is waited for,
 * since a frame cut short would end its stream. Its reader going away is seen by the next read. */
static void send_whole(int fd, const char *bytes, size_t length) {
    size_t sent = 0;
    while (sent < length) {
        ssize_t n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if ((errno != EAGAIN && errno != EWOULDBLOCK) || sent == 0)
            return;
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        if (poll(&waiting, 1, 1000) <= 0)
            return;
    }
}

/* Write a text frame's head (RFC 6455 section 5.2, unmasked) and payload; return their length. */
static size_t frame(char *out, const char *payload, size_t length) {
    size_t head = 2;
    out[0] = (char)0x81;
    if (length < 126) {
        out[1] = (char)length;
    } else {
        out[1] = 126;
        out[2] = (char)(length >> 8);
        out[3] = (char)(length & 0xff);
        head = 4;
    }
    memcpy(out + head, payload, length);
    return head + length;
}

static void send_text(int fd, const char *payload) {
    char out[BUFFER + 16];
    send_whole(fd, out, frame(out, payload, strlen(payload)));
}

static void broadcast(const char *packet, size_t length) {
    static char out[BUFFER + 16];
    size_t size = frame(out, packet, length);
    for (int i = 0; i < room_size; i++)
        send_whole(room[i], out, size);
}

static void join(int fd) {
    if (!place_in_room[fd]) {
        room[room_size++] = fd;
        place_in_room[fd] = room_size;
    }
}

static void handle_packet(int fd, const char *packet) {
    if (!strncmp(packet, "40", 2)) {
        send_text(fd, "40{\"sid\":\"floor\"}");
    } else if (!strncmp(packet, "42[\"subscribe\"", 14)) {
        if (strstr(packet, "market-data"))
            join(fd);
        send_text(fd, "42[\"subscribed\",{}]");
    } else if (!strncmp(packet, "42[\"ping\"", 9)) {
        send_text(fd, "42[\"pong\",{}]");
    }
}

/* Handle one whole client frame; return its length, 0 when more is needed, -1 to close. */
static ssize_t take_frame(int fd, struct connection *c) {
    unsigned char *b = (unsigned char *)c->bytes;
    size_t head = 6, length;
    if (c->held < 2)
        return 0;
    if ((b[0] & 0x0f) != 1 || !(b[1] & 0x80))
        return -1;
    length = b[1] & 0x7f;
    if (length == 126) {
        if (c->held < 4)
            return 0;
        length = ((size_t)b[2] << 8) | b[3];
        head = 8;
    } else if (length == 127) {
        return -1;
    }
    if (head + length > BUFFER)
        return -1;
    if (c->held < head + length)
        return 0;
    char packet[BUFFER + 1];
    for (size_t i = 0; i < length; i++)
        packet[i] = (char)(b[head + i] ^ b[head - 4 + (i & 3)]);
    packet[length] = 0;
    handle_packet(fd, packet);
    return (ssize_t)(head + length);
}

/* Handle one whole HTTP request; return its length, 0 when more is needed, -1 to close. */
static ssize_t take_request(int fd, struct connection *c) {
    char *end = strstr(c->bytes, "\r\n\r\n");
    if (!end)
        return 0;
    size_t head = (size_t)(end - c->bytes) + 4;
    if (!strncmp(c->bytes, "GET ", 4)) {
        char out[512];
        size_t length = sizeof SWITCHING - 1;
        memcpy(out, SWITCHING, length);
        length += frame(out + length, OPEN_PACKET, sizeof OPEN_PACKET - 1);
        send_whole(fd, out, length);
        c->is_websocket = 1;
        return (ssize_t)head;
    }
    char *field = strcasestr(c->bytes, "content-length:");
    if (strncmp(c->bytes, "POST ", 5) || !field || field > end)
        return -1;
    size_t body = strtoul(field + 15, NULL, 10);
    if (head + body > BUFFER)
        return -1;
    if (c->held < head + body)
        return 0;
    broadcast(c->bytes + head, body);
    send_whole(fd, ACCEPTED, sizeof ACCEPTED - 1);
    return (ssize_t)(head + body);
}

static void on_readable(int fd) {
    struct connection *c = connections[fd];
    ssize_t n = recv(fd, c->bytes + c->held, BUFFER - c->held, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(fd);
        return;
    }
    c->held += (size_t)n;
    for (;;) {
        c->bytes[c->held] = 0;
        ssize_t taken = c->is_websocket ? take_frame(fd, c) : take_request(fd, c);
        if (taken < 0 || (taken == 0 && c->held == BUFFER)) {
            drop(fd);
            return;
        }
        if (taken == 0)
            return;
        c->held -= (size_t)taken;
        memmove(c->bytes, c->bytes + taken, c->held);
    }
}

static void on_connection(int poller, int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED)
                perror("accept");
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MAX_FDS || !(connections[fd] = calloc(1, sizeof(struct connection)))) {
            close(fd);
            continue;
        }
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
            fail("epoll_ctl");
    }
}

static int listen_on_loopback(void) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, (struct sockaddr *)&address, size) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        fail("listen");
    printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(void) {
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int listener = listen_on_loopback(), poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[EVENTS];
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event))
        fail("epoll");
    for (;;) {
        int count = epoll_wait(poller, ready, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener)
                on_connection(poller, listener);
            else if (connections[fd])
                on_readable(fd);
        }
    }
}
