/** Calls that are under way, each with its own deadline, and all of them ended together on close. */
export interface Deadlines {
  /** Runs `call`; its signal fires after `timeoutMs`, or on `abortAll`. */
  run<T>(timeoutMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T>;
  readonly closed: boolean;
  /** Ends what is under way and what comes, and resolves when nothing is left. */
  abortAll(): Promise<void>;
}

/**
 * One controller a call, instead of `AbortSignal.any` with one signal for closing: on Node 20 what was joined to a
 * signal that lives as long as the process is never freed.
 */
export function createDeadlines(): Deadlines {
  const running = new Map<AbortController, Promise<unknown>>();
  let closed = false;
  return {
    async run(timeoutMs, call) {
      const controller = new AbortController();
      if (closed) controller.abort();
      const timer = setTimeout(
        () => controller.abort(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const work = call(controller.signal);
      running.set(
        controller,
        work.catch(() => undefined),
      );
      try {
        return await work;
      } finally {
        clearTimeout(timer);
        running.delete(controller);
      }
    },
    get closed() {
      return closed;
    },
    async abortAll() {
      closed = true;
      for (const controller of running.keys()) controller.abort();
      await Promise.all(running.values());
    },
  };
}
