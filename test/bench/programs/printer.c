// Stands in for the Claude CLI in rows about throughput: it prints as fast as a pipe takes it, or at a pace, so that it
// is never the limit. It waits for a line with `BENCH kind bytes lines perSecond startAt`: kind is raw (of a type that
// the service does not know), delta, prose (deltas with a new text each, as hard to pack as English), tool (one tool
// call, told of in every line), call (another one in each line) or none; startAt is a time of the monotonic clock in us,
// 0: at once.
// Each line bears `<~~>` and the time at which it was printed; the end of input ends it.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MARK "<~~>0000000000000000"
#define STAMP_DIGITS 16
#define BUFFER (64 * 1024)

static char buffer[BUFFER];
static size_t used;

static void flush(void) {
  size_t done = 0;
  while (done < used) {
    ssize_t wrote = write(1, buffer + done, used - done);
    if (wrote <= 0) _exit(1);
    done += (size_t)wrote;
  }
  used = 0;
}

static void put(const char *text, size_t length) {
  if (used + length > BUFFER) flush();
  memcpy(buffer + used, text, length);
  used += length;
}

static void say(const char *text) { put(text, strlen(text)); }

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_until(int64_t at) {
  struct timespec until = {at / 1000000, (at % 1000000) * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
  }
}

static const char *const RESULT =
    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":1,\"result\":\"done\","
    "\"total_cost_usd\":0,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}\n";

/** The line of a kind, as many bytes long as was asked for, and where its stamp stands. */
static char *make_line(const char *kind, size_t bytes, char **stamp) {
  const char *head = "{\"type\":\"bench\",\"text\":\"" MARK " ", *tail = "\"}\n";
  if (strcmp(kind, "delta") == 0 || strcmp(kind, "prose") == 0) {
    head = "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
           "{\"type\":\"text_delta\",\"text\":\"" MARK " ";
    tail = "\"}},\"session_id\":\"cb98b0e1-1825-4bd0-a0e5-a56e24857888\",\"parent_tool_use_id\":null,"
           "\"uuid\":\"2119935d-037c-449c-92ee-04898cbb5df6\"}\n";
  } else if (strcmp(kind, "tool") == 0 || strcmp(kind, "call") == 0) {
    // The mark is in none of what the service tells of a call besides: one line is one mark.
    head = "{\"type\":\"assistant\",\"message\":{\"id\":\"msg_001\",\"note\":\"" MARK
           "\",\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"Read\","
           "\"input\":{\"file_path\":\"/";
    tail = "\"}}]},\"parent_tool_use_id\":null}\n";
  }
  size_t fixed = strlen(head) + strlen(tail), fill = bytes > fixed ? bytes - fixed : 0;
  char *line = malloc(fixed + fill + 1);
  memcpy(line, head, strlen(head));
  for (size_t at = 0; at < fill; at += 1) line[strlen(head) + at] = at % 6 == 5 ? ' ' : 'x';
  strcpy(line + strlen(head) + fill, tail);
  *stamp = strstr(line, "<~~>") + 4;
  return line;
}

/** A message and its call with ids of their own. */
static void number_call(char *line, long n) {
  static char *call, *message;
  if (call == NULL) {
    call = strstr(line, "toolu_1");
    message = strstr(line, "msg_001");
  }
  char digits[24];
  snprintf(digits, sizeof digits, "%06ld", n % 1000000);
  memcpy(call + 1, digits, 6);
  memcpy(message + 1, digits, 6);
}

/** Consonants and vowels by chance, in place of every x of a line. */
static void write_prose(char *stamp) {
  static uint32_t chance = 1;
  for (char *at = stamp + STAMP_DIGITS; *at != '"'; at += 1) {
    if (*at == ' ') continue;
    chance ^= chance << 13, chance ^= chance >> 17, chance ^= chance << 5;
    *at = (at - stamp) % 2 == 0 ? "bdfglmnprstvwkhc"[chance & 15] : "aeio"[chance & 3];
  }
}

static void run(const char *kind, size_t bytes, long lines, long per_second, int64_t start_at) {
  // As the CLI does: until its first line a run counts as starting, and a worker starts few at once.
  say("{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"cb98b0e1-1825-4bd0-a0e5-a56e24857888\",\"model\":\"none\","
      "\"tools\":[],\"mcp_servers\":[],\"permissionMode\":\"default\"}\n");
  if (start_at > now_us()) {
    flush();
    sleep_until(start_at);
  }
  int is_prose = strcmp(kind, "prose") == 0;
  if (is_prose || strcmp(kind, "delta") == 0) {
    say("{\"type\":\"stream_event\",\"event\":{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":"
        "\"message\",\"role\":\"assistant\",\"model\":\"none\",\"content\":[],\"usage\":{\"input_tokens\":1,"
        "\"output_tokens\":1}}},\"session_id\":\"cb98b0e1-1825-4bd0-a0e5-a56e24857888\",\"parent_tool_use_id\":null}\n");
    say("{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
        "\"text\",\"text\":\"\"}},\"session_id\":\"cb98b0e1-1825-4bd0-a0e5-a56e24857888\"}\n");
  }
  char *stamp, *line = make_line(kind, bytes, &stamp);
  size_t length = strlen(line);
  int is_call = strcmp(kind, "call") == 0;
  int64_t begun = now_us();
  if (per_second > 0) {
    flush();
    // Many at the same pace do not all print in the same moment.
    unsigned int chance = 0;
    if (getentropy(&chance, sizeof chance) == 0) begun += chance % (unsigned int)(1000000 / per_second);
  }
  for (long n = 0; n < lines; n += 1) {
    if (per_second > 0) sleep_until(begun + n * 1000000 / per_second);
    char digits[STAMP_DIGITS + 1];
    // The clock at full speed: once in a while is enough, and no line pays for it.
    if (per_second > 0 || n % 64 == 0) {
      snprintf(digits, sizeof digits, "%016lld", (long long)now_us());
      memcpy(stamp, digits, STAMP_DIGITS);
    }
    if (is_call) number_call(line, n);
    if (is_prose) write_prose(stamp);
    put(line, length);
    if (per_second > 0) flush();
  }
  say(RESULT);
  flush();
}

int main(int count, char **arguments) {
  for (int at = 1; at < count; at += 1)
    if (strcmp(arguments[at], "--version") == 0) return puts("2.1.197 (Claude Code)") < 0;
  static char input[1024 * 1024];
  size_t length = 0;
  int begun = 0;
  for (;;) {
    ssize_t got = read(0, input + length, sizeof input - 1 - length);
    if (got <= 0) return 0;
    if (begun) continue;
    length += (size_t)got;
    input[length] = 0;
    char *order = strstr(input, "BENCH "), kind[16];
    if (order == NULL || strchr(order, '\n') == NULL) {
      if (order == NULL && length > sizeof input / 2) length = 0;
      continue;
    }
    unsigned long bytes;
    long lines, per_second;
    long long start_at;
    if (sscanf(order, "BENCH %15s %lu %ld %ld %lld", kind, &bytes, &lines, &per_second, &start_at) != 5) return 2;
    begun = 1;
    run(kind, bytes, lines, per_second, start_at);
  }
}
