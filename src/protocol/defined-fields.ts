type Optional<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> }
type Required<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }

/** What is left of an object without the fields whose value is undefined. */
export type DefinedFields<T extends object> = Optional<T> & Required<T>

/**
 * A copy without the fields whose value is undefined, where the keys of an object are seen: in canonical JSON, in a
 * spread over defaults, in headers. Elsewhere the field is passed as it is: JSON leaves it out anyway.
 */
export function definedFields<T extends object>(object: T): DefinedFields<T> {
  // Safe: exactly the undefined fields are left out, which the type makes optional.
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as DefinedFields<T>
}
