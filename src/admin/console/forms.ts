import type { Response } from 'express'
import { type Html, html } from './html.ts'
import { visitOf } from './visit.ts'

/**
 * A form that changes something, with the secret of the session.
 *
 * @param action a path of the console.
 */
export function orderForm(response: Response, action: string, fields: Html, className = ''): Html {
  return html`<form method="post" action="${action}" class="${className}">
<input type="hidden" name="csrf" value="${visitOf(response).session.csrf}">${fields}</form>`
}

/** A choice; the first option is none of them. @param none what that means. */
export function select(name: string, label: string, options: readonly string[], chosen = '', none = 'any'): Html {
  const option = (value: string): Html =>
    html`<option value="${value}"${value === chosen ? html` selected` : ''}>${value.replaceAll('_', ' ')}</option>`
  return html`<label class="field"><span>${label}</span>
<select name="${name}"><option value="">${none}</option>${options.map(option)}</select></label>`
}

interface TextField {
  name: string
  label: string
  value?: string | undefined
  hint?: string
  /** What is wrong with the value. */
  error?: string | undefined
  type?: 'text' | 'url' | 'number' | 'search'
  placeholder?: string
  required?: boolean
}

/** One line of text. */
export function textField({ name, label, value, hint, error, type, placeholder, required }: TextField): Html {
  const told = [error && `${name}-error`, hint && `${name}-hint`].filter(Boolean).join(' ')
  return html`<label class="field"><span>${label}</span>
<input name="${name}" type="${type ?? 'text'}" value="${value ?? ''}" dir="auto" autocomplete="off"${
    placeholder ? html` placeholder="${placeholder}"` : ''
  }${required && html` required`}${error ? html` aria-invalid="true"` : ''}${told ? html` aria-describedby="${told}"` : ''}>
${error && html`<span class="error" id="${name}-error">${error}</span>`}${hint && html`<span class="hint" id="${name}-hint">${hint}</span>`}</label>`
}

interface TextArea extends Pick<TextField, 'name' | 'label' | 'value' | 'hint' | 'error'> {
  rows: number
}

/** Several lines of text. */
export function textArea({ name, label, value, hint, error, rows }: TextArea): Html {
  const told = [error && `${name}-error`, hint && `${name}-hint`].filter(Boolean).join(' ')
  return html`<label class="field"><span>${label}</span>
<textarea name="${name}" rows="${rows}" dir="auto" autocomplete="off" spellcheck="false"${error ? html` aria-invalid="true"` : ''}${
    told ? html` aria-describedby="${told}"` : ''
  }>
${value ?? ''}</textarea>
${error && html`<span class="error" id="${name}-error">${error}</span>`}${hint && html`<span class="hint" id="${name}-hint">${hint}</span>`}</label>`
}
