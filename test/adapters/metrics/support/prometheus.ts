import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../../src/dev-server/free-port.ts';
import { ComponentProcess, findCommand } from './component-process.ts';
import { TestServer } from './test-server.ts';

export const PROMETHEUS = findCommand('prometheus', process.env.PROMETHEUS);

/** A Prometheus of its own that scrapes one exporter, in a temporary folder, on a free port. */
export class Prometheus implements AsyncDisposable {
  private readonly server: ComponentProcess;
  private readonly exporter: TestServer;
  private readonly folder: string;
  readonly url: string;
  private readonly lines: Map<string, string>;
  /** Whether what it scrapes answers no more. */
  scraped = { isAway: false };

  private constructor(
    server: ComponentProcess,
    exporter: TestServer,
    folder: string,
    url: string,
    lines: Map<string, string>,
  ) {
    this.server = server;
    this.exporter = exporter;
    this.folder = folder;
    this.url = url;
    this.lines = lines;
  }

  static async start(): Promise<Prometheus> {
    if (PROMETHEUS === null) throw new Error('prometheus is not installed');
    const lines = new Map<string, string>();
    const scraped = { isAway: false };
    const exporter = await TestServer.start((_request, response) => {
      if (scraped.isAway) response.statusCode = 503;
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end([...lines].map(([series, value]) => `${series} ${value}\n`).join(''));
    });
    const folder = await mkdtemp(join(tmpdir(), 'changeover-prometheus-'));
    const [port = 0] = await freePorts(1);
    const url = `http://127.0.0.1:${port}`;
    const config = join(folder, 'prometheus.yml');
    await writeFile(
      config,
      `global: { scrape_interval: 100ms, scrape_timeout: 100ms }
scrape_configs: [{ job_name: shop, static_configs: [{ targets: ["${new URL(exporter.url).host}"] }] }]
`,
    );
    const server = await ComponentProcess.start(
      PROMETHEUS,
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      {
        spawn: { cwd: folder },
        stopSignal: 'SIGTERM',
        ready: async () => {
          const { status } = await fetch(`${url}/-/ready`);
          if (status !== 200) throw new Error('not yet');
        },
      },
    );
    return Object.assign(new Prometheus(server, exporter, folder, url, lines), { scraped });
  }

  /** Series → what the exporter says of it from now on; undefined: nothing any more. */
  expose(series: Readonly<Record<string, number | string | undefined>>): void {
    for (const [name, value] of Object.entries(series)) {
      if (value === undefined) this.lines.delete(name);
      else this.lines.set(name, String(value));
    }
  }

  /** Waits until a query has this value (at this moment). */
  async shows(query: string, wanted: number | undefined): Promise<void> {
    for (;;) {
      const answer = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
      const [held] = data.result;
      if (held === undefined ? wanted === undefined : Number(held.value[1]) === wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.exporter[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
