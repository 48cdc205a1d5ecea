// HTTP/1.1 from one cheap process, on connections that stay open. Prints one line of JSON.
// http-load load PORTS CONNECTIONS SECONDS COUNT REQUEST [IDS-IN] [IDS-OUT]: the request, a file, again and again, for so
//   many seconds or until so many were answered (0: no limit). PORTS is one, or several with commas. In the request
//   36 `#` in a row are the next line of IDS-IN, 12 `#` a number that counts up. The id of each answer goes to IDS-OUT.
// http-load read PORT REQUEST: one answer, read to the end of its connection; counts lines that are marked `<~~>`.
// http-load pages PORT REQUEST: page after page; 12 `#` in the request are the cursor.
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

#define ANSWER (4 * 1024 * 1024)
#define SAMPLES (1 << 22)

typedef struct {
  int fd;
  char *request, *id_place, *number_place, *answer;
  size_t request_length, got, whole;
  int64_t sent_at;
} Connection;

static int64_t samples[SAMPLES];

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

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "r");
  if (file == NULL) die(path);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(*length + 1);
  if (fread(text, 1, *length, file) != *length) die(path);
  text[*length] = 0;
  fclose(file);
  return text;
}

static int open_connection(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void send_all(int fd, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    data += sent;
    length -= (size_t)sent;
  }
}

/** How long the answer is as a whole, or 0 while its head is not there. */
static size_t whole_length(const char *answer, size_t got) {
  const char *end = memmem(answer, got, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  const char *header = strcasestr(answer, "\r\ncontent-length:");
  if (header == NULL || header > end) {
    fprintf(stderr, "an answer without Content-Length: %.300s\n", answer);
    exit(1);
  }
  return (size_t)(end + 4 - answer) + strtoul(header + 17, NULL, 10);
}

static long count_marks(const char *data, size_t length) {
  long found = 0;
  const char *at = data, *end = data + length;
  while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
    if (end - at >= 4 && memcmp(at, "<~~>", 4) == 0) found += 1;
    at += 1;
  }
  return found;
}

static FILE *ids_in, *ids_out;
static long number;

/** false: there are no more ids. */
static int send_next(Connection *connection) {
  if (connection->id_place != NULL && ids_in != NULL) {
    char line[64];
    if (fgets(line, sizeof line, ids_in) == NULL) return 0;
    memcpy(connection->id_place, line, 36);
  }
  if (connection->number_place != NULL) {
    char digits[24];
    snprintf(digits, sizeof digits, "%012ld", number++);
    memcpy(connection->number_place, digits, 12);
  }
  connection->got = 0;
  connection->whole = 0;
  connection->sent_at = now_us();
  send_all(connection->fd, connection->request, connection->request_length);
  return 1;
}

static void load(char **arguments, int count) {
  int connections = atoi(arguments[3]), waiting = 0;
  double seconds = atof(arguments[4]);
  long most = atol(arguments[5]), sent = 0, answered = 0, refused = 0;
  if (count > 7 && *arguments[7] != 0 && (ids_in = fopen(arguments[7], "r")) == NULL) die(arguments[7]);
  if (count > 8 && (ids_out = fopen(arguments[8], "w")) == NULL) die(arguments[8]);
  int ports[16], port_count = 0;
  for (char *port = strtok(arguments[2], ","); port != NULL && port_count < 16; port = strtok(NULL, ","))
    ports[port_count++] = atoi(port);
  Connection *all = calloc((size_t)connections, sizeof *all);
  int epoll = epoll_create1(0);
  int64_t begun = now_us(), until = seconds > 0 ? begun + (int64_t)(seconds * 1e6) : INT64_MAX;
  for (int at = 0; at < connections; at += 1) {
    Connection *connection = &all[at];
    connection->fd = open_connection(ports[at % port_count]);
    connection->request = read_file(arguments[6], &connection->request_length);
    connection->id_place = strstr(connection->request, "####################################");
    if (connection->id_place == NULL) connection->number_place = strstr(connection->request, "############");
    connection->answer = malloc(ANSWER + 1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
    if ((most == 0 || sent < most) && send_next(connection)) {
      sent += 1;
      waiting += 1;
    }
  }
  int64_t now = begun;
  while (waiting > 0) {
    struct epoll_event events[256];
    int found = epoll_wait(epoll, events, 256, -1);
    for (int each = 0; each < found; each += 1) {
      Connection *connection = events[each].data.ptr;
      ssize_t got = recv(connection->fd, connection->answer + connection->got, ANSWER - connection->got, 0);
      if (got <= 0) die("an answer ended early");
      connection->got += (size_t)got;
      connection->answer[connection->got] = 0;
      if (connection->whole == 0) connection->whole = whole_length(connection->answer, connection->got);
      if (connection->whole == 0 || connection->got < connection->whole) continue;
      now = now_us();
      if (connection->answer[9] != '2') {
        if (refused++ == 0) fprintf(stderr, "%.600s\n", connection->answer);
      } else if (ids_out != NULL) {
        char *id = strstr(connection->answer, "\"id\":\"");
        if (id != NULL) fprintf(ids_out, "%.36s\n", id + 6);
      }
      if (answered < SAMPLES) samples[answered] = now - connection->sent_at;
      answered += 1;
      waiting -= 1;
      if (now < until && (most == 0 || sent < most) && send_next(connection)) {
        sent += 1;
        waiting += 1;
      }
    }
  }
  if (ids_out != NULL) fclose(ids_out);
  size_t kept = (size_t)(answered < SAMPLES ? answered : SAMPLES);
  qsort(samples, kept, sizeof *samples, order);
  printf("{\"answered\":%ld,\"refused\":%ld,\"seconds\":%.6f,\"p50Ms\":%.4f,\"p99Ms\":%.4f}\n", answered, refused,
         (double)(now - begun) / 1e6, kept > 0 ? (double)samples[kept / 2] / 1e3 : 0.0,
         kept > 0 ? (double)samples[kept * 99 / 100] / 1e3 : 0.0);
}

static void read_all(int port, const char *path) {
  size_t length, kept = 0;
  char *request = read_file(path, &length), *answer = malloc(ANSWER + 8);
  int fd = open_connection(port);
  long lines = 0, bytes = 0;
  int64_t begun = now_us(), last = begun;
  send_all(fd, request, length);
  for (;;) {
    ssize_t got = recv(fd, answer + kept, ANSWER, 0);
    if (got <= 0) break;
    if (bytes == 0 && strncmp(answer, "HTTP/1.1 200", 12) != 0) {
      fprintf(stderr, "%.600s\n", answer);
      exit(1);
    }
    bytes += got;
    lines += count_marks(answer, kept + (size_t)got);
    last = now_us();
    // Three bytes can be no whole mark, and belong to one that goes on in the next chunk.
    size_t whole = kept + (size_t)got, keep = whole < 3 ? whole : 3;
    memmove(answer, answer + whole - keep, keep);
    kept = keep;
  }
  printf("{\"lines\":%ld,\"bytes\":%ld,\"seconds\":%.6f}\n", lines, bytes, (double)(last - begun) / 1e6);
}

static void read_pages(int port, const char *path) {
  Connection connection = {.fd = open_connection(port)};
  connection.request = read_file(path, &connection.request_length);
  connection.answer = malloc(ANSWER + 1);
  char *place = strstr(connection.request, "############");
  // A cursor of fewer digits: the rest of the request moves up.
  char *rest = place + 12, *head = strndup(connection.request, (size_t)(place - connection.request));
  long lines = 0, bytes = 0, pages = 0;
  unsigned long after = 0;
  int64_t begun = now_us();
  for (int has_more = 1; has_more;) {
    char *request;
    int length = asprintf(&request, "%s%lu%s", head, after, rest);
    send_all(connection.fd, request, (size_t)length);
    free(request);
    connection.got = connection.whole = 0;
    while (connection.whole == 0 || connection.got < connection.whole) {
      ssize_t got = recv(connection.fd, connection.answer + connection.got, ANSWER - connection.got, 0);
      if (got <= 0) die("a page ended early");
      connection.got += (size_t)got;
      connection.answer[connection.got] = 0;
      if (connection.whole == 0) connection.whole = whole_length(connection.answer, connection.got);
    }
    if (strncmp(connection.answer, "HTTP/1.1 200", 12) != 0) {
      fprintf(stderr, "%.600s\n", connection.answer);
      exit(1);
    }
    lines += count_marks(connection.answer, connection.got);
    bytes += (long)connection.got;
    pages += 1;
    // Where they stand among the fields is not ours to know, but no event of a bench has them.
    char *cursor = memmem(connection.answer, connection.got, "\"nextAfter\":", 12);
    if (cursor == NULL) die("a page without a cursor");
    after = strtoul(cursor + 12, NULL, 10);
    has_more = memmem(connection.answer, connection.got, "\"hasMore\":true", 14) != NULL;
  }
  printf("{\"lines\":%ld,\"bytes\":%ld,\"pages\":%ld,\"seconds\":%.6f}\n", lines, bytes, pages,
         (double)(now_us() - begun) / 1e6);
}

int main(int count, char **arguments) {
  if (count >= 7 && strcmp(arguments[1], "load") == 0) load(arguments, count);
  else if (count == 4 && strcmp(arguments[1], "read") == 0) read_all(atoi(arguments[2]), arguments[3]);
  else if (count == 4 && strcmp(arguments[1], "pages") == 0) read_pages(atoi(arguments[2]), arguments[3]);
  else return 2;
  return 0;
}
