import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/haproxy/check-config.ts';
import { haproxyVerdict } from '../../src/haproxy/haproxy-command.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { requireComponent } from '../support/require-component.ts';
import { HAPROXY, planFor } from '../gateway/support/haproxy-fixture.ts';

const SERVERS = ['one', 'two', 'three'].map((name, index) => ({
  name,
  url: `http://127.0.0.1:${9_000 + index}`,
}));
const PLAIN = planFor(SERVERS);
const PLAN = planFor(SERVERS, {
  measure: {
    allocated: {},
    volume: { kind: 'amount', match: { path: '/buy' }, amountHeader: 'x-amount' },
  },
});
const folder = await mkdtemp(join(tmpdir(), 'own-rules-'));
afterAll(() => rm(folder, { recursive: true }));

function rendered(plan: typeof PLAN): string {
  const config = renderConfig(plan, { bind: ':8080', socket: join(folder, 'a.sock'), files: folder });
  return `${config}\nbackend shop_static\n    http-request return status 204\n`;
}

/** What HAProxy itself says. */
async function verdict(config: string): Promise<unknown> {
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, config);
  for (const [path, content] of seedFiles(PLAN, { files: folder })) await writeFile(path, content);
  return haproxyVerdict(HAPROXY ?? '', file);
}

interface Place {
  readonly before?: string;
  readonly behind?: string;
  readonly in: string;
}

/** With a line of the owner, before or behind the first one of a section that has `before` or `behind`. */
function withLine(line: string, { before, behind, in: section }: Place, config = rendered(PLAN)): string {
  const lines = config.split('\n');
  const from = lines.indexOf(section);
  const at = lines.findIndex((each, index) => index > from && each.includes(before ?? behind ?? ''));
  if (from < 0 || at < 0) throw new Error(`${section} has no ${before ?? behind ?? ''}`);
  return lines.toSpliced(before === undefined ? at + 1 : at, 0, `    ${line}`).join('\n');
}

const FRONTEND = 'frontend shop';
const SLOT = 'backend shop_1';
const FIRST_ALLOW = 'http-request allow unless';
const LAST_OF_SLOT = 'http-request track-sc1';
const DEFAULTS = 'option idle-close-on-response';

const WAY = 'use_backend %[var(txn.hop)]';

interface Case {
  readonly line: string;
  readonly at: Place;
  readonly says: RegExp;
  readonly write: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  'a rule behind those of a slot': {
    line: 'http-request deny if { path_beg /internal }',
    at: { behind: LAST_OF_SLOT, in: SLOT },
    says: /is skipped wherever line \d+ \(`http-request allow unless .*\) ends the rules/,
    write: /^move it before line \d+$/,
  },
  'a rule among those of a slot': {
    line: 'http-request set-header x-tenant bank',
    at: { behind: FIRST_ALLOW, in: SLOT },
    says: /is skipped wherever line/,
    write: /^move it before line \d+$/,
  },
  'a rule for answers behind those of the frontend': {
    line: 'http-response set-header strict-transport-security max-age=1',
    at: { before: WAY, in: FRONTEND },
    says: /is skipped wherever line \d+ \(`http-response allow unless/,
    write: /^move it before line \d+$/,
  },
  'an end of the rules before those of a slot': {
    line: 'http-request allow if { path_beg /open }',
    at: { before: FIRST_ALLOW, in: SLOT },
    says: /ends the rules before line \d+/,
    write: /^leave it out/,
  },
  'an end of the rules for answers before those that count': {
    line: 'http-response allow if { status 304 }',
    at: { before: 'http-response', in: FRONTEND },
    says: /ends the rules before line \d+/,
    write: /^leave it out/,
  },
  'an end of the rules among those that decide': {
    line: 'http-request allow if { path_beg /static }',
    at: { behind: 'set-var(txn.key)', in: FRONTEND },
    says: /ends the rules before line \d+/,
    write: /^move it before line \d+, with a condition$/,
  },
  'a variable of the decision': {
    line: 'http-request set-var(txn.go) int(0) if { src 10.0.0.0/8 }',
    at: { before: 'bind :8080', in: FRONTEND },
    says: /changes txn\.go/,
    write: /another name than txn\.go/,
  },
  'the same in passing, in a slot': {
    line: 'http-request set-header x-k %[path,set-var(txn.ending)]',
    at: { before: 'balance', in: SLOT },
    says: /changes txn\.ending/,
    write: /another name than txn\.ending/,
  },
  'a counter of the rules': {
    line: 'http-request track-sc0 src table changeover_counts',
    at: { before: 'http-request', in: FRONTEND },
    says: /takes the counter sc0/,
    write: /tune\.stick-counters/,
  },
  'the same by connection': {
    line: 'tcp-request connection track-sc1 src table changeover_counts',
    at: { before: 'http-request', in: FRONTEND },
    says: /takes the counter sc1/,
    write: /tune\.stick-counters/,
  },
  'a choice of the backend behind the last one': {
    line: 'use_backend shop_static if { path_beg /static }',
    at: { behind: 'use_backend shop_%', in: FRONTEND },
    says: /is never looked at/,
    write: /^move it before line \d+$/,
  },
  'a way past the routes': {
    line: 'use_backend shop_1 if { src 10.0.0.0/8 }',
    at: { before: 'http-request', in: FRONTEND },
    says: /past the routes/,
    write: /through the frontend shop/,
  },
  'no heed of idle connections': {
    line: 'no option idle-close-on-response',
    at: { before: 'http-request', in: FRONTEND },
    says: /reload may cut/,
    write: /leave it out/,
  },
  'clients that stay on a server, by a table': {
    line: 'stick on src table changeover_counts',
    at: { before: 'balance', in: SLOT },
    says: /drains would still be given new business/,
    write: /leave it out/,
  },
  'a server that is chosen by name': {
    line: 'use-server one if { path_beg /one }',
    at: { before: 'balance', in: SLOT },
    says: /drains would still be given new business/,
    write: /leave it out/,
  },
  'requests for servers that are closed': {
    line: 'option persist',
    at: { behind: DEFAULTS, in: 'defaults' },
    says: /while it is closed/,
    write: /leave it out/,
  },
  'bad answers that are asked for again': {
    line: 'retry-on all-retryable-errors',
    at: { behind: 'retry-on', in: SLOT },
    says: /no guardrail would see them/,
    write: /^retry-on conn-failure empty-response$/,
  },
  'states that a slot does not load': {
    line: 'load-server-state-from-file none',
    at: { before: 'balance', in: SLOT },
    says: /open again/,
    write: /leave it out/,
  },
};

describe('what stands in a configuration and undoes what an upgrade needs is said by line', () => {
  it.each(Object.entries(CASES))('%s', async (_, { line, at, says, write }) => {
    const config = withLine(line, at);
    expect(checkConfig(config, PLAN)).toEqual([
      {
        line: config.split('\n').findIndex((each) => each.trim() === line) + 1,
        missing: expect.stringMatching(says) as string,
        write: expect.stringMatching(write) as string,
      },
    ]);
    if (HAPROXY !== null)
      expect(await verdict(config), 'it is no mistake to HAProxy').toMatchObject({ ok: true });
  });

  it('a cookie by which clients stay on a server, in each slot that has such servers', () => {
    const config = rendered(PLAN)
      .replace('    option idle-close', '    cookie SRV insert indirect\n    option idle-close')
      .replaceAll(/^( +server (?:one|two|three) .*)$/gm, '$1 cookie x');
    expect(checkConfig(config, PLAN)).toEqual([
      expect.objectContaining({ missing: expect.stringContaining('`cookie SRV insert indirect`') as string }),
    ]);
  });

  it('a counter that the plan leaves free is named', () => {
    const line = 'http-request track-sc0 src table changeover_counts';
    const config = withLine(line, { before: 'http-request', in: FRONTEND }, rendered(PLAIN));
    expect(checkConfig(config, PLAIN)).toEqual([
      expect.objectContaining({ write: 'http-request track-sc2 src table changeover_counts' }),
    ]);
  });

  it('not among rules of another plan, of which nobody knows whose they are', () => {
    const problems = checkConfig(rendered(PLAN), PLAIN).map(({ missing }) => missing);
    expect(problems.filter((missing) => missing.includes('`http'))).toEqual([]);
  });
});

describe('an owner may write', () => {
  const lines: readonly (readonly [line: string, at: Place])[] = [
    ['http-request allow if { path_beg /static }', { before: 'http-request', in: FRONTEND }],
    ['http-request deny if { path_beg /internal }', { before: 'http-request', in: FRONTEND }],
    ['http-request set-var(txn.tenant) str(bank)', { before: WAY, in: FRONTEND }],
    ['use_backend shop_static if { path_beg /static }', { before: WAY, in: FRONTEND }],
    ['default_backend shop_1', { behind: 'use_backend shop_%', in: FRONTEND }],
    ['http-response set-header x-frame-options deny', { before: 'http-response', in: FRONTEND }],
    ['http-request set-path %[path,regsub(^/shop,)]', { before: FIRST_ALLOW, in: SLOT }],
    ['http-response del-header server', { behind: LAST_OF_SLOT, in: SLOT }],
    ['http-after-response set-header x-gateway haproxy', { behind: LAST_OF_SLOT, in: SLOT }],
    ['option http-server-close', { behind: 'balance', in: SLOT }],
  ];

  it('what does not come in the way', async (test) => {
    const config = lines.reduce((text, [line, at]) => withLine(line, at, text), rendered(PLAN));
    expect(checkConfig(config, PLAN)).toEqual([]);
    requireComponent('HAProxy', HAPROXY !== null, test);
    expect(await verdict(config)).toMatchObject({ ok: true });
  });
});
