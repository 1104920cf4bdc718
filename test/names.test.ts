import { describe, expect, onTestFinished, test } from 'vitest'
import { isNamespaceMissing, type NameNamespace, startNameNamespace } from './helpers/name-namespace.ts'

async function namespace(resolvConf: string[], hosts: string[] = [], deadlineMs?: number): Promise<NameNamespace> {
  const files = {
    hosts: ['127.0.0.1 localhost', ...hosts, ''].join('\n'),
    resolvConf: [...resolvConf, 'nameserver 127.0.0.53', ''].join('\n'),
  }
  const names = await startNameNamespace(files, deadlineMs)
  onTestFinished(() => names.close())
  return names
}

const outside = '127.0.0.8'
const inside = '127.0.0.9'
const silentNames = (count: number): string[] => Array.from({ length: count }, (_, n) => `silent-${n}.example`)
const allSilent = (list: string[]) => Object.fromEntries(list.map((name) => [name, 'silence' as const]))

describe.skipIf(isNamespaceMissing())('names, as getaddrinfo resolves them', () => {
  test('a name in /etc/hosts is never looked up in DNS', async () => {
    const names = await namespace([], [`${inside} n8n.example alias.example`])
    await names.setAnswers({ 'n8n.example': [outside], 'alias.example': [outside] })
    for (const name of ['n8n.example', 'alias.example', 'N8N.EXAMPLE']) {
      expect(await names.post(`http://${name}/`)).toMatchObject({ result: 'ok', receivedAt: inside })
    }
  })

  test('search and ndots: a name of the cluster goes to the cluster, not to a public host of the same name', async () => {
    const names = await namespace(['search prod.svc.cluster.local svc.cluster.local cluster.local', 'options ndots:5'])
    await names.setAnswers({
      'n8n.prod': [outside],
      'n8n.prod.svc.cluster.local': [inside],
      'n8n.example': [outside],
    })
    for (const name of ['n8n', 'n8n.prod', 'n8n.prod.svc.cluster.local']) {
      expect(await names.post(`http://${name}/`)).toMatchObject({ result: 'ok', receivedAt: inside, host: name })
    }
    expect(await names.post('http://n8n.example/')).toMatchObject({ result: 'ok', receivedAt: outside })
    // A trailing dot says that the name is whole; the receiver sees it as the URL has it.
    expect(await names.post('http://n8n.prod./')).toMatchObject({
      result: 'ok',
      receivedAt: outside,
      host: 'n8n.prod.',
    })
    expect(await names.post('http://n8n.prod.svc./')).toMatchObject({ result: 'dns' })
  })

  test('with ndots:1 a name with a dot is tried as it is first', async () => {
    const names = await namespace(['search svc.cluster.local'])
    await names.setAnswers({
      'n8n.prod': [outside],
      'n8n.prod.svc.cluster.local': [inside],
      'only.svc.cluster.local': [inside],
    })
    expect(await names.post('http://n8n.prod/')).toMatchObject({ result: 'ok', receivedAt: outside })
    expect(await names.post('http://only/')).toMatchObject({ result: 'ok', receivedAt: inside })
  })

  test('a second name server answers for a first one that is silent', async () => {
    const names = await namespace(['nameserver 127.0.0.54', 'options timeout:1'])
    await names.setAnswers({ 'n8n.example': [inside] })
    expect(await names.post('http://n8n.example/')).toMatchObject({ result: 'ok', receivedAt: inside })
  })

  test('names that DNS does not have, or has without an address', async () => {
    const names = await namespace([])
    await names.setAnswers({ 'empty.example': [] })
    for (const name of ['unknown.example', 'unknown', 'empty.example']) {
      const result = await names.post(`http://${name}/`)
      expect(result).toMatchObject({ result: 'dns', error: `getaddrinfo ENOTFOUND ${name}` })
    }
  })

  test('names with silent servers hold up neither other names nor other work of the process', async () => {
    const names = await namespace([], [`${inside} local.example`])
    const silent = silentNames(300)
    await names.setAnswers({ ...allSilent(silent), 'quick.example': [outside] })
    let waiting = silent.length
    const posts = silent.map(async (name) => {
      const { result } = await names.post(`http://${name}/`)
      waiting -= 1
      return result
    })
    for (const name of ['quick.example', 'local.example', 'quick.example']) {
      expect(await names.post(`http://${name}/`)).toMatchObject({ result: 'ok' })
    }
    await names.useOwnThreads()
    expect(waiting).toBe(silent.length)
    expect(new Set(await Promise.all(posts))).toEqual(new Set(['dns']))
  })

  test('more silent names than places: when repeated, they wait behind the others', async () => {
    const names = await namespace(['options timeout:1 attempts:2'])
    const silent = silentNames(700)
    await names.setAnswers({ ...allSilent(silent), 'quick.example': [outside], 'fresh.example': [inside] })
    const round = () => Promise.all(silent.map((name) => names.post(`http://${name}/`)))
    const first = round()
    expect(await names.post('http://quick.example/')).toMatchObject({ result: 'ok' })
    expect(new Set((await first).map(({ result }) => result))).toEqual(new Set(['dns']))
    let over = false
    const second = round().finally(() => {
      over = true
    })
    expect(await names.post('http://fresh.example/')).toMatchObject({ result: 'ok' })
    expect(over).toBe(false)
    await second
  })

  test('lookups whose process dies are repeated in another one', async () => {
    const names = await namespace(['options timeout:1 attempts:2'])
    await names.setAnswers({ 'silent.example': 'silence', 'quick.example': [outside] })
    const post = names.post('http://silent.example/')
    await expect.poll(() => names.killLookups()).toBe(1)
    await names.setAnswers({ 'silent.example': [inside] })
    expect(await post).toMatchObject({ result: 'ok', receivedAt: inside })
    expect(await names.killLookups()).toBe(1)
    expect(await names.post('http://quick.example/')).toMatchObject({ result: 'ok', receivedAt: outside })
  })
  test('a lookup has a deadline; the process that it hangs in is replaced', async () => {
    const names = await namespace(['options timeout:30'], [], 1_000)
    await names.setAnswers({ 'silent.example': 'silence', 'quick.example': [outside] })
    for (const name of ['silent.example', 'quick.example', 'silent.example', 'quick.example']) {
      const result = await names.post(`http://${name}/`)
      if (name === 'quick.example') expect(result).toMatchObject({ result: 'ok', receivedAt: outside })
      else expect(result).toMatchObject({ result: 'dns', error: 'the name was not resolved within 1000 ms' })
    }
    expect(await names.killLookups()).toBe(1)
  })
})
