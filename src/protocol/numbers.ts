import * as z from 'zod'

/** A text of digits and nothing else, as a number within the bounds. */
export const wholeNumber = (minimum: number, maximum: number) =>
  z.string().regex(/^\d+$/, 'expected a whole number').transform(Number).pipe(z.number().min(minimum).max(maximum))

/** NaN where the text is no number; JavaScript alone reads an empty one as 0. */
export const parseNumber = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text))
