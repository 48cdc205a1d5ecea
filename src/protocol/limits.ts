/**
 * Every limit that a client can meet and that no setting changes. Where one is exceeded the request is refused with the
 * field named, unless its line says something else.
 */
const KIB = 1024
const MIB = KIB * KIB

// A request.
export const PROMPT_LIMIT_BYTES = 4 * MIB
export const SYSTEM_PROMPT_LIMIT_BYTES = 100 * KIB
export const AGENT_PROMPT_LIMIT_BYTES = 256 * KIB
export const AGENT_DESCRIPTION_LIMIT_BYTES = 16 * KIB
export const WORKSPACE_LIMIT_BYTES = 4 * KIB
/** Of the program of an MCP server. */
export const PROGRAM_LIMIT_BYTES = 4 * KIB
export const METADATA_LIMIT_BYTES = 4 * KIB
export const TIMEOUT_LIMIT_SECONDS = 24 * 60 * 60
export const TURNS_LIMIT = 10_000
export const BUDGET_LIMIT_USD = 1_000_000
export const BUDGET_LIMIT_TOKENS = 1e12
/** How long an execution may be parked. */
export const PARKED_LIMIT_SECONDS = 30 * 24 * 60 * 60
/** Of one execution; a receipt names each. */
export const BUDGET_CHANGES_LIMIT = 100
export const ATTEMPTS_LIMIT = 10
export const REPAIRS_LIMIT = 5
/** Of a task list. */
export const TASKS_LIMIT = 500
/** Of each of the lists that name tools or MCP servers. */
export const NAMES_LIMIT = 200
export const TOOL_RULE_LIMIT_BYTES = 4 * KIB
/** Of `verify`. */
export const VERIFIED_FILES_LIMIT = 1_000
export const VERIFIED_PATH_LIMIT_BYTES = 4 * KIB
export const VERIFY_COMMANDS_LIMIT = 20
export const CHECK_ARGUMENT_LIMIT_BYTES = 32 * KIB
/** Of `files`. */
export const INLINE_FILES_LIMIT = 100
export const INLINE_FILES_LIMIT_BYTES = MIB
export const PATH_LIMIT_BYTES = KIB
export const PATH_PART_LIMIT_BYTES = 255
/** Of one request or message; the operator may have set fewer. */
export const ATTACHMENTS_LIMIT = 100
/**
 * Of all attachments of one request or message: what the Messages API takes (32 MB with everything else), as they are
 * written in base64.
 */
export const ATTACHMENTS_LIMIT_BYTES = 20 * MIB
/** Of what one execution keeps of attachments until its end, those of its messages included. */
export const KEPT_ATTACHMENTS_LIMIT_BYTES = 64 * MIB
export const IDEMPOTENCY_KEY_LIMIT = 255
/** How long one approval may wait. */
export const APPROVAL_TIMEOUT_LIMIT_SECONDS = 7 * 24 * 60 * 60
/** Of an approval's input, as it is stored and shown; the call itself keeps all of it. */
export const APPROVAL_INPUT_SHOWN_BYTES = 64 * KIB
/** Of an input that a decision puts in the place of the call's. */
export const APPROVAL_INPUT_LIMIT_BYTES = 256 * KIB
/** Of each message and answer of a decision. */
export const APPROVAL_TEXT_LIMIT_BYTES = 16 * KIB
/** Of one decision. */
export const ANSWERS_LIMIT = 50
/** Of one execution, closed ones included: further calls that need permission are denied, with the reason. */
export const APPROVALS_LIMIT = 1_000
/** Of cancel, pause and resume. */
export const REASON_LIMIT = 500

// What a list or a page holds at most.
/** Of `q`, the text that a list looks for in prompts. */
export const QUERY_CHARACTERS_LIMIT = 256
export const LIST_LIMIT = 200
export const EVENT_PAGE_LIMIT = 1_000
/** Of a shortened event: below it nothing but its envelope would be left. */
export const SMALLEST_EVENT_BYTES = 256

/** Of `maxConcurrent`. */
export const CONCURRENT_LIMIT = 10_000
/** Of a token, not used yet: one more takes the place of the oldest. @lua */
export const TICKETS_LIMIT = 1_000
export const TICKET_SECONDS = 30

// Schedules.
/** Of `name` and of `cron`. */
export const SCHEDULE_TEXT_LIMIT = 200
/** Of `request` as JSON: it is kept for as long as the schedule. */
export const SCHEDULED_REQUEST_LIMIT_BYTES = 64 * KIB
/** The shortest and the longest interval. */
export const LEAST_EVERY_SECONDS = 10
export const MOST_EVERY_SECONDS = 366 * 24 * 60 * 60
/** Moments that a schedule shows. */
export const SHOWN_MOMENTS = 10
/** Missed moments that `missed: "all"` makes up for. */
export const MISSED_LIMIT = 100
/** Executions of one schedule that have not ended, with `overlap: "queue"`: further moments are skipped. */
export const OPEN_RUNS_LIMIT = 100
// Webhooks.
export const WEBHOOK_URL_LIMIT = 2048
/** Of `events`. */
export const WEBHOOK_PATTERNS_LIMIT = 20
/** Of `webhooks` of a request. */
export const WEBHOOK_NAMES_LIMIT = 20
/** How long the secret before a rotation signs beside the new one. */
export const WEBHOOK_ROTATION_HOURS = 24
/** A delivery is tried for so long; a webhook that has accepted nothing by then is disabled. @lua */
export const DELIVERY_HOURS = 72
/** How long a delivery that has ended is kept. @lua */
export const DELIVERY_KEPT_DAYS = 7
/** And how many of them by each webhook. @lua */
export const DELIVERIES_KEPT = 1_000
/** Of a delivery's attempts, the last ones are kept. @lua */
export const DELIVERY_ATTEMPTS_KEPT = 20

// Waits.
/** The longest wait that may be asked for. */
export const ASKED_WAIT_LIMIT_SECONDS = 60
/** The longest that a request is held: most proxies give up after 60 s, and the client would lose the answer. */
export const HOLD_LIMIT_SECONDS = 55
/**
 * Clients of MCP give up after 60 s as a rule; a call of ours, a service that must be started first included, ends
 * before that.
 */
export const TOOL_WAIT_LIMIT_SECONDS = 45

// MCP.
/** How many executions verify_execution lists: their checks must fit into one answer. */
export const LAST_LIMIT = 50

// Transport.
/**
 * Of a body, and of a WebSocket frame, which is refused with 1009: a prompt of the largest size, written in JSON, with
 * the other fields, so that what is too long is refused by its name.
 */
export const BODY_LIMIT_BYTES = 8 * MIB
/** Requests of one JSON-RPC batch, whose answer is built in memory as one frame: more are refused as a whole. */
export const BATCH_LIMIT = 1_000
/** Of one object or list of a request. A schema of 100 KiB, the most of what is taken, has fewer members. */
export const MEMBERS_LIMIT = 5_000
/** Of all objects of a request together. */
export const ALL_MEMBERS_LIMIT = 50_000
/** A request of 400,000 unknown fields is one small body; its answer names the first of them only. */
export const ERRORS_LIMIT = 20
/** Of a path that an answer repeats, which is cut there: the names in it are the caller's, of any length. */
export const ERROR_PATH_LIMIT_CHARACTERS = 256
