import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../domain/errors.ts';

const codes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

export const errorBodySchema = z.object({
  code: z.enum(codes),
  message: z.string(),
  details: z.unknown().optional(),
});

/** Body of every answer of a control API that is not a success. */
export const errorAnswerSchema = z.object({ error: errorBodySchema });
