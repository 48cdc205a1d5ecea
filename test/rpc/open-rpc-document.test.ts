// The document by which clients are generated.
import metaSchema from '@open-rpc/meta-schema'
import { Ajv } from 'ajv'
import t from 'tap'
import { RPC_METHODS } from '../../src/protocol/operations.js'
import { buildOpenRpcDocument } from '../../src/rpc/open-rpc-document.js'

void t.test('the OpenRPC document is valid, whole, and always the same', async (t) => {
  const document = buildOpenRpcDocument('1.2.3')
  const { $schema: _of, ...schema } = metaSchema as unknown as Record<string, unknown>
  const ajv = new Ajv({ strict: false })
  ajv.addSchema({ $id: 'https://meta.json-schema.tools', $ref: 'http://json-schema.org/draft-07/schema#' })
  const validate = ajv.compile(schema)
  t.ok(validate(document), JSON.stringify(validate.errors))
  const text = JSON.stringify(document)
  t.equal(text, JSON.stringify(buildOpenRpcDocument('1.2.3')))
  const { schemas, errors } = document['components'] as Record<'schemas' | 'errors', Record<string, unknown>>
  for (const [, kind = '', name = ''] of text.matchAll(/"#\/components\/(schemas|errors)\/([^"]+)"/g)) {
    t.ok((kind === 'errors' ? errors : schemas)[name], `${kind} ${name}`)
  }
  t.notMatch(text, /#\/definitions|13579/)
  t.same(
    (document['methods'] as Array<{ name: string }>).map(({ name }) => name),
    RPC_METHODS,
  )
})
