import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/haproxy/check-config.ts';
import { haproxyVerdict } from '../../src/haproxy/haproxy-command.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { HAPROXY, planFor } from '../gateway/support/haproxy-fixture.ts';
import { DAMAGES, type Damage, SLOT } from './damages.ts';
import { requireComponent } from '../support/require-component.ts';

const FILES = '/var/lib/changeover/haproxy';
const PLAN = planFor(
  [
    { name: 'one', url: 'http://127.0.0.1:9001' },
    { name: 'two', url: 'https://two.example:9002' },
    { name: 'three', url: 'http://127.0.0.1:9003' },
  ],
  {
    traffic: {
      transactions: { id: { from: 'cookie', name: 'sid' }, idle: '5m', endHeader: 'x-end' },
    },
    measure: {
      allocated: {},
      volume: { kind: 'amount', match: { path: '/buy' }, amountHeader: 'x-amount' },
    },
    decision: { unit: 'account', cap: 100 },
  },
);
const TEXT = rendered(FILES);
const LINES = TEXT.split('\n');

function rendered(files: string, socket = '/run/haproxy/admin.sock'): string {
  return renderConfig(PLAN, { bind: ':8080', socket, files });
}

/** From 1: the first line of the section, or the first of its lines that begins so. */
function lineOf(section: string, start?: string): number {
  const from = LINES.indexOf(section);
  const at =
    start === undefined ? from : LINES.findIndex((line, i) => i > from && line.trim().startsWith(start));
  if (from < 0 || at < 0) throw new Error(`${section} has no ${start ?? 'beginning'}`);
  return at + 1;
}

function whereOf(at: Damage['at'], changed: number): number {
  if (at === undefined) return changed;
  if (at === '+1') return changed + 1;
  return typeof at === 'string' ? lineOf(at) : lineOf(at.in, at.line);
}

describe('what was damaged in a rendered configuration is said by line', () => {
  it.each(Object.entries(DAMAGES))('%s', (_, { in: section, line: start, to, says, at }) => {
    const number = lineOf(section, start);
    const before = LINES[number - 1] ?? '';
    const after = typeof to === 'function' ? to(before) : to === null ? null : `    ${to}`;
    expect(after).not.toBe(before);
    const damaged = LINES.toSpliced(number - 1, 1, ...(after === null ? [] : [after])).join('\n');
    const where = whereOf(at, number);
    // What was deleted moves the lines behind it up.
    const reported = after === null && where > number ? where - 1 : where;
    expect(checkConfig(damaged, PLAN)).toEqual([
      {
        line: reported,
        missing: expect.stringMatching(says) as string,
        write: expect.stringMatching(/./) as string,
      },
    ]);
  });

  it('the line to write for an https server says how to speak to it', () => {
    const number = lineOf(SLOT, 'server two');
    const damaged = LINES.toSpliced(number - 1, 1).join('\n');
    expect(checkConfig(damaged, PLAN)).toEqual([
      {
        line: lineOf(SLOT),
        missing: 'the server two is missing',
        write: expect.stringMatching(
          /^server two two\.example:9002 id \d+ check .* ssl verify required/,
        ) as string,
      },
    ]);
  });

  it('all servers of a slot that `default-server` takes out', () => {
    const damaged = TEXT.replace(`${SLOT}\n`, `${SLOT}\n    default-server disabled\n`);
    expect(checkConfig(damaged, PLAN).map(({ missing }) => missing)).toEqual(
      ['one', 'two', 'three'].map(
        (name) => expect.stringContaining(`the server ${name} is \`disabled\``) as string,
      ),
    );
  });

  it('options that only another backend, or another `defaults`, has', () => {
    const options = ['option idle-close-on-response', 'load-server-state-from-file global'];
    const without = LINES.filter((line) => !options.includes(line.trim())).join('\n');
    const elsewhere = options.map((option) => `    ${option}\n`).join('');
    for (const own of ['backend own', 'defaults own']) {
      const problems = checkConfig(`${without}\n${own}\n    mode http\n${elsewhere}`, PLAN);
      expect(problems.map(({ line, missing }) => [line, missing])).toEqual([
        [lineOf('defaults'), expect.stringContaining('idle connections')],
        [lineOf('defaults'), expect.stringContaining('state file is not loaded')],
      ]);
    }
  });
});

describe('an owner may have otherwise', () => {
  const changes: readonly (readonly [what: string, from: string | RegExp, to: string])[] = [
    [
      'a first Runtime API for operators',
      '    stats socket',
      '    stats socket /run/o.sock mode 660 level operator\n    stats socket',
    ],
    ['marks in quotes', /setenv (CHANGEOVER_POLICY) (\S+)/, 'setenv $1 "$2"'],
    [
      'other logging',
      '    log stdout format raw local0 notice',
      '    log /dev/log local0\n    maxconn 20000',
    ],
    ['other time limits', 'timeout connect 3s', 'timeout connect 5s'],
    [
      'TLS, and a redirect',
      /bind :8080/,
      'bind :80\n    bind :8443 alpn h2,http/1.1\n    http-request redirect scheme https unless { ssl_fc }',
    ],
    ['larger tables', 'size 200000 nopurge', 'size 1m nopurge'],
    ['another choice of servers', 'balance leastconn', 'balance roundrobin'],
    ['limits and weights of servers', /(server one .*)/g, '$1 maxconn 100 weight 10'],
    ['settings of servers in common', /check inter 1s fall 2 rise 1/g, 'inter 2s'],
    ['the same', 'option idle-close', 'default-server check\n    option idle-close'],
    ['options that it shares', 'option idle-close', 'option redispatch\n    option idle-close'],
    ['the same option in a slot', 'option redispatch 1', 'option redispatch -1'],
    ['its own name among peers', /^( +)(localpeer|peer) local/gm, '$1$2 gw-2'],
  ];
  const own = [
    ...['', 'frontend static', '    bind :8090', '    mode http', '    default_backend static', ''],
    ...['backend static', '    mode http', '    server files 127.0.0.1:9100 backup weight 0', ''],
    ...['listen mail', '    mode tcp', '    bind :2525', '    server mail 127.0.0.1:25', ''],
  ];

  it('what does not come in the way', async (test) => {
    const folder = await mkdtemp(join(tmpdir(), 'own-config-'));
    try {
      const text = [...changes].reduce(
        (config, [what, from, to]) => {
          const changed = config.replace(from, to);
          expect(changed, what).not.toBe(config);
          return changed;
        },
        rendered(folder, join(folder, 'a.sock')),
      );
      const config = `${text.replace('/run/o.sock', join(folder, 'o.sock'))}${own.join('\n')}`;
      expect(checkConfig(config, PLAN)).toEqual([]);
      requireComponent('HAProxy', HAPROXY !== null, test);
      // HAProxy looks the name up.
      await writeFile(join(folder, 'haproxy.cfg'), config.replaceAll('two.example', '127.0.0.1'));
      for (const [path, content] of seedFiles(PLAN, { files: folder })) await writeFile(path, content);
      expect(await haproxyVerdict(HAPROXY ?? '', join(folder, 'haproxy.cfg'))).toMatchObject({ ok: true });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
