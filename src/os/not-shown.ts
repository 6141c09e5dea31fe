/** No such process, one that has just ended, or one of another user; or a system without such files. */
const NOT_SHOWN = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

/**
 * Whether a file of /proc could not be read because the system does not show it. Any other error (such as no file left to
 * open) says nothing of what is there: it must not pass for a process that is gone, or business that is over.
 */
export function isNotShown(error: unknown): boolean {
  return NOT_SHOWN.some((code) => code === codeOf(error));
}

/** Whether there is no such file. */
export function isAbsent(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
