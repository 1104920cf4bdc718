import type { RefusableStep } from '../calls/pipeline-pauses.ts'
import { proxyAuthenticationCode } from './long-fetch.ts'
import type { ModelStep } from './outcome.ts'
import type { ServiceFailure } from './service-failure.ts'
import { fittingShare } from './shortened-text.ts'

/**
 * Whose fault a failed request is:
 *
 * - `settings`: ours or the account's, for any call. The queue pauses.
 * - `rate limit`: the service asks for a pause.
 * - `outage`: the service's or the network's. The call is tried again.
 * - `audio`: the recording's, or its download's. It is downloaded again before the call fails.
 * - `silence`: no fault: there is nothing to transcribe.
 * - `answer`: the model refuses this call's content. It may take it at another try.
 * - `call`: only this call's; another try would end the same way.
 */
export type Fault = 'settings' | 'rate limit' | 'outage' | 'audio' | 'silence' | 'answer' | 'call'

/** A failure with the step that it happened in. */
interface Occurrence extends ServiceFailure {
  step: ModelStep
}

interface Row {
  fault: Fault
  when: (failure: Occurrence) => boolean
  /** What is wrong and what to do about it, in one line after the status; `$MODEL` is the setting of the step's model. */
  advice: string
}

const hasStatus =
  (...statuses: number[]) =>
  ({ status }: Occurrence): boolean =>
    status !== null && statuses.includes(status)

/** Whether the service's own words match: in its code, its type or its message. */
const says =
  (pattern: RegExp) =>
  ({ isStructured, code, type, message }: Occurrence): boolean =>
    isStructured && [code, type, message].some((word) => pattern.test(word))

const isTranscript = ({ step }: Occurrence): boolean => step === 'transcript'

const tooShort =
  /audio_too_short|too short|minimum audio (length|duration)|no[_ ]speech|no audible|(length|duration)\b[^.]*\bis (less|shorter) than/i
const unreadable =
  /invalid[_ ](audio|file)|(unsupported|unrecognized|unknown)[_ ](audio|file)|corrupt|malformed|decod|ffmpeg|soundfile|failed to (load|read|open|process) (the )?(audio|file|wav)|format (is )?(not|un)[ -]?(supported|recogni[sz]ed)|empty (audio|file)|(audio|file) is empty|no audio stream|not contain any stream|invalid data found/i
const tooLong =
  /request_too_large|string_above_max|maximum content size|(file|request|payload|content|audio|entity)\b.{0,40}\btoo (large|big|long)|longer than|context[_ ](length|window|size)|maximum (context|length|duration)|too many tokens|prompt is too long|reduce the length/i
const filtered =
  /content[_ ]?(policy|filter|management)|responsible ?ai|moderation|flagged|safety (system|filter|policy)|sensitive content/i
const unwritten = /json_validate_failed|failed to generate json|failed_generation|model_error|produced invalid content/i
/** How web servers and proxies report a body over their limit (RFC 9110, 15.5.14, and its former names). */
const overHttpLimit = /entity[._ ]too[._ ]large|(payload|content|request body|body) too large/i
const quota =
  /^(budget_|insufficient_(quota|balance|credit|fund)|billing_|account_|access_terminated|exceeded_current_quota|payment_required)/
const wrongModel =
  /invalid model\b|model[_ ](not[_ ]found|decommissioned|deprecated)|deploymentnotfound|unknown model|no such model/i
const wrongPlace = /unsupported_country|(country|region|territory|location)\b.*not supported/i
const wrongKey =
  /\bapi[ _-]?key\b.*(invalid|not valid|incorrect|missing|expired)|(invalid|incorrect|missing|expired)[ _]api[ _-]?key/i
const modelIsMissing =
  /model\b.*(does not exist|not found|not supported|not available|decommissioned|deprecated|no longer)/i
/** The request was not sent: a header or the address cannot be made from the settings. */
const unsendable = /^(TypeError|UND_ERR_INVALID_ARG|ERR_INVALID_(CHAR|URL|ARG_TYPE|ARG_VALUE|HTTP_TOKEN))$/
/** Network errors that only a corrected setting ends; all others are temporary. */
const wrongAddress =
  /^(ENOTFOUND|EPROTO|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_TLS_|ERR_SSL_|ERR_INVALID_|ERR_WEB_PAGE|ERR_REDIRECTS)/

const bodyLimitAdvice =
  'a proxy or the server refuses bodies of this size: raise its limit to 26 MB (nginx: client_max_body_size)'

/** Read from top to bottom: the first row that matches decides. Only what is clearly about the call may fail it. */
const faultTable: readonly Row[] = [
  // No answer.
  {
    fault: 'settings',
    when: ({ status, code }) => status === null && unsendable.test(code),
    advice: 'the request cannot be built: look for stray characters in OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_*',
  },
  {
    fault: 'settings',
    when: ({ status, code }) => status === null && wrongAddress.test(code),
    advice: 'no trusted server answers at OPENAI_BASE_URL: correct it (to trust your own CA set NODE_EXTRA_CA_CERTS)',
  },
  {
    fault: 'settings',
    when: ({ status, code }) => status === 407 || code === proxyAuthenticationCode,
    advice: 'a proxy requires authentication: let this process through without it, or correct OPENAI_BASE_URL',
  },
  { fault: 'outage', when: ({ status }) => status === null, advice: 'it is tried again' },

  // About this call's content, in the service's own words.
  {
    fault: 'answer',
    when: (failure) => hasStatus(400, 403, 422, 451)(failure) && says(filtered)(failure),
    advice:
      "the service's content filter rejects what was said in this call: set $MODEL to another model, then reprocess the call",
  },
  {
    fault: 'answer',
    when: (failure) => hasStatus(400, 422)(failure) && says(unwritten)(failure),
    advice: 'the model gave no usable answer for this call: set $MODEL to another model, then reprocess the call',
  },
  {
    fault: 'silence',
    when: (failure) => isTranscript(failure) && hasStatus(400, 413, 415, 422)(failure) && says(tooShort)(failure),
    advice: 'there is no speech in it',
  },
  {
    fault: 'settings',
    when: (failure) => hasStatus(413)(failure) && says(overHttpLimit)(failure),
    advice: bodyLimitAdvice,
  },
  {
    fault: 'call',
    when: (failure) => isTooLong(failure),
    advice: 'this call is longer than the model accepts: set $MODEL to one that accepts more, then reprocess the call',
  },
  {
    fault: 'audio',
    when: (failure) =>
      isTranscript(failure) && !hasStatus(401, 402, 403, 404, 429)(failure) && says(unreadable)(failure),
    advice: 'the recording cannot be read: listen to it at Twilio, and reprocess the call if it plays',
  },
  {
    fault: 'audio',
    when: (failure) =>
      isTranscript(failure) &&
      hasStatus(400, 413, 415, 422)(failure) &&
      failure.param === 'file' &&
      !failure.isFormError,
    advice: 'the recording is refused: listen to it at Twilio, and reprocess the call if it plays',
  },

  // To be corrected in our settings or the account.
  {
    fault: 'settings',
    when: (failure) => hasStatus(402)(failure) || (hasStatus(400, 403, 429)(failure) && isOutOfCredit(failure)),
    advice: 'the account has no credit left or has reached its limit: add credit or raise the limit',
  },
  {
    fault: 'settings',
    when: (failure) => !hasStatus(408, 429)(failure) && !isServerError(failure) && isAboutTheModel(failure),
    advice: 'it does not offer this model: set $MODEL to one that it offers, or correct OPENAI_BASE_URL',
  },
  {
    fault: 'settings',
    when: (failure) => hasStatus(403)(failure) && !failure.isStructured,
    advice:
      'a proxy or a firewall may refuse it: let this process through, or correct OPENAI_BASE_URL or OPENAI_API_KEY',
  },
  {
    fault: 'settings',
    when: (failure) => hasStatus(451)(failure) || (hasStatus(400, 403)(failure) && says(wrongPlace)(failure)),
    advice: 'it is not offered from here or for this account: correct OPENAI_BASE_URL or the account',
  },
  {
    fault: 'settings',
    when: (failure) => hasStatus(401, 403)(failure) || (hasStatus(400)(failure) && says(wrongKey)(failure)),
    advice: 'the key is refused: set OPENAI_API_KEY to one that may use this model',
  },
  {
    fault: 'settings',
    when: hasStatus(404, 410),
    advice: 'this address or model does not exist there: correct OPENAI_BASE_URL or $MODEL',
  },
  {
    fault: 'settings',
    when: hasStatus(413),
    advice: bodyLimitAdvice,
  },
  {
    fault: 'settings',
    when: ({ status }) => status !== null && status >= 300 && status < 400,
    advice: 'it redirects: set OPENAI_BASE_URL to the target of the redirect',
  },
  {
    fault: 'settings',
    when: hasStatus(405, 415, 421, 426, 501, 505, 511),
    advice: 'the server is not a model service, or a proxy alters the request: correct OPENAI_BASE_URL or the proxy',
  },

  // The service's trouble.
  {
    fault: 'rate limit',
    when: (failure) => hasStatus(429)(failure) || (isPassing(failure) && failure.retryAfterMs !== undefined),
    advice: 'the service asks for a pause',
  },
  { fault: 'outage', when: (failure) => isPassing(failure), advice: 'it is tried again' },

  // The rest: 400, 422 and similar that do not mention the call.
  {
    fault: 'settings',
    when: ({ isStructured, status }) => !isStructured && status !== null,
    advice: 'a proxy or something else that is not a model service answers: correct OPENAI_BASE_URL or the proxy',
  },
  {
    fault: 'settings',
    when: () => true,
    advice: 'it rejects every request like this: check OPENAI_BASE_URL, $MODEL and OPENAI_API_KEY',
  },
]

const isTooLong = (failure: Occurrence): boolean =>
  (hasStatus(400, 413, 422)(failure) && says(tooLong)(failure)) ||
  (hasStatus(429)(failure) && says(/request too large/i)(failure))
const isServerError = ({ status }: Occurrence): boolean => status !== null && status >= 500
const isPassing = (failure: Occurrence): boolean => hasStatus(408, 409, 425, 429)(failure) || isServerError(failure)
const isOutOfCredit = ({ code, type }: Occurrence): boolean => quota.test(code) || quota.test(type)
const isAboutTheModel = (failure: Occurrence): boolean =>
  failure.param === 'model' || says(wrongModel)(failure) || says(modelIsMissing)(failure)

const modelSetting = (step: ModelStep): string =>
  step === 'transcript' ? 'OPENAI_TRANSCRIBE_MODEL' : 'OPENAI_SUMMARY_MODEL'

export function serviceName(step: RefusableStep): string {
  if (step === 'audio') return 'source of recordings'
  return step === 'transcript' ? 'transcription service' : 'language model'
}

export interface Judgement {
  fault: Fault
  /** One line that says what happened and what to do about it. It quotes nothing that was said in a call. */
  error: string
  /** The service gives no reason for its refusal. */
  isUnexplained: boolean
  /** The share of a too long text that fits the model, from 0 to 1; `null`: length is not the fault. */
  fittingShare: number | null
}

export function judgeFailure(failure: ServiceFailure, step: ModelStep): Judgement {
  const occurrence = { ...failure, step }
  const row = faultTable.find(({ when }) => when(occurrence))
  if (row === undefined) throw new Error('the last row of the table matches everything')
  const advice = row.advice.replaceAll('$MODEL', modelSetting(step))
  return {
    fault: row.fault,
    error: `the ${serviceName(step)} ${whatHappened(failure)}: ${advice}`,
    isUnexplained: row === faultTable.at(-1) && failure.param === '',
    fittingShare: row.fault === 'call' && !isTranscript(occurrence) ? fittingShare(failure.message) : null,
  }
}

/** The service's code or type if it is an identifier; anything else might be a quotation from the call. */
const identifier = /^[\w.-]{1,64}$/

function whatHappened({ status, code, type, param }: ServiceFailure): string {
  if (status === null) return `could not be reached (${code})`
  const words = [code || type, param && `parameter ${param}`].filter((word) =>
    identifier.test(word.replace(/^parameter /, '')),
  )
  return `answered HTTP ${status}${words.length > 0 ? ` (${words.join(', ')})` : ''}`
}
