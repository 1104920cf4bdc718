import { createHmac } from 'node:crypto'
import { createContext, runInContext } from 'node:vm'
import { z } from 'zod'

/** As n8n exports a workflow, in so far as the example needs it. */
export const n8nWorkflow = z.object({
  nodes: z.array(
    z.object({
      id: z.uuid(),
      name: z.string(),
      type: z.string(),
      typeVersion: z.number(),
      parameters: z.record(z.string(), z.json()),
      alwaysOutputData: z.boolean().default(false),
      credentials: z.json().optional(),
    }),
  ),
  connections: z.record(
    z.string(),
    z.object({ main: z.array(z.array(z.object({ node: z.string(), type: z.literal('main'), index: z.literal(0) }))) }),
  ),
})
export type N8nWorkflow = z.infer<typeof n8nWorkflow>
type Node = N8nWorkflow['nodes'][number]
type Json = Record<string, unknown>

export interface N8nRun {
  /** What the caller was answered. */
  status: number
  answer: string
  /** Names of the nodes that ran, in order. */
  visited: string[]
  /** What the last of them put out. */
  last: Json
}

interface Execution {
  body: Buffer
  headers: Record<string, unknown>
  outputs: Map<string, Json>
  run: N8nRun
}

/**
 * Runs a workflow of single items as n8n 2.40 was seen to run it: the code of Code nodes as it stands, in a context that
 * has what n8n's has and no more; of the other nodes what the example uses. Data tables outlive executions.
 *
 * @param hmacSecret of the Crypto credential: text, whose UTF-8 bytes are the key.
 */
export class N8nStandIn {
  readonly #workflow: N8nWorkflow
  readonly #hmacSecret: string
  readonly tables = new Map<string, Json[]>()

  constructor(workflow: N8nWorkflow, hmacSecret: string) {
    this.#workflow = workflow
    this.#hmacSecret = hmacSecret
  }

  /** What a POST to the workflow's webhook does. @throws Error for what this stand-in does not know. */
  async post(headers: Record<string, unknown>, body: Buffer): Promise<N8nRun> {
    const run: N8nRun = { status: 0, answer: '', visited: [], last: {} }
    const execution: Execution = { body, headers, outputs: new Map(), run }
    let node = this.#workflow.nodes.find(({ type }) => type === 'n8n-nodes-base.webhook')
    let input: Json = {}
    while (node !== undefined) {
      const outputs = await this.#execute(node, input, execution)
      const taken = outputs.findIndex((output) => output !== null)
      input = outputs[taken] ?? {}
      run.visited.push(node.name)
      run.last = input
      execution.outputs.set(node.name, input)
      if (taken < 0) break
      const next = this.#workflow.connections[node.name]?.main[taken]?.[0]?.node
      node = this.#workflow.nodes.find(({ name }) => name === next)
    }
    if (run.status === 0) throw new Error(`no node answered the webhook: ${run.visited}`)
    return run
  }

  /** @returns the item of each output; `null` where nothing comes out. */
  async #execute(node: Node, input: Json, execution: Execution): Promise<(Json | null)[]> {
    const parameters = resolve(node.parameters, input, execution)
    switch (node.type.replace('n8n-nodes-base.', '')) {
      case 'webhook':
        return [{ headers: execution.headers, params: {}, query: {}, body: {} }]
      case 'code':
        return [await runCode(String(node.parameters['jsCode']), input, execution.body)]
      case 'crypto':
        return [{ ...input, ...hmac(cryptoParameters.parse(parameters), this.#hmacSecret) }]
      case 'if':
        return conditionsHold(parameters) ? [input, null] : [null, input]
      case 'filter':
        return [conditionsHold(parameters) ? input : null]
      case 'switch': {
        const { rules } = switchParameters.parse(parameters)
        const matching = rules.values.map((rule) => (conditionsHold(rule) ? input : null))
        return matching.some((output) => output !== null) ? [...matching, null] : [...matching, input]
      }
      case 'dataTable':
        return [this.#dataTable(dataTableParameters.parse(parameters)) ?? (node.alwaysOutputData ? {} : null)]
      case 'set':
        return [setParameters.parse(parameters).jsonOutput]
      case 'respondToWebhook': {
        const { options, responseBody } = respondParameters.parse(parameters)
        if (execution.run.status !== 0) throw new Error('the webhook is answered twice')
        execution.run.status = options.responseCode
        execution.run.answer = responseBody
        return [input]
      }
      case 'noOp':
        return [input]
      default:
        throw new Error(`unknown node type ${node.type}`)
    }
  }

  #dataTable(parameters: z.infer<typeof dataTableParameters>): Json | null {
    if (parameters.operation === 'create') {
      if (!this.tables.has(parameters.tableName)) this.tables.set(parameters.tableName, [])
      return { id: parameters.tableName }
    }
    const rows = this.tables.get(parameters.dataTableId.value)
    if (rows === undefined) throw new Error(`no data table ${parameters.dataTableId.value}`)
    if (parameters.operation === 'insert') {
      rows.push(parameters.columns.value)
      return parameters.columns.value
    }
    const { conditions } = parameters.filters
    return rows.find((row) => conditions.every(({ keyName, keyValue }) => row[keyName] === keyValue)) ?? null
  }
}

const cryptoParameters = z.object({
  action: z.literal('hmac'),
  type: z.literal('SHA256'),
  value: z.string(),
  dataPropertyName: z.string(),
  encoding: z.literal('base64'),
})

const conditionParameters = z.object({
  conditions: z.object({
    conditions: z.array(
      z.object({
        leftValue: z.unknown(),
        rightValue: z.unknown(),
        operator: z.object({ operation: z.enum(['true', 'equals', 'notExists']) }),
      }),
    ),
  }),
})
const switchParameters = z.object({
  rules: z.object({ values: z.array(z.unknown()) }),
  options: z.object({ fallbackOutput: z.literal('extra') }),
})
const table = z.object({ mode: z.literal('id'), value: z.string() })
const dataTableParameters = z.discriminatedUnion('operation', [
  z.object({ operation: z.literal('create'), tableName: z.string() }),
  z.object({
    operation: z.literal('get'),
    dataTableId: table,
    filters: z.object({
      conditions: z.array(z.object({ keyName: z.string(), condition: z.literal('eq'), keyValue: z.unknown() })),
    }),
  }),
  z.object({
    operation: z.literal('insert'),
    dataTableId: table,
    columns: z.object({ value: z.record(z.string(), z.unknown()) }),
  }),
])
const setParameters = z.object({ mode: z.literal('raw'), jsonOutput: z.record(z.string(), z.unknown()) })
const respondParameters = z.object({
  responseBody: z.string().default(''),
  options: z.object({ responseCode: z.number() }),
})

function hmac({ value, dataPropertyName }: z.infer<typeof cryptoParameters>, secret: string): Json {
  return { [dataPropertyName]: createHmac('sha256', secret).update(value).digest('base64') }
}

function conditionsHold(parameters: unknown): boolean {
  const { conditions } = conditionParameters.parse(parameters).conditions
  return conditions.every(({ leftValue, rightValue, operator }) => {
    if (operator.operation === 'true') return leftValue === true
    return operator.operation === 'equals' ? leftValue === rightValue : leftValue === undefined
  })
}

/** Text that begins with `=` is an expression: `{{ … }}` within it is JavaScript. Code is no expression. */
function resolve(value: unknown, $json: Json, { outputs }: Execution): unknown {
  const nodeNamed = (name: string): unknown => {
    const json = outputs.get(name)
    if (json === undefined) throw new Error(`node "${name}" has not run`)
    return { first: () => ({ json }) }
  }
  const inner = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(inner)
    if (part !== null && typeof part === 'object') {
      return Object.fromEntries(Object.entries(part).map(([key, entry]) => [key, inner(entry)]))
    }
    if (typeof part !== 'string' || !part.startsWith('=')) return part
    const [, expression] = /^=\{\{(.*)\}\}$/s.exec(part) ?? []
    if (expression === undefined) throw new Error(`not one expression: ${part}`)
    return runInContext(expression, createContext({ $json, $: nodeNamed }))
  }
  return inner(value)
}

/** What n8n 2 has for Code nodes, without modules, environment and credentials. */
async function runCode(code: string, input: Json, body: Buffer): Promise<Json> {
  const context = createContext({
    Buffer,
    TextDecoder,
    TextEncoder,
    $input: { first: () => ({ json: structuredClone(input) }) },
    helpers: { getBinaryDataBuffer: async (_item: 0, _name: 'data') => body },
  })
  const items: unknown = await runInContext(`(async function () {${code}\n}).call(globalThis)`, context)
  return z.tuple([z.object({ json: z.record(z.string(), z.unknown()) })]).parse(structuredClone(items))[0].json
}
