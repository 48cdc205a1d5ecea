import type { Event } from 'cc-executor/client'
import type { DataOf, Item, TextItem, ToolItem } from './items.js'
import { parseInput, toBlocks, toText, type CliMessage } from './cli-message.js'
import { toNotice } from './notices.js'

const OUTPUT_LIMIT_CHARACTERS = 64 * 1024

/**
 * Events, in their order, become what reads like a conversation. A text is `open` from its first delta until its whole
 * message has come, which is the authority; a call is `running` until its result, its denial or the end.
 */
export class Timeline {
  readonly items: Item[] = []
  #root = ''
  #tools = new Map<string, ToolItem>()
  #open = new Map<string, TextItem>()
  #byApproval = new Map<string, Item>()
  #messages = new Map<string, Item>()
  #owners = new Map<Item, ToolItem>()

  add(event: Event): void {
    const { seq, type, at, attempt, data } = event
    const base = { key: String(seq), version: 0, at }
    // Safe: the data of an event is that of its type.
    const as = <Type extends Event['type']>(_type: Type): DataOf<Type> => data as DataOf<Type>
    switch (type) {
      case 'text.delta': {
        const { message, text } = as(type)
        this.#writeText(`${attempt}:${message}`, base, text)
        break
      }
      case 'text.reset': {
        const item = this.#open.get(`${attempt}:${as(type).message}`)
        if (item) {
          item.text = ''
          item.resets += 1
          item.version += 1
        }
        break
      }
      case 'claude.message':
        this.#addMessage(as(type).message, base)
        break
      case 'tool.started': {
        const { toolUseId, name, input } = as(type)
        if (!this.#tools.has(toolUseId)) this.#addTool(this.items, base, toolUseId, name, parseInput(input))
        break
      }
      case 'tool.finished': {
        const { toolUseId, isError, durationMs } = as(type)
        this.#change(this.#tools.get(toolUseId), (tool) => {
          tool.durationMs = durationMs
          if (tool.state === 'running') tool.state = isError ? 'error' : 'done'
        })
        break
      }
      case 'tool.denied':
        this.#deny(as(type), base)
        break
      case 'approval.requested': {
        const { approval } = as(type)
        const tool = approval.kind === 'tool' ? this.#tools.get(approval.toolUseId) : undefined
        if (tool) {
          this.#change(tool, () => (tool.approval = approval))
          this.#byApproval.set(approval.id, tool)
        } else {
          const item = { ...base, kind: 'approval', approval, state: 'pending' } as const
          this.items.push({ ...item })
          this.#byApproval.set(approval.id, this.items.at(-1) as Item)
        }
        break
      }
      case 'approval.decided':
        this.#close(as(type).approvalId, as(type).decision === 'deny' ? 'denied' : 'decided', as(type))
        break
      case 'approval.expired':
      case 'approval.withdrawn':
        this.#close(as(type).approvalId, type === 'approval.expired' ? 'expired' : 'withdrawn')
        break
      case 'output': {
        const { stream, data: line } = as(type)
        const last = this.items.at(-1)
        if (last?.kind === 'output' && last.stream === stream && last.text.length < OUTPUT_LIMIT_CHARACTERS)
          this.#change(last, () => (last.text += `\n${line}`))
        else this.items.push({ ...base, kind: 'output', stream, text: line })
        break
      }
      case 'message.accepted': {
        const { messageId, by, text } = as(type)
        const item: Item = { ...base, kind: 'message', by, text, state: 'accepted' }
        this.items.push(item)
        this.#messages.set(messageId, item)
        break
      }
      case 'message.delivered':
      case 'message.dropped': {
        const item = this.#messages.get(as(type).messageId)
        if (item?.kind === 'message')
          this.#change(
            item,
            () =>
              (item.state = type === 'message.delivered' ? 'delivered' : `dropped: ${as('message.dropped').reason}`),
          )
        break
      }
      case 'execution.finished':
        this.#endAll()
        this.items.push({ ...base, kind: 'end', outcome: as(type).outcome })
        break
      default: {
        if (type === 'execution.retrying') this.#endAll()
        if (type === 'execution.started') this.#root = `${as(type).workspace}/`
        const notice = toNotice(event)
        if (notice) this.items.push({ ...base, kind: 'notice', ...notice })
      }
    }
  }

  #change<Changed extends Item>(item: Changed | undefined, change: (item: Changed) => unknown): void {
    if (!item) return
    change(item)
    item.version += 1
    // A change in a subagent is one of the call that it belongs to, and of those around that one.
    for (let owner = this.#owners.get(item); owner; owner = this.#owners.get(owner)) owner.version += 1
  }

  #writeText(key: string, base: Pick<TextItem, 'key' | 'version' | 'at'>, text: string): void {
    const item = this.#open.get(key)
    if (item) return this.#change(item, () => (item.text += text))
    const opened: TextItem = { ...base, kind: 'text', text, isOpen: true, resets: 0 }
    this.items.push(opened)
    this.#open.set(key, opened)
  }

  #addMessage(message: CliMessage, base: Pick<TextItem, 'key' | 'version' | 'at'>): void {
    const parent = message.parent_tool_use_id ?? undefined
    const owner = parent === undefined ? undefined : this.#tools.get(parent)
    const list = owner?.children ?? this.items
    const before = list.length
    for (const [index, block] of toBlocks(message.message?.content).entries()) {
      const own = { ...base, key: `${base.key}.${index}` }
      if (message.type === 'assistant' && block.type === 'text') this.#settleText(list, own, block.text ?? '')
      else if (message.type === 'assistant' && block.type === 'thinking' && block.thinking)
        list.push({ ...own, kind: 'thinking', text: block.thinking })
      else if (message.type === 'assistant' && block.type === 'tool_use' && block.id !== undefined) {
        const known = this.#tools.get(block.id)
        if (known) this.#change(known, () => (known.input = block.input ?? known.input))
        else this.#addTool(list, own, block.id, block.name ?? 'Tool', block.input ?? {})
      } else if (message.type === 'user' && block.type === 'tool_result')
        this.#change(this.#tools.get(block.tool_use_id ?? ''), (tool) => {
          tool.result = toText(block.content)
          tool.details = message.tool_use_result
          if (tool.state === 'running') tool.state = block.is_error === true ? 'error' : 'done'
        })
    }
    if (!owner) return
    for (const item of owner.children.slice(before)) this.#owners.set(item, owner)
    this.#change(owner, () => undefined)
  }

  /** The whole text takes the place of the oldest one that is open; of a subagent none was streamed. */
  #settleText(list: Item[], base: Pick<TextItem, 'key' | 'version' | 'at'>, text: string): void {
    const [key, item] = (list === this.items ? this.#open.entries().next().value : undefined) ?? []
    if (key === undefined || !item) {
      if (/\S/.test(text)) list.push({ ...base, kind: 'text', text, isOpen: false, resets: 0 })
      return
    }
    this.#open.delete(key)
    item.text = text
    item.isOpen = false
    item.version += 1
  }

  #addTool(
    list: Item[],
    base: Pick<ToolItem, 'key' | 'version' | 'at'>,
    id: string,
    name: string,
    input: ToolItem['input'],
  ): void {
    const tool: ToolItem = {
      ...base,
      kind: 'tool',
      toolUseId: id,
      root: this.#root,
      name,
      input,
      state: 'running',
      children: [],
    }
    list.push(tool)
    this.#tools.set(id, tool)
  }

  #deny(denial: DataOf<'tool.denied'>, base: Pick<ToolItem, 'key' | 'version' | 'at'>): void {
    const id = denial.toolUseId ?? base.key
    if (!this.#tools.has(id)) this.#addTool(this.items, base, id, denial.tool, parseInput(denial.input))
    this.#change(this.#tools.get(id), (tool) => {
      tool.state = 'denied'
      tool.denial = denial
    })
  }

  #close(approvalId: string, state: string, decision?: DataOf<'approval.decided'>): void {
    const item = this.#byApproval.get(approvalId)
    if (item?.kind === 'approval') this.#change(item, () => (item.state = state))
    else if (item?.kind === 'tool') {
      this.#change(item, () => {
        if (decision) item.decision = decision
        delete item.approval
      })
    }
  }

  /** What has no end by now will not have one. */
  #endAll(): void {
    for (const item of this.#open.values()) this.#change(item, () => (item.isOpen = false))
    this.#open.clear()
    for (const tool of this.#tools.values())
      if (tool.state === 'running') this.#change(tool, () => (tool.state = 'unfinished'))
    for (const item of this.#byApproval.values())
      if (item.kind === 'tool' && item.approval) this.#change(item, () => delete item.approval)
  }
}
