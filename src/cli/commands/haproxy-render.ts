import { access, mkdir } from 'node:fs/promises';
import { Command } from 'commander';
import writeFileAtomic from 'write-file-atomic';
import { DEFAULT_FILES, DEFAULT_SOCKET } from '../../haproxy/layout.ts';
import { print, type CliContext } from '../context.ts';
import { parseCountOption } from '../limit-option.ts';
import { parseList } from '../list-option.ts';
import { readPlanFile } from '../plan-input.ts';

/** What packages of HAProxy create. */
const DEFAULT_USER = 'haproxy';
const DEFAULT_CHROOT = '/var/lib/haproxy';

interface RenderCommandOptions {
  readonly bind: string;
  readonly tlsCert?: string;
  readonly socket: string;
  /** False: `--no-user`. */
  readonly user: string | false;
  /** False: `--no-chroot`. */
  readonly chroot: string | false;
  readonly files: string;
  readonly metrics?: string;
  readonly slots?: number;
  readonly context?: boolean;
  readonly contextFor: readonly string[];
  readonly seed?: boolean;
  readonly output?: string;
}

export function haproxyRenderCommand({ out }: CliContext): Command {
  return new Command('render')
    .description('print a complete haproxy.cfg for a plan')
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .option('--bind <address>', 'where traffic comes in, as `bind` takes it', ':8080')
    .option('--tls-cert <file>', 'PEM file for TLS there')
    .option('--socket <address>', 'Runtime API, as `stats socket` takes it', DEFAULT_SOCKET)
    .option(
      '--user <name>',
      'user and group as which it serves; its companion runs as the same',
      DEFAULT_USER,
    )
    .option('--no-user', 'as whoever starts it, where that is not root: without --chroot too')
    .option('--chroot <dir>', 'folder that it is shut into; it has to be there', DEFAULT_CHROOT)
    .option('--no-chroot', 'not shut in')
    .option('--files <dir>', 'folder of its maps and of its server-state file', DEFAULT_FILES)
    .option('--metrics <address>', 'where its Prometheus exporter listens, as `bind` takes it')
    .option('--slots <n>', 'versions that can have servers at a time', parseCountOption)
    .option('--context', 'write key and decision into W3C baggage, for sidecars behind the service')
    .option(
      '--context-for <plans>',
      'plans of services behind the service, for which it decides as well, such as pricing.yaml,ledger.yaml; implies --context',
      parseList,
      [],
    )
    .option('--seed', 'also write the files that HAProxy needs for its first start, those that are missing')
    .option('--output <file>', 'write it there as a whole, and only when all is well; not to standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ changeover haproxy render plan.yaml --seed --output /etc/haproxy/haproxy.cfg && systemctl reload haproxy
  $ changeover haproxy render plan.yaml --context-for pricing.yaml --seed --output /etc/haproxy/haproxy.cfg`,
    )
    .action(async (file: string, { seed = false, output, ...given }: RenderCommandOptions) => {
      const { renderConfig, seedFiles } = await import('../../haproxy/render.ts');
      const { plan } = await readPlanFile(file);
      const { contextFor, user, chroot, ...rest } = given;
      const inner = await Promise.all(contextFor.map(async (name) => (await readPlanFile(name)).plan));
      const options = {
        ...{ ...rest, inner },
        ...(user === false ? {} : { user, ...(chroot === false ? {} : { chroot }) }),
      };
      // Whatever is wrong with the plan is found before anything is written.
      const text = renderConfig(plan, options);
      const seeds = seed ? [...seedFiles(plan, options)] : [];
      if (seed) await mkdir(options.files, { recursive: true });
      for (const [path, content] of seeds) await seedOne(path, content);
      if (output === undefined) print(out, text);
      else await writeFileAtomic(output, `${text}\n`);
    });
}

/** What is there may be in use: it is the routes of an HAProxy that runs. */
async function seedOne(path: string, content: string): Promise<void> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (!there) await writeFileAtomic(path, content);
}
