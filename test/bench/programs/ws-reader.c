// Many WebSockets in one cheap process: ws-reader PORT PATH TOKEN CONNECTIONS LINES END MESSAGE
// Each connection sends the message (`@FILE`: a line of that file each) and counts the lines (marked `<~~>`) that come back, until it has had so many and
// has seen END (nothing where it is empty); 0 lines: until standard input ends. Says `ready` when all have an answer,
// then one line of JSON. Times are of the monotonic clock, in us.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAIL 64
#define CHUNK (256 * 1024)
#define SAMPLES (1 << 22)
/** A peer that never says anything would be cut off after a minute. */
#define PONG_EVERY_US 10000000

typedef struct {
  int fd, is_open, is_answered, is_done;
  long lines;
  size_t tail;
  char kept[TAIL];
  int64_t last;
} Connection;

static int64_t samples[SAMPLES];
static size_t sample_count;
static int64_t first_at, last_at, end_at, ready_at;
static long total, bytes_in, wanted;
static const char *end_text;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int order(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

static void send_all(int fd, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    data += sent;
    length -= (size_t)sent;
  }
}

static int open_socket(int port, const char *path, const char *token) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char request[1024], answer[2048];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Authorization: Bearer %s\r\n\r\n",
                        path, port, token);
  send_all(fd, request, (size_t)length);
  // Byte by byte up to the empty line: what follows it is already a frame.
  size_t got = 0;
  while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0)
    if (got == sizeof answer || recv(fd, answer + got++, 1, 0) != 1) die("no handshake");
  if (strncmp(answer, "HTTP/1.1 101", 12) != 0) {
    fprintf(stderr, "%.200s\n", answer);
    exit(1);
  }
  return fd;
}

/** A text frame; its mask is zero, which leaves the text as it is. */
static void send_text(int fd, const char *text) {
  size_t length = strlen(text), head = 0;
  char *frame = malloc(length + 14);
  frame[head++] = (char)0x81;
  if (length < 126) frame[head++] = (char)(0x80 | length);
  else {
    frame[head++] = (char)(0x80 | 126);
    frame[head++] = (char)(length >> 8);
    frame[head++] = (char)length;
  }
  memset(frame + head, 0, 4);
  memcpy(frame + head + 4, text, length);
  send_all(fd, frame, head + 4 + length);
  free(frame);
}

/** Counts the marks of a chunk that has the rest of the one before in front of it; returns how much to keep. */
static size_t count(Connection *connection, char *data, size_t length, int64_t now, int with_latency) {
  char *at = data, *end = data + length;
  while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
    // Mark and stamp are whole, or wait for the next chunk.
    if (end - at < 20) return (size_t)(end - at);
    if (memcmp(at, "<~~>", 4) == 0) {
      if (first_at == 0) first_at = now;
      connection->lines += 1;
      connection->last = now;
      if (with_latency && sample_count < SAMPLES) {
        int64_t stamp = 0;
        for (int digit = 4; digit < 20; digit += 1) stamp = stamp * 10 + (at[digit] - '0');
        samples[sample_count++] = now - stamp;
      }
      total += 1;
      last_at = now;
      at += 19;
    }
    at += 1;
  }
  return 0;
}

int main(int argument_count, char **arguments) {
  if (argument_count < 8) return 2;
  int port = atoi(arguments[1]), connections = atoi(arguments[4]), answered = 0, open = connections, done = 0;
  wanted = atol(arguments[5]);
  end_text = arguments[6];
  int with_latency = argument_count > 8;
  Connection *all = calloc((size_t)connections, sizeof *all);
  int epoll = epoll_create1(0);
  for (int at = 0; at < connections; at += 1) {
    all[at].fd = open_socket(port, arguments[2], arguments[3]);
    all[at].is_open = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[at]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, all[at].fd, &event);
  }
  printf("connected\n");
  fflush(stdout);
  // Whoever started this looks at the service first, and then says to go on.
  char go[16];
  if (fgets(go, sizeof go, stdin) == NULL) return 1;
  int64_t begun = now_us(), pong_at = begun + PONG_EVERY_US;
  FILE *messages = *arguments[7] == '@' ? fopen(arguments[7] + 1, "r") : NULL;
  if (*arguments[7] == '@' && messages == NULL) die(arguments[7]);
  for (int at = 0; at < connections; at += 1) {
    static char line[64 * 1024];
    if (messages != NULL && fgets(line, sizeof line, messages) == NULL) die("too few messages");
    line[strcspn(line, "\n")] = 0;
    send_text(all[at].fd, messages == NULL ? arguments[7] : line);
  }
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
  char *chunk = malloc(TAIL + CHUNK);
  for (int is_told = 0; open > 0 && done < connections;) {
    struct epoll_event events[256];
    int found = epoll_wait(epoll, events, 256, 1000);
    if (now_us() > pong_at) {
      pong_at = now_us() + PONG_EVERY_US;
      for (int at = 0; at < connections; at += 1)
        if (all[at].is_open) send(all[at].fd, "\x8a\x80\0\0\0\0", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (int each = 0; each < found; each += 1) {
      Connection *connection = events[each].data.ptr;
      if (connection == NULL) {
        char ignored[256];
        if (read(0, ignored, sizeof ignored) <= 0) open = 0;
        continue;
      }
      memcpy(chunk, connection->kept, connection->tail);
      ssize_t got = recv(connection->fd, chunk + connection->tail, CHUNK, 0);
      if (got <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, connection->fd, NULL);
        connection->is_open = 0;
        open -= 1;
        continue;
      }
      bytes_in += got;
      if (!connection->is_answered) {
        connection->is_answered = 1;
        answered += 1;
      }
      int64_t now = now_us();
      size_t length = connection->tail + (size_t)got;
      size_t keep = count(connection, chunk, length, now, with_latency);
      if (wanted > 0 && !connection->is_done && connection->lines >= wanted) {
        if (*end_text == 0 || memmem(chunk, length, end_text, strlen(end_text)) != NULL) {
          connection->is_done = 1;
          done += 1;
          if (now - connection->last > end_at) end_at = now - connection->last;
        } else if (keep < strlen(end_text)) keep = length < strlen(end_text) ? length : strlen(end_text);
        if (keep > TAIL) keep = TAIL;
        // A mark that is kept for the end's sake must not be counted again.
        for (size_t back = length - keep; back + 4 <= length && keep >= 20; back += 1)
          if (memcmp(chunk + back, "<~~>", 4) == 0) chunk[back + 1] = '-';
      }
      connection->tail = keep;
      memcpy(connection->kept, chunk + length - keep, keep);
    }
    if (!is_told && answered == connections) {
      is_told = 1;
      ready_at = now_us();
      printf("ready\n");
      fflush(stdout);
    }
  }
  qsort(samples, sample_count, sizeof *samples, order);
  long least = connections > 0 ? all[0].lines : 0;
  for (int at = 0; at < connections; at += 1) least = all[at].lines < least ? all[at].lines : least;
  printf("{\"lines\":%ld,\"least\":%ld,\"bytes\":%ld,\"seconds\":%.6f,\"begunToFirstMs\":%.3f,\"readyBeforeFirst\":%s,"
         "\"endMs\":%.3f,\"p50Ms\":%.4f,\"p99Ms\":%.4f}\n",
         total, least, bytes_in, (double)(last_at - first_at) / 1e6, (double)(first_at - begun) / 1e3,
         ready_at != 0 && (first_at == 0 || ready_at < first_at) ? "true" : "false", (double)end_at / 1e3,
         sample_count > 0 ? (double)samples[sample_count / 2] / 1e3 : 0.0,
         sample_count > 0 ? (double)samples[sample_count * 99 / 100] / 1e3 : 0.0);
  return 0;
}
