// node checkout-program.js FOLDER MIRRORS URL KILL: makes a checkout and commits in it, in a process of its own, which
// kills itself at its KILLth call of git, a moment after that has begun; with 0 it ends by itself.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openFolder } from '../../src/platform/open-folder.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { provideCheckout, writeState } from '../../src/repositories/checkout.js'
import { commitChanges } from '../../src/repositories/commit-changes.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { testEnvironment } from '../support/environment.js'
import { openRoom } from './room.js'

const [folder = '', mirrorsFolder = '', url = '', kill = '0', moment = '0'] = process.argv.slice(2)
const containment = await chooseContainment({
  policy: 'auto',
  extraPath: splitPath(testEnvironment(folder)['PATH']),
})
let calls = 0
const mirrors = await openRoom(folder, containment, {
  mirrors: mirrorsFolder,
  onProcess: () => {
    calls += 1
    if (calls === Number(kill)) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(moment))
  },
})
const workspace = await openFolder(join(folder, 'workspace'))
const place = { folder: join(folder, 'repository'), workspace }
const checkout = await provideCheckout(mirrors, 'one', { url, ref: 'main' }, place, () => true)
if (!checkout) throw new Error('there is no checkout')
// The same however often it is done: who was killed comes here again.
await writeFile(join(folder, 'workspace/a.txt'), 'one\nchanged\n')
const options = { checkout, workspace, author: 'A <a@localhost>', message: 'm', limitBytes: 1024 ** 3 }
const committed = await commitChanges(mirrors.means, options)
await writeState(place.folder, { ...checkout.state, head: committed.head })
await workspace.close()
process.stdout.write(JSON.stringify({ calls, base: committed.base, head: committed.head, tree: committed.tree }))
