// Operations on pipes.
import { pipe2 } from "@kqpoll/files";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { ifNonblocking } from "./argument.ts";
import type { Operations } from "./operation.ts";

export const PIPES: Operations = {
	pipe: (thread, [mode]) => pipe2(thread, ifNonblocking(mode, O_NONBLOCK)).join(" "),
};
