import { describe, expect, test } from 'vitest'
import { dashboards, graphsOf } from './helpers/dashboards.ts'

test('there are the dashboards Delivery and Pipeline, each with an address that stays', () => {
  expect(Object.fromEntries(dashboards.map(({ title, uid }) => [title, uid]))).toEqual({
    Delivery: 'callbox-delivery',
    Pipeline: 'callbox-pipeline',
  })
})

describe.for(dashboards)('$title', (dashboard) => {
  const graphs = graphsOf(dashboard)
  const variables = dashboard.templating.list.map(({ name }) => name)
  const expressions = graphs.flatMap(({ targets }) => targets.map(({ expr }) => expr))

  test('has panels with a title of their own, a sentence that explains them, and a unit', () => {
    const titles = graphs.map(({ title }) => title)
    expect(titles).toEqual([...new Set(titles)])
    const ids = dashboard.panels.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)])
    for (const { title, description, fieldConfig } of graphs) {
      expect([title, description]).toEqual([title, expect.stringMatching(/^\S.{20,}\.$/)])
      expect([title, fieldConfig.defaults.unit]).toEqual([title, expect.stringMatching(/^\w+$/)])
    }
    expect(
      graphs.filter(({ type }) => type === 'stat').map((panel) => panel.fieldConfig.defaults.thresholds),
    ).not.toContain(undefined)
  })

  test('uses each of its variables, and none that it has not', () => {
    const used = expressions.flatMap((expr) => expr.match(/\$\w+/g) ?? []).map((name) => name.slice(1))
    const chosen = variables.filter((name) => name !== 'datasource' && name !== 'console_url')
    expect([...new Set(used)].filter((name) => name !== '__rate_interval').sort()).toEqual(chosen.sort())
  })

  test('narrows what it can by direction and event type', () => {
    for (const expr of expressions) {
      for (const selector of expr.match(/callbox_webhook_(attempts|deliveries|retries)_total(\{[^}]*\})?/g) ?? []) {
        expect(selector).toContain('direction=~"$direction"')
        expect(selector).toContain('event_type=~"$event_type"')
      }
      for (const selector of expr.match(/callbox_breaker_\w+(\{[^}]*\})?/g) ?? []) {
        expect(selector).toContain('direction=~"$direction"')
      }
    }
  })

  test('links each panel to the console or to another panel that exists', () => {
    for (const { id, title, links } of graphs) {
      for (const { url } of links) {
        expect([title, url]).toEqual([title, expect.stringMatching(/^(\$\{console_url\}\/console|\/d\/|\/alerting\/)/)])
        const [, uid, panel] = url.match(/^\/d\/([\w-]+)\?viewPanel=(\d+)&/) ?? []
        if (uid === undefined) continue
        const board = dashboards.find((one) => one.uid === uid)
        const target = board?.panels.find(({ id }) => id === Number(panel))
        expect([title, url, target?.type]).toEqual([title, url, expect.stringMatching(/^(timeseries|heatmap|stat)$/)])
        expect([title, uid === dashboard.uid && Number(panel) === id]).toEqual([title, false])
      }
    }
  })
})
