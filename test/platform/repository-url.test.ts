// Which repositories a list allows: one spelling for each address, and no way out of a pattern.
import t from 'tap'
import { describePattern, isListed, parseRepositoryUrl } from '../../src/platform/repository-url.js'

const allows = (pattern: string, url: string): boolean => isListed(parseRepositoryUrl(url), [pattern])

void t.test('one spelling for each address', async (t) => {
  for (const [given, url] of [
    ['https://GitHub.com:443/acme/shop/', 'https://github.com/acme/shop'],
    ['git@github.com:acme/shop.git', 'ssh://git@github.com/acme/shop.git'],
    ['SSH://git@host:2222/x', 'ssh://git@host:2222/x'],
    ['/srv/git//shop.git/', '/srv/git/shop.git'],
    ['file:///srv/git/shop', '/srv/git/shop'],
    ['http://127.0.0.1:8080/x', 'http://127.0.0.1:8080/x'],
  ] as const)
    t.equal(parseRepositoryUrl(given).url, url, given)
  for (const wrong of [
    'ext::sh -c id',
    'ext::sh',
    'http://example.org/x',
    'git://example.org/x',
    'ftp://example.org/x',
    'https://user@example.org/x',
    'https://user:pass@example.org/x',
    'ssh://git:pass@example.org/x',
    'ssh://-oProxyCommand=id/x',
    '-oProxyCommand=id:x',
    'https://example.org/a/../b',
    'https://example.org/a/%2e%2e/b',
    'https://example.org/a\\b',
    'https://example.org/x?y=1',
    'https://example.org',
    '/srv/git/../x',
    '/srv/a\nb',
    'relative/path',
    'fd::17',
    '--upload-pack=x',
  ])
    t.throws(() => parseRepositoryUrl(wrong), { name: 'RepositoryUrlError' }, wrong)
})

void t.test('a pattern allows what it says', async (t) => {
  for (const [pattern, url, expected] of [
    ['https://github.com/acme/*', 'https://github.com/acme/shop.git', true],
    ['https://github.com/acme/*', 'https://github.com/acmeevil/shop', false],
    ['https://github.com/acme/*', 'https://github.com.evil.org/acme/shop', false],
    ['https://github.com/acme/shop', 'https://github.com/acme/shop.git', true],
    ['https://github.com/acme/shop.git', 'https://github.com/acme/shop', true],
    ['https://github.com/acme/shop', 'https://github.com/acme/shop2', false],
    ['https://*.example.org/*', 'https://git.example.org/x/y', true],
    ['https://*.example.org/*', 'https://evil.org/.example.org/x', false],
    ['https://*/acme/*', 'https://any.host:8443/acme/x', false],
    ['https://github.com/*', 'ssh://git@github.com/acme/shop', false],
    ['ssh://git@github.com/acme/*', 'git@github.com:acme/shop', true],
    ['git@github.com:acme/*', 'ssh://git@github.com/acme/shop', true],
    ['ssh://git@github.com/acme/*', 'ssh://root@github.com/acme/shop', false],
    ['/srv/git/*', '/srv/git/a/b.git', true],
    ['/srv/git/*', '/srv/gitx/a', false],
    ['/srv/git/shop', '/srv/git/shop.git', false],
    ['file:///srv/git/*', '/srv/git/a', true],
    ['*', 'https://anything/x', true],
  ] as const)
    t.equal(allows(pattern, url), expected, `${pattern} ${expected ? 'allows' : 'does not allow'} ${url}`)
  for (const wrong of ['github.com/acme/*', 'https://', 'relative', 'https:///x', 'ext::*'])
    t.type(describePattern(wrong), 'string', wrong)
})
