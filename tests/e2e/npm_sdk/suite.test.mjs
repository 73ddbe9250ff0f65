// The published package headroom-ai against a proxy: HEADROOM_BASE_URL is its address, LOCKED_URL that of one that asks
// for the key LOCKED_KEY, HASH names an original.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { GoogleGenerativeAI } from '@google/generative-ai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import * as headroom from 'headroom-ai';
import { withHeadroom as anthropicWithHeadroom } from 'headroom-ai/anthropic';
import { withHeadroom as geminiWithHeadroom } from 'headroom-ai/gemini';
import { withHeadroom as openaiWithHeadroom } from 'headroom-ai/openai';
import { compressVercelMessages, withHeadroom as vercelWithHeadroom } from 'headroom-ai/vercel-ai';

const base = process.env.HEADROOM_BASE_URL;
const { LOCKED_URL, LOCKED_KEY, HASH, UNKNOWN } = process.env;
const servers = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: `server-${id}`, state: 'running' })));
const openai = [
  { role: 'user', content: 'Which servers run?' },
  { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'list', arguments: '{}' } }] },
  { role: 'tool', tool_call_id: 'call_1', content: servers },
];
const anthropic = [
  { role: 'user', content: 'Which servers run?' },
  { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'list', input: {} }] },
  { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: servers }] },
];

test('compress() takes its address from the environment and saves', async () => {
  const result = await headroom.compress(openai, { model: 'gpt-4o', fallback: false });
  assert.equal(result.compressed, true);
  assert.equal(result.tokensSaved, result.tokensBefore - result.tokensAfter);
  assert.ok(result.tokensSaved > 1000 && result.compressionRatio < 0.5);
  assert.deepEqual(result.messages.slice(0, 2), openai.slice(0, 2));
  assert.ok(result.messages[2].content.includes('server-199'));
  assert.deepEqual(result.ccrHashes, []);
});

test('compress() takes Anthropic messages and gives them back', async () => {
  const result = await headroom.compress(anthropic, { model: 'claude-sonnet-4-5', fallback: false });
  assert.equal(result.messages[2].content[0].type, 'tool_result');
  assert.ok(result.messages[2].content[0].content.length < servers.length / 2);
});

test('simulate() says what it would save', async () => {
  for (const sim of [
    await headroom.simulate(openai, { model: 'gpt-4o', config: { smartCrusher: { maxItemsAfterCrush: 10 } } }),
    await new headroom.HeadroomClient().chat.completions.simulate({ model: 'gpt-4o', messages: openai }),
  ]) {
    assert.ok(sim.tokensSaved > 1000);
    assert.match(sim.estimatedSavings, /^\$0\.\d{4} per request$/);
    assert.deepEqual(sim.transforms, ['json']);
    assert.ok(sim.blockBreakdown.toolResults > 1000 && sim.wasteSignals.jsonBloatTokens > 1000);
    assert.equal(typeof sim.stablePrefixHash, 'string');
    assert.equal(sim.cacheAlignmentScore, 100);
    assert.equal(sim.messagesOptimized.length, 3);
  }
});

test('hooks are called', async () => {
  const seen = [];
  class Hooks extends headroom.CompressionHooks {
    postCompress(event) { seen.push(event.tokensSaved); }
  }
  await headroom.compress(openai, { hooks: new Hooks(), fallback: false });
  assert.ok(seen[0] > 1000);
});

test('SharedContext keeps both forms', async () => {
  const context = new headroom.SharedContext({ baseUrl: base });
  const entry = await context.put('list', servers);
  assert.equal(context.get('list', { full: true }), servers);
  assert.ok(entry.originalTokens > 0);
});

test('HeadroomClient sends completions on, rewritten', async () => {
  const client = new headroom.HeadroomClient({ baseUrl: `${base}/`, providerApiKey: 'sk-1' });
  const answer = await client.chat.completions.create({ model: 'gpt-4o', messages: openai, headroomMode: 'optimize' });
  assert.equal(answer.choices[0].message.content, 'Done.');
  const message = await client.messages.create({ model: 'claude-sonnet-4-5', messages: anthropic });
  assert.equal(message.content[0].text, 'Done.');
  const events = await headroom.collectStream(await client.messages.stream({ model: 'claude-sonnet-4-5', messages: anthropic }));
  assert.equal(events.at(-1).type, 'message_stop');
  const chunks = await headroom.collectStream(
    await client.chat.completions.create({ model: 'gpt-4o', messages: openai, stream: true }));
  assert.ok(chunks.length > 0);
});

test('health, stats, history, metrics, cache and setup are answered', async () => {
  const client = new headroom.HeadroomClient();
  const health = await client.health();
  assert.equal(health.status, 'healthy');
  assert.deepEqual([health.config.optimize, health.config.cache, health.config.rateLimit], [true, true, true]);
  assert.equal((await client.validateSetup()).valid, true);
  let stats;
  do {  // the ledger has a request a moment after its answer
    stats = await client.proxyStats();
  } while (stats.requests.total < 4 || stats.tokens.saved <= 1000);
  for (const group of ['requests', 'tokens', 'latency', 'overhead', 'pipelineTiming', 'wasteSignals', 'compression', 'cost', 'feedbackLoop'])
    assert.equal(typeof stats[group], 'object', group);
  const metrics = await client.getMetrics({ limit: 2 });
  assert.equal(metrics.length, 2);
  assert.equal(typeof metrics[0].tokensInputBefore, 'number');
  assert.ok((await client.getSummary()).totalTokensSaved > 1000);
  assert.ok((await client.getStats()).totalRequests >= 4);
  assert.ok((await client.statsHistory({ series: 'daily' })).daily.length >= 1);
  assert.match(await client.prometheusMetrics(), /headroom_saved_tokens_total/);
  assert.equal((await client.clearCache()).status, 'cleared');
});

test('originals come back, whole and searched', async () => {
  const client = new headroom.HeadroomClient();
  const whole = await client.retrieve(HASH);
  assert.equal(whole.originalContent, 'first line\nan error line\nlast line\n');
  assert.equal(whole.toolName, 'Bash');
  const found = await client.retrieve(HASH, { query: 'error' });
  assert.deepEqual(found.results, ['an error line']);
  const call = { id: 'call_9', function: { name: 'headroom_retrieve', arguments: JSON.stringify({ hash: HASH }) } };
  const answered = await client.handleToolCall({ toolCall: call, provider: 'openai' });
  assert.equal(answered.success, true);
  assert.equal(answered.toolResult.toolCallId, 'call_9');
  assert.ok((await client.getCCRStats()).store.retrievals >= 3);
});

test('our errors become its error classes', async () => {
  const client = new headroom.HeadroomClient({ retries: 0, fallback: false });
  await assert.rejects(client.retrieve(UNKNOWN), (error) =>
    error instanceof headroom.HeadroomCompressError && error.statusCode === 404 && error.errorType === 'not_found');
  await assert.rejects(client.retrieve('nonsense'), headroom.ValidationError);
  await assert.rejects(client.compressRaw({}), headroom.ValidationError);
  await assert.rejects(client.compressRaw({ messages: openai, config: { smart_crusher: { enabled: 3 } } }),
    headroom.ConfigurationError);
  const gone = new headroom.HeadroomClient({ baseUrl: 'http://127.0.0.1:9', retries: 0, fallback: false });
  await assert.rejects(gone.health(), headroom.HeadroomConnectionError);
  assert.equal((await new headroom.HeadroomClient({ baseUrl: 'http://127.0.0.1:9' }).compress(openai)).compressed, false);
});

test('a key comes from the environment or the constructor', async () => {
  await assert.rejects(new headroom.HeadroomClient({ baseUrl: LOCKED_URL, apiKey: 'wrong' }).compress(openai), headroom.HeadroomAuthError);
  await assert.rejects(new headroom.HeadroomClient({ baseUrl: LOCKED_URL }).proxyStats(), headroom.HeadroomAuthError);
  const stated = new headroom.HeadroomClient({ baseUrl: LOCKED_URL, apiKey: LOCKED_KEY, fallback: false });
  assert.ok((await stated.compress(openai)).tokensSaved > 1000);
  process.env.HEADROOM_API_KEY = LOCKED_KEY;
  try {
    const result = await headroom.compress(openai, { baseUrl: LOCKED_URL, fallback: false });
    assert.ok(result.tokensSaved > 1000);
  } finally {
    delete process.env.HEADROOM_API_KEY;
  }
});

test('the OpenAI adapter wraps the OpenAI SDK', async () => {
  const client = openaiWithHeadroom(new OpenAI({ baseURL: `${base}/v1`, apiKey: 'sk-1' }), { fallback: false });
  const answer = await client.chat.completions.create({ model: 'gpt-4o', messages: openai });
  assert.equal(answer.choices[0].message.content, 'Done.');
});

test('the Anthropic adapter wraps the Anthropic SDK', async () => {
  const client = anthropicWithHeadroom(new Anthropic({ baseURL: base, apiKey: 'sk-1' }), { fallback: false });
  const answer = await client.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 10, messages: anthropic });
  assert.equal(answer.content[0].text, 'Done.');
});

test('the Gemini adapter wraps the Google SDK', async () => {
  const google = new GoogleGenerativeAI('key').getGenerativeModel({ model: 'gemini-2.5-flash' }, { baseUrl: base });
  const model = geminiWithHeadroom(google, { fallback: false, baseUrl: base });
  const answer = await model.generateContent({ contents: [{ role: 'user', parts: [{ text: 'hi' }] }] });
  assert.equal(answer.response.text(), 'Done.');
});

const prompt = [
  { role: 'user', content: [{ type: 'text', text: 'Which servers run?' }] },
  { role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'call_1', toolName: 'list', input: {} }] },
  { role: 'tool', content: [{ type: 'tool-result', toolCallId: 'call_1', toolName: 'list', output: { type: 'text', value: servers } }] },
];

test('the Vercel AI SDK adapter wraps its models', async () => {
  const models = [
    createOpenAI({ baseURL: `${base}/v1`, apiKey: 'sk-1' }).chat('gpt-4o'),
    createAnthropic({ baseURL: `${base}/v1`, apiKey: 'sk-1' })('claude-sonnet-4-5'),
  ];
  for (const model of models) {
    const wrapped = vercelWithHeadroom(model, { fallback: false });
    assert.equal((await generateText({ model: wrapped, messages: prompt })).text, 'Done.');
    let text = '';
    for await (const part of streamText({ model: wrapped, messages: prompt }).textStream) text += part;
    assert.equal(text, 'Done.');
  }
  const result = await compressVercelMessages(prompt, { model: 'gpt-4o', fallback: false });
  assert.ok(result.tokensSaved > 1000);
});
