import type { Ajv } from 'ajv'
import formats from 'ajv-formats'

/** Throws where a value is not what the document's schema at the pointer says. */
export type Validate = (pointer: string, value: unknown, what: string) => void

export function openValidator(ajv: Ajv, document: object): Validate {
  // Safe: the package's default export is a function; its types say otherwise under NodeNext.
  ;(formats as unknown as (ajv: Ajv) => void)(ajv)
  ajv.addSchema(document, 'document')
  return (pointer, value, what) => {
    const validator = ajv.getSchema(`document#${pointer}`) ?? ajv.compile({ $ref: `document#${pointer}` })
    if (validator(value) !== true)
      throw new Error(
        `${what} does not conform: ${ajv.errorsText(validator.errors)}: ${JSON.stringify(value).slice(0, 1_000)}`,
      )
  }
}
