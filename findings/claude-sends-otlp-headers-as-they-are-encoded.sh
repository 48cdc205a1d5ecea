#!/usr/bin/env bash
# Claude Code 2.1.332, telemetry on: OTEL_EXPORTER_OTLP_HEADERS with a value that needs encoding (`authorization=Bearer%20secret`).
#
# Expected: the value is percent-decoded: by OpenTelemetry's specification the variable has the form of W3C baggage, whose values are
#   percent-encoded, and OpenTelemetry's own exporter for JavaScript (0.223.1) sends `authorization: Bearer secret`.
# Happens: the header is sent as it is written, `authorization: Bearer%20secret`.
# Matters to: whoever gives one environment to several programs: the encoded form of the documentation is refused by the collector for
#   Claude Code alone. A raw space (`authorization=Bearer secret`) works with both.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback, and so is the collector.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 \
  @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-base@2.12.1 @opentelemetry/exporter-trace-otlp-http@0.223.1 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# Model and collector; what comes to the collector with which header goes to a file.
cat > api.mjs <<'END'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
const usage = { input_tokens: 1, output_tokens: 1 }
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.url.startsWith('/v1/') && request.url !== '/v1/messages?beta=true' && request.url !== '/v1/messages') {
    appendFileSync('heard', `${request.url} ${request.headers.authorization}\n`)
    return void response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { model } = JSON.parse(text)
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Fine.' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done
url=http://127.0.0.1:$(cat port)

cat > own.mjs <<'END'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())] })
provider.getTracer('own').startSpan('one').end()
await provider.shutdown()
END
mkdir -p home/work
"$claude" --version
# What comes to the collector, from OpenTelemetry's own exporter and from Claude Code.
own() {
  rm -f heard
  OTEL_EXPORTER_OTLP_ENDPOINT="$url" OTEL_EXPORTER_OTLP_HEADERS="authorization=$1" node own.mjs
  sort -u heard
}
claude() {
  rm -f heard
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="$url" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=http/json \
    OTEL_EXPORTER_OTLP_ENDPOINT="$url" OTEL_EXPORTER_OTLP_HEADERS="authorization=$1" \
    timeout 60 "$claude" -p --model=claude-sonnet-4-5 'Say fine.' </dev/null >/dev/null 2>&1)
  sort -u heard
}
for value in 'Bearer%20secret' 'Bearer secret'; do
  echo "authorization=$value: OpenTelemetry JS sends $(own "$value"), Claude Code $(claude "$value")"
done
case "$(own 'Bearer%20secret')" in *' Bearer secret'*) ;; *) echo CHANGED; exit 1 ;; esac
case "$(claude 'Bearer secret')" in *' Bearer secret'*) ;; *) echo CHANGED; exit 1 ;; esac
case "$(claude 'Bearer%20secret')" in
  *' Bearer%20secret'*) echo 'as found: the value is not decoded' ;;
  *) echo CHANGED; exit 1 ;;
esac
