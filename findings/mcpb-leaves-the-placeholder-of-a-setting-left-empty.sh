#!/usr/bin/env bash
# @anthropic-ai/mcpb 2.1.2, which packs extensions for Claude Desktop and tells hosts how to start them: an optional setting that the
#   user leaves empty.
#
# Expected: the variable that stands for it is left out, or empty, as for a required one nothing would be started.
# Happens: `getMcpConfigForManifest` answers the template itself: the server gets TOKEN='${user_config.token}'. With
#   `"default": ""` in the manifest it is empty.
# Matters to: a server that takes "a token, if there is one" from its environment sends that text as the token, and is refused. Give each
#   optional setting a default.
# Needs: bash, node 20 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/mcpb@2.1.2 >/dev/null

cat > try.mjs <<'END'
import { getMcpConfigForManifest } from '@anthropic-ai/mcpb'

const start = async (token) => {
  const manifest = {
    manifest_version: '0.3',
    name: 'demo',
    version: '1.0.0',
    description: 'A server with an optional setting.',
    author: { name: 'Somebody' },
    server: {
      type: 'node',
      entry_point: 'server.js',
      mcp_config: {
        command: 'node',
        args: ['${__dirname}/server.js'],
        env: { ADDRESS: '${user_config.address}', TOKEN: '${user_config.token}' },
      },
    },
    user_config: {
      address: { type: 'string', title: 'Address', description: 'Where it is.', required: true },
      token: { type: 'string', title: 'Token', description: 'If it wants one.', required: false, ...token },
    },
  }
  const userConfig = { address: 'http://127.0.0.1:8001' }
  const given = { manifest, extensionPath: '/extension', systemDirs: {}, userConfig, pathSeparator: '/' }
  return (await getMcpConfigForManifest(given)).env
}
const without = await start({})
const withDefault = await start({ default: '' })
console.log('no default:   ', JSON.stringify(without))
console.log('default "":   ', JSON.stringify(withDefault))
const same = without.TOKEN === '${user_config.token}' && withDefault.TOKEN === ''
console.log(same ? 'as found: the template reaches the server' : 'CHANGED')
process.exit(same ? 0 : 1)
END
node try.mjs
