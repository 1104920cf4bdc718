import { html as tag } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'

/** Markup; whatever else goes into a template is escaped. */
export type Html = HtmlEscapedString

type Value = string | number | Html | null | undefined | false | readonly Value[]

/**
 * A template whose values are escaped, in text and in quoted attributes alike: quote every attribute. Lists are joined;
 * `null`, `undefined` and `false` are nothing.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  // A promise is made of values that are promises alone, and none may be.
  return tag(strings, ...values) as Html
}
