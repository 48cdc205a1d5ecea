import * as z from 'zod'

const text = z.string().min(1).max(4_096)

/** A folder of the machine that runs of this token may work in from now on. */
export const AdmissionRequest = z
  .strictObject({
    folder: text.meta({ description: 'Absolute, without symbolic links.' }),
    device: z.string().regex(/^\d{1,20}$/),
    inode: z
      .string()
      .regex(/^\d{1,20}$/)
      .meta({
        description: 'With `device`, the result of `stat` on the folder: the service must see the same folder.',
      }),
    issuedAt: z.int().min(0).meta({ description: 'Milliseconds since 1970; valid for one minute.' }),
    proof: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .meta({
        description:
          'HMAC-SHA256 in hex, keyed with the text of `local-secret` in the data folder, of the JSON array ' +
          '`["admit", boot id, folder, device, inode, issuedAt]` without spaces.',
      }),
  })
  .meta({ id: 'AdmissionRequest' })
export type AdmissionRequest = z.infer<typeof AdmissionRequest>

export const Admission = z
  .object({
    id: z.string().meta({ description: 'The same for the same folder and token; used to withdraw the permission.' }),
    folder: z.string(),
    token: z.string().meta({ description: 'The name of the token for which the folder is allowed.' }),
    admittedAt: z.string(),
  })
  .meta({ id: 'Admission' })
export type Admission = z.infer<typeof Admission>

export const AdmissionList = z
  .object({ admissions: z.array(Admission), nextCursor: z.string().nullable() })
  .meta({ id: 'AdmissionList' })
export type AdmissionList = z.infer<typeof AdmissionList>
