/* A server for the bench of the load generator: just enough of WebSocket, Engine.IO 4 and
 * Socket.IO 5 to take clients in, and one send() for each push.
 *
 * It listens on a free port of 127.0.0.1 and prints it. A client that sends CONNECT gets a
 * sid and the event `connected`; one that sends `subscribe` with an acknowledgement gets it,
 * with the rooms of its symbols ("S0" to "S<n>", found by a byte search). Commands come by lines on
 * standard input, each answered by a line:
 *
 *   count                          clients that have subscribed
 *   flood SECONDS JOIN             pushes without pause, JOIN frames in each send()
 *   pace SECONDS RATE              RATE updates a second, evenly, each symbol in its turn
 *   burst TIMES PAUSE_MS           one update of S0 to all its clients, TIMES times
 *   quit
 *
 * A push is a `price:update` of about 330 bytes with seq, prevSeq, ts and srcTs. A client that
 * is slow to read holds the others up: nothing is ever dropped, so the counts are exact.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 40000
#define MAX_SYMBOLS 128
#define IN_BYTES 4096
#define PUSH_BYTES 330

typedef struct {
    int fd, length, upgraded, subscribed;
    char in[IN_BYTES];
} Client;

static Client *clients[MAX_FD];
static int *members[MAX_SYMBOLS], member_count[MAX_SYMBOLS];
static uint64_t numbers[MAX_SYMBOLS];
static int symbols, epoll_fd, subscribed;
static char clock_id[64];

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* SHA-1, FIPS 180-4 section 6.1. */
static uint32_t rotl(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

static void sha1(const unsigned char *text, size_t length, unsigned char out[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
    unsigned char block[128] = {0};
    size_t padded = length + 9 <= 64 ? 64 : 128;
    memcpy(block, text, length);
    block[length] = 0x80;
    block[padded - 2] = (unsigned char)(length * 8 >> 8);
    block[padded - 1] = (unsigned char)(length * 8);
    for (size_t at = 0; at < padded; at += 64) {
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)block[at + 4 * i] << 24 | block[at + 4 * i + 1] << 16 |
                   block[at + 4 * i + 2] << 8 | block[at + 4 * i + 3];
        for (int i = 16; i < 80; i++) w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20) { f = (b & c) | (~b & d); k = 0x5A827999; }
            else if (i < 40) { f = b ^ c ^ d; k = 0x6ED9EBA1; }
            else if (i < 60) { f = (b & c) | (b & d) | (c & d); k = 0x8F1BBCDC; }
            else { f = b ^ c ^ d; k = 0xCA62C1D6; }
            uint32_t next = rotl(a, 5) + f + e + k + w[i];
            e = d; d = c; c = rotl(b, 30); b = a; a = next;
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void accept_value(const char *key, size_t length, char out[29]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char text[100], hash[21] = {0};
    if (length > 60) length = 60;
    memcpy(text, key, length);
    memcpy(text + length, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1(text, length + 36, hash);
    for (int i = 0, o = 0; i < 20; i += 3, o += 4) {
        uint32_t v = (uint32_t)hash[i] << 16 | hash[i + 1] << 8 | hash[i + 2];
        out[o] = digits[v >> 18];
        out[o + 1] = digits[v >> 12 & 63];
        out[o + 2] = digits[v >> 6 & 63];
        out[o + 3] = digits[v & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

/* Send all of it; a client that does not read is waited for. */
static int send_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) return -1;
            struct pollfd wait = {fd, POLLOUT, 0};
            poll(&wait, 1, 5000);
            continue;
        }
        data += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static size_t frame(char *out, const char *text, size_t length) {
    out[0] = (char)0x81;
    if (length < 126) {
        out[1] = (char)length;
        memcpy(out + 2, text, length);
        return length + 2;
    }
    out[1] = 126;
    out[2] = (char)(length >> 8);
    out[3] = (char)length;
    memcpy(out + 4, text, length);
    return length + 4;
}

static void say(Client *c, const char *text) {
    static char out[70000];
    send_all(c->fd, out, frame(out, text, strlen(text)));
}

static void drop(Client *c) {
    for (int s = 0; s < symbols; s++)
        for (int i = 0; i < member_count[s]; i++)
            if (members[s][i] == c->fd) members[s][i] = members[s][--member_count[s]];
    subscribed -= c->subscribed;
    clients[c->fd] = NULL;
    close(c->fd);
    free(c);
}

static void subscribe(Client *c, const char *text) {
    char answer[16384], name[40];
    long ack = strtol(text + 2, NULL, 10);
    size_t at = (size_t)snprintf(answer, sizeof answer, "43%ld[{\"channel\":\"market-data\",\"rooms\":[", ack);
    size_t rooms = at;
    for (int s = 0; s < symbols; s++) {
        snprintf(name, sizeof name, "\"S%d\"", s);
        if (!strstr(text, name)) continue;
        members[s][member_count[s]++] = c->fd;
        at += (size_t)snprintf(answer + at, sizeof answer - at, "%s\"market-data:S%d\"", at > rooms ? "," : "", s);
    }
    at += (size_t)snprintf(answer + at, sizeof answer - at, "],\"at\":{");
    size_t marks = at;
    for (int s = 0; s < symbols; s++) {
        snprintf(name, sizeof name, "\"S%d\"", s);
        if (strstr(text, name))
            at += (size_t)snprintf(answer + at, sizeof answer - at, "%s\"price:S%d\":%llu",
                                   at > marks ? "," : "", s, (unsigned long long)numbers[s]);
    }
    snprintf(answer + at, sizeof answer - at, "},\"timestamp\":\"2026-01-01T00:00:00.000Z\"}]");
    /* The event comes first, as from a gateway: what follows it counts. */
    static char event[20000];
    snprintf(event, sizeof event, "42[\"subscribed\",%s", strchr(answer, '[') + 1);
    say(c, event);
    say(c, answer);
    c->subscribed = 1;
    subscribed++;
}

static void on_text(Client *c, const char *text) {
    char out[512];
    if (!strncmp(text, "40", 2)) {
        snprintf(out, sizeof out, "40{\"sid\":\"c%d\"}", c->fd);
        say(c, out);
        snprintf(out, sizeof out,
                 "42[\"connected\",{\"message\":\"bench\",\"clientId\":\"c%d\",\"userId\":\"u\",\"clock\":\"%s\","
                 "\"epoch\":\"e\",\"userSeq\":0,\"heartbeatInterval\":0,\"limits\":{}}]",
                 c->fd, clock_id);
        say(c, out);
    } else if (!strncmp(text, "42", 2) && strstr(text, "\"subscribe\"")) {
        subscribe(c, text);
    }
}

static void on_head(Client *c) {
    c->in[c->length] = 0;
    char *end = strstr(c->in, "\r\n\r\n"), *key = strcasestr(c->in, "sec-websocket-key:");
    if (!end || !key) return;
    char accept[29], out[512];
    key += 18;
    while (*key == ' ') key++;
    accept_value(key, strcspn(key, "\r\n "), accept);
    int size = snprintf(out, sizeof out,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    send_all(c->fd, out, (size_t)size);
    say(c, "0{\"sid\":\"e\",\"upgrades\":[],\"pingInterval\":300000,\"pingTimeout\":200000,\"maxPayload\":262144}");
    c->upgraded = 1;
    c->length = 0;
}

static void on_frames(Client *c) {
    for (;;) {
        unsigned char *in = (unsigned char *)c->in;
        if (c->length < 6) return;
        int length = in[1] & 127, start = 6;
        if (length == 126) {
            if (c->length < 8) return;
            length = in[2] << 8 | in[3];
            start = 8;
        }
        if (length == 127 || start + length >= IN_BYTES) { drop(c); return; }
        if (c->length < start + length) return;
        char text[IN_BYTES + 1];
        for (int i = 0; i < length; i++) text[i] = (char)(in[start + i] ^ in[start - 4 + i % 4]);
        text[length] = 0;
        int opcode = in[0] & 15;
        memmove(c->in, c->in + start + length, (size_t)(c->length -= start + length));
        if (opcode == 8) { drop(c); return; }
        if (opcode == 1) on_text(c, text);
    }
}

static void on_readable(Client *c) {
    ssize_t got = recv(c->fd, c->in + c->length, (size_t)(IN_BYTES - 1 - c->length), 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) drop(c);
        return;
    }
    c->length += (int)got;
    if (c->upgraded) on_frames(c);
    else on_head(c);
}

static size_t make_push(char *out, int s) {
    char text[PUSH_BYTES + 64];
    unsigned long long number = ++numbers[s], at = now_us();
    int size = snprintf(text, sizeof text,
                        "42[\"price:update\",{\"symbol\":\"S%d\",\"price\":%llu.25,\"seq\":%llu,\"prevSeq\":%llu,"
                        "\"ts\":%llu,\"srcTs\":%llu,\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"note\":\"",
                        s, number % 1000, number, number - 1, at, at);
    while (size < PUSH_BYTES - 3) text[size++] = 'x';
    memcpy(text + size, "\"}]", 3);
    return frame(out, text, (size_t)size + 3);
}

static uint64_t push(int s, int join) {
    static char out[64 * (PUSH_BYTES + 68)];
    size_t size = 0;
    for (int i = 0; i < join; i++) size += make_push(out + size, s);
    for (int i = 0; i < member_count[s]; i++) send_all(members[s][i], out, size);
    return (uint64_t)member_count[s] * (uint64_t)join;
}

static void turn(int timeout_ms);

static void report(uint64_t sent, uint64_t began_us) {
    printf("sent %llu in %llu us\n", (unsigned long long)sent, (unsigned long long)(now_us() - began_us));
}

static void flood(double seconds, int join) {
    uint64_t began = now_us(), until = began + (uint64_t)(seconds * 1e6), sent = 0;
    for (int s = 0; now_us() < until; s = (s + 1) % symbols) sent += push(s, join);
    report(sent, began);
}

static void pace(double seconds, double rate) {
    uint64_t began = now_us(), sent = 0;
    for (uint64_t k = 0; (double)k < rate * seconds; k++) {
        uint64_t due = began + (uint64_t)((double)k * 1e6 / rate), now = now_us();
        if (now < due) usleep((useconds_t)(due - now));
        sent += push((int)(k % (uint64_t)symbols), 1);
    }
    report(sent, began);
}

static void burst(int times, int pause_ms) {
    uint64_t began = now_us(), sent = 0;
    for (int i = 0; i < times; i++) {
        sent += push(0, 1);
        usleep((useconds_t)pause_ms * 1000);
    }
    report(sent, began);
}

static int listen_fd;

static void on_command(void) {
    char line[200];
    double a = 0, b = 0;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    if (sscanf(line, "flood %lf %lf", &a, &b) == 2) flood(a, (int)b);
    else if (sscanf(line, "pace %lf %lf", &a, &b) == 2) pace(a, b);
    else if (sscanf(line, "burst %lf %lf", &a, &b) == 2) burst((int)a, (int)b);
    else if (!strncmp(line, "count", 5)) printf("%d\n", subscribed);
    else exit(0);
    fflush(stdout);
}

static void turn(int timeout_ms) {
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, timeout_ms);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == 0) on_command();
        else if (fd != listen_fd) { if (clients[fd]) on_readable(clients[fd]); }
        else {
            int one = 1, got = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
            if (got < 0) continue;
            if (got >= MAX_FD) { close(got); continue; }
            setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            clients[got] = calloc(1, sizeof(Client));
            clients[got]->fd = got;
            struct epoll_event in = {EPOLLIN, {.fd = got}};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, got, &in);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    symbols = atoi(argv[1]);
    snprintf(clock_id, sizeof clock_id, "%s", argv[2]);
    if (symbols < 1 || symbols > MAX_SYMBOLS) return 2;
    for (int s = 0; s < symbols; s++) members[s] = calloc(MAX_FD, sizeof(int));
    setvbuf(stdin, NULL, _IONBF, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listen_fd, (struct sockaddr *)&at, size) || listen(listen_fd, 4096)) return 1;
    getsockname(listen_fd, (struct sockaddr *)&at, &size);
    epoll_fd = epoll_create1(0);
    struct epoll_event in = {EPOLLIN, {.fd = listen_fd}}, command = {EPOLLIN, {.fd = 0}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &in);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &command);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) turn(-1);
}
