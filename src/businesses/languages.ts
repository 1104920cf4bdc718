import { default as iso6391 } from 'iso-639-1'

/** The languages that a business may choose for its calls: ISO 639-1 codes, ordered by English name. */
export const languages: readonly { code: string; name: string }[] = iso6391
  .getLanguages(iso6391.getAllCodes())
  .map(({ code, name }) => ({ code, name }))
  .sort((one, other) => one.name.localeCompare(other.name, 'en'))

export const isLanguage = (code: string): boolean => iso6391.validate(code)
