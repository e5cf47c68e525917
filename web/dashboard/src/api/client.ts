// The one place that talks HTTP to the hub.

import createClient, { type Middleware } from "openapi-fetch";

import { useLink } from "@/live/link";

import type { paths } from "./schema";
import type { ProblemDetails } from "./types";

/** What the hub says is wrong; `errors` where fields are. */
export type Problem = Partial<ProblemDetails> & { errors?: { field: string; message: string }[] };

/** An answer of the hub that says no, or a hub that does not answer. */
export class ApiError extends Error {
  constructor(
    /** The status; 0 where there was no answer. */
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? (status === 0 ? "the hub does not answer" : `status ${status}`));
  }

  /** What is wrong with a field, where the hub has said so. */
  of(field: string): string | undefined {
    return this.problem.errors?.find((error) => error.field === field)?.message;
  }
}

const loggedOut: Middleware = {
  onResponse({ response, schemaPath }) {
    if (response.status === 401 && schemaPath !== "/api/session") useLink.getState().loggedOut();
    return undefined;
  },
};

const client = createClient<paths>({ baseUrl: "", credentials: "same-origin" });
client.use(loggedOut);

/** The typed client: `api.GET("/api/gateways")`. Pass its promise to `answer`. */
export const api = client;

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The data of an answer; an ApiError where the hub says no or is away. */
export async function answer<Data>(asked: Promise<Answer<Data>>): Promise<Data> {
  let got: Answer<Data>;
  try {
    got = await asked;
  } catch {
    throw new ApiError(0, {});
  }
  if (!got.response.ok) {
    const problem = typeof got.error === "object" && got.error !== null ? got.error : {};
    throw new ApiError(got.response.status, problem as Problem);
  }
  return got.data as Data;
}
