import { languages } from '../../../businesses/languages.ts'
import type { Problem } from '../../problems.ts'
import { errorOf } from '../filters.ts'
import { textArea, textField } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { SettingsForm } from './business-settings.ts'

/** The fields of a business's settings. @param problem what is wrong with some of them. */
export function settingsFields(form: SettingsForm, problem: Problem | null): Html {
  const given = <Name extends keyof SettingsForm>(name: Name) => ({
    ...{ name, value: form[name], error: errorOf(problem, name) },
  })
  return html`<fieldset><legend>Business</legend><div class="fields">
${textField({ ...given('name'), label: 'Name' })}
${languageField(form.language, errorOf(problem, 'language'))}
</div><div class="fields">
${textArea({ ...given('phone_numbers'), label: 'Phone numbers', rows: 4, hint: 'One a line, with country code, such as +972501234567. A call belongs to the business whose number it called, or called from.' })}
${textArea({ ...given('service_categories'), label: 'Service categories', rows: 4, hint: 'One a line; a call is put into one of them. Without any, its category stays empty.' })}
</div></fieldset>
<fieldset><legend>Endpoints</legend><div class="fields one">
${textField({ ...given('inbound_webhook_url'), label: 'Inbound webhook URL', hint: 'Where events of inbound calls go; without it, to the generic URL.' })}
${textField({ ...given('generic_webhook_url'), label: 'Generic webhook URL', hint: 'For inbound calls when they have no URL of their own. Never for outbound calls.' })}
${textField({ ...given('outbound_webhook_url'), label: 'Outbound webhook URL', hint: 'Where events of outbound calls go; without it they are skipped.' })}
</div></fieldset>
<fieldset><legend>Limits of each route</legend><div class="fields">
${textField({ ...given('max_concurrency'), label: 'POSTs at a time', placeholder: '16', hint: 'From 1 to 10000; left empty, 16.' })}
${rateField(form, errorOf(problem, 'rate_per_second'))}
</div></fieldset>`
}

function languageField(chosen: string, error: string | undefined): Html {
  const option = ({ code, name }: (typeof languages)[number]): Html =>
    html`<option value="${code}"${code === chosen ? html` selected` : ''}>${name} (${code})</option>`
  return html`<label class="field"><span>Language of the calls</span>
<select name="language"${error ? html` aria-invalid="true" aria-describedby="language-error"` : ''}>
<option value="">the transcription finds out</option>${languages.map(option)}</select>
${error && html`<span class="error" id="language-error">${error}</span>`}</label>`
}

function rateField({ rate, rate_per_second: own }: SettingsForm, error: string | undefined): Html {
  const choice = (value: SettingsForm['rate'], label: string): Html =>
    html`<label class="choice"><input type="radio" name="rate" value="${value}"${value === rate ? html` checked` : ''}>${label}</label>`
  return html`<fieldset class="field choices"><legend>POSTs a second</legend>
${choice('none', 'No limit')}${choice('zapier', "Zapier's: 30")}
<div class="row">${choice('own', 'At most')}
<input class="short" name="rate_per_second" value="${own}" aria-label="POSTs a second at most" inputmode="decimal" autocomplete="off"${
    error ? html` aria-invalid="true" aria-describedby="rate_per_second-error"` : ''
  }></div>
${error && html`<span class="error" id="rate_per_second-error">${error}</span>`}</fieldset>`
}
