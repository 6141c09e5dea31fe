/** Where text goes: standard output or error, or what a test collects. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What commands know of the process they run in. */
export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly out: Output;
  readonly err: Output;
}

export function print(output: Output, text: string): void {
  output.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function printJson(output: Output, value: unknown): void {
  print(output, JSON.stringify(value, null, 2));
}
