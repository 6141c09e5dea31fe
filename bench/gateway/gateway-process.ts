import { pino } from 'pino';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { tellParent } from './child.ts';

/** The embedded gateway with all that an upgrade asks of it: policy by tail, counters, amounts, transactions. */
const [stateDir = '', ...urls] = process.argv.slice(2);

const table: RouteTable = {
  service: 'bench',
  version: 1,
  mainRelease: '1.0',
  split: {
    key: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: '2.0-a' },
        { tail: 'even', to: '2.0-b' },
      ],
    },
    withoutKey: '1.0',
    baseline: '1.0',
    share: 1,
    salt: 'bench',
    pulled: [],
  },
  servers: urls.map((url, i) => ({
    name: `s${i}`,
    cluster: i % 2 === 0 ? 'ca' : 'cb',
    url,
    release: i % 2 === 0 ? '2.0-a' : '2.0-b',
    ingress: 'open',
  })),
  transactions: { id: { from: 'header', name: 'x-transaction' }, idleMs: 60_000 },
  measure: {
    allocated: { path: '/wealth/*' },
    volume: { kind: 'amount', match: { method: 'POST', status: '2xx' }, amountHeader: 'x-amount' },
    slowMs: 1_000,
  },
};

const gateway = createGateway(
  { name: 'bench', service: 'bench', listen: { host: '127.0.0.1', port: 0 }, admin: { port: 0 }, stateDir },
  { logger: pino({ level: 'error' }) },
);
await gateway.start();
await createGatewayOverHttp({ name: 'bench', admin: gateway.adminUrl ?? '' }).publish(table, {});
while (gateway.trafficUrl === null) await new Promise((resolve) => setImmediate(resolve));
tellParent({ url: gateway.trafficUrl });
// An orderly end lets a CPU profile be written.
process.once('SIGTERM', () => process.exit(0));
