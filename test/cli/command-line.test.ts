import { describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { runCaptured } from './captured-context.ts';

const COMMANDS = createProgram({ env: {}, out: process.stdout, err: process.stderr }).commands.map(
  (command) => command.name(),
);

describe('the command line', () => {
  test('has the commands that the operators were promised', () => {
    expect(COMMANDS.sort()).toEqual(
      [
        ...['validate', 'start', 'status', 'watch', 'approve', 'extend', 'abort', 'pause', 'resume'],
        ...['retry-server', 'skip-server', 'report', 'replay', 'worker', 'controller', 'gateway', 'agent'],
        ...['schema', 'plan', 'simulate', 'adopt', 'exclude-gateway', 'remove-gateway', 'unlock', 'haproxy'],
      ].sort(),
    );
  });

  test('explains itself and its exit codes', async () => {
    const { exitCode, out } = await runCaptured(['--help']);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/Exit codes:[^]*4 {2}not reachable/);
  });

  test.each(COMMANDS)('%s --help shows examples', async (command) => {
    const { exitCode, out } = await runCaptured([command, '--help']);
    expect(exitCode).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\\n.*changeover ${command}`));
  });

  test.each(['start', 'validate', 'approve', 'report', 'unlock'])(
    '%s --help says its exit codes',
    async (command) => {
      expect((await runCaptured([command, '--help'])).out).toMatch(/Exit codes: \d/);
    },
  );

  test.each([
    ['an unknown command, with a suggestion', ['stats'], /Did you mean status\?/],
    ['an unknown option', ['status', '--jsn'], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
    ['no service', ['status'], /Name the service/],
    ['two services', ['pause', 'wealth', '--service', 'loans'], /Two services are named, wealth and loans/],
    [
      'an exclusion without a reason',
      ['exclude-gateway', 'wealth', '--gateway', 'gw-2'],
      /required option '--reason <text>'/,
    ],
    ['an abort without a reason', ['abort', 'wealth'], /required option '--reason <text>'/],
    ['a length that is none', ['extend', 'wealth', '--length', 'long'], /--length held "long"/],
    ['an unknown format', ['report', 'wealth', '--format', 'pdf'], /Allowed choices are md, json/],
    [
      'an address that is none',
      ['controller', '--state', 'x', '--listen', 'here:99999'],
      /It must be HOST:PORT/,
    ],
    [
      'a gateway in capitals',
      ['gateway', '--name', 'GW', '--service', 'wealth', '--state', 'x'],
      /name: lower-case/,
    ],
    [
      'a grace that is no duration',
      [...['gateway', '--name', 'gw', '--service', 'wealth', '--state', 'x'], '--shutdown-grace', '90'],
      /It must be a duration, such as 90s/,
    ],
    [
      'a time-out longer than a timer can wait',
      [...['gateway', '--name', 'gw', '--service', 'wealth', '--state', 'x'], '--response-timeout', '60d'],
      /timeouts\.upstreamHeadersMs: must be 24 days at most/,
    ],
    [
      'no room for transactions',
      [...['gateway', '--name', 'gw', '--service', 'wealth', '--state', 'x'], '--max-transactions', '0'],
      /It must be a whole number above zero/,
    ],
    [
      'more accounts than a gateway can hold',
      [...['gateway', '--name', 'gw', '--service', 'wealth', '--state', 'x'], '--max-accounts', '200000000'],
      /maxAccounts: .*100000000/,
    ],
    [
      'a part of the accounts that is none',
      [...['gateway', '--name', 'gw', '--service', 'wealth', '--state', 'x'], '--account-part', '3/2'],
      /It must be a part of at most a hundred, from 1, such as 1\/2 and 2\/2/,
    ],
    ['a history that is none', ['replay', 'package.json'], /package\.json holds no history/],
    [
      'an agent without its file',
      ['agent', '--config', '/nowhere.yaml'],
      /^The agent configuration cannot be read: ENOENT[^]*\/nowhere\.yaml'\.$/m,
    ],
  ])('refuses %s and exits with 2', async (_name, argv, message) => {
    const { exitCode, err } = await runCaptured(argv);
    expect(err).toMatch(message);
    expect(exitCode).toBe(2);
  });

  test('refuses an environment that is wrong, without repeating secrets', async () => {
    const env = { LOG_LEVEL: 'loud', CHANGEOVER_CONTROLLER_TOKEN: 'short secret' };
    const { exitCode, err } = await runCaptured(['controller', '--state', 'x'], env);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/LOG_LEVEL must be one of/);
    expect(err).not.toContain('short secret');
  });

  test('shows a stack only with --debug', async () => {
    expect((await runCaptured(['agent', '--config', '/nowhere.yaml'])).err).not.toMatch(/\n\s+at /);
    expect((await runCaptured(['agent', '--config', '/nowhere.yaml', '--debug'])).err).toMatch(/\n\s+at /);
  });
});
