-- How long durations are kept after the last lesson.

local HISTORY_KEPT_MS = 30 * 24 * 60 * 60 * 1000
