import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, Response } from 'express'
import type { Logger } from '../../telemetry/logger.ts'
import { answerErrors, type Problem } from '../problems.ts'
import { type Html, html } from './html.ts'
import { notice } from './notice.ts'
import { sendPage } from './page.ts'

/** The last handler of the console: every error as a page, and only what we did not expect in the log. */
export function problemPages(log: Logger): ErrorRequestHandler {
  const send = (response: Response, problem: Problem): void => {
    response.status(problem.status).set(problem.headers)
    sendPage(response, {
      title: STATUS_CODES[problem.status] ?? 'Error',
      body: html`${problemNotice(problem)}<p><a href="/console">Go to the overview</a></p>`,
    })
  }
  return answerErrors(send, (fields, level) => {
    log[level]({ event: 'console.failed', ...fields }, 'a page of the console could not be made')
  })
}

/** What was wrong with a request, field by field. */
export function problemNotice({ message, fields }: Problem): Html {
  if (fields.length === 0) return notice('failed', sentence(message))
  const list = fields.map(({ field, detail }) => html`<li>${field && html`<code>${field}</code>: `}${detail}</li>`)
  return notice('failed', html`This cannot be done as it was asked for:<ul>${list}</ul>`)
}

const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
