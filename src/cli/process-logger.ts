import { pino, type Logger } from 'pino';
import type { Config } from '../config.ts';

/** Logs of a process: a JSON object per line on standard output, or words on a terminal. */
export function processLogger(name: string, { logLevel }: Pick<Config, 'logLevel'>): Logger {
  const options = { name, level: logLevel, base: { pid: process.pid } };
  if (!process.stdout.isTTY) return pino(options);
  return pino({
    ...options,
    transport: { target: 'pino-pretty', options: { ignore: 'pid,name', translateTime: 'HH:MM:ss.l' } },
  });
}
