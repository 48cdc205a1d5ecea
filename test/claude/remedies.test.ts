// What a denied call says of the setting that would allow it.
import t from 'tap'

import { line, translateAll } from './lines.js'

void t.test('a denial names the narrowest setting that would allow the call', async (t) => {
  const deny = (name: string, input: Record<string, unknown>, content: string, permissionMode = 'acceptEdits') =>
    translateAll([
      line({ type: 'system', subtype: 'init', cwd: '/w', permissionMode }),
      line({ type: 'assistant', message: { id: 'm', content: [{ type: 'tool_use', id: 't', name, input }] } }),
      line({
        type: 'user',
        message: { content: [{ type: 'tool_result', tool_use_id: 't', is_error: true, content }] },
      }),
      line({
        type: 'result',
        is_error: false,
        permission_denials: [{ tool_name: name, tool_use_id: 't', tool_input: input }],
      }),
    ]).observation.denials.map(({ allowWith }) => allowWith)
  const bash = (command: string, content = 'This command requires approval', mode?: string) =>
    deny('Bash', { command }, content, mode)
  const table: [string[], string][] = [
    [bash('touch a b'), 'allowedTools: ["Bash(touch:*)"]'],
    [
      bash(
        'npm install x && rm -rf "a;b" | sort',
        'This Bash command contains multiple operations. The following parts require approval: npm install x, rm',
      ),
      'allowedTools: ["Bash(npm install:*)", "Bash(rm:*)", "Bash(sort:*)"]',
    ],
    [bash('git --version'), 'allowedTools: ["Bash(git:*)"]'],
    [bash('echo $(id)', 'Contains command_substitution'), 'allowedTools: ["Bash"]'],
    [bash('FOO=1 make'), 'allowedTools: ["Bash"]'],
    [bash('sleep 1 & echo'), 'allowedTools: ["Bash"]'],
    [
      bash(
        'printf 1 > /w/x',
        "Output redirection to '/w/x' was blocked. For security, Claude Code may only write",
        'default',
      ),
      'permissionMode: "acceptEdits"',
    ],
    [
      bash('printf 1 > /x', "Output redirection to '/x' was blocked. For security, Claude Code may only write"),
      'allowedTools: ["Bash(printf:*)", "Edit(//x)"]',
    ],
    [
      bash('npm run x', 'Permission to use Bash with command npm run x has been denied.'),
      'disallowedTools without the rule that matches this call',
    ],
    [
      deny(
        'Write',
        { file_path: '/w/a/b' },
        "Claude requested permissions to write to /w/a/b, but you haven't granted it yet.",
        'default',
      ),
      'permissionMode: "acceptEdits"',
    ],
    [
      deny(
        'Write',
        { file_path: '/etc/x' },
        "Claude requested permissions to write to /etc/x, but you haven't granted it yet.",
      ),
      'allowedTools: ["Edit(//etc/x)"]',
    ],
    [
      deny(
        'Edit',
        { file_path: '/w/.git/config' },
        'Claude requested permissions to edit /w/.git/config which is a sensitive file.',
        'default',
      ),
      'permissionMode: "bypassPermissions"',
    ],
    [
      deny(
        'Write',
        { file_path: '/w/.claude/settings.json' },
        "Claude requested permissions to write to /w/.claude/settings.json, but you haven't granted it yet.",
      ),
      'permissionMode: "bypassPermissions"',
    ],
    [
      deny(
        'Read',
        { file_path: '/etc/passwd' },
        "Claude requested permissions to read from /etc/passwd, but you haven't granted it yet.",
      ),
      'allowedTools: ["Read(//etc/passwd)"]',
    ],
    [
      deny(
        'WebFetch',
        { url: 'https://example.com/x' },
        "Claude requested permissions to use WebFetch, but you haven't granted it yet.",
      ),
      'allowedTools: ["WebFetch(domain:example.com)"]',
    ],
    [
      deny(
        'mcp__a__b',
        {},
        "Permission to use mcp__a__b has been denied because Claude Code is running in don't ask mode.",
        'dontAsk',
      ),
      'allowedTools: ["mcp__a__b"]',
    ],
  ]
  for (const [found, expected] of table) t.same(found, [expected], expected)
  t.same(
    translateAll([
      line({ type: 'assistant', message: { content: [{ type: 'tool_use', id: 't', name: 'Bash', input: {} }] } }),
      line({
        type: 'user',
        message: {
          content: [
            {
              type: 'tool_result',
              tool_use_id: 't',
              is_error: true,
              content: 'Exit code 1\nThis command requires approval',
            },
          ],
        },
      }),
    ]).observation.denials,
    [],
    'what a tool itself prints is no denial',
  )
})
