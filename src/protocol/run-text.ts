import * as z from 'zod'

/** Text that reaches a program: well-formed Unicode without NUL. */
export function runText(limitBytes: number): z.ZodString {
  return z
    .string()
    .min(1, 'must not be empty')
    .superRefine((value, context) => {
      if (Buffer.byteLength(value) > limitBytes) {
        context.addIssue({
          code: 'custom',
          message: `must not be longer than ${limitBytes} bytes in UTF-8`,
          params: { tooLarge: true },
        })
      }
      if (value.includes('\0')) context.addIssue({ code: 'custom', message: 'must not contain NUL characters' })
      if (!value.isWellFormed()) context.addIssue({ code: 'custom', message: 'must not contain lone surrogates' })
    })
}
