/** What may become of a rendered configuration, in the hands of its owner. */
export interface Damage {
  readonly in: string;
  /** Beginning of the line that is changed. */
  readonly line: string;
  /** What it becomes; null: it is deleted. */
  readonly to: string | null | ((line: string) => string | null);
  readonly says: RegExp;
  /** Where the report says to look, if not at the changed line: the line behind it, a section, or a line in one. */
  readonly at?: '+1' | (string & {}) | { readonly in: string; readonly line: string };
}

const NEXT = 'backend changeover_successor';
const LATER = 'backend changeover_later';
const WAITING = 'listen changeover_waiting';
const PEERS = 'peers changeover';
const FRONTEND = 'frontend shop';
export const SLOT = 'backend shop_2';
const LAST_SLOT = 'backend shop_4';
const COUNTS = 'backend changeover_counts';
const TRANSACTIONS = 'backend changeover_transactions';
const ACCOUNTS = 'backend changeover_accounts';

const swap = (from: string | RegExp, to: string) => (line: string) => line.replace(from, to);
const and = (more: string) => (line: string) => `${line}\n    ${more}`;

/** Each is a damage that HAProxy itself takes. */
export const DAMAGES: Readonly<Record<string, Damage>> = {
  'the socket of the hand-over': {
    in: FRONTEND,
    line: 'bind abns@',
    to: null,
    says: /without `bind abns@\S+-next name handover accept-proxy`/,
    at: FRONTEND,
  },
  'accept-proxy': {
    in: FRONTEND,
    line: 'bind abns@',
    to: swap(' accept-proxy', ''),
    says: /accept-proxy` a reload would cut transactions/,
  },
  'server-state-file elsewhere': {
    in: 'global',
    line: 'server-state-file',
    to: 'server-state-file /var/lib/haproxy/other',
    says: /all servers would be open again/,
  },
  'what is counted': {
    in: COUNTS,
    line: 'stick-table',
    to: swap('http_req_cnt', 'conn_cnt'),
    says: /changeover_counts has `store conn_cnt`; it needs `store http_req_cnt`/,
  },
  'how long transactions are kept': {
    in: TRANSACTIONS,
    line: 'stick-table',
    to: swap('expire 301000', 'expire 1000'),
    says: /has `expire 1000`; it needs `expire 301000`/,
  },
  'the way to the process that came': {
    in: NEXT,
    line: 'server next',
    to: null,
    says: /the server next is missing/,
    at: NEXT,
  },
  'its address': { in: NEXT, line: 'server next', to: swap('-next', '-other'), says: /another address/ },
  'send-proxy': {
    in: NEXT,
    line: 'server next',
    to: swap(' send-proxy-v2', ''),
    says: /has no `send-proxy-v2`/,
  },
  'send-proxy of those that wait': {
    in: LATER,
    line: 'server later',
    to: swap(' send-proxy-v2', ''),
    says: /has no `send-proxy-v2`/,
  },
  'another name than that of the peer': {
    in: 'global',
    line: 'localpeer',
    to: 'localpeer elsewhere',
    says: /without `peer elsewhere abns@\S+-peers`/,
    at: { in: PEERS, line: 'peer local' },
  },
  'the peer': { in: PEERS, line: 'peer local', to: null, says: /without `peer local/, at: PEERS },
  'where it waits': {
    in: WAITING,
    line: 'bind abns@',
    to: null,
    says: /without `bind abns@\S+-later`/,
    at: WAITING,
  },
  'how long it waits': {
    in: WAITING,
    line: 'tcp-request inspect-delay',
    to: null,
    says: /without `tcp-request inspect-delay 250ms`/,
    at: WAITING,
  },
  'for how short it waits': {
    in: WAITING,
    line: 'tcp-request inspect-delay',
    to: 'tcp-request inspect-delay 1ms',
    says: /inspect-delay 250ms`/,
  },
  'what it waits for': {
    in: WAITING,
    line: 'tcp-request content',
    to: null,
    says: /after this line a rule is missing/,
    at: WAITING,
  },
  'mode tcp in defaults': {
    in: 'defaults',
    line: 'mode http',
    to: 'mode tcp',
    says: /by `mode tcp` its traffic would not pass/,
  },
  'no mode': {
    in: 'defaults',
    line: 'mode http',
    to: null,
    says: /its traffic would not pass/,
    at: 'defaults',
  },
  'mode tcp in the frontend': {
    in: FRONTEND,
    line: 'bind',
    to: and('mode tcp'),
    says: /by `mode tcp`/,
    at: '+1',
  },
  'mode tcp in a slot': { in: SLOT, line: 'id', to: and('mode tcp'), says: /by `mode tcp`/, at: '+1' },
  'a slot that is disabled': {
    in: SLOT,
    line: 'id',
    to: and('disabled'),
    says: /by `disabled` the section is switched off/,
    at: '+1',
  },
  'the frontend disabled': {
    in: FRONTEND,
    line: 'bind',
    to: and('disabled'),
    says: /switched off/,
    at: '+1',
  },
  'all disabled': { in: 'defaults', line: 'mode', to: and('disabled'), says: /switched off/, at: '+1' },
  'a table for short keys': {
    in: COUNTS,
    line: 'stick-table',
    to: swap('len 20', 'len 8'),
    says: /has `len 8`; it needs `len 20`/,
  },
  'a small table': {
    in: COUNTS,
    line: 'stick-table',
    to: swap('size 200000', 'size 10'),
    says: /has `size 10`; it needs `size 200000`/,
  },
  'a table that forgets': {
    in: COUNTS,
    line: 'stick-table',
    to: swap(' nopurge', ''),
    says: /has no `nopurge`; it needs `nopurge`/,
  },
  'what is known of accounts': {
    in: ACCOUNTS,
    line: 'stick-table',
    to: swap(/gpt\(\d+\),/, ''),
    says: /it needs `store gpt\(/,
  },
  'what is counted of accounts': {
    in: ACCOUNTS,
    line: 'stick-table',
    to: swap(/gpc\(\d+\)/, 'gpc(1)'),
    says: /it needs `store gpt\(/,
  },
  'a table that is not handed over': {
    in: TRANSACTIONS,
    line: 'stick-table',
    to: swap(' peers changeover', ''),
    says: /has no `peers`; it needs `peers changeover`/,
  },
  'an id that begins the same': {
    in: SLOT,
    line: 'server one',
    to: (line) => line.replace(/ id \d+ /, (id) => `${id.trimEnd()}1 `),
    says: /server one has another id than/,
  },
  'a port that begins the same': {
    in: SLOT,
    line: 'server one',
    to: swap(':9001', ':90012'),
    says: /server one has another address, /,
  },
  'a server that is not looked at': {
    in: SLOT,
    line: 'server one',
    to: swap(' check ', ' '),
    says: /server one has no `check`/,
  },
  'a server in reserve': {
    in: SLOT,
    line: 'server one',
    to: swap(/$/, ' backup'),
    says: /server one is `backup`/,
  },
  'a server without weight': {
    in: SLOT,
    line: 'server one',
    to: swap(/$/, ' weight 0'),
    says: /server one has `weight 0`/,
  },
  'a server that is disabled': {
    in: SLOT,
    line: 'server one',
    to: swap(/$/, ' disabled'),
    says: /server one is `disabled`, which wins/,
  },
  'a server in plain text': {
    in: SLOT,
    line: 'server two',
    to: swap(/ ssl .*/, ''),
    says: /server two has no `ssl`/,
  },
  'a server below the indented beginning of another backend': {
    in: LAST_SLOT,
    line: 'server three',
    to: (line) => `    backend own\n${line}`,
    says: /the server three is missing/,
    at: LAST_SLOT,
  },
  'states that are not loaded': {
    in: 'defaults',
    line: 'load-server-state',
    to: null,
    says: /not loaded/,
    at: 'defaults',
  },
  'states that one slot does not load': {
    in: SLOT,
    line: 'id',
    to: and('load-server-state-from-file none'),
    says: /all servers would be open again/,
    at: '+1',
  },
  'requests that are not sent again': {
    in: SLOT,
    line: 'retry-on',
    to: null,
    says: /without `retry-on conn-failure empty-response`/,
    at: SLOT,
  },
  'requests that stay with a dead server': {
    in: SLOT,
    line: 'option redispatch',
    to: null,
    says: /without `option redispatch 1`/,
    at: SLOT,
  },
  'no retries': { in: SLOT, line: 'id', to: and('retries 0'), says: /by `retries 0`/, at: '+1' },
};
