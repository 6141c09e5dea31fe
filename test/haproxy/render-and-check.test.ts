import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/haproxy/check-config.ts';
import { haproxyVerdict } from '../../src/haproxy/haproxy-command.ts';
import type { InnerPlan } from '../../src/haproxy/inner-rules.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { requireComponent } from '../support/require-component.ts';
import { HAPROXY, planFor } from '../gateway/support/haproxy-fixture.ts';

const SERVERS = ['one', 'two', 'three'].map((name, index) => ({
  name,
  url: `http://127.0.0.1:${9_000 + index}`,
}));
const PLANS = {
  plain: planFor(SERVERS),
  'transactions and amounts': planFor(SERVERS, {
    traffic: { transactions: { id: { from: 'cookie', name: 'sid' }, idle: '10s', endHeader: 'x-end' } },
    measure: {
      allocated: { method: 'POST', path: '/visit' },
      volume: {
        kind: 'amount',
        match: { method: 'POST', path: '/visit*', status: '201', header: { name: 'x-ok', value: "it's" } },
        amountHeader: 'x-amount',
      },
    },
  }),
  'a key from a file': planFor(SERVERS, {
    traffic: {
      key: { from: 'query', name: 'account', lookup: 'ages.csv' },
      policy: {
        kind: 'range',
        rules: [
          { below: 35, to: '2.0-a' },
          { from: 35, to: '2.0-b' },
        ],
      },
    },
  }),
  'accounts that are looked up': planFor(SERVERS, {
    traffic: {
      key: { from: 'header', name: 'x-card', lookup: 'accounts.csv' },
      policy: { kind: 'hash', salt: 's', weights: { '2.0-a': 1, '2.0-b': 1 } },
    },
    decision: { unit: 'account' },
  }),
};

describe.each(Object.entries(PLANS))('a configuration rendered for a plan with %s', (_, plan) => {
  it('is one that HAProxy takes, and of which it ignores nothing', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const folder = await mkdtemp(join(tmpdir(), 'render-'));
    try {
      const options = {
        bind: ':8080',
        socket: join(folder, 'a.sock'),
        files: folder,
        metrics: '127.0.0.1:8405',
      };
      const file = join(folder, 'haproxy.cfg');
      await writeFile(file, renderConfig(plan, options));
      for (const [path, content] of seedFiles(plan, options)) await writeFile(path, content);
      const verdict = await haproxyVerdict(HAPROXY ?? '', file);
      expect(verdict).toMatchObject({ ok: true, message: expect.not.stringContaining('ignored') as string });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('lacks nothing', () => {
    expect(checkConfig(rendered(plan), plan)).toEqual([]);
  });
});

describe('what a configuration lacks is said by line', () => {
  const plan = PLANS['transactions and amounts'];
  const text = rendered(plan);
  const lineOf = (part: string): number => text.split('\n').findIndex((line) => line.includes(part)) + 1;

  it.each([
    ['level admin', 'stats socket', /cannot be changed/],
    ['    option idle-close-on-response\n', 'defaults', /reload may cut/],
    ['    load-server-state-from-file global\n', 'defaults', /state file is not loaded/],
    ['    id 1001\n', 'backend shop_1', /no fixed id/],
    ['    setenv CHANGEOVER_SOCKET /run/haproxy/admin.sock\n', 'global', /a reload would cut transactions/],
  ])('without %j', (part, where, missing) => {
    expect(checkConfig(text.replace(part, ''), plan)).toEqual([
      expect.objectContaining({ line: lineOf(where), missing: expect.stringMatching(missing) as string }),
    ]);
  });

  it('a rule that is gone, after which line and what to write', () => {
    const rule = '    http-request unset-var(txn.key) unless { var(txn.key),length 1:256 }\n';
    expect(checkConfig(text.replace(rule, ''), plan)).toEqual([
      { line: lineOf('set-var(txn.key)'), missing: 'after this line a rule is missing', write: rule.trim() },
    ]);
  });

  it('rules of another plan', () => {
    const problems = checkConfig(rendered(PLANS.plain), plan).map(({ missing }) => missing);
    expect(problems).toContainEqual(expect.stringContaining('the rules are for measure'));
    expect(problems).toContainEqual(expect.stringContaining('the rules are for transactions'));
  });

  it('rules of another Changeover', () => {
    const older = text.replace(/CHANGEOVER_RULES \S+/, 'CHANGEOVER_RULES 3');
    expect(checkConfig(older, plan)).toEqual([
      expect.objectContaining({
        line: lineOf('CHANGEOVER_RULES'),
        missing: expect.stringContaining('another Changeover wrote the rules: version 3') as string,
      }),
    ]);
  });

  it('a rule of a slot that is gone', () => {
    const rule = `    stick match var(txn.id) table changeover_transactions if { var(txn.go),and(4294967296) eq 0 }\n`;
    expect(checkConfig(text.replace(rule, ''), plan)).toEqual([
      expect.objectContaining({ missing: 'after this line a rule is missing', write: rule.trim() }),
    ]);
  });

  it('a configuration that knows nothing of upgrades', () => {
    const own =
      'global\n  maxconn 100\ndefaults\n  mode http\nfrontend web\n  bind :80\n  default_backend web\n';
    expect(checkConfig(own, plan).length).toBeGreaterThan(8);
  });
});

describe('where TLS ends at HAProxy', () => {
  const plan = PLANS['transactions and amounts'];
  const text = renderConfig(plan, {
    bind: ':443',
    tlsCert: '/etc/haproxy/shop.pem',
    socket: '/run/haproxy/admin.sock',
    files: '/var/lib/changeover/haproxy',
  });
  const bind = /^ {4}(bind abns@changeover-\S+-next-tls .*)\n/m.exec(text)?.[1] ?? '';
  const problemsOf = (config: string) => checkConfig(config, plan);

  it('nothing is missing', () => {
    expect(bind).toContain('ssl crt /etc/haproxy/shop.pem');
    expect(problemsOf(text)).toEqual([]);
  });

  it('a bind that was made one of TLS by hand lacks the ways by which a reload hands TLS over', () => {
    const byHand = rendered(plan).replace('bind :8080', 'bind :443 ssl crt shop.pem');
    const said = problemsOf(byHand).map(({ missing, write }) => `${missing} / ${write}`);
    expect(said).toEqual([
      expect.stringContaining('use_backend %[var(txn.hop)]_tls'),
      expect.stringContaining('without `backend changeover_successor_tls`'),
      expect.stringContaining('without `backend changeover_later_tls`'),
      expect.stringContaining('without `listen changeover_waiting_tls`'),
    ]);
  });

  it.each([
    ['that is gone', ''],
    ['without TLS', bind.replace(/ ssl .*/, '')],
    ['that wants a certificate of the client', `${bind} ca-file ca.pem verify required`],
  ])('a bind for it %s', (_, wrong) => {
    const write = expect.stringMatching(
      /^bind abns\S+-next-tls name handover accept-proxy ssl crt /,
    ) as string;
    expect(problemsOf(text.replace(bind, wrong))).toEqual([expect.objectContaining({ write })]);
  });

  it('a rule of the owner on the certificate of the client, which is not handed over', () => {
    const withRule = (rule: string) => text.replace('    # What counts.', `    ${rule}\n    # What counts.`);
    const rule = 'http-request deny unless { ssl_c_used }';
    expect(problemsOf(withRule(rule))).toEqual([
      expect.objectContaining({ write: expect.stringContaining('{ so_name handover }') as string }),
    ]);
    expect(problemsOf(withRule(`${rule} || { so_name handover }`))).toEqual([]);
    expect(problemsOf(withRule('http-request deny unless { ssl_fc }'))).toEqual([]);
  });
});

describe('services behind, for which it has to decide', () => {
  const plan = PLANS.plain;
  const hash = { kind: 'hash', salt: 's', weights: { '2.0-a': 1 } } as const;
  const pricing = { service: 'pricing', traffic: { key: plan.traffic.key, policy: plan.traffic.policy } };
  const ledger = {
    service: 'ledger',
    traffic: { key: { from: 'cookie', name: 'session' }, policy: hash },
  } as const;
  const text = rendered(plan, [pricing, ledger]);

  it('nothing is missing, in whichever order they are named', async (test) => {
    expect(checkConfig(text, plan, [pricing, ledger])).toEqual([]);
    expect(checkConfig(text, plan, [ledger, pricing])).toEqual([]);
    expect(checkConfig(text, plan)).toEqual([]);
    requireComponent('HAProxy', HAPROXY !== null, test);
    const folder = await mkdtemp(join(tmpdir(), 'render-'));
    try {
      const options = {
        bind: ':8080',
        socket: join(folder, 'a.sock'),
        files: folder,
        inner: [pricing, ledger],
      };
      const file = join(folder, 'haproxy.cfg');
      await writeFile(file, renderConfig(plan, options));
      const seeds = [...seedFiles(plan, options)];
      for (const [path, content] of seeds.filter(([path]) => !path.endsWith('inner-ledger.map')))
        await writeFile(path, content);
      expect(await haproxyVerdict(HAPROXY ?? '', file), 'a map that is missing').toMatchObject({
        ok: false,
        message: expect.stringContaining('inner-ledger.map') as string,
      });
      for (const [path, content] of seeds) await writeFile(path, content);
      expect(await haproxyVerdict(HAPROXY ?? '', file)).toMatchObject({ ok: true });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('not by bounds that it cannot compare', () => {
    const rules = [{ below: 34.5, to: '1.0' }];
    const aged = { ...pricing, traffic: { ...pricing.traffic, policy: { kind: 'range', rules } as const } };
    expect(() => rendered(plan, [aged])).toThrow(/the plan of pricing has the bound 34.5: leave pricing out/);
  });

  it('a service without rules', () => {
    const problems = checkConfig(rendered(plan, [pricing]), plan, [ledger, pricing]);
    expect(problems).toContainEqual(
      expect.objectContaining({
        missing: expect.stringContaining('nothing is decided for ledger') as string,
      }),
    );
    const rules = problems.filter(({ missing }) => missing === 'after this line a rule is missing');
    expect(rules.length).toBeGreaterThan(2);
    expect(rules.filter(({ write }) => !/ledger|in2_/.test(write))).toEqual([]);
  });

  it('rules of another plan of theirs', () => {
    const other = { ...ledger, traffic: { ...ledger.traffic, policy: plan.traffic.policy } };
    expect(checkConfig(text, plan, [pricing, other])).toContainEqual({
      line: text.split('\n').findIndex((line) => line.includes('CHANGEOVER_INNER_LEDGER')) + 1,
      missing:
        'the rules for ledger are for {key:{from:cookie,name:session},policy:hash}, its plan has {key:{from:cookie,name:session},policy:tail}',
      write:
        'render the frontend anew with `changeover haproxy render --context-for`; it sets CHANGEOVER_INNER_LEDGER',
    });
  });

  it('one rule that is gone', () => {
    const rule = text.split('\n').find((line) => line.includes('set-var(txn.in1_go)')) ?? '';
    expect(checkConfig(text.replace(`${rule}\n`, ''), plan, [pricing, ledger])).toEqual([
      expect.objectContaining({ missing: 'after this line a rule is missing', write: rule.trim() }),
    ]);
  });
});

function rendered(plan: (typeof PLANS)['plain'], inner: readonly InnerPlan[] = []): string {
  return renderConfig(plan, {
    inner,
    bind: ':8080',
    socket: '/run/haproxy/admin.sock',
    files: '/var/lib/changeover/haproxy',
  });
}
