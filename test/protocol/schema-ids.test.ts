// The names under which schemas stand in the documents.
import t from 'tap'
import * as z from 'zod'
import { buildDocuments } from '../../src/main/build-documents.js'

void t.test(
  'a schema that is registered without a name ends the start of an API, and the sentence tells which',
  async (t) => {
    await t.resolves(buildDocuments())
    for (const id of [undefined, '']) {
      // Safe: zod's types take no undefined id, and its registry does.
      const meta = { id, description: 'nameless' } as { id: string }
      const schema = z.object({ first: z.string(), second: z.string() }).meta(meta)
      await t.rejects(buildDocuments(), {
        message:
          `A schema is registered with the id ${id === undefined ? 'undefined' : '""'}: give it a name, or ` +
          'no id at all ({ first, second }, "nameless").',
      })
      z.globalRegistry.remove(schema)
      await t.resolves(buildDocuments(), 'and nothing else is wrong')
    }
  },
)
