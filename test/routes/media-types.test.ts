import mime from 'mime-types'
import t from 'tap'
import { toMediaType } from '../../routes/media-types.js'

const PLAIN = 'text/plain; charset=utf-8'
const DIFF = 'text/x-diff; charset=utf-8'
const SHOWN: Record<string, string> = {
  txt: PLAIN,
  log: PLAIN,
  yaml: PLAIN,
  yml: PLAIN,
  ts: PLAIN,
  py: PLAIN,
  md: 'text/markdown; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  jsonl: 'application/x-ndjson; charset=utf-8',
  diff: DIFF,
  patch: DIFF,
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
}
const SAVED: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  htm: 'text/html; charset=utf-8',
  svg: 'image/svg+xml',
  xml: 'application/xml',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  pdf: 'application/pdf',
  zip: 'application/zip',
  gz: 'application/gzip',
  wasm: 'application/wasm',
}

void t.test('a name says how a file is served', async (t) => {
  for (const [extension, type] of Object.entries(SHOWN))
    t.same(toMediaType(`folder.html/a.${extension}`), { type, isSafe: true }, extension)
  for (const [extension, type] of Object.entries(SAVED))
    t.same(toMediaType(`folder.txt/a.${extension}`), { type, isSafe: false }, extension)
  t.equal(toMediaType('PAGE.Html').isSafe, false, 'in capitals')
  t.match(toMediaType('NOTE.TXT'), { type: PLAIN, isSafe: true })
  t.match(toMediaType('a.docx').type, /wordprocessingml/)
})

void t.test('what no table knows is bytes to save', async (t) => {
  for (const path of ['', 'README', 'a.', '.gitignore', 'a.txt/b', 'a.nobody-knows', 'a.__proto__', 'a.constructor'])
    t.same(toMediaType(path), { type: 'application/octet-stream', isSafe: false }, path)
})

void t.test('of all extensions that the library knows, only the listed ones are shown', async (t) => {
  const shown = Object.keys(mime.types).filter((extension) => toMediaType(`a.${extension}`).isSafe)
  t.same(
    shown.filter((extension) => !(extension in SHOWN)),
    [],
  )
  t.ok(shown.length >= 10, 'and those are known')
})
