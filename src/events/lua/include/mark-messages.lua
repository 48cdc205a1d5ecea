-- Of a batch of events, those of messages. Only lines of our own begin like that.

--- @include "./mark-message.lua"

local function markMessages(id, lines)
  for line in string.gmatch(lines, '[^\n]+') do
    local kind = string.match(line, '^{"seq":%d+,"type":"message%.(%a+)"')
    if kind then
      local event = cjson.decode(line)
      markMessage(id, kind, event.data.messageId, event.at, event.data.reason, event.data.attachments)
    end
  end
end
