/** As a shell takes it back; left alone where nothing needs quotes. */
export const quoteForShell = (text: string): string =>
  /^[\w./@%+:,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
