import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { until } from '../../../demo/fleet/until.ts';
import type { LoadSummary } from '../../../demo/load/summary.ts';

/** What a client sees of one answer that arrived whole. */
export interface Answer {
  readonly status: number;
  readonly version: string;
  readonly server: string;
  readonly text: string;
}

/** A transaction of several requests that is under way. */
export interface OpenTransaction {
  readonly server: string;
  readonly version: string;
  step(): Promise<Answer>;
  finish(): Promise<Answer>;
}

/** A request that is under way: its head is there, the rest is to come. */
export interface LongRequest {
  readonly server: string;
  readonly version: string;
  readonly answer: Promise<Answer>;
}

/** A client that does one thing at a time, beside the load. */
export interface BusinessClient {
  /** Its answers by version, to be counted with those of the load. */
  readonly byVersion: LoadSummary['byVersion'];
  /** The home page as this account sees it, from the given gateway. */
  homePage(url: string, options: { account: string }): Promise<Answer>;
  /** A transaction that began on a server of this cluster; those that began elsewhere are finished at once. */
  beginTransactionOn(cluster: string): Promise<OpenTransaction>;
  /** A long request that is on a server of this cluster; those that came elsewhere are left to end. */
  beginLongRequestOn(cluster: string, options: { ms: number }): Promise<LongRequest>;
}

const FIND_TIMEOUT_MS = 20_000;
const ACCOUNT = '100007';

type Response = Awaited<ReturnType<typeof request>>;

export function createBusinessClient({ url }: { readonly url: string }): BusinessClient {
  const byVersion: LoadSummary['byVersion'] = {};

  async function received(response: Response): Promise<Answer> {
    const software = softwareOf(response);
    const text = await response.body.text();
    const before = byVersion[software.version] ?? { answers: 0, visits: 0, bought: 0, amount: 0 };
    byVersion[software.version] = { ...before, answers: before.answers + 1 };
    return { status: response.statusCode, ...software, text };
  }

  async function beginTransaction(): Promise<OpenTransaction> {
    const headers = { 'x-account': ACCOUNT, 'x-transaction': randomUUID() };
    const send = async (path: string): Promise<Answer> =>
      received(await request(`${url}${path}`, { method: 'POST', headers }));
    const { server, version } = await send('/tx');
    return { server, version, step: () => send('/tx/step'), finish: () => send('/tx/finish') };
  }

  async function beginLongRequest(ms: number): Promise<LongRequest> {
    const response = await request(`${url}/slow?ms=${ms}`, { headers: { 'x-account': ACCOUNT } });
    const answer = received(response);
    // Where nobody needs it, a failure must not end the test as an unhandled one.
    answer.catch(() => undefined);
    return { ...softwareOf(response), answer };
  }

  return {
    byVersion,
    homePage: async (from, { account }) =>
      received(await request(from, { headers: { 'x-account': account } })),
    beginTransactionOn: (cluster) =>
      onCluster(cluster, beginTransaction, async (transaction) => {
        await transaction.finish();
      }),
    beginLongRequestOn: (cluster, { ms }) =>
      onCluster(
        cluster,
        () => beginLongRequest(ms),
        async () => undefined,
      ),
  };
}

async function onCluster<Begun extends { readonly server: string }>(
  cluster: string,
  begin: () => Promise<Begun>,
  leave: (begun: Begun) => Promise<void>,
): Promise<Begun> {
  const found: Begun[] = [];
  const condition = async (): Promise<boolean> => {
    const begun = await begin();
    if (begun.server.startsWith(`${cluster}-`)) found.push(begun);
    else await leave(begun);
    return found.length > 0;
  };
  await until(`business begins on ${cluster}`, condition, { timeoutMs: FIND_TIMEOUT_MS });
  const [begun] = found;
  if (begun === undefined) throw new Error(`nothing began on ${cluster}`);
  return begun;
}

function softwareOf({ headers }: Response): { version: string; server: string } {
  return { version: String(headers['x-version']), server: String(headers['x-server']) };
}
