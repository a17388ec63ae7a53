// The official Node SDKs of OpenAI and Anthropic against one base URL; one JSON line per case.
//
//   node suite.mjs --client openai|anthropic --base-url URL --key KEY --label direct|through --out FILE [--cases a,b]
//
// The same cases as python/suite.py. A result must not depend on what stands between SDK and vendor.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const ERRORS = [400, 401, 403, 404, 429, 500];
const CONCURRENT = 50;
const PERSON = z.object({ name: z.string(), age: z.number(), tags: z.array(z.string()) });
const TOOLS = {
  get_weather: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city'] },
  open_file: { type: 'object', properties: { path: { type: 'string' }, deep: { type: 'object' } }, required: ['path'] },
};

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What arrived: status, body digest, the headers that must come through. */
async function wire(response) {
  const kept = ['content-type', 'x-request-id', 'x-mock-arrived', 'x-ratelimit-remaining-requests', 'content-encoding'];
  const headers = Object.fromEntries(kept.filter((n) => response.headers.has(n)).map((n) => [n, response.headers.get(n)]));
  return { status: response.status, sha256: sha256(Buffer.from(await response.arrayBuffer())), headers };
}

/** A typed error: its class, and what a caller would branch on. */
function failure(error) {
  const found = { class: error.constructor.name };
  for (const name of ['status', 'code', 'type', 'param', 'requestID']) {
    if (error[name] !== undefined && error[name] !== null) found[name] = error[name];
  }
  if (error.error && typeof error.error === 'object') found.body = error.error;
  const after = error.headers?.get?.('retry-after');
  if (after) found.retry_after = after;
  return found;
}

/** The cases with the `openai` package. */
class OpenAiCases {
  constructor(baseURL, apiKey) {
    this.options = { baseURL: `${baseURL}/v1`, apiKey, timeout: 30_000 };
    this.sdk = new OpenAI({ ...this.options, maxRetries: 0 });
    this.APIError = OpenAI.APIError;
  }

  body(text, more = {}) {
    return { model: 'gpt-4o-mini', messages: [{ role: 'user', content: text }], ...more };
  }

  ask(text, { sdk = this.sdk, request, ...more } = {}) {
    return sdk.chat.completions.create(this.body(text, more), request);
  }

  async text(prompt, more) {
    return (await this.ask(prompt, more)).choices[0].message.content;
  }

  async models() {
    const ids = [];
    for await (const model of this.sdk.models.list()) ids.push(model.id);
    return ids;
  }

  async chat(prompt) {
    const done = await this.ask(prompt);
    const [choice] = done.choices;
    return { text: choice.message.content, finish: choice.finish_reason, id: done.id, usage: done.usage, request_id: done._request_id };
  }

  async raw(prompt, stream = false) {
    return wire(await this.ask(prompt, { stream }).asResponse());
  }

  async stream(prompt) {
    const found = { text: '', finish: null, usage: null };
    for await (const chunk of await this.ask(prompt, { stream: true, stream_options: { include_usage: true } })) {
      found.usage = chunk.usage ?? found.usage;
      for (const choice of chunk.choices) {
        found.text += choice.delta.content ?? '';
        found.finish = choice.finish_reason ?? found.finish;
      }
    }
    return found;
  }

  async streamUntilError(prompt) {
    let text = '';
    try {
      for await (const chunk of await this.ask(prompt, { stream: true })) text += chunk.choices?.[0]?.delta?.content ?? '';
    } catch (error) {
      return [text, error];
    }
    return [text, null];
  }

  tools() {
    return Object.entries(TOOLS).map(([name, parameters]) => ({ type: 'function', function: { name, parameters } }));
  }

  async toolTurn() {
    const tools = this.tools();
    const first = (await this.ask('case:tools', { tools })).choices[0].message;
    const results = first.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: `result of ${c.function.name}` }));
    const second = await this.sdk.chat.completions.create({
      model: 'gpt-4o-mini', tools, messages: [{ role: 'user', content: 'case:tools' }, first, ...results],
    });
    return {
      calls: first.tool_calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)]),
      text: first.content,
      then: second.choices[0].message.content,
    };
  }

  async streamTools(prompt = 'case:tools') {
    const names = [], joined = [];
    let text = '', finish = null;
    for await (const chunk of await this.ask(prompt, { stream: true, tools: this.tools() })) {
      for (const choice of chunk.choices) {
        text += choice.delta.content ?? '';
        finish = choice.finish_reason ?? finish;
        for (const call of choice.delta.tool_calls ?? []) {
          names[call.index] ??= call.function.name;
          joined[call.index] = (joined[call.index] ?? '') + (call.function.arguments ?? '');
        }
      }
    }
    return { text, finish, joined, calls: joined.map((a, i) => [names[i], JSON.parse(a)]) };
  }

  async structured() {
    const done = await this.sdk.chat.completions.parse(this.body('case:structured', { response_format: zodResponseFormat(PERSON, 'person') }));
    return done.choices[0].message.parsed;
  }

  retrying(prompt) {
    return this.text(prompt, { sdk: new OpenAI({ ...this.options, maxRetries: 2 }) });
  }

  impatient(prompt) {
    return this.ask(prompt, { request: { timeout: 500 } });
  }

  async streamText(prompt) {
    return (await this.stream(prompt)).text;
  }
}

/** The cases with the `@anthropic-ai/sdk` package. */
class AnthropicCases {
  constructor(baseURL, apiKey) {
    this.options = { baseURL, apiKey, timeout: 30_000 };
    this.sdk = new Anthropic({ ...this.options, maxRetries: 0 });
    this.APIError = Anthropic.APIError;
  }

  body(text, more = {}) {
    return { model: 'claude-mock', max_tokens: 256, messages: [{ role: 'user', content: text }], ...more };
  }

  ask(text, { sdk = this.sdk, request, ...more } = {}) {
    return sdk.messages.create(this.body(text, more), request);
  }

  async text(prompt, more) {
    return (await this.ask(prompt, more)).content[0].text;
  }

  async models() {
    const ids = [];
    for await (const model of this.sdk.models.list()) ids.push(model.id);
    return ids;
  }

  async chat(prompt) {
    const done = await this.ask(prompt);
    const usage = { input: done.usage.input_tokens, output: done.usage.output_tokens };
    return { text: done.content[0].text, finish: done.stop_reason, id: done.id, usage, request_id: done._request_id };
  }

  async raw(prompt, stream = false) {
    return wire(await this.ask(prompt, { stream }).asResponse());
  }

  async stream(prompt) {
    const stream = this.sdk.messages.stream(this.body(prompt));
    let text = '';
    stream.on('text', (delta) => { text += delta; });
    const done = await stream.finalMessage();
    return { text, finish: done.stop_reason, usage: done.usage.output_tokens };
  }

  async streamUntilError(prompt) {
    let text = '';
    try {
      for await (const event of await this.ask(prompt, { stream: true })) {
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
      }
    } catch (error) {
      return [text, error];
    }
    return [text, null];
  }

  tools() {
    return Object.entries(TOOLS).map(([name, input_schema]) => ({ name, input_schema }));
  }

  async toolTurn() {
    const tools = this.tools();
    const first = await this.ask('case:tools', { tools });
    const uses = first.content.filter((b) => b.type === 'tool_use');
    const second = await this.sdk.messages.create({
      model: 'claude-mock', max_tokens: 256, tools,
      messages: [
        { role: 'user', content: 'case:tools' },
        { role: 'assistant', content: first.content },
        { role: 'user', content: uses.map((u) => ({ type: 'tool_result', tool_use_id: u.id, content: `result of ${u.name}` })) },
      ],
    });
    return { calls: uses.map((u) => [u.name, u.input]), text: first.content[0].text, then: second.content[0].text };
  }

  async streamTools(prompt = 'case:tools') {
    const joined = {};
    const stream = this.sdk.messages.stream(this.body(prompt, { tools: this.tools() }));
    for await (const event of stream) {
      if (event.type === 'content_block_delta' && event.delta.type === 'input_json_delta') {
        joined[event.index] = (joined[event.index] ?? '') + event.delta.partial_json;
      }
    }
    const done = await stream.finalMessage();
    return {
      text: done.content.filter((b) => b.type === 'text').map((b) => b.text).join(''),
      finish: done.stop_reason,
      joined: Object.values(joined),
      calls: done.content.filter((b) => b.type === 'tool_use').map((b) => [b.name, b.input]),
    };
  }

  async structured() {
    const done = await this.sdk.messages.parse(this.body('case:structured', { output_config: { format: zodOutputFormat(PERSON) } }));
    return done.parsed_output;
  }

  retrying(prompt) {
    return this.text(prompt, { sdk: new Anthropic({ ...this.options, maxRetries: 2 }) });
  }

  impatient(prompt) {
    return this.ask(prompt, { request: { timeout: 500 } });
  }

  async streamText(prompt) {
    return (await this.stream(prompt)).text;
  }
}

/** Runs something that must raise one of the SDK's own errors. */
async function raised(client, run, describe) {
  try {
    await run();
  } catch (error) {
    if (error instanceof client.APIError) return describe(error);
    throw error;
  }
  return { class: 'none raised' };
}

async function midstream(client) {
  const [text, error] = await client.streamUntilError('case:midstream');
  return { text, ...(error ? failure(error) : { class: 'none raised' }) };
}

async function retry(client, label) {
  const begin = performance.now();
  const text = await client.retrying(`case:retry ${client.constructor.name}-node-${label}`);
  const seconds = (performance.now() - begin) / 1000;
  return { text, waited: seconds >= 0.9 && seconds < 5 };
}

/** Name and function of every case, in running order. */
function cases(client, label) {
  const prompts = Array.from({ length: CONCURRENT }, (_, n) => `Please repeat sentence number ${n} of the list.`);
  const list = {
    models: () => client.models(),
    chat: () => client.chat('case:prose'),
    echo_unicode: () => client.text('Grüße 東京 🌤️ "quoted" back\\slash\nnew line'),
    unicode: () => client.text('case:unicode'),
    raw_bytes: () => client.raw('case:unicode'),
    raw_gzip: () => client.raw('case:gzip'),
    raw_stream: () => client.raw('case:unicode', true),
    stream: () => client.stream('case:prose'),
    stream_unicode: () => client.stream('case:unicode'),
    stream_long: async () => sha256((await client.stream('case:long 200')).text),
    tools: () => client.toolTurn(),
    stream_tools: () => client.streamTools(),
    structured: () => client.structured(),
    retry_after: () => retry(client, label),
  };
  for (const n of ERRORS) list[`error_${n}`] = () => raised(client, () => client.ask(`case:${n}`), failure);
  list.error_midstream = () => midstream(client);
  list.error_dropped = async () => ({ raised: (await client.streamUntilError('case:drop'))[1] !== null });
  list.error_timeout = () => raised(client, () => client.impatient('case:slow 2'), (e) => ({ class: e.constructor.name }));
  list.concurrent_50 = () => Promise.all(prompts.map((p) => client.text(p)));
  list.concurrent_50_streams = () => Promise.all(prompts.map((p) => client.streamText(p)));
  return list;
}

/** Streamed cards, cut at every position: not compared with a straight run, asked for by name (`--cases cards`). */
async function cards(client) {
  const found = [];
  for (const position of [...Array(17).keys(), 'chars']) {
    const { text } = await client.stream(`case:card text ${position}`);
    const { calls, joined } = await client.streamTools(`case:card args ${position}`);
    found.push({ position, text, calls, joined });
  }
  return found;
}

/** Refusals as the SDK's own errors, with its retries on: asked for by name (`--cases refusals`). */
async function refusals(client, strange) {
  const patient = new client.sdk.constructor({ ...client.options, maxRetries: 2 });
  const stranger = new client.sdk.constructor({ ...client.options, apiKey: strange, maxRetries: 2 });
  const key = ['AKIA', 'Q3EGRZ5T7XJ2LMWA'].join('');
  return {
    secret: await raised(client, () => client.ask(`My key is ${key}.`, { sdk: patient }), failure),
    secret_streamed: await raised(client, () => client.ask(`My key is ${key}.`, { sdk: patient, stream: true }), failure),
    stranger: await raised(client, () => client.ask('Hello.', { sdk: stranger }), failure),
  };
}

/** The same value with every object's keys sorted, so that lines compare as text. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((k) => [k, sorted(value[k])]));
  }
  return value;
}

const { values: options } = parseArgs({
  options: Object.fromEntries(['client', 'base-url', 'key', 'label', 'out', 'cases'].map((n) => [n, { type: 'string' }])),
});
const kinds = { openai: OpenAiCases, anthropic: AnthropicCases };
const client = new kinds[options.client](options['base-url'], options.key);
const wanted = new Set((options.cases ?? '').split(',').filter(Boolean));
const list = cases(client, options.label);
if (wanted.has('cards')) list.cards = () => cards(client);
if (wanted.has('refusals')) list.refusals = () => refusals(client, `sg_${'A'.repeat(43)}`);
const lines = [];
for (const [name, run] of Object.entries(list)) {
  if (wanted.size > 0 && !wanted.has(name)) continue;
  let result;
  try {
    result = await run();
  } catch (error) {
    result = { unexpected: `${error.constructor.name}: ${String(error.message).slice(0, 300)}` };
  }
  lines.push(JSON.stringify(sorted({ client: `${options.client}-node`, case: name, result })));
}
writeFileSync(options.out, `${lines.join('\n')}\n`);
process.exit(0);
