import { createHash } from 'node:crypto';

const LONGEST_ANSWER_MS = 60_000;
const PARTS_OF_A_SLOW_ANSWER = 5;

/** A number of [0, 1) and one of 1..100 that depend on the text alone, so that a run can be repeated. */
export function draw(text) {
  const digest = createHash('sha256').update(text).digest();
  return { chance: digest.readUInt32BE(0) / 2 ** 32, hundredth: 1 + (digest.readUInt32BE(4) % 100) };
}

export function json(response, status, body, headers = {}) {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    ...headers,
  });
  response.end(bytes);
}

/** Answers at once with a head, and then in parts over `ms`: a request that is under way for seconds. */
export function slow(request, response, url) {
  const asked = Number(url.searchParams.get('ms') ?? 2500);
  const ms = Number.isFinite(asked) ? Math.min(Math.max(asked, 0), LONGEST_ANSWER_MS) : 2500;
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  let part = 0;
  const timer = setInterval(() => {
    part += 1;
    response.write(`part ${part} of ${PARTS_OF_A_SLOW_ANSWER}\n`);
    if (part < PARTS_OF_A_SLOW_ANSWER) return;
    clearInterval(timer);
    response.end('done\n');
  }, ms / PARTS_OF_A_SLOW_ANSWER);
  response.once('close', () => clearInterval(timer));
}

/** The measured business: a customer sees the offer and buys, or does not. */
export function offer(release, request, response) {
  const account = request.headers['x-account'];
  if (account === undefined) {
    json(response, 400, { error: 'the header x-account is missing' });
    return;
  }
  const { chance, hundredth } = draw(`${account}:${request.headers['x-visit'] ?? ''}`);
  if (chance < release.successRate) {
    const amount = String(hundredth * 100);
    json(response, 201, { outcome: 'bought', amount }, { 'x-outcome': 'bought', 'x-amount': amount });
  } else {
    json(response, 200, { outcome: 'declined' }, { 'x-outcome': 'declined' });
  }
}

/** A transaction of several requests lives in this server's memory: a step that comes to another one is refused. */
export function transactionRoutes(path, transactions) {
  const step = (finish) => (request, response) => {
    const id = request.headers['x-transaction'];
    const transaction = transactions.get(id);
    if (transaction === undefined) {
      json(response, 409, { error: 'unknown transaction', transaction: id ?? null });
      return;
    }
    transaction.steps += 1;
    if (finish) transactions.delete(id);
    json(
      response,
      200,
      { transaction: id, steps: transaction.steps },
      finish ? { 'x-transaction-end': '1' } : {},
    );
  };
  return {
    [`POST ${path}`]: (request, response) => {
      const id = request.headers['x-transaction'];
      if (id === undefined) {
        json(response, 400, { error: 'the header x-transaction is missing' });
        return;
      }
      if (!transactions.has(id)) transactions.set(id, { steps: 0 });
      json(response, 201, { transaction: id, steps: transactions.get(id).steps });
    },
    [`POST ${path}/step`]: step(false),
    [`POST ${path}/finish`]: step(true),
  };
}
