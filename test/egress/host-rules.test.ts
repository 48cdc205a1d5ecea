// Who may be reached by a run without network: names, ports, and what a name leads to.
import t from 'tap'
import { createDeniedHosts } from '../../src/egress/denied-hosts.js'
import { hostRules } from '../../src/egress/host-rules.js'
import { until } from '../support/deadlines.js'

void t.test('both sides must name it, by name and port', async (t) => {
  const everything = ['198.51.100.7', '203.0.113.1:8443', '*.nowhere.invalid', '[2001:db8::1]:443']
  const rules = hostRules(['198.51.100.7', '203.0.113.1:8443', '[2001:db8::1]:443'], everything)
  t.equal(await rules.resolve('198.51.100.7', 443), '198.51.100.7')
  t.equal(await rules.resolve('198.51.100.7', 80), '198.51.100.7')
  t.equal(await rules.resolve('198.51.100.7', 22), undefined, 'without a port only the usual two')
  t.equal(await rules.resolve('203.0.113.1', 443), undefined)
  t.equal(await rules.resolve('203.0.113.1', 8443), '203.0.113.1')
  t.equal(await rules.resolve('[2001:db8::1]', 443), '2001:db8::1')
  t.equal(await rules.resolve('198.51.100.8', 443), undefined)
  t.equal(await hostRules(everything, []).resolve('198.51.100.7', 443), undefined, 'the operator has not')
  t.equal(await hostRules([], everything).resolve('198.51.100.7', 443), undefined, 'the run has not')
})

void t.test('what a name leads to must be public, unless the operator has listed the address', async (t) => {
  const named = ['localhost', '*.localhost']
  t.equal(await hostRules(named, named).resolve('localhost', 80), undefined)
  t.equal(await hostRules(named, named).resolve('LOCALHOST.', 80), undefined)
  t.equal((await hostRules(named, [...named, '127.0.0.1:80', '[::1]:80']).resolve('localhost', 80)) !== undefined, true)
  for (const address of [
    '127.0.0.1',
    '127.8.8.8',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[fe80::1]',
    '[fd00::1]',
  ]) {
    // Listed by the run, and by the operator only for another port.
    t.equal(await hostRules([address], [`${address}:1`]).resolve(address, 80), undefined, address)
  }
  t.equal(
    await hostRules(['*.example'], ['*.example']).resolve('example', 80),
    undefined,
    'a star stands for at least one part',
  )
})

void t.test('a refusal is told at once, then once a second with how many, and what is left at the end', async (t) => {
  const told: Array<{ host: string; count: number }> = []
  const denied = createDeniedHosts((entry) => told.push(entry))
  for (let asked = 0; asked < 5; asked += 1) denied.note('a.example:443')
  denied.note('b.example:443')
  t.same(told, [
    { host: 'a.example:443', count: 1 },
    { host: 'b.example:443', count: 1 },
  ])
  await until(() => told.length >= 3, 'the rest is told')
  t.same(told[2], { host: 'a.example:443', count: 4 })
  denied.note('b.example:443')
  denied.note('b.example:443')
  denied.close()
  t.equal(
    told.filter(({ host }) => host === 'b.example:443').reduce((sum, { count }) => sum + count, 0),
    3,
  )
  denied.note('c.example:443')
  t.same(denied.names, ['a.example:443', 'b.example:443'])
})
