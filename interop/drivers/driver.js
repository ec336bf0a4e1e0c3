'use strict';
// Drives rhea, mqtt.js and stompit for the tests, with the jobs and answers that driver.py tells.

const readline = require('readline');
const mqtt = require('mqtt');
const rhea = require('rhea');
const stompit = require('stompit');

const timeoutMs = 10000;

// within fails a promise that takes too long, naming what was waited for.
function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(what)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Inbox hands messages to receivers, whichever comes first.
class Inbox {
  constructor() { this.messages = []; this.waiting = []; }

  put(message) {
    const receiver = this.waiting.shift();
    if (receiver) receiver(message); else this.messages.push(message);
  }

  take(ms) {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    const next = new Promise((resolve) => this.waiting.push(resolve));
    return within(next, ms, 'nothing came').catch((e) => { this.waiting = []; throw e; });
  }
}

const bodyOf = (message) => ('text' in message ? Buffer.from(message.text, 'utf8') : Buffer.from(message.bytes, 'base64'));
const base64 = (buffer) => buffer.toString('base64');

class Rhea {
  async open(port, name) {
    const container = rhea.create_container({ id: name });
    this.senders = new Map();
    this.conn = container.connect({ host: '127.0.0.1', port, username: 'anonymous', reconnect: false });
    this.conn.on('error', (e) => console.error('rhea:', e));
    await this.event(this.conn, 'connection_open', 'connection_close', 'disconnected');
  }

  // event waits for the first of names on an emitter; any but the first is a failure.
  event(emitter, ...names) {
    const wait = new Promise((resolve, reject) => {
      names.forEach((name, i) => emitter.once(name, (context) => {
        if (i === 0) resolve(context);
        else reject(new Error(`${name}: ${context.error || (emitter.error && emitter.error.description) || ''}`));
      }));
    });
    return within(wait, timeoutMs, `no ${names[0]}`);
  }

  async subscribe(address) {
    const inbox = new Inbox();
    const receiver = this.conn.open_receiver({ source: { address }, credit_window: 10 });
    receiver.on('message', (context) => inbox.put(this.message(context.message)));
    await this.event(receiver, 'receiver_open', 'receiver_error', 'receiver_close');
    return {
      inbox,
      close: () => { const closed = this.event(receiver, 'receiver_close'); receiver.close(); return closed; },
    };
  }

  message(m) {
    const out = { properties: m.application_properties || {}, replyTo: m.reply_to, contentType: m.content_type };
    if (typeof m.body === 'string') Object.assign(out, { kind: 'text', body: base64(Buffer.from(m.body, 'utf8')) });
    else if (m.body && m.body.typecode === 0x75) Object.assign(out, { kind: 'bytes', body: base64(m.body.content) });
    else Object.assign(out, { kind: typeof m.body, body: base64(Buffer.from(String(m.body))) });
    if (m.correlation_id !== undefined) out.correlation = m.correlation_id.toString();
    return out;
  }

  async send(address, message) {
    let sender = this.senders.get(address);
    if (!sender) {
      sender = this.conn.open_sender({ target: { address } });
      this.senders.set(address, sender);
      await this.event(sender, 'sendable', 'sender_error', 'sender_close');
    }
    const m = { durable: true, body: 'text' in message ? message.text : rhea.message.data_section(bodyOf(message)) };
    if (message.properties) m.application_properties = message.properties;
    if (message.replyTo) m.reply_to = message.replyTo;
    if (message.correlation) m.correlation_id = message.correlation;
    if (message.contentType) m.content_type = message.contentType;
    const answered = this.event(sender, 'accepted', 'rejected', 'released', 'modified', 'sender_close');
    sender.send(m);
    await answered;
    sender.removeAllListeners();
  }

  close() {
    const closed = this.event(this.conn, 'connection_close');
    this.conn.close();
    return closed;
  }
}

class MQTT {
  constructor(protocolVersion) { this.version = protocolVersion; this.inboxes = new Map(); }

  async open(port, name) {
    this.client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: name, protocolVersion: this.version, reconnectPeriod: 0, connectTimeout: timeoutMs,
    });
    this.client.on('message', (topic, payload, packet) => {
      const inbox = this.inboxes.get(topic);
      if (inbox) inbox.put(this.message(payload, packet.properties || {}));
      else console.error(`mqtt.js: a message on ${topic}, which nobody asked for`);
    });
    this.client.on('error', (e) => console.error('mqtt.js:', e.message));
  }

  message(payload, p) {
    const out = { kind: p.payloadFormatIndicator ? 'text' : 'bytes', body: base64(payload), properties: { ...p.userProperties } };
    if (p.responseTopic) out.replyTo = p.responseTopic;
    if (p.correlationData) out.correlation = p.correlationData.toString();
    if (p.contentType) out.contentType = p.contentType;
    return out;
  }

  async subscribe(address) {
    const inbox = new Inbox();
    this.inboxes.set(address, inbox);
    const grants = await this.client.subscribeAsync(address, { qos: 1 });
    if (grants.some((g) => g.qos >= 128)) throw new Error(`SUBACK ${JSON.stringify(grants)}`);
    return { inbox, close: async () => { await this.client.unsubscribeAsync(address); this.inboxes.delete(address); } };
  }

  async send(address, message) {
    const options = { qos: 1 };
    if (this.version === 5) {
      const p = options.properties = {};
      if ('text' in message) p.payloadFormatIndicator = true;
      if (message.properties) p.userProperties = message.properties;
      if (message.replyTo) p.responseTopic = message.replyTo;
      if (message.correlation) p.correlationData = Buffer.from(message.correlation);
      if (message.contentType) p.contentType = message.contentType;
    }
    await within(this.client.publishAsync(address, bodyOf(message), options), timeoutMs, 'no PUBACK');
  }

  close() { return this.client.endAsync(); }
}

// What STOMP itself or the mapping gives a meaning; all other headers are properties.
const stompOwn = new Set(['destination', 'message-id', 'subscription', 'ack', 'content-length', 'content-type', 'reply-to',
  'correlation-id', 'persistent', 'priority', 'timestamp', 'expires', 'redelivered', 'type', 'receipt', 'receipt-id']);

class Stompit {
  async open(port, name) {
    this.transactions = 0;
    const connectHeaders = { host: '/', 'accept-version': '1.1,1.2', 'client-id': name };
    this.client = await within(new Promise((resolve, reject) => {
      stompit.connect({ host: '127.0.0.1', port, connectHeaders }, (e, client) => (e ? reject(e) : resolve(client)));
    }), timeoutMs, 'no CONNECTED');
    this.failed = new Promise((_, reject) => this.client.once('error', reject));
    this.failed.catch(() => {}); // whoever waits sees it
  }

  // confirmed sends a frame and waits for its receipt.
  confirmed(command, headers, body) {
    const receipt = new Promise((resolve) => {
      this.client.sendFrame(command, headers, { onReceipt: resolve }).end(body);
    });
    return within(Promise.race([receipt, this.failed]), timeoutMs, 'no RECEIPT');
  }

  async subscribe(address) {
    const inbox = new Inbox();
    const subscription = this.client.subscribe({ destination: address, ack: 'auto' }, (error, frame) => {
      if (!error) this.read(frame, inbox);
    });
    // subscribe() asks for no receipt; the frames behind it do, and they are answered in order.
    const transaction = `t${++this.transactions}`;
    await this.confirmed('BEGIN', { transaction });
    await this.confirmed('ABORT', { transaction });
    return { inbox, close: () => { subscription.unsubscribe(); } };
  }

  read(frame, inbox) {
    const chunks = [];
    frame.on('data', (chunk) => chunks.push(chunk));
    frame.on('end', () => {
      const h = frame.headers;
      const text = h['content-length'] === undefined || (h['content-type'] || '').startsWith('text/');
      const properties = Object.fromEntries(Object.entries(h).filter(([k]) => !stompOwn.has(k)));
      inbox.put({
        kind: text ? 'text' : 'bytes', body: base64(Buffer.concat(chunks)), properties, replyTo: h['reply-to'],
        correlation: h['correlation-id'], contentType: h['content-type'],
      });
    });
  }

  async send(address, message) {
    const headers = { destination: address, persistent: 'true', ...message.properties };
    if (message.replyTo) headers['reply-to'] = message.replyTo;
    if (message.correlation) headers['correlation-id'] = message.correlation;
    if (message.contentType) headers['content-type'] = message.contentType;
    const body = bodyOf(message);
    if (!('text' in message)) headers['content-length'] = body.length;
    await this.confirmed('SEND', headers, body);
  }

  close() { return within(new Promise((resolve) => this.client.disconnect(resolve)), timeoutMs, 'no RECEIPT of DISCONNECT'); }
}

const libs = { rhea: () => new Rhea(), mqttjs4: () => new MQTT(4), mqttjs5: () => new MQTT(5), stompit: () => new Stompit() };
const handles = [];

function keep(thing) { return handles.push(thing); }

async function act(job) {
  switch (job.op) {
    case 'open': {
      const conn = libs[job.lib]();
      await conn.open(job.port, job.name);
      return { conn: keep(conn) };
    }
    case 'subscribe': return { sub: keep(await handles[job.conn - 1].subscribe(job.address)) };
    case 'send': await handles[job.conn - 1].send(job.address, job.message); return {};
    case 'receive': return { message: await handles[job.sub - 1].inbox.take(job.timeoutMs) };
    case 'unsubscribe': await handles[job.sub - 1].close(); return {};
    case 'close': await handles[job.conn - 1].close(); return {};
    default: throw new Error(`no such op: ${job.op}`);
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    let answer;
    try {
      answer = await act(job);
    } catch (e) {
      answer = { error: String((e && e.message) || e) };
    }
    process.stdout.write(`${JSON.stringify({ ...answer, id: job.id })}\n`);
  }
  process.exit(0);
}

main();
